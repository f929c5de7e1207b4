/*
 * ocsp_answer - builds and signs answers (RFC 6960 section 4.2).
 */
#include "pki/crypto/ocsp_answer.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "pki/crypto/issue_internal.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OCSP_RESPONSE, OCSP_RESPONSE_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OCSP_BASICRESP, OCSP_BASICRESP_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OCSP_CERTID, OCSP_CERTID_free)

static ASN1_INTEGER *
serial_of(const char *hex)
{
	BIGNUM *number = NULL;
	ASN1_INTEGER *serial = NULL;

	if (*hex != '\0' && *hex != '-' && strlen(hex) <= 2 * OCSP_SERIAL_MAX_BYTES &&
	    BN_hex2bn(&number, hex) == (int)strlen(hex))
		serial = BN_to_ASN1_INTEGER(number, NULL);
	BN_free(number);
	return serial;
}

static OCSP_CERTID *
id_of(const struct cert *issuer, const struct ocsp_single *single)
{
	X509 *x509 = cert_x509(issuer);
	g_autoptr(ASN1_INTEGER) serial = serial_of(single->serial_hex);

	if (serial == NULL || (single->hash != ALGORITHM_SHA1 && single->hash != ALGORITHM_SHA256))
		return NULL;
	return OCSP_cert_id_new(single->hash == ALGORITHM_SHA1 ? EVP_sha1() : EVP_sha256(),
				X509_get_subject_name(x509), X509_get0_pubkey_bitstr(x509), serial);
}

static gboolean
add_single(OCSP_BASICRESP *basic, const struct ocsp_answer_spec *spec,
	   const struct ocsp_single *single, GError **error)
{
	g_autoptr(OCSP_CERTID) id = id_of(spec->issuer, single);
	ASN1_GENERALIZEDTIME *from = ASN1_GENERALIZEDTIME_set(NULL, (time_t)spec->this_update);
	ASN1_GENERALIZEDTIME *to = ASN1_GENERALIZEDTIME_set(NULL, (time_t)spec->next_update);
	ASN1_GENERALIZEDTIME *revoked = NULL;
	int status = V_OCSP_CERTSTATUS_UNKNOWN, reason = OCSP_REVOKED_STATUS_NOSTATUS;

	switch (single->status) {
	case OCSP_GOOD:
		status = V_OCSP_CERTSTATUS_GOOD;
		break;
	case OCSP_REVOKED:
		status = V_OCSP_CERTSTATUS_REVOKED;
		revoked = ASN1_GENERALIZEDTIME_set(NULL, (time_t)single->revoked_at);
		if (single->reason != REVOCATION_UNSPECIFIED)
			reason = (int)single->reason;
		break;
	case OCSP_UNKNOWN:
		break;
	}
	gboolean good =
	    id != NULL && from != NULL && to != NULL &&
	    OCSP_basic_add1_status(basic, id, status, reason, revoked, from, to) != NULL;
	ASN1_GENERALIZEDTIME_free(from);
	ASN1_GENERALIZEDTIME_free(to);
	ASN1_GENERALIZEDTIME_free(revoked);
	if (!good)
		return fail_openssl_false(error, PS_ERROR_BUG, "the OCSP answer cannot be made");
	return TRUE;
}

static gboolean
check_responder(const struct ocsp_answer_spec *spec, const struct cert *responder,
		const struct key *key, GError **error)
{
	if (!key_fits(key, responder))
		return fail_false(error, PS_ERROR_INVALID,
				  "the private key does not belong to the OCSP responder '%s'",
				  cert_subject(responder));
	if (spec->count == 0 || spec->count > OCSP_ASKED_MAX ||
	    spec->next_update <= spec->this_update ||
	    spec->this_update < cert_not_before(responder) ||
	    spec->next_update > cert_not_after(responder))
		return fail_false(error, PS_ERROR_INVALID,
				  "an OCSP answer of '%s' would not be within its validity",
				  cert_subject(responder));
	return TRUE;
}

static OCSP_BASICRESP *
build(const struct ocsp_answer_spec *spec, const struct cert *responder, const struct key *key,
      GError **error)
{
	g_autoptr(OCSP_BASICRESP) basic = OCSP_BASICRESP_new();
	g_autoptr(EVP_MD_CTX) signer = issue_signer(key, ALGORITHM_UNKNOWN, FALSE, error);

	if (signer == NULL)
		return NULL;
	for (gsize i = 0; i < spec->count; i++)
		if (!add_single(basic, spec, &spec->singles[i], error))
			return NULL;
	if (spec->nonce != NULL && OCSP_basic_add1_nonce(basic, (unsigned char *)spec->nonce,
							 (int)spec->nonce_length) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "the OCSP answer cannot be made");
	/* Else OpenSSL asks the system for the time. */
	ASN1_GENERALIZEDTIME *produced = (ASN1_GENERALIZEDTIME *)OCSP_resp_get0_produced_at(basic);
	if (ASN1_GENERALIZEDTIME_set(produced, (time_t)spec->this_update) == NULL ||
	    OCSP_basic_sign_ctx(basic, cert_x509(responder), signer, NULL,
				OCSP_RESPID_KEY | OCSP_NOTIME) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "the OCSP answer cannot be signed");
	return g_steal_pointer(&basic);
}

static GBytes *
wrap(int status, OCSP_BASICRESP *basic_or_null)
{
	g_autoptr(OCSP_RESPONSE) response = OCSP_response_create(status, basic_or_null);
	unsigned char *der = NULL;
	int length = response != NULL ? i2d_OCSP_RESPONSE(response, &der) : -1;

	return length > 0 ? bytes_take_openssl(der, length) : NULL;
}

GBytes *
ocsp_answer_sign(const struct ocsp_answer_spec *spec, const struct cert *responder,
		 const struct key *key, GError **error)
{
	if (!check_responder(spec, responder, key, error))
		return NULL;
	g_autoptr(OCSP_BASICRESP) basic = build(spec, responder, key, error);
	if (basic == NULL)
		return NULL;
	GBytes *answer = wrap(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	if (answer == NULL)
		return fail_openssl(error, PS_ERROR_BUG, "the OCSP answer cannot be written");
	return answer;
}

GBytes *
ocsp_answer_refuse(enum ocsp_refusal refusal)
{
	const guint8 der[] = { 0x30, 0x03, 0x0a, 0x01, (guint8)refusal };

	return g_bytes_new(der, sizeof der);
}
