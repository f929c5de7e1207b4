/*
 * ocsp - what OCSP responders answered, one row for each certificate that was asked about.
 *
 * A row is of one CertID: name and key of the issuer, serial. It was verified when it came in. Who
 * is revoked stays so (T6): only certificateHold is lifted, by a newer answer; an older answer
 * never replaces a newer one. A failure leaves the answer and moves the next try away.
 * Threads: any.
 */
#ifndef STORE_OCSP_H
#define STORE_OCSP_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum ocsp_row_status { OCSP_ROW_NONE, OCSP_ROW_GOOD, OCSP_ROW_REVOKED, OCSP_ROW_UNKNOWN };

struct ocsp_row {
	char *issuer_key, *issuer_spki, *serial; /* as cert_issuer_key, cert_spki_sha256 … */
	enum ocsp_row_status status;             /* NONE: never answered */
	gint64 this_update, next_update;         /* CLOCK_NEVER when status is NONE */
	gint64 revoked_at;                       /* of REVOKED */
	gint reason;
	char *url;       /* of the responder that was asked last, printable */
	char *host;      /* its scheme, name and port */
	gint64 answered; /* when the answer came; CLOCK_NEVER: never */
	gint64 last_try; /* CLOCK_NEVER: never */
	gint64 next_try; /* not before; it is also when the answer should be refreshed */
	gint attempts;   /* that failed since the last answer */
	char *error;     /* why the last one failed, printable; NULL: it did not */
	gint64 wanted;   /* when a judgement last asked for it */
};

enum ocsp_outcome {
	OCSP_STORED,
	OCSP_KEPT_REVOKED, /* who was revoked stays so */
	OCSP_KEPT_NEWER,   /* the store has a later answer */
};

/* Rows of certificates, by pairs of issuer_key and serial, in any order. */
GPtrArray *ocsp_by_certs(struct db *db, const char *const *issuer_keys, const char *const *serials,
			 gsize n, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is there any row at all? Sites without OCSP never ask for more. */
gboolean ocsp_present(struct db *db, gboolean *present, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* An answer: all of row but attempts, error and last_try; failures are forgotten. wanted
 * CLOCK_NEVER: stays as it is. Appends CHANGE_OCSP. */
gboolean ocsp_put_answer(struct tx *tx, const struct ocsp_row *row, enum ocsp_outcome *outcome,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A question that failed: counted, with url, host, error, next_try; the answer stays. Appends
 * CHANGE_OCSP. */
gboolean ocsp_put_failure(struct tx *tx, const struct ocsp_row *row,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Certificates that were asked about after since and not after until, for limits: all, and those
 * whose last question failed at this host. */
gboolean ocsp_count_between(struct db *db, gint64 since, gint64 until, const char *host,
			    gint64 *asked, gint64 *failed,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Drops what nobody wanted since; who is revoked stays. */
gboolean ocsp_forget(struct tx *tx, gint64 unwanted_since,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;

const char *ocsp_row_status_name(enum ocsp_row_status status); /* "good" …, "" for NONE */
void ocsp_row_free(struct ocsp_row *row);
DEFINE_CLEANUP(ocsp_row, ocsp_row_free)

#endif
