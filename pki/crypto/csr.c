/*
 * csr - PKCS#10 requests.
 */
#include "pki/crypto/csr.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "pki/crypto/internal.h"
#include "pki/crypto/issue_internal.h"

#define EMAILS_MAX 64

struct csr {
	GBytes *der;
	GBytes *spki;
	char *spki_sha256, *subject, *subject_key, *key_text;
	enum key_kind key_kind;
	unsigned int key_bits;
	GPtrArray *emails;
};

static gboolean
add_key_usage(STACK_OF(X509_EXTENSION) * *extensions, unsigned int key_usage)
{
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	gboolean good = bits != NULL;

	/* Bit 0 of the string is the highest of the first octet, as the mask has it. */
	for (int bit = 0; good && bit < 8; bit++)
		if ((key_usage & (0x80u >> bit)) != 0)
			good = ASN1_BIT_STRING_set_bit(bits, bit, 1) == 1;
	good = good && X509V3_add1_i2d(extensions, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT) == 1;
	ASN1_BIT_STRING_free(bits);
	return good;
}

static gboolean
add_extended(STACK_OF(X509_EXTENSION) * *extensions, const char *usages)
{
	g_autoptr(X509_EXTENSION) one = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, usages);

	return one != NULL && X509v3_add_ext(extensions, one, -1) != NULL;
}

/* Who signs certificates is a CA: one that is below another and above none. */
static gboolean
add_constraints(STACK_OF(X509_EXTENSION) * *extensions)
{
	BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
	gboolean good = constraints != NULL;

	if (good) {
		constraints->ca = 0xff;
		constraints->pathlen = ASN1_INTEGER_new();
		good = constraints->pathlen != NULL &&
		       ASN1_INTEGER_set(constraints->pathlen, 0) == 1 &&
		       X509V3_add1_i2d(extensions, NID_basic_constraints, constraints, 1,
				       X509V3_ADD_DEFAULT) == 1;
	}
	BASIC_CONSTRAINTS_free(constraints);
	return good;
}

static gboolean
add_extensions(X509_REQ *request, const struct issue_names *names, unsigned int key_usage,
	       const char *extended_usages, GError **error)
{
	gboolean none = TRUE;
	g_autoptr(GENERAL_NAMES) all = issue_alt_names(names, &none, error);
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	gboolean good = TRUE;

	if (all == NULL)
		return FALSE;
	if (!none)
		good = X509V3_add1_i2d(&extensions, NID_subject_alt_name, all, 0,
				       X509V3_ADD_DEFAULT) == 1;
	if ((key_usage & KEY_USAGE_CERT_SIGN) != 0)
		good = good && add_constraints(&extensions);
	if (key_usage != 0)
		good = good && add_key_usage(&extensions, key_usage);
	if (extended_usages != NULL)
		good = good && add_extended(&extensions, extended_usages);
	if (extensions != NULL)
		good = good && X509_REQ_add_extensions(request, extensions) == 1;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	if (!good)
		return fail_openssl_false(error, PS_ERROR_BUG, "the request cannot be made");
	return TRUE;
}

static GBytes *
sign_request(X509_REQ *request, const struct key *key, enum algorithm hash, GError **error)
{
	g_autoptr(EVP_MD_CTX) signer = issue_signer(key, hash, FALSE, error);
	unsigned char *der = NULL;

	if (signer == NULL)
		return NULL;
	if (X509_REQ_sign_ctx(request, signer) <= 0)
		return fail_openssl(error, PS_ERROR_BUG, "the request cannot be signed");
	int length = i2d_X509_REQ(request, &der);
	if (length <= 0)
		return fail_openssl(error, PS_ERROR_BUG, "the request cannot be written");
	return bytes_take_openssl(der, length);
}

GBytes *
csr_make_like(const struct key *key, const struct cert *cert, GError **error)
{
	g_autoptr(X509_REQ) request = X509_REQ_new();
	X509 *like = cert_x509(cert);
	int place = X509_get_ext_by_NID(like, NID_subject_alt_name, -1);
	STACK_OF(X509_EXTENSION) *extensions = NULL;

	gboolean good = X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
			X509_REQ_set_subject_name(request, X509_get_subject_name(like)) == 1 &&
			X509_REQ_set_pubkey(request, key_pkey(key)) == 1;
	if (good && place >= 0)
		good = X509v3_add_ext(&extensions, X509_get_ext(like, place), -1) != NULL &&
		       X509_REQ_add_extensions(request, extensions) == 1;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	if (!good)
		return fail_openssl(error, PS_ERROR_BUG, "the request cannot be made");
	return sign_request(request, key, ALGORITHM_UNKNOWN, error);
}

GBytes *
csr_make_for(const struct key *key, const struct issue_names *names, unsigned int key_usage,
	     const char *extended_usages, enum algorithm hash, GError **error)
{
	g_autoptr(X509_REQ) request = X509_REQ_new();
	g_autoptr(X509_NAME) subject = issue_subject(names, error);

	if (subject == NULL)
		return NULL;
	if (X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
	    X509_REQ_set_subject_name(request, subject) != 1 ||
	    X509_REQ_set_pubkey(request, key_pkey(key)) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "the request cannot be made");
	if (!add_extensions(request, names, key_usage, extended_usages, error))
		return NULL;
	return sign_request(request, key, hash, error);
}

