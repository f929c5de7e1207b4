/*
 * completion - by the table of operations, the table of preferences, and lists of the daemon.
 */
#include "admin/cli/completion.h"

#include <stdio.h>
#include <string.h>

#include "admin/cli/client.h"
#include "admin/cli/help.h"
#include "store/base/printable.h"
#include "store/config/settings.h"
#include "store/preferences.h"
#include "store/presets.h"

#define DIGITS_SHOWN 16
#define DIGITS_MIN 2
#define LISTED_MAX 200

struct typed {
	const char *noun;
	const struct operation *operation;
	const struct argument *expected; /* option whose value is being typed */
	GPtrArray *positions;            /* whole words that are no options */
	const char *config, *socket;
	const char *last; /* what is being typed */
	GPtrArray *found;
	completion_ask ask;
	gpointer data;
};

static void
add(struct typed *typed, const char *word, const char *meaning)
{
	if (!g_str_has_prefix(word, typed->last))
		return;
	g_ptr_array_add(typed->found, meaning != NULL && *meaning != '\0'
					  ? g_strdup_printf("%s\t%s", word, meaning)
					  : g_strdup(word));
}

static void
add_words(struct typed *typed, const char *text)
{
	g_auto(GStrv) words = g_strsplit(text, "|", -1);

	for (char **word = words; *word != NULL; word++)
		if (g_str_is_ascii(*word))
			add(typed, *word, NULL);
}

/* --- values --- */

static void
add_listed(struct typed *typed, enum operation_id list, const char *column, const char *argument,
	   const char *value, gsize cut)
{
	g_autoptr(GPtrArray) texts =
	    typed->ask != NULL ? typed->ask(list, column, argument, value, typed->data) : NULL;

	for (guint i = 0; texts != NULL && i < texts->len; i++) {
		char *text = g_ptr_array_index(texts, i);

		/* The first digits are enough, and can be read; more when more were typed. */
		if (cut > 0 && strlen(text) > MAX(cut, strlen(typed->last)))
			text[MAX(cut, strlen(typed->last))] = '\0';
		add(typed, text, NULL);
	}
}

static guint
scopes_of_noun(const char *noun)
{
	if (g_strcmp0(noun, "user") == 0)
		return IN_USER;
	return g_strcmp0(noun, "domain") == 0 ? IN_DOMAIN : IN_GLOBAL;
}

static void
add_preferences(struct typed *typed)
{
	for (enum preference p = 0; p < PREF_COUNT; p++)
		if ((preference_scopes(p) & scopes_of_noun(typed->noun)) != 0)
			add(typed, preference_name(p), preference_sentence(p));
}

/* Of the preference that was typed before. */
static void
add_preference_values(struct typed *typed)
{
	const char *name = typed->positions->len > 0
			       ? g_ptr_array_index(typed->positions, typed->positions->len - 1)
			       : "";
	enum preference preference;

	if (!preference_find(name, &preference, NULL))
		return;
	g_auto(GStrv) values = preference_values(preference);
	for (char **value = values; *value != NULL; value++)
		add(typed, *value, NULL);
	if (!g_strv_contains((const char *const *)values, preference_default(preference)))
		add(typed, preference_default(preference), NULL);
}

static void
add_presets(struct typed *typed)
{
	gsize n;
	const struct preset *presets = presets_all(&n);

	for (gsize i = 0; i < n; i++)
		add(typed, presets[i].name, presets[i].sentence);
}

static void
add_scopes(struct typed *typed)
{
	add(typed, "global", "everybody");
	add_listed(typed, OPERATION_DOMAIN_LIST, "name", NULL, NULL, 0);
	add_listed(typed, OPERATION_USER_LIST, "name", NULL, NULL, 0);
}

/* Certificates are found by what was typed of them: there may be millions. */
static void
add_thumbprints(struct typed *typed)
{
	if (g_strcmp0(typed->noun, "ctl") == 0 && typed->operation != NULL &&
	    strcmp(typed->operation->verb, "add") != 0)
		add_listed(typed, OPERATION_CTL_LIST, "thumbprint", NULL, NULL, DIGITS_SHOWN);
	else if (g_strcmp0(typed->noun, "root") == 0)
		add_listed(typed, OPERATION_ROOT_LIST, "thumbprint", NULL, NULL, DIGITS_SHOWN);
	else if (strlen(typed->last) >= DIGITS_MIN)
		add_listed(typed, OPERATION_CERT_LIST, "thumbprint", "thumbprint", typed->last,
			   DIGITS_SHOWN);
}

static void
add_numbers(struct typed *typed)
{
	if (g_strcmp0(typed->noun, "job") == 0)
		add_listed(typed, OPERATION_JOB_LIST, "id", NULL, NULL, 0);
	else if (g_strcmp0(typed->noun, "request") == 0)
		add_listed(typed, OPERATION_REQUEST_LIST, "id", NULL, NULL, 0);
}

