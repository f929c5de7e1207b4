/*
 * crls - certificate revocation lists and their entries.
 *
 * A CRL's signature is checked when it comes in; afterwards its entries are looked up as rows by
 * (issuer, serial). A newer CRL of the same issuer and scope replaces the older one. Threads: any.
 */
#ifndef STORE_CRLS_H
#define STORE_CRLS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct crl_row {
	gint64 id;                       /* set by the store */
	char *thumbprint;                /* SHA-512 hex of the DER */
	GBytes *der;                     /* NULL in lists */
	char *issuer, *issuer_key;       /* issuer_key: SHA-256 hex of the canonical name */
	char *aki;                       /* hex, or NULL */
	char *number;                    /* hex as the certificate gives it, or NULL */
	char *base_number;               /* of a delta CRL, else NULL */
	gint64 this_update, next_update; /* next_update CLOCK_NEVER: none */
	char *scope;    /* hex digest of the issuingDistributionPoint, "" when there is none */
	char *source;   /* URL, file name or "ca" */
	gint64 entries; /* count; set by the store */
	gint64 created; /* set by the store */
};

struct revoked_row {
	char *serial;     /* hex as the certificate gives it */
	char *issuer_key; /* NULL: the CRL's issuer (else an indirect CRL's entry) */
	gint64 revoked_at;
	gint reason; /* RFC 5280 5.3.1; 0: unspecified */
};

enum crl_outcome { CRL_STORED, CRL_ALREADY_THERE, CRL_OLDER };

/* entries: struct revoked_row *. An older one than the store's is not stored (CRL_OLDER). */
gboolean crls_insert(struct tx *tx, const struct crl_row *row, const GPtrArray *entries,
		     enum crl_outcome *outcome, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean crls_delete(struct tx *tx, const char *thumbprint,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct crl_row *crls_find(struct db *db, const char *thumbprint,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With DER: all CRLs of these issuers (issuer_key). One query. */
GPtrArray *crls_by_issuers(struct db *db, const char *const *issuer_keys, gsize n,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *crls_list(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The newest CRL of an issuer and key (aki may be NULL); NOT_FOUND when there is none. */
struct crl_row *crls_newest(struct db *db, const char *issuer_key, const char *aki,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All entries of one CRL; struct revoked_row *. */
GPtrArray *crls_entries(struct db *db, gint64 crl_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is it on any CRL of the store? *found FALSE when not; *entry's strings are not set. */
gboolean crls_revoked(struct db *db, const char *issuer_key, const char *serial, gboolean *found,
		      struct revoked_row *entry, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void crl_row_free(struct crl_row *row);
void revoked_row_free(struct revoked_row *entry);
DEFINE_CLEANUP(crl_row, crl_row_free)

#endif
