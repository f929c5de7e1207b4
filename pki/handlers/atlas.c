/*
 * atlas - certificates of GlobalSign Atlas (HVCA REST v2).
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * The request is built from the account's validation policy, which is read once a day. The serial
 * number in the answer is the handle; before the request leaves the handle says "sent", so that
 * after a lost answer, or a program that died, what the account issued since is looked through for
 * our key first.
 */
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/csr.h"
#include "pki/crypto/key.h"
#include "pki/crypto/key_sign.h"
#include "pki/handlers/atlas_request.h"
#include "pki/handlers/atlas_session.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/requests.h"

#define DAY_SECONDS 86400
#define SERIAL_MAX_DIGITS 64
#define BLIND_MAX 3      /* requests whose outcome nobody could tell, before a person looks */
#define LOOK_PAGE 100    /* serial numbers a page */
#define LOOK_MAX 300     /* that are looked at */
#define LOOK_SKEW 300    /* seconds that clocks may differ */
#define LOOK_WINDOW 7200 /* seconds after the request within which it has taken effect */

static const struct handler_key keys[] = {
	{ "url", HANDLER_KEY_URL, "https://emea.api.hvca.globalsign.com:8443/v2", "https", FALSE,
	  "The interface of the account's region." },
	{ "api_key", HANDLER_KEY_TEXT, "", "KEY", TRUE,
	  "The key of the API, from the Atlas portal." },
	{ "api_secret", HANDLER_KEY_SECRET, "", "", TRUE, "The secret that came with it." },
	{ "client_cert", HANDLER_KEY_CERTS, "", "", FALSE,
	  "The mTLS certificate: postseal handler mtls-request, then mtls-import." },
	{ "client_key", HANDLER_KEY_PRIVATE, "", "", FALSE, "Its private key." },
	{ "client_key_next", HANDLER_KEY_PRIVATE, "", "", FALSE,
	  "The key of an mTLS certificate that was asked for and has not been imported yet." },
	{ "ca_bundle", HANDLER_KEY_CERTS, "", "", FALSE,
	  "Trust these for the server's certificate, in place of the system's." },
	{ "extra_headers", HANDLER_KEY_LIST, "", "'NAME: VALUE' ...", FALSE,
	  "Sent with every request; {client_serial} is the serial number of the mTLS certificate "
	  "(\"X-SSL-Client-Serial: {client_serial}\")." },
	{ "timeout", HANDLER_KEY_DURATION, "1m", "1s..10m", FALSE, "Of one exchange." },
	{ "validity", HANDLER_KEY_CHOICE, "request", "request|policy", FALSE,
	  "What the request asks for, up to the policy's maximum; or always the maximum." },
	{ "subject.o", HANDLER_KEY_TEXT, "", "NAME", FALSE,
	  "Organisation, where the request has none." },
	{ "subject.ou", HANDLER_KEY_LIST, "", "NAMES", FALSE, "Organisational units." },
	{ "subject.c", HANDLER_KEY_TEXT, "", "CC", FALSE, "Country." },
	{ "subject.st", HANDLER_KEY_TEXT, "", "NAME", FALSE, "State or province." },
	{ "subject.l", HANDLER_KEY_TEXT, "", "NAME", FALSE, "Locality." },
	{ "subject.street", HANDLER_KEY_TEXT, "", "TEXT", FALSE, "Street address." },
	{ "subject.postal_code", HANDLER_KEY_TEXT, "", "TEXT", FALSE, "Postal code." },
	{ "subject.organization_identifier", HANDLER_KEY_TEXT, "", "TEXT", FALSE,
	  "Organisation identifier." },
	{ "pop", HANDLER_KEY_CHOICE, "auto", "auto|none|signature|pkcs10", FALSE,
	  "Proof that we hold the key; auto: as the validation policy says." },
	{ "pickup_delay", HANDLER_KEY_DURATION, "1s", "0s..1m", FALSE,
	  "Before the certificate is asked for; grows with each try." },
	{ "pickup_retries", HANDLER_KEY_INT, "3", "0..10", FALSE,
	  "How often at once, before the request waits for its turn." },
	{ "claims.resolver", HANDLER_KEY_TEXT, "", "ADDRESS[:PORT]", FALSE,
	  "The name server that sees the TXT records of domain claims; empty: the system's." },
	{ "claims.<domain>.authorization_domain", HANDLER_KEY_TEXT, "", "DOMAIN", FALSE,
	  "Where the TXT record of a claim stands, if not at the domain itself." },
	{ .name = NULL },
};

