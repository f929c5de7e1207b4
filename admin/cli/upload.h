/*
 * upload - contents of files and folders, as arguments of a call; and passwords.
 *
 * Folders are walked (regular files only, no links, sorted by name). A file that cannot be read
 * is reported and skipped when it came out of a folder, and is an error when it was named.
 */
#ifndef ADMIN_CLI_UPLOAD_H
#define ADMIN_CLI_UPLOAD_H

#include <jansson.h>

#include "admin/cli/command_line.h"
#include "store/base/secret.h"

#define UPLOAD_FILE_MAX_BYTES (64 * 1024 * 1024)
#define UPLOAD_FILES_MAX 2000000

/* Paths of all files; never NULL without *error. */
GStrv upload_expand(const char *const *paths, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* {"name", "content"}; "-" is standard input. New reference, or NULL with *error. */
json_t *upload_file(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

enum upload_ask { UPLOAD_ASK_NEVER, UPLOAD_ASK_ONCE, UPLOAD_ASK_TWICE };
/* From --NAME-file or --NAME-fd, else asked for on the terminal. NULL without *error: none. */
struct secret *upload_password(const struct command_line *line, const char *name,
			       const char *prompt, enum upload_ask ask, GError **error);

#endif
