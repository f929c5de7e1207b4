#include "pki/crypto/cms_enveloped.h"

#include "pki/crypto/cms_id.h"
#include "pki/crypto/cms_signed.h"
#include "store/base/error.h"

void
cms_enveloped_init(struct cms_enveloped *data, struct ber *ber, const struct cms_limits *limits)
{
	*data = (struct cms_enveloped){ .limits = limits, .ber = ber };
	data->recipients = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
}

void
cms_enveloped_clear(struct cms_enveloped *data)
{
	g_clear_pointer(&data->recipients, g_ptr_array_unref);
	g_clear_pointer(&data->content_type, g_bytes_unref);
	g_clear_pointer(&data->algorithm, g_bytes_unref);
}

static gboolean
recipients_read(struct cms_enveloped *data, GError **error)
{
	guint8 tag;

	if (!ber_enter(data->ber, TLV_SET, "recipientInfos", error))
		return FALSE;
	for (;;) {
		GBytes *one;

		if (!ber_peek(data->ber, &tag, error))
			return FALSE;
		if (tag == 0)
			break;
		if (data->recipients->len == data->limits->recipients)
			return fail_false(error, PS_ERROR_INVALID, "more than %u recipients",
					  data->limits->recipients);
		one = ber_element(data->ber, error);
		if (one == NULL)
			return FALSE;
		g_ptr_array_add(data->recipients, one);
	}
	return ber_leave(data->ber, error) &&
	       (data->recipients->len > 0 ||
		fail_false(error, PS_ERROR_INVALID, "no recipientInfo"));
}

gboolean
cms_encrypted_content_head(struct cms_enveloped *data, GError **error)
{
	struct tlv in;

	if (!ber_enter(data->ber, TLV_SEQUENCE, "the encrypted content", error))
		return FALSE;
	data->content_type = ber_take(data->ber, TLV_OID, "the type of the content", error);
	if (data->content_type == NULL)
		return FALSE;
	data->algorithm = ber_take(data->ber, TLV_SEQUENCE, "the cipher", error);
	if (data->algorithm == NULL)
		return FALSE;
	in = tlv_of_bytes(data->content_type);
	return (tlv_take(&in, TLV_OID, &data->content_oid) &&
		cms_algorithm_read(data->algorithm, &data->cipher_oid, &data->cipher_params)) ||
	       fail_false(error, PS_ERROR_INVALID, "malformed algorithm of the encrypted content");
}

gboolean
cms_enveloped_head(struct cms_enveloped *data, GError **error)
{
	g_autoptr(GBytes) version = NULL;
	guint8 tag;

	if (!ber_enter(data->ber, TLV_SEQUENCE, "EnvelopedData", error))
		return FALSE;
	version = ber_take(data->ber, TLV_INTEGER, "the version", error);
	if (version == NULL || !ber_peek(data->ber, &tag, error))
		return FALSE;
	if (tag == TLV_CONTEXT_CONSTRUCTED(0)) {
		g_autoptr(GBytes) originator = ber_element(data->ber, error);

		if (originator == NULL)
			return FALSE;
	}
	return recipients_read(data, error) && cms_encrypted_content_head(data, error);
}

/* ---- RecipientInfo ---- */

static void
named_clear(gpointer data)
{
	struct cms_named_key *named = data;

	cms_signer_id_clear(&named->id);
}

void
cms_recipient_fields_clear(struct cms_recipient_fields *fields)
{
	g_clear_pointer(&fields->named, g_array_unref);
}

static gboolean
algorithm_read(struct cms_recipient_fields *fields, struct tlv *in)
{
	return tlv_take(in, TLV_SEQUENCE, &fields->algorithm_params) &&
	       tlv_take(&fields->algorithm_params, TLV_OID, &fields->algorithm_oid);
}

/* KeyTransRecipientInfo; the identifier is issuer and serial or [0] the key identifier. */
static gboolean
key_transport_read(struct cms_recipient_fields *fields, struct tlv info)
{
	struct cms_named_key named = { .encrypted_key = { NULL, 0 } };
	struct tlv version, id;
	gboolean ok;

	if (!tlv_take(&info, TLV_INTEGER, &version))
		return FALSE;
	if (tlv_take(&info, TLV_SEQUENCE, &id))
		ok = cms_signer_id_read(&named.id, id);
	else if ((ok = tlv_take(&info, TLV_CONTEXT(0), &id)))
		cms_signer_id_read_key_id(&named.id, &id);
	ok = ok && algorithm_read(fields, &info) &&
	     tlv_take(&info, TLV_OCTET_STRING, &named.encrypted_key);
	g_array_append_val(fields->named, named);
	return ok;
}

