/*
 * bundle - finding out what a file is, and collecting what it holds.
 */
#include "pki/crypto/bundle.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <string.h>

#include "pki/crypto/bundle_internal.h"
#include "pki/crypto/der.h"
#include "store/base/printable.h"

#define PASSWORD_MAX_BYTES 1024
#define SCRYPT_COST_MAX (64ULL * 1024 * 1024) /* N * r * p */

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

/* The legacy algorithms, apart from everybody else's. */
static OSSL_LIB_CTX *legacy_context;
static OSSL_PROVIDER *legacy_provider;

static void
legacy_load(void)
{
	static gsize once;

	if (!g_once_init_enter(&once))
		return;
	legacy_context = OSSL_LIB_CTX_new();
	if (legacy_context != NULL && OSSL_PROVIDER_load(legacy_context, "default") != NULL)
		legacy_provider = OSSL_PROVIDER_load(legacy_context, "legacy");
	ERR_clear_error();
	g_once_init_leave(&once, 1);
}

gboolean
legacy_available(void)
{
	legacy_load();
	return legacy_provider != NULL;
}

OSSL_LIB_CTX *
legacy_enter(void)
{
	return legacy_available() ? OSSL_LIB_CTX_set0_default(legacy_context) : NULL;
}

void
legacy_leave(OSSL_LIB_CTX *previous)
{
	if (previous != NULL)
		OSSL_LIB_CTX_set0_default(previous);
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

static gboolean
count_object(struct bundle_reader *reader)
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

	if (!count_object(reader))
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

	if (!count_object(reader))
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

	if (!count_object(reader)) {
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
		if (count_object(reader))
			bundle_reject(reader, "private key", "bytes follow the private key");
		return;
	}
	bundle_add_pkey(reader, pkey);
}

gboolean
bundle_count_iterations(struct bundle_reader *reader, guint64 iterations)
{
	reader->iterations += MIN(iterations, G_MAXUINT32);
	return reader->iterations <= BUNDLE_ITERATIONS_MAX;
}

static guint64
integer_or_zero(const ASN1_INTEGER *number)
{
	guint64 value = 0;

	if (number == NULL)
		return 0;
	if (ASN1_INTEGER_get_uint64(&value, number) != 1) {
		ERR_clear_error();
		return G_MAXUINT32; /* negative or enormous: beyond every limit */
	}
	return value;
}

/* RFC 8018 appendix A.4: the key derivation and the cipher inside PBES2. */
static char *
pbes2_fault(struct bundle_reader *reader, const X509_ALGOR *algorithm)
{
	const void *value = NULL;
	int type = V_ASN1_UNDEF;
	guint64 cost = 0;
	char *fault = NULL;

	X509_ALGOR_get0(NULL, &type, &value, algorithm);
	PBE2PARAM *pbes2 =
	    type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBE2PARAM)) : NULL;
	if (pbes2 == NULL || pbes2->keyfunc->parameter == NULL ||
	    pbes2->keyfunc->parameter->type != V_ASN1_SEQUENCE) {
		fault = g_strdup("the parameters of the encryption are broken");
	} else if (OBJ_obj2nid(pbes2->keyfunc->algorithm) == NID_id_pbkdf2) {
		PBKDF2PARAM *pbkdf2 = ASN1_item_unpack(pbes2->keyfunc->parameter->value.sequence,
						       ASN1_ITEM_rptr(PBKDF2PARAM));
		cost = pbkdf2 != NULL ? integer_or_zero(pbkdf2->iter) : 0;
		PBKDF2PARAM_free(pbkdf2);
	} else if (OBJ_obj2nid(pbes2->keyfunc->algorithm) == NID_id_scrypt) {
		SCRYPT_PARAMS *scrypt = ASN1_item_unpack(pbes2->keyfunc->parameter->value.sequence,
							 ASN1_ITEM_rptr(SCRYPT_PARAMS));
		guint64 n = scrypt != NULL ? integer_or_zero(scrypt->costParameter) : 0;
		guint64 r = scrypt != NULL ? integer_or_zero(scrypt->blockSize) : 0;
		guint64 p = scrypt != NULL ? integer_or_zero(scrypt->parallelizationParameter) : 0;

		if (n > SCRYPT_COST_MAX || r > SCRYPT_COST_MAX || p > SCRYPT_COST_MAX ||
		    (n * r > SCRYPT_COST_MAX) || n * r * p > SCRYPT_COST_MAX)
			cost = G_MAXUINT32;
		SCRYPT_PARAMS_free(scrypt);
	}
	PBE2PARAM_free(pbes2);
	ERR_clear_error();
	if (fault == NULL && !bundle_count_iterations(reader, cost))
		fault = g_strdup_printf("it asks for more than %d iterations of the password",
					BUNDLE_ITERATIONS_MAX);
	return fault;
}

