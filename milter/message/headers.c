/*
 * headers - an array of fields; look-ups go over it, a message has few of them.
 */
#include "milter/message/headers.h"

#include <string.h>

#include "store/base/error.h"

struct headers {
	gint refs;
	GPtrArray *fields;
	gsize size;
};

static void
field_free(gpointer data)
{
	struct header *field = data;

	g_free(field->name);
	g_free(field->value);
	g_free(field);
}

struct headers *
headers_new(void)
{
	struct headers *headers = g_new0(struct headers, 1);

	headers->refs = 1;
	headers->fields = g_ptr_array_new_with_free_func(field_free);
	return headers;
}

struct headers *
headers_ref(struct headers *headers)
{
	g_atomic_int_inc(&headers->refs);
	return headers;
}

void
headers_unref(struct headers *headers)
{
	if (headers == NULL || !g_atomic_int_dec_and_test(&headers->refs))
		return;
	g_ptr_array_unref(headers->fields);
	g_free(headers);
}

gboolean
header_is(const struct header *header, const char *name)
{
	return g_ascii_strcasecmp(header->name, name) == 0;
}

gboolean
header_has_prefix(const struct header *header, const char *prefix)
{
	return g_ascii_strncasecmp(header->name, prefix, strlen(prefix)) == 0;
}

gboolean
header_name_among(const char *name, const char *const *names, gsize count)
{
	for (gsize i = 0; i < count; i++)
		if (g_ascii_strcasecmp(name, names[i]) == 0)
			return TRUE;
	return FALSE;
}

char *
header_unfolded(const char *raw_value)
{
	char *text = g_strdup(raw_value);
	char *to = text;

	for (const char *from = text; *from != '\0'; from++)
		if (*from != '\r' && *from != '\n')
			*to++ = *from;
	*to = '\0';
	return g_strstrip(text);
}

static char *
copy_with_lf(const char *value, gsize *length)
{
	char *copy = g_try_malloc(*length + 1);
	gsize n = 0;

	if (copy == NULL)
		return NULL;
	for (gsize i = 0; i < *length; i++)
		if (value[i] != '\r' || i + 1 >= *length || value[i + 1] != '\n')
			copy[n++] = value[i];
	copy[n] = '\0';
	*length = n;
	return copy;
}

/* name + ":" + value + CRLF, each fold one byte longer on the wire. */
static gsize
field_size(const struct header *field)
{
	gsize size = strlen(field->name) + 1 + field->length + 2;

	for (gsize i = 0; i < field->length; i++)
		size += field->value[i] == '\n';
	return size;
}

gboolean
headers_add(struct headers *headers, const char *name, const char *value, gsize length,
	    GError **error)
{
	struct header *field;
	gsize name_length = strlen(name);

	if (headers->fields->len >= HEADERS_COUNT_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "more than %d header fields (limit of header fields)",
				  HEADERS_COUNT_MAX);
	if (name_length >= HEADERS_FIELD_MAX_BYTES ||
	    length > HEADERS_FIELD_MAX_BYTES - name_length)
		return fail_false(error, PS_ERROR_INVALID,
				  "a header field of more than %d bytes (limit of one field)",
				  HEADERS_FIELD_MAX_BYTES);
	if (length + name_length > HEADERS_BLOCK_MAX_BYTES - headers->size)
		return fail_false(error, PS_ERROR_INVALID,
				  "header of more than %d bytes (limit of the header block)",
				  HEADERS_BLOCK_MAX_BYTES);
	field = g_new0(struct header, 1);
	field->name = g_strdup(name);
	field->length = length;
	field->value = copy_with_lf(value, &field->length);
	if (field->value == NULL) {
		field_free(field);
		return fail_false(error, PS_ERROR_FULL, "no memory for a header field");
	}
	field->occurrence = headers_count_of(headers, name) + 1;
	headers->size += field_size(field);
	g_ptr_array_add(headers->fields, field);
	return TRUE;
}

