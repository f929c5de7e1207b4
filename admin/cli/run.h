/*
 * run - from a command line to calls of the daemon, and from their answers to output.
 *
 * Uploads of many files go in several calls, whose answers are joined. An answer that asks back
 * ("confirm") is put to the person at the terminal. Threads: one.
 */
#ifndef ADMIN_CLI_RUN_H
#define ADMIN_CLI_RUN_H

#include "admin/cli/client.h"
#include "admin/cli/command_line.h"

/* Always fills in *answer. */
void run_call(struct client *client, const struct command_line *line, struct client_answer *answer);
/* --all of a list: asks for page after page and prints each as it comes. Always fills in *answer,
 * whose document stays NULL. */
gboolean run_wants_all(const struct command_line *line);
void run_all(struct client *client, const struct command_line *line, struct client_answer *answer);
/* Prints the answer, or writes the files in it to --output. */
gboolean run_print(const struct command_line *line, const json_t *answer,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
