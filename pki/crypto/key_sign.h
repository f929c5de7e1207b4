/*
 * key_sign - a bare signature with SHA-256: PKCS#1 v1.5 of RSA keys, DER-encoded ECDSA of EC keys.
 *
 * Proof of possession towards a CA; mail is signed in cms_sign. Threads: any.
 */
#ifndef PKI_CRYPTO_KEY_SIGN_H
#define PKI_CRYPTO_KEY_SIGN_H

#include <glib.h>

#include "pki/crypto/key.h"

GBytes *key_sign_sha256(const struct key *key, GBytes *bytes,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
