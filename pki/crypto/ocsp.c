/*
 * ocsp - OpenSSL reads and writes the structures; who may answer, and when, is decided here.
 */
#include "pki/crypto/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "pki/crypto/chain.h"
#include "pki/crypto/der.h"
#include "pki/crypto/internal.h"
#include "store/base/clock.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OCSP_REQUEST, OCSP_REQUEST_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OCSP_RESPONSE, OCSP_RESPONSE_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OCSP_BASICRESP, OCSP_BASICRESP_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OCSP_CERTID, OCSP_CERTID_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RSA_PSS_PARAMS, RSA_PSS_PARAMS_free)

const char *
ocsp_status_name(enum ocsp_status status)
{
	switch (status) {
	case OCSP_GOOD:
		return "good";
	case OCSP_REVOKED:
		return "revoked";
	case OCSP_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

void
ocsp_finding_free(struct ocsp_finding *finding)
{
	if (finding == NULL)
		return;
	cert_unref(finding->signer);
	g_free(finding);
}

/* --- the question --- */

/* As OCSP_cert_to_id; issuers are few, their X509 stays with them. */
static OCSP_CERTID *
id_of(const struct ocsp_question *question, const EVP_MD *md)
{
	g_autoptr(X509_NAME) name = cert_read_issuer(question->cert);
	g_autoptr(ASN1_INTEGER) serial = cert_read_serial(question->cert);

	return OCSP_cert_id_new(md, name, X509_get0_pubkey_bitstr(cert_x509(question->issuer)),
				serial);
}

GBytes *
ocsp_request(const struct ocsp_question *question, GError **error)
{
	g_autoptr(OCSP_REQUEST) request = OCSP_REQUEST_new();
	OCSP_CERTID *id = id_of(question, EVP_sha1());
	unsigned char *der = NULL;
	gboolean good = request != NULL && id != NULL;

	/* The request owns the id when it has been added. */
	if (good && OCSP_request_add0_id(request, id) == NULL)
		good = FALSE;
	else if (good)
		id = NULL;
	OCSP_CERTID_free(id);
	if (good && question->nonce != NULL) {
		gsize length;
		gconstpointer bytes = g_bytes_get_data(question->nonce, &length);

		if (length < 1 || length > OCSP_NONCE_BYTES)
			return fail(error, PS_ERROR_BUG, "a nonce has 1 to %d bytes",
				    OCSP_NONCE_BYTES);
		good = OCSP_request_add1_nonce(request, (unsigned char *)bytes, (int)length) == 1;
	}
	int size = good ? i2d_OCSP_REQUEST(request, &der) : -1;
	if (size <= 0)
		return fail_openssl(error, PS_ERROR_INVALID, "cannot ask about '%s' by OCSP",
				    cert_subject(question->cert));
	return bytes_take_openssl(der, size);
}

/* --- the answer, taken apart --- */

static gboolean
is_successful(const OCSP_RESPONSE *response, GError **error)
{
	switch (OCSP_response_status((OCSP_RESPONSE *)response)) {
	case OCSP_RESPONSE_STATUS_SUCCESSFUL:
		return TRUE;
	case OCSP_RESPONSE_STATUS_MALFORMEDREQUEST:
		return fail_false(error, PS_ERROR_INVALID, "answers that the request is malformed");
	case OCSP_RESPONSE_STATUS_INTERNALERROR:
		return fail_false(error, PS_ERROR_TEMPORARY, "answers that it has a fault");
	case OCSP_RESPONSE_STATUS_TRYLATER:
		return fail_false(error, PS_ERROR_TEMPORARY, "answers: try later");
	case OCSP_RESPONSE_STATUS_SIGREQUIRED:
		return fail_false(error, PS_ERROR_INVALID, "answers signed requests only");
	case OCSP_RESPONSE_STATUS_UNAUTHORIZED:
		return fail_false(error, PS_ERROR_INVALID,
				  "answers that it is not the one to ask (unauthorized)");
	default:
		return fail_false(error, PS_ERROR_INVALID, "answers with a status of its own");
	}
}

/* OpenSSL does not say what follows the inner structure: it is found here. */
static OCSP_BASICRESP *
basic_of(GBytes *answer, GError **error)
{
	static const guint8 basic_oid[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01 };
	gsize size;
	gconstpointer bytes = g_bytes_get_data(answer, &size);
	struct der at = der_of(bytes, size);
	struct der_element outer, status, tagged, inner, oid, octets;

	if (!der_take(&at, DER_SEQUENCE, &outer) || at.p != at.end)
		return fail(error, PS_ERROR_INVALID, "not an OCSP answer");
	at = der_inside(&outer);
	if (!der_take(&at, DER_ENUMERATED, &status) || !der_take(&at, DER_CONTEXT_0, &tagged) ||
	    at.p != at.end)
		return fail(error, PS_ERROR_INVALID, "the OCSP answer is empty");
	at = der_inside(&tagged);
	if (!der_take(&at, DER_SEQUENCE, &inner) || at.p != at.end)
		return fail(error, PS_ERROR_INVALID, "not an OCSP answer");
	at = der_inside(&inner);
	if (!der_take(&at, DER_OID, &oid) || !der_take(&at, DER_OCTET_STRING, &octets) ||
	    at.p != at.end)
		return fail(error, PS_ERROR_INVALID, "not an OCSP answer");
	if (der_length(&oid) != sizeof(basic_oid) ||
	    memcmp(oid.value, basic_oid, sizeof(basic_oid)) != 0)
		return fail(error, PS_ERROR_INVALID,
			    "the OCSP answer is of a kind that is not known");
	const unsigned char *p = octets.value;
	g_autoptr(OCSP_BASICRESP) basic = d2i_OCSP_BASICRESP(NULL, &p, (long)der_length(&octets));
	if (basic == NULL)
		return fail_openssl(error, PS_ERROR_INVALID, "the OCSP answer is broken");
	if (p != octets.end)
		return fail(error, PS_ERROR_INVALID, "%td bytes follow the OCSP answer",
			    octets.end - p);
	return g_steal_pointer(&basic);
}

static OCSP_BASICRESP *
open_answer(GBytes *answer, GError **error)
{
	gsize size;
	const unsigned char *p = g_bytes_get_data(answer, &size);
	const unsigned char *end = p + size;

	if (size == 0)
		return fail(error, PS_ERROR_INVALID, "the OCSP answer is empty");
	if (size > OCSP_ANSWER_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "an OCSP answer of %zu bytes is too large",
			    size);
	g_autoptr(OCSP_RESPONSE) response = d2i_OCSP_RESPONSE(NULL, &p, (long)size);
	if (response == NULL)
		return fail_openssl(error, PS_ERROR_INVALID, "not an OCSP answer");
	if (p != end)
		return fail(error, PS_ERROR_INVALID, "%td bytes follow the OCSP answer", end - p);
	if (!is_successful(response, error))
		return NULL;
	return basic_of(answer, error);
}

static gboolean
is_known_extension(X509_EXTENSION *extension)
{
	int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));

	return X509_EXTENSION_get_critical(extension) == 0 || nid == NID_id_pkix_OCSP_Nonce ||
	       nid == NID_id_pkix_OCSP_CrlID || nid == NID_id_pkix_OCSP_archiveCutoff;
}

