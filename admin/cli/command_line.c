/*
 * command_line - parsing by the table.
 */
#include "admin/cli/command_line.h"

#include <string.h>

#include "admin/api/arguments.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"

struct parser {
	struct command_line *line;
	const char *const *next;
	gboolean options_ended;
	GPtrArray *positions; /* borrowed words that are no options */
	const char *half;     /* "claim", of "claim add": the verb is claim-add */
};

struct global_option {
	const char *name;
	char letter;
	gboolean takes_value;
};

static const struct global_option global_options[] = {
	{ "config", 'c', TRUE }, { "socket", 0, TRUE },  { "json", 0, FALSE },
	{ "csv", 0, FALSE },     { "help", 'h', FALSE }, { "version", 0, FALSE },
};

static const struct global_option *
global_option(const char *name, gsize length)
{
	for (gsize i = 0; i < G_N_ELEMENTS(global_options); i++)
		if (strncmp(global_options[i].name, name, length) == 0 &&
		    global_options[i].name[length] == '\0')
			return &global_options[i];
	return NULL;
}

static void
apply_global(struct command_line *line, const struct global_option *option, const char *value)
{
	if (strcmp(option->name, "config") == 0) {
		g_free(line->config_path);
		line->config_path = g_strdup(value);
	} else if (strcmp(option->name, "socket") == 0) {
		g_free(line->socket_path);
		line->socket_path = g_strdup(value);
	} else if (strcmp(option->name, "json") == 0) {
		line->format = OUTPUT_JSON;
	} else if (strcmp(option->name, "csv") == 0) {
		line->format = OUTPUT_CSV;
	} else if (strcmp(option->name, "version") == 0) {
		line->version = TRUE;
	} else {
		line->help = TRUE;
	}
}

