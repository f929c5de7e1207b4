/*
 * settings - parser, defaults and comparison, all from the rows of settings.def.
 */
#include "store/config/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"

#define LINE_MAX_BYTES 8192

static const struct setting_row rows[] = {
#define SETTING(name, type, initial, values, programs, when, sentence)                             \
	{ #name, SETTING_##type, initial, values, SETTING_##programs, SETTING_##when, sentence },
#include "store/config/settings.def"
#undef SETTING
};

static const gsize offsets[] = {
#define SETTING(name, type, initial, values, programs, when, sentence)                             \
	G_STRUCT_OFFSET(struct settings, name),
#include "store/config/settings.def"
#undef SETTING
};

const struct setting_row *
setting_rows(gsize *count)
{
	*count = G_N_ELEMENTS(rows);
	return rows;
}

static gpointer
member(const struct settings *settings, gsize index)
{
	return (char *)(gpointer)settings + offsets[index];
}

static gboolean
row_find(const char *name, gsize *index, GError **error)
{
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		if (strcmp(rows[i].name, name) == 0) {
			*index = i;
			return TRUE;
		}

	struct nearest nearest = nearest_start(name);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		nearest_offer(&nearest, rows[i].name);
	g_autofree char *shown = printable(name);
	if (nearest_found(&nearest) == NULL)
		return fail_false(error, PS_ERROR_NOT_FOUND, "unknown setting '%s'", shown);
	return fail_false(error, PS_ERROR_NOT_FOUND, "unknown setting '%s', did you mean '%s'?",
			  shown, nearest_found(&nearest));
}

struct unit {
	const char *name;
	gint64 factor;
};

static const struct unit size_units[] = {
	{ "T", G_GINT64_CONSTANT(1) << 40 },
	{ "G", 1 << 30 },
	{ "M", 1 << 20 },
	{ "K", 1 << 10 },
	{ "", 1 },
	{ NULL, 0 },
};
static const struct unit duration_units[] = {
	{ "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 }, { NULL, 0 },
};
static const struct unit int_units[] = { { "", 1 }, { NULL, 0 } };

static const struct unit *
units_of(enum setting_type type)
{
	if (type == SETTING_SIZE)
		return size_units;
	return type == SETTING_DURATION ? duration_units : int_units;
}

/* Digits and one unit; "0" needs none. */
static gboolean
number_parse(enum setting_type type, const char *text, gint64 *value)
{
	gint64 number = 0;
	const char *p = text;

	for (; g_ascii_isdigit(*p); p++)
		if (__builtin_mul_overflow(number, (gint64)10, &number) ||
		    __builtin_add_overflow(number, (gint64)(*p - '0'), &number))
			return FALSE;
	if (p == text)
		return FALSE;
	if (number == 0 && *p == '\0') {
		*value = 0;
		return TRUE;
	}
	for (const struct unit *unit = units_of(type); unit->name != NULL; unit++)
		if (strcmp(unit->name, p) == 0)
			return !__builtin_mul_overflow(number, unit->factor, value);
	return FALSE;
}

static char *
number_format(enum setting_type type, gint64 value)
{
	const struct unit *unit = units_of(type);

	while (unit[1].name != NULL && (value == 0 || value % unit->factor != 0))
		unit++;
	return g_strdup_printf("%" G_GINT64_FORMAT "%s", value / unit->factor, unit->name);
}

static gboolean
number_set(const struct setting_row *row, gint64 *target, const char *text, GError **error)
{
	static const char *const what[] = {
		[SETTING_INT] = "a number",
		[SETTING_SIZE] = "a size such as 512K, 100M or 1G",
		[SETTING_DURATION] = "a duration such as 30s, 5m, 6h or 400d",
	};
	g_auto(GStrv) range = g_strsplit(row->values, "..", 2);
	g_autofree char *shown = printable(text);
	gint64 value = 0;
	gint64 low = 0;
	gint64 high = 0;

	if (!number_parse(row->type, range[0], &low) || !number_parse(row->type, range[1], &high))
		return fail_false(error, PS_ERROR_BUG, "%s has no range", row->name);
	if (!number_parse(row->type, text, &value))
		return fail_false(error, PS_ERROR_INVALID, "%s must be %s, not '%s'", row->name,
				  what[row->type], shown);
	if (value < low || value > high)
		return fail_false(error, PS_ERROR_INVALID, "%s must be from %s to %s, not '%s'",
				  row->name, range[0], range[1], shown);
	*target = value;
	return TRUE;
}

static gboolean
bool_set(const struct setting_row *row, gboolean *target, const char *text, GError **error)
{
	static const char *const yes[] = { "on", "yes", "true", NULL };
	static const char *const no[] = { "off", "no", "false", NULL };
	g_autofree char *shown = printable(text);

	if (g_strv_contains(yes, text))
		*target = TRUE;
	else if (g_strv_contains(no, text))
		*target = FALSE;
	else
		return fail_false(error, PS_ERROR_INVALID, "%s must be on or off, not '%s'",
				  row->name, shown);
	return TRUE;
}

static gboolean
text_set(const struct setting_row *row, char **target, const char *text, GError **error)
{
	g_autofree char *shown = printable(text);

	if (row->type == SETTING_CHOICE) {
		g_auto(GStrv) choices = g_strsplit(row->values, "|", -1);
		if (!g_strv_contains((const char *const *)choices, text)) {
			g_autofree char *all = g_strjoinv(", ", choices);
			return fail_false(error, PS_ERROR_INVALID, "%s must be one of %s, not '%s'",
					  row->name, all, shown);
		}
	}
	if (row->type == SETTING_PATH && *text != '\0' && *text != '/')
		return fail_false(error, PS_ERROR_INVALID, "%s must be an absolute path, not '%s'",
				  row->name, shown);
	g_free(*target);
	*target = g_strdup(text);
	return TRUE;
}

/* Separated by blanks or commas. */
static void
list_set(GStrv *target, const char *text)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	g_auto(GStrv) pieces = g_strsplit_set(text, " \t,", -1);

	for (char **piece = pieces; *piece != NULL; piece++)
		if (**piece != '\0')
			g_strv_builder_add(builder, *piece);
	g_strfreev(*target);
	*target = g_strv_builder_end(builder);
}

static gboolean
value_set(struct settings *settings, gsize index, const char *text, GError **error)
{
	const struct setting_row *row = &rows[index];
	gpointer target = member(settings, index);

	switch (row->type) {
	case SETTING_TEXT:
	case SETTING_PATH:
	case SETTING_CHOICE:
		return text_set(row, target, text, error);
	case SETTING_BOOL:
		return bool_set(row, target, text, error);
	case SETTING_INT:
	case SETTING_SIZE:
	case SETTING_DURATION:
		return number_set(row, target, text, error);
	case SETTING_LIST:
		list_set(target, text);
		return TRUE;
	}
	return fail_false(error, PS_ERROR_BUG, "%s has no type", row->name);
}

static char *
value_text(const struct settings *settings, gsize index)
{
	gpointer source = member(settings, index);

	switch (rows[index].type) {
	case SETTING_TEXT:
	case SETTING_PATH:
	case SETTING_CHOICE:
		return g_strdup(*(char **)source);
	case SETTING_BOOL:
		return g_strdup(*(gboolean *)source ? "on" : "off");
	case SETTING_INT:
	case SETTING_SIZE:
	case SETTING_DURATION:
		return number_format(rows[index].type, *(gint64 *)source);
	case SETTING_LIST:
		return g_strjoinv(" ", *(GStrv *)source);
	}
	return g_strdup("");
}

static struct settings *
settings_new(const char *file)
{
	struct settings *settings = g_new0(struct settings, 1);

	settings->references = 1;
	settings->file = g_strdup(file);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) local = NULL;
		if (!value_set(settings, i, rows[i].initial, &local))
			g_error("default of %s: %s", rows[i].name, local->message);
	}
	return settings;
}