static void
add_values(struct typed *typed, const struct argument *argument)
{
	const char *meta = argument->meta;

	if (argument->type == ARGUMENT_CHOICE)
		add_words(typed, meta);
	else if (strcmp(meta, "PREFERENCE") == 0)
		add_preferences(typed);
	else if (strcmp(meta, "VALUE") == 0 && operation_argument(typed->operation, "preference"))
		add_preference_values(typed);
	else if (strcmp(meta, "PRESET") == 0)
		add_presets(typed);
	else if (strcmp(meta, "CA") == 0)
		add_listed(typed, OPERATION_CA_LIST, "name", NULL, NULL, 0);
	else if (strcmp(meta, "NAME") == 0 && g_strcmp0(typed->noun, "ca") == 0)
		add_listed(typed, OPERATION_CA_CONFIG, "name", NULL, NULL, 0);
	else if (strcmp(meta, "ADDR|DOMAIN|global") == 0)
		add_scopes(typed);
	else if (strcmp(meta, "ADDR") == 0)
		add_listed(typed, OPERATION_USER_LIST, "name", NULL, NULL, 0);
	else if (g_str_has_prefix(meta, "DOMAIN"))
		add_listed(typed, OPERATION_DOMAIN_LIST, "name", NULL, NULL, 0);
	else if (g_str_has_prefix(meta, "CERT") || g_str_has_suffix(meta, "|CERT"))
		add_thumbprints(typed);
	else if (strcmp(meta, "KEY") == 0)
		add_listed(typed, OPERATION_KEY_LIST, "spki", NULL, NULL, DIGITS_SHOWN);
	else if (strcmp(meta, "CRL") == 0)
		add_listed(typed, OPERATION_CRL_LIST, "thumbprint", NULL, NULL, DIGITS_SHOWN);
	else if (strcmp(meta, "ID") == 0)
		add_numbers(typed);
	else if (g_str_has_prefix(meta, "rsa:"))
		add_words(typed, meta);
}

/* --- words of the language --- */

/* The rows of a noun do not all stand together. */
static gboolean
is_first_of_noun(enum operation_id id)
{
	for (enum operation_id before = 0; before < id; before++)
		if (strcmp(operation_at(before)->noun, operation_at(id)->noun) == 0)
			return FALSE;
	return TRUE;
}

static void
add_first(struct typed *typed)
{
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++) {
		const struct operation *operation = operation_at(id);

		if (*operation->noun == '\0')
			add(typed, operation->verb, operation->summary);
		else if (is_first_of_noun(id))
			add(typed, operation->noun, help_noun_summary(operation->noun));
	}
}

static void
add_verbs(struct typed *typed)
{
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++)
		if (strcmp(operation_at(id)->noun, typed->noun) == 0)
			add(typed, operation_at(id)->verb, operation_at(id)->summary);
}

static void
add_options(struct typed *typed)
{
	static const char *const globals[] = { "--json", "--csv", "--help", "--config",
					       "--socket" };
	const struct argument *a = typed->operation != NULL ? typed->operation->arguments : NULL;

	for (; a != NULL && a->name != NULL; a++) {
		g_autofree char *option = g_strconcat("--", a->name, NULL);
		g_autofree char *file = g_strconcat(option, "-file", NULL);
		g_autofree char *fd = g_strconcat(option, "-fd", NULL);

		if (a->place != ARGUMENT_OPTION)
			continue;
		if (a->type == ARGUMENT_PASSWORD) {
			add(typed, file, a->help);
			add(typed, fd, a->help);
		} else {
			add(typed, option, a->help);
		}
	}
	for (gsize i = 0; i < G_N_ELEMENTS(globals); i++)
		add(typed, globals[i], NULL);
}

static void
add_position(struct typed *typed)
{
	guint index = 0;

	for (const struct argument *a = typed->operation->arguments; a->name != NULL; a++) {
		if (a->place == ARGUMENT_OPTION)
			continue;
		if (index == typed->positions->len || a->place == ARGUMENT_REST) {
			add_values(typed, a);
			return;
		}
		index++;
	}
}

/* --- what was typed --- */

/* An option that waits for its value, which is then the next word. */
static void
take_option(struct typed *typed, const char *word, const char ***next)
{
	const struct argument *argument =
	    typed->operation != NULL ? operation_argument(typed->operation, word) : NULL;
	const char **global = strcmp(word, "config") == 0   ? &typed->config
			      : strcmp(word, "socket") == 0 ? &typed->socket
							    : NULL;

	if (strchr(word, '=') != NULL || (argument != NULL && argument->type == ARGUMENT_FLAG) ||
	    (argument == NULL && global == NULL))
		return;
	if (**next != NULL && strcmp(**next, "=") == 0) /* as bash parts words */
		(*next)++;
	if (**next == NULL) {
		typed->expected = argument;
		return;
	}
	if (global != NULL && argument == NULL)
		*global = **next;
	(*next)++;
}

