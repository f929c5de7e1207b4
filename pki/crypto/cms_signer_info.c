#include "pki/crypto/cms_signer_info.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "pki/crypto/cms_id.h"
#include "pki/crypto/cms_oid.h"
#include "pki/crypto/internal.h"
#include "store/base/clock.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RSA_PSS_PARAMS, RSA_PSS_PARAMS_free)

/* ---- fields ---- */

static gboolean
id_read(struct cms_signer_id *id, struct tlv *in)
{
	struct tlv content;
	guint8 tag;

	if (!tlv_next(in, &tag, &content, NULL))
		return FALSE;
	if (tag == TLV_SEQUENCE)
		return cms_signer_id_read(id, content);
	if (tag != TLV_CONTEXT(0))
		return FALSE;
	cms_signer_id_read_key_id(id, &content);
	return TRUE;
}

static gboolean
algorithm_read(struct tlv *in, struct tlv *oid, struct tlv *params)
{
	return tlv_take(in, TLV_SEQUENCE, params) && tlv_take(params, TLV_OID, oid);
}

/* The only value of an attribute, whole; a second one, or the attribute a second time, is
 * against RFC 5652 sections 11.1 to 11.3. */
static gboolean
only_value(struct tlv values, struct tlv *whole)
{
	struct tlv content;
	guint8 tag;

	return whole->length == 0 && tlv_next(&values, &tag, &content, whole) && values.length == 0;
}

static gboolean
attribute_read(struct cms_signer_fields *fields, struct tlv attribute)
{
	struct tlv oid, values;

	if (!tlv_take(&attribute, TLV_OID, &oid) || !tlv_take(&attribute, TLV_SET, &values) ||
	    attribute.length != 0)
		return FALSE;
	if (tlv_equal(&oid, &oid_content_type))
		return only_value(values, &fields->content_type);
	if (tlv_equal(&oid, &oid_message_digest))
		return only_value(values, &fields->message_digest);
	if (tlv_equal(&oid, &oid_signing_time))
		return only_value(values, &fields->signing_time) &&
		       cms_signer_signing_time(fields) != CLOCK_NEVER;
	if (tlv_equal(&oid, &oid_smime_capabilities))
		return only_value(values, &fields->capabilities);
	if (tlv_equal(&oid, &oid_encryption_preference))
		return only_value(values, &fields->preference);
	return TRUE;
}

static gboolean
attributes_read(struct cms_signer_fields *fields)
{
	struct tlv in = fields->attributes, list, attribute;

	if (!tlv_take(&in, TLV_CONTEXT_CONSTRUCTED(0), &list))
		return FALSE;
	while (list.length > 0)
		if (!tlv_take(&list, TLV_SEQUENCE, &attribute) ||
		    !attribute_read(fields, attribute))
			return FALSE;
	return fields->content_type.length > 0 && fields->message_digest.length > 0;
}

/* What must be signed may not stand among the unsigned attributes (RFC 5652 sections 11.1 to
 * 11.3). */
static gboolean
unsigned_attributes_allowed(struct tlv list)
{
	struct tlv attribute, oid;

	while (list.length > 0)
		if (!tlv_take(&list, TLV_SEQUENCE, &attribute) ||
		    !tlv_take(&attribute, TLV_OID, &oid) || tlv_equal(&oid, &oid_content_type) ||
		    tlv_equal(&oid, &oid_message_digest) || tlv_equal(&oid, &oid_signing_time))
			return FALSE;
	return TRUE;
}

gboolean
cms_signer_fields_read(struct cms_signer_fields *fields, GBytes *signer_info)
{
	struct tlv in = tlv_of_bytes(signer_info), info, content;

	*fields = (struct cms_signer_fields){ .signature = { NULL, 0 } };
	if (!tlv_take(&in, TLV_SEQUENCE, &info) || !tlv_take(&info, TLV_INTEGER, &content) ||
	    !id_read(&fields->id, &info) || !algorithm_read(&info, &fields->digest_oid, &content))
		return FALSE;
	fields->has_attributes =
	    tlv_take_whole(&info, TLV_CONTEXT_CONSTRUCTED(0), &fields->attributes);
	if (fields->has_attributes)
		fields->attributes_wrong = !attributes_read(fields);
	if (!algorithm_read(&info, &fields->signature_oid, &fields->signature_params) ||
	    !tlv_take(&info, TLV_OCTET_STRING, &fields->signature))
		return FALSE;
	if (tlv_take(&info, TLV_CONTEXT_CONSTRUCTED(1), &content) &&
	    !unsigned_attributes_allowed(content))
		fields->attributes_wrong = TRUE;
	return TRUE;
}