guint
headers_count(const struct headers *headers)
{
	return headers->fields->len;
}

const struct header *
headers_at(const struct headers *headers, guint index)
{
	return g_ptr_array_index(headers->fields, index);
}

const struct header *
headers_find(const struct headers *headers, const char *name, guint occurrence)
{
	for (guint i = 0; i < headers->fields->len; i++) {
		const struct header *field = headers_at(headers, i);

		if (field->occurrence == occurrence && header_is(field, name))
			return field;
	}
	return NULL;
}

const char *
headers_value(const struct headers *headers, const char *name)
{
	const struct header *field = headers_find(headers, name, 1);

	return field != NULL ? field->value : NULL;
}

guint
headers_count_of(const struct headers *headers, const char *name)
{
	for (guint i = headers->fields->len; i > 0; i--) {
		const struct header *field = headers_at(headers, i - 1);

		if (header_is(field, name))
			return field->occurrence;
	}
	return 0;
}

gsize
headers_size(const struct headers *headers)
{
	return headers->size;
}

gboolean
header_write(const struct header *header, struct sink *to, GError **error)
{
	GString *line = g_string_sized_new(strlen(header->name) + header->length + 16);
	gboolean done;

	g_string_append(line, header->name);
	g_string_append_c(line, ':');
	for (gsize i = 0; i < header->length; i++) {
		if (header->value[i] == '\n')
			g_string_append_c(line, '\r');
		g_string_append_c(line, header->value[i]);
	}
	g_string_append(line, "\r\n");
	done = sink_write(to, line->str, line->len, error);
	g_string_free(line, TRUE);
	return done;
}

gboolean
headers_write(const struct headers *headers, struct sink *to, GError **error)
{
	for (guint i = 0; i < headers->fields->len; i++)
		if (!header_write(headers_at(headers, i), to, error))
			return FALSE;
	return TRUE;
}

/* --- parsing --- */

struct header_lines {
	struct headers *headers;
	GString *name; /* of the field that is open */
	GString *value;
	gboolean open;
	gboolean begun;
};

struct header_lines *
header_lines_new(void)
{
	struct header_lines *lines = g_new0(struct header_lines, 1);

	lines->headers = headers_new();
	lines->name = g_string_new(NULL);
	lines->value = g_string_new(NULL);
	return lines;
}

void
header_lines_free(struct header_lines *lines)
{
	if (lines == NULL)
		return;
	headers_unref(lines->headers);
	g_string_free(lines->name, TRUE);
	g_string_free(lines->value, TRUE);
	g_free(lines);
}

static gboolean
close_field(struct header_lines *lines, GError **error)
{
	if (!lines->open)
		return TRUE;
	lines->open = FALSE;
	return headers_add(lines->headers, lines->name->str, lines->value->str, lines->value->len,
			   error);
}

/* Length of the name when the line begins like a field, else 0: printable ASCII up to a colon,
 * blanks before it as RFC 5322 4.5 allows them. */
static gsize
field_name_length(const char *line, gsize length)
{
	gsize n = 0;
	gsize end;

	while (n < length && line[n] > 32 && line[n] < 127 && line[n] != ':')
		n++;
	end = n;
	while (end < length && (line[end] == ' ' || line[end] == '\t'))
		end++;
	return end < length && line[end] == ':' ? n : 0;
}

/* What stands in front of a message in a mailbox file. "From :" is a field. */
static gboolean
is_mbox_line(const char *line, gsize length)
{
	gsize at = 5;

	if (length <= 5 || memcmp(line, "From ", 5) != 0)
		return FALSE;
	while (at < length && (line[at] == ' ' || line[at] == '\t'))
		at++;
	return at == length || line[at] != ':';
}