/* --- the handle: "sent SINCE TIMES" or "serial HEX" --- */

struct handle {
	char *serial; /* NULL: none yet */
	gint64 since; /* of the first time that it was sent without an outcome */
	gint times;
};

static gint64
number_of(const char *text)
{
	gint64 number = 0;

	return text != NULL && g_ascii_string_to_signed(text, 10, 0, G_MAXINT64, &number, NULL)
		   ? number
		   : 0;
}

static gboolean
is_serial(const char *text)
{
	gsize length = strspn(text, "0123456789abcdefABCDEF");

	return length > 0 && length <= SERIAL_MAX_DIGITS && text[length] == '\0';
}

static struct handle
handle_read(const char *text)
{
	struct handle handle = { 0 };
	g_auto(GStrv) words = g_strsplit(text != NULL ? text : "", " ", 4);
	guint n = g_strv_length(words);

	if (n == 2 && strcmp(words[0], "serial") == 0 && is_serial(words[1]))
		handle.serial = g_strdup(words[1]);
	if (n == 3 && strcmp(words[0], "sent") == 0) {
		handle.since = number_of(words[1]);
		handle.times = (gint)MIN(number_of(words[2]), G_MAXINT);
	}
	return handle;
}

/* --- the certificate --- */

static void
add_chain(struct atlas *atlas, GPtrArray *certs)
{
	struct handler_answer unused = { 0 };
	g_autoptr(GError) why = NULL;
	json_t *chain = atlas_document(atlas, "/trustchain", &unused, &why);
	size_t i;
	json_t *pem;

	json_array_foreach(chain, i, pem)
	{
		struct cert *cert =
		    json_is_string(pem)
			? peer_cert_from_pem(json_string_value(pem), json_string_length(pem), NULL)
			: NULL;
		if (cert != NULL)
			g_ptr_array_add(certs, cert);
	}
	json_decref(chain);
	handler_answer_clear(&unused);
}

/* 200 with status ISSUED or REVOKED; *status is a copy. NULL: not an answer of that kind. */
static struct cert *
read_cert(const struct http_answer *got, char **status)
{
	json_t *document = got->status == 200 ? peer_json(got, NULL) : NULL;
	const char *pem = peer_json_text(document, "certificate", 1024 * 1024);
	struct cert *cert = pem != NULL ? peer_cert_from_pem(pem, strlen(pem), NULL) : NULL;

	*status = g_strdup(peer_json_text(document, "status", 20));
	json_decref(document);
	return cert;
}

static struct http_answer *
get_cert(struct atlas *atlas, const char *serial, struct handler_answer *answer, GError **error)
{
	g_autofree char *path = g_strconcat("/certificates/", serial, NULL);

	return atlas_say(atlas, "GET", path, NULL, FALSE, answer, error);
}

/* One question. TRUE: not ready yet. */
static gboolean
fetch(struct atlas *atlas, const char *serial, struct handler_answer *answer, GError **error)
{
	g_autofree char *status = NULL;
	CLEANUP(http_answer) struct http_answer *got = get_cert(atlas, serial, answer, error);

	if (got == NULL)
		return FALSE;
	if (got->status == 202) {
		handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_NONE, "202",
				   "certificate %s is not ready yet", serial);
		return TRUE;
	}
	struct cert *cert = read_cert(got, &status);
	if (cert == NULL) {
		atlas_judge(atlas, got, FALSE, answer);
		/* It has been asked for: whatever is wrong now, it goes on from the serial. */
		peer_soften(answer);
		if (got->status == 404)
			answer->error_class = HANDLER_ERROR_TRANSIENT;
	} else if (g_strcmp0(status, "REVOKED") == 0) {
		cert_unref(cert);
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_INPUT, "REVOKED",
				   "certificate %s was revoked at the CA", serial);
	} else {
		answer->status = HANDLER_ISSUED;
		answer->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
		g_ptr_array_add(answer->certs, cert);
		add_chain(atlas, answer->certs);
	}
	return FALSE;
}

/* A few times at once; then the worker comes back to it. */
static void
pick_up(struct atlas *atlas, const char *serial, struct handler_answer *answer, GError **error)
{
	const struct handler_context *context = atlas->session.context;
	gint64 delay = handler_config_seconds(context->config, "pickup_delay");
	gint64 retries = handler_config_int(context->config, "pickup_retries");

	for (gint64 i = 0; i <= retries; i++) {
		if (!atlas_wait(context, delay * (i + 1))) {
			handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_NONE, NULL,
					   "certificate %s was not waited for", serial);
			break;
		}
		if (!fetch(atlas, serial, answer, error))
			break;
	}
	/* Named by its serial, it waits as a pending one, not as one to be handed in. */
	if (answer->status == HANDLER_RETRY)
		answer->status = HANDLER_PENDING;
	g_free(answer->handle);
	answer->handle = g_strconcat("serial ", serial, NULL);
}

