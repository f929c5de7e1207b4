/*
 * cms_attributes - the signed attributes that we make (RFC 5652 section 11, RFC 8551 section 2.5).
 *
 * contentType, signingTime, messageDigest, SMIMECapabilities, and the encryption key preference
 * when a certificate is given. What does not change is encoded once. Immutable; threads: any.
 */
#ifndef PKI_CRYPTO_CMS_ATTRIBUTES_H
#define PKI_CRYPTO_CMS_ATTRIBUTES_H

#include <glib.h>

struct cert;
struct cms_attributes;

struct cms_attributes *cms_attributes_new(const struct cert *encryption_or_null,
					  gsize digest_length);
void cms_attributes_free(struct cms_attributes *attributes); /* NULL is fine */
/* The SET OF Attribute as it is signed. Owned by the caller. */
GByteArray *cms_attributes_make(const struct cms_attributes *attributes, gint64 now,
				const guint8 *digest);
gsize cms_attributes_size_max(const struct cms_attributes *attributes);

#endif
