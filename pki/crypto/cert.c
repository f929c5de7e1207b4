/*
 * cert - parsing one certificate and answering what was asked of it.
 */
#include "pki/crypto/cert.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/cert_rules.h"
#include "pki/crypto/internal.h"
#include "store/base/hex.h"
#include "store/base/printable.h"

#define EXTENSIONS_MAX 64

struct cert {
	gint references;
	X509 *x509;
	GBytes *der;
	char *thumbprint, *sha256, *sha1;
	char *subject, *issuer, *common_name, *serial;
	char *subject_key, *issuer_key;
	char *ski, *aki;
	gint64 not_before, not_after;
	GPtrArray *emails;
	char *spki_sha256, *key_text;
	enum key_kind key_kind;
	unsigned int key_bits;
	enum algorithm signature;
	unsigned int key_usage;
	gboolean email_purpose, ca, self_issued, self_signed, inherited;
	int path_length;
	GStrv crl_urls, ocsp_urls, ca_issuer_urls;
	X509 *original; /* of an inherited one: what its issuer signed; else NULL */
	gpointer slots[CERT_SLOTS];
};

/* A text with a NUL inside is how one name is made to look like another: refused. */
static gboolean
has_nul(const ASN1_STRING *text)
{
	return memchr(ASN1_STRING_get0_data(text), 0, (gsize)ASN1_STRING_length(text)) != NULL;
}

static void
add_email(struct cert *cert, const char *text)
{
	struct mailaddr *address = mailaddr_parse(text, NULL);

	if (address == NULL)
		return; /* unusable as an address; cert_facts shows the raw names */
	for (guint i = 0; i < cert->emails->len; i++)
		if (mailaddr_equal(cert->emails->pdata[i], address)) {
			mailaddr_unref(address);
			return;
		}
	g_ptr_array_add(cert->emails, address);
}

static gboolean
add_email_string(struct cert *cert, const ASN1_STRING *text, GError **error)
{
	if (has_nul(text))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate has a mail address with a NUL inside");
	if (cert->emails->len >= CERT_EMAILS_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate has more than %d mail addresses",
				  CERT_EMAILS_MAX);
	g_autofree char *copy =
	    g_strndup((const char *)ASN1_STRING_get0_data(text), (gsize)ASN1_STRING_length(text));
	add_email(cert, copy);
	return TRUE;
}

/* RFC 5280 4.2.1.6: rfc822Name is IA5String; RFC 9598: SmtpUTF8Mailbox is UTF8String. */
static gboolean
read_san_emails(struct cert *cert, GError **error)
{
	g_autoptr(GENERAL_NAMES) names =
	    X509_get_ext_d2i(cert->x509, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_EMAIL) {
			if (!add_email_string(cert, name->d.rfc822Name, error))
				return FALSE;
		} else if (name->type == GEN_OTHERNAME &&
			   OBJ_obj2nid(name->d.otherName->type_id) == NID_id_on_SmtpUTF8Mailbox &&
			   name->d.otherName->value->type == V_ASN1_UTF8STRING) {
			if (!add_email_string(cert, name->d.otherName->value->value.utf8string,
					      error))
				return FALSE;
		}
	}
	return TRUE;
}

static gboolean
read_emails(struct cert *cert, GError **error)
{
	const X509_NAME *subject = X509_get_subject_name(cert->x509);
	int at = -1;

	if (!read_san_emails(cert, error))
		return FALSE;
	while ((at = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, at)) >= 0) {
		unsigned char *utf8 = NULL;
		const ASN1_STRING *data =
		    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
		int length = ASN1_STRING_to_UTF8(&utf8, data);

		if (length < 0)
			continue;
		g_autofree char *copy = g_strndup((const char *)utf8, (gsize)length);
		gboolean nul = memchr(utf8, 0, (gsize)length) != NULL;
		OPENSSL_free(utf8);
		if (nul)
			return fail_false(error, PS_ERROR_INVALID,
					  "the certificate has a mail address with a NUL inside");
		if (cert->emails->len < CERT_EMAILS_MAX)
			add_email(cert, copy);
	}
	return TRUE;
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

