/*
 * ca_issuing - what a CA needs to issue, in one query, and its books of what it issued.
 *
 * The books know every serial that a CA of ours gave, also when the certificate has left the store.
 * Threads: any.
 */
#ifndef STORE_CA_ISSUING_H
#define STORE_CA_ISSUING_H

#include "store/cas.h"

struct ca_extension_row { /* of a site's own (C16) */
	char *profile;    /* "": all */
	char *name, *value;
};

struct ca_issuing {
	struct ca_row *ca;
	struct ca_defaults *defaults;
	GPtrArray *extensions; /* struct ca_extension_row */
	GStrv urls;            /* distribution points known of the present part of its CRL */
	gboolean key_revoked;  /* a certificate with this key was revoked here */
};

/* struct ca_issuing: the CA of this name or thumbprint, or for NULL all, the default first. Empty:
 * none. spki_sha256: of the key that is to be certified; may be NULL. */
GPtrArray *ca_issuing_find(struct tx *tx, const char *ca, const char *spki_sha256,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A certificate of the certificate or root store, DER; NOT_FOUND. */
GBytes *ca_issuing_cert(struct tx *tx, const char *thumbprint,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct ca_issued_row {
	gint64 ca_id;
	char *serial;
	gint64 partition;
	gint64 not_after;
	char *profile;
};
/* *is_new FALSE: this serial was given before. */
gboolean ca_issued_insert(struct tx *tx, const struct ca_issued_row *row, gboolean *is_new,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All are new, or it fails with TEMPORARY. */
gboolean ca_issued_insert_many(struct tx *tx, const struct ca_issued_row *rows, gsize n,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *row NULL: never issued. */
gboolean ca_issued_find(struct db *db, gint64 ca_id, const char *serial, struct ca_issued_row **row,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ca_issued_find_in_tx(struct tx *tx, gint64 ca_id, const char *serial,
			      struct ca_issued_row **row, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* --- extensions (C16) --- */
GPtrArray *ca_extensions_list(struct db *db, gint64 ca_id,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All of a profile ("": of all) at once; rows empty removes them. */
gboolean ca_extensions_replace(struct tx *tx, gint64 ca_id, const char *profile,
			       const GPtrArray *rows, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void ca_issuing_free(struct ca_issuing *issuing);
void ca_issued_row_free(struct ca_issued_row *row);
void ca_extension_row_free(struct ca_extension_row *row);
DEFINE_CLEANUP(ca_issued_row, ca_issued_row_free)

#endif