gint64
cms_signer_signing_time(const struct cms_signer_fields *fields)
{
	const guint8 *p = fields->signing_time.bytes;
	gint64 seconds = CLOCK_NEVER;
	ASN1_TIME *time;

	if (fields->signing_time.length == 0)
		return CLOCK_NEVER;
	time = d2i_ASN1_TIME(NULL, &p, (long)fields->signing_time.length);
	if (time == NULL || !asn1_seconds(time, &seconds)) {
		ERR_clear_error();
		seconds = CLOCK_NEVER;
	}
	ASN1_TIME_free(time);
	return seconds;
}

struct capabilities
cms_signer_capabilities(const struct cms_signer_fields *fields)
{
	return capabilities_read(fields->capabilities);
}

void
cms_signer_preference(const struct cms_signer_fields *fields, struct cms_signer_id *id)
{
	struct tlv in = fields->preference, content, key_id;
	guint8 tag;

	if (!tlv_next(&in, &tag, &content, NULL))
		return;
	if (tag == TLV_CONTEXT_CONSTRUCTED(0)) {
		if (!cms_signer_id_read(id, content))
			cms_signer_id_clear(id);
	} else if (tag == TLV_CONTEXT_CONSTRUCTED(1)) {
		if (tlv_take(&content, TLV_OCTET_STRING, &key_id))
			cms_signer_id_read_key_id(id, &key_id);
	} else if (tag == TLV_CONTEXT(2)) {
		cms_signer_id_read_key_id(id, &content);
	}
}

/* ---- signature ---- */

static enum cms_signature
answer(enum cms_signature signature, const char *text, const char **reason)
{
	ERR_clear_error();
	*reason = text;
	return signature;
}

static const EVP_MD *
pss_digest(const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *oid;

	if (algorithm == NULL)
		return EVP_sha1(); /* the default of RFC 4055 section 3.1 */
	X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
	return EVP_get_digestbyobj(oid);
}

/* RSASSA-PSS-params. The digest must be that of the SignerInfo (RFC 4056 section 3). */
static gboolean
pss_set(EVP_PKEY_CTX *context, const struct tlv *params, const EVP_MD *md)
{
	const guint8 *p = params->bytes;
	g_autoptr(RSA_PSS_PARAMS) pss = d2i_RSA_PSS_PARAMS(NULL, &p, (long)params->length);
	g_autoptr(X509_ALGOR) mask = NULL;
	gint64 salt = 20, trailer = 1;
	const EVP_MD *mask_md = EVP_sha1();

	if (pss == NULL || pss_digest(pss->hashAlgorithm) == NULL ||
	    EVP_MD_get_type(pss_digest(pss->hashAlgorithm)) != EVP_MD_get_type(md))
		return FALSE;
	if (pss->maskGenAlgorithm != NULL) {
		if (OBJ_obj2nid(pss->maskGenAlgorithm->algorithm) != NID_mgf1 ||
		    pss->maskGenAlgorithm->parameter == NULL)
			return FALSE;
		mask = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR),
						 pss->maskGenAlgorithm->parameter);
		mask_md = mask == NULL ? NULL : pss_digest(mask);
	}
	if (pss->saltLength != NULL && !ASN1_INTEGER_get_int64(&salt, pss->saltLength))
		return FALSE;
	if (pss->trailerField != NULL && !ASN1_INTEGER_get_int64(&trailer, pss->trailerField))
		return FALSE;
	return mask_md != NULL && salt >= 0 && salt <= 512 && trailer == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(context, mask_md) > 0 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, (int)salt) > 0;
}

