/*
 * cmp - transactions: messages go out through the caller, answers that count into the journal.
 *
 * An answer enters the journal when OpenSSL has verified it: that is known once it makes the next
 * message, hands over the certificate, or says that it waits.
 */
#include "pki/crypto/cmp.h"

#include <openssl/crmf.h>
#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/cmp_internal.h"
#include "pki/crypto/der.h"
#include "store/base/error.h"

#define CERTS_MAX 32
#define TEXT_MAX_BYTES 1024
#define OID_CA_CERTS "1.3.6.1.5.5.7.4.17"

struct session {
	const struct cmp_peer *peer;
	OSSL_CMP_CTX *ctx;
	struct cmp_journal *journal; /* NULL: one question, one answer */
	guint replayed;
	guint recorded; /* messages of the journal when it was found */
	gboolean live;  /* something was exchanged by now */
	gboolean begun; /* the journal is saved */
	int last_body;
	OSSL_CMP_MSG *fresh; /* received, not verified yet */
	GBytes *fresh_der;
	struct cert *cert; /* accepted */
	char *unwanted;    /* why it was not */
	GError *error;
};

static void
forget_fresh(struct session *session)
{
	g_clear_pointer(&session->fresh, OSSL_CMP_MSG_free);
	g_clear_pointer(&session->fresh_der, g_bytes_unref);
}

static void
session_clear(struct session *session)
{
	forget_fresh(session);
	g_clear_pointer(&session->ctx, OSSL_CMP_CTX_free);
	g_clear_pointer(&session->journal, cmp_journal_free);
	g_clear_pointer(&session->cert, cert_unref);
	g_clear_pointer(&session->unwanted, g_free);
	g_clear_error(&session->error);
}

static gboolean
save(struct session *session)
{
	g_autofree char *text = cmp_journal_write(session->journal);

	return session->peer->save(session->peer->data, text, &session->error);
}

/* What was received last is verified: it enters the journal. */
static gboolean
commit(struct session *session)
{
	gboolean kept = session->journal != NULL && session->fresh != NULL &&
			cmp_journal_keep(session->journal, session->fresh, session->fresh_der);

	forget_fresh(session);
	if (session->journal == NULL || (session->begun && !kept))
		return TRUE;
	session->begun = save(session);
	return session->begun;
}

/* An answer of the journal, to the question that OpenSSL has just made: it was an answer to one
 * with another nonce. */
static OSSL_CMP_MSG *
replay(struct session *session)
{
	GBytes *der = session->journal->messages->pdata[session->replayed++];
	g_autoptr(OSSL_CMP_MSG) message = cmp_message_read(der, &session->error);
	ASN1_OCTET_STRING *nonce =
	    message != NULL ? OSSL_CMP_HDR_get0_recipNonce(OSSL_CMP_MSG_get0_header(message))
			    : NULL;

	if (message == NULL || nonce == NULL ||
	    OSSL_CMP_CTX_set1_senderNonce(session->ctx, nonce) != 1)
		return NULL;
	session->last_body = OSSL_CMP_MSG_get_bodytype(message);
	return g_steal_pointer(&message);
}

static OSSL_CMP_MSG *
on_transfer(OSSL_CMP_CTX *ctx, const OSSL_CMP_MSG *request)
{
	struct session *session = OSSL_CMP_CTX_get_transfer_cb_arg(ctx);

	if (session->error != NULL)
		return NULL;
	if (session->journal != NULL && session->replayed < session->recorded)
		return replay(session);
	if (!commit(session))
		return NULL;
	session->live = TRUE;
	session->last_body = -1;
	g_autoptr(GBytes) out = cmp_message_write(request, &session->error);
	g_autoptr(GBytes) in =
	    out != NULL ? session->peer->exchange(session->peer->data, out, &session->error) : NULL;
	if (in == NULL)
		return NULL;
	g_autoptr(OSSL_CMP_MSG) answer = cmp_message_read(in, NULL);
	if (answer == NULL)
		return NULL; /* it is no answer, which is found out from last_body */
	session->last_body = OSSL_CMP_MSG_get_bodytype(answer);
	session->fresh = OSSL_CMP_MSG_dup(answer);
	session->fresh_der = g_bytes_ref(in);
	return g_steal_pointer(&answer);
}

