/*
 * epki - certificates of GlobalSign's EPKI service (SOAP, GasOrderService).
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * An order is not idempotent and costs money: before it leaves the handle says "sent", and after a
 * lost answer, or a program that died, the orders of that name and time are looked through first.
 * The order's number is the handle from then on. There is no renewal with a key of ours (Reissue
 * takes no request): a new order it is.
 */
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/csr.h"
#include "pki/handlers/code.h"
#include "pki/handlers/epki_message.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/lost.h"
#include "pki/handlers/peer.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/secret.h"
#include "store/requests.h"

#define LOOK_SKEW 3600   /* seconds that the service's clock may differ */
#define LOOK_WINDOW 7200 /* after the order, within which it has taken effect */
#define DETAILS_MAX 1000
#define ID_MAX_BYTES 64
#define SYNC_TRIES 4

static const struct handler_key keys[] = {
	{ "url", HANDLER_KEY_URL, "https://system.globalsign.com/cr/ws/GasOrderService", "https",
	  FALSE, "The service; the address of the test system differs." },
	{ "query_url", HANDLER_KEY_URL, "", "https", FALSE,
	  "Where orders and profiles are asked for, if not at url." },
	{ "mode", HANDLER_KEY_CHOICE, "async", "async|sync", FALSE,
	  "sync waits some seconds for a certificate that does not come with the answer." },
	{ "username", HANDLER_KEY_TEXT, "", "NAME", TRUE,
	  "The user of the GCC portal, with administrator rights." },
	{ "password", HANDLER_KEY_SECRET, "", "", TRUE, "The user's password." },
	{ "profile_id", HANDLER_KEY_TEXT, "", "ID", TRUE, "The profile: MP and digits." },
	{ "product_code", HANDLER_KEY_TEXT, "EPKIPSPersonal", "CODE", FALSE, "The product." },
	{ "years", HANDLER_KEY_INT, "1", "1..3", FALSE,
	  "Validity; public trust ends at 825 days, so 3 is for private profiles." },
	{ "ou", HANDLER_KEY_LIST, "", "NAMES", FALSE, "Organisational units." },
	{ "efs", HANDLER_KEY_BOOL, "off", "", FALSE, "Ask for Encrypting File System, too." },
	{ "upn_template", HANDLER_KEY_TEXT, "", "TEXT", FALSE,
	  "The user principal name; {email} stands for the address. Not sent when empty." },
	{ "pickup_password", HANDLER_KEY_SECRET, "", "", FALSE,
	  "Sent with each order; not set: one of its own for each." },
	{ "qualified", HANDLER_KEY_BOOL, "on", "", FALSE,
	  "Put the elements inside of an operation into the service's namespace, too." },
	{ "poll_interval", HANDLER_KEY_DURATION, "5m", "1s..1d", FALSE,
	  "How often to ask for a certificate that did not come with the answer." },
	{ "timeout", HANDLER_KEY_DURATION, "1m", "1s..10m", FALSE, "Of one exchange." },
	{ "ca_bundle", HANDLER_KEY_CERTS, "", "", FALSE,
	  "Trust these for the server's certificate, in place of the system's." },
	{ "per_domain.<domain>.profile_id", HANDLER_KEY_TEXT, "", "ID", FALSE,
	  "In place of profile_id for addresses of this domain." },
	{ "per_domain.<domain>.product_code", HANDLER_KEY_TEXT, "", "CODE", FALSE,
	  "In place of product_code." },
	{ "per_domain.<domain>.years", HANDLER_KEY_INT, "1", "1..3", FALSE, "In place of years." },
	{ "per_domain.<domain>.username", HANDLER_KEY_TEXT, "", "NAME", FALSE,
	  "In place of username." },
	{ "per_domain.<domain>.password", HANDLER_KEY_SECRET, "", "", FALSE,
	  "In place of password." },
	{ .name = NULL },
};

/* One act at the service. */
struct epki {
	const struct handler_context *context;
	struct peer *peer;
	struct epki_account account;
};

/* --- settings, by domain --- */

/* The name of the setting that counts for this domain; the caller's. */
static char *
name_for(const struct handler_config *config, const char *domain, const char *name)
{
	g_autofree char *own =
	    domain != NULL ? g_strdup_printf("per_domain.%s.%s", domain, name) : NULL;

	return own != NULL && handler_config_is_set(config, own) ? g_steal_pointer(&own)
								 : g_strdup(name);
}

