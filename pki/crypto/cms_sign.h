/*
 * cms_sign - SignedData (RFC 5652 section 5) with one signer, written by hand.
 *
 * A cms_signer is what does not change from message to message: certificate, key, chain,
 * capabilities, all encoded already. It is immutable, reference-counted and made to be cached;
 * any number of threads sign with one. A cms_sign is one signature on its way: a sink for the
 * content, which is digested as it comes (and, opaque, goes straight on into the output).
 * The content must be canonical already (CRLF, RFC 8551 section 3.1.1).
 * Signed attributes: contentType, signingTime, messageDigest, SMIMECapabilities (exactly what
 * cms_decrypt reads, strongest first), and the encryption key preference when an encryption
 * certificate other than the signing one is given.
 * Output: DER. Opaque content of unknown size, or signed by an EC key (whose signature has no
 * fixed length), has indefinite lengths around the content.
 */
#ifndef PKI_CRYPTO_CMS_SIGN_H
#define PKI_CRYPTO_CMS_SIGN_H

#include <glib.h>

#include "pki/crypto/cms.h"
#include "store/base/cleanup.h"
#include "store/base/sink.h"

struct cert;
struct key;
struct cms_signer;
struct cms_sign;

struct cms_signer_options {
	enum cms_digest digest;
	enum cms_scheme scheme;
	GPtrArray *chain;              /* struct cert *, intermediates to include; NULL for none */
	const struct cert *encryption; /* the author's encryption certificate, or NULL */
};

/* INVALID when key and certificate do not belong together or the key cannot sign. */
struct cms_signer *cms_signer_new(const struct cert *cert, const struct key *key,
				  const struct cms_signer_options *options,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct cms_signer *cms_signer_ref(struct cms_signer *signer);
void cms_signer_unref(struct cms_signer *signer);
DEFINE_CLEANUP(cms_signer, cms_signer_unref)

enum cms_digest cms_signer_digest(const struct cms_signer *signer);
/* How large the SignedData gets around content of that size (0 for a detached one), at most. */
guint64 cms_signer_size_max(const struct cms_signer *signer, guint64 content_size);

/* Detached: feed the content, then take the SignedData. `now` is the signingTime. */
struct cms_sign *cms_sign_detached(struct cms_signer *signer, gint64 now) G_GNUC_WARN_UNUSED_RESULT;
GBytes *cms_sign_finish_detached(struct cms_sign *sign, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Opaque: everything goes to out. A known content_size must be met exactly (else BUG). */
struct cms_sign *cms_sign_opaque(struct cms_signer *signer, gint64 now, guint64 content_size,
				 struct sink *out) G_GNUC_WARN_UNUSED_RESULT;
gboolean cms_sign_finish_opaque(struct cms_sign *sign, GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct sink *cms_sign_sink(struct cms_sign *sign);
void cms_sign_free(struct cms_sign *sign);
DEFINE_CLEANUP(cms_sign, cms_sign_free)

#endif