struct settings *
settings_default(void)
{
	return settings_new("");
}

gboolean
settings_set(struct settings *settings, const char *name, const char *value, GError **error)
{
	gsize index = 0;

	return row_find(name, &index, error) && value_set(settings, index, value, error);
}

char *
settings_get(const struct settings *settings, const char *name)
{
	gsize index = 0;

	return row_find(name, &index, NULL) ? value_text(settings, index) : NULL;
}

struct settings *
settings_ref(const struct settings *settings)
{
	struct settings *counted = (struct settings *)(gpointer)settings;

	g_atomic_int_inc(&counted->references);
	return counted;
}

void
settings_unref(struct settings *settings)
{
	if (settings == NULL || !g_atomic_int_dec_and_test(&settings->references))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		gpointer target = member(settings, i);
		if (rows[i].type == SETTING_LIST)
			g_strfreev(*(GStrv *)target);
		else if (rows[i].type == SETTING_TEXT || rows[i].type == SETTING_PATH ||
			 rows[i].type == SETTING_CHOICE)
			g_free(*(char **)target);
	}
	g_free(settings->file);
	g_free(settings);
}

GStrv
settings_restart_needed(const struct settings *before, const struct settings *after)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *old = value_text(before, i);
		g_autofree char *new = value_text(after, i);
		if (rows[i].when == SETTING_RESTART && strcmp(old, new) != 0)
			g_strv_builder_add(builder, rows[i].name);
	}
	return g_strv_builder_end(builder);
}

