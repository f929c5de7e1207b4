/*
 * template - which text is taken, checked, and filled in.
 */
#include "admin/mail/template.h"

#include <string.h>

#include "admin/mail/mail_header.h"
#include "store/base/error.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"
#include "store/templates.h"

#define NAME_MAX_BYTES 32

static const char *const part_names[] = { "subject", "text", "html" };

const char *
template_part_name(enum template_part part)
{
	return part_names[part];
}

gboolean
template_part_parse(const char *text, enum template_part *part, GError **error)
{
	for (guint i = 0; i < TEMPLATE_PARTS; i++)
		if (strcmp(part_names[i], text) == 0) {
			*part = (enum template_part)i;
			return TRUE;
		}
	return fail_false(error, PS_ERROR_INVALID, "a part is subject, text or html");
}

const struct template_info *
template_find(const char *name, GError **error)
{
	struct nearest nearest = nearest_start(name);

	for (const struct template_info *info = template_infos; info->name != NULL; info++) {
		if (strcmp(info->name, name) == 0)
			return info;
		nearest_offer(&nearest, info->name);
	}
	g_autofree char *shown = printable(name);
	const char *near = nearest_found(&nearest);
	return fail(error, PS_ERROR_NOT_FOUND, "there is no template '%s'%s%s%s", shown,
		    near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
		    near != NULL ? "'?" : "");
}

gboolean
template_language_check(const char *language, GError **error)
{
	gsize length = strlen(language);
	gsize first = strcspn(language, "-");
	gboolean good = first >= 2 && first <= 3 && length <= 16;

	for (gsize i = 0; i < length; i++)
		good &= i < first ? g_ascii_islower(language[i])
				  : g_ascii_isalnum(language[i]) || language[i] == '-';
	return good ||
	       fail_false(error, PS_ERROR_INVALID, "a language is written as en, de or pt-BR");
}

/* --- filling in --- */

/* A mark at text: *name and what follows it; kind '=', '#' or '/'. NULL: none begins here. */
static const char *
read_mark(const char *text, char *kind, char name[NAME_MAX_BYTES])
{
	const char *at = text + 2;

	if (!g_str_has_prefix(text, "{{"))
		return NULL;
	*kind = *at == '#' || *at == '/' ? *at++ : '=';
	gsize length = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
	if (length == 0 || length >= NAME_MAX_BYTES || !g_str_has_prefix(at + length, "}}"))
		return NULL;
	memcpy(name, at, length);
	name[length] = '\0';
	return at + length + 2;
}

static const char *
value_of(const struct template_value *values, const char *name)
{
	for (; values->name != NULL; values++)
		if (strcmp(values->name, name) == 0)
			return values->value != NULL ? values->value : "";
	return "";
}

static void
append_value(GString *out, enum template_part part, const char *value)
{
	g_autofree char *line = part == TEMPLATE_SUBJECT ? mail_one_line(value) : NULL;
	g_autofree char *escaped = part == TEMPLATE_HTML ? g_markup_escape_text(value, -1) : NULL;

	g_string_append(out, line != NULL ? line : escaped != NULL ? escaped : value);
}

/* Behind {{/name}}; the end of the text where there is none. */
static const char *
skip_section(const char *text, const char *section)
{
	char name[NAME_MAX_BYTES];
	char kind;

	while (*text != '\0') {
		const char *behind = read_mark(text, &kind, name);

		if (behind != NULL && kind == '/' && strcmp(name, section) == 0)
			return behind;
		text++;
	}
	return text;
}

char *
template_fill(const char *template, enum template_part part, const struct template_value *values)
{
	GString *out = g_string_new(NULL);
	char name[NAME_MAX_BYTES];
	char kind;

	while (*template != '\0') {
		const char *behind = read_mark(template, &kind, name);

		if (behind == NULL) {
			g_string_append_c(out, *template ++);
			continue;
		}
		if (kind == '=')
			append_value(out, part, value_of(values, name));
		else if (kind == '#' && *value_of(values, name) == '\0')
			behind = skip_section(behind, name);
		template = behind;
	}
	return g_string_free(out, FALSE);
}

/* --- checking --- */

static gboolean
is_among(const char *words, const char *name)
{
	g_auto(GStrv) list = g_strsplit(words, " ", -1);

	return g_strv_contains((const char *const *)list, name);
}