/* The certificate has come and its message is verified; it is not confirmed yet. */
static int
on_certificate(OSSL_CMP_CTX *ctx, X509 *x509, int failure, const char **text)
{
	struct session *session = OSSL_CMP_CTX_get_certConf_cb_arg(ctx);
	g_autoptr(GError) why = NULL;

	if (!commit(session))
		return 0;
	CLEANUP(cert) struct cert *cert = cert_parse_x509(x509, &why);
	if (cert != NULL && failure != 0)
		session->unwanted = g_strdup("the certificate is not for our key");
	else if (cert == NULL || !session->peer->accept(session->peer->data, cert, &why))
		session->unwanted = g_strdup(why != NULL ? why->message : "not accepted");
	if (session->unwanted == NULL) {
		session->cert = cert_ref(cert);
		return 0;
	}
	*text = "it is not what was asked for";
	return failure != 0 ? failure : OSSL_CMP_CTX_FAILINFO_badCertTemplate;
}

static gboolean
session_open(struct session *session, const struct cmp_peer *peer, GError **error)
{
	session->peer = peer;
	session->last_body = -1;
	session->ctx = cmp_context_new(peer, error);
	if (session->ctx == NULL)
		return FALSE;
	if (OSSL_CMP_CTX_set_transfer_cb(session->ctx, on_transfer) != 1 ||
	    OSSL_CMP_CTX_set_transfer_cb_arg(session->ctx, session) != 1 ||
	    OSSL_CMP_CTX_set_certConf_cb(session->ctx, on_certificate) != 1 ||
	    OSSL_CMP_CTX_set_certConf_cb_arg(session->ctx, session) != 1)
		return fail_openssl_false(error, PS_ERROR_BUG, "no CMP transaction");
	return TRUE;
}

/* --- what came of it --- */

static char *
status_text(OSSL_CMP_CTX *ctx)
{
	OSSL_CMP_PKIFREETEXT *strings = OSSL_CMP_CTX_get0_statusString(ctx);
	GString *text = g_string_new(NULL);

	for (int i = 0; i < sk_ASN1_UTF8STRING_num(strings); i++) {
		const ASN1_UTF8STRING *one = sk_ASN1_UTF8STRING_value(strings, i);
		gsize room = TEXT_MAX_BYTES - MIN(text->len, TEXT_MAX_BYTES);

		if (text->len > 0)
			g_string_append(text, "; ");
		g_string_append_len(text, (const char *)ASN1_STRING_get0_data(one),
				    (gssize)MIN((gsize)ASN1_STRING_length(one), room));
	}
	return g_string_free(text, FALSE);
}

static char *
openssl_text(void)
{
	const char *data = NULL;
	int flags = 0;
	unsigned long code = ERR_peek_last_error_data(&data, &flags);
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
	char *text = g_strdup(reason != NULL ? reason : "not to be believed");

	ERR_clear_error();
	return text;
}

/* The transaction failed; *error when that was in exchanging or saving. */
static gboolean
take_failure(struct session *session, struct cmp_result *result, GError **error)
{
	int status = OSSL_CMP_CTX_get_status(session->ctx);

	if (session->error != NULL) {
		ERR_clear_error();
		g_propagate_error(error, g_steal_pointer(&session->error));
		return FALSE;
	}
	if (!session->live && session->replayed == 0) {
		g_autofree char *why = openssl_text();
		return fail_false(error, PS_ERROR_DENIED,
				  "no CMP message can be made with these settings: %s", why);
	}
	result->failed = session->last_body == CMP_BODY_ERROR;
	if (session->unwanted != NULL) {
		result->outcome = CMP_NOT_ACCEPTED;
		result->text = g_steal_pointer(&session->unwanted);
		ERR_clear_error();
		return TRUE;
	}
	result->outcome = status == OSSL_CMP_PKISTATUS_rejection ? CMP_REFUSED : CMP_UNBELIEVABLE;
	if (result->outcome == CMP_REFUSED) {
		result->failure = (guint32)MAX(OSSL_CMP_CTX_get_failInfoCode(session->ctx), 0);
		result->text = status_text(session->ctx);
		ERR_clear_error();
	} else if (session->live && session->last_body == -1) {
		ERR_clear_error();
		result->text = g_strdup("the answer is not a CMP message");
	} else {
		result->text = openssl_text();
	}
	return TRUE;
}