/* RFC 5280 4.2.1.12; K4 */
static gboolean
read_email_purpose(X509 *x509)
{
	int critical = 0;
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(x509, NID_ext_key_usage, &critical, NULL);
	gboolean found = FALSE;

	if (usages == NULL)
		return critical == -1; /* absent; unreadable or repeated is a no */
	for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
		int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));

		found |= nid == NID_email_protect || nid == NID_anyExtendedKeyUsage;
	}
	sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
	return found;
}

static gboolean
read_key(struct cert *cert, GError **error)
{
	unsigned char *spki = NULL;
	X509_PUBKEY *pubkey = X509_get_X509_PUBKEY(cert->x509);
	int length = i2d_X509_PUBKEY(pubkey, &spki);
	const EVP_PKEY *pkey = X509_get0_pubkey(cert->x509);

	if (length <= 0)
		return fail_openssl_false(error, PS_ERROR_INVALID,
					  "the certificate has no public key");
	cert->spki_sha256 = digest_hex("SHA256", spki, (gsize)length);
	OPENSSL_free(spki);
	if (pkey != NULL) {
		cert->key_kind = key_kind_of(pkey, &cert->key_bits);
		cert->key_text = key_text_of(pkey);
		return TRUE;
	}
	/* A DSA key may inherit its parameters; others are of a kind that OpenSSL lacks. */
	ASN1_OBJECT *object = NULL;
	X509_PUBKEY_get0_param(&object, NULL, NULL, NULL, pubkey);
	g_autofree char *oid = object_dotted(object);
	cert->key_kind = OBJ_obj2nid(object) == NID_dsa ? KEY_KIND_DSA : KEY_KIND_OTHER;
	cert->key_text = cert->key_kind == KEY_KIND_DSA ? g_strdup("DSA without parameters")
							: g_strdup_printf("unreadable (%s)", oid);
	return TRUE;
}

static char *
octets_hex(const ASN1_OCTET_STRING *octets)
{
	if (octets == NULL)
		return NULL;
	return hex_encode(ASN1_STRING_get0_data(octets), (gsize)ASN1_STRING_length(octets));
}

static void
read_usages(struct cert *cert)
{
	uint32_t flags = X509_get_extension_flags(cert->x509);

	cert->key_usage = (flags & EXFLAG_KUSAGE) != 0
			      ? X509_get_key_usage(cert->x509) & KEY_USAGE_ALL
			      : KEY_USAGE_ALL | KEY_USAGE_ABSENT;
	cert->email_purpose = read_email_purpose(cert->x509);
	cert->ca = (flags & EXFLAG_CA) != 0;
	cert->path_length = cert->ca ? (int)X509_get_pathlen(cert->x509) : -1;
	cert->self_issued = strcmp(cert->subject_key, cert->issuer_key) == 0;
	cert->self_signed = cert->self_issued && X509_self_signed(cert->x509, 1) == 1;
	cert->ski = octets_hex(X509_get0_subject_key_id(cert->x509));
	cert->aki = octets_hex(X509_get0_authority_key_id(cert->x509));
	cert->crl_urls = cert_read_crl_urls(cert->x509);
	cert->ocsp_urls = cert_read_access_urls(cert->x509, NID_ad_OCSP);
	cert->ca_issuer_urls = cert_read_access_urls(cert->x509, NID_ad_ca_issuers);
}

