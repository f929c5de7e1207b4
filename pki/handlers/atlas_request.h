/*
 * atlas_request - the body of a GlobalSign Atlas certificate request, built from the account's
 * validation policy.
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * What the policy sets by itself (STATIC) or does not know is not sent; what it asks for and we do
 * not have, and what does not fit its expressions, is refused here with the reason, before the
 * peer counts it. An expression that cannot be read is left to the peer. Pure. Threads: any.
 */
#ifndef PKI_HANDLERS_ATLAS_REQUEST_H
#define PKI_HANDLERS_ATLAS_REQUEST_H

#include <glib.h>
#include <jansson.h>

#include "pki/crypto/algorithms.h"

/* NULL: not there. */
struct atlas_subject {
	const char *common_name, *email, *given_name, *surname, *organization;
	const char *organization_identifier, *country, *state, *locality, *street_address;
	const char *postal_code, *serial_number;
	const char *const *organizational_units;
};

enum atlas_pop { ATLAS_POP_NONE, ATLAS_POP_SIGNATURE, ATLAS_POP_PKCS10 };

struct atlas_wish {
	struct atlas_subject subject;
	const char *const *emails, *const *dns_names; /* of the subjectAltName; NULL: none */
	gboolean sign, encrypt;                       /* what the key is for */
	gint64 now, seconds;                          /* of validity; 0: the policy's maximum */
	enum key_kind key_kind;
	unsigned int key_bits;
	GBytes *spki;        /* DER */
	const char *csr_pem; /* for PKCS10 */
	GBytes *signature;   /* over spki, for SIGNATURE; see atlas_pop_of */
};

/* What the policy wants as proof that we hold the key; configured: "auto" or which. */
enum atlas_pop atlas_pop_of(const json_t *policy, const char *configured);
/* INVALID says what does not fit and why; free with json_decref. */
json_t *atlas_request_build(const json_t *policy, const struct atlas_wish *wish, enum atlas_pop pop,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What the policy lets through, in a sentence for an administrator; the caller's. */
char *atlas_policy_describe(const json_t *policy);

#endif