static gboolean fail_usage(const struct command_line *line, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Always FALSE; the text begins with the command as far as it is known. */
static gboolean
fail_usage(const struct command_line *line, GError **error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_autofree char *text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	if (line->operation != NULL) {
		g_autofree char *name = operation_name(line->operation);
		return fail_false(error, PS_ERROR_INVALID, "%s: %s", name, text);
	}
	if (line->noun != NULL)
		return fail_false(error, PS_ERROR_INVALID, "%s: %s", line->noun, text);
	return fail_false(error, PS_ERROR_INVALID, "%s", text);
}

static void
add_text(struct command_line *line, const char *name, const char *text)
{
	GPtrArray *texts = g_hash_table_lookup(line->texts, name);

	if (texts == NULL) {
		texts = g_ptr_array_new_with_free_func(g_free);
		g_hash_table_insert(line->texts, g_strdup(name), texts);
	}
	g_ptr_array_add(texts, g_strdup(text));
}

/* The value after '=' or the next word; NULL with *error when there is none. */
static const char *
option_value(struct parser *parser, const char *name, const char *equals, GError **error)
{
	if (equals != NULL)
		return equals + 1;
	if (*parser->next == NULL) {
		fail_usage(parser->line, error, "--%s needs a value", name);
		return NULL;
	}
	return *parser->next++;
}

/* --NAME-file and --NAME-fd of a password argument. FALSE: it is none of them. */
static gboolean
password_option(struct parser *parser, const char *name, const char *equals, GError **error)
{
	struct command_line *line = parser->line;
	gboolean is_file = g_str_has_suffix(name, "-file");

	if (!is_file && !g_str_has_suffix(name, "-fd"))
		return FALSE;
	g_autofree char *base = g_strndup(name, strlen(name) - (is_file ? 5 : 3));
	const struct argument *argument = operation_argument(line->operation, base);
	if (argument == NULL || argument->type != ARGUMENT_PASSWORD)
		return FALSE;
	const char *value = option_value(parser, name, equals, error);
	if (value != NULL)
		g_hash_table_replace(is_file ? line->password_files : line->password_fds,
				     g_strdup(base), g_strdup(value));
	return TRUE;
}

static gboolean
fail_unknown_option(const struct command_line *line, const char *name, GError **error)
{
	const char *nearest = operation_nearest_option(line->operation, name);
	const struct argument *argument = operation_argument(line->operation, name);
	g_autofree char *safe = printable(name);

	if (argument != NULL && argument->type == ARGUMENT_PASSWORD)
		return fail_usage(
		    line, error, "a password is no argument: use --%s-file or --%s-fd", name, name);
	if (nearest != NULL)
		return fail_usage(line, error, "unknown option '--%s', did you mean '--%s'?", safe,
				  nearest);
	return fail_usage(line, error, "unknown option '--%s'", safe);
}

static gboolean
take_option(struct parser *parser, const char *word, GError **error)
{
	struct command_line *line = parser->line;
	const char *equals = strchr(word, '=');
	gsize length = equals != NULL ? (gsize)(equals - word) : strlen(word);
	g_autofree char *name = g_strndup(word, length);
	const struct argument *argument =
	    line->operation != NULL ? operation_argument(line->operation, name) : NULL;
	g_autoptr(GError) problem = NULL;

	if (argument != NULL && argument->place == ARGUMENT_OPTION &&
	    argument->type != ARGUMENT_PASSWORD) {
		if (argument->type == ARGUMENT_FLAG) {
			add_text(line, name, equals != NULL ? equals + 1 : "1");
			return TRUE;
		}
		const char *value = option_value(parser, name, equals, error);
		if (value != NULL)
			add_text(line, name, value);
		return value != NULL;
	}
	const struct global_option *global = global_option(word, length);
	if (global != NULL) {
		const char *value = "";

		if (global->takes_value &&
		    (value = option_value(parser, name, equals, error)) == NULL)
			return FALSE;
		apply_global(line, global, value);
		return TRUE;
	}
	if (line->operation == NULL)
		return fail_usage(line, error, "unknown option '--%s'; see postseal --help", name);
	if (password_option(parser, name, equals, &problem)) {
		if (problem == NULL)
			return TRUE;
		g_propagate_error(error, g_steal_pointer(&problem));
		return FALSE;
	}
	return fail_unknown_option(line, name, error);
}

static gboolean
take_letter(struct parser *parser, const char *word, GError **error)
{
	for (gsize i = 0; i < G_N_ELEMENTS(global_options); i++) {
		const struct global_option *option = &global_options[i];
		const char *value = "";

		if (option->letter == 0 || option->letter != word[1])
			continue;
		if (option->takes_value && word[2] != '\0')
			value = word + 2;
		else if (option->takes_value &&
			 (value = option_value(parser, option->name, NULL, error)) == NULL)
			return FALSE;
		apply_global(parser->line, option, value);
		return TRUE;
	}
	g_autofree char *safe = printable(word);
	return fail_usage(parser->line, error, "unknown option '%s'", safe);
}

static gboolean
take_noun(struct command_line *line, const char *word, GError **error)
{
	if (strcmp(word, "help") == 0) {
		line->help = TRUE;
		return TRUE;
	}
	line->operation = operation_find("", word);
	if (line->operation != NULL || operation_has_noun(word)) {
		line->noun = g_strdup(word);
		return TRUE;
	}
	const char *nearest = operation_nearest_noun(word);
	g_autofree char *safe = printable(word);
	if (nearest != NULL)
		return fail_usage(line, error, "unknown command '%s', did you mean '%s'?", safe,
				  nearest);
	return fail_usage(line, error, "unknown command '%s'; see postseal --help", safe);
}

static gboolean
take_verb(struct parser *parser, const char *word, GError **error)
{
	struct command_line *line = parser->line;
	g_autofree char *whole =
	    parser->half != NULL ? g_strconcat(parser->half, "-", word, NULL) : g_strdup(word);

	line->operation = operation_find(line->noun, whole);
	if (line->operation != NULL)
		return TRUE;
	if (parser->half == NULL && operation_has_half(line->noun, word)) {
		parser->half = word;
		return TRUE;
	}
	const char *nearest = operation_nearest_verb(line->noun, whole);
	g_autofree char *safe = printable(whole);
	if (nearest != NULL)
		return fail_usage(line, error, "unknown verb '%s', did you mean '%s'?", safe,
				  nearest);
	return fail_usage(line, error, "unknown verb '%s'; see postseal %s --help", safe,
			  line->noun);
}

static gboolean
take_word(struct parser *parser, const char *word, GError **error)
{
	struct command_line *line = parser->line;

	if (!parser->options_ended && strcmp(word, "--") == 0) {
		parser->options_ended = TRUE;
		return TRUE;
	}
	if (!parser->options_ended && g_str_has_prefix(word, "--"))
		return take_option(parser, word + 2, error);
	if (!parser->options_ended && word[0] == '-' && word[1] != '\0')
		return take_letter(parser, word, error);
	if (line->noun == NULL)
		return take_noun(line, word, error);
	if (line->operation == NULL)
		return take_verb(parser, word, error);
	g_ptr_array_add(parser->positions, (gpointer)word);
	return TRUE;
}

/* Positions in the order of the table; the last may take all that are left. */
static gboolean
place_positions(struct parser *parser, GError **error)
{
	const struct command_line *line = parser->line;
	guint used = 0;

	for (const struct argument *a = line->operation->arguments; a->name != NULL; a++) {
		if (a->place == ARGUMENT_OPTION)
			continue;
		if (a->required && used == parser->positions->len)
			return fail_usage(line, error, "%s is missing; see --help", a->meta);
		do {
			if (used < parser->positions->len)
				add_text(parser->line, a->name,
					 g_ptr_array_index(parser->positions, used++));
		} while (a->place == ARGUMENT_REST && used < parser->positions->len);
	}
	if (used < parser->positions->len) {
		g_autofree char *safe = printable(g_ptr_array_index(parser->positions, used));
		return fail_usage(line, error, "'%s' is one word too many; see --help", safe);
	}
	return TRUE;
}

/* Numbers and times are wrong usage here already, not a refusal of the daemon. */
static gboolean
check_kind(const struct command_line *line, const struct argument *argument, const char *text,
	   GError **error)
{
	g_autoptr(GError) problem = NULL;
	g_autofree char *safe = printable(text);
	const char *dashes = argument->place == ARGUMENT_OPTION ? "--" : "";
	const char *name = argument->place == ARGUMENT_OPTION ? argument->name : argument->meta;
	gint64 value;

	if (argument->type == ARGUMENT_CHOICE && !argument_in_choice(argument, text) &&
	    argument->place == ARGUMENT_OPTION)
		return fail_usage(line, error, "--%s: '%s' is none of %s", name, safe,
				  argument->meta);
	if (argument->type == ARGUMENT_CHOICE && !argument_in_choice(argument, text))
		return fail_usage(line, error, "'%s' is none of %s", safe, argument->meta);
	if (argument->type == ARGUMENT_INT &&
	    !g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &value, NULL))
		return fail_usage(line, error, "%s%s: '%s' is not a number", dashes, name, safe);
	if (argument->type == ARGUMENT_TIME && !clock_parse(text, &value, &problem))
		return fail_usage(line, error, "%s%s: %s", dashes, name, problem->message);
	return TRUE;
}

