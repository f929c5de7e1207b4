#include "pki/crypto/cms_signed.h"

#include "store/base/error.h"

#define DIGESTS_MAX 64

GBytes *
cms_content_info_open(struct ber *ber, GError **error)
{
	g_autoptr(GBytes) oid = NULL;

	if (!ber_enter(ber, TLV_SEQUENCE, "ContentInfo", error))
		return NULL;
	oid = ber_take(ber, TLV_OID, "the content type", error);
	if (oid == NULL ||
	    !ber_enter(ber, TLV_CONTEXT_CONSTRUCTED(0), "the content of ContentInfo", error))
		return NULL;
	return g_steal_pointer(&oid);
}

gboolean
cms_algorithm_read(GBytes *algorithm, struct tlv *oid, struct tlv *params)
{
	struct tlv in = tlv_of_bytes(algorithm);

	return tlv_take(&in, TLV_SEQUENCE, params) && tlv_take(params, TLV_OID, oid);
}

gboolean
cms_oid_is(GBytes *whole, const struct tlv *oid)
{
	struct tlv in = tlv_of_bytes(whole), content;

	return tlv_take(&in, TLV_OID, &content) && tlv_equal(&content, oid);
}

static void
bytes_free(gpointer bytes)
{
	g_bytes_unref(bytes);
}

void
cms_signed_init(struct cms_signed *data, struct source *object, const struct cms_limits *limits)
{
	*data = (struct cms_signed){ .limits = limits == NULL ? &cms_limits_default : limits };
	ber_init(&data->ber, object, data->limits->head_bytes, data->limits->depth);
	data->digests = g_ptr_array_new_with_free_func(bytes_free);
	data->certs = g_ptr_array_new_with_free_func(bytes_free);
	data->crls = g_ptr_array_new_with_free_func(bytes_free);
	data->signer_infos = g_ptr_array_new_with_free_func(bytes_free);
}

void
cms_signed_clear(struct cms_signed *data)
{
	g_clear_pointer(&data->digests, g_ptr_array_unref);
	g_clear_pointer(&data->certs, g_ptr_array_unref);
	g_clear_pointer(&data->crls, g_ptr_array_unref);
	g_clear_pointer(&data->signer_infos, g_ptr_array_unref);
	g_clear_pointer(&data->content_oid, g_bytes_unref);
}

char *
cms_signed_content_type(const struct cms_signed *data)
{
	struct tlv in = tlv_of_bytes(data->content_oid), content;

	return tlv_take(&in, TLV_OID, &content) ? tlv_oid_text(&content) : NULL;
}

/* Elements of the next container into list; only those with that tag are kept. */
static gboolean
list_read(struct ber *ber, guint8 container, guint8 wanted, guint max, const char *what,
	  GPtrArray *list, GError **error)
{
	guint8 tag;
	guint seen = 0;

	if (!ber_enter(ber, container, what, error))
		return FALSE;
	for (;;) {
		GBytes *one;

		if (!ber_peek(ber, &tag, error))
			return FALSE;
		if (tag == 0)
			return ber_leave(ber, error);
		if (++seen > max)
			return fail_false(error, PS_ERROR_INVALID, "more than %u %s", max, what);
		one = ber_element(ber, error);
		if (one == NULL)
			return FALSE;
		if (tag == wanted)
			g_ptr_array_add(list, one);
		else
			g_bytes_unref(one);
	}
}

gboolean
cms_signed_head(struct cms_signed *data, GError **error)
{
	struct ber *ber = &data->ber;
	g_autoptr(GBytes) version = NULL;
	guint8 tag;

	if (!ber_enter(ber, TLV_SEQUENCE, "SignedData", error))
		return FALSE;
	version = ber_take(ber, TLV_INTEGER, "the version", error);
	if (version == NULL || !list_read(ber, TLV_SET, TLV_SEQUENCE, DIGESTS_MAX,
					  "digest algorithms", data->digests, error))
		return FALSE;
	if (!ber_enter(ber, TLV_SEQUENCE, "the signed content", error))
		return FALSE;
	data->content_oid = ber_take(ber, TLV_OID, "the type of the signed content", error);
	if (data->content_oid == NULL || !ber_peek(ber, &tag, error))
		return FALSE;
	if (tag == 0)
		return ber_leave(ber, error);
	if (!ber_enter(ber, TLV_CONTEXT_CONSTRUCTED(0), "the signed content", error))
		return FALSE;
	data->has_content = TRUE;
	return TRUE;
}

gboolean
cms_signed_content(struct cms_signed *data, struct sink *sink, guint64 *size, GError **error)
{
	struct ber *ber = &data->ber;

	return ber_stream(ber, TLV_OCTET_STRING, sink, size, error) && ber_leave(ber, error) &&
	       ber_leave(ber, error);
}

gboolean
cms_signed_skip_content(struct cms_signed *data, GError **error)
{
	struct ber *ber = &data->ber;

	return ber_skip(ber, error) && ber_leave(ber, error) && ber_leave(ber, error);
}

gboolean
cms_signed_tail(struct cms_signed *data, GError **error)
{
	struct ber *ber = &data->ber;
	guint8 tag;

	if (!ber_peek(ber, &tag, error))
		return FALSE;
	if (tag == TLV_CONTEXT_CONSTRUCTED(0) &&
	    (!list_read(ber, tag, TLV_SEQUENCE, data->limits->certs, "certificates", data->certs,
			error) ||
	     !ber_peek(ber, &tag, error)))
		return FALSE;
	if (tag == TLV_CONTEXT_CONSTRUCTED(1) &&
	    !list_read(ber, tag, TLV_SEQUENCE, data->limits->certs, "CRLs", data->crls, error))
		return FALSE;
	return list_read(ber, TLV_SET, TLV_SEQUENCE, data->limits->signers, "signers",
			 data->signer_infos, error) &&
	       ber_leave(ber, error) && ber_leave(ber, error) && ber_leave(ber, error) &&
	       ber_finish(ber, error);
}
