/*
 * adcs - Microsoft Active Directory Certificate Services through its pages for people (certsrv).
 *
 * The CA numbers its requests, and tells the number in the answer alone. When that is lost, the
 * numbers after the last one known are looked at: a certificate for our key is ours; when all of
 * them are accounted for and none is, the request never arrived and is sent again; when one is
 * undecided, it may be ours, and the request is held for a person.
 * The handle: "adcs1:sent:LAST" on its way, LAST the number known before; "adcs1:req:NUMBER".
 * Tried against a fake of our own, written from public sources; not against the real service.
 */
#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/csr.h"
#include "pki/handlers/adcs_page.h"
#include "pki/handlers/est_reader.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/held.h"
#include "pki/handlers/lost.h"
#include "pki/handlers/peer.h"
#include "pki/handlers/table.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/secret.h"
#include "store/request_handles.h"
#include "store/requests.h"

#define SENT "adcs1:sent:"
#define REQUEST "adcs1:req:"
#define KNOWN_MAX 100
#define ID_MAX G_GINT64_CONSTANT(9999999999)

static const struct handler_key keys[] = {
	{ "url", HANDLER_KEY_URL, "", "https", TRUE,
	  "the enrolment pages, such as https://ca.example/certsrv" },
	{ "auth", HANDLER_KEY_CHOICE, "ntlm", "basic|ntlm|negotiate|cert", FALSE,
	  "how the server knows us; negotiate takes the Kerberos ticket of the daemon; where the "
	  "site asks for Extended Protection only basic and cert work" },
	{ "user", HANDLER_KEY_TEXT, "", "DOMAIN\\name", FALSE, "who we are" },
	{ "password", HANDLER_KEY_SECRET, "", "password", FALSE, "of user" },
	{ "client_cert", HANDLER_KEY_CERTS, "", "certificate and its chain", FALSE,
	  "who we are with auth cert" },
	{ "client_key", HANDLER_KEY_PRIVATE, "", "private key", FALSE, "the key of client_cert" },
	{ "ca_bundle", HANDLER_KEY_CERTS, "", "certificates", FALSE,
	  "anchors for the server's TLS certificate; else the system's" },
	{ "template", HANDLER_KEY_TEXT, "", "name", TRUE,
	  "the certificate template: its name, not its display name; it takes the subject from the "
	  "request and has the usage Secure Email" },
	{ "attributes", HANDLER_KEY_LIST, "", "NAME:VALUE ...", FALSE,
	  "further attributes of a request" },
	{ "poll_interval", HANDLER_KEY_DURATION, "15m", "1s..1d", FALSE,
	  "between questions after a request that somebody has to look at" },
	{ "lookback", HANDLER_KEY_INT, "50", "0..1000", FALSE,
	  "so many request numbers are looked at when an answer was lost; 0: a person looks" },
	{ "timeout", HANDLER_KEY_DURATION, "30s", "1s..2m", FALSE, "of one exchange" },
	{ 0 },
};

/* Another one gets the certificate with a media type that is not its own. */
static const char *const headers[] = { "User-Agent: Mozilla/5.0 (compatible; Postseal)", NULL };

struct order {
	const struct handler_context *context;
	const struct request_row *request; /* NULL: nothing is asked for */
	struct handler_answer *answer;
	struct peer *peer;
};

/* --- exchanges --- */

static char *
url_of(const struct handler_context *context, const char *page)
{
	g_autofree char *base = g_strdup(handler_config_text(context->config, "url"));

	while (g_str_has_suffix(base, "/"))
		base[strlen(base) - 1] = '\0';
	return g_strconcat(base, "/", page, NULL);
}

static struct http_answer *
get(const struct order *order, const char *page, GError **error)
{
	g_autofree char *url = url_of(order->context, page);
	struct http_request request = { .method = "GET", .url = url, .headers = headers };

	return peer_send(order->peer, &request, NULL, error);
}

static gboolean
has_type(const struct http_answer *got, const char *type)
{
	return got->content_type != NULL &&
	       g_ascii_strncasecmp(got->content_type, type, strlen(type)) == 0;
}