char *
bundle_password_fault(struct bundle_reader *reader, const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *object = NULL;
	const void *value = NULL;
	int type = V_ASN1_UNDEF;

	X509_ALGOR_get0(&object, &type, &value, algorithm);
	int nid = OBJ_obj2nid(object);
	if (nid == NID_pbes2)
		return pbes2_fault(reader, algorithm);
	if (nid == NID_undef || EVP_PBE_find(EVP_PBE_TYPE_OUTER, nid, NULL, NULL, NULL) != 1) {
		g_autofree char *oid = object_dotted(object);
		return g_strdup_printf("its password encryption %s is not supported", oid);
	}
	PBEPARAM *parameters =
	    type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM)) : NULL;
	guint64 iterations = parameters != NULL ? integer_or_zero(parameters->iter) : 0;
	PBEPARAM_free(parameters);
	ERR_clear_error();
	if (!bundle_count_iterations(reader, iterations))
		return g_strdup_printf("it asks for more than %d iterations of the password",
				       BUNDLE_ITERATIONS_MAX);
	gboolean modern = nid == NID_pbe_WithSHA1And3_Key_TripleDES_CBC ||
			  nid == NID_pbe_WithSHA1And2_Key_TripleDES_CBC;
	if (!modern && !legacy_available())
		return g_strdup_printf(
		    "its encryption %s needs OpenSSL's legacy provider, which is "
		    "not installed",
		    OBJ_nid2ln(nid));
	return NULL;
}

void
bundle_add_encrypted_key_der(struct bundle_reader *reader, gconstpointer der, gsize length)
{
	const unsigned char *p = der;
	const X509_ALGOR *algorithm = NULL;
	const ASN1_OCTET_STRING *octets = NULL;
	g_autoptr(X509_SIG) sealed =
	    length <= KEY_SIZE_MAX_BYTES ? d2i_X509_SIG(NULL, &p, (long)length) : NULL;

	if (sealed == NULL || p != (const unsigned char *)der + length) {
		ERR_clear_error();
		if (count_object(reader))
			bundle_reject(reader, "private key",
				      "not an encrypted private key, or damaged");
		return;
	}
	X509_SIG_get0(sealed, &algorithm, &octets);
	if (reader->password == NULL) {
		if (count_object(reader))
			bundle_reject(reader, "private key", "a password is needed");
		return;
	}
	g_autofree char *fault = bundle_password_fault(reader, algorithm);
	if (fault != NULL) {
		if (count_object(reader))
			bundle_reject(reader, "private key", "%s", fault);
		return;
	}
	OSSL_LIB_CTX *previous = legacy_enter();
	g_autoptr(PKCS8_PRIV_KEY_INFO) info = PKCS8_decrypt(sealed, secret_text(reader->password),
							    (int)secret_length(reader->password));
	legacy_leave(previous);
	ERR_clear_error();
	if (info == NULL) {
		if (count_object(reader))
			bundle_reject(reader, "private key", "wrong password");
		return;
	}
	bundle_add_pkey(reader, EVP_PKCS82PKEY(info));
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
		if (count_object(reader))
			bundle_reject(reader, "PKCS#7",
				      cms == NULL ? "not a PKCS#7 object, or damaged"
						  : "it is not of the type SignedData and "
						    "holds no certificates");
		return;
	}
	STACK_OF(X509) *certs = CMS_get1_certs(cms);
	STACK_OF(X509_CRL) *crls = CMS_get1_crls(cms);
	add_from_openssl(reader, certs, crls);
	if (sk_X509_num(certs) <= 0 && sk_X509_CRL_num(crls) <= 0 && count_object(reader))
		bundle_reject(reader, "PKCS#7", "it holds no certificates");
	sk_X509_pop_free(certs, X509_free);
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	ERR_clear_error();
}