GBytes *
csr_make(const struct key *key, const struct issue_names *names, enum algorithm hash,
	 GError **error)
{
	return csr_make_for(key, names, 0, NULL, hash, error);
}

char *
csr_to_pem(GBytes *der)
{
	g_autoptr(BIO) out = BIO_new(BIO_s_mem());
	gsize length;
	const guint8 *bytes = g_bytes_get_data(der, &length);
	char *text = NULL;

	if (PEM_write_bio(out, PEM_STRING_X509_REQ, "", bytes, (long)length) <= 0)
		ERR_clear_error();
	long size = BIO_get_mem_data(out, &text);
	return g_strndup(text, size > 0 ? (gsize)size : 0);
}

static X509_REQ *
read_request(GBytes *bytes, GError **error)
{
	gsize length;
	const unsigned char *start = g_bytes_get_data(bytes, &length), *p = start;
	X509_REQ *request = NULL;

	if (length > CSR_SIZE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a request of %zu bytes is too large", length);
	if (length > 0 && *start == 0x30) {
		request = d2i_X509_REQ(NULL, &p, (long)length);
		if (request != NULL && p != start + length) {
			X509_REQ_free(request);
			return fail(error, PS_ERROR_INVALID, "%td bytes follow the request",
				    start + length - p);
		}
	} else {
		g_autoptr(BIO) in = BIO_new_mem_buf(start, (int)length);
		request = PEM_read_bio_X509_REQ(in, NULL, NULL, NULL);
	}
	if (request == NULL)
		return fail_openssl(error, PS_ERROR_INVALID,
				    "not a certificate request, or damaged");
	return request;
}

static void
add_email(struct csr *csr, const ASN1_STRING *text)
{
	gsize length = (gsize)ASN1_STRING_length(text);
	const unsigned char *bytes = ASN1_STRING_get0_data(text);

	if (csr->emails->len >= EMAILS_MAX || memchr(bytes, 0, length) != NULL)
		return;
	g_autofree char *copy = g_strndup((const char *)bytes, length);
	struct mailaddr *address = mailaddr_parse(copy, NULL);
	if (address != NULL)
		g_ptr_array_add(csr->emails, address);
}

static void
read_emails(struct csr *csr, X509_REQ *request)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	g_autoptr(GENERAL_NAMES) names =
	    extensions != NULL ? X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL)
			       : NULL;
	const X509_NAME *subject = X509_REQ_get_subject_name(request);

	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_EMAIL)
			add_email(csr, name->d.rfc822Name);
		else if (name->type == GEN_OTHERNAME &&
			 OBJ_obj2nid(name->d.otherName->type_id) == NID_id_on_SmtpUTF8Mailbox &&
			 name->d.otherName->value->type == V_ASN1_UTF8STRING)
			add_email(csr, name->d.otherName->value->value.utf8string);
	}
	for (int at = -1;
	     (at = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, at)) >= 0;)
		add_email(csr, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

struct csr *
csr_parse(GBytes *bytes, GError **error)
{
	g_autoptr(X509_REQ) request = read_request(bytes, error);

	if (request == NULL)
		return NULL;
	EVP_PKEY *pkey = X509_REQ_get0_pubkey(request);
	if (pkey == NULL || X509_REQ_verify(request, pkey) != 1)
		return fail_openssl(error, PS_ERROR_INVALID,
				    "the request is not signed by the key that it names");
	unsigned char *der = NULL, *spki = NULL;
	int der_length = i2d_X509_REQ(request, &der);
	int spki_length = i2d_PUBKEY(pkey, &spki);
	if (der_length <= 0 || spki_length <= 0) {
		OPENSSL_free(der);
		OPENSSL_free(spki);
		return fail_openssl(error, PS_ERROR_BUG, "the request cannot be read");
	}
	struct csr *csr = g_new0(struct csr, 1);
	csr->der = bytes_take_openssl(der, der_length);
	csr->spki = bytes_take_openssl(spki, spki_length);
	csr->spki_sha256 = digest_hex("SHA256", spki, (gsize)spki_length);
	csr->subject = name_text(X509_REQ_get_subject_name(request));
	csr->subject_key = name_key(X509_REQ_get_subject_name(request));
	csr->key_kind = key_kind_of(pkey, &csr->key_bits);
	csr->key_text = key_text_of(pkey);
	csr->emails = g_ptr_array_new_with_free_func((GDestroyNotify)mailaddr_unref);
	read_emails(csr, request);
	ERR_clear_error();
	return csr;
}

void
csr_free(struct csr *csr)
{
	if (csr == NULL)
		return;
	g_bytes_unref(csr->der);
	g_bytes_unref(csr->spki);
	g_free(csr->spki_sha256);
	g_free(csr->subject);
	g_free(csr->subject_key);
	g_free(csr->key_text);
	g_ptr_array_unref(csr->emails);
	g_free(csr);
}

#define GETTER(type, name, member)                                                                 \
	type csr_##name(const struct csr *csr)                                                     \
	{                                                                                          \
		return csr->member;                                                                \
	}
GETTER(GBytes *, der, der)
GETTER(GBytes *, spki, spki)
GETTER(const char *, spki_sha256, spki_sha256)
GETTER(const char *, subject, subject)
GETTER(const char *, subject_key, subject_key)
GETTER(const char *, key_text, key_text)
GETTER(enum key_kind, key_kind, key_kind)
GETTER(unsigned int, key_bits, key_bits)
GETTER(GPtrArray *, emails, emails)
#undef GETTER
