/*
 * jws - signed JSON as ACME wants it: flattened serialisation (RFC 7515 section 7.2.2), keys as JWK
 * and their thumbprints (RFC 7638).
 *
 * RS256 for RSA, ES256, ES384 and ES512 for EC, HS256 for the binding of an account to a contract.
 * JSON goes in and comes out as text; nothing is parsed here. Threads: any. Results belong to the
 * caller.
 */
#ifndef PKI_CRYPTO_JWS_H
#define PKI_CRYPTO_JWS_H

#include <glib.h>

#include "pki/crypto/key.h"
#include "store/base/secret.h"

/* base64url without padding (RFC 7515 section 2). */
char *jws_base64url(gconstpointer bytes, gsize length);
/* Padding may be there; anything else outside of the alphabet is INVALID. */
GBytes *jws_base64url_decode(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same for a secret: what is decoded stays in locked memory. */
struct secret *jws_secret_decode(const struct secret *text,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* base64url of the SHA-256 of a text: digests of key authorizations. */
char *jws_digest(const char *text);

/* "ES256"; NULL when keys of this kind sign nothing here. */
const char *jws_algorithm(const struct key *key);
/* The public key, required members only, in the order that its thumbprint needs. */
char *jws_jwk(const struct key *key, GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *jws_thumbprint(const struct key *key, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* {"protected":...,"payload":...,"signature":...} */
char *jws_sign(const struct key *key, const char *protected_header, const char *payload,
	       GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *jws_sign_hmac(const struct secret *key, const char *protected_header, const char *payload,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
