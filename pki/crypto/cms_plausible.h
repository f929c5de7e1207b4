/*
 * cms_plausible - could this be something encrypted, as far as one can tell without its key?
 *
 * Asked of what an author says that he encrypted himself. It catches what is malformed and what is
 * text behind a borrowed head; it does not prove anything: whoever wants to can encrypt to a key
 * that nobody has. Pure. Threads: any.
 */
#ifndef PKI_CRYPTO_CMS_PLAUSIBLE_H
#define PKI_CRYPTO_CMS_PLAUSIBLE_H

#include "pki/crypto/cms_enveloped.h"
#include "store/base/sink.h"

/* Takes the cipher text. */
struct cms_octets {
	struct sink sink;
	guint64 total;
	guint64 high; /* octets above 127 */
};

void cms_octets_init(struct cms_octets *octets);
/* Has a key that was encrypted this way this length? */
gboolean cms_recipient_is_plausible(const struct cms_recipient_fields *fields,
				    const struct tlv *cipher_oid);
/* Whole blocks, an IV or nonce that fits, and no text. */
gboolean cms_content_is_plausible(const struct cms_enveloped *data,
				  const struct cms_octets *octets);

#endif
