/*
 * ca_revocations - what we revoked ourselves: entries of the next lists of our CAs and roots.
 *
 * Of a certificate on hold the row may change; every other one is for ever, until it leaves the
 * list after the certificate's end. Threads: any.
 */
#ifndef STORE_CA_REVOCATIONS_H
#define STORE_CA_REVOCATIONS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct revocation_row {
	gint64 ca_id; /* 0: of a root */
	char *serial; /* lower-case hex without leading zeros */
	gint64 revoked_at;
	gint reason;
	char *comment;     /* or NULL */
	gint64 partition;  /* part of the list that names it */
	gint64 not_after;  /* of the certificate; CLOCK_NEVER: not known */
	char *spki_sha256; /* of its key; NULL: not known */
};

/* *is_new FALSE: it is revoked already. */
gboolean cas_revoke(struct tx *tx, const struct revocation_row *row, gboolean *is_new,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *row NULL: it is not revoked. */
gboolean cas_revocation(struct tx *tx, gint64 ca_id, const char *serial,
			struct revocation_row **row, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* From hold to a reason for ever; the date stays. */
gboolean cas_revocation_set_reason(struct tx *tx, gint64 ca_id, const char *serial, gint reason,
				   GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean cas_revocation_remove(struct tx *tx, gint64 ca_id, const char *serial,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *cas_revocations(struct tx *tx, gint64 ca_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean cas_forget_revocations(struct tx *tx, gint64 ca_id,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same for intermediates below a root of ours; their CAs issue nothing from then on. */
gboolean ca_roots_revoke(struct tx *tx, const char *root, const struct revocation_row *row,
			 gboolean *is_new, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *ca_roots_revocations(struct tx *tx, const char *root,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ca_roots_forget_revocations(struct tx *tx, const char *root,
				     GError **error) G_GNUC_WARN_UNUSED_RESULT;

void revocation_row_free(struct revocation_row *row);
DEFINE_CLEANUP(revocation_row, revocation_row_free)

#endif