static enum http_auth
auth_of(const struct handler_config *config)
{
	const char *auth = handler_config_text(config, "auth");

	return strcmp(auth, "basic") == 0       ? HTTP_AUTH_BASIC
	       : strcmp(auth, "ntlm") == 0      ? HTTP_AUTH_NTLM
	       : strcmp(auth, "negotiate") == 0 ? HTTP_AUTH_NEGOTIATE
						: HTTP_AUTH_NONE;
}

static gboolean
order_open(struct order *order, GError **error)
{
	const struct handler_config *config = order->context->config;
	enum http_auth auth = auth_of(config);
	gboolean login = auth == HTTP_AUTH_BASIC || auth == HTTP_AUTH_NTLM;
	const struct peer_options options = {
		.timeout = handler_config_seconds(config, "timeout"),
		.bundle_key = "ca_bundle",
		.certs_key = auth == HTTP_AUTH_NONE ? "client_cert" : NULL,
		.private_key = auth == HTTP_AUTH_NONE ? "client_key" : NULL,
		.auth = auth,
		.user_key = login ? "user" : NULL,
		.password_key = login ? "password" : NULL,
		/* The pages ask for a certificate after they have heard which page it is. */
		.version_1_2 = auth == HTTP_AUTH_NONE,
	};

	order->peer = peer_open(order->context, &options, error);
	return order->peer != NULL;
}

static char *
adcs_lacks(const struct handler_context *context, GError **error G_GNUC_UNUSED)
{
	const struct handler_config *config = context->config;
	enum http_auth auth = auth_of(config);

	if ((auth == HTTP_AUTH_BASIC || auth == HTTP_AUTH_NTLM) &&
	    (*handler_config_text(config, "user") == '\0' ||
	     handler_config_secret(config, "password") == NULL))
		return g_strdup("'user' and 'password' are not set");
	if (auth == HTTP_AUTH_NONE && (handler_config_certs(config, "client_cert") == NULL ||
				       handler_config_key(config, "client_key") == NULL))
		return g_strdup("'client_cert' and 'client_key' are not set");
	return NULL;
}

/* --- a request by its number --- */

static void
set_handle(struct handler_answer *answer, char *handle)
{
	g_free(answer->handle);
	answer->handle = handle;
}

/* The certificate in an answer, whatever its encoding; NULL: it is none. */
static struct cert *
cert_of(const struct http_answer *got)
{
	if (got->status != 200 || !has_type(got, "application/pkix-cert"))
		return NULL;
	CLEANUP(bundle) struct bundle *bundle = bundle_read(got->body, "certnew.cer", NULL, NULL);
	return bundle != NULL && bundle->certs->len == 1 ? cert_ref(bundle->certs->pdata[0]) : NULL;
}

static gboolean
is_ours(const struct order *order, const struct cert *cert)
{
	return strcmp(cert_spki_sha256(cert), order->request->spki_sha256) == 0;
}

/* The certificate of this number. NULL: *page says what came in its place; both NULL: *error. */
static struct cert *
fetch(const struct order *order, gint64 id, struct http_answer **got, struct adcs_page **page,
      GError **error)
{
	g_autofree char *where =
	    g_strdup_printf("certnew.cer?ReqID=%" G_GINT64_FORMAT "&Enc=bin", id);

	*page = NULL;
	*got = get(order, where, error);
	if (*got == NULL)
		return NULL;
	struct cert *cert = cert_of(*got);
	if (cert == NULL)
		*page = adcs_page_read((*got)->body);
	return cert;
}

static GPtrArray *fetch_chain(const struct order *order, GError **error);

static void
take_cert(const struct order *order, struct cert *cert, gint64 id)
{
	struct handler_answer *answer = order->answer;
	g_autoptr(GPtrArray) chain = fetch_chain(order, NULL);

	answer->status = HANDLER_ISSUED;
	answer->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_ptr_array_add(answer->certs, cert_ref(cert));
	for (guint i = 0; chain != NULL && i < chain->len; i++)
		if (!cert_is_among(chain->pdata[i], answer->certs))
			g_ptr_array_add(answer->certs, cert_ref(chain->pdata[i]));
	set_handle(answer, g_strdup_printf(REQUEST "%" G_GINT64_FORMAT, id));
}