static const char *
text_for(const struct handler_config *config, const char *domain, const char *name)
{
	g_autofree char *which = name_for(config, domain, name);

	return handler_config_text(config, which);
}

static struct epki_account
account_for(const struct handler_config *config, const char *email)
{
	const char *at = email != NULL ? strrchr(email, '@') : NULL;
	g_autofree char *domain = at != NULL ? g_ascii_strdown(at + 1, -1) : NULL;
	g_autofree char *years = name_for(config, domain, "years");
	g_autofree char *password = name_for(config, domain, "password");

	return (struct epki_account){
		.username = text_for(config, domain, "username"),
		.password = handler_config_secret(config, password),
		.profile_id = text_for(config, domain, "profile_id"),
		.product_code = text_for(config, domain, "product_code"),
		.years = handler_config_int(config, years),
		.qualified = handler_config_bool(config, "qualified"),
	};
}

static gboolean
epki_start(struct epki *epki, const struct handler_context *context, const char *email,
	   GError **error)
{
	struct peer_options options = {
		.timeout = handler_config_seconds(context->config, "timeout"),
		.bundle_key = "ca_bundle",
	};

	epki->context = context;
	epki->account = account_for(context->config, email);
	epki->peer = peer_open(context, &options, error);
	return epki->peer != NULL;
}

static gboolean
epki_end(struct epki *epki, GError **why, GError **error)
{
	peer_free(epki->peer);
	if (*why == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(why));
	return FALSE;
}

/* --- one exchange --- */

/* The envelope of an answer, 200 or 500 (a fault comes with that); NULL with *answer. */
static struct soap_answer *
say(struct epki *epki, const struct secret *body, gboolean acts, struct handler_answer *answer)
{
	static const char *const headers[] = { "SOAPAction: \"\"", "Accept: text/xml", NULL };
	const struct handler_config *config = epki->context->config;
	const char *query_url = handler_config_text(config, "query_url");
	struct http_request request = {
		.method = "POST",
		.url = !acts && *query_url != '\0' ? query_url : handler_config_text(config, "url"),
		.content_type = "text/xml; charset=utf-8",
		.secret_body = body,
		.headers = headers,
		.answer_max_bytes = SOAP_ANSWER_MAX_BYTES,
	};
	g_autoptr(GError) why = NULL;
	gboolean sent = FALSE;
	CLEANUP(http_answer) struct http_answer *got = peer_send(epki->peer, &request, &sent, &why);

	if (got == NULL) {
		peer_lost(why, acts, sent, answer);
		return NULL;
	}
	struct soap_answer *soap =
	    got->status == 200 || got->status == 500 ? soap_parse(got->body, &why) : NULL;
	if (soap == NULL)
		peer_failure(epki->context, got, acts, NULL,
			     got->status == 200 && why != NULL ? why->message : NULL, answer);
	return soap;
}

/* --- the handle: "sent SINCE TIMES" or "order NUMBER" --- */

static gboolean
is_order_id(const char *text)
{
	gsize length = text != NULL ? strlen(text) : 0;

	for (gsize i = 0; i < length; i++)
		if (!g_ascii_isalnum(text[i]) && strchr("-_.", text[i]) == NULL)
			return FALSE;
	return length > 0 && length <= ID_MAX_BYTES;
}

static char *
order_in(const char *handle)
{
	return handle != NULL && g_str_has_prefix(handle, "order ") && is_order_id(handle + 6)
		   ? g_strdup(handle + 6)
		   : NULL;
}

/* 0: it was never sent without an outcome. */
static gint64
sent_since(const char *handle)
{
	gint64 since = 0;

	if (handle != NULL && g_str_has_prefix(handle, "sent "))
		(void)g_ascii_string_to_signed(handle + 5, 10, 1, G_MAXINT64, &since, NULL);
	return since;
}

static gboolean
save_order(struct epki *epki, const char *order_id, struct handler_answer *answer, GError **error)
{
	g_free(answer->handle);
	answer->handle = g_strconcat("order ", order_id, NULL);
	return handler_save_handle(epki->context, answer->handle, error);
}

/* --- asking about an order --- */

static void
wait_for(struct epki *epki, const char *order_id, const char *status, struct handler_answer *answer)
{
	handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_NONE, status,
			   "order %s has no certificate yet", order_id);
	answer->not_before = clock_now(epki->context->clock) +
			     handler_config_seconds(epki->context->config, "poll_interval");
}

