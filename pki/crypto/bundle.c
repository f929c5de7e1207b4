/*
 * bundle - finding out what a file is, and collecting what it holds.
 */
#include "pki/crypto/bundle.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/bundle_internal.h"
#include "pki/crypto/der.h"
#include "store/base/printable.h"

#define PASSWORD_MAX_BYTES 1024

static void
rejected_free(gpointer p)
{
	struct bundle_rejected *rejected = p;

	g_free(rejected->what);
	g_free(rejected->why);
	g_free(rejected);
}

static struct bundle *
bundle_new(void)
{
	struct bundle *bundle = g_new0(struct bundle, 1);

	bundle->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	bundle->keys = g_ptr_array_new_with_free_func((GDestroyNotify)key_unref);
	bundle->crls = g_ptr_array_new_with_free_func((GDestroyNotify)crl_unref);
	bundle->rejected = g_ptr_array_new_with_free_func(rejected_free);
	return bundle;
}

void
bundle_free(struct bundle *bundle)
{
	if (bundle == NULL)
		return;
	g_ptr_array_unref(bundle->certs);
	g_ptr_array_unref(bundle->keys);
	g_ptr_array_unref(bundle->crls);
	g_ptr_array_unref(bundle->rejected);
	g_free(bundle);
}

void
bundle_reject(struct bundle_reader *reader, const char *what, const char *format, ...)
{
	struct bundle_rejected *rejected = g_new0(struct bundle_rejected, 1);
	va_list arguments;

	va_start(arguments, format);
	rejected->why = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	rejected->what = g_strdup_printf("%s (object %u)", what, reader->objects);
	g_ptr_array_add(reader->bundle->rejected, rejected);
}

gboolean
bundle_count_object(struct bundle_reader *reader)
{
	if (reader->objects < BUNDLE_OBJECTS_MAX) {
		reader->objects++;
		return TRUE;
	}
	if (!reader->full)
		bundle_reject(reader, "the rest", "more than %d objects in one file",
			      BUNDLE_OBJECTS_MAX);
	reader->full = TRUE;
	return FALSE;
}

/* TRUE when it was not there before; id belongs to an object that is kept. */
static gboolean
is_new(struct bundle_reader *reader, const char *id)
{
	return g_hash_table_add(reader->seen, g_strdup(id));
}

void
bundle_add_cert_der(struct bundle_reader *reader, gconstpointer der, gsize length)
{
	g_autoptr(GError) error = NULL;

	if (!bundle_count_object(reader))
		return;
	g_autoptr(GBytes) bytes = g_bytes_new(der, MIN(length, CERT_SIZE_MAX_BYTES + 1));
	struct cert *cert = cert_parse(bytes, &error);
	if (cert == NULL) {
		bundle_reject(reader, "certificate", "%s", error->message);
		return;
	}
	if (is_new(reader, cert_thumbprint(cert)))
		g_ptr_array_add(reader->bundle->certs, cert);
	else
		cert_unref(cert);
}

void
bundle_add_crl_der(struct bundle_reader *reader, gconstpointer der, gsize length)
{
	g_autoptr(GError) error = NULL;

	if (!bundle_count_object(reader))
		return;
	g_autoptr(GBytes) bytes = g_bytes_new(der, length);
	struct crl *crl = crl_parse(bytes, &error);
	if (crl == NULL) {
		bundle_reject(reader, "CRL", "%s", error->message);
		return;
	}
	if (is_new(reader, crl_thumbprint(crl)))
		g_ptr_array_add(reader->bundle->crls, crl);
	else
		crl_unref(crl);
}

void
bundle_add_pkey(struct bundle_reader *reader, EVP_PKEY *pkey)
{
	g_autoptr(GError) error = NULL;

	if (!bundle_count_object(reader)) {
		EVP_PKEY_free(pkey);
		return;
	}
	struct key *key = key_new_pkey(pkey, &error);
	if (key == NULL)
		bundle_reject(reader, "private key", "%s", error->message);
	else if (is_new(reader, key_spki_sha256(key)))
		g_ptr_array_add(reader->bundle->keys, key);
	else
		key_unref(key);
}

