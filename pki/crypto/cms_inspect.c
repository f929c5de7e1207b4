#include "pki/crypto/cms_inspect.h"

#include <openssl/err.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/cms_enveloped.h"
#include "pki/crypto/cms_oid.h"
#include "pki/crypto/cms_plausible.h"
#include "pki/crypto/cms_signed.h"
#include "pki/crypto/cms_signer_info.h"
#include "store/base/clock.h"
#include "store/base/error.h"

struct type_row {
	const struct tlv *oid;
	enum cms_type type;
};

static const struct type_row type_rows[] = {
	{ &oid_data, CMS_TYPE_DATA },
	{ &oid_signed_data, CMS_TYPE_SIGNED },
	{ &oid_enveloped_data, CMS_TYPE_ENVELOPED },
	{ &oid_auth_enveloped_data, CMS_TYPE_AUTH_ENVELOPED },
	{ &oid_compressed_data, CMS_TYPE_COMPRESSED },
	{ &oid_digested_data, CMS_TYPE_DIGESTED },
	{ &oid_encrypted_data, CMS_TYPE_ENCRYPTED },
	{ &oid_authenticated_data, CMS_TYPE_AUTHENTICATED },
};

/* Order: enum cms_type. */
static const char *const type_names[] = {
	"unknown",   "data",       "signed",   "certs-only",     "encrypted",
	"encrypted", "compressed", "digested", "encrypted-data", "authenticated",
};

static const char *const recipient_kind_names[] = { "key-transport", "key-agreement", "kek",
						    "password", "other" };

const char *
cms_type_name(enum cms_type type)
{
	return type_names[type];
}

const char *
cms_recipient_kind_name(enum cms_recipient_kind kind)
{
	return recipient_kind_names[kind];
}

/* ---- signed ---- */

static struct cms_signer_info *
signer_info(GBytes *bytes)
{
	struct cms_signer_info *info = g_new0(struct cms_signer_info, 1);
	struct cms_signer_fields fields;

	if (!cms_signer_fields_read(&fields, bytes))
		fields.signing_time = (struct tlv){ NULL, 0 };
	info->id = fields.id;
	info->digest = oid_algorithm_name(&fields.digest_oid);
	info->algorithm = oid_field_name(&fields.signature_oid);
	info->signing_time = cms_signer_signing_time(&fields);
	return info;
}

static void
signer_info_free(gpointer data)
{
	struct cms_signer_info *info = data;

	cms_signer_id_clear(&info->id);
	g_free(info->digest);
	g_free(info->algorithm);
	g_free(info);
}

static gboolean
signed_read(struct cms_signed *data, enum cms_inspect_depth depth, struct cms_info *info,
	    GError **error)
{
	struct tlv oid, params;

	if (!cms_signed_head(data, error))
		return FALSE;
	info->content_type = cms_signed_content_type(data);
	info->has_content = data->has_content;
	for (guint i = 0; i < data->digests->len; i++)
		if (cms_algorithm_read(g_ptr_array_index(data->digests, i), &oid, &params))
			g_ptr_array_add(info->digests, oid_algorithm_name(&oid));
	/* Without content the rest is small, and only it tells certificates from a signature. */
	if (data->has_content && depth == CMS_INSPECT_HEAD)
		return TRUE;
	if (data->has_content && !cms_signed_skip_content(data, error))
		return FALSE;
	if (!cms_signed_tail(data, error))
		return FALSE;
	for (guint i = 0; i < data->signer_infos->len; i++)
		g_ptr_array_add(info->signers,
				signer_info(g_ptr_array_index(data->signer_infos, i)));
	for (guint i = 0; i < data->certs->len; i++)
		g_ptr_array_add(info->certs, g_bytes_ref(g_ptr_array_index(data->certs, i)));
	for (guint i = 0; i < data->crls->len; i++)
		g_ptr_array_add(info->crls, g_bytes_ref(g_ptr_array_index(data->crls, i)));
	if (!data->has_content && data->signer_infos->len == 0)
		info->type = CMS_TYPE_CERTS_ONLY;
	info->complete = TRUE;
	return TRUE;
}

/* ---- enveloped ---- */

static void
recipient_info_free(gpointer data)
{
	struct cms_recipient_info *info = data;

	cms_signer_id_clear(&info->id);
	g_free(info->algorithm);
	g_free(info);
}

