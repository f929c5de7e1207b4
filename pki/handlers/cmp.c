/*
 * cmp - certificates from any CA that speaks CMP (RFC 4210, 9480, 9483) over HTTP.
 *
 * The handle is the journal of the transaction (pki/crypto/cmp.h). A transaction that was answered
 * goes on after any interruption. One whose first answer was lost cannot: asking after it needs
 * the nonce of that answer. What it may have issued was never confirmed, so the CA does not let it
 * stand (RFC 4210 section 5.2.8), and a new transaction is begun, a few times. With
 * implicit_confirm it would stand: then the request is held for a person.
 */
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/cmp.h"
#include "pki/crypto/key.h"
#include "pki/enroll_check.h"
#include "pki/handlers/cmp_failure.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/held.h"
#include "pki/handlers/peer.h"
#include "pki/handlers/table.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/certs.h"
#include "store/requests.h"

#define ROUNDS_MAX 3
#define MEDIA_TYPE "application/pkixcmp"

static const struct handler_key keys[] = {
	{ "url", HANDLER_KEY_URL, "", "http|https", TRUE,
	  "where the CA takes CMP messages, such as https://ca.example/.well-known/cmp" },
	{ "ca_bundle", HANDLER_KEY_CERTS, "", "certificates", FALSE,
	  "anchors for the TLS certificate of the server; else the system's" },
	{ "client_cert", HANDLER_KEY_CERTS, "", "certificate and its chain", FALSE,
	  "who we are in TLS, where the server wants to know" },
	{ "client_key", HANDLER_KEY_PRIVATE, "", "private key", FALSE, "the key of client_cert" },
	{ "recipient", HANDLER_KEY_TEXT, "", "/C=DE/O=Example/CN=Example CA", FALSE,
	  "the name of the CA in messages; else that of server_cert or of our issuer" },
	{ "ref", HANDLER_KEY_TEXT, "", "reference value", FALSE, "which secret it is" },
	{ "secret", HANDLER_KEY_SECRET, "", "shared secret", FALSE,
	  "protects messages both ways, in place of cert and key" },
	{ "cert", HANDLER_KEY_CERTS, "", "certificate and its chain", FALSE,
	  "signs our messages, such as that of a registration authority" },
	{ "key", HANDLER_KEY_PRIVATE, "", "private key", FALSE, "the key of cert" },
	{ "trusted", HANDLER_KEY_CERTS, "", "certificates", FALSE,
	  "anchors of whoever signs the CA's messages" },
	{ "server_cert", HANDLER_KEY_CERTS, "", "certificate", FALSE,
	  "the only certificate that may sign the CA's messages" },
	{ "command", HANDLER_KEY_CHOICE, "ir", "ir|cr|p10cr", FALSE,
	  "how a certificate is asked for" },
	{ "renewal", HANDLER_KEY_CHOICE, "kur", "kur|command", FALSE,
	  "how it is renewed: by a key update, or like a new one" },
	{ "popo", HANDLER_KEY_CHOICE, "signature", "signature|raverified", FALSE,
	  "proof that the key is ours; raverified only where the CA believes our RA certificate" },
	{ "implicit_confirm", HANDLER_KEY_BOOL, "off", NULL, FALSE,
	  "ask the CA not to wait for a confirmation; a lost answer then needs a person" },
	{ "unprotected_errors", HANDLER_KEY_BOOL, "off", NULL, FALSE,
	  "believe errors that are not protected; anybody on the way can make one" },
	{ "digest", HANDLER_KEY_CHOICE, "sha256", "sha256|sha384|sha512", FALSE,
	  "of signatures and proofs" },
	{ "mac", HANDLER_KEY_CHOICE, "hmacWithSHA256", "hmacWithSHA256|hmac-sha1", FALSE,
	  "of messages under the secret; hmac-sha1 for old CAs" },
	{ "validity", HANDLER_KEY_BOOL, "off", NULL, FALSE,
	  "ask for the request's validity; else the CA decides" },
	{ "msg_timeout", HANDLER_KEY_DURATION, "30s", "1s..2m", FALSE, "of one message" },
	{ "total_timeout", HANDLER_KEY_DURATION, "14d", "1m..365d", FALSE,
	  "a CA that still says wait after so long is not asked any more" },
	{ 0 },
};

