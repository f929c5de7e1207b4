/*
 * est - certificates by Enrollment over Secure Transport (RFC 7030, RFC 8951).
 *
 * The request itself is the only handle: after 202 the same one is sent again, and after an answer
 * that was lost, too, for a server that knows it again gives the same certificate. A server that
 * does not may have issued a second one for the same key, so that is done a few times only, or
 * with resend off never. The handle says how often an answer was lost, and holds the request
 * where it is not the row's own: est1:STATE:LOST[:CSR].
 */
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/csr.h"
#include "pki/crypto/key.h"
#include "pki/handlers/est_reader.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/held.h"
#include "pki/handlers/peer.h"
#include "pki/handlers/table.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/requests.h"

#define LOST_MAX 3
#define WELL_KNOWN "/.well-known/est"
#define PREFIX "est1"

static const struct handler_key keys[] = {
	{ "url", HANDLER_KEY_URL, "", "https", TRUE,
	  "the server, such as https://est.example; /.well-known/est is added" },
	{ "label", HANDLER_KEY_TEXT, "", "word", FALSE, "which CA of the server" },
	{ "ca_bundle", HANDLER_KEY_CERTS, "", "certificates", FALSE,
	  "anchors for the server's TLS certificate; else fingerprint, else the system's" },
	{ "fingerprint", HANDLER_KEY_TEXT, "", "SHA-256 in hex", FALSE,
	  "of a CA certificate that the server tells: confirmed by somebody who knows it" },
	{ "auth", HANDLER_KEY_CHOICE, "basic", "basic|digest", FALSE,
	  "how user and password travel" },
	{ "user", HANDLER_KEY_TEXT, "", "name", FALSE, "who we are" },
	{ "password", HANDLER_KEY_SECRET, "", "password", FALSE, "of user" },
	{ "client_cert", HANDLER_KEY_CERTS, "", "certificate and its chain", FALSE,
	  "who we are in TLS" },
	{ "client_key", HANDLER_KEY_PRIVATE, "", "private key", FALSE, "the key of client_cert" },
	{ "use_csrattrs", HANDLER_KEY_BOOL, "off", NULL, FALSE,
	  "ask first what the CA wants a request to be, and send none that it cannot take" },
	{ "reenroll", HANDLER_KEY_BOOL, "on", NULL, FALSE,
	  "renew with the old certificate in TLS; off: like a new one" },
	{ "resend", HANDLER_KEY_BOOL, "on", NULL, FALSE,
	  "send the same request again when its answer was lost; off: a person looks first" },
	{ "timeout", HANDLER_KEY_DURATION, "30s", "1s..2m", FALSE, "of one exchange" },
	{ "max_wait", HANDLER_KEY_DURATION, "14d", "1m..365d", FALSE,
	  "a server that still says wait after so long is not asked any more" },
	{ 0 },
};

struct order {
	const struct handler_context *context;
	const struct request_row *request;
	struct handler_answer *answer;
	struct peer *peer;
	guint lost;
	gboolean waits;
	GBytes *csr;
	gboolean own_csr; /* not the row's */
	struct cert *old;
};

/* --- where --- */

static char *
url_of(const struct handler_context *context, const char *operation)
{
	const char *label = handler_config_text(context->config, "label");
	g_autofree char *base = g_strdup(handler_config_text(context->config, "url"));
	g_autofree char *escaped = *label != '\0' ? http_escape(label) : NULL;

	while (g_str_has_suffix(base, "/"))
		base[strlen(base) - 1] = '\0';
	return g_strconcat(base, g_str_has_suffix(base, WELL_KNOWN) ? "" : WELL_KNOWN,
			   escaped != NULL ? "/" : "", escaped != NULL ? escaped : "", "/",
			   operation, NULL);
}

static struct http_answer *
ask(struct peer *peer, const struct handler_context *context, const char *operation,
    struct http_request *request, gboolean *sent, GError **error)
{
	g_autofree char *url = url_of(context, operation);

	request->url = url;
	struct http_answer *got = peer_send(peer, request, sent, error);
	request->url = NULL;
	return got;
}

static gboolean
has_type(const struct http_answer *got, const char *type)
{
	return got->content_type != NULL &&
	       g_ascii_strncasecmp(got->content_type, type, strlen(type)) == 0;
}

