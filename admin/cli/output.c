/*
 * output - rendering of JSON answers.
 */
#include "admin/cli/output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/api/json_memory.h"
#include "store/base/printable.h"
#include "store/base/secret.h"

#define CELL_MAX_BYTES 4096
#define BAR_WIDTH 30
#define COLUMN_GAP 2
#define DIGEST_DIGITS 128 /* SHA-512 */
#define DIGEST_SHOWN 16

static const struct {
	const char *word;
	const char *colour;
} coloured_words[] = {
	{ "valid", "32" },   { "good", "32" },      { "ok", "32" },       { "new", "32" },
	{ "done", "32" },    { "issued", "32" },    { "invalid", "31" },  { "revoked", "31" },
	{ "bad", "31" },     { "failed", "31" },    { "rejected", "31" }, { "deny", "31" },
	{ "unknown", "33" }, { "untrusted", "33" }, { "warning", "33" },  { "pending", "33" },
	{ "partial", "33" }, { "mismatch", "33" },
};

/* --- cells --- */

static char *cell_text(const json_t *value);

static char *
array_text(const json_t *array)
{
	GString *out = g_string_new(NULL);

	for (gsize i = 0; i < json_array_size(array); i++) {
		g_autofree char *item = cell_text(json_array_get(array, i));

		g_string_append_printf(out, "%s%s", i > 0 ? ", " : "", item);
	}
	return g_string_free(out, FALSE);
}

/* Not yet printable. */
static char *
cell_text(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return g_strdup(json_string_value(value));
	case JSON_INTEGER:
		return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_REAL:
		return g_strdup_printf("%.3f", json_real_value(value));
	case JSON_TRUE:
		return g_strdup("yes");
	case JSON_FALSE:
		return g_strdup("no");
	case JSON_ARRAY:
		return array_text(value);
	case JSON_NULL:
		return g_strdup("");
	case JSON_OBJECT:
		break;
	}
	if (json_object_size(value) == 0)
		return g_strdup("none");
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	char *copy = g_strdup(text);

	json_memory_free(text);
	return copy;
}

static char *
item_cell(const json_t *item, const char *name)
{
	const json_t *value = json_object_get(item, name);

	return value != NULL ? cell_text(value) : g_strdup("");
}

static void
append_coloured(GString *out, const char *text, enum output_colour colour)
{
	if (colour == OUTPUT_COLOURED) {
		for (gsize i = 0; i < G_N_ELEMENTS(coloured_words); i++) {
			if (strcmp(coloured_words[i].word, text) == 0) {
				g_string_append_printf(out, "\033[%sm%s\033[0m",
						       coloured_words[i].colour, text);
				return;
			}
		}
	}
	g_string_append(out, text);
}

static void
append_blanks(GString *out, gsize count)
{
	for (gsize i = 0; i < count; i++)
		g_string_append_c(out, ' ');
}

/* Columns that a character takes on a terminal, roughly. */
static gsize
text_width(const char *text)
{
	gsize width = 0;

	for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		width += g_unichar_iswide(c) ? 2 : g_unichar_iszerowidth(c) ? 0 : 1;
	}
	return width;
}

/* --- lists --- */

struct column {
	char *name;
	gsize cut; /* at most so many bytes in a table; 0: all */
	gsize width;
};

static GArray *
columns_parse(const char *text)
{
	GArray *columns = g_array_new(FALSE, TRUE, sizeof(struct column));
	g_auto(GStrv) words = g_strsplit(text, " ", -1);

	for (char **word = words; *word != NULL; word++) {
		g_auto(GStrv) parts = g_strsplit(*word, ":", 2);
		struct column column = { .name = g_strdup(parts[0]) };

		if (parts[1] != NULL)
			column.cut = (gsize)g_ascii_strtoull(parts[1], NULL, 10);
		g_array_append_val(columns, column);
	}
	return columns;
}

static void
columns_free(GArray *columns)
{
	for (guint i = 0; i < columns->len; i++)
		g_free(g_array_index(columns, struct column, i).name);
	g_array_unref(columns);
}

static char *
heading(const char *name)
{
	char *text = g_ascii_strup(name, -1);

	return g_strdelimit(text, "_-", ' ');
}

/* Whole digests among other words make a table too wide: their first digits name them as well. */
static void
cut_digests(char *text)
{
	char *to = text;

	for (const char *p = text; *p != '\0';) {
		gsize run = 0;

		while (g_ascii_isxdigit(p[run]))
			run++;
		gsize kept = run >= DIGEST_DIGITS ? DIGEST_SHOWN : MAX(run, 1);
		memmove(to, p, kept);
		to += kept;
		p += MAX(run, 1);
	}
	*to = '\0';
}

static char *
table_cell(const json_t *item, const struct column *column)
{
	g_autofree char *raw = item_cell(item, column->name);
	char *safe = printable_cell(raw, CELL_MAX_BYTES);

	if (column->cut > 0 && strlen(safe) > column->cut)
		safe[column->cut] = '\0'; /* such columns are hex */
	else
		cut_digests(safe);
	return safe;
}

