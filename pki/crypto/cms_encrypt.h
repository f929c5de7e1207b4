/*
 * cms_encrypt - EnvelopedData (RFC 5652 section 6) and AuthEnvelopedData (RFC 5083) as a stream.
 *
 * The cipher decides the type: CBC gives EnvelopedData, GCM AuthEnvelopedData. Recipients are
 * named by issuer and serial number, never by key identifier. RSA and EC recipients do not share
 * one object unless mixed_kinds says so: some readers cannot open an object that holds a single
 * EC recipient. Output: DER when the size of the content is known, else indefinite lengths in
 * the shape that OpenSSL writes too. Memory: constant, plus the recipientInfos.
 * Threads: one object belongs to one thread at a time.
 */
#ifndef PKI_CRYPTO_CMS_ENCRYPT_H
#define PKI_CRYPTO_CMS_ENCRYPT_H

#include <glib.h>

#include "pki/crypto/cms.h"
#include "store/base/cleanup.h"
#include "store/base/sink.h"

struct cert;
struct cms_encrypt;
struct secret;

struct cms_recipient {
	const struct cert *cert; /* borrowed during cms_encrypt_new */
	enum cms_transport transport;
};

struct cms_encrypt_options {
	enum cms_cipher cipher;
	gboolean mixed_kinds;
	guint64 content_size; /* must be met exactly (else BUG), or CMS_SIZE_UNKNOWN */
	/* A passphrase that opens it too, or alone; NULL: none. Borrowed during cms_encrypt_new. */
	const struct secret *password;
};

/* Can this certificate's key be encrypted to (RSA, EC on a named curve)? INVALID says why not. */
gboolean cms_encrypt_usable(const struct cert *cert, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes everything before the content to out (borrowed until the end). A certificate twice in
 * the list gets one recipientInfo. INVALID for no recipient, or one that cannot be used. */
struct cms_encrypt *cms_encrypt_new(const struct cms_recipient *recipients, gsize n_recipients,
				    const struct cms_encrypt_options *options, struct sink *out,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct sink *cms_encrypt_sink(struct cms_encrypt *encrypt);
gboolean cms_encrypt_finish(struct cms_encrypt *encrypt, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cms_encrypt_free(struct cms_encrypt *encrypt); /* wipes the key */
DEFINE_CLEANUP(cms_encrypt, cms_encrypt_free)

/* Size of the whole object for these recipients, at most; no private or random part is needed. */
guint64 cms_encrypt_size_max(const struct cms_recipient *recipients, gsize n_recipients,
			     enum cms_cipher cipher, guint64 content_size);

#endif
