/*
 * ca_internal - shared by the files of the built-in CA.
 */
#ifndef PKI_CA_INTERNAL_H
#define PKI_CA_INTERNAL_H

#include "pki/ca.h"
#include "pki/ca_crl.h"
#include "pki/ca_profile.h"
#include "pki/crypto/algorithms.h"
#include "pki/crypto/issue.h"

/* NULL is sha256; INVALID for what a CA does not sign with. */
gboolean ca_digest_parse(const char *name, enum algorithm *hash, GError **error);

enum ca_url { CA_URL_CRL, CA_URL_CERT, CA_URL_OCSP };
/* The default's own, or one below public_url; NULL: neither. */
char *ca_url_of(const struct ca_context *context, const struct ca_defaults *defaults,
		enum ca_url kind, const struct cert *issuer, gint64 partition);
const char *ca_key_id(const struct cert *cert); /* hex; what files are named for */

/* From the certificate store, else the root store. */
struct cert *ca_load_cert(struct db *db, const char *thumbprint, GError **error);
/* The same in a transaction; parsed once a process. */
struct cert *ca_known_cert(struct tx *tx, const char *thumbprint, GError **error);

/* What a subject becomes under a profile. */
struct ca_names {
	const struct ca_profile *profile;
	struct issue_names names;
	char *email, *common_name, *first_name, *last_name; /* owned by names */
	const char *emails[2];
};
/* profile: "smime" or the like; the row is chosen here. INVALID names what is missing. */
gboolean ca_names_make(struct ca_names *made, const char *profile, const struct ca_subject *subject,
		       const struct ca_defaults *defaults, GPtrArray *warnings, GError **error);
void ca_names_clear(struct ca_names *made);

/* Adds a sentence unless it is there; warnings may be NULL. */
void ca_warn(GPtrArray *warnings, const char *format, ...) G_GNUC_PRINTF(2, 3);

struct ca_crl_signer {
	const struct cert *cert;
	const struct key *key;
	enum algorithm hash; /* UNKNOWN: what fits the key */
	gint64 days;
	gint64 number;
	gint64 partition_entries;
};
/* Signs and stores the lists of all parts. revocations: struct revocation_row, or NULL for none;
 * *first (may be NULL): the DER of the first part, owned by the caller. */
gboolean ca_crl_make(const struct ca_context *context, const struct ca_crl_signer *signer,
		     const GPtrArray *revocations, GBytes **first, struct tx *tx, GError **error);
/* No list of ours gets a smaller number: see cas_next_crl_number. */
gint64 ca_crl_number_least(const struct ca_context *context);
/* A root of ours by its own thumbprint or name; NULL: it is none. */
struct ca_root_row *ca_named_root(struct tx *tx, const char *name);

#endif
