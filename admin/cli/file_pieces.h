/*
 * file_pieces - what commands on files have in common: passwords, times, complaints.
 */
#ifndef ADMIN_CLI_FILE_PIECES_H
#define ADMIN_CLI_FILE_PIECES_H

#include "admin/cli/command_line.h"
#include "pki/crypto/chain.h"
#include "store/base/secret.h"

/* A file_broken_func: one line on standard error. */
void file_command_broken(const char *path, const char *why, gpointer data);
/* Asks on the terminal only when one of the files needs it. NULL without *error: none. */
struct secret *file_command_password(const struct command_line *line, const char *const *paths,
				     GError **error);
gboolean file_command_time(const struct command_line *line, gint64 *at,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
enum chain_revocation file_command_revocation(const struct command_line *line);

#endif
