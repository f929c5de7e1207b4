/*
 * output_cell - single values of answers as text: what tables, CSV and documents are made of.
 *
 * The text is not yet printable: printable_cell or printable_csv comes after. Pure.
 */
#ifndef ADMIN_CLI_OUTPUT_CELL_H
#define ADMIN_CLI_OUTPUT_CELL_H

#include <jansson.h>

#include "admin/cli/output.h"

#define CELL_MAX_BYTES 4096

char *output_cell_text(const json_t *value);
/* Words of verdicts and outcomes in their colour, all others as they are. */
void output_cell_coloured(GString *out, const char *text, enum output_colour colour);
void output_cell_blanks(GString *out, gsize count);
/* Columns that a text takes on a terminal, roughly. */
gsize output_cell_width(const char *text);

#endif