gboolean
header_lines_take(struct header_lines *lines, const char *line, gsize length, gboolean *over,
		  GError **error)
{
	gboolean first = !lines->begun;
	gsize name_length;
	const char *colon;

	lines->begun = TRUE;
	*over = FALSE;
	if (length > 0 && (line[0] == ' ' || line[0] == '\t') && lines->open) {
		if (lines->value->len + length > HEADERS_FIELD_MAX_BYTES)
			return fail_false(
			    error, PS_ERROR_INVALID,
			    "a header field of more than %d bytes (limit of one field)",
			    HEADERS_FIELD_MAX_BYTES);
		g_string_append_c(lines->value, '\n');
		g_string_append_len(lines->value, line, (gssize)length);
		return TRUE;
	}
	if (first && is_mbox_line(line, length))
		return TRUE;
	if (!close_field(lines, error))
		return FALSE;
	name_length = field_name_length(line, length);
	if (name_length == 0) {
		*over = TRUE;
		return TRUE;
	}
	if (length > HEADERS_FIELD_MAX_BYTES)
		return fail_false(error, PS_ERROR_INVALID,
				  "a header field of more than %d bytes (limit of one field)",
				  HEADERS_FIELD_MAX_BYTES);
	colon = memchr(line, ':', length);
	g_string_truncate(lines->name, 0);
	g_string_append_len(lines->name, line, (gssize)name_length);
	g_string_truncate(lines->value, 0);
	g_string_append_len(lines->value, colon + 1, line + length - (colon + 1));
	lines->open = TRUE;
	return TRUE;
}

struct headers *
header_lines_finish(struct header_lines *lines, GError **error)
{
	return close_field(lines, error) ? headers_ref(lines->headers) : NULL;
}

/* Takes what is one line with its end; *body_start is set when the header is over. */
static gboolean
take_whole_line(struct header_lines *lines, const GString *line, guint64 line_start,
		guint64 *body_start, gboolean *over, GError **error)
{
	gsize length = line->len;

	if (length > 0 && line->str[length - 1] == '\n')
		length--;
	if (length > 0 && length < line->len && line->str[length - 1] == '\r')
		length--;
	if (!header_lines_take(lines, line->str, length, over, error))
		return FALSE;
	*body_start = length == 0 || !*over ? line_start + line->len : line_start;
	return TRUE;
}

static gboolean
parse_lines(struct header_lines *lines, struct spool_reader *reader, guint64 start,
	    guint64 *body_start, GError **error)
{
	g_autoptr(GString) line = g_string_new(NULL);
	guint64 line_start = start;
	gboolean over = FALSE;
	const guint8 *bytes;
	gssize n;

	*body_start = start;
	while ((n = spool_reader_next(reader, &bytes, error)) > 0) {
		const guint8 *end = bytes + n;

		while (bytes < end) {
			const guint8 *lf = memchr(bytes, '\n', (gsize)(end - bytes));
			const guint8 *to = lf != NULL ? lf + 1 : end;

			if (line->len + (gsize)(to - bytes) > HEADERS_BLOCK_MAX_BYTES)
				return fail_false(
				    error, PS_ERROR_INVALID,
				    "header of more than %d bytes (limit of the header block)",
				    HEADERS_BLOCK_MAX_BYTES);
			g_string_append_len(line, (const char *)bytes, to - bytes);
			bytes = to;
			if (lf == NULL)
				break;
			if (!take_whole_line(lines, line, line_start, body_start, &over, error))
				return FALSE;
			if (over)
				return TRUE;
			line_start += line->len;
			g_string_truncate(line, 0);
		}
	}
	if (n < 0)
		return FALSE;
	return line->len == 0 || take_whole_line(lines, line, line_start, body_start, &over, error);
}

struct headers *
headers_parse(struct spool *spool, guint64 start, guint64 end, guint64 *body_start, GError **error)
{
	CLEANUP(header_lines) struct header_lines *lines = header_lines_new();
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(spool, start, end);

	if (!parse_lines(lines, reader, start, body_start, error))
		return NULL;
	return header_lines_finish(lines, error);
}
