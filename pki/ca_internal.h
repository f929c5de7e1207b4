/*
 * ca_internal - shared by ca.c, ca_create.c and ca_crl.c.
 */
#ifndef PKI_CA_INTERNAL_H
#define PKI_CA_INTERNAL_H

#include "pki/ca.h"
#include "pki/crypto/algorithms.h"

/* NULL is sha256; INVALID for what a CA does not sign with. */
gboolean ca_digest_parse(const char *name, enum algorithm *hash, GError **error);
char *ca_url(const char *template, const struct cert *issuer);
/* From the certificate store, else the root store. */
struct cert *ca_load_cert(struct db *db, const char *thumbprint, GError **error);

struct ca_crl_signer {
	const struct cert *cert;
	const struct key *key;
	enum algorithm hash; /* UNKNOWN: what fits the key */
	gint64 days;
};
/* Signs and stores one list. revocations: struct revocation_row, or NULL for none. */
GBytes *ca_crl_make(struct db *db, struct clock *clock, const struct ca_crl_signer *signer,
		    gint64 number, const GPtrArray *revocations, struct tx *tx, GError **error);

#endif