static gboolean
check_mark(const struct template_info *info, const char *at, const char *name, char kind,
	   const char *behind, char *open, GError **error)
{
	if (behind == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "'%.12s' is no placeholder: {{name}}, {{#name}} or {{/name}}",
				  at);
	if (!is_among(info->values, name))
		return fail_false(error, PS_ERROR_INVALID,
				  "template '%s' has no value {{%s}}: there are %s", info->name,
				  name, info->values);
	if (kind == '#' && *open != '\0')
		return fail_false(error, PS_ERROR_INVALID,
				  "{{#%s}} stands inside of {{#%s}}: sections do not nest", name,
				  open);
	if (kind == '/' && strcmp(open, name) != 0)
		return fail_false(error, PS_ERROR_INVALID, "{{/%s}} ends nothing", name);
	if (kind != '=')
		g_strlcpy(open, kind == '#' ? name : "", NAME_MAX_BYTES);
	return TRUE;
}

gboolean
template_check(const struct template_info *info, enum template_part part, const char *text,
	       GError **error)
{
	char open[NAME_MAX_BYTES] = "", name[NAME_MAX_BYTES];
	char kind;

	if (info->only_text && part != TEMPLATE_TEXT)
		return fail_false(error, PS_ERROR_INVALID, "template '%s' has a text alone",
				  info->name);
	if (strlen(text) > TEMPLATE_MAX_BYTES || !g_utf8_validate(text, -1, NULL))
		return fail_false(error, PS_ERROR_INVALID,
				  "a template is UTF-8 of at most %d bytes", TEMPLATE_MAX_BYTES);
	if (part == TEMPLATE_SUBJECT && strpbrk(text, "\r\n") != NULL)
		return fail_false(error, PS_ERROR_INVALID, "a subject is one line");
	for (const char *at = strstr(text, "{{"); at != NULL; at = strstr(at, "{{")) {
		const char *behind = read_mark(at, &kind, name);

		if (!check_mark(info, at, behind != NULL ? name : "", kind, behind, open, error))
			return FALSE;
		at = behind;
	}
	return *open == '\0' || fail_false(error, PS_ERROR_INVALID, "{{#%s}} has no end", open);
}

/* --- which text --- */

static const char *
set_text(const GPtrArray *rows, const char *language, const char *part)
{
	for (guint i = 0; i < rows->len; i++) {
		const struct template_row *row = rows->pdata[i];

		if (g_ascii_strcasecmp(row->language, language) == 0 &&
		    strcmp(row->part, part) == 0)
			return row->value;
	}
	return NULL;
}

/* Of this language as it is, then of it without its region. */
static const char *
text_in(const GPtrArray *rows, const char *name, const char *language, enum template_part part)
{
	g_autofree char *base = g_strndup(language, strcspn(language, "-"));
	const char *text = set_text(rows, language, part_names[part]);

	if (text == NULL)
		text = template_builtin(name, language, part);
	if (text == NULL)
		text = set_text(rows, base, part_names[part]);
	return text != NULL ? text : template_builtin(name, base, part);
}

/* The first of these languages that has the part. */
static const char *
first_text(const GPtrArray *rows, const char *name, const char *const *languages, gsize n,
	   enum template_part part, const char **language)
{
	for (gsize i = 0; i < n; i++) {
		const char *text = languages[i] != NULL && *languages[i] != '\0'
				       ? text_in(rows, name, languages[i], part)
				       : NULL;

		*language = languages[i];
		if (text != NULL)
			return text;
	}
	return NULL;
}

/* The text decides on the language: an HTML part in another one would be another mail. */
gboolean
template_fill_all(struct db *db, const char *name, const char *language, const char *otherwise,
		  const struct template_value *values, struct template_texts *texts, GError **error)
{
	g_autoptr(GPtrArray) rows = templates_load(db, name, error);
	const char *languages[] = { language, otherwise, "en" };
	const char *chosen, *ignored;

	if (rows == NULL)
		return FALSE;
	const char *text = first_text(rows, name, languages, 3, TEMPLATE_TEXT, &chosen);
	if (text == NULL)
		return fail_false(error, PS_ERROR_BUG, "template '%s' has no text", name);
	const char *subjects[] = { chosen, otherwise, "en" };
	const char *subject = first_text(rows, name, subjects, 3, TEMPLATE_SUBJECT, &ignored);
	const char *html = text_in(rows, name, chosen, TEMPLATE_HTML);
	texts->text = template_fill(text, TEMPLATE_TEXT, values);
	if (subject != NULL)
		texts->subject = template_fill(subject, TEMPLATE_SUBJECT, values);
	if (html != NULL && *html != '\0')
		texts->html = template_fill(html, TEMPLATE_HTML, values);
	return TRUE;
}

void
template_texts_clear(struct template_texts *texts)
{
	g_clear_pointer(&texts->subject, g_free);
	g_clear_pointer(&texts->text, g_free);
	g_clear_pointer(&texts->html, g_free);
}
