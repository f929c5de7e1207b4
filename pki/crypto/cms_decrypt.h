/*
 * cms_decrypt - EnvelopedData and AuthEnvelopedData, read as a stream.
 *
 * Nothing that reached content_out may be used, parsed, logged or counted unless the outcome is
 * CMS_DECRYPTED: only then was everything read and the tag or the padding right.
 * Refused without a try: AEAD outside of AuthEnvelopedData and other ciphers inside of it, a tag
 * shorter than the limit or other than announced, a nonce that is not 12 bytes. A PKCS#1 v1.5
 * failure goes on with a random key, so that it looks like any later failure (RFC 8551 section 6,
 * RFC 3218). Everything after the first use of a key ends in one outcome.
 * Errors: INVALID for what is no such object within the limits, found before a key was used;
 * else what source or sink failed with.
 */
#ifndef PKI_CRYPTO_CMS_DECRYPT_H
#define PKI_CRYPTO_CMS_DECRYPT_H

#include <glib.h>

#include "pki/crypto/cms.h"
#include "store/base/cleanup.h"
#include "store/base/sink.h"
#include "store/base/source.h"

struct cert;
struct key;
struct secret;

/* A key and the certificate under which a recipientInfo may name it. */
struct cms_decrypt_key {
	const struct cert *cert;
	const struct key *key;
};

enum cms_outcome {
	CMS_DECRYPTED,
	CMS_NO_KEY,        /* no recipientInfo names one of the keys: known before any decryption */
	CMS_UNSUPPORTED,   /* cipher, tag length, nonce …: known before any decryption */
	CMS_UNDECRYPTABLE, /* everything else, without a difference outside of the log */
};

struct cms_decrypt_report {
	enum cms_outcome outcome;
	char *reason;           /* for the log only */
	char *cipher;           /* "aes-256-gcm", or the OID in dots */
	gboolean authenticated; /* the cipher has a tag and it was right */
	gboolean legacy;        /* 3DES and older */
	char *transport;    /* "pkcs1", "oaep-sha256", "ecdh-sha256" … of the key that was used */
	gsize key_index;    /* which of the given keys; valid when decrypted */
	char *content_type; /* OID in dots of what is inside */
	guint64 content_size;
};

struct cms_decrypt_options {
	const struct cms_limits *limits; /* NULL: cms_limits_default */
	gboolean legacy_ciphers;         /* also 3DES; else CMS_UNSUPPORTED */
	const struct secret *password;   /* tried where there is a recipient for one, or NULL */
};

struct cms_decrypt_report *cms_decrypt(struct source *object, const struct cms_decrypt_key *keys,
				       gsize n_keys, const struct cms_decrypt_options *options,
				       struct sink *content_out,
				       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cms_decrypt_report_free(struct cms_decrypt_report *report);
DEFINE_CLEANUP(cms_decrypt_report, cms_decrypt_report_free)

#endif