void
bundle_add_key_der(struct bundle_reader *reader, gconstpointer der, gsize length)
{
	const unsigned char *p = der;

	if (length > KEY_SIZE_MAX_BYTES) {
		bundle_reject(reader, "private key", "%zu bytes are too many for a key", length);
		return;
	}
	EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &p, (long)length);
	ERR_clear_error();
	if (pkey != NULL && p != (const unsigned char *)der + length) {
		EVP_PKEY_free(pkey);
		if (bundle_count_object(reader))
			bundle_reject(reader, "private key", "bytes follow the private key");
		return;
	}
	bundle_add_pkey(reader, pkey);
}

/* Cuts the certificates and CRLs out of a SignedData in DER, so that each stands for itself. */
static gboolean
cut_signed_data(struct bundle_reader *reader, gconstpointer der, gsize length)
{
	struct der all = der_of(der, length);
	struct der_element outer, oid, wrapper, signed_data, element, object;

	if (!der_take(&all, DER_SEQUENCE, &outer) || all.p != all.end)
		return FALSE;
	struct der content = der_inside(&outer);
	if (!der_take(&content, DER_OID, &oid) || !der_take(&content, DER_CONTEXT_0, &wrapper))
		return FALSE;
	struct der inside = der_inside(&wrapper);
	if (!der_take(&inside, DER_SEQUENCE, &signed_data))
		return FALSE;
	inside = der_inside(&signed_data);
	if (!der_take(&inside, DER_INTEGER, &element) || !der_take(&inside, DER_SET, &element) ||
	    !der_take(&inside, DER_SEQUENCE, &element))
		return FALSE;
	gboolean any = FALSE;
	if (der_take(&inside, DER_CONTEXT_0, &element)) {
		struct der list = der_inside(&element);

		while (der_next(&list, &object)) {
			any = TRUE;
			if (object.tag == DER_SEQUENCE)
				bundle_add_cert_der(reader, object.start,
						    (gsize)(object.end - object.start));
		}
	}
	if (der_take(&inside, DER_CONTEXT_1, &element)) {
		struct der list = der_inside(&element);

		while (der_next(&list, &object)) {
			any = TRUE;
			if (object.tag == DER_SEQUENCE)
				bundle_add_crl_der(reader, object.start,
						   (gsize)(object.end - object.start));
		}
	}
	return any;
}

static void
add_from_openssl(struct bundle_reader *reader, STACK_OF(X509) * certs, STACK_OF(X509_CRL) * crls)
{
	for (int i = 0; i < sk_X509_num(certs); i++) {
		unsigned char *der = NULL;
		int length = i2d_X509(sk_X509_value(certs, i), &der);

		bundle_add_cert_der(reader, der, (gsize)MAX(length, 0));
		OPENSSL_free(der);
	}
	for (int i = 0; i < sk_X509_CRL_num(crls); i++) {
		unsigned char *der = NULL;
		int length = i2d_X509_CRL(sk_X509_CRL_value(crls, i), &der);

		bundle_add_crl_der(reader, der, (gsize)MAX(length, 0));
		OPENSSL_free(der);
	}
}

void
bundle_add_cms_der(struct bundle_reader *reader, gconstpointer der, gsize length)
{
	const unsigned char *p = der;

	if (cut_signed_data(reader, der, length))
		return;
	/* BER, as some programs write it. */
	g_autoptr(CMS_ContentInfo) cms = d2i_CMS_ContentInfo(NULL, &p, (long)length);
	if (cms == NULL || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed) {
		ERR_clear_error();
		if (bundle_count_object(reader))
			bundle_reject(reader, "PKCS#7",
				      cms == NULL ? "not a PKCS#7 object, or damaged"
						  : "it is not of the type SignedData and "
						    "holds no certificates");
		return;
	}
	STACK_OF(X509) *certs = CMS_get1_certs(cms);
	STACK_OF(X509_CRL) *crls = CMS_get1_crls(cms);
	add_from_openssl(reader, certs, crls);
	if (sk_X509_num(certs) <= 0 && sk_X509_CRL_num(crls) <= 0 && bundle_count_object(reader))
		bundle_reject(reader, "PKCS#7", "it holds no certificates");
	sk_X509_pop_free(certs, X509_free);
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	ERR_clear_error();
}