static gboolean
check_extensions(OCSP_BASICRESP *basic, GError **error)
{
	int count = OCSP_BASICRESP_get_ext_count(basic);

	for (int i = 0; i < count; i++)
		if (!is_known_extension(OCSP_BASICRESP_get_ext(basic, i)))
			return fail_false(error, PS_ERROR_INVALID,
					  "the OCSP answer has a critical extension that is not "
					  "known");
	return TRUE;
}

/* RFC 8954: what was sent comes back, or nothing does, which is how prepared answers are. */
static gboolean
check_nonce(OCSP_BASICRESP *basic, const struct ocsp_question *question, GError **error)
{
	int at = OCSP_BASICRESP_get_ext_by_NID(basic, NID_id_pkix_OCSP_Nonce, -1);
	gsize length;

	if (at < 0 || question->nonce == NULL)
		return TRUE;
	const guint8 *sent = g_bytes_get_data(question->nonce, &length);
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(OCSP_BASICRESP_get_ext(basic, at));
	struct der der = der_of(ASN1_STRING_get0_data(value), (gsize)ASN1_STRING_length(value));
	struct der_element nonce;
	if (der_take(&der, DER_OCTET_STRING, &nonce) && der.p == der.end &&
	    der_length(&nonce) == length && memcmp(nonce.value, sent, length) == 0)
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID,
			  "the OCSP answer is one to another question: its nonce differs");
}

