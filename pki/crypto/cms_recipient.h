/*
 * cms_recipient - how a content key reaches one recipient: key transport (RSA) and key agreement
 * (EC), RFC 5652 section 6.2, RFC 3560 (OAEP), RFC 5753 (EC). The writing half; what both halves
 * of key agreement need is here too.
 */
#ifndef PKI_CRYPTO_CMS_RECIPIENT_H
#define PKI_CRYPTO_CMS_RECIPIENT_H

#include "pki/crypto/cms_encrypt.h"
#include "pki/crypto/tlv.h"
#include "pki/crypto/internal.h"

/* Appends the RecipientInfo that holds key for this certificate. */
gboolean cms_put_recipient(GByteArray *out, const struct cms_recipient *recipient,
			   const guint8 *key, gsize key_length, GError **error);

/* The key encryption key of RFC 5753 section 7.2: ECDH, X9.63 KDF over ECC-CMS-SharedInfo.
 * wrap is the whole AlgorithmIdentifier of the wrap, ukm may be NULL. */
struct cms_agreement {
	const char *digest;
	gboolean cofactor;
	struct tlv wrap;
	const struct tlv *ukm;
};
gboolean cms_agree(EVP_PKEY *own, EVP_PKEY *peer, const struct cms_agreement *agreement,
		   guint8 *kek, gsize kek_length);

#endif
