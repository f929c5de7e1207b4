/*
 * output_list - a list as table, CSV or JSON, page by page, so that one of millions of rows is
 * never held in memory.
 *
 * The first page brings the headings. In a table a later page may be wider than the ones before.
 * Columns as in the table of operations: NAME, NAME:N is cut to N characters in a table, +NAME
 * stands in CSV alone. Pure.
 */
#ifndef ADMIN_CLI_OUTPUT_LIST_H
#define ADMIN_CLI_OUTPUT_LIST_H

#include <jansson.h>

#include "admin/cli/output.h"
#include "store/base/cleanup.h"

struct output_list;

struct output_list *output_list_new(const char *columns, enum output_format format,
				    enum output_colour colour);
void output_list_free(struct output_list *list);
void output_list_page(struct output_list *list, const json_t *items, GString *out);
/* total: of all pages, for JSON; NULL: none. */
void output_list_end(struct output_list *list, const json_t *total, GString *out);

DEFINE_CLEANUP(output_list, output_list_free)

#endif