static gboolean
originator_read(struct cms_recipient_fields *fields, struct tlv *info)
{
	struct tlv originator, key, algorithm;

	if (!tlv_take(info, TLV_CONTEXT_CONSTRUCTED(0), &originator))
		return FALSE;
	if (tlv_take(&originator, TLV_CONTEXT_CONSTRUCTED(1), &key))
		return tlv_take(&key, TLV_SEQUENCE, &algorithm) &&
		       tlv_take(&key, TLV_BIT_STRING, &fields->public_key);
	return TRUE; /* a certificate's key: read, not used */
}

static gboolean
agreed_key_read(struct cms_recipient_fields *fields, struct tlv one)
{
	struct cms_named_key named = { .encrypted_key = { NULL, 0 } };
	struct tlv id, key_id;
	gboolean ok = FALSE;

	if (tlv_take(&one, TLV_SEQUENCE, &id)) {
		ok = cms_signer_id_read(&named.id, id);
	} else if (tlv_take(&one, TLV_CONTEXT_CONSTRUCTED(0), &id) &&
		   tlv_take(&id, TLV_OCTET_STRING, &key_id)) {
		cms_signer_id_read_key_id(&named.id, &key_id);
		ok = TRUE;
	}
	ok = ok && tlv_take(&one, TLV_OCTET_STRING, &named.encrypted_key);
	g_array_append_val(fields->named, named);
	return ok;
}

static gboolean
key_agreement_read(struct cms_recipient_fields *fields, struct tlv info, guint named_max)
{
	struct tlv version, keys, one, tagged;

	if (!tlv_take(&info, TLV_INTEGER, &version) || !originator_read(fields, &info))
		return FALSE;
	if (tlv_take(&info, TLV_CONTEXT_CONSTRUCTED(1), &tagged)) {
		fields->has_ukm = TRUE;
		if (!tlv_take(&tagged, TLV_OCTET_STRING, &fields->ukm))
			return FALSE;
	}
	if (!algorithm_read(fields, &info) || !tlv_take(&info, TLV_SEQUENCE, &keys))
		return FALSE;
	while (keys.length > 0)
		if (fields->named->len == named_max || !tlv_take(&keys, TLV_SEQUENCE, &one) ||
		    !agreed_key_read(fields, one))
			return FALSE;
	return TRUE;
}

/* KEKRecipientInfo and PasswordRecipientInfo: shown, never used. */
static gboolean
secret_read(struct cms_recipient_fields *fields, struct tlv info)
{
	struct tlv version, skipped;

	if (!tlv_take(&info, TLV_INTEGER, &version))
		return FALSE;
	if (fields->kind == CMS_RECIPIENT_KEK)
		return tlv_take(&info, TLV_SEQUENCE, &skipped) && algorithm_read(fields, &info);
	tlv_take(&info, TLV_CONTEXT_CONSTRUCTED(0), &skipped); /* the derivation */
	return algorithm_read(fields, &info);
}

gboolean
cms_recipient_fields_read(struct cms_recipient_fields *fields, GBytes *recipient_info,
			  guint named_max)
{
	struct tlv in = tlv_of_bytes(recipient_info), info;
	guint8 tag;

	*fields = (struct cms_recipient_fields){ .kind = CMS_RECIPIENT_OTHER };
	fields->named = g_array_new(FALSE, TRUE, sizeof(struct cms_named_key));
	g_array_set_clear_func(fields->named, named_clear);
	if (!tlv_next(&in, &tag, &info, NULL))
		return FALSE;
	switch (tag) {
	case TLV_SEQUENCE:
		fields->kind = CMS_RECIPIENT_KEY_TRANSPORT;
		return key_transport_read(fields, info);
	case TLV_CONTEXT_CONSTRUCTED(1):
		fields->kind = CMS_RECIPIENT_KEY_AGREEMENT;
		return key_agreement_read(fields, info, named_max);
	case TLV_CONTEXT_CONSTRUCTED(2):
		fields->kind = CMS_RECIPIENT_KEK;
		return secret_read(fields, info);
	case TLV_CONTEXT_CONSTRUCTED(3):
		fields->kind = CMS_RECIPIENT_PASSWORD;
		return secret_read(fields, info);
	case TLV_CONTEXT_CONSTRUCTED(4):
		return tlv_take(&info, TLV_OID, &fields->algorithm_oid);
	default:
		return FALSE;
	}
}
