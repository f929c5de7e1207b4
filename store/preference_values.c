/*
 * preference_values - the table of preferences, and what each of them takes.
 */
#include "store/base/hex.h"
#include "store/preferences.h"

#include <string.h>

#include "store/base/error.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"
#include "store/preference_internal.h"

#define PATTERN_MAX_BYTES 1024
#define TAG_MAX_BYTES 64
#define LIST_MAX 200
#define SIZE_LIMIT (G_GINT64_CONSTANT(1) << 40)

static const struct preference_info {
	const char *name, *initial, *sentence;
	enum preference_type type;
	guint scopes;
	enum preference_sides sides;
} infos[PREF_COUNT] = {
#define PREFERENCE(id, name, type, initial, scopes, sides, sentence)                               \
	[PREF_##id] = { name, initial, sentence, type, scopes, sides },
#include "store/preferences.def"
};

static const struct value_info {
	enum preference preference;
	const char *text;
} values[VALUE_COUNT] = {
#define VALUE(preference, id, text) [VALUE_##preference##_##id] = { PREF_##preference, text },
#include "store/preferences.def"
};

const char *
preference_name(enum preference preference)
{
	return infos[preference].name;
}

const char *
preference_default(enum preference preference)
{
	return infos[preference].initial;
}

const char *
preference_sentence(enum preference preference)
{
	return infos[preference].sentence;
}

enum preference_type
preference_type(enum preference preference)
{
	return infos[preference].type;
}

enum preference_sides
preference_sides(enum preference preference)
{
	return infos[preference].sides;
}

guint
preference_scopes(enum preference preference)
{
	return infos[preference].scopes;
}

GStrv
preference_values(enum preference preference)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

	for (guint v = 0; v < VALUE_COUNT; v++)
		if (values[v].preference == preference)
			g_strv_builder_add(builder, values[v].text);
	return g_strv_builder_end(builder);
}

enum preference_value
preference_stricter(enum preference_value a, enum preference_value b)
{
	return b > a ? b : a;
}

gboolean
value_is_on(enum preference_value value)
{
	return strcmp(values[value].text, "on") == 0;
}

gboolean
value_find(enum preference preference, const char *text, enum preference_value *value)
{
	for (guint v = 0; v < VALUE_COUNT; v++)
		if (values[v].preference == preference && strcmp(values[v].text, text) == 0) {
			*value = (enum preference_value)v;
			return TRUE;
		}
	return FALSE;
}

enum preference_value
value_strictest(enum preference preference)
{
	guint last = 0;

	for (guint v = 0; v < VALUE_COUNT; v++)
		if (values[v].preference == preference)
			last = v;
	return (enum preference_value)last;
}

gboolean
preference_find(const char *name, enum preference *preference, GError **error)
{
	struct nearest nearest = nearest_start(name);

	for (guint p = 0; p < PREF_COUNT; p++) {
		if (strcmp(infos[p].name, name) == 0) {
			*preference = (enum preference)p;
			return TRUE;
		}
		nearest_offer(&nearest, infos[p].name);
	}
	g_autofree char *shown = printable(name);
	const char *found = nearest_found(&nearest);
	if (found != NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "unknown preference '%s', did you mean '%s'?", shown, found);
	return fail_false(error, PS_ERROR_INVALID, "unknown preference '%s'", shown);
}

static char *
choice_normalise(enum preference preference, const char *text, GError **error)
{
	g_autofree char *lower = g_ascii_strdown(text, -1);
	g_auto(GStrv) texts = preference_values(preference);
	struct nearest nearest = nearest_start(lower);

	for (char **t = texts; *t != NULL; t++) {
		if (strcmp(*t, lower) == 0)
			return g_steal_pointer(&lower);
		nearest_offer(&nearest, *t);
	}
	g_autofree char *all = g_strjoinv(", ", texts);
	g_autofree char *shown = printable(text);
	const char *found = nearest_found(&nearest);
	return fail(error, PS_ERROR_INVALID, "%s takes one of %s, not '%s'%s%s%s",
		    infos[preference].name, all, shown, found != NULL ? "; did you mean '" : "",
		    found != NULL ? found : "", found != NULL ? "'?" : "");
}