/* --- who signed --- */

static gboolean
is_named_responder(OCSP_BASICRESP *basic, X509 *x509)
{
	const ASN1_OCTET_STRING *key = NULL;
	const X509_NAME *name = NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int length = 0;

	if (OCSP_resp_get0_id(basic, &key, &name) != 1)
		return FALSE;
	if (name != NULL)
		return X509_NAME_cmp(name, X509_get_subject_name(x509)) == 0;
	return key != NULL && X509_pubkey_digest(x509, EVP_sha1(), digest, &length) == 1 &&
	       (unsigned int)ASN1_STRING_length(key) == length &&
	       memcmp(ASN1_STRING_get0_data(key), digest, length) == 0;
}

/* The digest of PSS stands in its parameters; absent means SHA-1 (RFC 4055). */
static enum algorithm
pss_digest(const X509_ALGOR *algorithm)
{
	int type = V_ASN1_UNDEF;
	const void *value = NULL;

	X509_ALGOR_get0(NULL, &type, &value, algorithm);
	if (type != V_ASN1_SEQUENCE)
		return ALGORITHM_UNKNOWN;
	g_autoptr(RSA_PSS_PARAMS) parameters =
	    ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
	if (parameters == NULL || parameters->hashAlgorithm == NULL)
		return ALGORITHM_UNKNOWN;
	return algorithm_of(parameters->hashAlgorithm);
}

static gboolean
is_strong(const X509_ALGOR *algorithm)
{
	enum algorithm signature = algorithm_of(algorithm);

	if (algorithm_standing(signature) != ALGORITHM_MODERN)
		return FALSE;
	return signature != ALGORITHM_RSA_PSS ||
	       algorithm_standing(pss_digest(algorithm)) == ALGORITHM_MODERN;
}

static gboolean
is_signed_with(OCSP_BASICRESP *basic, const struct cert *signer)
{
	EVP_PKEY *pkey = cert_pkey(signer);

	return pkey != NULL &&
	       ASN1_item_verify(ASN1_ITEM_rptr(OCSP_RESPDATA), OCSP_resp_get0_tbs_sigalg(basic),
				OCSP_resp_get0_signature(basic), OCSP_resp_get0_respdata(basic),
				pkey) == 1;
}

/* anyExtendedKeyUsage is no leave to speak for a CA (RFC 6960 section 4.2.2.2). */
static gboolean
has_ocsp_usage(X509 *x509)
{
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(x509, NID_ext_key_usage, NULL, NULL);
	gboolean found = FALSE;

	for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++)
		found |= OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i)) == NID_OCSP_sign;
	sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
	return found;
}

/* NULL: may speak for the issuer now; else why not. */
static char *
responder_fault(const struct cert *responder, const struct ocsp_question *question)
{
	const char *subject = cert_subject(responder);
	guint32 flags = X509_get_extension_flags(cert_x509(responder));

	if (!cert_is_issued_by(responder, question->issuer))
		return g_strdup_printf("responder '%s' was not certified by '%s' itself", subject,
				       cert_subject(question->issuer));
	if (!has_ocsp_usage(cert_x509(responder)) || !cert_may_sign(responder))
		return g_strdup_printf("the certificate of responder '%s' is not for OCSP",
				       subject);
	if (question->at < cert_not_before(responder) || question->at > cert_not_after(responder))
		return g_strdup_printf("the certificate of responder '%s' is out of date", subject);
	if ((flags & (EXFLAG_CRITICAL | EXFLAG_INVALID)) != 0)
		return g_strdup_printf("the certificate of responder '%s' has an extension that is "
				       "not known",
				       subject);
	return chain_strength_fault(responder, FALSE, NULL);
}

