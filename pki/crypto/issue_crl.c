/*
 * issue_crl - building and signing CRLs (RFC 5280 section 5, version 2).
 */
#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/issue_internal.h"

static ASN1_INTEGER *
serial_of_hex(const char *hex)
{
	BIGNUM *number = NULL;
	ASN1_INTEGER *serial = NULL;

	if (*hex != '\0' && *hex != '-' && strlen(hex) <= 40 &&
	    BN_hex2bn(&number, hex) == (int)strlen(hex))
		serial = BN_to_ASN1_INTEGER(number, NULL);
	BN_free(number);
	return serial;
}

static gboolean
add_revoked(X509_CRL *crl, const struct issue_revoked *revoked, GError **error)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_INTEGER *serial = serial_of_hex(revoked->serial_hex);
	ASN1_TIME *date = ASN1_TIME_set(NULL, (time_t)revoked->revoked_at);
	gboolean good = serial != NULL && date != NULL &&
			X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
			X509_REVOKED_set_revocationDate(entry, date) == 1;

	/* unspecified is left out, removeFromCRL is for delta CRLs alone (5.3.1) */
	if (good && revoked->reason == REVOCATION_REMOVE_FROM_CRL)
		good = FALSE;
	if (good && revoked->reason != REVOCATION_UNSPECIFIED) {
		ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

		good = ASN1_ENUMERATED_set(reason, (long)revoked->reason) == 1 &&
		       X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0,
						 X509V3_ADD_APPEND) == 1;
		ASN1_ENUMERATED_free(reason);
	}
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(date);
	if (good && X509_CRL_add0_revoked(crl, entry) == 1)
		return TRUE;
	X509_REVOKED_free(entry);
	return fail_openssl_false(error, PS_ERROR_INVALID, "cannot put serial '%s' into a CRL",
				  revoked->serial_hex);
}

static gboolean
add_extensions(X509_CRL *crl, const struct issue_crl_spec *spec, const struct cert *issuer,
	       GError **error)
{
	AUTHORITY_KEYID *aki = AUTHORITY_KEYID_new();
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(cert_x509(issuer));
	gboolean good = TRUE;

	if (ski != NULL) {
		aki->keyid = ASN1_OCTET_STRING_dup(ski);
		good = X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, aki, 0,
					     X509V3_ADD_APPEND) == 1;
	}
	good = good && ASN1_INTEGER_set_uint64(number, spec->number) == 1 &&
	       X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, X509V3_ADD_APPEND) == 1;
	ASN1_INTEGER_free(number);
	AUTHORITY_KEYID_free(aki);
	if (!good)
		return fail_openssl_false(error, PS_ERROR_BUG, "the CRL cannot be made");
	return TRUE;
}

static gboolean
push_name(GENERAL_NAMES *names, const X509_NAME *issuer)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	X509_NAME *copy = X509_NAME_dup(issuer);

	if (copy == NULL) {
		GENERAL_NAME_free(name);
		return FALSE;
	}
	GENERAL_NAME_set0_value(name, GEN_DIRNAME, copy);
	return sk_GENERAL_NAME_push(names, name) > 0;
}

static gboolean
add_point(X509_CRL *crl, const struct issue_crl_spec *spec, GError **error)
{
	ISSUING_DIST_POINT *point = ISSUING_DIST_POINT_new();
	gboolean good = TRUE;

	point->distpoint = DIST_POINT_NAME_new();
	point->distpoint->type = 0;
	point->distpoint->name.fullname = GENERAL_NAMES_new();
	for (gsize i = 0; good && spec->points[i] != NULL; i++) {
		GENERAL_NAME *name = issue_uri_name(spec->points[i], error);

		good = name != NULL;
		if (good)
			sk_GENERAL_NAME_push(point->distpoint->name.fullname, name);
	}
	if (good && spec->with_name)
		good = push_name(point->distpoint->name.fullname, X509_CRL_get_issuer(crl));
	if (good && X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, point, 1,
					  X509V3_ADD_APPEND) != 1)
		good = fail_openssl_false(error, PS_ERROR_BUG, "the CRL cannot be made");
	ISSUING_DIST_POINT_free(point);
	return good;
}

static gboolean
set_dates(X509_CRL *crl, const struct issue_crl_spec *spec, GError **error)
{
	ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)spec->this_update);
	ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)spec->next_update);
	gboolean good = now != NULL && next != NULL && spec->next_update > spec->this_update &&
			X509_CRL_set1_lastUpdate(crl, now) == 1 &&
			X509_CRL_set1_nextUpdate(crl, next) == 1;

	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	if (!good)
		return fail_openssl_false(error, PS_ERROR_INVALID,
					  "the next update of a CRL must be later than its date");
	return TRUE;
}

struct crl *
issue_crl(const struct issue_crl_spec *spec, const struct cert *issuer,
	  const struct key *issuer_key, GError **error)
{
	g_autoptr(X509_CRL) crl = X509_CRL_new();
	g_autoptr(EVP_MD_CTX) signer = NULL;
	unsigned char *der = NULL;

	if (!key_fits(issuer_key, issuer))
		return fail(error, PS_ERROR_INVALID,
			    "the private key does not belong to the issuer '%s'",
			    cert_subject(issuer));
	if ((cert_key_usage(issuer) & KEY_USAGE_CRL_SIGN) == 0)
		return fail(error, PS_ERROR_INVALID, "key usage of '%s' lacks cRLSign",
			    cert_subject(issuer));
	if (X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
	    X509_CRL_set_issuer_name(crl, X509_get_subject_name(cert_x509(issuer))) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "the CRL cannot be made");
	if (!set_dates(crl, spec, error))
		return NULL;
	for (gsize i = 0; i < spec->revoked_count; i++)
		if (!add_revoked(crl, &spec->revoked[i], error))
			return NULL;
	if (!add_extensions(crl, spec, issuer, error) ||
	    (spec->points != NULL && !add_point(crl, spec, error)))
		return NULL;
	X509_CRL_sort(crl);
	signer = issue_signer(issuer_key, spec->hash, spec->pss, error);
	if (signer == NULL)
		return NULL;
	if (X509_CRL_sign_ctx(crl, signer) <= 0)
		return fail_openssl(error, PS_ERROR_BUG, "the CRL cannot be signed");
	int length = i2d_X509_CRL(crl, &der);
	if (length <= 0)
		return fail_openssl(error, PS_ERROR_BUG, "the CRL cannot be written");
	g_autoptr(GBytes) bytes = bytes_take_openssl(der, length);
	return crl_parse(bytes, error);
}
