/*
 * issue - building and signing certificates.
 */
#include "pki/crypto/issue.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

#include "pki/crypto/der.h"
#include "pki/crypto/issue_internal.h"
#include "pki/crypto/key_ec.h"
#include "store/base/printable.h"

#define SERIAL_BYTES 16

GBytes *
issue_random_serial(GError **error)
{
	guint8 serial[SERIAL_BYTES];

	do {
		if (RAND_bytes(serial, sizeof(serial)) != 1)
			return fail_openssl(error, PS_ERROR_TEMPORARY, "no random bytes");
		serial[0] &= 0x7f; /* positive, and at most 20 octets (RFC 5280 4.1.2.2) */
	} while (serial[0] == 0);
	return g_bytes_new(serial, sizeof(serial));
}

static gboolean
add_extension(X509 *x509, int nid, void *value, gboolean critical, GError **error)
{
	if (value == NULL || X509_add1_ext_i2d(x509, nid, value, critical, X509V3_ADD_APPEND) != 1)
		return fail_openssl_false(error, PS_ERROR_BUG, "the extension %s cannot be made",
					  OBJ_nid2sn(nid));
	return TRUE;
}

static gboolean
add_basic_constraints(X509 *x509, const struct issue_spec *spec, GError **error)
{
	BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();

	constraints->ca = spec->ca ? 0xff : 0;
	if (spec->ca && spec->path_length >= 0) {
		constraints->pathlen = ASN1_INTEGER_new();
		ASN1_INTEGER_set_int64(constraints->pathlen, spec->path_length);
	}
	gboolean good = add_extension(x509, NID_basic_constraints, constraints, TRUE, error);
	BASIC_CONSTRAINTS_free(constraints);
	return good;
}

static gboolean
add_key_usage(X509 *x509, unsigned int usage, GError **error)
{
	/* Bit 0 of the BIT STRING is digitalSignature, bit 8 decipherOnly (RFC 5280 4.2.1.3). */
	static const unsigned int order[] = {
		KEY_USAGE_DIGITAL_SIGNATURE, KEY_USAGE_NON_REPUDIATION, KEY_USAGE_KEY_ENCIPHERMENT,
		KEY_USAGE_DATA_ENCIPHERMENT, KEY_USAGE_KEY_AGREEMENT,   KEY_USAGE_CERT_SIGN,
		KEY_USAGE_CRL_SIGN,          KEY_USAGE_ENCIPHER_ONLY,   KEY_USAGE_DECIPHER_ONLY,
	};

	if (usage == 0)
		return TRUE;
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	for (int i = 0; i < (int)G_N_ELEMENTS(order); i++)
		if ((usage & order[i]) != 0)
			ASN1_BIT_STRING_set_bit(bits, i, 1);
	gboolean good = add_extension(x509, NID_key_usage, bits, TRUE, error);
	ASN1_BIT_STRING_free(bits);
	return good;
}

static gboolean
add_extended_usages(X509 *x509, const char *const *usages, GError **error)
{
	if (usages == NULL || usages[0] == NULL)
		return TRUE;
	EXTENDED_KEY_USAGE *all = sk_ASN1_OBJECT_new_null();
	gboolean good = TRUE;
	for (gsize i = 0; good && usages[i] != NULL; i++) {
		ASN1_OBJECT *object = OBJ_txt2obj(usages[i], 0);

		if (object == NULL)
			good = fail_openssl_false(error, PS_ERROR_INVALID,
						  "'%s' is not an extended key usage", usages[i]);
		else
			sk_ASN1_OBJECT_push(all, object);
	}
	good = good && add_extension(x509, NID_ext_key_usage, all, FALSE, error);
	sk_ASN1_OBJECT_pop_free(all, ASN1_OBJECT_free);
	return good;
}

/* RFC 5280 4.2.1.4: id-qt-cps is a URI as IA5String. */
static POLICYQUALINFO *
cps_qualifier(const char *uri)
{
	POLICYQUALINFO *qualifier = POLICYQUALINFO_new();

	qualifier->pqualid = OBJ_nid2obj(NID_id_qt_cps);
	qualifier->d.cpsuri = ASN1_IA5STRING_new();
	ASN1_STRING_set(qualifier->d.cpsuri, uri, -1);
	return qualifier;
}