static gboolean
read_all(struct cert *cert, GError **error)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(cert->der, &length);
	const X509_ALGOR *signature = NULL;

	/* Works out and keeps what the other getters read, so that threads may share it. */
	(void)X509_check_purpose(cert->x509, -1, 0);
	if (X509_get_ext_count(cert->x509) > EXTENSIONS_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate has more than %d extensions", EXTENSIONS_MAX);
	cert->thumbprint = digest_hex("SHA512", bytes, length);
	cert->sha256 = digest_hex("SHA256", bytes, length);
	cert->sha1 = digest_hex("SHA1", bytes, length);
	cert->subject = name_text(X509_get_subject_name(cert->x509));
	cert->issuer = name_text(X509_get_issuer_name(cert->x509));
	cert->common_name = read_common_name(X509_get_subject_name(cert->x509));
	cert->subject_key = name_key(X509_get_subject_name(cert->x509));
	cert->issuer_key = name_key(X509_get_issuer_name(cert->x509));
	cert->serial = serial_hex(X509_get0_serialNumber(cert->x509));
	if (!asn1_seconds(X509_get0_notBefore(cert->x509), &cert->not_before) ||
	    !asn1_seconds(X509_get0_notAfter(cert->x509), &cert->not_after))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate has dates that cannot be read");
	X509_get0_signature(NULL, &signature, cert->x509);
	cert->signature = algorithm_of(signature);
	if (!read_key(cert, error))
		return FALSE;
	read_usages(cert);
	return read_emails(cert, error);
}

static struct cert *
cert_new(X509 *x509, GBytes *der, GError **error)
{
	struct cert *cert = g_new0(struct cert, 1);

	cert->references = 1;
	cert->x509 = x509;
	cert->der = g_bytes_ref(der);
	cert->emails = g_ptr_array_new_with_free_func((GDestroyNotify)mailaddr_unref);
	gboolean good = read_all(cert, error);
	ERR_clear_error();
	if (!good) {
		cert_unref(cert);
		return NULL;
	}
	return cert;
}

struct cert *
cert_parse(GBytes *der, GError **error)
{
	gsize length;
	const unsigned char *start = g_bytes_get_data(der, &length), *p = start;

	if (length > CERT_SIZE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a certificate of %zu bytes is too large",
			    length);
	if (length == 0)
		return fail(error, PS_ERROR_INVALID, "not a certificate: empty");
	X509 *x509 = d2i_X509(NULL, &p, (long)length);
	if (x509 == NULL)
		return fail_openssl(error, PS_ERROR_INVALID, "not a certificate, or damaged");
	if (p != start + length) {
		X509_free(x509);
		return fail(error, PS_ERROR_INVALID, "%td bytes follow the certificate",
			    start + length - p);
	}
	return cert_new(x509, der, error);
}

struct cert *
cert_parse_x509(X509 *x509, GError **error)
{
	unsigned char *der = NULL;
	int length = i2d_X509(x509, &der);

	if (length <= 0)
		return fail_openssl(error, PS_ERROR_INVALID, "not a certificate");
	g_autoptr(GBytes) bytes = bytes_take_openssl(der, length);
	return cert_parse(bytes, error);
}

struct cert *
cert_ref(struct cert *cert)
{
	g_atomic_int_inc(&cert->references);
	return cert;
}

void
cert_unref(struct cert *cert)
{
	if (cert == NULL || !g_atomic_int_dec_and_test(&cert->references))
		return;
	static const GDestroyNotify free_slot[CERT_SLOTS] = {
		[CERT_SLOT_RULES] = cert_rules_free,
		[CERT_SLOT_NAMES] = cert_names_free,
		[CERT_SLOT_POINTS] = cert_points_free,
		[CERT_SLOT_SIGNERS] = cert_signers_free,
	};

	for (int i = 0; i < CERT_SLOTS; i++)
		g_clear_pointer(&cert->slots[i], free_slot[i]);
	X509_free(cert->x509);
	X509_free(cert->original);
	g_bytes_unref(cert->der);
	g_free(cert->thumbprint);
	g_free(cert->sha256);
	g_free(cert->sha1);
	g_free(cert->subject);
	g_free(cert->issuer);
	g_free(cert->common_name);
	g_free(cert->serial);
	g_free(cert->subject_key);
	g_free(cert->issuer_key);
	g_free(cert->ski);
	g_free(cert->aki);
	g_free(cert->spki_sha256);
	g_free(cert->key_text);
	g_ptr_array_unref(cert->emails);
	g_strfreev(cert->crl_urls);
	g_strfreev(cert->ocsp_urls);
	g_strfreev(cert->ca_issuer_urls);
	g_free(cert);
}

