/* mail_header - see mail_header.h. */
#include "admin/mail/mail_header.h"

#include <string.h>

#include "milter/mime/compose.h"

#define WORD_OCTETS_MAX 45    /* of an encoded word of 75 in base64: "=?UTF-8?B?" and "?=" */
#define PARAMETER_PART_MAX 54 /* of a value, so that its line stays below 78 */

char *
mail_one_line(const char *text)
{
	char *line = g_utf8_make_valid(text != NULL ? text : "", -1);
	GString *out = g_string_new(NULL);

	for (const char *c = line; *c != '\0'; c = g_utf8_next_char(c)) {
		gunichar u = g_utf8_get_char(c);

		g_string_append_unichar(
		    out,
		    u < 0x20 || (u >= 0x7f && u < 0xa0) || u == 0x2028 || u == 0x2029 ? ' ' : u);
	}
	g_free(line);
	g_strstrip(out->str);
	return g_string_free(out, FALSE);
}

/* One word after the other, each of whole characters; adjacent ones are shown without the blank.
 * column: where the first one begins, since its line holds the name of the field as well. */
static void
append_encoded_words(GString *out, const char *text, gsize column, const char *between)
{
	const char *at = text;
	gsize room = WORD_OCTETS_MAX - MIN(column, 40) * 3 / 4;

	while (*at != '\0') {
		const char *end = at;

		while (*end != '\0' && (gsize)(g_utf8_next_char(end) - at) <= room)
			end = g_utf8_next_char(end);
		g_autofree char *word = g_base64_encode((const guchar *)at, (gsize)(end - at));
		g_string_append_printf(out, "%s=?UTF-8?B?%s?=", at == text ? "" : between, word);
		at = end;
		room = WORD_OCTETS_MAX;
	}
}

void
mail_field_text(GString *out, const char *name, const char *value)
{
	g_autofree char *line = mail_one_line(value);
	gboolean plain = g_str_is_ascii(line) && strstr(line, "=?") == NULL;

	/* A word that no line has room for is cut by encoding it; ids and tokens are not. */
	if (plain) {
		compose_field(out, name, line);
		return;
	}
	g_string_append_printf(out, "%s: ", name);
	append_encoded_words(out, line, strlen(name) + 2, "\r\n ");
	g_string_append(out, "\r\n");
}

void
mail_field_address(GString *out, const char *name, const char *display, const char *address)
{
	g_autofree char *line = mail_one_line(display);

	g_string_append_printf(out, "%s: ", name);
	if (*line != '\0' && g_str_is_ascii(line) && strlen(line) < 60) {
		g_string_append_c(out, '"');
		for (const char *c = line; *c != '\0'; c++) {
			if (*c == '"' || *c == '\\')
				g_string_append_c(out, '\\');
			g_string_append_c(out, *c);
		}
		g_string_append(out, "\"\r\n ");
	} else if (*line != '\0') {
		append_encoded_words(out, line, strlen(name) + 2, "\r\n ");
		g_string_append(out, "\r\n ");
	}
	g_string_append_printf(out, "<%s>\r\n", address);
}

static gboolean
is_plain(const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\' || *c == '%')
			return FALSE;
	return strlen(value) <= PARAMETER_PART_MAX;
}

/* RFC 2231 section 4: everything but attribute characters in %XX. */
static char *
percent_encoded(const char *value)
{
	GString *out = g_string_new("UTF-8''");

	for (const char *c = value; *c != '\0'; c++)
		if (g_ascii_isalnum(*c) || strchr("!#$&+-.^_`{|}~", *c) != NULL)
			g_string_append_c(out, *c);
		else
			g_string_append_printf(out, "%%%02X", (guchar)*c);
	return g_string_free(out, FALSE);
}

void
mail_parameter(GString *out, const char *name, const char *value)
{
	g_autofree char *line = mail_one_line(value);

	if (is_plain(line)) {
		g_string_append_printf(out, ";\r\n %s=\"%s\"", name, line);
		return;
	}
	g_autofree char *encoded = percent_encoded(line);
	gsize length = strlen(encoded);
	if (length <= PARAMETER_PART_MAX) {
		g_string_append_printf(out, ";\r\n %s*=%s", name, encoded);
		return;
	}
	const char *at = encoded;
	for (guint i = 0; *at != '\0'; i++) {
		gsize take = MIN(strlen(at), PARAMETER_PART_MAX);

		/* A %XX stays whole. */
		while (take > 2 && at[take] != '\0' && (at[take - 1] == '%' || at[take - 2] == '%'))
			take--;
		g_string_append_printf(out, ";\r\n %s*%u*=%.*s", name, i, (int)take, at);
		at += take;
	}
}