/* --- the request --- */

static const char *
text_or_null(const struct handler_config *config, const char *name)
{
	const char *text = handler_config_text(config, name);

	return *text != '\0' ? text : NULL;
}

static struct atlas_subject
subject_of(const struct handler_config *config, const struct request_row *request)
{
	return (struct atlas_subject){
		.common_name = request->common_name,
		.email = request->email,
		.given_name = request->first_name,
		.surname = request->last_name,
		.organization = request->organisation != NULL ? request->organisation
							      : text_or_null(config, "subject.o"),
		.organization_identifier = text_or_null(config, "subject.organization_identifier"),
		.country = text_or_null(config, "subject.c"),
		.state = text_or_null(config, "subject.st"),
		.locality = text_or_null(config, "subject.l"),
		.street_address = text_or_null(config, "subject.street"),
		.postal_code = text_or_null(config, "subject.postal_code"),
		.organizational_units = handler_config_list(config, "subject.ou"),
	};
}

static json_t *
build(const struct handler_context *context, const struct request_row *request,
      const json_t *policy, GError **error)
{
	const struct handler_config *config = context->config;
	const char *const emails[] = { request->email, NULL };
	enum atlas_pop pop = atlas_pop_of(policy, handler_config_text(config, "pop"));
	gboolean by_request = strcmp(handler_config_text(config, "validity"), "request") == 0;
	CLEANUP(csr) struct csr *csr = csr_parse(request->csr, error);
	g_autofree char *pem = csr_to_pem(request->csr);
	g_autoptr(GBytes) signature = NULL;

	if (csr == NULL)
		return NULL;
	if (pop == ATLAS_POP_SIGNATURE) {
		CLEANUP(key)
		struct key *key = keyring_find(context->keyring, request->spki_sha256, error);

		signature = key != NULL ? key_sign_sha256(key, csr_spki(csr), error) : NULL;
		if (signature == NULL)
			return NULL;
	}
	struct atlas_wish wish = {
		.subject = subject_of(config, request),
		.emails = emails,
		.sign = g_strcmp0(request->key_use, "encrypt") != 0,
		.encrypt = g_strcmp0(request->key_use, "sign") != 0,
		.now = clock_now(context->clock),
		.seconds = by_request ? request->validity_days * DAY_SECONDS : 0,
		.key_kind = csr_key_kind(csr),
		.key_bits = csr_key_bits(csr),
		.spki = csr_spki(csr),
		.csr_pem = pem,
		.signature = signature,
	};
	return atlas_request_build(policy, &wish, pop, error);
}

/* The last part of where the certificate will be; NULL: it is not the place of one. */
static char *
serial_of(const struct http_answer *got)
{
	const char *location = http_header(got, "location");
	const char *slash = location != NULL ? strrchr(location, '/') : NULL;

	return slash != NULL && is_serial(slash + 1) ? g_strdup(slash + 1) : NULL;
}

static void
take_refusal(struct atlas *atlas, const struct http_answer *got, struct handler_answer *answer)
{
	atlas_judge(atlas, got, TRUE, answer);
	/* The policy may have changed since it was read. */
	if (got->status == 422) {
		atlas_forget(atlas->session.context);
	}
	/* A "no" leaves nothing to look for. */
	if (answer->error_class != HANDLER_ERROR_CONFLICT)
		answer->handle = g_strdup("");
}

static void
order(struct atlas *atlas, const json_t *body, struct handler_answer *answer, GError **error)
{
	const struct handler_context *context = atlas->session.context;
	CLEANUP(http_answer)
	struct http_answer *got =
	    atlas_say(atlas, "POST", "/certificates", body, TRUE, answer, error);

	if (got == NULL)
		return;
	g_autofree char *serial = got->status == 201 ? serial_of(got) : NULL;
	if (serial == NULL) {
		take_refusal(atlas, got, answer);
		return;
	}
	g_autofree char *handle = g_strconcat("serial ", serial, NULL);
	if (handler_save_handle(context, handle, error))
		pick_up(atlas, serial, answer, error);
}

/* --- after a lost answer --- */

