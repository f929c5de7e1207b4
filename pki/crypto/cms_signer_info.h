/*
 * cms_signer_info - one SignerInfo: its fields, its attributes, its signature (RFC 5652
 * sections 5.3 to 5.6 and 11).
 *
 * Slices point into the bytes that were read; the SignerInfo borrows them.
 */
#ifndef PKI_CRYPTO_CMS_SIGNER_INFO_H
#define PKI_CRYPTO_CMS_SIGNER_INFO_H

#include "pki/crypto/capabilities.h"
#include "pki/crypto/cms_verify.h"
#include "pki/crypto/tlv.h"

struct cms_signer_fields {
	struct cms_signer_id id; /* owned: cms_signer_id_clear */
	struct tlv digest_oid;
	gboolean has_attributes;
	struct tlv attributes; /* whole element, tagged [0] */
	struct tlv signature_oid;
	struct tlv signature_params;
	struct tlv signature;
	/* of the attributes; a length of 0 where there is none */
	struct tlv content_type;
	struct tlv message_digest;
	struct tlv signing_time; /* whole */
	struct tlv capabilities; /* whole */
	struct tlv preference;   /* whole */
	gboolean attributes_wrong;
};

/* FALSE when it is no SignerInfo. */
gboolean cms_signer_fields_read(struct cms_signer_fields *fields, GBytes *signer_info);
gint64 cms_signer_signing_time(const struct cms_signer_fields *fields);
struct capabilities cms_signer_capabilities(const struct cms_signer_fields *fields);
void cms_signer_preference(const struct cms_signer_fields *fields, struct cms_signer_id *id);

/* Good or not under the key of this certificate; content_digest is by fields->digest_oid. The
 * reason is a text without life of its own. */
enum cms_signature cms_signer_check(const struct cms_signer_fields *fields, const struct cert *cert,
				    const struct tlv *content_digest, const char **reason);

#endif