/* All whole words; the one that is being typed is left out of the array. */
static void
read_words(struct typed *typed, const char **next)
{
	while (*next != NULL) {
		const char *word = *next++;

		if (g_str_has_prefix(word, "--"))
			take_option(typed, word + 2, &next);
		else if (strcmp(word, "-c") == 0)
			take_option(typed, "config", &next);
		else if (word[0] == '-' && word[1] != '\0')
			continue;
		else if (typed->noun == NULL)
			typed->operation = operation_find("", typed->noun = word);
		else if (typed->operation == NULL)
			typed->operation = operation_find(typed->noun, word);
		else
			g_ptr_array_add(typed->positions, (gpointer)word);
	}
}

static void
find_words(struct typed *typed)
{
	const char *equals = strchr(typed->last, '=');

	/* --format=pem, where the shell leaves it in one word. */
	if (g_str_has_prefix(typed->last, "--") && equals != NULL && typed->operation != NULL) {
		g_autofree char *name =
		    g_strndup(typed->last + 2, (gsize)(equals - typed->last - 2));
		const struct argument *argument = operation_argument(typed->operation, name);
		g_autofree char *before = g_strndup(typed->last, (gsize)(equals + 1 - typed->last));

		typed->last = equals + 1;
		if (argument != NULL)
			add_values(typed, argument);
		for (guint i = 0; i < typed->found->len; i++) {
			char *found = g_ptr_array_index(typed->found, i);

			typed->found->pdata[i] = g_strconcat(before, found, NULL);
			g_free(found);
		}
		return;
	}
	if (typed->expected != NULL)
		add_values(typed, typed->expected);
	else if (typed->last[0] == '-')
		add_options(typed);
	else if (typed->noun == NULL)
		add_first(typed);
	else if (typed->operation == NULL)
		add_verbs(typed);
	else
		add_position(typed);
}

/* The words before the last one, and "" for a last one that is only bash's "=". */
static void
split_last(const char *const *words, GPtrArray *before, const char **last)
{
	gsize n = g_strv_length((GStrv)words);

	*last = n > 0 ? words[n - 1] : "";
	for (gsize i = 0; i + 1 < n; i++)
		g_ptr_array_add(before, (gpointer)words[i]);
	if (strcmp(*last, "=") == 0)
		*last = "";
	g_ptr_array_add(before, NULL);
}

static void
complete(struct typed *typed, const char *const *words)
{
	g_autoptr(GPtrArray) before = g_ptr_array_new();

	split_last(words, before, &typed->last);
	read_words(typed, (const char **)before->pdata);
}

GPtrArray *
completion_words(const char *const *words, completion_ask ask, gpointer data)
{
	g_autoptr(GPtrArray) positions = g_ptr_array_new();
	struct typed typed = { .positions = positions, .ask = ask, .data = data };

	typed.found = g_ptr_array_new_with_free_func(g_free);
	complete(&typed, words);
	find_words(&typed);
	return typed.found;
}

/* --- the daemon's lists --- */

static void
append_column(GPtrArray *texts, const json_t *item, const char *column)
{
	const json_t *value = json_object_get(item, column);

	if (json_is_integer(value))
		g_ptr_array_add(
		    texts, g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value)));
	else if (json_is_string(value))
		g_ptr_array_add(texts, printable(json_string_value(value)));
}

static GPtrArray *
ask_daemon(enum operation_id list, const char *column, const char *argument, const char *value,
	   gpointer data)
{
	const struct operation *operation = operation_at(list);
	GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
	json_t *arguments = json_object();
	struct client_answer answer = { 0 };
	const json_t *items;

	if (argument != NULL)
		json_object_set_new(arguments, argument, json_string(value));
	if (operation_argument(operation, "limit") != NULL)
		json_object_set_new(arguments, "limit", json_integer(LISTED_MAX));
	if (operation_argument(operation, "no-verdict") != NULL)
		json_object_set_new(arguments, "no-verdict", json_true());
	client_call(data, operation, arguments, &answer);
	items = json_object_get(answer.document, "items");
	for (gsize i = 0; i < json_array_size(items); i++)
		append_column(texts, json_array_get(items, i), column);
	client_answer_clear(&answer);
	json_decref(arguments);
	return texts;
}

/* As the command itself would be reached. */
static struct client *
client_of(const struct typed *typed)
{
	CLEANUP(settings) struct settings *settings = settings_load(typed->config, NULL);

	if (settings == NULL)
		settings = settings_default();
	return client_new(typed->socket != NULL ? typed->socket : settings->api_socket,
			  typed->config);
}

int
completion_run(const char *const *words)
{
	g_autoptr(GPtrArray) positions = g_ptr_array_new();
	struct typed typed = { .positions = positions };
	g_autoptr(GPtrArray) found = NULL;

	if (words[0] != NULL && strcmp(words[0], "--") == 0)
		words++;
	complete(&typed, words);
	CLEANUP(client) struct client *client = client_of(&typed);
	found = completion_words(words, ask_daemon, client);
	for (guint i = 0; i < found->len; i++)
		puts(g_ptr_array_index(found, i));
	return fflush(stdout) == 0 ? 0 : 1;
}