static int
pem_password(char *buffer, int size, int writing, void *data)
{
	const struct bundle_reader *reader = data;
	gsize length = reader->password != NULL ? secret_length(reader->password) : 0;

	(void)writing;
	if (reader->password == NULL || length > (gsize)size)
		return -1;
	memcpy(buffer, secret_bytes(reader->password), length);
	return (int)length;
}

static gboolean
is_traditional_key(const char *label)
{
	return strcmp(label, PEM_STRING_RSA) == 0 || strcmp(label, PEM_STRING_ECPRIVATEKEY) == 0 ||
	       strcmp(label, PEM_STRING_DSA) == 0;
}

/* RFC 1421's Proc-Type and DEK-Info, as OpenSSL's traditional format has them. */
static void
add_traditional_key(struct bundle_reader *reader, char *header, unsigned char *data, long length)
{
	EVP_CIPHER_INFO cipher;
	gboolean encrypted = strstr(header, "ENCRYPTED") != NULL;

	if (!encrypted) {
		bundle_add_key_der(reader, data, (gsize)length);
		return;
	}
	if (reader->password == NULL) {
		if (count_object(reader))
			bundle_reject(reader, "private key", "a password is needed");
		return;
	}
	OSSL_LIB_CTX *previous = legacy_enter();
	gboolean known = PEM_get_EVP_CIPHER_INFO(header, &cipher) == 1;
	gboolean opened = known && PEM_do_header(&cipher, data, &length, pem_password, reader) == 1;
	legacy_leave(previous);
	const unsigned char *p = data;
	EVP_PKEY *pkey = opened ? d2i_AutoPrivateKey(NULL, &p, length) : NULL;
	ERR_clear_error();
	if (pkey == NULL) {
		if (count_object(reader))
			bundle_reject(reader, "private key", "%s",
				      known ? "wrong password" : "its encryption is not supported");
		return;
	}
	bundle_add_pkey(reader, pkey);
}

/* A TRUSTED CERTIFICATE of OpenSSL's has its own data behind the certificate: cut off. */
static void
add_trusted_cert(struct bundle_reader *reader, const unsigned char *data, long length)
{
	struct der all = der_of(data, (gsize)length);
	struct der_element element;

	if (der_take(&all, DER_SEQUENCE, &element))
		bundle_add_cert_der(reader, element.start, (gsize)(element.end - element.start));
	else
		bundle_add_cert_der(reader, data, (gsize)length);
}

static void
add_pem_object(struct bundle_reader *reader, const char *label, char *header, unsigned char *data,
	       long length)
{
	static const char *const cms_labels[] = { PEM_STRING_PKCS7, PEM_STRING_PKCS7_SIGNED,
						  PEM_STRING_CMS };

	if (strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0) {
		bundle_add_cert_der(reader, data, (gsize)length);
		return;
	}
	if (strcmp(label, PEM_STRING_X509_TRUSTED) == 0) {
		add_trusted_cert(reader, data, length);
		return;
	}
	if (strcmp(label, PEM_STRING_X509_CRL) == 0) {
		bundle_add_crl_der(reader, data, (gsize)length);
		return;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(cms_labels); i++)
		if (strcmp(label, cms_labels[i]) == 0) {
			bundle_add_cms_der(reader, data, (gsize)length);
			return;
		}
	if (strcmp(label, PEM_STRING_PKCS8) == 0)
		bundle_add_encrypted_key_der(reader, data, (gsize)length);
	else if (strcmp(label, PEM_STRING_PKCS8INF) == 0)
		bundle_add_key_der(reader, data, (gsize)length);
	else if (is_traditional_key(label))
		add_traditional_key(reader, header, data, length);
	else if (strcmp(label, PEM_STRING_ECPARAMETERS) != 0 && count_object(reader)) {
		g_autofree char *shown = printable(label);
		bundle_reject(reader, shown, "neither a certificate nor a key nor a CRL");
	}
}