static gboolean
add_policies(X509 *x509, const struct issue_spec *spec, GError **error)
{
	if (spec->policies == NULL || spec->policies[0] == NULL)
		return TRUE;
	CERTIFICATEPOLICIES *all = CERTIFICATEPOLICIES_new();
	gboolean good = TRUE;
	for (gsize i = 0; good && spec->policies[i] != NULL; i++) {
		POLICYINFO *policy = POLICYINFO_new();

		ASN1_OBJECT_free(policy->policyid);
		policy->policyid = OBJ_txt2obj(spec->policies[i], 1);
		if (policy->policyid == NULL)
			good = fail_openssl_false(error, PS_ERROR_INVALID,
						  "policy '%s' is not an OID", spec->policies[i]);
		if (good && i == 0 && spec->policy_cps != NULL) {
			policy->qualifiers = sk_POLICYQUALINFO_new_null();
			sk_POLICYQUALINFO_push(policy->qualifiers, cps_qualifier(spec->policy_cps));
		}
		sk_POLICYINFO_push(all, policy);
	}
	good = good && add_extension(x509, NID_certificate_policies, all, FALSE, error);
	sk_POLICYINFO_pop_free(all, POLICYINFO_free);
	return good;
}

GENERAL_NAME *
issue_uri_name(const char *uri, GError **error)
{
	if (!g_str_is_ascii(uri) || strpbrk(uri, " \t\r\n<>\"") != NULL ||
	    strchr(uri, ':') == NULL) {
		g_autofree char *shown = printable(uri);
		return fail(error, PS_ERROR_INVALID, "'%s' is not a URL", shown);
	}
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();
	ASN1_STRING_set(value, uri, -1);
	GENERAL_NAME_set0_value(name, GEN_URI, value);
	return name;
}

/* One distribution point; several URLs are several ways to the same list (4.2.1.13). */
static gboolean
add_crl_points(X509 *x509, const char *const *urls, GError **error)
{
	if (urls == NULL || urls[0] == NULL)
		return TRUE;
	CRL_DIST_POINTS *points = CRL_DIST_POINTS_new();
	DIST_POINT *point = DIST_POINT_new();
	gboolean good = TRUE;
	point->distpoint = DIST_POINT_NAME_new();
	point->distpoint->type = 0;
	point->distpoint->name.fullname = GENERAL_NAMES_new();
	sk_DIST_POINT_push(points, point);
	for (gsize i = 0; good && urls[i] != NULL; i++) {
		GENERAL_NAME *name = issue_uri_name(urls[i], error);

		good = name != NULL;
		if (good)
			sk_GENERAL_NAME_push(point->distpoint->name.fullname, name);
	}
	good = good && add_extension(x509, NID_crl_distribution_points, points, FALSE, error);
	sk_DIST_POINT_pop_free(points, DIST_POINT_free);
	return good;
}

static gboolean
push_access(AUTHORITY_INFO_ACCESS *access, int method, const char *const *urls, GError **error)
{
	for (gsize i = 0; urls != NULL && urls[i] != NULL; i++) {
		GENERAL_NAME *name = issue_uri_name(urls[i], error);
		ACCESS_DESCRIPTION *one = name != NULL ? ACCESS_DESCRIPTION_new() : NULL;

		if (one == NULL)
			return FALSE;
		GENERAL_NAME_free(one->location);
		one->location = name;
		ASN1_OBJECT_free(one->method);
		one->method = OBJ_nid2obj(method);
		sk_ACCESS_DESCRIPTION_push(access, one);
	}
	return TRUE;
}

static gboolean
add_access(X509 *x509, const struct issue_spec *spec, GError **error)
{
	AUTHORITY_INFO_ACCESS *access = AUTHORITY_INFO_ACCESS_new();
	gboolean good = push_access(access, NID_ad_ca_issuers, spec->ca_issuer_urls, error) &&
			push_access(access, NID_ad_OCSP, spec->ocsp_urls, error);

	if (good && sk_ACCESS_DESCRIPTION_num(access) > 0)
		good = add_extension(x509, NID_info_access, access, FALSE, error);
	AUTHORITY_INFO_ACCESS_free(access);
	return good;
}

