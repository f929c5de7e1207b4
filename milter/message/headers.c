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

struct headers *
headers_copy(const struct headers *headers)
{
	struct headers *copy = headers_new();

	for (guint i = 0; i < headers->fields->len; i++) {
		const struct header *from = headers_at(headers, i);
		struct header *field = g_new0(struct header, 1);

		field->name = g_strdup(from->name);
		field->value = g_memdup2(from->value, from->length + 1);
		field->length = from->length;
		field->occurrence = from->occurrence;
		g_ptr_array_add(copy->fields, field);
	}
	copy->size = headers->size;
	return copy;
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

struct line_parser {
	struct headers *headers;
	GString *name;  /* of the field that is open */
	GString *value; /* NULL: no field is open */
};

static gboolean
close_field(struct line_parser *parser, GError **error)
{
	gboolean done = TRUE;

	if (parser->value != NULL) {
		done = headers_add(parser->headers, parser->name->str, parser->value->str,
				   parser->value->len, error);
		g_string_free(parser->value, TRUE);
		parser->value = NULL;
	}
	return done;
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

/* One line without its end. *stop: it belongs to the body already. */
static gboolean
take_line(struct line_parser *parser, const char *line, gsize length, gboolean first,
	  gboolean *stop, GError **error)
{
	gsize name_length;
	const char *colon;

	if (length > 0 && (line[0] == ' ' || line[0] == '\t') && parser->value != NULL) {
		g_string_append_c(parser->value, '\n');
		g_string_append_len(parser->value, line, (gssize)length);
		if (parser->value->len > HEADERS_FIELD_MAX_BYTES)
			return close_field(parser, error);
		return TRUE;
	}
	if (first && length > 5 && memcmp(line, "From ", 5) == 0)
		return TRUE;
	if (!close_field(parser, error))
		return FALSE;
	name_length = field_name_length(line, length);
	if (name_length == 0) {
		*stop = TRUE;
		return TRUE;
	}
	colon = memchr(line, ':', length);
	g_string_truncate(parser->name, 0);
	g_string_append_len(parser->name, line, (gssize)name_length);
	parser->value = g_string_new_len(colon + 1, (gssize)(length - (gsize)(colon + 1 - line)));
	return TRUE;
}

/* The part of the parser that cuts lines out of blocks. */
static gboolean
parse_lines(struct line_parser *parser, struct spool_reader *reader, guint64 start, guint64 end,
	    guint64 *body_start, GError **error)
{
	g_autoptr(GString) line = g_string_new(NULL);
	const guint8 *bytes;
	guint64 line_start = start;
	gssize n;

	while ((n = spool_reader_next(reader, &bytes, error)) > 0) {
		const guint8 *stop_at = bytes + n;

		while (bytes < stop_at) {
			const guint8 *lf = memchr(bytes, '\n', (gsize)(stop_at - bytes));
			const guint8 *to = lf != NULL ? lf + 1 : stop_at;
			gsize length;
			gboolean stop = FALSE;

			if (line->len + (gsize)(to - bytes) > HEADERS_BLOCK_MAX_BYTES)
				return fail_false(
				    error, PS_ERROR_INVALID,
				    "header of more than %d bytes (limit of the header block)",
				    HEADERS_BLOCK_MAX_BYTES);
			g_string_append_len(line, (const char *)bytes, to - bytes);
			bytes = to;
			if (lf == NULL)
				break;
			length = line->len - 1;
			if (length > 0 && line->str[length - 1] == '\r')
				length--;
			if (length == 0) {
				*body_start = line_start + line->len;
				return close_field(parser, error);
			}
			if (!take_line(parser, line->str, length, line_start == start, &stop,
				       error))
				return FALSE;
			if (stop) {
				*body_start = line_start;
				return TRUE;
			}
			line_start += line->len;
			g_string_truncate(line, 0);
		}
	}
	if (n < 0)
		return FALSE;
	*body_start = end;
	if (line->len > 0) { /* the last line has no end */
		gboolean stop = FALSE;

		if (!take_line(parser, line->str, line->len, line_start == start, &stop, error))
			return FALSE;
		if (stop)
			*body_start = line_start;
	}
	return close_field(parser, error);
}

struct headers *
headers_parse(struct spool *spool, guint64 start, guint64 end, guint64 *body_start, GError **error)
{
	CLEANUP(headers) struct headers *headers = headers_new();
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(spool, start, end);
	g_autoptr(GString) name = g_string_new(NULL);
	struct line_parser parser = { headers, name, NULL };
	gboolean done = parse_lines(&parser, reader, start, end, body_start, error);

	if (parser.value != NULL)
		g_string_free(parser.value, TRUE);
	return done ? g_steal_pointer(&headers) : NULL;
}
