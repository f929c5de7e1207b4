/*
 * run_internal - what run.c and run_files.c share.
 */
#ifndef ADMIN_CLI_RUN_INTERNAL_H
#define ADMIN_CLI_RUN_INTERNAL_H

#include "admin/cli/run.h"

void run_fail(struct client_answer *answer, const GError *problem);
/* One call; a question back is put to the person. */
void run_once(struct client *client, const struct command_line *line, json_t *arguments,
	      struct client_answer *answer);
/* Prints the text and empties it; FALSE when standard output is gone. */
gboolean run_print_text(GString *text);
void run_print_total(const json_t *total);
/* The files of this argument in as many calls as it takes. When that are several, their lines
 * are printed as they come, and the answer's document is null: nothing is left to print. */
void run_with_files(struct client *client, const struct command_line *line,
		    const struct argument *argument, json_t *arguments,
		    struct client_answer *answer);

#endif