static gboolean
take_delegate(OCSP_BASICRESP *basic, X509 *x509, const struct ocsp_question *question,
	      struct ocsp_finding *finding, char **why)
{
	CLEANUP(cert) struct cert *responder = cert_parse_x509(x509, NULL);

	if (responder == NULL)
		return FALSE;
	g_autofree char *fault = responder_fault(responder, question);
	if (fault == NULL && !is_signed_with(basic, responder))
		fault = g_strdup("the signature of the OCSP answer does not fit its responder");
	if (fault != NULL) {
		g_free(*why);
		*why = g_steal_pointer(&fault);
		return FALSE;
	}
	finding->signer_unchecked =
	    X509_get_ext_by_NID(cert_x509(responder), NID_id_pkix_OCSP_noCheck, -1) < 0;
	finding->signer = g_steal_pointer(&responder);
	return TRUE;
}

static gboolean
find_signer(OCSP_BASICRESP *basic, const struct ocsp_question *question,
	    struct ocsp_finding *finding, GError **error)
{
	const STACK_OF(X509) *certs = OCSP_resp_get0_certs(basic);
	g_autofree char *why = NULL;

	if (!is_strong(OCSP_resp_get0_tbs_sigalg(basic)))
		return fail_false(error, PS_ERROR_INVALID,
				  "the OCSP answer is signed with an algorithm that is too weak");
	if (sk_X509_num(certs) > OCSP_CERTS_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "the OCSP answer has more than %d certificates", OCSP_CERTS_MAX);
	if (is_named_responder(basic, cert_x509(question->issuer)) &&
	    is_signed_with(basic, question->issuer)) {
		finding->signer = cert_ref((struct cert *)question->issuer);
		return TRUE;
	}
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (is_named_responder(basic, sk_X509_value(certs, i)) &&
		    take_delegate(basic, sk_X509_value(certs, i), question, finding, &why))
			return TRUE;
	return fail_false(error, PS_ERROR_INVALID, "%s",
			  why != NULL ? why
				      : "the OCSP answer is signed by nobody who may speak for the "
					"issuer");
}

/* --- what it says --- */

/* Digests under which responders name issuers. */
static gboolean
is_about(const OCSP_CERTID *id, const struct ocsp_question *question)
{
	ASN1_OBJECT *object = NULL;

	if (OCSP_id_get0_info(NULL, &object, NULL, NULL, (OCSP_CERTID *)id) != 1)
		return FALSE;
	int nid = OBJ_obj2nid(object);
	if (nid != NID_sha1 && nid != NID_sha256 && nid != NID_sha384 && nid != NID_sha512)
		return FALSE;
	g_autoptr(OCSP_CERTID) own = id_of(question, EVP_get_digestbynid(nid));
	return own != NULL && OCSP_id_cmp(own, id) == 0;
}

static enum crl_reason
reason_of(int code)
{
	return code > REVOCATION_UNSPECIFIED && code <= REVOCATION_AA_COMPROMISE && code != 7 &&
		       code != REVOCATION_REMOVE_FROM_CRL
		   ? (enum crl_reason)code
		   : REVOCATION_UNSPECIFIED;
}