gboolean
cert_equal(const struct cert *a, const struct cert *b)
{
	return a == b || g_bytes_equal(a->der, b->der);
}

gboolean
cert_is_among(const struct cert *cert, const GPtrArray *certs_or_null)
{
	for (guint i = 0; certs_or_null != NULL && i < certs_or_null->len; i++)
		if (cert_equal(certs_or_null->pdata[i], cert))
			return TRUE;
	return FALSE;
}

/* Plain getters: one fact each. */
#define GETTER(type, name, member)                                                                 \
	type cert_##name(const struct cert *cert)                                                  \
	{                                                                                          \
		return cert->member;                                                               \
	}
GETTER(GBytes *, der, der)
GETTER(const char *, thumbprint, thumbprint)
GETTER(const char *, sha256, sha256)
GETTER(const char *, sha1, sha1)
GETTER(const char *, subject, subject)
GETTER(const char *, issuer, issuer)
GETTER(const char *, common_name, common_name)
GETTER(const char *, serial_hex, serial)
GETTER(const char *, subject_key, subject_key)
GETTER(const char *, issuer_key, issuer_key)
GETTER(const char *, ski, ski)
GETTER(const char *, aki, aki)
GETTER(gint64, not_before, not_before)
GETTER(gint64, not_after, not_after)
GETTER(GPtrArray *, emails, emails)
GETTER(const char *, spki_sha256, spki_sha256)
GETTER(enum key_kind, key_kind, key_kind)
GETTER(unsigned int, key_bits, key_bits)
GETTER(const char *, key_text, key_text)
GETTER(enum algorithm, signature_algorithm, signature)
GETTER(unsigned int, key_usage, key_usage)
GETTER(gboolean, has_email_purpose, email_purpose)
GETTER(gboolean, is_ca, ca)
GETTER(int, path_length, path_length)
GETTER(gboolean, is_self_issued, self_issued)
GETTER(gboolean, is_self_signed, self_signed)
GETTER(GStrv, crl_urls, crl_urls)
GETTER(GStrv, ocsp_urls, ocsp_urls)
GETTER(GStrv, ca_issuer_urls, ca_issuer_urls)
#undef GETTER

X509 *
cert_x509(const struct cert *cert)
{
	return cert->x509;
}

EVP_PKEY *
cert_pkey(const struct cert *cert)
{
	return X509_get0_pubkey(cert->x509);
}

gboolean
cert_has_email(const struct cert *cert, const struct mailaddr *address)
{
	for (guint i = 0; i < cert->emails->len; i++)
		if (mailaddr_equal(cert->emails->pdata[i], address))
			return TRUE;
	return FALSE;
}

gboolean
cert_may_encrypt(const struct cert *cert)
{
	switch (cert->key_kind) {
	case KEY_KIND_RSA:
		return (cert->key_usage & KEY_USAGE_KEY_ENCIPHERMENT) != 0;
	case KEY_KIND_EC:
	case KEY_KIND_X25519:
	case KEY_KIND_X448:
		return (cert->key_usage & KEY_USAGE_KEY_AGREEMENT) != 0;
	case KEY_KIND_OTHER:
	case KEY_KIND_RSA_PSS:
	case KEY_KIND_ED25519:
	case KEY_KIND_ED448:
	case KEY_KIND_DSA:
		return FALSE;
	}
	return FALSE;
}

gboolean
cert_may_sign(const struct cert *cert)
{
	if (cert->key_kind == KEY_KIND_X25519 || cert->key_kind == KEY_KIND_X448)
		return FALSE;
	return (cert->key_usage & (KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_NON_REPUDIATION)) != 0;
}

gboolean
cert_has_digital_signature(const struct cert *cert)
{
	return cert_may_sign(cert) && (cert->key_usage & KEY_USAGE_DIGITAL_SIGNATURE) != 0;
}

const char *
cert_kind(const struct cert *cert)
{
	if (cert->self_signed && (cert->ca || X509_get_version(cert->x509) == X509_VERSION_1))
		return "root";
	return cert->ca ? "intermediate" : "end user";
}