struct exchange {
	const struct handler_context *context;
	const struct request_row *request; /* NULL: nothing is asked for */
	struct peer *http;
	struct handler_answer *answer;
	gboolean answered;  /* the transaction can be gone on with */
	gboolean judged;    /* answer says what became of a message that failed */
	gboolean untouched; /* it did not reach the CA, or was turned away before it */
	struct cmp_peer peer;
	struct cert *old; /* and its key, of a renewal */
	struct key *key, *old_key;
};

/* --- messages over HTTP --- */

static gboolean
is_cmp(const struct http_answer *got)
{
	return got->content_type != NULL &&
	       g_ascii_strncasecmp(got->content_type, MEDIA_TYPE, strlen(MEDIA_TYPE)) == 0 &&
	       g_bytes_get_size(got->body) > 0;
}

/* A page in the way of a question about a transaction that goes on ends nothing. */
static void
judge_page(struct exchange *exchange, const struct http_answer *got)
{
	struct handler_answer *answer = exchange->answer;

	peer_failure(exchange->context, got, !exchange->answered, NULL, NULL, answer);
	exchange->untouched = answer->error_class != HANDLER_ERROR_CONFLICT;
	if (answer->status == HANDLER_REJECTED) {
		answer->status = HANDLER_RETRY;
		answer->error_class = HANDLER_ERROR_CONFIG;
	}
}

static GBytes *
send_message(gpointer data, GBytes *message, GError **error)
{
	struct exchange *exchange = data;
	struct http_request request = {
		.method = "POST",
		.url = handler_config_text(exchange->context->config, "url"),
		.content_type = MEDIA_TYPE,
		.body = message,
		.answer_max_bytes = CMP_MESSAGE_MAX_BYTES,
	};
	gboolean sent = FALSE;
	g_autoptr(GError) why = NULL;
	CLEANUP(http_answer)
	struct http_answer *got = peer_send(exchange->http, &request, &sent, &why);

	/* RFC 6712 section 3.4: a message may come with any status. */
	if (got != NULL && is_cmp(got))
		return g_bytes_ref(got->body);
	exchange->judged = TRUE;
	exchange->untouched = got == NULL && !sent;
	if (got != NULL)
		judge_page(exchange, got);
	else
		peer_lost(why, !exchange->answered, sent, exchange->answer);
	return fail(error, PS_ERROR_TEMPORARY, "%s", exchange->answer->text);
}

static gboolean
save_journal(gpointer data, const char *journal, GError **error)
{
	struct exchange *exchange = data;
	guint round;

	if (!handler_save_handle(exchange->context, journal, error))
		return FALSE;
	g_free(exchange->answer->handle);
	exchange->answer->handle = g_strdup(journal);
	exchange->answered = cmp_journal_stage(journal, &round) == CMP_STAGE_ANSWERED;
	return TRUE;
}

static gboolean
accept_cert(gpointer data, struct cert *cert, GError **error)
{
	const struct exchange *exchange = data;

	return enroll_check(cert, exchange->request, clock_now(exchange->context->clock), error);
}

/* --- who we are, whom we believe --- */

static struct cert *
first_of(GPtrArray *certs)
{
	return certs != NULL && certs->len > 0 ? certs->pdata[0] : NULL;
}

static void
set_peer(struct exchange *exchange)
{
	const struct handler_config *config = exchange->context->config;

	exchange->peer = (struct cmp_peer){
		.reference = handler_config_text(config, "ref"),
		.secret = handler_config_secret(config, "secret"),
		.signer = first_of(handler_config_certs(config, "cert")),
		.signer_key = handler_config_key(config, "key"),
		.extra_certs = handler_config_certs(config, "cert"),
		.trusted = handler_config_certs(config, "trusted"),
		.server_cert = first_of(handler_config_certs(config, "server_cert")),
		.recipient = handler_config_text(config, "recipient"),
		.digest = handler_config_text(config, "digest"),
		.mac = handler_config_text(config, "mac"),
		.unprotected_errors = handler_config_bool(config, "unprotected_errors"),
		.exchange = send_message,
		.save = save_journal,
		.accept = accept_cert,
		.data = exchange,
	};
}

static gboolean
exchange_open(struct exchange *exchange, const struct handler_context *context,
	      const struct request_row *request, struct handler_answer *answer, GError **error)
{
	const struct peer_options options = {
		.timeout = handler_config_seconds(context->config, "msg_timeout"),
		.bundle_key = "ca_bundle",
		.certs_key = "client_cert",
		.private_key = "client_key",
	};

	*exchange = (struct exchange){ .context = context, .request = request, .answer = answer };
	set_peer(exchange);
	exchange->http = peer_open(context, &options, error);
	return exchange->http != NULL;
}

