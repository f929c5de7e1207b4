/*
 * cert_lazy - what a certificate is asked for now and then, made at the first call and kept: the
 * key, the extensions, digests and texts to show.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <string.h>

#include "pki/crypto/cert_internal.h"
#include "store/base/printable.h"

struct shown {
	char *sha256, *sha1, *common_name;
};

struct urls {
	GStrv crl_urls, ocsp_urls, ca_issuer_urls;
};

/* --- extensions --- */

void
cert_extensions_free(gpointer extensions)
{
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static gpointer
extensions_new(const struct cert *cert)
{
	const unsigned char *p = cert->fields.extensions.bytes;
	X509_EXTENSIONS *all = d2i_X509_EXTENSIONS(NULL, &p, (long)cert->fields.extensions.length);

	/* cert_read_light has read them so before: only memory can be missing. */
	if (all == NULL)
		g_error("extensions that were read are none to OpenSSL");
	return all;
}

const X509_EXTENSIONS *
cert_extensions(const struct cert *cert)
{
	if (!cert->light)
		return X509_get0_extensions(cert_x509(cert));
	return cert_slot(cert, CERT_SLOT_EXTENSIONS, extensions_new, cert_extensions_free);
}

gpointer
cert_extension(const struct cert *cert, int nid, int *critical)
{
	return X509V3_get_d2i(cert_extensions(cert), nid, critical, NULL);
}

static X509_NAME *
read_name(const struct tlv *whole)
{
	const unsigned char *p = whole->bytes;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)whole->length);

	if (name == NULL)
		g_error("a name that was read is none to OpenSSL");
	return name;
}

X509_NAME *
cert_read_subject(const struct cert *cert)
{
	return cert->light ? read_name(&cert->fields.subject)
			   : X509_NAME_dup(X509_get_subject_name(cert_x509(cert)));
}

X509_NAME *
cert_read_issuer(const struct cert *cert)
{
	return cert->light ? read_name(&cert->fields.issuer)
			   : X509_NAME_dup(X509_get_issuer_name(cert_x509(cert)));
}

ASN1_INTEGER *
cert_read_serial(const struct cert *cert)
{
	const struct tlv *serial = &cert->fields.serial;

	if (!cert->light)
		return ASN1_INTEGER_dup(X509_get0_serialNumber(cert_x509(cert)));
	g_autoptr(BIGNUM) number = BN_bin2bn(serial->bytes, (int)serial->length, NULL);
	return number != NULL ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
}

gboolean
cert_has_subject(const struct cert *cert)
{
	/* A Name without parts is two octets. */
	return cert->light ? cert->fields.subject.length > 2
			   : X509_NAME_entry_count(X509_get_subject_name(cert_x509(cert))) > 0;
}

/* --- the key --- */

void
cert_key_free(gpointer key)
{
	EVP_PKEY_free(key);
}

/* OpenSSL takes numbers as the machine writes them. */
static void
put_number(guint8 *out, const struct tlv *number)
{
	for (gsize i = 0; i < number->length; i++)
		out[i] = number->bytes[number->length - 1 - i];
}

static EVP_PKEY *
key_make(const char *kind, OSSL_PARAM *parameters)
{
	g_autoptr(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *key = NULL;

	if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
		key = NULL;
	return key;
}

static EVP_PKEY *
rsa_key(const struct cert_fields *fields)
{
	g_autofree guint8 *n = g_malloc(fields->modulus.length);
	guint8 e[8];

	put_number(n, &fields->modulus);
	put_number(e, &fields->exponent);
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, fields->modulus.length),
		OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, fields->exponent.length),
		OSSL_PARAM_construct_end(),
	};
	return key_make("RSA", parameters);
}

static EVP_PKEY *
ec_key(const struct cert_fields *fields)
{
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)fields->curve,
						 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_PKEY_PARAM_PUB_KEY, (guint8 *)fields->point.bytes, fields->point.length),
		OSSL_PARAM_construct_end(),
	};
	return key_make("EC", parameters);
}

/* NULL is made again at each call: it should not be. */
static gpointer
key_new(const struct cert *cert)
{
	EVP_PKEY *key =
	    cert->fields.key_kind == KEY_KIND_RSA ? rsa_key(&cert->fields) : ec_key(&cert->fields);

	ERR_clear_error();
	return key;
}

EVP_PKEY *
cert_pkey(const struct cert *cert)
{
	return cert->light ? (EVP_PKEY *)cert_slot(cert, CERT_SLOT_KEY, key_new, cert_key_free)
			   : X509_get0_pubkey(cert_x509(cert));
}

gboolean
cert_has_readable_key(const struct cert *cert)
{
	return cert->light || cert_pkey(cert) != NULL;
}

const char *
cert_key_weakness(const struct cert *cert)
{
	EVP_PKEY *pkey = cert->light ? NULL : cert_pkey(cert);

	/* cert_fields reads no other than safe exponents and named curves. */
	return pkey != NULL ? key_weakness_of(pkey) : NULL;
}

/* --- the signature --- */

