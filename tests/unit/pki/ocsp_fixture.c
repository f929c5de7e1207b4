/*
 * ocsp_fixture - see the header.
 */
#include "tests/unit/pki/ocsp_fixture.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <string.h>

#include "pki/crypto/internal.h"
#include "store/base/clock.h"

static gint64
or_default(gint64 time, gint64 initial)
{
	return time != 0 ? time : initial;
}

static ASN1_GENERALIZEDTIME *
generalized(gint64 time)
{
	return time == CLOCK_NEVER ? NULL : ASN1_GENERALIZEDTIME_set(NULL, (time_t)time);
}

static X509_EXTENSION *
critical_extension(const char *oid)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);

	ASN1_OCTET_STRING_set(value, (const unsigned char *)"\5\0", 2);
	X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
	ASN1_OBJECT_free(object);
	ASN1_OCTET_STRING_free(value);
	return extension;
}

static void
add_single(OCSP_BASICRESP *basic, const struct answer_single *single)
{
	static const int statuses[] = {
		[OCSP_GOOD] = V_OCSP_CERTSTATUS_GOOD,
		[OCSP_REVOKED] = V_OCSP_CERTSTATUS_REVOKED,
		[OCSP_UNKNOWN] = V_OCSP_CERTSTATUS_UNKNOWN,
	};
	const EVP_MD *md = EVP_get_digestbyname(single->digest != NULL ? single->digest : "SHA1");
	OCSP_CERTID *id =
	    OCSP_cert_to_id(md, cert_x509(single->cert->cert), cert_x509(single->issuer->cert));
	ASN1_GENERALIZEDTIME *revoked =
	    generalized(or_default(single->revoked_at, PKI_NOW - PKI_DAY));
	ASN1_GENERALIZEDTIME *this_update =
	    generalized(or_default(single->this_update, PKI_NOW - 3600));
	ASN1_GENERALIZEDTIME *next_update =
	    generalized(or_default(single->next_update, PKI_NOW + PKI_DAY));

	OCSP_SINGLERESP *made = OCSP_basic_add1_status(
	    basic, id, statuses[single->status],
	    single->reason != 0 ? single->reason : OCSP_REVOKED_STATUS_NOSTATUS, revoked,
	    this_update, next_update);
	g_assert_nonnull(made);
	if (single->extension != NULL) {
		X509_EXTENSION *extension = critical_extension(single->extension);
		OCSP_SINGLERESP_add_ext(made, extension, -1);
		X509_EXTENSION_free(extension);
	}
	OCSP_CERTID_free(id);
	ASN1_GENERALIZEDTIME_free(revoked);
	ASN1_GENERALIZEDTIME_free(this_update);
	ASN1_GENERALIZEDTIME_free(next_update);
}

static void
sign(OCSP_BASICRESP *basic, const struct answer *answer)
{
	X509 *named = cert_x509(answer->named != NULL ? answer->named->cert : answer->signer->cert);
	STACK_OF(X509) *certs = sk_X509_new_null();
	const EVP_MD *md = EVP_get_digestbyname(answer->digest != NULL ? answer->digest : "SHA256");
	ASN1_GENERALIZEDTIME *produced = (ASN1_GENERALIZEDTIME *)OCSP_resp_get0_produced_at(basic);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *padding = NULL;

	ASN1_GENERALIZEDTIME_set(produced, (time_t)or_default(answer->produced_at, PKI_NOW - 3600));
	for (gsize i = 0; i < G_N_ELEMENTS(answer->certs) && answer->certs[i] != NULL; i++)
		sk_X509_push(certs, cert_x509(answer->certs[i]->cert));
	g_assert_cmpint(
	    EVP_DigestSignInit(context, &padding, md, NULL, key_pkey(answer->signer->key)), ==, 1);
	if (answer->pss) {
		EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST);
	}
	/* OpenSSL wants certificate and key to fit; the responder that is named need not. */
	unsigned long flags = OCSP_NOTIME | OCSP_NOCERTS | (answer->by_key ? OCSP_RESPID_KEY : 0);
	X509 *pretended = X509_dup(named);
	if (answer->named != NULL)
		X509_set_pubkey(pretended, key_pkey(answer->signer->key));
	g_assert_cmpint(OCSP_basic_sign_ctx(basic, pretended, context, NULL, flags), ==, 1);
	X509_free(pretended);
	for (int i = 0; i < sk_X509_num(certs); i++)
		OCSP_basic_add1_cert(basic, sk_X509_value(certs, i));
	if (answer->spoilt) {
		const ASN1_OCTET_STRING *signature = OCSP_resp_get0_signature(basic);
		((unsigned char *)ASN1_STRING_get0_data(signature))[12] ^= 1;
	}
	sk_X509_free(certs);
	EVP_MD_CTX_free(context);
}

GBytes *
answer_make(const struct answer *answer)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	unsigned char *der = NULL;

	for (gsize i = 0; i < G_N_ELEMENTS(answer->singles); i++)
		if (answer->singles[i].cert != NULL)
			add_single(basic, &answer->singles[i]);
	if (answer->nonce != NULL)
		OCSP_basic_add1_nonce(basic, (unsigned char *)answer->nonce, 16);
	if (answer->extension != NULL) {
		X509_EXTENSION *extension = critical_extension(answer->extension);
		OCSP_BASICRESP_add_ext(basic, extension, -1);
		X509_EXTENSION_free(extension);
	}
	if (answer->signer != NULL)
		sign(basic, answer);
	OCSP_RESPONSE *response =
	    OCSP_response_create(answer->status, answer->signer != NULL ? basic : NULL);
	int length = i2d_OCSP_RESPONSE(response, &der);
	g_assert_cmpint(length, >, 0);
	GBytes *bytes = bytes_take_openssl(der, length);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	ERR_clear_error();
	return bytes;
}

GBytes *
answer_lengthen(GBytes *answer, gsize tail)
{
	gsize size;
	gconstpointer bytes = g_bytes_get_data(answer, &size);
	guint8 *longer = g_malloc0(size + tail);

	memcpy(longer, bytes, size);
	return g_bytes_new_take(longer, size + tail);
}