static void
exchange_clear(struct exchange *exchange)
{
	peer_free(exchange->http);
	cert_unref(exchange->old);
	key_unref(exchange->old_key);
	key_unref(exchange->key);
}

static char *
cmp_lacks(const struct handler_context *context, GError **error G_GNUC_UNUSED)
{
	const struct handler_config *config = context->config;
	g_autoptr(GError) why = NULL;
	const char *recipient = handler_config_text(config, "recipient");
	gboolean secret = handler_config_secret(config, "secret") != NULL;
	struct cert *cert = first_of(handler_config_certs(config, "cert"));
	struct key *key = handler_config_key(config, "key");

	if (!secret && (cert == NULL || key == NULL))
		return g_strdup("who we are is not set: 'secret' (and 'ref'), or 'cert' and 'key'");
	if (!secret && !key_fits(key, cert))
		return g_strdup("the private key 'key' does not belong to the certificate 'cert'");
	if (!secret && first_of(handler_config_certs(config, "trusted")) == NULL &&
	    first_of(handler_config_certs(config, "server_cert")) == NULL)
		return g_strdup("whom to believe is not set: 'trusted' or 'server_cert'");
	if (*recipient != '\0' && !cmp_name_check(recipient, &why))
		return g_strdup_printf("recipient: %s", why->message);
	return NULL;
}

/* --- asking for a certificate --- */

/* The certificate that is renewed signs the request, if its key is here and an answer that is
 * signed could be believed. */
static gboolean
set_renewal(struct exchange *exchange, struct cmp_order *order, GError **error)
{
	const struct handler_context *context = exchange->context;
	CLEANUP(cert_row)
	struct cert_row *row = certs_find(context->db, exchange->request->renews, error);

	exchange->old = row != NULL ? cert_parse(row->der, error) : NULL;
	if (exchange->old == NULL)
		return FALSE;
	order->command = CMP_KUR;
	order->old = exchange->old;
	if (exchange->peer.trusted == NULL && exchange->peer.server_cert == NULL)
		return TRUE;
	exchange->old_key = keyring_find(context->keyring, cert_spki_sha256(exchange->old), NULL);
	if (exchange->old_key == NULL || !cert_has_digital_signature(exchange->old))
		return TRUE;
	exchange->peer.secret = NULL;
	exchange->peer.signer = exchange->old;
	exchange->peer.signer_key = exchange->old_key;
	exchange->peer.extra_certs = NULL;
	return TRUE;
}

static enum cmp_command
command_of(const char *name)
{
	return strcmp(name, "cr") == 0 ? CMP_CR : strcmp(name, "p10cr") == 0 ? CMP_P10CR : CMP_IR;
}

static gboolean
set_order(struct exchange *exchange, struct cmp_order *order, GError **error)
{
	const struct handler_config *config = exchange->context->config;
	const struct request_row *request = exchange->request;

	exchange->key = keyring_find(exchange->context->keyring, request->spki_sha256, error);
	if (exchange->key == NULL)
		return FALSE;
	order->key = exchange->key;
	order->csr = request->csr;
	order->command = command_of(handler_config_text(config, "command"));
	order->days = handler_config_bool(config, "validity") ? request->validity_days : 0;
	order->implicit_confirm = handler_config_bool(config, "implicit_confirm");
	order->ra_verified = strcmp(handler_config_text(config, "popo"), "raverified") == 0;
	return request->renews == NULL ||
	       strcmp(handler_config_text(config, "renewal"), "kur") != 0 ||
	       set_renewal(exchange, order, error);
}

static void
set_handle(struct handler_answer *answer, const char *handle)
{
	g_free(answer->handle);
	answer->handle = g_strdup(handle);
}

/* The journal without what was answered: the CA does not know the transaction any more. */
static void
forget_answers(struct exchange *exchange)
{
	g_autofree char *journal = cmp_journal_unanswered(exchange->answer->handle);

	set_handle(exchange->answer, journal);
	handler_answer_set(exchange->answer, HANDLER_RETRY, HANDLER_ERROR_CONFLICT, NULL,
			   "the CA does not know the transaction any more");
}