static void
take_pending(const struct order *order, const char *text)
{
	handler_answer_set(order->answer, HANDLER_PENDING, HANDLER_ERROR_HUMAN, NULL,
			   "the CA says: %s", text);
	order->answer->not_before = clock_now(order->context->clock) +
				    handler_config_seconds(order->context->config, "poll_interval");
}

static void
take_denied(struct handler_answer *answer, const struct adcs_page *page)
{
	g_autofree char *code = page->code != 0 ? g_strdup_printf("0x%08x", page->code) : NULL;

	handler_answer_set(answer, HANDLER_REJECTED, page->error_class, code, "%s", page->text);
	set_handle(answer, g_strdup(""));
}

/* What a page says about a request that has a number. */
static void
take_page(const struct order *order, const struct http_answer *got, const struct adcs_page *page)
{
	struct handler_answer *answer = order->answer;

	/* A page in front of the CA's pages, or who we are is not accepted: the request waits. */
	if (got->status != 200 || !has_type(got, "text/html")) {
		peer_failure(order->context, got, FALSE, NULL, NULL, answer);
		if (answer->status == HANDLER_REJECTED) {
			answer->status = HANDLER_RETRY;
			answer->error_class = HANDLER_ERROR_CONFIG;
		}
		return;
	}
	switch (page->finding) {
	case ADCS_DENIED:
		take_denied(answer, page);
		return;
	case ADCS_ABSENT:
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_INPUT, "0x80094002",
				   "the CA has no such request any more: %s", page->text);
		set_handle(answer, g_strdup(""));
		return;
	case ADCS_BUSY:
		handler_answer_set(answer, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT, NULL, "%s",
				   page->text);
		return;
	case ADCS_ISSUED:
	case ADCS_PENDING:
	case ADCS_UNKNOWN:
		take_pending(order, page->text);
		return;
	}
}

static void
poll_request(const struct order *order, gint64 id)
{
	CLEANUP(http_answer) struct http_answer *got = NULL;
	CLEANUP(adcs_page) struct adcs_page *page = NULL;
	g_autoptr(GError) why = NULL;
	CLEANUP(cert) struct cert *cert = fetch(order, id, &got, &page, &why);

	set_handle(order->answer, g_strdup_printf(REQUEST "%" G_GINT64_FORMAT, id));
	if (cert != NULL && is_ours(order, cert))
		take_cert(order, cert, id);
	else if (cert != NULL)
		handler_answer_set(order->answer, HANDLER_REJECTED, HANDLER_ERROR_CONFIG, NULL,
				   "request %" G_GINT64_FORMAT
				   " of the CA has the certificate of another key",
				   id);
	else if (got == NULL)
		peer_lost(why, FALSE, FALSE, order->answer);
	else
		take_page(order, got, page);
}

/* --- handing in --- */

static struct secret *
form_of(const struct order *order)
{
	const struct handler_config *config = order->context->config;
	g_autofree char *pem = csr_to_pem(order->request->csr);
	g_autoptr(GString) attributes = g_string_new(NULL);
	const char *const *more = handler_config_list(config, "attributes");

	g_string_printf(attributes, "CertificateTemplate:%s\r\n",
			handler_config_text(config, "template"));
	for (; more != NULL && *more != NULL; more++)
		g_string_append_printf(attributes, "%s\r\n", *more);
	const struct peer_field fields[] = {
		{ "Mode", "newreq" },
		{ "CertRequest", pem },
		{ "CertAttrib", attributes->str },
		{ "FriendlyType", "Saved-Request Certificate" },
		{ "TargetStoreFlags", "0" },
		{ "SaveCert", "yes" },
		{ NULL, NULL },
	};
	return peer_form_body(fields);
}