/* The key identifiers: SHA-1 of the key's bits, the issuer's as its certificate says it. */
static gboolean
add_key_ids(X509 *x509, const struct cert *issuer, GError **error)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int length = 0;
	const ASN1_OCTET_STRING *issuer_ski =
	    issuer != NULL ? X509_get0_subject_key_id(cert_x509(issuer)) : NULL;

	if (X509_pubkey_digest(x509, EVP_sha1(), hash, &length) != 1)
		return fail_openssl_false(error, PS_ERROR_BUG, "the key cannot be hashed");
	ASN1_OCTET_STRING *ski = ASN1_OCTET_STRING_new();
	ASN1_OCTET_STRING_set(ski, hash, (int)length);
	gboolean good = add_extension(x509, NID_subject_key_identifier, ski, FALSE, error);
	ASN1_OCTET_STRING_free(ski);
	if (!good)
		return FALSE;
	if (issuer != NULL && issuer_ski == NULL &&
	    X509_pubkey_digest(cert_x509(issuer), EVP_sha1(), hash, &length) != 1)
		return fail_openssl_false(error, PS_ERROR_BUG, "the issuer's key cannot be hashed");
	AUTHORITY_KEYID *aki = AUTHORITY_KEYID_new();
	aki->keyid =
	    issuer_ski != NULL ? ASN1_OCTET_STRING_dup(issuer_ski) : ASN1_OCTET_STRING_new();
	if (issuer_ski == NULL)
		ASN1_OCTET_STRING_set(aki->keyid, hash, (int)length);
	good = add_extension(x509, NID_authority_key_identifier, aki, FALSE, error);
	AUTHORITY_KEYID_free(aki);
	return good;
}

static gboolean
add_no_check(X509 *x509, GError **error)
{
	ASN1_NULL *none = ASN1_NULL_new();
	gboolean good = add_extension(x509, NID_id_pkix_OCSP_noCheck, none, FALSE, error);

	ASN1_NULL_free(none);
	return good;
}

/* What a site may not set: these follow from the profile, the names and the keys. */
static gboolean
is_reserved(int nid)
{
	static const int reserved[] = {
		NID_basic_constraints,
		NID_key_usage,
		NID_ext_key_usage,
		NID_subject_alt_name,
		NID_issuer_alt_name,
		NID_subject_key_identifier,
		NID_authority_key_identifier,
		NID_subject_directory_attributes,
		NID_id_pkix_OCSP_noCheck,
		NID_ct_precert_poison,
	};

	for (gsize i = 0; i < G_N_ELEMENTS(reserved); i++)
		if (reserved[i] == nid)
			return TRUE;
	return FALSE;
}

X509_EXTENSION *
issue_extension_make(CONF *conf, const struct issue_extension *extension, GError **error)
{
	X509V3_CTX context = { 0 };
	g_autofree char *shown = printable(extension->name);
	g_autoptr(ASN1_OBJECT) object = OBJ_txt2obj(extension->name, 0);

	if (object == NULL) {
		ERR_clear_error();
		return fail(error, PS_ERROR_INVALID,
			    "'%s' is neither an extension's name nor an OID", shown);
	}
	if (is_reserved(OBJ_obj2nid(object)))
		return fail(error, PS_ERROR_INVALID,
			    "extension '%s' follows from the certificate itself and cannot be set",
			    shown);
	X509V3_set_ctx(&context, NULL, NULL, NULL, NULL, X509V3_CTX_TEST);
	if (conf != NULL)
		X509V3_set_nconf(&context, conf);
	else
		X509V3_set_ctx_nodb(&context);
	X509_EXTENSION *made = X509V3_EXT_nconf(conf, &context, extension->name, extension->value);
	if (made == NULL)
		return fail_openssl(error, PS_ERROR_INVALID, "extension '%s' cannot be read",
				    shown);
	return made;
}

/* A site's extension takes the place of ours of the same kind. */
static gboolean
add_site_extensions(X509 *x509, const struct issue_spec *spec, GError **error)
{
	for (gsize i = 0; i < spec->extension_count; i++) {
		g_autoptr(X509_EXTENSION) made =
		    issue_extension_make(NULL, &spec->extensions[i], error);

		if (made == NULL)
			return FALSE;
		int at = X509_get_ext_by_OBJ(x509, X509_EXTENSION_get_object(made), -1);
		if (at >= 0)
			X509_EXTENSION_free(X509_delete_ext(x509, at));
		if (X509_add_ext(x509, made, -1) != 1)
			return fail_openssl_false(error, PS_ERROR_BUG, "extension '%s'",
						  spec->extensions[i].name);
	}
	return TRUE;
}

