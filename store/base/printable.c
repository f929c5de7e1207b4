/*
 * printable - one escaping function for everything foreign.
 */
#include "store/base/printable.h"

#include <string.h>

/* Bidi overrides and zero-width characters are of the type FORMAT. */
static const GUnicodeType escaped_types[] = {
	G_UNICODE_CONTROL,
	G_UNICODE_FORMAT,
	G_UNICODE_SURROGATE,
	G_UNICODE_UNASSIGNED,
	G_UNICODE_PRIVATE_USE,
	G_UNICODE_LINE_SEPARATOR,
	G_UNICODE_PARAGRAPH_SEPARATOR,
};

static gboolean
must_escape(gunichar c)
{
	GUnicodeType type = g_unichar_type(c);

	for (gsize i = 0; i < G_N_ELEMENTS(escaped_types); i++)
		if (escaped_types[i] == type)
			return TRUE;
	return FALSE;
}

enum backslash { BACKSLASH_DOUBLED, BACKSLASH_KEPT };

/* Appends one character or one invalid byte; returns how many bytes of input it took. */
static gsize
append_one(GString *out, const char *p, gsize left, enum backslash backslash)
{
	gunichar c = g_utf8_get_char_validated(p, (gssize)left);

	if (c == (gunichar)-1 || c == (gunichar)-2 || c == 0) {
		g_string_append_printf(out, "\\x%02x", (unsigned char)*p);
		return 1;
	}
	gsize length = (gsize)(g_utf8_next_char(p) - p);
	if (c == '\\')
		g_string_append(out, backslash == BACKSLASH_DOUBLED ? "\\\\" : "\\");
	else if (c < 0x80 && must_escape(c))
		g_string_append_printf(out, "\\x%02x", c);
	else if (must_escape(c))
		g_string_append_printf(out, "\\u{%04x}", c);
	else
		g_string_append_len(out, p, (gssize)length);
	return length;
}

/* How many bytes from here on need no look: nearly all of nearly everything. */
static gsize
plain_run(const char *p, gsize length)
{
	gsize run = 0;

	while (run < length && p[run] >= 0x20 && p[run] < 0x7f && p[run] != '\\')
		run++;
	return run;
}

static char *
escape(const char *p, gsize length, gsize max_bytes, enum backslash backslash)
{
	GString *out = g_string_sized_new(MIN(length, max_bytes) + 1);

	while (length > 0) {
		gsize before;
		gsize took = plain_run(p, MIN(length, max_bytes - out->len));

		g_string_append_len(out, p, (gssize)took);
		p += took;
		length -= took;
		if (length == 0)
			break;
		before = out->len;
		took = append_one(out, p, length, backslash);
		if (out->len > max_bytes) {
			g_string_truncate(out, before);
			g_string_append(out, "...");
			break;
		}
		p += took;
		length -= took;
	}
	return g_string_free(out, FALSE);
}

char *
printable_bytes(gconstpointer bytes, gsize length, gsize max_bytes)
{
	return escape(bytes, length, max_bytes, BACKSLASH_DOUBLED);
}

char *
printable_cell(const char *text, gsize max_bytes)
{
	return escape(text, strlen(text), max_bytes, BACKSLASH_KEPT);
}

char *
printable(const char *text)
{
	return printable_bytes(text, text == NULL ? 0 : strlen(text), PRINTABLE_MAX_BYTES);
}

char *
printable_ascii(const char *text)
{
	char *safe = printable(text);
	char *to = safe;

	for (const char *p = safe; *p != '\0'; p = g_utf8_next_char(p))
		*to++ = (unsigned char)*p < 0x80 ? *p : '?';
	*to = '\0';
	return safe;
}

char *
printable_csv(const char *text)
{
	g_autofree char *safe = printable_cell(text != NULL ? text : "", PRINTABLE_MAX_BYTES);
	GString *out = g_string_new("\"");

	if (*safe != '\0' && (strchr("=+-@", *safe) != NULL || g_str_has_prefix(safe, "\\x09")))
		g_string_append_c(out, '\'');
	for (const char *p = safe; *p != '\0'; p++) {
		if (*p == '"')
			g_string_append_c(out, '"');
		g_string_append_c(out, *p);
	}
	g_string_append_c(out, '"');
	return g_string_free(out, FALSE);
}
