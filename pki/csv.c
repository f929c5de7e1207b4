/*
 * csv - one pass over the bytes; values are cut first and decoded afterwards.
 */
#include "pki/csv.h"

#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"

/* A quotation mark that is not closed within that is taken for a stray one: the lines behind it
 * are rows of their own. */
#define QUOTED_MAX_BYTES (64 * 1024)
#define VALUES_MAX 64
#define UTF8_MARK "\xef\xbb\xbf"

struct reader {
	const char *p, *end;
	guint line;
	char line_end;   /* LF, or CR in a file without LF */
	gboolean strict; /* a mark said UTF-8: no other encoding is tried */
	const char *encoding;
	GIConv converter; /* from encoding; (GIConv)-1: none */
	const struct csv_limits *limits;
};

void
csv_row_free(struct csv_row *row)
{
	if (row == NULL)
		return;
	g_ptr_array_unref(row->values);
	g_free(row->why);
	g_free(row);
}

static void
free_row(gpointer row)
{
	csv_row_free(row);
}

static void
set_why(struct csv_row *row, guint culprit, const char *why)
{
	if (row->why != NULL)
		return;
	row->culprit = culprit;
	row->why = g_strdup(why);
}

static gboolean
at_line_end(const struct reader *reader)
{
	const char *p = reader->p;

	return p == reader->end || *p == reader->line_end ||
	       (*p == '\r' && p + 1 < reader->end && p[1] == '\n');
}

static void
skip_blanks(struct reader *reader)
{
	while (reader->p < reader->end && (*reader->p == ' ' || *reader->p == '\t'))
		reader->p++;
}

static void
skip_line(struct reader *reader)
{
	const char *found = memchr(reader->p, reader->line_end, (gsize)(reader->end - reader->p));

	reader->p = found != NULL ? found + 1 : reader->end;
	reader->line++;
}

/* --- cutting --- */

static GByteArray *
cut_plain(struct reader *reader, struct csv_row *row)
{
	const char *start = reader->p, *stop;

	while (!at_line_end(reader) && *reader->p != ',')
		reader->p++;
	for (stop = reader->p; stop > start && (stop[-1] == ' ' || stop[-1] == '\t'); stop--)
		;
	if (memchr(start, '"', (gsize)(stop - start)) != NULL)
		set_why(row, row->values->len + 1,
			"has a quotation mark inside and does not begin with one");
	return g_byte_array_append(g_byte_array_new(), (const guint8 *)start,
				   (guint)(stop - start));
}

/* Behind the opening mark. NULL: it is not closed. */
static GByteArray *
cut_quoted(struct reader *reader, struct csv_row *row)
{
	GByteArray *value = g_byte_array_new();
	const char *p = reader->p;
	const char *stop = p + MIN(reader->end - p, QUOTED_MAX_BYTES);

	for (; p < stop; p++) {
		if (*p != '"') {
			reader->line += *p == reader->line_end ? 1 : 0;
		} else if (p + 1 < reader->end && p[1] == '"') {
			p++;
		} else {
			reader->p = p + 1;
			skip_blanks(reader);
			if (!at_line_end(reader) && *reader->p != ',')
				set_why(row, row->values->len + 1,
					"goes on behind its closing quotation mark");
			return value;
		}
		g_byte_array_append(value, (const guint8 *)p, 1);
	}
	g_byte_array_unref(value);
	return NULL;
}

/* Leaves the reader behind the row. Values are struct GByteArray. */
static void
cut_row(struct reader *reader, struct csv_row *row)
{
	const char *start = reader->p;
	guint line = reader->line;

	for (;;) {
		GByteArray *value;

		skip_blanks(reader);
		if (reader->p < reader->end && *reader->p == '"') {
			reader->p++;
			value = cut_quoted(reader, row);
		} else {
			value = cut_plain(reader, row);
		}
		if (value == NULL) {
			set_why(row, row->values->len + 1,
				"begins with a quotation mark that is not closed");
			break;
		}
		g_ptr_array_add(row->values, value);
		if (row->values->len == VALUES_MAX)
			set_why(row, 0, "has more values than any file here needs");
		if (row->why != NULL || at_line_end(reader))
			break;
		reader->p++;
	}
	/* What is wrong is wrong on its first line: the next one may be a row of its own. */
	if (row->why != NULL) {
		reader->p = start;
		reader->line = line;
	}
	skip_line(reader);
}

