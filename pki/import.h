/*
 * import - files of every format (K6) into the stores, object by object.
 *
 * Each object is reported: new, already there, or rejected and why; one bad object does not stop
 * the rest, and a second import changes nothing. Keys are tied to certificates by their public
 * key, in any order (K9). Roots enter the root store only when asked. Threads: any.
 */
#ifndef PKI_IMPORT_H
#define PKI_IMPORT_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/secret.h"
#include "store/certs.h"

struct cert;
struct crl;
struct clock;
struct db;
struct keyring;
struct tx;

enum import_kind { IMPORT_CERT, IMPORT_CA, IMPORT_ROOT, IMPORT_KEY, IMPORT_CRL, IMPORT_UNKNOWN };
enum import_outcome { IMPORT_NEW, IMPORT_PRESENT, IMPORT_REJECTED };

struct import_item {
	enum import_kind kind;
	enum import_outcome outcome;
	char *id;      /* thumbprint, or SPKI digest of a key; NULL when rejected unread */
	char *subject; /* or what is known of it; printable */
	char *note;    /* why rejected; or a remark, e.g. "no key yet"; may be NULL */
};

struct import_report {
	GPtrArray *items; /* struct import_item * */
	guint added, present, rejected;
};

struct import_options {
	const char *name;        /* of the file, for messages and origin */
	struct secret *password; /* or NULL */
	const char *origin;      /* "import", "handler", "harvest"; NULL: "import" */
	gint64 request_id;
	gboolean as_roots; /* self-signed CA certificates enter the root store */
	gboolean pending;  /* certificates wait for an administrator (S1) */
};

/* An error only when nothing could be found out (database, wrong password for all of it). */
struct import_report *import_bytes(struct db *db, struct keyring *keyring, GBytes *bytes,
				   const struct import_options *options,
				   GError **error) G_GNUC_WARN_UNUSED_RESULT;
void import_report_free(struct import_report *report);
const char *import_kind_name(enum import_kind kind);          /* "certificate", "ca", ... */
const char *import_outcome_name(enum import_outcome outcome); /* "new", "already there", ... */

/* The row of a certificate as the store keeps it; the caller sets origin and the like. */
struct cert_row *cert_row_from(const struct cert *cert);
/* Into the certificate store; for handlers, CA and harvest. */
gboolean import_cert(struct tx *tx, const struct cert *cert, const struct import_options *options,
		     gboolean *is_new, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean import_root(struct tx *tx, const struct cert *cert, const char *source, gboolean *is_new,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A list of our own CA, whose certificate issuer is; NULL: as crl_load_in, but INVALID where the
   list would be kept without effect. */
gboolean import_crl(struct db *db, struct tx *tx, const struct crl *crl, const struct cert *issuer,
		    const char *source, gboolean *is_new, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(import_report, import_report_free)

#endif