/* Does the signature algorithm go with the key? *pss: RSASSA-PSS. */
static gboolean
algorithm_fits(const struct cms_signer_fields *fields, EVP_PKEY *pkey, gboolean *pss)
{
	g_autofree char *dots = tlv_oid_text(&fields->signature_oid);
	int nid = dots == NULL ? NID_undef : OBJ_txt2nid(dots), key_nid = nid;

	*pss = nid == NID_rsassaPss;
	if (*pss)
		return EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_is_a(pkey, "RSA-PSS");
	(void)OBJ_find_sigid_algs(nid, NULL, &key_nid);
	switch (key_nid) {
	case NID_rsaEncryption:
	case NID_rsa:
		return EVP_PKEY_is_a(pkey, "RSA");
	case NID_X9_62_id_ecPublicKey:
		return EVP_PKEY_is_a(pkey, "EC");
	case NID_dsa:
	case NID_dsa_2:
		return EVP_PKEY_is_a(pkey, "DSA");
	case NID_ED25519:
		return EVP_PKEY_is_a(pkey, "ED25519");
	case NID_ED448:
		return EVP_PKEY_is_a(pkey, "ED448");
	default:
		return FALSE;
	}
}

/* Over the attributes, which are hashed under their own tag (section 5.4) and in the order and
 * encoding in which they came. */
static int
attributes_verify(const struct cms_signer_fields *fields, EVP_PKEY *pkey, const EVP_MD *md,
		  gboolean pss)
{
	g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
	g_autofree guint8 *copy = g_memdup2(fields->attributes.bytes, fields->attributes.length);
	EVP_PKEY_CTX *key_context; /* belongs to context */
	gboolean pure = EVP_PKEY_is_a(pkey, "ED25519") || EVP_PKEY_is_a(pkey, "ED448");

	copy[0] = TLV_SET;
	if (context == NULL ||
	    EVP_DigestVerifyInit(context, &key_context, pure ? NULL : md, NULL, pkey) <= 0)
		return -1;
	if (pss && !pss_set(key_context, &fields->signature_params, md))
		return -1;
	return EVP_DigestVerify(context, fields->signature.bytes, fields->signature.length, copy,
				fields->attributes.length);
}

static int
digest_verify(const struct cms_signer_fields *fields, EVP_PKEY *pkey, const EVP_MD *md,
	      gboolean pss, const struct tlv *digest)
{
	g_autoptr(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);

	if (context == NULL || EVP_PKEY_verify_init(context) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(context, md) <= 0)
		return -1;
	if (pss && !pss_set(context, &fields->signature_params, md))
		return -1;
	return EVP_PKEY_verify(context, fields->signature.bytes, fields->signature.length,
			       digest->bytes, digest->length);
}

static gboolean
message_digest_fits(const struct cms_signer_fields *fields, const struct tlv *digest)
{
	struct tlv in = fields->message_digest, value;

	return tlv_take(&in, TLV_OCTET_STRING, &value) && tlv_equal(&value, digest);
}

enum cms_signature
cms_signer_check(const struct cms_signer_fields *fields, const struct cert *cert,
		 const struct tlv *content_digest, const char **reason)
{
	EVP_PKEY *pkey = cert_pkey(cert);
	g_autofree char *name = oid_field_name(&fields->digest_oid);
	const EVP_MD *md = EVP_get_digestbyname(name);
	gboolean pss;
	int verified;

	if (pkey == NULL)
		return answer(CMS_SIGNATURE_UNKNOWN, "the signer's public key cannot be read",
			      reason);
	if (md == NULL)
		return answer(CMS_SIGNATURE_UNKNOWN, "digest algorithm is not supported", reason);
	if (!algorithm_fits(fields, pkey, &pss))
		return answer(CMS_SIGNATURE_UNKNOWN,
			      "signature algorithm is not supported, or not for this key", reason);
	if (fields->has_attributes && !message_digest_fits(fields, content_digest))
		return answer(CMS_SIGNATURE_BAD, "content was changed: its digest differs", reason);
	if (fields->has_attributes)
		verified = attributes_verify(fields, pkey, md, pss);
	else
		verified = digest_verify(fields, pkey, md, pss, content_digest);
	if (verified == 1)
		return answer(CMS_SIGNATURE_GOOD, "signature is good", reason);
	return answer(CMS_SIGNATURE_BAD, "signature does not fit", reason);
}
