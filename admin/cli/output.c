/*
 * output - rendering of JSON answers.
 */
#include "admin/cli/output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/api/json_memory.h"
#include "admin/cli/output_cell.h"
#include "admin/cli/output_list.h"
#include "store/base/printable.h"
#include "store/base/secret.h"

#define BAR_WIDTH 30

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

	output_cell_blanks(out, indent);
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
		g_autofree char *item = output_cell_text(json_array_get(value, i));

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
	output_cell_blanks(out, indent);
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
	g_autofree char *raw = output_cell_text(value);
	g_autofree char *safe = printable_cell(raw, CELL_MAX_BYTES);
	g_string_append_printf(out, "%s:", label);
	output_cell_blanks(out, *safe != '\0' ? width - output_cell_width(label) + 1 : 0);
	output_cell_coloured(out, safe, colour);
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
		g_autofree char *raw = output_cell_text(document);
		g_autofree char *safe = printable_cell(raw, CELL_MAX_BYTES);

		output_cell_blanks(out, indent);
		g_string_append_printf(out, "%s\n", safe);
		return;
	}
	json_object_foreach((json_t *)document, name, value) if (!is_nested(value)) width =
	    MAX(width, output_cell_width(name));
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
			append_pair(out, name, value, 0, output_cell_width(name), colour);
			continue;
		}
		g_string_append_printf(out, "%s:\n", name);
		for (gsize i = 0; i < json_array_size(value); i++) {
			g_autofree char *raw = output_cell_text(json_array_get(value, i));
			g_autofree char *safe = printable_cell(raw, CELL_MAX_BYTES);

			g_string_append_printf(out, "  %zu. %s\n", i + 1, safe);
		}
	}
}

static char *
list_text(const char *columns, const json_t *answer, enum output_format format,
	  enum output_colour colour)
{
	CLEANUP(output_list)
	struct output_list *list = output_list_new(columns, format, colour);
	GString *out = g_string_new(NULL);

	output_list_page(list, json_object_get(answer, "items"), out);
	if (format == OUTPUT_CSV)
		return g_string_free(out, FALSE);

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
		return list_text(columns, answer, format, colour);
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