static void
append_row(GString *out, const GArray *columns, char **cells, enum output_colour colour)
{
	for (guint i = 0; i < columns->len; i++) {
		const struct column *column = &g_array_index(columns, struct column, i);

		append_coloured(out, cells[i], colour);
		if (i + 1 < columns->len)
			append_blanks(out, column->width - text_width(cells[i]) + COLUMN_GAP);
	}
	while (out->len > 0 && out->str[out->len - 1] == ' ')
		g_string_truncate(out, out->len - 1);
	g_string_append_c(out, '\n');
}

static char **
row_cells(const json_t *item, const GArray *columns)
{
	char **cells = g_new0(char *, columns->len + 1);

	for (guint i = 0; i < columns->len; i++) {
		const struct column *column = &g_array_index(columns, struct column, i);

		cells[i] = item != NULL ? table_cell(item, column) : heading(column->name);
	}
	return cells;
}

static char *
table_text(const char *column_names, const json_t *items, enum output_colour colour)
{
	GString *out = g_string_new(NULL);
	GArray *columns = columns_parse(column_names);
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);

	g_ptr_array_add(rows, row_cells(NULL, columns));
	for (gsize i = 0; i < json_array_size(items); i++)
		g_ptr_array_add(rows, row_cells(json_array_get(items, i), columns));
	for (guint r = 0; r < rows->len; r++) {
		char **cells = g_ptr_array_index(rows, r);

		for (guint i = 0; i < columns->len; i++) {
			struct column *column = &g_array_index(columns, struct column, i);

			column->width = MAX(column->width, text_width(cells[i]));
		}
	}
	for (guint r = 0; r < rows->len; r++)
		append_row(out, columns, g_ptr_array_index(rows, r),
			   r == 0 ? OUTPUT_PLAIN : colour);
	columns_free(columns);
	return g_string_free(out, FALSE);
}

static char *
csv_text(const char *column_names, const json_t *items)
{
	GString *out = g_string_new(NULL);
	GArray *columns = columns_parse(column_names);

	for (guint i = 0; i < columns->len; i++)
		g_string_append_printf(out, "%s%s", i > 0 ? "," : "",
				       g_array_index(columns, struct column, i).name);
	g_string_append(out, "\r\n");
	for (gsize r = 0; r < json_array_size(items); r++) {
		for (guint i = 0; i < columns->len; i++) {
			const struct column *column = &g_array_index(columns, struct column, i);
			g_autofree char *raw = item_cell(json_array_get(items, r), column->name);
			g_autofree char *cell = printable_csv(raw);

			g_string_append_printf(out, "%s%s", i > 0 ? "," : "", cell);
		}
		g_string_append(out, "\r\n");
	}
	columns_free(columns);
	return g_string_free(out, FALSE);
}

/* --- documents --- */

static gboolean
is_nested(const json_t *value)
{
	if (json_is_object(value))
		return json_object_size(value) > 0;
	return json_is_array(value) && json_array_size(value) > 0 &&
	       json_is_object(json_array_get(value, 0));
}

/* Texts of several lines (PEM), and lists whose items hold the comma that would part them. */
static gboolean
wants_lines(const json_t *value)
{
	if (json_is_string(value))
		return strchr(json_string_value(value), '\n') != NULL;
	for (gsize i = 0; i < json_array_size(value); i++) {
		const char *text = json_string_value(json_array_get(value, i));

		if (text != NULL && strchr(text, ',') != NULL)
			return TRUE;
	}
	return FALSE;
}

static void
append_line(GString *out, const char *line, gsize indent)
{
	g_autofree char *safe = printable_cell(line, CELL_MAX_BYTES);

	append_blanks(out, indent);
	g_string_append_printf(out, "%s\n", safe);
}

static void
append_lines(GString *out, const json_t *value, gsize indent)
{
	if (json_is_string(value)) {
		g_auto(GStrv) lines = g_strsplit(json_string_value(value), "\n", -1);

		/* Not indented: such a text is there to be copied. */
		for (char **line = lines; *line != NULL; line++)
			if (**line != '\0')
				append_line(out, *line, 0);
		return;
	}
	for (gsize i = 0; i < json_array_size(value); i++) {
		g_autofree char *item = cell_text(json_array_get(value, i));

		append_line(out, item, indent);
	}
}

static void append_document(GString *out, const json_t *document, gsize indent,
			    enum output_colour colour);

static void
append_pair(GString *out, const char *name, const json_t *value, gsize indent, gsize width,
	    enum output_colour colour)
{
	g_autofree char *label = g_strdup(name);

	g_strdelimit(label, "_", ' ');
	append_blanks(out, indent);
	if (is_nested(value)) {
		g_string_append_printf(out, "%s:\n", label);
		append_document(out, value, indent + 2, colour);
		return;
	}
	if (wants_lines(value)) {
		g_string_append_printf(out, "%s:\n", label);
		append_lines(out, value, indent + 2);
		return;
	}
	g_autofree char *raw = cell_text(value);
	g_autofree char *safe = printable_cell(raw, CELL_MAX_BYTES);
	g_string_append_printf(out, "%s:", label);
	append_blanks(out, *safe != '\0' ? width - text_width(label) + 1 : 0);
	append_coloured(out, safe, colour);
	g_string_append_c(out, '\n');
}

