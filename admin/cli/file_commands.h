/*
 * file_commands - what needs neither daemon nor database: cert show and verify, message ….
 *
 * The answer has the same form as one of the daemon. Threads: one.
 */
#ifndef ADMIN_CLI_FILE_COMMANDS_H
#define ADMIN_CLI_FILE_COMMANDS_H

#include <jansson.h>

#include "admin/cli/command_line.h"

/* Is it done here? METHOD_FILE, and `cert show` of something that is a file. */
gboolean file_command_is(const struct command_line *line);
/* New reference, or NULL with *error. *exit_status: 1 for a negative verdict. */
json_t *file_command_run(const struct command_line *line, int *exit_status, GError **error);

#endif
