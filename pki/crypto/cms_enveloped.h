/*
 * cms_enveloped - EnvelopedData and AuthEnvelopedData up to the cipher text, and the fields of a
 * RecipientInfo (RFC 5652 section 6, RFC 5083).
 */
#ifndef PKI_CRYPTO_CMS_ENVELOPED_H
#define PKI_CRYPTO_CMS_ENVELOPED_H

#include "pki/crypto/ber.h"
#include "pki/crypto/cms_inspect.h"
#include "pki/crypto/tlv.h"

struct cms_enveloped {
	const struct cms_limits *limits;
	struct ber *ber;
	GPtrArray *recipients;    /* GBytes * */
	struct tlv content_oid;   /* into content_type */
	struct tlv cipher_oid;    /* into algorithm */
	struct tlv cipher_params; /* into algorithm */
	GBytes *content_type;
	GBytes *algorithm;
};

/* From inside ContentInfo's [0] to before the cipher text. */
gboolean cms_enveloped_head(struct cms_enveloped *data, GError **error);
/* EncryptedContentInfo alone, up to the cipher text; also that of EncryptedData. */
gboolean cms_encrypted_content_head(struct cms_enveloped *data, GError **error);
void cms_enveloped_init(struct cms_enveloped *data, struct ber *ber,
			const struct cms_limits *limits);
void cms_enveloped_clear(struct cms_enveloped *data);

/* One certificate that a RecipientInfo names, and the content key encrypted for it. */
struct cms_named_key {
	struct cms_signer_id id; /* owned */
	struct tlv encrypted_key;
};

struct cms_recipient_fields {
	enum cms_recipient_kind kind;
	GArray *named; /* struct cms_named_key; several for key agreement */
	struct tlv algorithm_oid;
	struct tlv algorithm_params;
	/* key agreement */
	struct tlv public_key; /* of the originator, BIT STRING content; empty: not given so */
	struct tlv ukm;
	gboolean has_ukm;
};

/* Slices point into recipient_info. FALSE when malformed. */
gboolean cms_recipient_fields_read(struct cms_recipient_fields *fields, GBytes *recipient_info,
				   guint named_max);
void cms_recipient_fields_clear(struct cms_recipient_fields *fields);

#endif
