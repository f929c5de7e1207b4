/*
 * authority_installer - scripts that install a root (C14): made on demand, with nothing secret.
 *
 * Each holds the certificate and its SHA-256, looks at that before it does anything, says what it
 * does, and does no harm when run again; --remove (-Remove) takes the root back. Texts of the
 * certificate stand in them only with characters that no shell gives a meaning.
 */
#ifndef ADMIN_API_AUTHORITY_INSTALLER_H
#define ADMIN_API_AUTHORITY_INSTALLER_H

#include <glib.h>

struct cert;

char *authority_installer_linux(const struct cert *root);
/* For PowerShell 5 and later; not tried on Windows. */
char *authority_installer_windows(const struct cert *root);
/* "AB:CD:..." of lower-case hex. */
char *authority_fingerprint(const char *hex);

#endif
