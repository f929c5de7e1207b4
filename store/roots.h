/*
 * roots - the root store: trust anchors, apart from the certificate store (T1).
 *
 * Threads: any.
 */
#ifndef STORE_ROOTS_H
#define STORE_ROOTS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct root_row {
	char *thumbprint;
	GBytes *der;
	char *subject, *subject_key, *serial;
	gint64 not_before, not_after;
	char *spki_sha256, *ski; /* ski: NULL when it has none */
	char *source;            /* "import", "ca", "system-email", "system-any" */
	char *comment;           /* or NULL */
	gint64 created;          /* set by the store */
};

gboolean roots_insert(struct tx *tx, const struct root_row *row, gboolean *is_new,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean roots_delete(struct tx *tx, const char *thumbprint,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct root_row *roots_find(struct db *db, const char *thumbprint,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All of them, with DER; struct root_row *. There are hundreds, not millions. */
GPtrArray *roots_all(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gint64 roots_count(struct db *db, GError **error); /* -1 on failure */

void root_row_free(struct root_row *row);
DEFINE_CLEANUP(root_row, root_row_free)

#endif
