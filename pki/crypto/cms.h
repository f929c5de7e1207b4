/*
 * cms - what the CMS modules share: the choices, their names, the limits.
 *
 * RFC 5652 (CMS), 5083 and 5084 (AuthEnvelopedData, AES-GCM), 5753 (EC), 8551 (S/MIME 4.0).
 */
#ifndef PKI_CRYPTO_CMS_H
#define PKI_CRYPTO_CMS_H

#include <glib.h>

#define CMS_SIZE_UNKNOWN G_MAXUINT64

enum cms_digest {
	CMS_DIGEST_SHA256,
	CMS_DIGEST_SHA384,
	CMS_DIGEST_SHA512,
};

enum cms_scheme {
	CMS_SCHEME_PKCS1, /* for an EC key both mean ECDSA */
	CMS_SCHEME_PSS,
};

/* Weak to strong, so that a list of capabilities is a bit mask of 1 << cipher. */
enum cms_cipher {
	CMS_CIPHER_AES_128_CBC,
	CMS_CIPHER_AES_192_CBC,
	CMS_CIPHER_AES_256_CBC,
	CMS_CIPHER_AES_128_GCM,
	CMS_CIPHER_AES_256_GCM,
};
#define CMS_N_CIPHERS 5

enum cms_transport { /* for RSA recipients; EC ones have one way only */
		     CMS_TRANSPORT_PKCS1,
		     CMS_TRANSPORT_OAEP_SHA1,
		     CMS_TRANSPORT_OAEP_SHA256,
		     CMS_TRANSPORT_OAEP_SHA384,
		     CMS_TRANSPORT_OAEP_SHA512,
};

/* "sha256", the micalg of RFC 8551 is "sha-256": cms_digest_micalg. */
const char *cms_digest_name(enum cms_digest digest);
const char *cms_digest_micalg(enum cms_digest digest);
const char *cms_cipher_name(enum cms_cipher cipher); /* "aes-256-gcm" */
gboolean cms_cipher_is_aead(enum cms_cipher cipher);
gboolean cms_digest_from_name(const char *name, enum cms_digest *digest);
gboolean cms_cipher_from_name(const char *name, enum cms_cipher *cipher);

struct cms_limits {
	guint signers;         /* 16 */
	guint certs;           /* 64 in one object */
	guint recipients;      /* 5,000 */
	guint depth;           /* DER depth, 64 */
	gsize head_bytes;      /* all of an object but its content: 8 MiB */
	gsize tag_min_bytes;   /* shortest AEAD tag that is believed: 16, never under 12 */
	guint64 inflate_bytes; /* 200 MiB */
	guint inflate_factor;  /* 20 */
};

extern const struct cms_limits cms_limits_default;

#endif