static void
read_pem(struct bundle_reader *reader, gconstpointer bytes, gsize length)
{
	g_autoptr(BIO) in = BIO_new_mem_buf(bytes, (int)length);

	while (in != NULL && !reader->full) {
		char *label = NULL, *header = NULL;
		unsigned char *data = NULL;
		long size = 0;

		if (PEM_read_bio(in, &label, &header, &data, &size) == 1) {
			add_pem_object(reader, label, header, data, size);
			OPENSSL_free(label);
			OPENSSL_free(header);
			OPENSSL_clear_free(data, (gsize)size);
			continue;
		}
		gboolean end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
		ERR_clear_error();
		if (end)
			break;
		if (count_object(reader))
			bundle_reject(reader, "PEM block", "its base64 or its END line is broken");
	}
}

enum der_content {
	CONTENT_UNKNOWN,
	CONTENT_CERT,
	CONTENT_CRL,
	CONTENT_REQUEST,
	CONTENT_CMS,
	CONTENT_PKCS12,
	CONTENT_KEY,
	CONTENT_ENCRYPTED_KEY,
};

/* Certificate, CRL and request all begin with a SEQUENCE that is to be signed. */
static enum der_content
content_of_tbs(struct der tbs)
{
	struct der_element element;

	if (der_peek(&tbs) == DER_CONTEXT_0)
		return CONTENT_CERT;
	if (der_peek(&tbs) == DER_OID)
		return CONTENT_ENCRYPTED_KEY; /* an AlgorithmIdentifier */
	if (der_peek(&tbs) == DER_SEQUENCE) { /* CRL without version */
		return CONTENT_CRL;
	}
	if (!der_take(&tbs, DER_INTEGER, &element) || !der_take(&tbs, DER_SEQUENCE, &element) ||
	    !der_take(&tbs, DER_SEQUENCE, &element))
		return CONTENT_UNKNOWN;
	switch (der_peek(&tbs)) {
	case DER_UTC_TIME:
	case DER_GENERALIZED_TIME:
		return CONTENT_CRL;
	case DER_SEQUENCE:
		return CONTENT_CERT; /* version 1 */
	case DER_CONTEXT_0:
		return CONTENT_REQUEST;
	default:
		return CONTENT_UNKNOWN;
	}
}

/* Behind a version number: PFX, PKCS#8, PKCS#1 or SEC1. */
static enum der_content
content_of_versioned(struct der inside)
{
	struct der_element version;

	if (!der_take(&inside, DER_INTEGER, &version) || der_length(&version) != 1)
		return CONTENT_UNKNOWN;
	if (der_peek(&inside) == DER_SEQUENCE)
		return version.value[0] == 3 ? CONTENT_PKCS12 : CONTENT_KEY;
	if (der_peek(&inside) == DER_INTEGER || der_peek(&inside) == DER_OCTET_STRING)
		return CONTENT_KEY;
	return CONTENT_UNKNOWN;
}

static enum der_content
content_of(const guint8 *bytes, gsize length)
{
	struct der all = der_of(bytes, length);
	struct der_element outer, first;

	if (length < 4 || bytes[0] != DER_SEQUENCE)
		return CONTENT_UNKNOWN;
	if (!der_take(&all, DER_SEQUENCE, &outer)) {
		/* BER of indefinite length: CMS and PKCS#12 only. */
		if (bytes[1] != 0x80)
			return CONTENT_UNKNOWN;
		outer.value = bytes + 2;
		outer.end = bytes + length;
	}
	struct der inside = der_inside(&outer);
	switch (der_peek(&inside)) {
	case DER_OID:
		return CONTENT_CMS;
	case DER_INTEGER:
		return content_of_versioned(inside);
	case DER_SEQUENCE:
		if (!der_take(&inside, DER_SEQUENCE, &first))
			return CONTENT_UNKNOWN;
		return content_of_tbs(der_inside(&first));
	default:
		return CONTENT_UNKNOWN;
	}
}

static gboolean
read_der(struct bundle_reader *reader, const guint8 *bytes, gsize length, const char *name,
	 GError **error)
{
	switch (content_of(bytes, length)) {
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
		read_pem(reader, bytes, length);
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
		       memmem(bytes, length, "Proc-Type: 4,ENCRYPTED", 22) != NULL;
	switch (content_of(bytes, length)) {
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
