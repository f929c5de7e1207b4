/*
 * cert_whole - a certificate by OpenSSL: what is not of the common kind, and who needs an X509.
 */
#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/cert_internal.h"
#include "store/base/hex.h"

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
read_san_emails(struct cert *cert, X509 *x509, GError **error)
{
	g_autoptr(GENERAL_NAMES) names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);

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
read_emails(struct cert *cert, X509 *x509, GError **error)
{
	const X509_NAME *subject = X509_get_subject_name(x509);
	int at = -1;

	if (!read_san_emails(cert, x509, error))
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
read_key(struct cert *cert, X509 *x509, GError **error)
{
	unsigned char *spki = NULL;
	X509_PUBKEY *pubkey = X509_get_X509_PUBKEY(x509);
	int length = i2d_X509_PUBKEY(pubkey, &spki);
	const EVP_PKEY *pkey = X509_get0_pubkey(x509);

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
read_usages(struct cert *cert, X509 *x509)
{
	uint32_t flags = X509_get_extension_flags(x509);

	cert->key_usage = (flags & EXFLAG_KUSAGE) != 0 ? X509_get_key_usage(x509) & KEY_USAGE_ALL
						       : KEY_USAGE_ALL | KEY_USAGE_ABSENT;
	cert->email_purpose = read_email_purpose(x509);
	cert->has_basic_constraints = (flags & EXFLAG_BCONS) != 0;
	cert->broken = (flags & EXFLAG_INVALID) != 0;
	cert->ca = (flags & EXFLAG_CA) != 0;
	cert->path_length = cert->ca ? (int)X509_get_pathlen(x509) : -1;
	cert->self_issued = strcmp(cert->subject_key, cert->issuer_key) == 0;
	cert->self_signed = cert->self_issued && X509_self_signed(x509, 1) == 1;
	cert->version_1 = X509_get_version(x509) == X509_VERSION_1;
	cert->ski = octets_hex(X509_get0_subject_key_id(x509));
	cert->aki = octets_hex(X509_get0_authority_key_id(x509));
}

static gboolean
read_all(struct cert *cert, X509 *x509, GError **error)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(cert->der, &length);
	const X509_ALGOR *signature = NULL;

	/* Works out and keeps what the other getters read, so that threads may share it. */
	(void)X509_check_purpose(x509, -1, 0);
	if (X509_get_ext_count(x509) > CERT_EXTENSIONS_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate has more than %d extensions",
				  CERT_EXTENSIONS_MAX);
	cert->thumbprint = digest_hex("SHA512", bytes, length);
	cert->subject = name_text(X509_get_subject_name(x509));
	cert->issuer = name_text(X509_get_issuer_name(x509));
	cert->subject_key = name_key(X509_get_subject_name(x509));
	cert->issuer_key = name_key(X509_get_issuer_name(x509));
	cert->serial = serial_hex(X509_get0_serialNumber(x509));
	if (!asn1_seconds(X509_get0_notBefore(x509), &cert->not_before) ||
	    !asn1_seconds(X509_get0_notAfter(x509), &cert->not_after))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate has dates that cannot be read");
	X509_get0_signature(NULL, &signature, x509);
	cert->signature = algorithm_of(signature);
	if (!read_key(cert, x509, error))
		return FALSE;
	read_usages(cert, x509);
	return read_emails(cert, x509, error);
}

gboolean
cert_read_whole(struct cert *cert, X509 *x509, GError **error)
{
	cert->slots[CERT_SLOT_X509] = x509;
	gboolean good = read_all(cert, x509, error);
	ERR_clear_error();
	return good;
}

void
cert_x509_free(gpointer x509)
{
	X509_free(x509);
}

/* What cert_fields read, d2i_X509 reads too: tests and a fuzz target hold it to that. Should it
 * not, an empty certificate is nobody's and verifies nothing. */
static gpointer
x509_new(const struct cert *cert)
{
	gsize length;
	const unsigned char *p = g_bytes_get_data(cert->der, &length);
	X509 *x509 = d2i_X509(NULL, &p, (long)length);

	if (x509 == NULL) {
		g_critical("a certificate that was read is none to OpenSSL");
		x509 = X509_new();
	}
	(void)X509_check_purpose(x509, -1, 0); /* as in read_all */
	ERR_clear_error();
	return x509;
}

X509 *
cert_x509(const struct cert *cert)
{
	return (X509 *)cert_slot(cert, CERT_SLOT_X509, x509_new, cert_x509_free);
}