static gboolean
check_required(const struct command_line *line, GError **error)
{
	for (const struct argument *a = line->operation->arguments; a->name != NULL; a++) {
		const char *text = command_line_text(line, a->name);

		if (a->required && a->place == ARGUMENT_OPTION && a->type != ARGUMENT_PASSWORD &&
		    text == NULL)
			return fail_usage(line, error, "--%s %s is missing", a->name, a->meta);
		if (text != NULL && !check_kind(line, a, text, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean
parse_all(struct parser *parser, GError **error)
{
	struct command_line *line = parser->line;

	while (*parser->next != NULL)
		if (!take_word(parser, *parser->next++, error))
			return FALSE;
	if (line->help || line->version)
		return TRUE;
	if (line->noun == NULL)
		return fail_usage(line, error, "no command given; see postseal --help");
	if (line->operation == NULL)
		return fail_usage(line, error, "no verb given; see postseal %s --help", line->noun);
	return place_positions(parser, error) && check_required(line, error);
}

struct command_line *
command_line_parse(const char *const *words, GError **error)
{
	struct command_line *line = g_new0(struct command_line, 1);
	g_autoptr(GPtrArray) positions = g_ptr_array_new();
	struct parser parser = { .line = line, .next = words, .positions = positions };

	line->texts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
					    (GDestroyNotify)g_ptr_array_unref);
	line->password_files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	line->password_fds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	if (!parse_all(&parser, error)) {
		command_line_free(line);
		return NULL;
	}
	return line;
}

void
command_line_free(struct command_line *line)
{
	if (line == NULL)
		return;
	g_hash_table_unref(line->texts);
	g_hash_table_unref(line->password_files);
	g_hash_table_unref(line->password_fds);
	g_free(line->noun);
	g_free(line->config_path);
	g_free(line->socket_path);
	g_free(line);
}

const char *
command_line_text(const struct command_line *line, const char *name)
{
	const GPtrArray *texts = g_hash_table_lookup(line->texts, name);

	return texts != NULL ? g_ptr_array_index(texts, texts->len - 1) : NULL;
}

const char **
command_line_texts(const struct command_line *line, const char *name)
{
	const GPtrArray *texts = g_hash_table_lookup(line->texts, name);
	guint count = texts != NULL ? texts->len : 0;
	const char **list = g_new0(const char *, count + 1);

	for (guint i = 0; i < count; i++)
		list[i] = g_ptr_array_index(texts, i);
	return list;
}

gboolean
command_line_flag(const struct command_line *line, const char *name)
{
	return command_line_text(line, name) != NULL;
}
