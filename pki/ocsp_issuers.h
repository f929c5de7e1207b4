/*
 * ocsp_issuers - the certificates of ours that issue, as OCSP requests name them.
 *
 * Several that have one name and one key (a renewed CA) are one issuer: a CertID cannot tell them
 * apart, and serials are unique below the name. One that waits for an external root, or has left
 * the store, is not among them. Immutable and counted. Threads: any.
 */
#ifndef PKI_OCSP_ISSUERS_H
#define PKI_OCSP_ISSUERS_H

#include <glib.h>

#include "pki/crypto/ocsp_answer.h"
#include "store/base/cleanup.h"

struct db;

struct ocsp_issuer {
	struct cert *cert; /* the one that lasts longest */
	struct ocsp_issuer_hashes hashes;
	GArray *ca_ids;   /* gint64 */
	GPtrArray *roots; /* thumbprints of roots */
	/* Its own key is known to others: nothing below it is good any more (RFC 6960 2.7). */
	gint64 compromised_at; /* CLOCK_NEVER: it is not */
};

struct ocsp_issuers;

struct ocsp_issuers *ocsp_issuers_load(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct ocsp_issuers *ocsp_issuers_ref(struct ocsp_issuers *issuers);
void ocsp_issuers_unref(struct ocsp_issuers *issuers); /* NULL is fine */
/* Belongs to the list; NULL: none of ours. */
const struct ocsp_issuer *ocsp_issuers_find(const struct ocsp_issuers *issuers,
					    const struct ocsp_id *id);
const struct ocsp_issuer *ocsp_issuers_by_key(const struct ocsp_issuers *issuers,
					      const char *issuer_key, const char *issuer_spki);
gsize ocsp_issuers_count(const struct ocsp_issuers *issuers);
const struct ocsp_issuer *ocsp_issuers_nth(const struct ocsp_issuers *issuers, gsize i);

DEFINE_CLEANUP(ocsp_issuers, ocsp_issuers_unref)

#endif