/* One row for each certificate that is named, one for a recipientInfo that names none. */
static void
recipient_add(struct cms_info *info, GBytes *bytes, const struct tlv *cipher_oid, guint named_max)
{
	struct cms_recipient_fields fields;
	guint i = 0;

	if (!cms_recipient_fields_read(&fields, bytes, named_max) ||
	    !cms_recipient_is_plausible(&fields, cipher_oid))
		info->plausible = FALSE;
	do {
		struct cms_recipient_info *one = g_new0(struct cms_recipient_info, 1);

		one->kind = fields.kind;
		one->algorithm = oid_field_name(&fields.algorithm_oid);
		if (i < fields.named->len) {
			struct cms_named_key *named =
			    &g_array_index(fields.named, struct cms_named_key, i);

			one->id = named->id;
			named->id = (struct cms_signer_id){ .issuer = NULL };
		}
		g_ptr_array_add(info->recipients, one);
	} while (++i < fields.named->len && info->recipients->len < named_max);
	cms_recipient_fields_clear(&fields);
}

/* The content, what follows it, and the end of the object. */
static gboolean
enveloped_rest_read(struct ber *ber, gboolean has_content, struct sink *content, GError **error)
{
	guint64 size = 0;
	guint8 tag;

	if ((has_content && !ber_stream(ber, TLV_CONTEXT(0), content, &size, error)) ||
	    !ber_leave(ber, error) || !ber_peek(ber, &tag, error))
		return FALSE;
	while (tag != 0) {
		if (!ber_skip(ber, error) || !ber_peek(ber, &tag, error))
			return FALSE;
	}
	return ber_leave(ber, error) && ber_leave(ber, error) && ber_leave(ber, error) &&
	       ber_finish(ber, error);
}

/* An object that is cut off is still one: it is only not complete. */
static gboolean
enveloped_complete(struct cms_enveloped *data, struct cms_info *info, GError **error)
{
	struct cms_octets octets;
	GError *why = NULL;

	cms_octets_init(&octets);
	info->complete = enveloped_rest_read(data->ber, info->has_content, &octets.sink, &why);
	info->plausible &= info->complete && cms_content_is_plausible(data, &octets);
	if (why != NULL && !g_error_matches(why, PS_ERROR, PS_ERROR_INVALID)) {
		g_propagate_error(error, why);
		return FALSE;
	}
	g_clear_error(&why);
	return TRUE;
}

static gboolean
enveloped_read(struct cms_enveloped *data, enum cms_inspect_depth depth, struct cms_info *info,
	       GError **error)
{
	guint8 tag;

	if (!cms_enveloped_head(data, error) || !ber_peek(data->ber, &tag, error))
		return FALSE;
	info->has_content = tag != 0;
	info->content_type = tlv_oid_text(&data->content_oid);
	info->cipher = oid_algorithm_name(&data->cipher_oid);
	info->plausible = depth != CMS_INSPECT_HEAD;
	for (guint i = 0; i < data->recipients->len; i++)
		recipient_add(info, g_ptr_array_index(data->recipients, i), &data->cipher_oid,
			      data->limits->recipients);
	return depth == CMS_INSPECT_HEAD || enveloped_complete(data, info, error);
}

/* ---- the others ---- */

static gboolean
encrypted_read(struct cms_enveloped *data, struct cms_info *info, GError **error)
{
	g_autoptr(GBytes) version = NULL;

	if (!ber_enter(data->ber, TLV_SEQUENCE, "EncryptedData", error))
		return FALSE;
	version = ber_take(data->ber, TLV_INTEGER, "the version", error);
	if (version == NULL || !cms_encrypted_content_head(data, error))
		return FALSE;
	info->content_type = tlv_oid_text(&data->content_oid);
	info->cipher = oid_algorithm_name(&data->cipher_oid);
	info->has_content = TRUE;
	return TRUE;
}

