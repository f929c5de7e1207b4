/*
 * issue_names - subjects, alternative names and the signing context.
 */
#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/issue_internal.h"
#include "store/base/printable.h"

/* RFC 5280 appendix A.1: upper bounds in characters; of a person's names it would be 32,768. */
struct attribute {
	int nid;
	int type;
	glong max;
	const char *shown;
};

static const struct attribute country = { NID_countryName, V_ASN1_PRINTABLESTRING, 2, "country" };
static const struct attribute organisation = { NID_organizationName, V_ASN1_UTF8STRING, 64,
					       "organisation" };
static const struct attribute organisation_id = { NID_organizationIdentifier, V_ASN1_UTF8STRING,
						  256, "registration of the organisation" };
static const struct attribute unit = { NID_organizationalUnitName, V_ASN1_UTF8STRING, 64,
				       "organisational unit" };
static const struct attribute common_name = { NID_commonName, V_ASN1_UTF8STRING, 64,
					      "common name" };
static const struct attribute given_name = { NID_givenName, V_ASN1_UTF8STRING, 256, "first name" };
static const struct attribute surname = { NID_surname, V_ASN1_UTF8STRING, 256, "last name" };
static const struct attribute email = { NID_pkcs9_emailAddress, V_ASN1_IA5STRING, 255,
					"mail address" };

/* Line ends of Unicode, and what turns the direction of the text around it: a name that is shown
 * as another one. */