static void
append_document(GString *out, const json_t *document, gsize indent, enum output_colour colour)
{
	const char *name;
	json_t *value;
	gsize width = 0;

	if (json_is_array(document)) {
		for (gsize i = 0; i < json_array_size(document); i++) {
			if (i > 0)
				g_string_append_c(out, '\n');
			append_document(out, json_array_get(document, i), indent, colour);
		}
		return;
	}
	if (!json_is_object(document)) {
		g_autofree char *raw = cell_text(document);
		g_autofree char *safe = printable_cell(raw, CELL_MAX_BYTES);

		append_blanks(out, indent);
		g_string_append_printf(out, "%s\n", safe);
		return;
	}
	json_object_foreach((json_t *)document, name, value) if (!is_nested(value)) width =
	    MAX(width, text_width(name));
	json_object_foreach((json_t *)document, name, value)
	    append_pair(out, name, value, indent, width, colour);
}

/* What a list says beside its rows: remarks, remedies in order. */
static void
append_remarks(GString *out, const json_t *answer, enum output_colour colour)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)answer, name, value)
	{
		if (strcmp(name, "items") == 0 || strcmp(name, "next") == 0 ||
		    strcmp(name, "total") == 0 ||
		    (json_is_array(value) && json_array_size(value) == 0))
			continue;
		g_string_append_c(out, '\n');
		if (!json_is_array(value)) {
			append_pair(out, name, value, 0, text_width(name), colour);
			continue;
		}
		g_string_append_printf(out, "%s:\n", name);
		for (gsize i = 0; i < json_array_size(value); i++) {
			g_autofree char *raw = cell_text(json_array_get(value, i));
			g_autofree char *safe = printable_cell(raw, CELL_MAX_BYTES);

			g_string_append_printf(out, "  %zu. %s\n", i + 1, safe);
		}
	}
}

static char *
list_text(const char *columns, const json_t *answer, enum output_colour colour)
{
	g_autofree char *table = table_text(columns, json_object_get(answer, "items"), colour);
	GString *out = g_string_new(table);

	append_remarks(out, answer, colour);
	return g_string_free(out, FALSE);
}

/* --- all --- */

static char *
json_text(const json_t *answer)
{
	char *text = json_dumps(answer, JSON_INDENT(2) | JSON_ENCODE_ANY);
	char *line = g_strconcat(text, "\n", NULL);

	json_memory_free(text);
	return line;
}

char *
output_text(const char *columns, const json_t *answer, enum output_format format,
	    enum output_colour colour)
{
	const json_t *items = json_object_get(answer, "items");
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (format == OUTPUT_JSON)
		return json_text(answer);
	/* A document that is text by nature: Prometheus, a sample file. */
	if (text != NULL)
		return g_str_has_suffix(text, "\n") ? g_strdup(text)
						    : g_strconcat(text, "\n", NULL);
	if (*columns != '\0' && json_is_array(items))
		return format == OUTPUT_CSV ? csv_text(columns, items)
					    : list_text(columns, answer, colour);
	GString *out = g_string_new(NULL);
	append_document(out, answer, 0, colour);
	return g_string_free(out, FALSE);
}

enum output_colour
output_colour_of(FILE *stream)
{
	const char *no_colour = g_getenv("NO_COLOR");
	const char *terminal = g_getenv("TERM");

	if (no_colour != NULL && *no_colour != '\0')
		return OUTPUT_PLAIN;
	if (terminal == NULL || strcmp(terminal, "dumb") == 0 || !isatty(fileno(stream)))
		return OUTPUT_PLAIN;
	return OUTPUT_COLOURED;
}

gboolean
output_print(const char *columns, const json_t *answer, enum output_format format)
{
	char *text = output_text(columns, answer, format, output_colour_of(stdout));
	gboolean written = fputs(text, stdout) >= 0 && fflush(stdout) == 0;

	wipe(text, strlen(text));
	g_free(text);
	return written;
}

void
progress_start(struct progress *progress)
{
	progress->started_us = g_get_monotonic_time();
	progress->shown = FALSE;
	progress->is_terminal = isatty(STDERR_FILENO) == 1;
}

void
progress_show(struct progress *progress, const char *what, gsize done, gsize total)
{
	gsize filled = total > 0 ? done * BAR_WIDTH / total : 0;

	if (!progress->is_terminal ||
	    g_get_monotonic_time() - progress->started_us < G_USEC_PER_SEC)
		return;
	progress->shown = TRUE;
	g_autofree char *bar = g_strnfill(BAR_WIDTH, '.');
	memset(bar, '#', MIN(filled, BAR_WIDTH));
	fprintf(stderr, "\r%s [%s] %zu/%zu", what, bar, done, total);
	fflush(stderr);
}

void
progress_end(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
}
