/*
 * output_list - rows under their columns, a page at a time.
 */
#include "admin/cli/output_list.h"

#include <string.h>

#include "admin/api/json_memory.h"
#include "admin/cli/output_cell.h"
#include "store/base/printable.h"

#define COLUMN_GAP 2
#define DIGEST_DIGITS 128 /* SHA-512 */
#define DIGEST_SHOWN 16

struct column {
	char *name;
	gsize cut; /* at most so many bytes in a table; 0: all */
	gsize width;
};

struct output_list {
	GArray *columns;
	enum output_format format;
	enum output_colour colour;
	gboolean begun;
	gboolean has_items; /* JSON: a comma comes before the next one */
};

/* "+NAME" is for CSV alone: a table would become too wide. */
static GArray *
columns_parse(const char *text, enum output_format format)
{
	GArray *columns = g_array_new(FALSE, TRUE, sizeof(struct column));
	g_auto(GStrv) words = g_strsplit(text, " ", -1);

	for (char **word = words; *word != NULL; word++) {
		gboolean only_csv = **word == '+';
		g_auto(GStrv) parts = g_strsplit(*word + (only_csv ? 1 : 0), ":", 2);
		struct column column = { 0 };

		if (only_csv && format != OUTPUT_CSV)
			continue;
		column.name = g_strdup(parts[0]);
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
item_cell(const json_t *item, const char *name)
{
	const json_t *value = json_object_get(item, name);

	return value != NULL ? output_cell_text(value) : g_strdup("");
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

		output_cell_coloured(out, cells[i], colour);
		if (i + 1 < columns->len)
			output_cell_blanks(out, column->width - output_cell_width(cells[i]) +
						    COLUMN_GAP);
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

static void
append_table(struct output_list *list, const json_t *items, GString *out)
{
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
	guint headings = list->begun ? 0 : 1;

	if (headings > 0)
		g_ptr_array_add(rows, row_cells(NULL, list->columns));
	for (gsize i = 0; i < json_array_size(items); i++)
		g_ptr_array_add(rows, row_cells(json_array_get(items, i), list->columns));
	for (guint r = 0; r < rows->len; r++) {
		char **cells = g_ptr_array_index(rows, r);

		for (guint i = 0; i < list->columns->len; i++) {
			struct column *column = &g_array_index(list->columns, struct column, i);

			column->width = MAX(column->width, output_cell_width(cells[i]));
		}
	}
	for (guint r = 0; r < rows->len; r++)
		append_row(out, list->columns, g_ptr_array_index(rows, r),
			   r < headings ? OUTPUT_PLAIN : list->colour);
}

static void
append_csv(struct output_list *list, const json_t *items, GString *out)
{
	for (guint i = 0; !list->begun && i < list->columns->len; i++)
		g_string_append_printf(out, "%s%s", i > 0 ? "," : "",
				       g_array_index(list->columns, struct column, i).name);
	if (!list->begun)
		g_string_append(out, "\r\n");
	for (gsize r = 0; r < json_array_size(items); r++) {
		for (guint i = 0; i < list->columns->len; i++) {
			const struct column *column =
			    &g_array_index(list->columns, struct column, i);
			g_autofree char *raw = item_cell(json_array_get(items, r), column->name);
			g_autofree char *cell = printable_csv(raw);

			g_string_append_printf(out, "%s%s", i > 0 ? "," : "", cell);
		}
		g_string_append(out, "\r\n");
	}
}

static void
append_json(struct output_list *list, const json_t *items, GString *out)
{
	if (!list->begun)
		g_string_append(out, "{\"items\": [");
	for (gsize i = 0; i < json_array_size(items); i++) {
		char *text = json_dumps(json_array_get(items, i), JSON_ENCODE_ANY);

		g_string_append_printf(out, "%s\n%s", list->has_items ? "," : "", text);
		list->has_items = TRUE;
		json_memory_free(text);
	}
}

struct output_list *
output_list_new(const char *columns, enum output_format format, enum output_colour colour)
{
	struct output_list *list = g_new0(struct output_list, 1);

	list->columns = columns_parse(columns, format);
	list->format = format;
	list->colour = colour;
	return list;
}

void
output_list_free(struct output_list *list)
{
	if (list == NULL)
		return;
	columns_free(list->columns);
	g_free(list);
}

void
output_list_page(struct output_list *list, const json_t *items, GString *out)
{
	switch (list->format) {
	case OUTPUT_TABLE:
		append_table(list, items, out);
		break;
	case OUTPUT_CSV:
		append_csv(list, items, out);
		break;
	case OUTPUT_JSON:
		append_json(list, items, out);
		break;
	}
	list->begun = TRUE;
}

void
output_list_end(struct output_list *list, const json_t *total, GString *out)
{
	if (list->format != OUTPUT_JSON)
		return;
	g_string_append(out, "\n]");
	if (total != NULL) {
		char *text = json_dumps(total, 0);

		g_string_append_printf(out, ", \"total\": %s", text);
		json_memory_free(text);
	}
	g_string_append(out, "}\n");
}