static void
add_certs(GPtrArray *certs, STACK_OF(X509) * stack)
{
	for (int i = 0; i < sk_X509_num(stack) && certs->len < CERTS_MAX; i++) {
		struct cert *cert = cert_parse_x509(sk_X509_value(stack, i), NULL);

		if (cert != NULL && !cert_is_among(cert, certs))
			g_ptr_array_add(certs, cert);
		else
			cert_unref(cert);
	}
	sk_X509_pop_free(stack, X509_free);
}

/* The certificate, then CA certificates that came along. */
static void
take_certs(struct session *session, struct cmp_result *result)
{
	g_autoptr(GPtrArray) along = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	result->outcome = CMP_DONE;
	result->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_ptr_array_add(result->certs, cert_ref(session->cert));
	add_certs(along, OSSL_CMP_CTX_get1_extraCertsIn(session->ctx));
	add_certs(along, OSSL_CMP_CTX_get1_caPubs(session->ctx));
	for (guint i = 0; i < along->len; i++) {
		struct cert *cert = along->pdata[i];

		if (cert_is_ca(cert) && !cert_is_among(cert, result->certs))
			g_ptr_array_add(result->certs, cert_ref(cert));
	}
	ERR_clear_error();
}

static gboolean
take_outcome(struct session *session, int rc, int check_after, struct cmp_result *result,
	     GError **error)
{
	if (rc == -1 && session->error == NULL && commit(session)) {
		result->outcome = CMP_WAITING;
		result->check_after = check_after;
		ERR_clear_error();
		return TRUE;
	}
	if (rc == 1 && session->error == NULL && session->cert != NULL) {
		take_certs(session, result);
		return TRUE;
	}
	/* Confirmed for the second time, because the first one got no answer: the CA may not know
	 * the transaction any more. The certificate was verified when it came. */
	if (session->cert != NULL && session->error == NULL && session->recorded > 0 &&
	    session->last_body == CMP_BODY_ERROR) {
		result->text = status_text(session->ctx);
		result->late = TRUE;
		take_certs(session, result);
		return TRUE;
	}
	return take_failure(session, result, error);
}

/* --- transactions --- */

static int
request_type(enum cmp_command command)
{
	switch (command) {
	case CMP_IR:
		return OSSL_CMP_IR;
	case CMP_CR:
		return OSSL_CMP_CR;
	case CMP_P10CR:
		return OSSL_CMP_P10CR;
	case CMP_KUR:
		return OSSL_CMP_KUR;
	}
	return OSSL_CMP_IR;
}

static gboolean
open_journal(struct session *session, const struct cmp_order *order, GError **error)
{
	session->journal = order->journal != NULL ? cmp_journal_read(order->journal, error)
						  : cmp_journal_new(order->round, error);
	if (session->journal == NULL)
		return FALSE;
	session->recorded = session->journal->messages->len;
	return TRUE;
}

static gboolean
run_enroll(struct session *session, const struct cmp_order *order, struct cmp_result *result,
	   GError **error)
{
	int check_after = 0, rc;

	session->begun = order->journal != NULL;
	do {
		rc = OSSL_CMP_try_certreq(session->ctx, request_type(order->command), NULL,
					  &check_after);
	} while (rc == -1 && !session->live && session->error == NULL);
	return take_outcome(session, rc, check_after, result, error);
}

gboolean
cmp_enroll(const struct cmp_peer *peer, const struct cmp_order *order, struct cmp_result *result,
	   GError **error)
{
	struct session session = { 0 };

	gboolean good = session_open(&session, peer, error) &&
			open_journal(&session, order, error) &&
			cmp_context_order(session.ctx, order, session.journal, error) &&
			run_enroll(&session, order, result, error);
	session_clear(&session);
	return good;
}

gboolean
cmp_revoke(const struct cmp_peer *peer, const struct cert *cert, int reason,
	   struct cmp_result *result, GError **error)
{
	struct session session = { 0 };
	gboolean good = session_open(&session, peer, error);

	if (good &&
	    (OSSL_CMP_CTX_set1_oldCert(session.ctx, cert_x509(cert)) != 1 ||
	     OSSL_CMP_CTX_set_option(session.ctx, OSSL_CMP_OPT_REVOCATION_REASON, reason) != 1))
		good = fail_openssl_false(error, PS_ERROR_BUG, "no revocation request");
	if (good && OSSL_CMP_exec_RR_ses(session.ctx) == 1)
		result->outcome = CMP_DONE;
	else if (good)
		good = take_failure(&session, result, error);
	session_clear(&session);
	return good;
}