/* --- decoding --- */

static char *
decode(struct reader *reader, const GByteArray *value, gboolean is_utf8)
{
	gsize written;
	char *text;

	if (is_utf8) {
		/* Of a broken row it may be the next line's. */
		text = g_strndup(value->len > 0 ? (const char *)value->data : "", value->len);
		if (!g_utf8_validate(text, -1, NULL))
			g_clear_pointer(&text, g_free);
		return text;
	}
	text = g_convert_with_iconv((const char *)value->data, (gssize)value->len,
				    reader->converter, NULL, &written, NULL);
	if (text == NULL || strlen(text) != written) {
		g_free(text);
		(void)g_iconv(reader->converter, NULL, NULL, NULL, NULL);
		return NULL;
	}
	return text;
}

static void
decode_row(struct reader *reader, struct csv_row *row, const char *start, const char *stop)
{
	g_autoptr(GPtrArray) cut = row->values;
	gboolean is_utf8 = g_utf8_validate_len(start, (gsize)(stop - start), NULL);

	row->values = g_ptr_array_new_with_free_func(g_free);
	if (!is_utf8 && memchr(start, '\0', (gsize)(stop - start)) != NULL) {
		set_why(row, 0, "has a byte 0");
		return;
	}
	if (!is_utf8 && reader->converter == (GIConv)-1) {
		set_why(row, 0,
			reader->strict ? "is not UTF-8, as the file's first bytes say"
				       : "is not UTF-8: name the file's encoding (--encoding)");
		return;
	}
	for (guint i = 0; i < cut->len; i++) {
		char *text = decode(reader, g_ptr_array_index(cut, i), is_utf8);
		glong characters = text != NULL ? g_utf8_strlen(text, -1) : 0;
		g_autofree char *why = NULL;

		if (text == NULL)
			why = g_strdup_printf("is not %s", reader->encoding);
		else if (characters > (glong)reader->limits->characters)
			why = g_strdup_printf("has %ld characters; %u are allowed", characters,
					      reader->limits->characters);
		if (why != NULL)
			set_why(row, i + 1, why);
		g_ptr_array_add(row->values, text != NULL ? text : g_strdup(""));
	}
}

static gboolean
read_rows(struct reader *reader, GPtrArray *rows, GError **error)
{
	while (reader->p < reader->end) {
		struct csv_row *row = g_new0(struct csv_row, 1);
		const char *start = reader->p;

		row->line = reader->line;
		row->values = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
		skip_blanks(reader);
		if (at_line_end(reader)) {
			skip_line(reader);
			csv_row_free(row);
			continue;
		}
		cut_row(reader, row);
		decode_row(reader, row, start, reader->p);
		g_ptr_array_add(rows, row);
		if (rows->len > reader->limits->rows + 1)
			return fail_false(error, PS_ERROR_INVALID,
					  "the file has more than %u rows: split it, or raise the "
					  "setting bulk_rows_max",
					  reader->limits->rows);
	}
	return TRUE;
}

/* --- encodings --- */