static gboolean
is_misleading(gunichar c)
{
	return (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static gboolean
is_clean(const char *value)
{
	if (!g_utf8_validate(value, -1, NULL))
		return FALSE;
	for (const char *p = value; *p != '\0'; p = g_utf8_next_char(p))
		if (g_unichar_iscntrl(g_utf8_get_char(p)) || is_misleading(g_utf8_get_char(p)))
			return FALSE;
	return TRUE;
}

static gboolean
add_attribute(X509_NAME *name, const struct attribute *attribute, const char *value, GError **error)
{
	if (value == NULL || *value == '\0')
		return TRUE;
	g_autofree char *shown = printable(value);
	/* S/MIME BR 7.1.4.2: nothing that only says that there is nothing. */
	if (value[strspn(value, ".- ")] == '\0')
		return fail_false(error, PS_ERROR_INVALID, "%s '%s' says nothing: leave it out",
				  attribute->shown, shown);
	if (!is_clean(value))
		return fail_false(error, PS_ERROR_INVALID,
				  "%s '%s' has characters that no name may have", attribute->shown,
				  shown);
	if (g_utf8_strlen(value, -1) > attribute->max)
		return fail_false(error, PS_ERROR_INVALID, "%s '%s' is longer than %ld characters",
				  attribute->shown, shown, attribute->max);
	if (attribute->type != V_ASN1_UTF8STRING && !g_str_is_ascii(value))
		return fail_false(error, PS_ERROR_INVALID, "%s '%s' is not plain ASCII",
				  attribute->shown, shown);
	if (attribute == &country &&
	    (strlen(value) != 2 || !g_ascii_isalpha(value[0]) || !g_ascii_isalpha(value[1])))
		return fail_false(error, PS_ERROR_INVALID,
				  "country '%s' is not a code of two letters", shown);
	if (X509_NAME_add_entry_by_NID(name, attribute->nid, attribute->type,
				       (const unsigned char *)value, -1, -1, 0) != 1)
		return fail_openssl_false(error, PS_ERROR_INVALID, "%s '%s' cannot be used",
					  attribute->shown, shown);
	return TRUE;
}

X509_NAME *
issue_subject(const struct issue_names *names, GError **error)
{
	g_autoptr(X509_NAME) name = X509_NAME_new();

	if (!add_attribute(name, &country, names->country, error) ||
	    !add_attribute(name, &organisation, names->organisation, error) ||
	    !add_attribute(name, &organisation_id, names->organisation_id, error) ||
	    !add_attribute(name, &unit, names->organisational_unit, error) ||
	    !add_attribute(name, &common_name, names->common_name, error) ||
	    !add_attribute(name, &given_name, names->given_name, error) ||
	    !add_attribute(name, &surname, names->surname, error) ||
	    !add_attribute(name, &email, names->email_in_subject, error))
		return NULL;
	return g_steal_pointer(&name);
}

gboolean
issue_names_check(const struct issue_names *names, GError **error)
{
	g_autoptr(X509_NAME) subject = issue_subject(names, error);

	return subject != NULL;
}

char *
issue_email_value(const char *text, GError **error)
{
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(text, error);

	if (address == NULL)
		return NULL;
	const char *written = mailaddr_text(address);
	const char *at = strrchr(written, '@');
	g_autofree char *local = g_strndup(written, (gsize)(at - written));
	g_autofree char *full = g_strconcat(local, "@", mailaddr_domain(address), NULL);
	if (!is_clean(full))
		return fail(error, PS_ERROR_INVALID, "'%s' cannot stand in a certificate",
			    mailaddr_key(address));
	return g_steal_pointer(&full);
}

/* RFC 9598 section 3: rfc822Name whenever the local part is ASCII, the domain in A-labels. */
static GENERAL_NAME *
email_name(const char *text, GError **error)
{
	g_autofree char *full = issue_email_value(text, error);

	if (full == NULL)
		return NULL;
	GENERAL_NAME *name = GENERAL_NAME_new();
	/* The domain is in A-labels: what is not ASCII is the local part. */
	if (g_str_is_ascii(full)) {
		ASN1_IA5STRING *value = ASN1_IA5STRING_new();

		ASN1_STRING_set(value, full, -1);
		GENERAL_NAME_set0_value(name, GEN_EMAIL, value);
		return name;
	}
	ASN1_TYPE *value = ASN1_TYPE_new();
	ASN1_UTF8STRING *utf8 = ASN1_UTF8STRING_new();
	ASN1_STRING_set(utf8, full, -1);
	ASN1_TYPE_set(value, V_ASN1_UTF8STRING, utf8);
	if (GENERAL_NAME_set0_othername(name, OBJ_nid2obj(NID_id_on_SmtpUTF8Mailbox), value) != 1) {
		ASN1_TYPE_free(value);
		GENERAL_NAME_free(name);
		return fail_openssl(error, PS_ERROR_BUG, "the address cannot be written");
	}
	return name;
}

char *
issue_dns_value(const char *text, GError **error)
{
	const char *rest = g_str_has_prefix(text, "*.") ? text + 2 : text;
	g_autofree char *key = mailaddr_domain_key(rest, NULL);
	g_autofree char *shown = printable(text);

	if (key == NULL || *key == '[')
		return fail(error, PS_ERROR_INVALID, "'%s' is not a host name", shown);
	return g_strconcat(rest == text ? "" : "*.", key, NULL);
}

static GENERAL_NAME *
dns_name(const char *text, GError **error)
{
	g_autofree char *full = issue_dns_value(text, error);

	if (full == NULL)
		return NULL;
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();
	ASN1_STRING_set(value, full, -1);
	GENERAL_NAME *name = GENERAL_NAME_new();
	GENERAL_NAME_set0_value(name, GEN_DNS, value);
	return name;
}

GENERAL_NAMES *
issue_alt_names(const struct issue_names *names, gboolean *none, GError **error)
{
	g_autoptr(GENERAL_NAMES) all = GENERAL_NAMES_new();

	for (gsize i = 0; names->emails != NULL && names->emails[i] != NULL; i++) {
		GENERAL_NAME *name = email_name(names->emails[i], error);

		if (name == NULL)
			return NULL;
		sk_GENERAL_NAME_push(all, name);
	}
	for (gsize i = 0; names->dns_names != NULL && names->dns_names[i] != NULL; i++) {
		GENERAL_NAME *name = dns_name(names->dns_names[i], error);

		if (name == NULL)
			return NULL;
		sk_GENERAL_NAME_push(all, name);
	}
	*none = sk_GENERAL_NAME_num(all) == 0;
	return g_steal_pointer(&all);
}

static enum algorithm
fitting_hash(const struct key *key)
{
	if (key_kind(key) == KEY_KIND_EC && key_bits(key) >= 521)
		return ALGORITHM_SHA512;
	if (key_kind(key) == KEY_KIND_EC && key_bits(key) >= 384)
		return ALGORITHM_SHA384;
	return ALGORITHM_SHA256;
}

EVP_MD_CTX *
issue_signer(const struct key *key, enum algorithm hash, gboolean pss, GError **error)
{
	g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *parameters = NULL; /* belongs to context */

	if (key_kind(key) != KEY_KIND_RSA && key_kind(key) != KEY_KIND_EC)
		return fail(error, PS_ERROR_INVALID, "%s keys cannot sign certificates here",
			    key_text(key));
	if (pss && key_kind(key) != KEY_KIND_RSA)
		return fail(error, PS_ERROR_INVALID, "PSS needs an RSA key, this is %s",
			    key_text(key));
	if (hash == ALGORITHM_UNKNOWN)
		hash = fitting_hash(key);
	if (hash != ALGORITHM_SHA256 && hash != ALGORITHM_SHA384 && hash != ALGORITHM_SHA512)
		return fail(error, PS_ERROR_INVALID,
			    "%s is refused for signatures: use sha256, sha384 or sha512",
			    algorithm_name(hash));
	if (EVP_DigestSignInit_ex(context, &parameters, algorithm_openssl(hash), NULL, NULL,
				  key_pkey(key), NULL) != 1 ||
	    (pss && (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) <= 0 ||
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) <= 0)))
		return fail_openssl(error, PS_ERROR_BUG, "cannot sign with this key");
	return g_steal_pointer(&context);
}
