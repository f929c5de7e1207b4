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
#include "pki/handlers/atlas_cert.h"
#include "pki/handlers/atlas_request.h"
#include "pki/handlers/atlas_session.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/requests.h"

#define DAY_SECONDS 86400

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

	return slash != NULL && atlas_serial_is(slash + 1) ? g_strdup(slash + 1) : NULL;
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
		atlas_cert_pick_up(atlas, serial, answer, error);
}

/* TRUE: it may be asked for. */
static gboolean
may_order(struct atlas *atlas, const struct request_row *request, struct atlas_handle *handle,
	  struct handler_answer *answer, GError **error)
{
	if (handle->times == 0)
		return TRUE;
	enum lost_look found = atlas_cert_find(atlas, request, handle->since, answer, error);
	gboolean may = lost_may_repeat(found, request, handle->times,
				       "what the account issued cannot be looked through",
				       "look in the Atlas portal", answer);
	if (found == LOST_NONE)
		*handle = (struct atlas_handle){ 0 };
	return may;
}

static void
submit(struct atlas *atlas, const struct request_row *request, struct atlas_handle *handle,
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
	struct atlas_handle handle = atlas_handle_read(request->handle);
	g_autofree char *serial = g_steal_pointer(&handle.serial);
	g_autoptr(GError) why = NULL;

	if (atlas_start(&atlas, context, answer, &why)) {
		if (serial != NULL)
			atlas_cert_pick_up(&atlas, serial, answer, &why);
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
	struct atlas_handle handle = atlas_handle_read(request->handle);
	g_autofree char *serial = g_steal_pointer(&handle.serial);
	g_autoptr(GError) why = NULL;

	if (serial == NULL)
		fail(&why, PS_ERROR_INVALID, "the handle of the request names no serial number");
	else if (atlas_start(&atlas, context, answer, &why))
		(void)atlas_cert_fetch(&atlas, serial, answer, &why);
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
	struct atlas_handle handle = atlas_handle_read(revocation->handle);

	if (handle.serial != NULL)
		return handle.serial;
	g_autofree char *whole =
	    g_strconcat(strlen(revocation->serial) % 2 != 0 ? "0" : "", revocation->serial, NULL);
	return g_ascii_strup(whole, -1);
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
	    atlas_cert_is_revoked(atlas, serial))
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
			atlas_add_chain(&atlas, chain);
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
