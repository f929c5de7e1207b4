/*
 * ocsp_answer - the responder's half of OCSP: requests of anybody, and signed answers to them.
 *
 * A request is read without OpenSSL and without copying: its ids point into the caller's bytes.
 * What is signed is written anew from what was read, never copied out of a request but a nonce.
 * Limits first, trailing bytes are an error, and so are critical extensions that are not known;
 * a signature and a requestor's name are passed over unread, as RFC 5019 section 2.1.1 lets us.
 * Answers name the responder by its key, carry its certificate and always a nextUpdate.
 * RFC 6960, RFC 5019, RFC 8954, S/MIME BR 4.9.9 and 4.9.10. Threads: any.
 */
#ifndef PKI_CRYPTO_OCSP_ANSWER_H
#define PKI_CRYPTO_OCSP_ANSWER_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/key.h"
#include "pki/crypto/ocsp.h"

#define OCSP_REQUEST_MAX_BYTES (16 * 1024)
#define OCSP_ASKED_MAX 8 /* certificates in one request */
#define OCSP_SERIAL_MAX_BYTES 20
#define OCSP_HASH_MAX_BYTES 32

/* One CertID of a request; views into it. */
struct ocsp_id {
	enum algorithm hash; /* SHA1, SHA256; UNKNOWN for others */
	const guint8 *name_hash, *key_hash;
	const guint8 *serial; /* content of the INTEGER */
	gsize serial_length;
};

struct ocsp_inquiry {
	struct ocsp_id ids[OCSP_ASKED_MAX];
	gsize count;         /* 1 at least */
	const guint8 *nonce; /* NULL: none */
	gsize nonce_length;
};

/* The bytes stay the caller's and live longer. INVALID: malformedRequest. */
gboolean ocsp_inquiry_read(gconstpointer der, gsize length, struct ocsp_inquiry *inquiry,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* As cert_serial_hex; NULL for one that no certificate has (negative, zero). */
char *ocsp_id_serial(const struct ocsp_id *id);

/* What names an issuer in a CertID. */
struct ocsp_issuer_hashes {
	guint8 sha1_name[20], sha1_key[20];
	guint8 sha256_name[32], sha256_key[32];
};
void ocsp_issuer_hash(const struct cert *issuer, struct ocsp_issuer_hashes *hashes);
gboolean ocsp_id_is_of(const struct ocsp_id *id, const struct ocsp_issuer_hashes *issuer);

struct ocsp_single {
	enum algorithm hash; /* of the CertID: SHA1 or SHA256 */
	const char *serial_hex;
	enum ocsp_status status;
	gint64 revoked_at;      /* of OCSP_REVOKED */
	enum crl_reason reason; /* likewise; UNSPECIFIED is left out */
};
struct ocsp_answer_spec {
	const struct cert *issuer; /* of all */
	const struct ocsp_single *singles;
	gsize count;
	gint64 this_update, next_update; /* of all; producedAt is thisUpdate */
	const guint8 *nonce;             /* NULL: none */
	gsize nonce_length;
};
/* INVALID for a responder or a key that does not fit. */
GBytes *ocsp_answer_sign(const struct ocsp_answer_spec *spec, const struct cert *responder,
			 const struct key *key, GError **error) G_GNUC_WARN_UNUSED_RESULT;

enum ocsp_refusal { /* OCSPResponseStatus */
		    OCSP_MALFORMED = 1,
		    OCSP_INTERNAL = 2,
		    OCSP_TRY_LATER = 3,
		    OCSP_UNAUTHORIZED = 6,
};
GBytes *ocsp_answer_refuse(enum ocsp_refusal refusal) G_GNUC_WARN_UNUSED_RESULT;

#endif
