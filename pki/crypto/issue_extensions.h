/*
 * issue_extensions - a file of extensions in OpenSSL's syntax, made into their encodings (C16).
 *
 * One "name = value" a line, name by OpenSSL or an OID, value as in OpenSSL's configuration, with
 * sections of its own where a value names one (@section). Nothing is read beside the file: lines
 * that include others and variables are refused. What is reserved for the CA is refused, too.
 * Threads: any.
 */
#ifndef PKI_CRYPTO_ISSUE_EXTENSIONS_H
#define PKI_CRYPTO_ISSUE_EXTENSIONS_H

#include <glib.h>

#define EXTENSIONS_FILE_MAX_BYTES 65536
#define EXTENSIONS_MAX 50

struct issue_extension_text {
	char *name;  /* OpenSSL's short name, or the OID */
	char *value; /* as issue_extension takes it: "critical,DER:30:..." */
};

/* struct issue_extension_text; INVALID names the line's extension and what is wrong. */
GPtrArray *issue_extensions_parse(GBytes *file, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What a stored one says, for people. */
char *issue_extension_describe(const char *name, const char *value);

#endif