/* NULL: none. */
static const char *
encoding_of_mark(const char *bytes, gsize length, gsize *mark)
{
	static const struct {
		const char *bytes;
		gsize length;
		const char *encoding;
	} marks[] = {
		{ UTF8_MARK, 3, "UTF-8" },         { "\xff\xfe\0\0", 4, "UTF-32LE" },
		{ "\0\0\xfe\xff", 4, "UTF-32BE" }, { "\xff\xfe", 2, "UTF-16LE" },
		{ "\xfe\xff", 2, "UTF-16BE" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(marks); i++)
		if (length >= marks[i].length &&
		    memcmp(bytes, marks[i].bytes, marks[i].length) == 0) {
			*mark = marks[i].length;
			return marks[i].encoding;
		}
	*mark = 0;
	return NULL;
}

/* Are commas, quotation marks and line ends the bytes that they are in ASCII, and nothing else? */
static gboolean
keeps_ascii(GIConv converter, const char *encoding)
{
	static const char probe[] = "\t\r\n !\"'(),-./0123456789:;=@AZaz";
	static const char *const stateful[] = { "ISO2022", "CSISO2022", "HZ", "UTF7" };
	g_autofree char *text =
	    g_convert_with_iconv(probe, (gssize)strlen(probe), converter, NULL, NULL, NULL);
	g_autoptr(GString) name = g_string_new(NULL);

	for (const char *p = encoding; *p != '\0'; p++)
		if (g_ascii_isalnum(*p))
			g_string_append_c(name, g_ascii_toupper(*p));
	(void)g_iconv(converter, NULL, NULL, NULL, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(stateful); i++)
		if (g_str_has_prefix(name->str, stateful[i]))
			return FALSE;
	return text != NULL && strcmp(text, probe) == 0;
}

/* The whole file as UTF-8. */
static char *
convert_whole(const char *bytes, gsize length, const char *encoding, gsize *written, GError **error)
{
	g_autoptr(GError) why = NULL;
	gsize read = 0;
	char *text = g_convert(bytes, (gssize)length, "UTF-8", encoding, &read, written, &why);

	if (text != NULL && read != length)
		g_clear_pointer(&text, g_free);
	if (text == NULL)
		return fail(error, PS_ERROR_INVALID, "the file is not %s, from byte %zu on",
			    encoding, read + 1);
	return text;
}

static gboolean
open_encoding(struct reader *reader, const char *encoding, gboolean *whole, GError **error)
{
	*whole = FALSE;
	if (encoding == NULL)
		return TRUE;
	if (*encoding != '\0' && strchr(encoding, '/') == NULL)
		reader->converter = g_iconv_open("UTF-8", encoding);
	if (reader->converter == (GIConv)-1) {
		g_autofree char *shown = printable(encoding);
		return fail_false(error, PS_ERROR_INVALID,
				  "the encoding '%s' is not known; take one that iconv -l lists",
				  shown);
	}
	*whole = !keeps_ascii(reader->converter, encoding);
	return TRUE;
}

static void
reader_begin(struct reader *reader, const char *text, gsize length)
{
	reader->p = text;
	reader->end = text + length;
	reader->line = 1;
	reader->line_end = memchr(text, '\n', length) == NULL ? '\r' : '\n';
}

GPtrArray *
csv_read(GBytes *bytes, const char *encoding, const struct csv_limits *limits, GError **error)
{
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(free_row);
	struct reader reader = { .encoding = encoding, .converter = (GIConv)-1, .limits = limits };
	g_autofree char *converted = NULL;
	gsize length, mark = 0;
	const char *text = g_bytes_get_data(bytes, &length);
	const char *marked = length > 0 ? encoding_of_mark(text, length, &mark) : NULL;
	gboolean whole = FALSE;

	if (length > limits->bytes)
		return fail(error, PS_ERROR_INVALID, "a file of %zu bytes is too large: %zu",
			    length, limits->bytes);
	if (!open_encoding(&reader, encoding, &whole, error))
		return NULL;
	if (length == 0) {
		whole = FALSE;
		text = "";
	}
	if (marked != NULL) {
		text += mark;
		length -= mark;
		reader.strict = TRUE;
		whole = strcmp(marked, "UTF-8") != 0;
	}
	if (whole) {
		converted =
		    convert_whole(text, length, marked != NULL ? marked : encoding, &length, error);
		text = converted;
	}
	gboolean good = text != NULL;
	if (good) {
		/* A mark decides before what was named. */
		if (reader.strict && reader.converter != (GIConv)-1) {
			g_iconv_close(reader.converter);
			reader.converter = (GIConv)-1;
		}
		reader_begin(&reader, text, length);
		good = read_rows(&reader, rows, error);
	}
	if (reader.converter != (GIConv)-1)
		g_iconv_close(reader.converter);
	return good ? g_steal_pointer(&rows) : NULL;
}