/* The answer to the form. With a number, whatever the words: it is asked for by that. */
static void
take_submitted(const struct order *order, const struct http_answer *got)
{
	struct handler_answer *answer = order->answer;
	CLEANUP(adcs_page) struct adcs_page *page = adcs_page_read(got->body);

	if (got->status != 200 || !has_type(got, "text/html")) {
		peer_failure(order->context, got, TRUE, NULL, NULL, answer);
		if (answer->error_class != HANDLER_ERROR_CONFLICT)
			set_handle(answer, g_strdup(""));
	} else if (page->finding == ADCS_DENIED) {
		take_denied(answer, page);
	} else if (page->finding == ADCS_BUSY) {
		handler_answer_set(answer, HANDLER_RETRY, page->error_class, NULL, "%s",
				   page->text);
		if (page->error_class != HANDLER_ERROR_CONFLICT)
			set_handle(answer, g_strdup(""));
	} else if (page->id > 0) {
		poll_request(order, page->id);
	} else {
		handler_answer_set(answer, HANDLER_RETRY, HANDLER_ERROR_CONFLICT, NULL,
				   "the page says neither issued nor denied, and no number: %s",
				   page->text);
	}
}

/* The highest number that any request of this configuration was told; 0: none. */
static gboolean
last_known(const struct order *order, gint64 *last, GError **error)
{
	g_autoptr(GPtrArray) handles =
	    request_handles(order->context->db, order->request->handler,
			    order->request->handler_config, REQUEST, KNOWN_MAX, error);

	*last = 0;
	for (guint i = 0; handles != NULL && i < handles->len; i++) {
		const char *handle = handles->pdata[i];
		*last = MAX(*last, g_ascii_strtoll(handle + strlen(REQUEST), NULL, 10));
	}
	return handles != NULL;
}

static gboolean
submit_new(const struct order *order, GError **error)
{
	g_autofree char *url = url_of(order->context, "certfnsh.asp");
	CLEANUP(secret) struct secret *form = form_of(order);
	struct http_request request = { .method = "POST",
					.url = url,
					.content_type = "application/x-www-form-urlencoded",
					.headers = headers,
					.secret_body = form };
	g_autoptr(GError) why = NULL;
	gboolean sent = FALSE;
	gint64 last;

	if (!last_known(order, &last, error))
		return FALSE;
	g_autofree char *handle = g_strdup_printf(SENT "%" G_GINT64_FORMAT, last);
	if (!handler_save_handle(order->context, handle, error))
		return FALSE;
	set_handle(order->answer, g_steal_pointer(&handle));
	CLEANUP(http_answer)
	struct http_answer *got = peer_send(order->peer, &request, &sent, &why);
	if (got != NULL) {
		take_submitted(order, got);
		return TRUE;
	}
	peer_lost(why, TRUE, sent, order->answer);
	if (!sent)
		set_handle(order->answer, g_strdup(""));
	return TRUE;
}

/* --- after an answer was lost --- */

/* Numbers after last, until one that the CA does not have. */
static enum lost_look
look_for(const struct order *order, gint64 last)
{
	gint64 most = handler_config_int(order->context->config, "lookback");
	gboolean undecided = FALSE;

	for (gint64 id = last + 1; id <= MIN(last + most, ID_MAX); id++) {
		CLEANUP(http_answer) struct http_answer *got = NULL;
		CLEANUP(adcs_page) struct adcs_page *page = NULL;
		g_autoptr(GError) why = NULL;
		CLEANUP(cert) struct cert *cert = fetch(order, id, &got, &page, &why);

		if (cert != NULL && is_ours(order, cert)) {
			take_cert(order, cert, id);
			return LOST_FOUND;
		}
		if (cert != NULL)
			continue;
		if (got == NULL || got->status != 200 || !has_type(got, "text/html") ||
		    page->finding == ADCS_BUSY) {
			handler_answer_set(order->answer, HANDLER_RETRY, HANDLER_ERROR_CONFLICT,
					   NULL, "the CA cannot be asked what became of it: %s",
					   got == NULL ? why->message : page->text);
			return LOST_FAILED;
		}
		if (page->finding == ADCS_ABSENT)
			return undecided ? LOST_BLIND : LOST_NONE;
		undecided |= page->finding != ADCS_DENIED;
	}
	return LOST_BLIND;
}