static gboolean
read_der(struct bundle_reader *reader, const guint8 *bytes, gsize length, const char *name,
	 GError **error)
{
	switch (bundle_content_of(bytes, length)) {
	case CONTENT_CERT:
		bundle_add_cert_der(reader, bytes, length);
		return TRUE;
	case CONTENT_CRL:
		bundle_add_crl_der(reader, bytes, length);
		return TRUE;
	case CONTENT_CMS:
		bundle_add_cms_der(reader, bytes, length);
		return TRUE;
	case CONTENT_PKCS12:
		return bundle_read_pkcs12(reader, bytes, length, name, error);
	case CONTENT_KEY:
		bundle_add_key_der(reader, bytes, length);
		return TRUE;
	case CONTENT_ENCRYPTED_KEY:
		bundle_add_encrypted_key_der(reader, bytes, length);
		return TRUE;
	case CONTENT_REQUEST:
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: a certificate request, not a certificate", name);
	case CONTENT_UNKNOWN:
		break;
	}
	return fail_false(error, PS_ERROR_INVALID,
			  "%s: neither a certificate nor a key nor a CRL in a known format "
			  "(PEM, DER, PKCS#7, PKCS#12), or damaged",
			  name);
}

static gboolean
looks_like_pem(const guint8 *bytes, gsize length)
{
	return memmem(bytes, length, "-----BEGIN ", 11) != NULL;
}

/* Base64 of a DER object without PEM's lines around it. */
static GBytes *
decode_bare_base64(const guint8 *bytes, gsize length)
{
	if (length < 8 || length > BUNDLE_SIZE_MAX_BYTES || bytes[0] != 'M')
		return NULL;
	for (gsize i = 0; i < length; i++)
		if (!g_ascii_isalnum(bytes[i]) && strchr("+/=\r\n \t", bytes[i]) == NULL)
			return NULL;
	g_autofree char *text = g_strndup((const char *)bytes, length);
	gsize size = 0;
	guchar *der = g_base64_decode(text, &size);
	wipe(text, length);
	return g_bytes_new_take(der, size);
}

static gboolean
read_any(struct bundle_reader *reader, const guint8 *bytes, gsize length, const char *name,
	 GError **error)
{
	static const guint8 bom[] = { 0xef, 0xbb, 0xbf };

	if (length > 3 && memcmp(bytes, bom, 3) == 0) {
		bytes += 3;
		length -= 3;
	}
	if (length > 0 && bytes[0] != DER_SEQUENCE && looks_like_pem(bytes, length)) {
		bundle_read_pem(reader, bytes, length);
		return TRUE;
	}
	g_autoptr(GBytes) decoded = decode_bare_base64(bytes, length);
	if (decoded != NULL)
		bytes = g_bytes_get_data(decoded, &length);
	return read_der(reader, bytes, length, name, error);
}

struct bundle *
bundle_read(GBytes *file, const char *name, const struct secret *password, GError **error)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(file, &length);
	struct bundle_reader reader = { .password = password };
	g_autofree char *shown = printable(name);

	if (length == 0)
		return fail(error, PS_ERROR_INVALID, "%s: the file is empty", shown);
	if (length > BUNDLE_SIZE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "%s: %zu bytes are more than the limit of %d",
			    shown, length, BUNDLE_SIZE_MAX_BYTES);
	if (password != NULL && secret_length(password) > PASSWORD_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "%s: the password is too long", shown);
	reader.bundle = bundle_new();
	reader.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	gboolean good = read_any(&reader, bytes, length, shown, error);
	g_hash_table_unref(reader.seen);
	if (good && reader.objects == 0)
		good = fail_false(error, PS_ERROR_INVALID,
				  "%s: neither a certificate nor a key nor a CRL in it", shown);
	if (!good) {
		bundle_free(reader.bundle);
		return NULL;
	}
	return reader.bundle;
}

gboolean
bundle_wants_password(GBytes *file)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(file, &length);

	if (length == 0 || length > BUNDLE_SIZE_MAX_BYTES)
		return FALSE;
	if (bytes[0] != DER_SEQUENCE)
		return memmem(bytes, length, "-----BEGIN ENCRYPTED PRIVATE KEY-----", 37) != NULL ||
		       memmem(bytes, length, "-----BEGIN PKCS12-----", 22) != NULL ||
		       memmem(bytes, length, "Proc-Type: 4,ENCRYPTED", 22) != NULL;
	switch (bundle_content_of(bytes, length)) {
	case CONTENT_PKCS12:
		return bundle_pkcs12_has_password(bytes, length);
	case CONTENT_ENCRYPTED_KEY:
		return TRUE;
	case CONTENT_UNKNOWN:
	case CONTENT_CERT:
	case CONTENT_CRL:
	case CONTENT_REQUEST:
	case CONTENT_CMS:
	case CONTENT_KEY:
		return FALSE;
	}
	return FALSE;
}