/* --- whom to believe --- */

static GPtrArray *
read_certs(const struct http_answer *got, GError **error)
{
	if (got->status != 200 || !has_type(got, "application/pkcs7-mime"))
		return fail(error, PS_ERROR_INVALID, "HTTP status %u with %s", got->status,
			    got->content_type != NULL ? "another kind of body" : "no kind of body");
	g_autoptr(GBytes) der = est_decode(got->body, error);
	return der != NULL ? certs_only_read(der, error) : NULL;
}

static GPtrArray *
cacerts(struct peer *peer, const struct handler_context *context, gboolean unverified,
	struct handler_answer *answer, GError **error)
{
	struct http_request request = { .method = "GET", .tls_unverified = unverified };
	g_autoptr(GError) why = NULL;
	CLEANUP(http_answer)
	struct http_answer *got = ask(peer, context, "cacerts", &request, NULL, &why);

	if (got == NULL) {
		peer_lost(why, FALSE, FALSE, answer);
		g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	GPtrArray *certs = read_certs(got, &why);
	if (certs != NULL)
		return certs;
	peer_failure(context, got, FALSE, NULL, why->message, answer);
	/* Nothing was asked for that could be refused. */
	if (answer->status == HANDLER_REJECTED) {
		answer->status = HANDLER_RETRY;
		answer->error_class = HANDLER_ERROR_CONFIG;
	}
	g_propagate_prefixed_error(error, g_steal_pointer(&why), "cacerts: ");
	return NULL;
}

static gboolean
is_named(const char *fingerprint, const struct cert *cert)
{
	g_autoptr(GString) digits = g_string_new(NULL);

	for (const char *p = fingerprint; *p != '\0'; p++)
		if (g_ascii_isxdigit(*p))
			g_string_append_c(digits, g_ascii_tolower(*p));
	return strcmp(digits->str, cert_sha256(cert)) == 0;
}

/* The first contact: what the server tells is asked for by a peer that gives nothing away, and
 * counts when it holds the certificate that a person named. */
static gboolean
bootstrap(struct peer *peer, const struct handler_context *context, struct handler_answer *answer,
	  GError **error)
{
	const char *fingerprint = handler_config_text(context->config, "fingerprint");
	const struct peer_options nobody = { .timeout = handler_config_seconds(context->config,
									       "timeout") };

	if (*fingerprint == '\0' || handler_config_certs(context->config, "ca_bundle") != NULL)
		return TRUE;
	CLEANUP(peer) struct peer *stranger = peer_open(context, &nobody, error);
	g_autoptr(GPtrArray) certs =
	    stranger != NULL ? cacerts(stranger, context, TRUE, answer, error) : NULL;
	if (certs == NULL)
		return FALSE;
	for (guint i = 0; i < certs->len; i++) {
		g_autoptr(GPtrArray) anchor = g_ptr_array_new();

		if (!is_named(fingerprint, certs->pdata[i]))
			continue;
		g_ptr_array_add(anchor, certs->pdata[i]);
		return peer_set_anchors(peer, anchor, error);
	}
	handler_answer_set(answer, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
			   "the server tells no certificate with the SHA-256 in 'fingerprint'");
	return fail_false(error, PS_ERROR_DENIED,
			  "the server tells no certificate with the SHA-256 in 'fingerprint'");
}

static struct peer *
open_peer(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	gboolean digest = strcmp(handler_config_text(context->config, "auth"), "digest") == 0;
	gboolean login = *handler_config_text(context->config, "user") != '\0';
	const struct peer_options options = {
		.timeout = handler_config_seconds(context->config, "timeout"),
		.bundle_key = "ca_bundle",
		.certs_key = "client_cert",
		.private_key = "client_key",
		.auth = !login   ? HTTP_AUTH_NONE
			: digest ? HTTP_AUTH_DIGEST
				 : HTTP_AUTH_BASIC,
		.user_key = login ? "user" : NULL,
		.password_key = login ? "password" : NULL,
	};
	CLEANUP(peer) struct peer *peer = peer_open(context, &options, error);

	if (peer == NULL || !bootstrap(peer, context, answer, error))
		return NULL;
	return g_steal_pointer(&peer);
}

static char *
est_lacks(const struct handler_context *context, GError **error G_GNUC_UNUSED)
{
	const struct handler_config *config = context->config;
	gboolean login = *handler_config_text(config, "user") != '\0';

	if (login && handler_config_secret(config, "password") == NULL)
		return g_strdup("'user' is set, but 'password' is not");
	if (!login && handler_config_certs(config, "client_cert") == NULL)
		return g_strdup("who we are is not set: 'user' and 'password', or 'client_cert' "
				"and 'client_key'");
	return NULL;
}

/* --- the handle --- */

static void
read_handle(struct order *order)
{
	const char *handle = order->request->handle != NULL ? order->request->handle : "";
	g_auto(GStrv) fields = g_strsplit(handle, ":", 4);
	guint n = g_strv_length(fields);

	order->csr = g_bytes_ref(order->request->csr);
	if (n < 3 || strcmp(fields[0], PREFIX) != 0)
		return;
	order->waits = strcmp(fields[1], "wait") == 0;
	order->lost = (guint)MIN(g_ascii_strtoull(fields[2], NULL, 10), 1000) +
		      (strcmp(fields[1], "sent") == 0);
	if (n == 4) {
		gsize length;
		guchar *der = g_base64_decode(fields[3], &length);

		g_bytes_unref(order->csr);
		order->csr = g_bytes_new_take(der, length);
		order->own_csr = TRUE;
	}
}

/* state: "sent": on its way, the answer unknown; "wait": the server has said 202; "idle". */
static char *
write_handle(const struct order *order, const char *state)
{
	gsize length;
	const guint8 *der = g_bytes_get_data(order->csr, &length);
	g_autofree char *csr = order->own_csr ? g_base64_encode(der, length) : NULL;

	return g_strdup_printf(PREFIX ":%s:%u%s%s", state, order->lost, csr != NULL ? ":" : "",
			       csr != NULL ? csr : "");
}

static void
leave_handle(struct order *order, const char *state)
{
	g_free(order->answer->handle);
	order->answer->handle = state != NULL ? write_handle(order, state) : g_strdup("");
}

/* --- renewal --- */

static gboolean
repeat_names(struct order *order, GError **error)
{
	CLEANUP(key)
	struct key *key = keyring_find(order->context->keyring, order->request->spki_sha256, error);
	GBytes *csr = key != NULL ? csr_make_like(key, order->old, error) : NULL;

	if (csr == NULL)
		return FALSE;
	g_bytes_unref(order->csr);
	order->csr = csr;
	order->own_csr = TRUE;
	return TRUE;
}

/* The old certificate speaks for itself in TLS, and the request repeats its names (RFC 7030
 * section 4.2.2). One that is for mail alone no server takes there: then it is asked for like a
 * new one. */
static gboolean
set_renewal(struct order *order, GError **error)
{
	const struct handler_context *context = order->context;
	CLEANUP(cert_row)
	struct cert_row *row = certs_find(context->db, order->request->renews, error);
	CLEANUP(cert) struct cert *cert = row != NULL ? cert_parse(row->der, error) : NULL;

	if (cert == NULL)
		return FALSE;
	if (!cert_is_tls_client(cert) || cert_not_after(cert) < clock_now(context->clock))
		return TRUE;
	CLEANUP(key)
	struct key *old = keyring_find(context->keyring, cert_spki_sha256(cert), error);
	if (old == NULL || !peer_set_identity(order->peer, cert, old, error))
		return FALSE;
	order->old = cert_ref(cert);
	return order->own_csr || repeat_names(order, error);
}

/* --- what the CA wants --- */

static gboolean
fits(const struct order *order, const struct est_attributes *wanted)
{
	CLEANUP(csr) struct csr *csr = csr_parse(order->csr, NULL);

	if (csr == NULL)
		return TRUE; /* the server will say */
	return (wanted->kind == KEY_KIND_OTHER || csr_key_kind(csr) == wanted->kind) &&
	       (wanted->bits == 0 || csr_key_bits(csr) == wanted->bits);
}

/* FALSE: answer says why not to go on. 204 and 404: it wants nothing special. */
static gboolean
attributes_fit(struct order *order)
{
	struct http_request request = { .method = "GET" };
	g_autoptr(GError) why = NULL;
	CLEANUP(http_answer)
	struct http_answer *got =
	    ask(order->peer, order->context, "csrattrs", &request, NULL, &why);

	if (got == NULL) {
		peer_lost(why, FALSE, FALSE, order->answer);
		return FALSE;
	}
	if (got->status == 204 || got->status == 404)
		return TRUE;
	g_autoptr(GBytes) der = got->status == 200 ? est_decode(got->body, &why) : NULL;
	CLEANUP(est_attributes)
	struct est_attributes *wanted = der != NULL ? est_attributes_read(der, &why) : NULL;
	if (wanted == NULL) {
		peer_failure(order->context, got, FALSE, NULL, why != NULL ? why->message : NULL,
			     order->answer);
		return FALSE;
	}
	if (fits(order, wanted))
		return TRUE;
	handler_answer_set(order->answer, HANDLER_REJECTED, HANDLER_ERROR_INPUT, NULL,
			   "the CA wants another key: %s %u; choose it with --key",
			   wanted->kind == KEY_KIND_RSA ? "RSA" : "EC", wanted->bits);
	return FALSE;
}

/* --- asking for a certificate --- */

/* The issued one first, found by its key; NULL with INVALID. */
static GPtrArray *
certs_of(const struct order *order, const struct http_answer *got, GError **error)
{
	g_autoptr(GPtrArray) came = read_certs(got, error);
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	if (came == NULL)
		return NULL;
	for (guint i = 0; i < came->len; i++) {
		struct cert *cert = came->pdata[i];
		gboolean ours = strcmp(cert_spki_sha256(cert), order->request->spki_sha256) == 0;

		if (ours)
			g_ptr_array_insert(certs, 0, cert_ref(cert));
		else
			g_ptr_array_add(certs, cert_ref(cert));
	}
	if (strcmp(cert_spki_sha256(certs->pdata[0]), order->request->spki_sha256) != 0)
		return fail(error, PS_ERROR_INVALID,
			    "no certificate came for the key we asked for");
	return g_steal_pointer(&certs);
}

static void
take_wait(struct order *order, const struct http_answer *got)
{
	gint64 now = clock_now(order->context->clock);

	handler_answer_set(order->answer, HANDLER_PENDING, HANDLER_ERROR_HUMAN, "202",
			   "the server says that it takes time");
	order->answer->not_before = got->retry_after > 0 ? now + got->retry_after : 0;
	leave_handle(order, "wait");
}

static void
take_answer(struct order *order, const struct http_answer *got)
{
	g_autoptr(GError) why = NULL;
	struct handler_answer *answer = order->answer;

	if (got->status == 202) {
		take_wait(order, got);
		return;
	}
	answer->certs = certs_of(order, got, &why);
	if (answer->certs != NULL) {
		answer->status = HANDLER_ISSUED;
		leave_handle(order, "idle");
		return;
	}
	peer_failure(order->context, got, TRUE, NULL, NULL, answer);
	if (got->status == 200 && why != NULL) {
		g_free(answer->text);
		answer->text = g_strdup_printf("the answer cannot be used: %s", why->message);
	}
	/* Nothing was begun, unless it is not known. */
	if (answer->error_class != HANDLER_ERROR_CONFLICT)
		leave_handle(order, order->waits ? "wait" : "idle");
}

static gboolean
send_order(struct order *order, GError **error)
{
	g_autoptr(GBytes) body = est_encode(order->csr);
	static const char *const headers[] = { "Content-Transfer-Encoding: base64", NULL };
	struct http_request request = { .method = "POST",
					.content_type = "application/pkcs10",
					.headers = headers,
					.body = body };
	g_autofree char *handle = write_handle(order, "sent");
	g_autoptr(GError) why = NULL;
	gboolean sent = FALSE;

	if (!handler_save_handle(order->context, handle, error))
		return FALSE;
	CLEANUP(http_answer)
	struct http_answer *got =
	    ask(order->peer, order->context, order->old != NULL ? "simplereenroll" : "simpleenroll",
		&request, &sent, &why);
	if (got != NULL) {
		take_answer(order, got);
		return TRUE;
	}
	peer_lost(why, TRUE, sent, order->answer);
	if (!sent)
		leave_handle(order, order->waits ? "wait" : "idle");
	return TRUE;
}

static gboolean
is_over(const struct order *order)
{
	gint64 patience = handler_config_seconds(order->context->config, "max_wait");

	return order->waits &&
	       clock_now(order->context->clock) > order->request->created + patience;
}

/* TRUE: there is an answer without asking. */
static gboolean
is_settled(struct order *order)
{
	gboolean released;

	if (held_still(order->context, order->request, &released, order->answer))
		return TRUE;
	read_handle(order);
	if (order->lost >= LOST_MAX ||
	    (order->lost > 0 && !handler_config_bool(order->context->config, "resend"))) {
		held_answer(order->context, "the server's answer was lost", order->answer);
		return TRUE;
	}
	if (!is_over(order))
		return FALSE;
	handler_answer_set(order->answer, HANDLER_REJECTED, HANDLER_ERROR_HUMAN, NULL,
			   "the server has not decided within max_wait");
	leave_handle(order, NULL);
	return TRUE;
}

static gboolean
run(struct order *order, GError **error)
{
	const struct handler_config *config = order->context->config;
	g_autoptr(GError) why = NULL;

	if (is_settled(order))
		return TRUE;
	order->peer = open_peer(order->context, order->answer, &why);
	if (order->peer == NULL) {
		if (order->answer->text != NULL)
			return TRUE;
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	if (order->request->renews != NULL && handler_config_bool(config, "reenroll") &&
	    !set_renewal(order, error))
		return FALSE;
	if (handler_config_bool(config, "use_csrattrs") && !order->waits && order->lost == 0 &&
	    !attributes_fit(order))
		return TRUE;
	return send_order(order, error);
}

static gboolean
est_poll(const struct handler_context *context, const struct request_row *request,
	 struct handler_answer *answer, GError **error)
{
	struct order order = { .context = context, .request = request, .answer = answer };
	gboolean good = run(&order, error);

	peer_free(order.peer);
	g_clear_pointer(&order.csr, g_bytes_unref);
	cert_unref(order.old);
	return good;
}

static gboolean
est_submit(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	   const struct request_row *request, struct handler_answer *answer, GError **error)
{
	return est_poll(context, request, answer, error);
}

/* --- asking --- */

static GPtrArray *
est_chain(const struct handler_context *context, GError **error)
{
	struct handler_answer answer = { 0 };
	CLEANUP(peer) struct peer *peer = open_peer(context, &answer, error);
	GPtrArray *certs = peer != NULL ? cacerts(peer, context, FALSE, &answer, error) : NULL;

	handler_answer_clear(&answer);
	return certs;
}

/* A request that is none: who we are is judged before it is looked at, and nothing can come of it.
 */
static void
try_login(struct peer *peer, const struct handler_context *context, guint certs,
	  struct handler_answer *answer)
{
	g_autoptr(GBytes) nothing = g_bytes_new_static("", 0);
	struct http_request request = { .method = "POST",
					.content_type = "application/pkcs10",
					.body = nothing };
	g_autoptr(GError) why = NULL;
	CLEANUP(http_answer)
	struct http_answer *got = ask(peer, context, "simpleenroll", &request, NULL, &why);

	if (got == NULL) {
		peer_lost(why, FALSE, FALSE, answer);
		return;
	}
	peer_failure(context, got, FALSE, NULL, NULL, answer);
	if (got->status == 400 || got->status == 411 || got->status == 415 || got->status == 422)
		handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
				   "the server tells %u CA certificates and takes who we are",
				   certs);
}

static gboolean
est_check(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(peer) struct peer *peer = open_peer(context, answer, &why);
	g_autoptr(GPtrArray) certs =
	    peer != NULL ? cacerts(peer, context, FALSE, answer, &why) : NULL;

	if (certs != NULL) {
		try_login(peer, context, certs->len, answer);
		return TRUE;
	}
	if (answer->text != NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

const struct handler handler_est = {
	.name = "est",
	.sentence = "any CA that speaks EST (RFC 7030, 8951)",
	.capabilities = { .knows_chain = TRUE, .tests = TRUE, .tls_names = TRUE },
	.keys = keys,
	.lacks = est_lacks,
	.submit = est_submit,
	.poll = est_poll,
	.chain = est_chain,
	.check = est_check,
};
