/*
 * ours - a strict reader of Authentication-Results (RFC 8601 section 2.2). What it cannot read
 * is judged by how it begins: under an id of ours it goes.
 */
#include "milter/mime/ours.h"

#include <string.h>

#include "milter/mime/subject.h"

#define COMMENTS_MAX 16

struct reader {
	const char *at;
	const char *end;
};

/* Comments and folding blanks; FALSE for a comment that has no end or nests too deep. */
static gboolean
skip_cfws(struct reader *reader)
{
	guint depth = 0;

	for (; reader->at < reader->end; reader->at++) {
		char c = *reader->at;

		if (depth > 0 && c == '\\' && reader->at + 1 < reader->end)
			reader->at++;
		else if (c == '(' && depth < COMMENTS_MAX)
			depth++;
		else if (c == '(')
			return FALSE;
		else if (c == ')' && depth > 0)
			depth--;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
	}
	return depth == 0;
}

static gboolean
is_token(char c)
{
	return c > 32 && c < 127 && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* A token or quoted string (RFC 2045 "value"); NULL when there is none. */
static char *
read_value(struct reader *reader)
{
	g_autoptr(GString) value = g_string_new(NULL);

	if (reader->at < reader->end && *reader->at == '"') {
		for (reader->at++; reader->at < reader->end && *reader->at != '"'; reader->at++) {
			if (*reader->at == '\\' && reader->at + 1 < reader->end)
				reader->at++;
			if (*reader->at != '\n')
				g_string_append_c(value, *reader->at);
		}
		if (reader->at == reader->end)
			return NULL;
		reader->at++;
		return g_string_free(g_steal_pointer(&value), FALSE);
	}
	while (reader->at < reader->end &&
	       (is_token(*reader->at) || (*reader->at & 0x80) != 0)) /* RFC 8601: also UTF-8 */
		g_string_append_c(value, *reader->at++);
	return value->len > 0 ? g_string_free(g_steal_pointer(&value), FALSE) : NULL;
}

static gboolean
take_char(struct reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		return FALSE;
	reader->at++;
	return TRUE;
}

/* "smime=", "smime/1 =" at the start of a resinfo: is it that method? */
static gboolean
method_is_smime(struct reader *reader, gboolean *valid)
{
	g_autofree char *method = read_value(reader);

	*valid = method != NULL && skip_cfws(reader);
	if (*valid && take_char(reader, '/')) {
		g_autofree char *version = NULL;

		*valid = skip_cfws(reader) && (version = read_value(reader)) != NULL &&
			 skip_cfws(reader);
	}
	*valid = *valid && (take_char(reader, '=') || g_ascii_strcasecmp(method, "none") == 0);
	return *valid && g_ascii_strcasecmp(method, "smime") == 0;
}

/* To the next ';' that stands in no quoted string and no comment. FALSE: something is not closed,
 * or stands where some would read another result. */
static gboolean
skip_to_next_result(struct reader *reader)
{
	while (reader->at < reader->end && *reader->at != ';') {
		if (*reader->at == '"' || is_token(*reader->at) || (*reader->at & 0x80) != 0) {
			gboolean quoted = *reader->at == '"';
			g_autofree char *value = read_value(reader);

			if (value == NULL)
				return FALSE;
			if (!quoted && g_ascii_strcasecmp(value, "smime") == 0 &&
			    skip_cfws(reader) && reader->at < reader->end && *reader->at == '=')
				return FALSE;
		} else if (*reader->at == '(') {
			if (!skip_cfws(reader))
				return FALSE;
		} else {
			reader->at++;
		}
	}
	return TRUE;
}

/* As a program shows or compares it that maps look-alikes of one letter to each other. */
static char *
id_normal(const char *id)
{
	g_autofree char *valid = g_utf8_make_valid(id, -1);
	g_autofree char *normal = subject_normalise(valid);

	return g_utf8_casefold(normal, -1);
}

static gboolean
id_is_ours(const char *written, const char *const *ids)
{
	g_autofree char *id = id_normal(written);

	for (; ids != NULL && *ids != NULL; ids++) {
		gsize length = strlen(*ids);

		if (g_ascii_strcasecmp(id, *ids) == 0)
			return TRUE;
		/* "mx.example.com." is read as the same name by some */
		if (strlen(id) == length + 1 && g_ascii_strncasecmp(id, *ids, length) == 0 &&
		    id[length] == '.')
			return TRUE;
	}
	return FALSE;
}

/* As a reader sees it who drops comments, blanks and quotes wherever they stand. */
static char *
text_squeezed(const char *text)
{
	GString *out = g_string_new(NULL);
	guint depth = 0;

	for (; *text != '\0'; text++) {
		if (*text == '(')
			depth++;
		else if (*text == ')' && depth > 0)
			depth--;
		else if (depth == 0 && strchr(" \t\r\n\"\\", *text) == NULL)
			g_string_append_c(out, *text);
	}
	return g_string_free(out, FALSE);
}

/* Is there a name of somebody in front that a reader would see? */
static gboolean
begins_with_id(const char *value, gsize length)
{
	struct reader reader = { value, value + length };
	g_autofree char *id = NULL;

	if (!skip_cfws(&reader))
		return TRUE; /* nobody reads on behind a comment without end */
	id = read_value(&reader);
	return id != NULL && skip_cfws(&reader) && reader.at < reader.end && *reader.at != '=' &&
	       *reader.at != '/';
}

/* Does a field that cannot be parsed look, to a careless reader, like one of ours? */
static gboolean
begins_like_ours(const char *value, gsize length, const char *const *ids)
{
	g_autofree char *text = g_ascii_strdown(value, (gssize)length);
	g_autofree char *squeezed = NULL;

	for (gsize i = 0; i < length; i++) /* a NUL hides nothing */
		if (text[i] == '\0')
			text[i] = ' ';
	squeezed = text_squeezed(text);
	/* without an id, or behind something that is none */
	if ((strstr(squeezed, "smime=") != NULL || g_str_has_prefix(squeezed, "smime/")) &&
	    !begins_with_id(value, length))
		return TRUE;
	for (; ids != NULL && *ids != NULL; ids++) {
		g_autofree char *id = g_ascii_strdown(*ids, -1);

		if (strstr(text, id) != NULL || strstr(squeezed, id) != NULL)
			return TRUE;
	}
	return FALSE;
}

gboolean
ours_is_smime_result(const char *raw_value, gsize length, const char *const *ids)
{
	struct reader reader = { raw_value, raw_value + length };
	g_autofree char *id = NULL;
	g_autofree char *version = NULL;

	if (memchr(raw_value, '\0', length) != NULL || !skip_cfws(&reader) ||
	    (id = read_value(&reader)) == NULL || !skip_cfws(&reader))
		return begins_like_ours(raw_value, length, ids);
	if (reader.at < reader.end && *reader.at != ';') {
		version = read_value(&reader);
		if (version == NULL || strspn(version, "0123456789") != strlen(version) ||
		    !skip_cfws(&reader) || (reader.at < reader.end && *reader.at != ';'))
			return begins_like_ours(raw_value, length, ids);
	}
	if (!id_is_ours(id, ids))
		return FALSE;
	while (take_char(&reader, ';')) {
		gboolean valid;

		if (!skip_cfws(&reader))
			return TRUE;
		if (reader.at == reader.end)
			break; /* a last ';' with nothing behind */
		if (method_is_smime(&reader, &valid) || !valid)
			return TRUE;
		if (!skip_to_next_result(&reader))
			return TRUE;
	}
	return FALSE;
}

/* Also with blanks in front of the colon, which the old syntax allows. */
static gboolean
is_results_field(const char *name)
{
	static const char wanted[] = "Authentication-Results";
	gsize length = sizeof wanted - 1;

	return g_ascii_strncasecmp(name, wanted, length) == 0 &&
	       strspn(name + length, " \t") == strlen(name + length);
}

guint
ours_remove(const struct headers *headers, const char *const *ids, struct edits *edits)
{
	guint count = 0;

	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);
		gboolean ours = header_has_prefix(field, OURS_FIELD_PREFIX);

		if (!ours && is_results_field(field->name))
			ours = ours_is_smime_result(field->value, field->length, ids);
		if (!ours)
			continue;
		edits_delete(edits, field->name, field->occurrence);
		count++;
	}
	return count;
}