static void
take_unbelievable(struct exchange *exchange, const struct cmp_order *order,
		  const struct cmp_result *result)
{
	handler_answer_set(exchange->answer, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
			   "the CA's answer cannot be believed: %s; 'secret', 'trusted' or "
			   "'server_cert' does not fit, or something on the way answers",
			   result->text);
	/* An error that nobody vouches for: a new transaction does no harm where certificates are
	 * confirmed. */
	if (result->failed && !exchange->answered && !order->implicit_confirm)
		set_handle(exchange->answer, "");
}

static void
take_result(struct exchange *exchange, const struct cmp_order *order, struct cmp_result *result)
{
	struct handler_answer *answer = exchange->answer;

	switch (result->outcome) {
	case CMP_DONE:
		if (result->late)
			log_warning("the CA did not acknowledge that a certificate was confirmed",
				    "email", exchange->request->email);
		answer->status = HANDLER_ISSUED;
		answer->certs = g_steal_pointer(&result->certs);
		return;
	case CMP_WAITING:
		handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_HUMAN, NULL,
				   "the CA says that it takes time");
		answer->not_before = clock_now(exchange->context->clock) + result->check_after;
		return;
	case CMP_REFUSED:
		if (exchange->answered && cmp_failure_forgotten(result)) {
			forget_answers(exchange);
			return;
		}
		cmp_failure_answer(result, answer);
		set_handle(answer, "");
		return;
	case CMP_NOT_ACCEPTED:
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_INPUT, NULL,
				   "the certificate was sent back to the CA: %s", result->text);
		set_handle(answer, "");
		return;
	case CMP_UNBELIEVABLE:
		take_unbelievable(exchange, order, result);
		return;
	}
}

static gboolean
run_order(struct exchange *exchange, struct cmp_order *order, GError **error)
{
	struct cmp_result result = { 0 };
	g_autoptr(GError) why = NULL;

	if (!set_order(exchange, order, error))
		return FALSE;
	gboolean good = cmp_enroll(&exchange->peer, order, &result, &why);
	if (good)
		take_result(exchange, order, &result);
	else if (exchange->judged && exchange->untouched && !exchange->answered)
		set_handle(exchange->answer, "");
	cmp_result_clear(&result);
	if (good || exchange->judged)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

static gboolean
is_over(const struct exchange *exchange)
{
	gint64 patience = handler_config_seconds(exchange->context->config, "total_timeout");

	return clock_now(exchange->context->clock) > exchange->request->created + patience;
}

static gboolean
go_on(struct exchange *exchange, GError **error)
{
	const struct request_row *request = exchange->request;
	struct handler_answer *answer = exchange->answer;
	struct cmp_order order = { 0 };
	gboolean released;

	if (held_still(exchange->context, request, &released, answer))
		return TRUE;
	switch (cmp_journal_stage(request->handle, &order.round)) {
	case CMP_STAGE_NONE:
		break;
	case CMP_STAGE_ASKED:
		if (handler_config_bool(exchange->context->config, "implicit_confirm") ||
		    order.round + 1 >= ROUNDS_MAX) {
			held_answer(exchange->context,
				    "the CA's answer was lost, and it cannot be asked about it",
				    answer);
			return TRUE;
		}
		order.round++;
		break;
	case CMP_STAGE_ANSWERED:
		if (is_over(exchange)) {
			handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_HUMAN, NULL,
					   "the CA has not decided within total_timeout");
			set_handle(answer, "");
			return TRUE;
		}
		order.journal = request->handle;
		exchange->answered = TRUE;
		set_handle(answer, request->handle);
		break;
	}
	return run_order(exchange, &order, error);
}

static gboolean
cmp_poll(const struct handler_context *context, const struct request_row *request,
	 struct handler_answer *answer, GError **error)
{
	struct exchange exchange;
	gboolean good =
	    exchange_open(&exchange, context, request, answer, error) && go_on(&exchange, error);

	exchange_clear(&exchange);
	return good;
}

static gboolean
cmp_submit(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	   const struct request_row *request, struct handler_answer *answer, GError **error)
{
	return cmp_poll(context, request, answer, error);
}

/* --- revoking, asking --- */

