/*
 * part_header - fields stay as they are unless they hold raw 8-bit text (or are the transfer
 * encoding): then parameters become RFC 2231, unstructured text RFC 2047.
 */
#include "milter/mime/part_header.h"

#include <string.h>

#include <gmime/gmime.h>

#include "milter/mime/content_type.h"
#include "milter/mime/subject.h"
#include "milter/mime/survey.h"

#define LINE_MAX_BYTES 998
#define ENCODING "Content-Transfer-Encoding"

static void
append_value(GString *out, const char *name, const char *value, gsize length)
{
	g_string_append_printf(out, "%s:", name);
	for (gsize i = 0; i < length; i++) {
		if (value[i] == '\n')
			g_string_append_c(out, '\r');
		g_string_append_c(out, value[i]);
	}
	g_string_append(out, "\r\n");
}

/* A GMime object that encodes itself; CRLF is not among what it returns. */
static char *
encode_parameters(const char *name, const char *value)
{
	g_autofree char *text = g_strdup(value);
	char *encoded = NULL;

	g_strdelimit(text, "\r\n", ' ');
	gmime_once();
	if (g_ascii_strcasecmp(name, "Content-Type") == 0) {
		GMimeContentType *type = g_mime_content_type_parse(NULL, g_strstrip(text));

		if (type != NULL) {
			encoded = g_mime_content_type_encode(type, NULL);
			g_object_unref(type);
		}
	} else {
		GMimeContentDisposition *disposition =
		    g_mime_content_disposition_parse(NULL, g_strstrip(text));

		if (disposition != NULL) {
			encoded = g_mime_content_disposition_encode(disposition, NULL);
			g_object_unref(disposition);
		}
	}
	if (encoded != NULL) {
		char *with_blank = g_strconcat(" ", g_strstrip(encoded), NULL);

		g_free(encoded);
		return with_blank;
	}
	return NULL;
}

static gboolean
is_unstructured(const struct header *field)
{
	static const char *const names[] = { "Subject", "Comments", "Content-Description",
					     "Thread-Topic", "Organization" };

	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		if (header_is(field, names[i]))
			return TRUE;
	return header_has_prefix(field, "X-");
}

static char *
encode_field(const struct header *field)
{
	g_autofree char *decoded = NULL;

	if (memchr(field->value, '\0', field->length) != NULL)
		return NULL;
	if (header_is(field, "Content-Type") || header_is(field, "Content-Disposition"))
		return encode_parameters(field->name, field->value);
	if (!is_unstructured(field))
		return NULL;
	decoded = subject_decode(field->value);
	return subject_encode(decoded);
}

static gboolean
lines_fit(const char *text)
{
	while (*text != '\0') {
		gsize length = strcspn(text, "\n");

		if (length > LINE_MAX_BYTES + 1)
			return FALSE;
		text += length;
		text += *text == '\n';
	}
	return TRUE;
}

/* Of the message itself: content fields, the first of each; Content-Length is a mailbox's. */
static gboolean
belongs_inside(const struct part *part, const struct header *field)
{
	if (part->parent != NULL)
		return TRUE;
	return header_has_prefix(field, "Content-") && field->occurrence == 1 &&
	       !header_is(field, "Content-Length");
}

static gboolean
write_field(const struct header *field, gboolean seven_bit, GString *out)
{
	guint traits = survey_bytes((const guint8 *)field->value, field->length) &
		       (TRAIT_8BIT | TRAIT_NUL | TRAIT_BARE_CR); /* a bare LF is a fold */
	g_autofree char *encoded = NULL;

	if (!seven_bit || traits == 0) {
		append_value(out, field->name, field->value, field->length);
		return TRUE;
	}
	encoded = encode_field(field);
	if (encoded == NULL)
		return FALSE;
	append_value(out, field->name, encoded, strlen(encoded));
	return TRUE;
}

gboolean
part_header_write(const struct part *part, const char *encoding, const char *charset,
		  gboolean seven_bit, GString *out)
{
	gsize start = out->len;
	gboolean has_type = FALSE;
	gboolean wrote_encoding = FALSE;

	for (guint i = 0; i < headers_count(part->headers); i++) {
		const struct header *field = headers_at(part->headers, i);

		if (!belongs_inside(part, field))
			continue;
		has_type |= header_is(field, "Content-Type");
		if (encoding != NULL && header_is(field, ENCODING)) {
			if (!wrote_encoding)
				g_string_append_printf(out, "%s: %s\r\n", field->name, encoding);
			wrote_encoding = TRUE;
		} else if (!write_field(field, seven_bit, out)) {
			return FALSE;
		}
	}
	if (part->parent == NULL && !has_type)
		g_string_append_printf(out, "Content-Type: text/plain; charset=%s\r\n",
				       charset != NULL ? charset : "us-ascii");
	if (encoding != NULL && !wrote_encoding)
		g_string_append_printf(out, ENCODING ": %s\r\n", encoding);
	return !seven_bit || lines_fit(out->str + start);
}
