#include "pki/crypto/capabilities.h"

#include "pki/crypto/cms.h"
#include "pki/crypto/cms_oid.h"
#include "pki/crypto/internal.h"

/* Hostile lists are long; nobody's own is. */
#define CAPABILITIES_MAX 256

static guint
cipher_bit(const struct tlv *oid)
{
	/* Order: enum cms_cipher. */
	const struct tlv *const known[CMS_N_CIPHERS] = { &oid_aes128_cbc, &oid_aes192_cbc,
							 &oid_aes256_cbc, &oid_aes128_gcm,
							 &oid_aes256_gcm };

	for (guint i = 0; i < CMS_N_CIPHERS; i++)
		if (tlv_equal(oid, known[i]))
			return 1u << i;
	return 0;
}

/* The algorithm in an explicit tag, and what follows its OID. */
static gboolean
tagged_algorithm(struct tlv *in, guint tag, struct tlv *oid, struct tlv *params)
{
	struct tlv tagged;

	return tlv_take(in, (guint8)TLV_CONTEXT_CONSTRUCTED(tag), &tagged) &&
	       tlv_take(&tagged, TLV_SEQUENCE, params) && tlv_take(params, TLV_OID, oid);
}

/* RSAES-OAEP-params (RFC 4055 section 4.1): one digest for both of its uses. What is left out is
 * SHA-1, which we do not use. */
static guint
oaep_bit(struct tlv after_oid)
{
	struct tlv params, digest, mask, mask_digest, rest;

	if (!tlv_take(&after_oid, TLV_SEQUENCE, &params) ||
	    !tagged_algorithm(&params, 0, &digest, &rest) ||
	    !tagged_algorithm(&params, 1, &mask, &rest) || !tlv_equal(&mask, &oid_mgf1) ||
	    !tlv_take(&rest, TLV_SEQUENCE, &mask) || !tlv_take(&mask, TLV_OID, &mask_digest) ||
	    !tlv_equal(&digest, &mask_digest))
		return 0;
	if (tlv_equal(&digest, &oid_sha256))
		return 1u << CMS_TRANSPORT_OAEP_SHA256;
	if (tlv_equal(&digest, &oid_sha384))
		return 1u << CMS_TRANSPORT_OAEP_SHA384;
	return tlv_equal(&digest, &oid_sha512) ? 1u << CMS_TRANSPORT_OAEP_SHA512 : 0;
}

struct capabilities
capabilities_read(struct tlv whole)
{
	struct capabilities found = { 0, 0 };
	struct tlv list, one, oid;

	if (!tlv_take(&whole, TLV_SEQUENCE, &list))
		return found;
	for (guint i = 0; i < CAPABILITIES_MAX && tlv_take(&list, TLV_SEQUENCE, &one); i++) {
		if (!tlv_take(&one, TLV_OID, &oid))
			continue;
		found.ciphers |= cipher_bit(&oid);
		if (tlv_equal(&oid, &oid_rsaes_oaep))
			found.transports |= oaep_bit(one);
	}
	return found;
}

gboolean
capabilities_of_cert(const struct cert *cert, struct capabilities *found)
{
	const X509_EXTENSIONS *all = cert_extensions(cert);
	int place = X509v3_get_ext_by_NID(all, NID_SMIMECapabilities, -1);
	const ASN1_OCTET_STRING *value;
	struct tlv whole;

	if (place < 0 || X509v3_get_ext_by_NID(all, NID_SMIMECapabilities, place) >= 0)
		return FALSE;
	value = X509_EXTENSION_get_data(X509v3_get_ext(all, place));
	whole.bytes = ASN1_STRING_get0_data(value);
	whole.length = (gsize)ASN1_STRING_length(value);
	if (tlv_tag(&whole) != TLV_SEQUENCE)
		return FALSE;
	*found = capabilities_read(whole);
	return TRUE;
}
