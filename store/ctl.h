/*
 * ctl - the certificate trust list (T3, T4): allow or deny by thumbprint.
 *
 * An entry can exist before its certificate does. Threads: any.
 */
#ifndef STORE_CTL_H
#define STORE_CTL_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum ctl_kind { CTL_KIND_ALLOW, CTL_KIND_DENY };

struct ctl_row {
	char *thumbprint;
	enum ctl_kind kind;
	gboolean allow_expired;  /* with allow only */
	char *comment;           /* or NULL */
	gint64 created, changed; /* set by the store */
	char *subject;           /* read only: of the certificate or root if it is here, or NULL */
};

/* Adds or replaces. INVALID for allow_expired with deny. */
gboolean ctl_put(struct tx *tx, const struct ctl_row *row,
		 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ctl_remove(struct tx *tx, const char *thumbprint,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT; /* NOT_FOUND when absent */
struct ctl_row *ctl_find(struct db *db, const char *thumbprint,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Entries for any of these; struct ctl_row *, those without an entry are left out. One query. */
GPtrArray *ctl_by_thumbprints(struct db *db, const char *const *thumbprints, gsize n,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* In order of thumbprints, those after this one (NULL: from the start). */
GPtrArray *ctl_list(struct db *db, const char *after, gint limit,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *ctl_mark(const struct ctl_row *row); /* "allow", "allow-expired", "deny" */

void ctl_row_free(struct ctl_row *row);
DEFINE_CLEANUP(ctl_row, ctl_row_free)

#endif