static gboolean
look(const struct order *order, gint64 last, GError **error)
{
	set_handle(order->answer, g_strdup(order->request->handle));
	switch (last > 0 ? look_for(order, last) : LOST_BLIND) {
	case LOST_FOUND:
	case LOST_FAILED:
		return TRUE;
	case LOST_NONE:
		return submit_new(order, error);
	case LOST_BLIND:
		held_answer(order->context,
			    "the CA's answer was lost, and its request numbers do not tell "
			    "whether ours is among them",
			    order->answer);
		return TRUE;
	}
	return TRUE;
}

/* --- the table --- */

static gboolean
number_after(const char *handle, const char *prefix, gint64 *number)
{
	return handle != NULL && g_str_has_prefix(handle, prefix) &&
	       g_ascii_string_to_signed(handle + strlen(prefix), 10, 0, ID_MAX, number, NULL);
}

static gboolean
run(const struct order *order, GError **error)
{
	const char *handle = order->request->handle;
	gint64 number;

	if (number_after(handle, REQUEST, &number)) {
		poll_request(order, number);
		return TRUE;
	}
	if (number_after(handle, SENT, &number))
		return look(order, number, error);
	return submit_new(order, error);
}

static gboolean
adcs_poll(const struct handler_context *context, const struct request_row *request,
	  struct handler_answer *answer, GError **error)
{
	struct order order = { context, request, answer, NULL };
	gboolean released;

	if (held_still(context, request, &released, answer))
		return TRUE;
	gboolean good = order_open(&order, error) && run(&order, error);
	peer_free(order.peer);
	return good;
}

static gboolean
adcs_submit(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	    const struct request_row *request, struct handler_answer *answer, GError **error)
{
	return adcs_poll(context, request, answer, error);
}

/* The newest of the CA's certificates with what issued it. */
static GPtrArray *
fetch_chain(const struct order *order, GError **error)
{
	CLEANUP(http_answer) struct http_answer *list = get(order, "certcarc.asp", error);

	if (list == NULL)
		return NULL;
	gint renewals = list->status == 200 ? adcs_renewals_read(list->body) : -1;
	if (renewals < 0)
		return fail(error, PS_ERROR_INVALID,
			    "certcarc.asp: HTTP status %u, and it does not say how many "
			    "certificates the CA has",
			    list->status);
	g_autofree char *where =
	    g_strdup_printf("certnew.p7b?ReqID=CACert&Renewal=%d&Enc=bin", renewals);
	CLEANUP(http_answer) struct http_answer *got = get(order, where, error);
	if (got == NULL)
		return NULL;
	if (got->status != 200 || !has_type(got, "application/x-pkcs7-certificates"))
		return fail(error, PS_ERROR_INVALID,
			    "certnew.p7b: HTTP status %u, and not a chain of certificates",
			    got->status);
	return certs_only_read(got->body, error);
}

static GPtrArray *
adcs_chain(const struct handler_context *context, GError **error)
{
	struct order order = { context, NULL, NULL, NULL };
	GPtrArray *certs = order_open(&order, error) ? fetch_chain(&order, error) : NULL;

	peer_free(order.peer);
	return certs;
}

static gboolean
adcs_check(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	struct order order = { context, NULL, answer, NULL };
	g_autoptr(GError) why = NULL;

	if (!order_open(&order, error))
		return FALSE;
	CLEANUP(http_answer) struct http_answer *got = get(&order, "", &why);
	if (got == NULL)
		peer_lost(why, FALSE, FALSE, answer);
	else if (got->status == 200 && has_type(got, "text/html"))
		handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
				   "the pages let us in; whether the template may be used only a "
				   "request tells");
	else
		peer_failure(context, got, FALSE, NULL, NULL, answer);
	peer_free(order.peer);
	return TRUE;
}

const struct handler handler_adcs = {
	.name = "adcs",
	.sentence =
	    "Microsoft AD CS through its web enrolment (certsrv); not tried against the real "
	    "service",
	.capabilities = { .knows_chain = TRUE, .tests = TRUE, .tls_names = TRUE },
	.keys = keys,
	.lacks = adcs_lacks,
	.submit = adcs_submit,
	.poll = adcs_poll,
	.chain = adcs_chain,
	.check = adcs_check,
};
