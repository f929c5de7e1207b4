/*
 * config_values - checks of the values of handlers' settings.
 */
#include "pki/handlers/config_values.h"

#include <string.h>

#include "pki/net/url.h"
#include "store/base/error.h"

#define LIST_WORDS_MAX 256

struct unit {
	const char *name;
	gint64 factor;
};

static const struct unit duration_units[] = {
	{ "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 }, { NULL, 0 },
};
static const struct unit int_units[] = { { "", 1 }, { NULL, 0 } };

gboolean
config_number_parse(enum handler_key_type type, const char *text, gint64 *value)
{
	const struct unit *unit = type == HANDLER_KEY_DURATION ? duration_units : int_units;
	gint64 number = 0;
	const char *p = text;

	for (; g_ascii_isdigit(*p); p++)
		if (__builtin_mul_overflow(number, (gint64)10, &number) ||
		    __builtin_add_overflow(number, (gint64)(*p - '0'), &number))
			return FALSE;
	*value = number;
	if (p == text || (number == 0 && *p == '\0'))
		return p != text;
	for (; unit->name != NULL; unit++)
		if (strcmp(unit->name, p) == 0)
			return !__builtin_mul_overflow(number, unit->factor, value);
	return FALSE;
}

/* values "1..90" or "1s..1h"; anything else sets no bounds. */
static gboolean
is_in_range(const struct handler_key *key, gint64 value)
{
	const char *dots = key->values != NULL ? strstr(key->values, "..") : NULL;
	gint64 least, most;

	if (dots == NULL)
		return TRUE;
	g_autofree char *from = g_strndup(key->values, (gsize)(dots - key->values));
	return !config_number_parse(key->type, from, &least) ||
	       !config_number_parse(key->type, dots + 2, &most) ||
	       (value >= least && value <= most);
}

static char *
number_check(const struct handler_key *key, const char *text, GError **error)
{
	gboolean is_duration = key->type == HANDLER_KEY_DURATION;
	gboolean has_range = key->values != NULL && strstr(key->values, "..") != NULL;
	gint64 value;

	if (config_number_parse(key->type, text, &value) && is_in_range(key, value))
		return g_strdup(text);
	return fail(error, PS_ERROR_INVALID, "takes %s%s%s",
		    is_duration ? "a duration such as 30s, 15m, 6h or 30d" : "a number",
		    has_range ? ", " : "", has_range ? key->values : "");
}

static char *
bool_check(const char *text, GError **error)
{
	if (strcmp(text, "on") == 0 || strcmp(text, "yes") == 0)
		return g_strdup("on");
	if (strcmp(text, "off") == 0 || strcmp(text, "no") == 0)
		return g_strdup("off");
	return fail(error, PS_ERROR_INVALID, "takes on or off");
}

static gboolean
is_choice(const char *values, const char *text)
{
	g_auto(GStrv) choices = g_strsplit(values, "|", -1);

	return g_strv_contains((const char *const *)choices, text);
}

static char *
choice_check(const struct handler_key *key, const char *text, GError **error)
{
	if (is_choice(key->values, text))
		return g_strdup(text);
	return fail(error, PS_ERROR_INVALID, "takes one of %s", key->values);
}

static char *
url_check(const struct handler_key *key, const char *text, GError **error)
{
	const char *schemes = key->values != NULL ? key->values : "https";

	if (*text == '\0')
		return g_strdup(text);
	CLEANUP(url) struct url *url = url_parse(text, error);
	if (url == NULL)
		return NULL;
	if (!is_choice(schemes, url_scheme_name(url->scheme)))
		return fail(error, PS_ERROR_INVALID, "takes a URL that begins with %s://", schemes);
	return g_strdup(text);
}

GStrv
config_list_parse(const char *text, GError **error)
{
	g_autoptr(GError) why = NULL;
	GStrv words = NULL;
	gint n;

	if (!g_shell_parse_argv(text, &n, &words, &why)) {
		if (g_error_matches(why, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
			return g_new0(char *, 1);
		return fail(error, PS_ERROR_INVALID, "takes words, or values in quotes: %s",
			    why->message);
	}
	if (n <= LIST_WORDS_MAX)
		return words;
	g_strfreev(words);
	return fail(error, PS_ERROR_INVALID, "takes %d values at most", LIST_WORDS_MAX);
}

static char *
list_check(const char *text, GError **error)
{
	g_auto(GStrv) words = config_list_parse(text, error);

	return words != NULL ? g_strdup(text) : NULL;
}

static char *
text_check(const char *text, GError **error)
{
	if (!g_utf8_validate(text, -1, NULL))
		return fail(error, PS_ERROR_INVALID, "takes UTF-8");
	for (const char *p = text; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p) && *p != '\n' && *p != '\t')
			return fail(error, PS_ERROR_INVALID,
				    "takes text without control characters");
	return g_strdup(text);
}

char *
config_value_check(const struct handler_key *key, const char *text, GError **error)
{
	if (strlen(text) > CONFIG_VALUE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "takes %d bytes at most",
			    CONFIG_VALUE_MAX_BYTES);
	if (key->required && *text == '\0')
		return fail(error, PS_ERROR_INVALID, "must not be empty");
	switch (key->type) {
	case HANDLER_KEY_TEXT:
		return text_check(text, error);
	case HANDLER_KEY_INT:
	case HANDLER_KEY_DURATION:
		return number_check(key, text, error);
	case HANDLER_KEY_BOOL:
		return bool_check(text, error);
	case HANDLER_KEY_CHOICE:
		return choice_check(key, text, error);
	case HANDLER_KEY_LIST:
		return list_check(text, error);
	case HANDLER_KEY_URL:
		return url_check(key, text, error);
	case HANDLER_KEY_SECRET:
	case HANDLER_KEY_CERTS:
	case HANDLER_KEY_PRIVATE:
		break;
	}
	return fail(error, PS_ERROR_BUG, "is not kept as text");
}

static gboolean
is_name_character(char c)
{
	return g_ascii_islower(c) || g_ascii_isdigit(c) || c == '.' || c == '-' || c == '_';
}

gboolean
config_name_fits(const char *pattern, const char *name)
{
	const char *open = strchr(pattern, '<');
	const char *end = open != NULL ? strchr(open, '>') : NULL;

	if (end == NULL)
		return strcmp(pattern, name) == 0;
	gsize before = (gsize)(open - pattern), after = strlen(end + 1), length = strlen(name);
	if (length <= before + after || strncmp(pattern, name, before) != 0 ||
	    strcmp(name + length - after, end + 1) != 0)
		return FALSE;
	for (gsize i = before; i < length - after; i++)
		if (!is_name_character(name[i]))
			return FALSE;
	return TRUE;
}
