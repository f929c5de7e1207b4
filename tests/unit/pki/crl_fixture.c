/*
 * crl_fixture - OpenSSL's CRL, put together by hand.
 */
#include "tests/unit/pki/crl_fixture.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "pki/crypto/internal.h"

static void
add_number(X509_CRL *crl, int nid, gint64 value, int critical)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();

	g_assert_cmpint(ASN1_INTEGER_set_int64(number, value), ==, 1);
	g_assert_cmpint(X509_CRL_add1_ext_i2d(crl, nid, number, critical, X509V3_ADD_APPEND), ==,
			1);
	ASN1_INTEGER_free(number);
}

static void
add_point(X509_CRL *crl, const char *uri)
{
	ISSUING_DIST_POINT *point = ISSUING_DIST_POINT_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	ASN1_STRING_set(text, uri, -1);
	GENERAL_NAME_set0_value(name, GEN_URI, text);
	point->distpoint = DIST_POINT_NAME_new();
	point->distpoint->type = 0;
	point->distpoint->name.fullname = GENERAL_NAMES_new();
	sk_GENERAL_NAME_push(point->distpoint->name.fullname, name);
	g_assert_cmpint(
	    X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, point, 1, X509V3_ADD_APPEND),
	    ==, 1);
	ISSUING_DIST_POINT_free(point);
}

static void
add_key_id(X509_CRL *crl, const struct cert *issuer)
{
	AUTHORITY_KEYID *aki = AUTHORITY_KEYID_new();

	aki->keyid = ASN1_OCTET_STRING_dup(X509_get0_subject_key_id(cert_x509(issuer)));
	g_assert_cmpint(
	    X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, aki, 0, X509V3_ADD_APPEND), ==,
	    1);
	AUTHORITY_KEYID_free(aki);
}

static void
add_entry(X509_CRL *crl, const struct crl_sample_entry *entry, gint64 at)
{
	X509_REVOKED *revoked = X509_REVOKED_new();
	BIGNUM *number = NULL;
	ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

	g_assert_cmpint(BN_hex2bn(&number, entry->serial), >, 0);
	ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);
	ASN1_TIME *date = ASN1_TIME_set(NULL, (time_t)at);
	X509_REVOKED_set_serialNumber(revoked, serial);
	X509_REVOKED_set_revocationDate(revoked, date);
	ASN1_ENUMERATED_set(reason, (long)entry->reason);
	if (entry->reason != REVOCATION_UNSPECIFIED)
		X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, reason, 0, X509V3_ADD_APPEND);
	X509_CRL_add0_revoked(crl, revoked);
	ASN1_ENUMERATED_free(reason);
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(date);
	BN_free(number);
}

static void
set_dates(X509_CRL *crl, const struct crl_sample *sample)
{
	ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)sample->this_update);

	X509_CRL_set1_lastUpdate(crl, time);
	if (sample->next_update != 0) {
		ASN1_TIME_set(time, (time_t)sample->next_update);
		X509_CRL_set1_nextUpdate(crl, time);
	}
	ASN1_TIME_free(time);
}

static void
add_unknown(X509_CRL *crl)
{
	g_autoptr(ASN1_OBJECT) oid = OBJ_txt2obj("2.999.1", 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

	ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2);
	g_autoptr(X509_EXTENSION) extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value);
	X509_CRL_add_ext(crl, extension, -1);
	ASN1_OCTET_STRING_free(value);
}

GBytes *
crl_sample_make(const struct crl_sample *sample)
{
	g_autoptr(X509_CRL) crl = X509_CRL_new();
	const X509 *issuer = cert_x509(sample->issuer->cert);
	unsigned char *der = NULL;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	set_dates(crl, sample);
	for (const struct crl_sample_entry *e = sample->entries; e != NULL && e->serial != NULL;
	     e++)
		add_entry(crl, e, sample->this_update - 60);
	if (!sample->no_key_id)
		add_key_id(crl, sample->issuer->cert);
	if (sample->number != 0)
		add_number(crl, NID_crl_number, sample->number, 0);
	if (sample->base != 0)
		add_number(crl, NID_delta_crl, sample->base, 1);
	if (sample->point != NULL)
		add_point(crl, sample->point);
	if (sample->critical)
		add_unknown(crl);
	g_assert_cmpint(X509_CRL_sign(crl, key_pkey(sample->issuer->key), EVP_sha256()), >, 0);
	int length = i2d_X509_CRL(crl, &der);
	g_assert_cmpint(length, >, 0);
	if (sample->damaged)
		der[length - 1] ^= 1;
	return bytes_take_openssl(der, length);
}
