/*
 * cert_names - files in place of thumbprints: arguments of which the table says CERT|FILE.
 *
 * The name of a file with one certificate becomes the thumbprint of that certificate, so that a
 * trust list entry can be made before the store knows it. A thumbprint is never taken for a file.
 */
#ifndef ADMIN_CLI_CERT_NAMES_H
#define ADMIN_CLI_CERT_NAMES_H

#include "admin/cli/command_line.h"

gboolean cert_names_resolve(struct command_line *line, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* 8 digits at least, in any spelling. */
gboolean cert_name_is_thumbprint(const char *text);

#endif