enum look { LOOK_FOUND, LOOK_NONE, LOOK_BLIND, LOOK_FAILED };

/* Has this serial our key? Where that cannot be told, nothing may be asked for again. */
static enum look
look_at(struct atlas *atlas, const char *serial, const char *spki_sha256,
	struct handler_answer *answer, GError **error)
{
	g_autofree char *status = NULL;
	CLEANUP(http_answer) struct http_answer *got = get_cert(atlas, serial, answer, error);
	CLEANUP(cert) struct cert *cert = got != NULL ? read_cert(got, &status) : NULL;

	if (got == NULL)
		return LOOK_FAILED;
	if (cert != NULL)
		return strcmp(cert_spki_sha256(cert), spki_sha256) == 0 ? LOOK_FOUND : LOOK_NONE;
	if (got->status == 404)
		return LOOK_NONE;
	atlas_judge(atlas, got, FALSE, answer);
	peer_soften(answer);
	return LOOK_FAILED;
}

static enum look
look_page(struct atlas *atlas, const struct request_row *request, const json_t *page,
	  struct handler_answer *answer, GError **error)
{
	size_t i;
	json_t *row;

	json_array_foreach(page, i, row)
	{
		const char *serial = peer_json_text(row, "serial_number", SERIAL_MAX_DIGITS);

		if (serial == NULL || !is_serial(serial))
			continue;
		enum look found = look_at(atlas, serial, request->spki_sha256, answer, error);
		if (found == LOOK_FAILED)
			return LOOK_FAILED;
		if (found != LOOK_FOUND)
			continue;
		g_autofree char *handle = g_strconcat("serial ", serial, NULL);
		if (handler_save_handle(atlas->session.context, handle, error))
			pick_up(atlas, serial, answer, error);
		return LOOK_FOUND;
	}
	return LOOK_NONE;
}

/* Among what the account issued since we asked. */
static enum look
look(struct atlas *atlas, const struct request_row *request, gint64 since,
     struct handler_answer *answer, GError **error)
{
	for (int page = 1; page <= LOOK_MAX / LOOK_PAGE; page++) {
		g_autofree char *path =
		    g_strdup_printf("/stats/issued?page=%d&per_page=%d&from=%" G_GINT64_FORMAT
				    "&to=%" G_GINT64_FORMAT,
				    page, LOOK_PAGE, since - LOOK_SKEW, since + LOOK_WINDOW);
		CLEANUP(http_answer)
		struct http_answer *got = atlas_say(atlas, "GET", path, NULL, FALSE, answer, error);

		if (got == NULL)
			return LOOK_FAILED;
		if (got->status == 403 || got->status == 404)
			return LOOK_BLIND;
		json_t *rows = got->status == 200 ? peer_json(got, NULL) : NULL;
		if (!json_is_array(rows)) {
			json_decref(rows);
			atlas_judge(atlas, got, FALSE, answer);
			peer_soften(answer);
			return LOOK_FAILED;
		}
		size_t count = json_array_size(rows);
		enum look found = look_page(atlas, request, rows, answer, error);
		json_decref(rows);
		if (found != LOOK_NONE || count < LOOK_PAGE)
			return found;
	}
	return LOOK_BLIND;
}

/* TRUE: it may be asked for. */
static gboolean
may_order(struct atlas *atlas, const struct request_row *request, struct handle *handle,
	  struct handler_answer *answer, GError **error)
{
	if (handle->times == 0)
		return TRUE;
	enum look found = look(atlas, request, handle->since, answer, error);
	if (found == LOOK_FOUND || found == LOOK_FAILED)
		return FALSE;
	if (found == LOOK_NONE) {
		*handle = (struct handle){ 0 };
		return TRUE;
	}
	if (handle->times >= BLIND_MAX) {
		handler_answer_set(answer, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
				   "was handed in %d times and no answer came; what the account "
				   "issued cannot be looked through: look in the Atlas portal",
				   handle->times);
		return FALSE;
	}
	log_warning("the account cannot be looked through for a certificate whose answer was "
		    "lost; it is asked for again",
		    "email", request->email);
	return TRUE;
}

static void
submit(struct atlas *atlas, const struct request_row *request, struct handle *handle,
       struct handler_answer *answer, GError **error)
{
	const struct handler_context *context = atlas->session.context;
	json_t *policy = atlas_document(atlas, "/validationpolicy", answer, error);
	g_autoptr(GError) why = NULL;
	json_t *body = policy != NULL ? build(context, request, policy, &why) : NULL;