static const struct {
	enum algorithm algorithm;
	const char *key, *digest;
	int digest_nid;
} signatures[] = {
	{ ALGORITHM_RSA_SHA256, "RSA", "SHA256", NID_sha256 },
	{ ALGORITHM_RSA_SHA384, "RSA", "SHA384", NID_sha384 },
	{ ALGORITHM_RSA_SHA512, "RSA", "SHA512", NID_sha512 },
	{ ALGORITHM_RSA_SHA1, "RSA", "SHA1", NID_sha1 },
	{ ALGORITHM_ECDSA_SHA256, "EC", "SHA256", NID_sha256 },
	{ ALGORITHM_ECDSA_SHA384, "EC", "SHA384", NID_sha384 },
	{ ALGORITHM_ECDSA_SHA512, "EC", "SHA512", NID_sha512 },
	{ ALGORITHM_ECDSA_SHA1, "EC", "SHA1", NID_sha1 },
};

gboolean
cert_signature_digest(const struct cert *cert, int *nid)
{
	int key = NID_undef;

	for (gsize i = 0; cert->light && i < G_N_ELEMENTS(signatures); i++)
		if (signatures[i].algorithm == cert->signature) {
			*nid = signatures[i].digest_nid;
			return TRUE;
		}
	gboolean good = X509_get_signature_info(cert_x509(cert), nid, &key, NULL, NULL) == 1;
	ERR_clear_error();
	return good;
}

/* What X509_verify does, without an X509. */
static gboolean
verify_light(const struct cert *cert, EVP_PKEY *pkey, const char *key, const char *digest)
{
	const struct cert_fields *fields = &cert->fields;
	g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();

	return EVP_PKEY_is_a(pkey, key) == 1 && context != NULL &&
	       EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, pkey, NULL) == 1 &&
	       EVP_DigestVerify(context, fields->signature.bytes, fields->signature.length,
				fields->signed_part.bytes, fields->signed_part.length) == 1;
}

gboolean
cert_verify(const struct cert *cert, EVP_PKEY *pkey)
{
	gboolean good = FALSE, done = FALSE;

	for (gsize i = 0; cert->light && i < G_N_ELEMENTS(signatures) && !done; i++) {
		done = signatures[i].algorithm == cert->signature;
		good = done && verify_light(cert, pkey, signatures[i].key, signatures[i].digest);
	}
	if (!done)
		good = X509_verify(cert->original != NULL ? cert->original : cert_x509(cert),
				   pkey) == 1;
	ERR_clear_error();
	return good;
}

/* --- what is shown, or fetched --- */

void
cert_shown_free(gpointer p)
{
	struct shown *shown = p;

	g_free(shown->sha256);
	g_free(shown->sha1);
	g_free(shown->common_name);
	g_free(shown);
}

void
cert_urls_free(gpointer p)
{
	struct urls *urls = p;

	g_strfreev(urls->crl_urls);
	g_strfreev(urls->ocsp_urls);
	g_strfreev(urls->ca_issuer_urls);
	g_free(urls);
}

static char *
read_common_name(const X509_NAME *name)
{
	int at = -1, last = -1;

	while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
		last = at;
	if (last < 0)
		return g_strdup("");
	unsigned char *utf8 = NULL;
	int length =
	    ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
	if (length < 0)
		return g_strdup("");
	char *text = printable_bytes(utf8, (gsize)length, PRINTABLE_MAX_BYTES);
	OPENSSL_free(utf8);
	return text;
}

static gpointer
shown_new(const struct cert *cert)
{
	struct shown *shown = g_new0(struct shown, 1);
	g_autoptr(X509_NAME) subject = cert_read_subject(cert);
	gsize length;
	const guint8 *bytes = g_bytes_get_data(cert->der, &length);

	shown->sha256 = digest_hex("SHA256", bytes, length);
	shown->sha1 = digest_hex("SHA1", bytes, length);
	shown->common_name = read_common_name(subject);
	ERR_clear_error();
	return shown;
}

static gpointer
urls_new(const struct cert *cert)
{
	struct urls *urls = g_new0(struct urls, 1);

	urls->crl_urls = cert_read_crl_urls(cert);
	urls->ocsp_urls = cert_read_access_urls(cert, NID_ad_OCSP);
	urls->ca_issuer_urls = cert_read_access_urls(cert, NID_ad_ca_issuers);
	ERR_clear_error();
	return urls;
}

#define GETTER(type, name, kind, SLOT)                                                             \
	type cert_##name(const struct cert *cert)                                                  \
	{                                                                                          \
		const struct kind *kept =                                                          \
		    cert_slot(cert, CERT_SLOT_##SLOT, kind##_new, cert_##kind##_free);             \
		return kept->name;                                                                 \
	}
GETTER(const char *, sha256, shown, SHOWN)
GETTER(const char *, sha1, shown, SHOWN)
GETTER(const char *, common_name, shown, SHOWN)
GETTER(GStrv, crl_urls, urls, URLS)
GETTER(GStrv, ocsp_urls, urls, URLS)
GETTER(GStrv, ca_issuer_urls, urls, URLS)
#undef GETTER