GRegex *
pattern_compile(const char *pattern, GError **error)
{
	return g_regex_new(pattern, G_REGEX_CASELESS | G_REGEX_OPTIMIZE, 0, error);
}

static gboolean
pattern_check(enum preference preference, const char *pattern, gboolean may_be_empty,
	      GError **error)
{
	g_autoptr(GError) why = NULL;

	if (strlen(pattern) > PATTERN_MAX_BYTES)
		return fail_false(error, PS_ERROR_INVALID, "%s: a pattern has at most %d bytes",
				  infos[preference].name, PATTERN_MAX_BYTES);
	g_autoptr(GRegex) regex = pattern_compile(pattern, &why);
	if (regex == NULL) {
		g_autofree char *shown = printable(pattern);
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: '%s' is not a regular expression: %s",
				  infos[preference].name, shown, why->message);
	}
	/* What matches nothing matches everything: each mail would be one with a trigger. */
	if (!may_be_empty && g_regex_match(regex, "", 0, NULL))
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "%s: this pattern matches every message; to switch it off write off",
		    infos[preference].name);
	return TRUE;
}

static char *
pattern_normalise(enum preference preference, const char *text, GError **error)
{
	if (g_ascii_strcasecmp(text, "off") == 0)
		return g_strdup("off");
	return pattern_check(preference, text, FALSE, error) ? g_strdup(text) : NULL;
}

static char *
header_normalise(enum preference preference, const char *text, GError **error)
{
	const char *colon = strchr(text, ':');

	if (g_ascii_strcasecmp(text, "off") == 0)
		return g_strdup("off");
	gsize length = colon != NULL ? (gsize)(colon - text) : 0;
	gboolean good = length > 0;
	for (gsize i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			good = FALSE;
	if (!good)
		return fail(error, PS_ERROR_INVALID,
			    "%s takes 'Field-Name: pattern', for example 'Sensitivity: "
			    "company-confidential', or off",
			    infos[preference].name);
	g_autofree char *pattern = g_strstrip(g_strdup(colon + 1));
	if (!pattern_check(preference, pattern, TRUE, error))
		return NULL;
	g_autofree char *name = g_strndup(text, length);
	return g_strconcat(name, ": ", pattern, NULL);
}

static char *
size_normalise(enum preference preference, const char *text, GError **error)
{
	char *end = NULL;
	guint64 number = g_ascii_isdigit(*text) ? g_ascii_strtoull(text, &end, 10) : 0;
	guint shift = 0;

	if (end != NULL && *end != '\0') {
		const char *unit = strchr("KMG", g_ascii_toupper(*end));
		if (unit == NULL || end[1] != '\0')
			end = NULL;
		else
			shift = *unit == 'K' ? 10 : *unit == 'M' ? 20 : 30;
	}
	if (end == NULL || number > (guint64)SIZE_LIMIT >> shift)
		return fail(
		    error, PS_ERROR_INVALID,
		    "%s takes a number of bytes, also with K, M or G behind it; 0 is no limit",
		    infos[preference].name);
	return g_strdup_printf("%" G_GUINT64_FORMAT, number << shift);
}

/* Logins may be names without @ and patterns with *; aliases are addresses. */
static char *
list_item_normalise(enum preference preference, const char *item, GError **error)
{
	gboolean logins = preference == PREF_LOGINS;

	if (logins && (strchr(item, '*') != NULL || strchr(item, '@') == NULL)) {
		for (const char *p = item; *p != '\0'; p++)
			if ((guchar)*p <= ' ' || *p == 0x7f)
				return fail(error, PS_ERROR_INVALID, "a login has no blanks");
		return g_utf8_strdown(item, -1);
	}
	g_autoptr(GError) why = NULL;
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(item, &why);
	if (address != NULL)
		return g_strdup(mailaddr_key(address));
	g_autofree char *shown = printable(item);
	return fail(error, PS_ERROR_INVALID, "%s: '%s' is not an address", infos[preference].name,
		    shown);
}

static char *
list_normalise(enum preference preference, const char *text, GError **error)
{
	g_auto(GStrv) items = g_strsplit_set(text, " ,;\t\n", -1);
	g_autoptr(GString) out = g_string_new(NULL);
	guint n = 0;

	for (char **item = items; *item != NULL; item++) {
		if (**item == '\0')
			continue;
		g_autofree char *one = list_item_normalise(preference, *item, error);
		if (one == NULL)
			return NULL;
		if (++n > LIST_MAX)
			return fail(error, PS_ERROR_INVALID, "%s takes at most %d entries",
				    infos[preference].name, LIST_MAX);
		g_string_append_printf(out, "%s%s", out->len > 0 ? " " : "", one);
	}
	return g_string_free(g_steal_pointer(&out), FALSE);
}

/* E.164: a plus sign and up to 15 digits; people also write blanks, dashes and brackets. */
static char *
phone_normalise(enum preference preference, const char *text, GError **error)
{
	g_autoptr(GString) out = g_string_new("+");
	gboolean good = *text == '+';

	if (*text == '\0')
		return g_strdup("");
	for (const char *p = text + 1; good && *p != '\0'; p++) {
		if (g_ascii_isdigit(*p))
			g_string_append_c(out, *p);
		else
			good = strchr(" -()./", *p) != NULL;
	}
	if (!good || out->len < 8 || out->len > 16 || out->str[1] == '0')
		return fail(error, PS_ERROR_INVALID,
			    "%s takes an international number such as +4912345678",
			    infos[preference].name);
	return g_string_free(g_steal_pointer(&out), FALSE);
}

static char *
certificate_normalise(enum preference preference, const char *text, GError **error)
{
	g_autofree char *lower = g_ascii_strdown(text, -1);

	if (strcmp(lower, "off") == 0 || hex_is_thumbprint(lower))
		return g_steal_pointer(&lower);
	return fail(
	    error, PS_ERROR_INVALID,
	    "%s takes the whole SHA-512 thumbprint of a certificate (128 hex digits), or off",
	    infos[preference].name);
}

static char *
name_normalise(enum preference preference, const char *text, GError **error)
{
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr("-_.:", *p) == NULL)
			text = "";
	if (*text == '\0' || strlen(text) > TAG_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID,
			    "%s takes a name of letters, digits and -_.:, or "
			    "off",
			    infos[preference].name);
	return g_strdup(text);
}