static gboolean
read_single(OCSP_SINGLERESP *single, struct ocsp_finding *finding, GError **error)
{
	ASN1_GENERALIZEDTIME *revoked = NULL, *this_update = NULL, *next_update = NULL;
	int reason = -1;
	int status = OCSP_single_get0_status(single, &reason, &revoked, &this_update, &next_update);

	for (int i = 0; i < OCSP_SINGLERESP_get_ext_count(single); i++)
		if (!is_known_extension(OCSP_SINGLERESP_get_ext(single, i)))
			return fail_false(error, PS_ERROR_INVALID,
					  "the OCSP answer has a critical extension that is not "
					  "known");
	gboolean good = asn1_seconds(this_update, &finding->this_update);
	finding->next_update = finding->this_update + OCSP_UNDATED_SECONDS;
	if (next_update != NULL)
		good = good && asn1_seconds(next_update, &finding->next_update);
	switch (status) {
	case V_OCSP_CERTSTATUS_GOOD:
		finding->status = OCSP_GOOD;
		break;
	case V_OCSP_CERTSTATUS_REVOKED:
		finding->status = OCSP_REVOKED;
		finding->reason = reason_of(reason);
		good = good && asn1_seconds(revoked, &finding->revoked_at);
		break;
	case V_OCSP_CERTSTATUS_UNKNOWN:
		finding->status = OCSP_UNKNOWN;
		break;
	default:
		good = FALSE;
	}
	if (!good || finding->next_update < finding->this_update)
		return fail_false(error, PS_ERROR_INVALID,
				  "the OCSP answer has times that cannot be");
	return TRUE;
}

/* Revoked is revoked for ever, so an old answer that says so is as good as a new one. */
static gboolean
check_times(const struct ocsp_finding *finding, gint64 at, GError **error)
{
	gboolean lasting =
	    finding->status == OCSP_REVOKED && finding->reason != REVOCATION_CERTIFICATE_HOLD;

	if (finding->this_update > at + OCSP_SKEW_SECONDS ||
	    finding->produced_at > at + OCSP_SKEW_SECONDS) {
		g_autofree char *when =
		    clock_format(MAX(finding->this_update, finding->produced_at));
		return fail_false(error, PS_ERROR_INVALID, "the OCSP answer is of the future (%s)",
				  when);
	}
	if (finding->next_update < at - OCSP_SKEW_SECONDS && !lasting) {
		g_autofree char *when = clock_format(finding->next_update);
		return fail_false(error, PS_ERROR_INVALID, "the OCSP answer expired on %s", when);
	}
	return TRUE;
}

/* Which of two on the same certificate counts: revoked, then the later one. */
static gboolean
is_better(const struct ocsp_finding *a, const struct ocsp_finding *b)
{
	if ((a->status == OCSP_REVOKED) != (b->status == OCSP_REVOKED))
		return a->status == OCSP_REVOKED;
	return a->this_update > b->this_update;
}

static gboolean
find_single(OCSP_BASICRESP *basic, const struct ocsp_question *question,
	    struct ocsp_finding *finding, GError **error)
{
	int count = OCSP_resp_count(basic);
	gboolean found = FALSE;

	if (count > OCSP_SINGLES_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "the OCSP answer is about more than %d certificates",
				  OCSP_SINGLES_MAX);
	for (int i = 0; i < count; i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
		struct ocsp_finding one = *finding;

		if (!is_about(OCSP_SINGLERESP_get0_id(single), question))
			continue;
		if (!read_single(single, &one, error))
			return FALSE;
		if (!found || is_better(&one, finding))
			*finding = one;
		found = TRUE;
	}
	return found ||
	       fail_false(error, PS_ERROR_INVALID, "the OCSP answer is about another certificate");
}

struct ocsp_finding *
ocsp_read(GBytes *answer, const struct ocsp_question *question, GError **error)
{
	g_autoptr(OCSP_BASICRESP) basic = open_answer(answer, error);
	CLEANUP(ocsp_finding) struct ocsp_finding *finding = g_new0(struct ocsp_finding, 1);

	if (basic == NULL)
		return NULL;
	gboolean good = check_extensions(basic, error) && check_nonce(basic, question, error);
	if (good && !asn1_seconds(OCSP_resp_get0_produced_at(basic), &finding->produced_at))
		good =
		    fail_false(error, PS_ERROR_INVALID, "the OCSP answer has times that cannot be");
	/* The signature last: it costs most, and nothing of the answer is used before. */
	good = good && find_single(basic, question, finding, error) &&
	       check_times(finding, question->at, error) &&
	       find_signer(basic, question, finding, error);
	ERR_clear_error();
	return good ? g_steal_pointer(&finding) : NULL;
}