/* A '#' at the start or after a blank begins a comment; one inside of a word does not. */
static void
cut_comment(char *line)
{
	for (char *p = line; *p != '\0'; p++)
		if (*p == '#' && (p == line || g_ascii_isspace(p[-1]))) {
			*p = '\0';
			return;
		}
}

static gboolean
line_parse(struct settings *settings, char *line, gboolean *seen, GError **error)
{
	gsize index = 0;

	if (strlen(line) > LINE_MAX_BYTES)
		return fail_false(error, PS_ERROR_INVALID, "line is longer than %d bytes",
				  LINE_MAX_BYTES);
	cut_comment(line);
	g_strstrip(line);
	if (*line == '\0')
		return TRUE;

	char *equals = strchr(line, '=');
	if (equals == NULL || equals == line) {
		g_autofree char *shown = printable(line);
		return fail_false(error, PS_ERROR_INVALID, "'%s' is not 'name = value'", shown);
	}
	*equals = '\0';
	char *name = g_strchomp(line);
	char *value = g_strchug(equals + 1);
	if (!row_find(name, &index, error))
		return FALSE;
	if (seen[index])
		return fail_false(error, PS_ERROR_INVALID, "%s is set twice", name);
	seen[index] = TRUE;
	return value_set(settings, index, value, error);
}

struct settings *
settings_parse(const char *text, gsize length, const char *name, GError **error)
{
	CLEANUP(settings) struct settings *settings = settings_new(name);
	gboolean seen[G_N_ELEMENTS(rows)] = { FALSE };
	const char *end = text + length;
	guint number = 0;

	for (const char *line = text; line < end; number++) {
		const char *stop = memchr(line, '\n', (gsize)(end - line));
		gsize size = (gsize)((stop != NULL ? stop : end) - line);
		g_autofree char *copy = g_strndup(line, size);
		g_autoptr(GError) local = NULL;

		if (memchr(line, '\0', size) != NULL || !g_utf8_validate(line, (gssize)size, NULL))
			return fail(error, PS_ERROR_INVALID, "%s:%u: line is not UTF-8 text", name,
				    number + 1);
		if (!line_parse(settings, copy, seen, &local))
			return fail(error, PS_ERROR_INVALID, "%s:%u: %s", name, number + 1,
				    local->message);
		line += size + 1;
	}
	return g_steal_pointer(&settings);
}

static GString *
file_read(const char *path, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	char buffer[4096];
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		int reason = errno;
		return fail(error, reason == ENOENT ? PS_ERROR_NOT_FOUND : PS_ERROR_DENIED,
			    "%s: could not open settings: %s%s", path, g_strerror(reason),
			    reason == ENOENT ? "; run 'postseal setup' or name a file with -c"
					     : "");
	}
	while ((got = read(fd, buffer, sizeof(buffer))) > 0 && text->len <= SETTINGS_FILE_MAX_BYTES)
		g_string_append_len(text, buffer, got);
	int reason = errno;
	close(fd);
	if (got < 0)
		return fail(error, PS_ERROR_TEMPORARY, "%s: could not read settings: %s", path,
			    g_strerror(reason));
	if (text->len > SETTINGS_FILE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "%s: settings are larger than %d bytes", path,
			    SETTINGS_FILE_MAX_BYTES);
	return g_steal_pointer(&text);
}

struct settings *
settings_load(const char *path, GError **error)
{
	const char *name = path != NULL ? path : SETTINGS_FILE;
	g_autoptr(GString) text = file_read(name, error);

	if (text == NULL)
		return NULL;
	return settings_parse(text->str, text->len, name, error);
}