	json_decref(policy);
	if (body == NULL) {
		if (g_error_matches(why, PS_ERROR, PS_ERROR_INVALID)) {
			handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_INPUT, "policy",
					   "%s", why->message);
			/* An administrator changes account or settings and asks again. */
			atlas_forget(context);
		} else if (why != NULL) {
			g_propagate_error(error, g_steal_pointer(&why));
		}
		return;
	}
	if (may_order(atlas, request, handle, answer, error)) {
		gint64 since = handle->since != 0 ? handle->since : clock_now(context->clock);
		g_autofree char *text =
		    g_strdup_printf("sent %" G_GINT64_FORMAT " %d", since, handle->times + 1);
		if (handler_save_handle(context, text, error))
			order(atlas, body, answer, error);
	}
	json_decref(body);
}

static gboolean
atlas_submit(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	     const struct request_row *request, struct handler_answer *answer, GError **error)
{
	struct atlas atlas = { 0 };
	struct handle handle = handle_read(request->handle);
	g_autofree char *serial = g_steal_pointer(&handle.serial);
	g_autoptr(GError) why = NULL;

	if (atlas_start(&atlas, context, answer, &why)) {
		if (serial != NULL)
			pick_up(&atlas, serial, answer, &why);
		else
			submit(&atlas, request, &handle, answer, &why);
	}
	return atlas_end(&atlas, &why, error);
}

static gboolean
atlas_poll(const struct handler_context *context, const struct request_row *request,
	   struct handler_answer *answer, GError **error)
{
	struct atlas atlas = { 0 };
	struct handle handle = handle_read(request->handle);
	g_autofree char *serial = g_steal_pointer(&handle.serial);
	g_autoptr(GError) why = NULL;

	if (serial == NULL)
		fail(&why, PS_ERROR_INVALID, "the handle of the request names no serial number");
	else if (atlas_start(&atlas, context, answer, &why))
		(void)fetch(&atlas, serial, answer, &why);
	return atlas_end(&atlas, &why, error);
}

/* --- revoke --- */

/* NULL: Atlas has no such reason. */
static const char *
reason_of(const char *reason)
{
	static const char *const known[] = { "unspecified",          "affiliationChanged",
					     "keyCompromise",        "superseded",
					     "cessationOfOperation", "privilegeWithdrawn" };

	for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
		if (g_strcmp0(reason != NULL ? reason : "unspecified", known[i]) == 0)
			return known[i];
	return NULL;
}

/* As the CA wrote it in its answer; else with whole bytes. */
static char *
serial_for(const struct handler_revocation *revocation)
{
	struct handle handle = handle_read(revocation->handle);

	if (handle.serial != NULL)
		return handle.serial;
	g_autofree char *whole =
	    g_strconcat(strlen(revocation->serial) % 2 != 0 ? "0" : "", revocation->serial, NULL);
	return g_ascii_strup(whole, -1);
}

static gboolean
is_revoked(struct atlas *atlas, const char *serial)
{
	struct handler_answer unused = { 0 };
	g_autoptr(GError) why = NULL;
	g_autofree char *status = NULL;
	CLEANUP(http_answer) struct http_answer *got = get_cert(atlas, serial, &unused, &why);
	CLEANUP(cert) struct cert *cert = got != NULL ? read_cert(got, &status) : NULL;

	handler_answer_clear(&unused);
	return cert != NULL && g_strcmp0(status, "REVOKED") == 0;
}

static void
patch(struct atlas *atlas, const struct handler_revocation *revocation, const char *reason,
      struct handler_answer *answer, GError **error)
{
	g_autofree char *serial = serial_for(revocation);
	g_autofree char *path = g_strconcat("/certificates/", serial, NULL);
	json_t *body = json_pack("{s:s}", "revocation_reason", reason);
	/* Said twice is said once. */
	CLEANUP(http_answer)
	struct http_answer *got = atlas_say(atlas, "PATCH", path, body, FALSE, answer, error);

	json_decref(body);
	if (got == NULL)
		return;
	if (got->status == 204 || got->status == 200) {
		handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL, "revoked");
		return;
	}
	atlas_judge(atlas, got, FALSE, answer);
	if (answer->error_class != HANDLER_ERROR_TRANSIENT && got->status != 403 &&
	    is_revoked(atlas, serial))
		handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
				   "was revoked before");
	else if (got->status == 404)
		answer->status = HANDLER_REJECTED;
}