static char *
tag_normalise(enum preference preference, const char *text, GError **error)
{
	g_autofree char *shown = printable(text);
	const char *mark = strchr(text, '%');
	gboolean has_name = mark != NULL && mark[1] == 's' && strchr(mark + 1, '%') == NULL;

	if (*text == '\0' || strlen(text) > TAG_MAX_BYTES || strchr(text, '\\') != NULL ||
	    strcmp(shown, text) != 0)
		return fail(error, PS_ERROR_INVALID, "%s takes up to %d bytes of printable text",
			    infos[preference].name, TAG_MAX_BYTES);
	if (preference == PREF_TAG_SIGNED_BY ? !has_name : mark != NULL)
		return fail(error, PS_ERROR_INVALID,
			    preference == PREF_TAG_SIGNED_BY ? "%s needs one %%s for the address"
							     : "%s: %% cannot be used here",
			    infos[preference].name);
	return g_strdup(text);
}

char *
preference_normalise(enum preference preference, const char *value, GError **error)
{
	g_autofree char *text = g_strstrip(g_strdup(value));

	if (!g_utf8_validate(value, -1, NULL))
		return fail(error, PS_ERROR_INVALID, "%s: the value is not UTF-8",
			    infos[preference].name);
	switch (infos[preference].type) {
	case PREF_CHOICE:
		return choice_normalise(preference, text, error);
	case PREF_PATTERN:
		return pattern_normalise(preference, text, error);
	case PREF_HEADER:
		return header_normalise(preference, text, error);
	case PREF_SIZE:
		return size_normalise(preference, text, error);
	case PREF_ADDRESSES:
		return list_normalise(preference, text, error);
	case PREF_PHONE:
		return phone_normalise(preference, text, error);
	case PREF_CERTIFICATE:
		return certificate_normalise(preference, text, error);
	case PREF_NAME:
		return name_normalise(preference, text, error);
	case PREF_TEXT:
		return tag_normalise(preference, text, error);
	case PREF_SECRET:
		return fail(error, PS_ERROR_INVALID,
			    "%s is kept sealed and cannot be set as a value; it is set when a file "
			    "is made",
			    infos[preference].name);
	}
	return fail(error, PS_ERROR_BUG, "preference %s has no type", infos[preference].name);
}
