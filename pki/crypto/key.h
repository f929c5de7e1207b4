/*
 * key - one private key; immutable and shared.
 *
 * Its identity is the SHA-256 of the SubjectPublicKeyInfo, the same text that a certificate
 * gives (K9). A key leaves as a struct secret only; everybody but keyring and import takes it
 * as an argument and hands it on. Threads: any; OpenSSL's EVP_PKEY is safe for shared reading.
 */
#ifndef PKI_CRYPTO_KEY_H
#define PKI_CRYPTO_KEY_H

#include <glib.h>

#include "pki/crypto/algorithms.h"
#include "pki/crypto/cert.h"
#include "store/base/cleanup.h"
#include "store/base/secret.h"

#define KEY_SIZE_MAX_BYTES (64 * 1024)

struct key;

/* RSA 2048/3072/4096 or EC with the bits of its curve (256, 384, 521); others are refused. */
struct key *key_generate(enum key_kind kind, unsigned int bits,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes an unencrypted PKCS#8 PrivateKeyInfo in DER; trailing bytes are an error. */
struct key *key_parse_pkcs8(const struct secret *der, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct secret *key_to_pkcs8(const struct key *key, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct key *key_ref(struct key *key);
void key_unref(struct key *key); /* NULL is fine */

const char *key_spki_sha256(const struct key *key); /* belongs to the key */
GBytes *key_spki(const struct key *key);            /* SubjectPublicKeyInfo in DER; borrowed */
enum key_kind key_kind(const struct key *key);
unsigned int key_bits(const struct key *key);
const char *key_text(const struct key *key); /* "RSA 2048", "EC P-256" */
gboolean key_fits(const struct key *key, const struct cert *cert);

DEFINE_CLEANUP(key, key_unref)

#endif
