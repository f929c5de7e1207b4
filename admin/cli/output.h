/*
 * output - answers as people or scripts read them: aligned tables, JSON, CSV.
 *
 * Everything foreign passes printable() here, for tables and CSV alike; JSON escapes by itself.
 * Colours only on a terminal, and not with NO_COLOR. Threads: one.
 */
#ifndef ADMIN_CLI_OUTPUT_H
#define ADMIN_CLI_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

#include "admin/api/operation.h"
#include "admin/cli/command_line.h"

enum output_colour { OUTPUT_PLAIN, OUTPUT_COLOURED };

/* The text of an answer in this format. columns: as in the table of operations; "" a document. */
char *output_text(const char *columns, const json_t *answer, enum output_format format,
		  enum output_colour colour);
enum output_colour output_colour_of(FILE *stream);
/* Prints it; FALSE when standard output is gone. */
gboolean output_print(const char *columns, const json_t *answer, enum output_format format);

/* A bar on standard error, from the second second on, and only on a terminal. */
struct progress {
	gint64 started_us;
	gboolean shown;
	gboolean is_terminal;
};
void progress_start(struct progress *progress);
void progress_show(struct progress *progress, const char *what, gsize done, gsize total);
void progress_end(struct progress *progress);

#endif