static struct epki_detail *
query(struct epki *epki, const char *order_id, struct handler_answer *answer, GError **error)
{
	CLEANUP(secret) struct secret *body = epki_query_body(&epki->account, order_id, error);
	CLEANUP(soap_answer)
	struct soap_answer *soap = body != NULL ? say(epki, body, FALSE, answer) : NULL;
	const struct soap_node *response = soap != NULL ? epki_response(soap, FALSE, answer) : NULL;

	return response != NULL ? epki_detail_read(soap_find(response, "OrderDetail")) : NULL;
}

static void
fetch(struct epki *epki, const char *order_id, struct handler_answer *answer, GError **error)
{
	CLEANUP(epki_detail)
	struct epki_detail *detail = query(epki, order_id, answer, error);

	if (detail == NULL) {
		/* The order is there, whatever is wrong with the question. */
		peer_soften(answer);
		return;
	}
	if (detail->status == EPKI_REFUSED || detail->status == EPKI_REVOKED)
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_INPUT,
				   detail->status_text, "order %s was %s", order_id,
				   detail->status == EPKI_REVOKED ? "revoked" : "refused");
	else if (detail->certs == NULL)
		wait_for(epki, order_id, detail->status_text, answer);
	else {
		answer->status = HANDLER_ISSUED;
		answer->certs = g_ptr_array_ref(detail->certs);
	}
}

static gboolean
goes_on(const struct handler_context *context)
{
	return context->stopping == NULL || !context->stopping(context->data);
}

/* sync: the person waits. */
static void
fetch_soon(struct epki *epki, const char *order_id, struct handler_answer *answer, GError **error)
{
	gboolean waits = strcmp(handler_config_text(epki->context->config, "mode"), "sync") == 0;

	wait_for(epki, order_id, NULL, answer);
	for (guint i = 0; waits && i < SYNC_TRIES && goes_on(epki->context); i++) {
		g_usleep(G_USEC_PER_SEC / 2 << i);
		fetch(epki, order_id, answer, error);
		waits = answer->status == HANDLER_PENDING && *error == NULL;
	}
}

/* The chain comes with a question of its own; without it AIA has to do. */
static void
add_chain(struct epki *epki, const char *order_id, GPtrArray *certs)
{
	struct handler_answer unused = { 0 };
	g_autoptr(GError) why = NULL;
	CLEANUP(epki_detail) struct epki_detail *detail = query(epki, order_id, &unused, &why);

	for (guint i = 0; detail != NULL && detail->certs != NULL && i < detail->certs->len; i++)
		g_ptr_array_add(certs, cert_ref(g_ptr_array_index(detail->certs, i)));
	handler_answer_clear(&unused);
}

/* --- after a lost answer --- */

static gboolean
is_for(const struct epki_detail *detail, const struct request_row *request)
{
	if (!is_order_id(detail->order_id))
		return FALSE;
	if (detail->certs != NULL)
		return strcmp(cert_spki_sha256(g_ptr_array_index(detail->certs, 0)),
			      request->spki_sha256) == 0;
	/* Not issued yet: name and time fit, the address must. */
	return detail->status == EPKI_WAITS && detail->email != NULL &&
	       g_ascii_strcasecmp(detail->email, request->email) == 0;
}

static enum lost_look
look(struct epki *epki, const struct request_row *request, gint64 since,
     struct handler_answer *answer, GError **error)
{
	CLEANUP(secret)
	struct secret *body = epki_search_body(&epki->account, request->common_name,
					       since - LOOK_SKEW, since + LOOK_WINDOW, error);
	CLEANUP(soap_answer)
	struct soap_answer *soap = body != NULL ? say(epki, body, FALSE, answer) : NULL;
	const struct soap_node *response = soap != NULL ? epki_response(soap, FALSE, answer) : NULL;

	if (response == NULL) {
		/* Without having looked nothing is ordered again. */
		peer_soften(answer);
		return LOST_FAILED;
	}
	const struct soap_node *node = soap_find(response, "OrderDetails/OrderDetail");
	for (guint i = 0; node != NULL && i < DETAILS_MAX; i++, node = soap_next(node)) {
		CLEANUP(epki_detail) struct epki_detail *detail = epki_detail_read(node);

		if (!is_for(detail, request))
			continue;
		if (save_order(epki, detail->order_id, answer, error))
			fetch(epki, detail->order_id, answer, error);
		return LOST_FOUND;
	}
	return LOST_NONE;
}

/* --- submit --- */

