/* directory_values - see directory_values.h. */
#include "pki/directory_values.h"

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/tlv.h"
#include "pki/harvest.h"
#include "pki/net/ldap.h"
#include "store/base/error.h"

#define VALUE_MAX_BYTES (256 * 1024)

static const guint8 oid_signed_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };

static gboolean
add_der(GPtrArray *certs, GBytes *der, GError **error)
{
	struct cert *cert = cert_parse(der, error);

	if (cert == NULL)
		return FALSE;
	g_ptr_array_add(certs, cert);
	return TRUE;
}

/* forward [0] and reverse [1], at least one, each an explicitly tagged certificate. */
static gboolean
add_pair(GPtrArray *certs, GBytes *value, struct tlv pair, GError **error)
{
	struct tlv all = tlv_of_bytes(value);

	for (guint n = 0; n < 2; n++) {
		struct tlv inner;

		if (!tlv_take(&pair, TLV_CONTEXT_CONSTRUCTED(n), &inner))
			continue;
		g_autoptr(GBytes) der =
		    g_bytes_new_from_bytes(value, (gsize)(inner.bytes - all.bytes), inner.length);
		if (!add_der(certs, der, error))
			return FALSE;
	}
	if (pair.length > 0 || certs->len == 0)
		return fail_false(error, PS_ERROR_INVALID, "not a crossCertificatePair");
	return TRUE;
}

static gboolean
add_pkcs7(GPtrArray *certs, GBytes *value, struct tlv oid, GError **error)
{
	CLEANUP(bundle) struct bundle *bundle = NULL;

	if (!tlv_is(&oid, oid_signed_data, sizeof oid_signed_data))
		return fail_false(error, PS_ERROR_INVALID, "PKCS#7 that is not signed-data");
	bundle = bundle_read(value, "value", NULL, error);
	if (bundle == NULL)
		return FALSE;
	if (bundle->certs->len == 0)
		return fail_false(error, PS_ERROR_INVALID, "PKCS#7 without a certificate");
	if (bundle->certs->len > DIRECTORY_VALUE_CERTS_MAX)
		return fail_false(error, PS_ERROR_INVALID, "PKCS#7 with %u certificates",
				  bundle->certs->len);
	for (guint i = 0; i < bundle->certs->len; i++)
		g_ptr_array_add(certs, cert_ref(bundle->certs->pdata[i]));
	return TRUE;
}

GPtrArray *
directory_value_certs(GBytes *value, GError **error)
{
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	struct tlv in = tlv_of_bytes(value);
	struct tlv content, oid;
	gboolean read;

	if (in.length > VALUE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a value of %zu bytes is too large",
			    in.length);
	/* BER of indefinite length is the PKCS#7 reader's affair alone. */
	if (in.length > 4 && in.bytes[0] == TLV_SEQUENCE && in.bytes[1] == 0x80) {
		content = (struct tlv){ in.bytes + 2, in.length - 2 };
	} else if (!tlv_take(&in, TLV_SEQUENCE, &content) || in.length != 0) {
		return fail(error, PS_ERROR_INVALID, "neither a certificate nor PKCS#7");
	}
	switch (tlv_tag(&content)) {
	case TLV_SEQUENCE:
		read = add_der(certs, value, error);
		break;
	case TLV_OID:
		read = tlv_take(&content, TLV_OID, &oid)
			   ? add_pkcs7(certs, value, oid, error)
			   : fail_false(error, PS_ERROR_INVALID, "damaged PKCS#7");
		break;
	case TLV_CONTEXT_CONSTRUCTED(0):
	case TLV_CONTEXT_CONSTRUCTED(1):
		read = add_pair(certs, value, content, error);
		break;
	default:
		read = fail_false(error, PS_ERROR_INVALID, "neither a certificate nor PKCS#7");
	}
	return read ? g_steal_pointer(&certs) : NULL;
}

/* ---- what fits an address -------------------------------------------------------------------- */

static void
refuse(struct directory_taken *taken, const char *why)
{
	taken->refused++;
	if (taken->why == NULL)
		taken->why = g_strdup(why);
}

static void
take_cert(struct directory_taken *taken, struct cert *cert, const struct mailaddr *address,
	  gint64 now)
{
	const char *fault = harvest_fault(cert, address);

	if (fault == NULL && cert_not_after(cert) < now)
		fault = "it has expired";
	if (fault == NULL && !cert_may_encrypt(cert))
		fault = "its key is not for encryption";
	if (fault != NULL)
		refuse(taken, fault);
	else if (!cert_is_among(cert, taken->certs))
		g_ptr_array_add(taken->certs, cert_ref(cert));
}

static int
newer_first(gconstpointer a, gconstpointer b)
{
	gint64 begin_a = cert_not_before(*(struct cert *const *)a);
	gint64 begin_b = cert_not_before(*(struct cert *const *)b);

	return (begin_a < begin_b) - (begin_a > begin_b);
}

struct directory_taken *
directory_values_take(const GPtrArray *values, const struct mailaddr *address, gint64 now)
{
	struct directory_taken *taken = g_new0(struct directory_taken, 1);

	taken->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < values->len; i++) {
		const struct ldap_value *value = values->pdata[i];
		g_autoptr(GError) unread = NULL;
		g_autoptr(GPtrArray) certs = directory_value_certs(value->bytes, &unread);

		if (certs == NULL)
			refuse(taken, unread->message);
		for (guint k = 0; certs != NULL && k < certs->len; k++)
			take_cert(taken, certs->pdata[k], address, now);
	}
	g_ptr_array_sort(taken->certs, newer_first);
	if (taken->certs->len > DIRECTORY_CERTS_MAX) {
		refuse(taken, "there are more than 10 of them");
		g_ptr_array_set_size(taken->certs, DIRECTORY_CERTS_MAX);
	}
	return taken;
}

void
directory_taken_free(struct directory_taken *taken)
{
	if (taken == NULL)
		return;
	g_ptr_array_unref(taken->certs);
	g_free(taken->why);
	g_free(taken);
}