/* RFC 5280 section 5.3.1; -1: none. */
static int
reason_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} reasons[] = {
		{ "unspecified", 0 },          { "keyCompromise", 1 },      { "CACompromise", 2 },
		{ "cACompromise", 2 },         { "affiliationChanged", 3 }, { "superseded", 4 },
		{ "cessationOfOperation", 5 }, { "certificateHold", 6 },    { "removeFromCRL", 8 },
		{ "privilegeWithdrawn", 9 },   { "AACompromise", 10 },      { "aACompromise", 10 },
	};

	for (guint i = 0; i < G_N_ELEMENTS(reasons); i++)
		if (g_strcmp0(name, reasons[i].name) == 0)
			return reasons[i].number;
	return -1;
}

static gboolean
take_revocation(struct exchange *exchange, const struct cmp_result *result)
{
	const char *name;

	if (result->outcome == CMP_REFUSED) {
		cmp_failure_class(result->failure, &name);
		cmp_failure_answer(result, exchange->answer);
		if (g_strcmp0(name, "certRevoked") == 0)
			exchange->answer->status = HANDLER_ISSUED;
	} else if (result->outcome == CMP_DONE) {
		exchange->answer->status = HANDLER_ISSUED;
	} else {
		handler_answer_set(exchange->answer, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
				   "the CA's answer cannot be believed: %s", result->text);
	}
	return TRUE;
}

static gboolean
cmp_revoke_cert(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
		const struct handler_revocation *revocation, struct handler_answer *answer,
		GError **error)
{
	struct exchange exchange;
	struct cmp_result result = { 0 };
	gboolean good = exchange_open(&exchange, context, NULL, answer, error);

	/* Asking twice for it does no harm. */
	exchange.answered = TRUE;
	if (good && revocation->cert == NULL)
		good = fail_false(error, PS_ERROR_INVALID,
				  "CMP revokes by issuer and serial number of a certificate, and "
				  "the store does not hold it");
	if (good && cmp_revoke(&exchange.peer, revocation->cert, reason_number(revocation->reason),
			       &result, error)) {
		good = take_revocation(&exchange, &result);
	} else if (good && exchange.judged) {
		g_clear_error(error);
	} else {
		good = FALSE;
	}
	cmp_result_clear(&result);
	exchange_clear(&exchange);
	return good;
}

static gboolean
cmp_check(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	struct exchange exchange;
	struct cmp_result result = { 0 };
	gboolean good = exchange_open(&exchange, context, NULL, answer, error);

	exchange.answered = TRUE;
	if (good && !cmp_ca_certs(&exchange.peer, &result, error)) {
		good = exchange.judged;
		if (good)
			g_clear_error(error);
	} else if (good && result.outcome == CMP_DONE) {
		handler_answer_set(
		    answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
		    "the CA answers, believes us, and tells %u certificates of its own",
		    result.certs->len);
	} else if (good && result.outcome == CMP_REFUSED) {
		cmp_failure_answer(&result, answer);
		/* It judged what was asked, not who asks. */
		if (answer->error_class == HANDLER_ERROR_INPUT)
			handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
					   "the CA answers and believes us; it takes no general "
					   "messages, so no more can be said");
	} else if (good) {
		handler_answer_set(answer, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
				   "the CA's answer cannot be believed: %s", result.text);
	}
	cmp_result_clear(&result);
	exchange_clear(&exchange);
	return good;
}

static GPtrArray *
cmp_chain(const struct handler_context *context, GError **error)
{
	struct exchange exchange;
	struct handler_answer answer = { 0 };
	struct cmp_result result = { 0 };
	GPtrArray *certs = NULL;

	if (exchange_open(&exchange, context, NULL, &answer, error) &&
	    cmp_ca_certs(&exchange.peer, &result, error)) {
		if (result.outcome == CMP_DONE && result.certs->len > 0)
			certs = g_steal_pointer(&result.certs);
		else
			fail(error, PS_ERROR_NOT_FOUND,
			     "the CA does not tell its certificates; take them from its operator "
			     "and import them");
	}
	cmp_result_clear(&result);
	handler_answer_clear(&answer);
	exchange_clear(&exchange);
	return certs;
}

const struct handler handler_cmp = {
	.name = "cmp",
	.sentence = "any CA that speaks CMP (RFC 4210, 9480, 9483) over HTTP",
	.capabilities = { .revokes = TRUE, .knows_chain = TRUE, .tests = TRUE, .tls_names = TRUE },
	.keys = keys,
	.lacks = cmp_lacks,
	.submit = cmp_submit,
	.poll = cmp_poll,
	.revoke = cmp_revoke_cert,
	.chain = cmp_chain,
	.check = cmp_check,
};