/* CompressedData and DigestedData begin alike: version, algorithm, content. */
static gboolean
plain_read(struct ber *ber, struct cms_info *info, GError **error)
{
	g_autoptr(GBytes) version = NULL;
	g_autoptr(GBytes) algorithm = NULL;
	g_autoptr(GBytes) type = NULL;
	struct tlv in, oid;

	if (!ber_enter(ber, TLV_SEQUENCE, "the object", error))
		return FALSE;
	version = ber_take(ber, TLV_INTEGER, "the version", error);
	if (version == NULL)
		return FALSE;
	algorithm = ber_take(ber, TLV_SEQUENCE, "the algorithm", error);
	if (algorithm == NULL || !ber_enter(ber, TLV_SEQUENCE, "the content", error))
		return FALSE;
	type = ber_take(ber, TLV_OID, "the type of the content", error);
	if (type == NULL)
		return FALSE;
	in = tlv_of_bytes(type);
	if (tlv_take(&in, TLV_OID, &oid))
		info->content_type = tlv_oid_text(&oid);
	info->has_content = TRUE;
	return TRUE;
}

static gboolean
type_read(struct ber *ber, struct cms_info *info, GError **error)
{
	g_autoptr(GBytes) type = cms_content_info_open(ber, error);
	struct tlv in, oid;

	if (type == NULL)
		return FALSE;
	in = tlv_of_bytes(type);
	if (!tlv_take(&in, TLV_OID, &oid) || (info->type_oid = tlv_oid_text(&oid)) == NULL)
		return fail_false(error, PS_ERROR_INVALID, "malformed content type");
	for (guint i = 0; i < G_N_ELEMENTS(type_rows); i++)
		if (tlv_equal(&oid, type_rows[i].oid))
			info->type = type_rows[i].type;
	return TRUE;
}

static gboolean
object_read(struct cms_signed *data, enum cms_inspect_depth depth, struct cms_info *info,
	    GError **error)
{
	struct cms_enveloped enveloped;
	gboolean ok = FALSE;

	if (!type_read(&data->ber, info, error))
		return FALSE;
	switch (info->type) {
	case CMS_TYPE_SIGNED:
	case CMS_TYPE_CERTS_ONLY:
		return signed_read(data, depth, info, error);
	case CMS_TYPE_ENVELOPED:
	case CMS_TYPE_AUTH_ENVELOPED:
	case CMS_TYPE_ENCRYPTED:
		cms_enveloped_init(&enveloped, &data->ber, data->limits);
		if (info->type == CMS_TYPE_ENCRYPTED)
			ok = encrypted_read(&enveloped, info, error);
		else
			ok = enveloped_read(&enveloped, depth, info, error);
		cms_enveloped_clear(&enveloped);
		return ok;
	case CMS_TYPE_COMPRESSED:
	case CMS_TYPE_DIGESTED:
		return plain_read(&data->ber, info, error);
	case CMS_TYPE_DATA:
	case CMS_TYPE_AUTHENTICATED:
	case CMS_TYPE_UNKNOWN:
		break;
	}
	return TRUE;
}

struct cms_info *
cms_inspect(struct source *object, enum cms_inspect_depth depth, const struct cms_limits *limits,
	    GError **error)
{
	CLEANUP(cms_info) struct cms_info *info = g_new0(struct cms_info, 1);
	struct cms_signed data;
	gboolean ok;

	info->recipients = g_ptr_array_new_with_free_func(recipient_info_free);
	info->digests = g_ptr_array_new_with_free_func(g_free);
	info->signers = g_ptr_array_new_with_free_func(signer_info_free);
	info->certs = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	info->crls = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	cms_signed_init(&data, object, limits);
	ok = object_read(&data, depth, info, error);
	cms_signed_clear(&data);
	return ok ? g_steal_pointer(&info) : NULL;
}

void
cms_info_free(struct cms_info *info)
{
	if (info == NULL)
		return;
	g_free(info->type_oid);
	g_free(info->content_type);
	g_free(info->cipher);
	g_ptr_array_unref(info->recipients);
	g_ptr_array_unref(info->digests);
	g_ptr_array_unref(info->signers);
	g_ptr_array_unref(info->certs);
	g_ptr_array_unref(info->crls);
	g_free(info);
}

gboolean
cms_info_names(const struct cms_info *info, const struct cert *cert)
{
	for (guint i = 0; i < info->recipients->len; i++) {
		const struct cms_recipient_info *one = g_ptr_array_index(info->recipients, i);

		if (cms_signer_id_matches(&one->id, cert))
			return TRUE;
	}
	return FALSE;
}