static void
take_order(struct epki *epki, const struct soap_node *response, struct handler_answer *answer,
	   GError **error)
{
	g_autofree char *order_id = soap_text(response, "OrderID", ID_MAX_BYTES);
	g_autoptr(GPtrArray) certs = epki_cert_read(response);

	if (!is_order_id(order_id)) {
		handler_answer_set(answer, HANDLER_RETRY, HANDLER_ERROR_CONFLICT, NULL,
				   "the answer is a success without the number of the order");
		return;
	}
	if (!save_order(epki, order_id, answer, error))
		return;
	if (certs == NULL) {
		fetch_soon(epki, order_id, answer, error);
		return;
	}
	answer->status = HANDLER_ISSUED;
	answer->certs = g_steal_pointer(&certs);
	add_chain(epki, order_id, answer->certs);
}

static void
order(struct epki *epki, const struct secret *body, struct handler_answer *answer, GError **error)
{
	CLEANUP(soap_answer) struct soap_answer *soap = say(epki, body, TRUE, answer);
	const struct soap_node *response = soap != NULL ? epki_response(soap, TRUE, answer) : NULL;

	if (response != NULL)
		take_order(epki, response, answer, error);
	else if (answer->error_class != HANDLER_ERROR_CONFLICT)
		answer->handle = g_strdup(""); /* a "no" leaves nothing to look for */
}

static struct secret *
order_body(const struct epki *epki, const struct request_row *request, GError **error)
{
	const struct handler_context *context = epki->context;
	const struct handler_config *config = context->config;
	struct secret *configured = handler_config_secret(config, "pickup_password");
	CLEANUP(secret)
	struct secret *pickup = configured != NULL
				    ? secret_ref(configured)
				    : code_of_request(context, request, "epki",
						      keyring_generation(context->keyring), error);
	g_autofree char *csr = csr_to_pem(request->csr);
	g_autoptr(GString) upn = g_string_new(handler_config_text(config, "upn_template"));

	if (pickup == NULL)
		return NULL;
	g_string_replace(upn, "{email}", request->email, 0);
	struct epki_order what = {
		.csr_pem = csr,
		.common_name = request->common_name,
		.email = request->email,
		.upn = upn->len > 0 ? upn->str : NULL,
		.organizational_units = handler_config_list(config, "ou"),
		.efs = handler_config_bool(config, "efs"),
		.pickup_password = pickup,
	};
	return epki_order_body(&epki->account, &what, error);
}

static void
submit(struct epki *epki, const struct request_row *request, struct handler_answer *answer,
       GError **error)
{
	gint64 since = sent_since(request->handle);
	CLEANUP(secret) struct secret *body = order_body(epki, request, error);

	if (body == NULL || (since != 0 && look(epki, request, since, answer, error) != LOST_NONE))
		return;
	g_autofree char *handle =
	    g_strdup_printf("sent %" G_GINT64_FORMAT, clock_now(epki->context->clock));
	if (handler_save_handle(epki->context, handle, error))
		order(epki, body, answer, error);
}

static gboolean
epki_submit(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	    const struct request_row *request, struct handler_answer *answer, GError **error)
{
	struct epki epki = { 0 };
	g_autofree char *order_id = order_in(request->handle);
	g_autoptr(GError) why = NULL;

	if (epki_start(&epki, context, request->email, &why)) {
		if (order_id != NULL)
			fetch(&epki, order_id, answer, &why);
		else
			submit(&epki, request, answer, &why);
	}
	return epki_end(&epki, &why, error);
}

static gboolean
epki_poll(const struct handler_context *context, const struct request_row *request,
	  struct handler_answer *answer, GError **error)
{
	struct epki epki = { 0 };
	g_autofree char *order_id = order_in(request->handle);
	g_autoptr(GError) why = NULL;

	if (order_id == NULL)
		fail(&why, PS_ERROR_INVALID, "the handle of the request names no order");
	else if (epki_start(&epki, context, request->email, &why))
		fetch(&epki, order_id, answer, &why);
	return epki_end(&epki, &why, error);
}

/* --- revoke --- */

static const char *
without_zeros(const char *serial)
{
	if (g_ascii_strncasecmp(serial, "0x", 2) == 0)
		serial += 2;
	while (*serial == '0' && serial[1] != '\0')
		serial++;
	return serial;
}