/* The Baseline Requirements' section 6.1.5 on keys. */
static gboolean
check_key(const EVP_PKEY *pkey, GError **error)
{
	unsigned int bits;
	enum key_kind kind = key_kind_of(pkey, &bits);
	g_autofree char *text = key_text_of(pkey);

	if (kind == KEY_KIND_EC && strcmp(text, "EC P-256") != 0 && strcmp(text, "EC P-384") != 0 &&
	    strcmp(text, "EC P-521") != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s keys are refused: use P-256, P-384 or P-521", text);
	if (kind != KEY_KIND_RSA && kind != KEY_KIND_EC)
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "%s keys are refused: OpenSSL 3.0 cannot use them for S/MIME; use RSA or EC",
		    text);
	if (!key_strength_allowed(kind, bits) || (kind == KEY_KIND_RSA && bits % 8 != 0))
		return fail_false(error, PS_ERROR_INVALID,
				  "%s keys are refused: use RSA with 2048, 3072 or 4096 bits",
				  text);
	if (key_weakness_of(pkey) != NULL)
		return fail_false(error, PS_ERROR_INVALID, "the %s key %s", text,
				  key_weakness_of(pkey));
	return TRUE;
}

/* Both of its parts as they stand in the key's own SubjectPublicKeyInfo: OpenSSL would write that
 * and decode it again. */
static gboolean
set_own_key(X509 *x509, const struct key *key, GError **error)
{
	gsize length;
	gconstpointer bytes = g_bytes_get_data(key_spki(key), &length);
	struct der der = der_of(bytes, length), inside;
	struct der_element whole, algorithm, bits;
	gboolean ec = key_kind(key) == KEY_KIND_EC;
	const struct ec_curve *curve = ec ? ec_curve_of_bits(key_bits(key)) : NULL;

	if (!der_take(&der, DER_SEQUENCE, &whole))
		return fail_false(error, PS_ERROR_BUG, "a key without SubjectPublicKeyInfo");
	inside = der_inside(&whole);
	if (!der_take(&inside, DER_SEQUENCE, &algorithm) ||
	    !der_take(&inside, DER_BIT_STRING, &bits) || der_length(&bits) < 2 ||
	    (ec && curve == NULL))
		return fail_false(error, PS_ERROR_BUG, "a key without SubjectPublicKeyInfo");
	/* The first octet is the number of bits that are not used: none. */
	gsize size = der_length(&bits) - 1;
	unsigned char *copy = OPENSSL_memdup(bits.value + 1, size);
	if (X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(x509),
				   OBJ_nid2obj(ec ? NID_X9_62_id_ecPublicKey : NID_rsaEncryption),
				   ec ? V_ASN1_OBJECT : V_ASN1_NULL,
				   ec ? OBJ_nid2obj(ec_curve_nid(curve)) : NULL, copy,
				   (int)size) == 1)
		return TRUE;
	OPENSSL_free(copy);
	return fail_openssl_false(error, PS_ERROR_BUG, "the key cannot be written");
}

/* RFC 5280 4.1.2.7 */
static gboolean
set_key(X509 *x509, const struct issue_spec *spec, GError **error)
{
	if (spec->key != NULL)
		return check_key(key_pkey(spec->key), error) && set_own_key(x509, spec->key, error);

	gsize length;
	const unsigned char *start = g_bytes_get_data(spec->spki, &length), *p = start;
	g_autoptr(EVP_PKEY) pkey = d2i_PUBKEY(NULL, &p, (long)length);
	if (pkey == NULL || p != start + length)
		return fail_openssl_false(error, PS_ERROR_INVALID, "the public key cannot be read");
	if (!check_key(pkey, error))
		return FALSE;
	return X509_set_pubkey(x509, pkey) == 1 ||
	       fail_openssl_false(error, PS_ERROR_BUG, "the key cannot be written");
}

static gboolean
set_serial(X509 *x509, GBytes *given, GError **error)
{
	g_autoptr(GBytes) serial = given != NULL ? g_bytes_ref(given) : issue_random_serial(error);

	if (serial == NULL)
		return FALSE;
	gsize length;
	const guint8 *bytes = g_bytes_get_data(serial, &length);
	g_autoptr(BIGNUM) number = length <= 20 ? BN_bin2bn(bytes, (int)length, NULL) : NULL;
	if (number == NULL || BN_is_zero(number) || BN_num_bits(number) > 159)
		return fail_false(error, PS_ERROR_INVALID, "a serial number must be 1 to 159 bits");
	return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL;
}