/* CACertValue of RFC 9480 section 2.14: SEQUENCE OF CMPCertificate. */
static void
read_ca_certs(const ASN1_TYPE *value, GPtrArray *certs)
{
	struct der_element element;

	if (value == NULL || value->type != V_ASN1_SEQUENCE)
		return;
	const ASN1_STRING *text = value->value.sequence;
	struct der der = der_of(ASN1_STRING_get0_data(text), (gsize)ASN1_STRING_length(text));
	if (!der_take(&der, DER_SEQUENCE, &element))
		return;
	struct der inside = der_inside(&element);
	while (certs->len < CERTS_MAX && der_next(&inside, &element)) {
		g_autoptr(GBytes) bytes =
		    g_bytes_new(element.start, (gsize)(element.end - element.start));
		struct cert *cert = cert_parse(bytes, NULL);

		if (cert != NULL)
			g_ptr_array_add(certs, cert);
	}
}

static gboolean
push_question(OSSL_CMP_CTX *ctx, GError **error)
{
	ASN1_OBJECT *type = OBJ_txt2obj(OID_CA_CERTS, 1);
	OSSL_CMP_ITAV *itav = type != NULL ? OSSL_CMP_ITAV_create(type, NULL) : NULL;

	if (itav != NULL && OSSL_CMP_CTX_push0_genm_ITAV(ctx, itav) == 1)
		return TRUE;
	if (itav == NULL)
		ASN1_OBJECT_free(type);
	OSSL_CMP_ITAV_free(itav);
	return fail_openssl_false(error, PS_ERROR_BUG, "no general message");
}

static void
read_answers(STACK_OF(OSSL_CMP_ITAV) * itavs, GPtrArray *certs)
{
	for (int i = 0; i < sk_OSSL_CMP_ITAV_num(itavs); i++) {
		const OSSL_CMP_ITAV *itav = sk_OSSL_CMP_ITAV_value(itavs, i);
		g_autofree char *oid = object_dotted(OSSL_CMP_ITAV_get0_type(itav));

		if (g_strcmp0(oid, OID_CA_CERTS) == 0)
			read_ca_certs(OSSL_CMP_ITAV_get0_value(itav), certs);
	}
}

gboolean
cmp_ca_certs(const struct cmp_peer *peer, struct cmp_result *result, GError **error)
{
	struct session session = { 0 };
	gboolean good = session_open(&session, peer, error) && push_question(session.ctx, error);

	if (good) {
		STACK_OF(OSSL_CMP_ITAV) *itavs = OSSL_CMP_exec_GENM_ses(session.ctx);

		if (itavs == NULL) {
			good = take_failure(&session, result, error);
		} else {
			result->outcome = CMP_DONE;
			result->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
			read_answers(itavs, result->certs);
			sk_OSSL_CMP_ITAV_pop_free(itavs, OSSL_CMP_ITAV_free);
		}
	}
	session_clear(&session);
	return good;
}

void
cmp_result_clear(struct cmp_result *result)
{
	if (result->certs != NULL)
		g_ptr_array_unref(result->certs);
	g_free(result->text);
	*result = (struct cmp_result){ 0 };
}

const char *
cmp_failure_name(guint bit)
{
	static const char *const names[] = {
		"badAlg",
		"badMessageCheck",
		"badRequest",
		"badTime",
		"badCertId",
		"badDataFormat",
		"wrongAuthority",
		"incorrectData",
		"missingTimeStamp",
		"badPOP",
		"certRevoked",
		"certConfirmed",
		"wrongIntegrity",
		"badRecipientNonce",
		"timeNotAvailable",
		"unacceptedPolicy",
		"unacceptedExtension",
		"addInfoNotAvailable",
		"badSenderNonce",
		"badCertTemplate",
		"signerNotTrusted",
		"transactionIdInUse",
		"unsupportedVersion",
		"notAuthorized",
		"systemUnavail",
		"systemFailure",
		"duplicateCertReq",
	};

	return bit < G_N_ELEMENTS(names) ? names[bit] : NULL;
}
