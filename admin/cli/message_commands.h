/*
 * message_commands - message show, verify, decrypt, sign, encrypt on files (milter/file_message.h).
 */
#ifndef ADMIN_CLI_MESSAGE_COMMANDS_H
#define ADMIN_CLI_MESSAGE_COMMANDS_H

#include <jansson.h>

#include "admin/cli/command_line.h"

/* New reference; null when the result went to standard output. NULL with *error. */
json_t *message_command_run(const struct command_line *line, int *exit_status, GError **error);

#endif