static gboolean
atlas_revoke(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	     const struct handler_revocation *revocation, struct handler_answer *answer,
	     GError **error)
{
	const char *reason = reason_of(revocation->reason);
	struct atlas atlas = { 0 };
	g_autoptr(GError) why = NULL;

	if (reason == NULL)
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_INPUT, NULL,
				   "Atlas has no reason '%s': unspecified, affiliationChanged, "
				   "keyCompromise, superseded, cessationOfOperation, "
				   "privilegeWithdrawn",
				   revocation->reason);
	else if (atlas_start(&atlas, context, answer, &why))
		patch(&atlas, revocation, reason, answer, &why);
	return atlas_end(&atlas, &why, error);
}

/* --- chain and check --- */

static GPtrArray *
atlas_chain(const struct handler_context *context, GError **error)
{
	struct atlas atlas = { 0 };
	struct handler_answer answer = { 0 };
	g_autoptr(GError) why = NULL;
	GPtrArray *chain = NULL;

	atlas_forget(context);
	if (atlas_start(&atlas, context, &answer, &why)) {
		json_t *document = atlas_document(&atlas, "/trustchain", &answer, &why);
		if (document != NULL) {
			chain = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
			add_chain(&atlas, chain);
		}
		json_decref(document);
	}
	if (chain != NULL && chain->len == 0) {
		g_clear_pointer(&chain, g_ptr_array_unref);
		handler_answer_set(&answer, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT, NULL,
				   "the trust chain that the account gives is empty");
	}
	if (chain == NULL && why == NULL)
		peer_fail(&answer, &why);
	handler_answer_clear(&answer);
	(void)atlas_end(&atlas, &why, error);
	return chain;
}

/* -1: not told. */
static gint64
get_value(struct atlas *atlas, const char *path)
{
	struct handler_answer unused = { 0 };
	g_autoptr(GError) why = NULL;
	CLEANUP(http_answer)
	struct http_answer *got = atlas_say(atlas, "GET", path, NULL, FALSE, &unused, &why);
	json_t *document = got != NULL && got->status == 200 ? peer_json(got, NULL) : NULL;
	const json_t *value = json_object_get(document, "value");
	gint64 number = json_is_integer(value) ? (gint64)json_integer_value(value) : -1;

	json_decref(document);
	handler_answer_clear(&unused);
	return number;
}

static void
look_around(struct atlas *atlas, struct handler_answer *answer, GError **error)
{
	json_t *policy = atlas_document(atlas, "/validationpolicy", answer, error);

	if (policy == NULL)
		return;
	gint64 quota = get_value(atlas, "/quotas/issuance");
	gint64 issued = get_value(atlas, "/counters/certificates/issued");
	g_autofree char *described = atlas_policy_describe(policy);
	g_autoptr(GString) figures = g_string_new(NULL);

	json_decref(policy);
	if (quota >= 0)
		g_string_append_printf(figures, "; %" G_GINT64_FORMAT " may still be issued",
				       quota);
	if (issued >= 0)
		g_string_append_printf(figures, "; %" G_GINT64_FORMAT " were issued", issued);
	if (quota == 0)
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_CONFIG, "quota",
				   "the quota of the account is used up: %s", described);
	else
		handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
				   "logged in; %s%s", described, figures->str);
}

static gboolean
atlas_check(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	struct atlas atlas = { 0 };
	g_autoptr(GError) why = NULL;

	atlas_forget(context);
	if (atlas_start(&atlas, context, answer, &why))
		look_around(&atlas, answer, &why);
	return atlas_end(&atlas, &why, error);
}

static char *
atlas_lacks(const struct handler_context *context, GError **error G_GNUC_UNUSED)
{
	const char *name = handler_config_name(context->config);

	if (handler_config_certs(context->config, "client_cert") == NULL)
		return g_strdup_printf("client_cert is not set: postseal handler mtls-request "
				       "atlas/%s, and mtls-import what GlobalSign makes of it",
				       name);
	if (handler_config_key(context->config, "client_key") == NULL)
		return g_strdup_printf("client_key is not set: postseal handler config atlas/%s "
				       "client_key --file FILE",
				       name);
	return NULL;
}

const struct handler handler_atlas = {
	.name = "atlas",
	.sentence = "GlobalSign Atlas",
	.capabilities = { .revokes = TRUE, .knows_chain = TRUE, .tests = TRUE },
	.keys = keys,
	.lacks = atlas_lacks,
	.submit = atlas_submit,
	.poll = atlas_poll,
	.revoke = atlas_revoke,
	.chain = atlas_chain,
	.check = atlas_check,
};