/* The order that a certificate came from; NULL with *answer: it is not known. */
static char *
find_order(struct epki *epki, const struct handler_revocation *revocation,
	   struct handler_answer *answer, GError **error)
{
	gint64 begun = cert_not_before(revocation->cert);
	CLEANUP(secret)
	struct secret *body = epki_search_body(&epki->account, cert_common_name(revocation->cert),
					       begun - 30 * 86400, begun + 30 * 86400, error);
	CLEANUP(soap_answer)
	struct soap_answer *soap = body != NULL ? say(epki, body, FALSE, answer) : NULL;
	const struct soap_node *response = soap != NULL ? epki_response(soap, FALSE, answer) : NULL;
	const struct soap_node *node = soap_find(response, "OrderDetails/OrderDetail");

	for (guint i = 0; node != NULL && i < DETAILS_MAX; i++, node = soap_next(node)) {
		CLEANUP(epki_detail) struct epki_detail *detail = epki_detail_read(node);

		if (detail->serial != NULL && is_order_id(detail->order_id) &&
		    g_ascii_strcasecmp(without_zeros(detail->serial),
				       without_zeros(revocation->serial)) == 0)
			return g_strdup(detail->order_id);
	}
	if (response != NULL)
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_INPUT, NULL,
				   "the service has no order for the certificate %s",
				   revocation->serial);
	return NULL;
}

static void
revoke_order(struct epki *epki, const char *order_id, struct handler_answer *answer, GError **error)
{
	CLEANUP(secret) struct secret *body = epki_revoke_body(&epki->account, order_id, error);
	/* Said twice is said once; but it goes to the address of orders. */
	CLEANUP(soap_answer)
	struct soap_answer *soap = body != NULL ? say(epki, body, TRUE, answer) : NULL;

	if (soap == NULL)
		return;
	if (epki_response(soap, TRUE, answer) != NULL) {
		handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL, "revoked");
		return;
	}
	struct handler_answer unused = { 0 };
	CLEANUP(epki_detail) struct epki_detail *detail = query(epki, order_id, &unused, error);
	if (detail != NULL && detail->status == EPKI_REVOKED)
		handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
				   "was revoked before");
	handler_answer_clear(&unused);
}

static const char *
first_email(const struct cert *cert)
{
	GPtrArray *emails = cert_emails(cert);

	return emails->len > 0 ? mailaddr_key(g_ptr_array_index(emails, 0)) : NULL;
}

static gboolean
epki_revoke(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	    const struct handler_revocation *revocation, struct handler_answer *answer,
	    GError **error)
{
	struct epki epki = { 0 };
	g_autofree char *order_id = order_in(revocation->handle);
	g_autoptr(GError) why = NULL;

	if (epki_start(&epki, context, first_email(revocation->cert), &why)) {
		if (order_id == NULL)
			order_id = find_order(&epki, revocation, answer, &why);
		if (order_id != NULL)
			revoke_order(&epki, order_id, answer, &why);
	}
	return epki_end(&epki, &why, error);
}

/* --- check --- */

static void
look_around(struct epki *epki, struct handler_answer *answer, GError **error)
{
	CLEANUP(secret) struct secret *body = epki_profiles_body(&epki->account, error);
	CLEANUP(soap_answer)
	struct soap_answer *soap = body != NULL ? say(epki, body, FALSE, answer) : NULL;
	const struct soap_node *response = soap != NULL ? epki_response(soap, FALSE, answer) : NULL;
	const struct soap_node *node = soap_find(response, "ProfileDetails/ProfileDetail");

	for (guint i = 0; node != NULL && i < DETAILS_MAX; i++, node = soap_next(node)) {
		g_autofree char *id = soap_text(node, "ProfileInfo/ProfileOrderNo", ID_MAX_BYTES);
		g_autofree char *name =
		    soap_text(node, "ProfileDnAttributes/Organization", PEER_TEXT_MAX_BYTES);

		if (g_strcmp0(id, epki->account.profile_id) == 0) {
			handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
					   "logged in; profile %s (%s) may be used", id,
					   name != NULL ? name : "without a name");
			return;
		}
	}
	if (response != NULL)
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_CONFIG, NULL,
				   "logged in; there is no profile '%s' (profile_id)",
				   epki->account.profile_id);
}

static gboolean
epki_check(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	struct epki epki = { 0 };
	g_autoptr(GError) why = NULL;

	if (epki_start(&epki, context, NULL, &why))
		look_around(&epki, answer, &why);
	return epki_end(&epki, &why, error);
}

const struct handler handler_epki = {
	.name = "epki",
	.sentence = "GlobalSign EPKI, over SOAP",
	.capabilities = { .revokes = TRUE, .tests = TRUE },
	.keys = keys,
	.submit = epki_submit,
	.poll = epki_poll,
	.revoke = epki_revoke,
	.check = epki_check,
};
