/*
 * ocsp_fixture - a responder in the process: answers of every kind, right and wrong.
 */
#ifndef TESTS_UNIT_PKI_OCSP_FIXTURE_H
#define TESTS_UNIT_PKI_OCSP_FIXTURE_H

#include <glib.h>

#include "pki/crypto/ocsp.h"
#include "tests/unit/pki/cert_fixture.h"

/* One certificate within an answer. */
struct answer_single {
	const struct node *cert, *issuer;
	enum ocsp_status status;
	gint64 revoked_at;     /* 0: a day before PKI_NOW */
	int reason;            /* 0: none is given */
	gint64 this_update;    /* 0: an hour before PKI_NOW */
	gint64 next_update;    /* 0: a day after PKI_NOW; CLOCK_NEVER: none */
	const char *digest;    /* of the CertID; NULL: SHA1 */
	const char *extension; /* OID of a critical extension, or NULL */
};

struct answer {
	int status; /* OCSP_RESPONSE_STATUS_…; 0: successful */
	struct answer_single singles[4];
	const struct node *signer;
	const struct node *named;    /* who the answer says has signed; NULL: signer */
	const struct node *certs[3]; /* that come along */
	gboolean by_key;
	const char *digest;    /* of the signature; NULL: SHA256 */
	gint64 produced_at;    /* 0: an hour before PKI_NOW */
	const char *nonce;     /* 16 bytes, or NULL */
	const char *extension; /* OID of a critical extension, or NULL */
	gboolean spoilt;       /* one bit of the signature turned */
	gboolean pss;          /* RSA signers only */
};

/* The DER; never fails. */
GBytes *answer_make(const struct answer *answer);
/* `tail` bytes of zero behind it. */
GBytes *answer_lengthen(GBytes *answer, gsize tail);

#endif