static gboolean
set_dates(X509 *x509, const struct issue_spec *spec, const struct cert *issuer, GError **error)
{
	ASN1_TIME *begin = ASN1_TIME_set(NULL, (time_t)spec->not_before);
	ASN1_TIME *end = ASN1_TIME_set(NULL, (time_t)spec->not_after);
	gboolean good = begin != NULL && end != NULL && X509_set1_notBefore(x509, begin) == 1 &&
			X509_set1_notAfter(x509, end) == 1;

	ASN1_TIME_free(begin);
	ASN1_TIME_free(end);
	if (!good)
		return fail_openssl_false(error, PS_ERROR_INVALID, "the dates cannot be written");
	if (spec->not_after <= spec->not_before)
		return fail_false(error, PS_ERROR_INVALID, "the validity ends before it begins");
	if (issuer != NULL && (spec->not_after > cert_not_after(issuer) ||
			       spec->not_before < cert_not_before(issuer)))
		return fail_false(error, PS_ERROR_INVALID,
				  "the validity is not inside that of the issuer '%s'",
				  cert_subject(issuer));
	return TRUE;
}

static gboolean
add_extensions(X509 *x509, const struct issue_spec *spec, const struct cert *issuer, GError **error)
{
	gboolean none = TRUE;
	g_autoptr(GENERAL_NAMES) names = issue_alt_names(&spec->names, &none, error);

	if (names == NULL || !add_basic_constraints(x509, spec, error) ||
	    !add_key_usage(x509, spec->key_usage, error) ||
	    !add_extended_usages(x509, spec->extended_usages, error))
		return FALSE;
	/* Critical when it alone names the subject (RFC 5280 4.2.1.6). */
	gboolean nameless = X509_NAME_entry_count(X509_get_subject_name(x509)) == 0;
	if (none && nameless)
		return fail_false(error, PS_ERROR_INVALID, "a certificate needs a name");
	if (!none && !add_extension(x509, NID_subject_alt_name, names, nameless, error))
		return FALSE;
	return add_policies(x509, spec, error) && add_key_ids(x509, issuer, error) &&
	       add_crl_points(x509, spec->crl_urls, error) && add_access(x509, spec, error) &&
	       (!spec->no_check || add_no_check(x509, error)) &&
	       add_site_extensions(x509, spec, error);
}

static gboolean
check_issuer(const struct issue_spec *spec, const struct cert *issuer, const struct key *issuer_key,
	     GError **error)
{
	if (issuer == NULL) {
		GBytes *spki = spec->key != NULL ? key_spki(spec->key) : spec->spki;

		if (!g_bytes_equal(key_spki(issuer_key), spki))
			return fail_false(error, PS_ERROR_INVALID,
					  "a self-signed certificate is signed with its own key");
		return TRUE;
	}
	if (!key_fits(issuer_key, issuer))
		return fail_false(error, PS_ERROR_INVALID,
				  "the private key does not belong to the issuer '%s'",
				  cert_subject(issuer));
	if (!cert_is_ca(issuer) || (cert_key_usage(issuer) & KEY_USAGE_CERT_SIGN) == 0)
		return fail_false(error, PS_ERROR_INVALID, "'%s' is not a CA certificate",
				  cert_subject(issuer));
	if (spec->ca && cert_path_length(issuer) == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "the issuer '%s' may not issue CA certificates (path length 0)",
				  cert_subject(issuer));
	return TRUE;
}

struct cert *
issue_cert(const struct issue_spec *spec, const struct cert *issuer, const struct key *issuer_key,
	   GError **error)
{
	g_autoptr(X509) x509 = X509_new();
	g_autoptr(X509_NAME) subject = NULL;
	g_autoptr(EVP_MD_CTX) signer = NULL;

	if (!check_issuer(spec, issuer, issuer_key, error) || !set_key(x509, spec, error))
		return NULL;
	subject = issue_subject(&spec->names, error);
	if (subject == NULL)
		return NULL;
	/* The issuer's name is taken over byte by byte: others compare it so. */
	const X509_NAME *issuer_name =
	    issuer != NULL ? X509_get_subject_name(cert_x509(issuer)) : subject;
	if (X509_set_version(x509, X509_VERSION_3) != 1 ||
	    X509_set_subject_name(x509, subject) != 1 ||
	    X509_set_issuer_name(x509, issuer_name) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "the certificate cannot be made");
	if (!set_serial(x509, spec->serial, error) || !set_dates(x509, spec, issuer, error) ||
	    !add_extensions(x509, spec, issuer, error))
		return NULL;
	signer = issue_signer(issuer_key, spec->hash, spec->pss, error);
	if (signer == NULL)
		return NULL;
	if (X509_sign_ctx(x509, signer) <= 0 || X509_verify(x509, key_pkey(issuer_key)) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "the certificate cannot be signed");
	return cert_parse_x509(x509, error);
}