X509 *
cert_signed_x509(const struct cert *cert)
{
	return cert->original != NULL ? cert->original : cert->x509;
}

gpointer *
cert_slot_place(const struct cert *cert, enum cert_slot slot)
{
	return &((struct cert *)cert)->slots[slot];
}

gconstpointer
cert_slot(const struct cert *cert, enum cert_slot slot, gpointer (*make)(const struct cert *),
	  GDestroyNotify free_func)
{
	gpointer *place = cert_slot_place(cert, slot);
	gpointer made, kept = g_atomic_pointer_get(place);

	if (kept != NULL)
		return kept;
	made = make(cert);
	if (g_atomic_pointer_compare_and_exchange(place, NULL, made))
		return made;
	free_func(made);
	return g_atomic_pointer_get(place);
}

gboolean
cert_is_issued_by(const struct cert *cert, const struct cert *issuer)
{
	guint effort = 0;

	return cert_is_signed_by(cert, issuer, &effort);
}

gboolean
cert_lacks_parameters(const struct cert *cert)
{
	return cert->key_kind == KEY_KIND_DSA && cert_pkey(cert) == NULL;
}

gboolean
cert_has_inherited(const struct cert *cert)
{
	return cert->inherited;
}

/* The child's number in the issuer's group. */
static EVP_PKEY *
complete_key(X509 *child, X509 *issuer)
{
	const unsigned char *bits = NULL;
	int length = 0, type = V_ASN1_UNDEF;
	X509_ALGOR *algorithm = NULL;
	const void *parameters = NULL;
	unsigned char *der = NULL;

	X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm, X509_get_X509_PUBKEY(issuer));
	X509_ALGOR_get0(NULL, &type, &parameters, algorithm);
	X509_PUBKEY_get0_param(NULL, &bits, &length, NULL, X509_get_X509_PUBKEY(child));
	if (type != V_ASN1_SEQUENCE || length <= 0)
		return NULL;
	X509_PUBKEY *complete = X509_PUBKEY_new();
	ASN1_STRING *group = ASN1_STRING_dup(parameters);
	unsigned char *copy = OPENSSL_memdup(bits, (gsize)length);
	if (X509_PUBKEY_set0_param(complete, OBJ_nid2obj(NID_dsa), V_ASN1_SEQUENCE, group, copy,
				   length) != 1) {
		ASN1_STRING_free(group);
		OPENSSL_free(copy);
	}
	int size = i2d_X509_PUBKEY(complete, &der);
	const unsigned char *p = der;
	EVP_PKEY *pkey = size > 0 ? d2i_PUBKEY(NULL, &p, size) : NULL;
	OPENSSL_free(der);
	X509_PUBKEY_free(complete);
	return pkey;
}

struct cert *
cert_inherit_parameters(const struct cert *cert, const struct cert *issuer)
{
	EVP_PKEY *issuer_key = cert_pkey(issuer);
	struct cert *result = NULL;

	if (!cert_lacks_parameters(cert) || issuer_key == NULL ||
	    issuer->key_kind != KEY_KIND_DSA ||
	    strcmp(cert->issuer_key, issuer->subject_key) != 0 ||
	    X509_verify(cert_signed_x509(cert), issuer_key) != 1) {
		ERR_clear_error();
		return NULL;
	}
	g_autoptr(EVP_PKEY) pkey = complete_key(cert->x509, issuer->x509);
	g_autoptr(X509) copy = pkey != NULL ? X509_dup(cert->x509) : NULL;
	/* The getters' answers are those of the original; only OpenSSL's object is another. */
	if (copy != NULL && X509_set_pubkey(copy, pkey) == 1)
		result = cert_new(g_steal_pointer(&copy), cert->der, NULL);
	if (result != NULL) {
		result->inherited = TRUE;
		result->original = cert->x509;
		(void)X509_up_ref(result->original);
		g_free(result->spki_sha256);
		result->spki_sha256 = g_strdup(cert->spki_sha256);
	}
	ERR_clear_error();
	return result;
}
