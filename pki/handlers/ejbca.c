/*
 * ejbca - certificates of an EJBCA, over its REST interface.
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * The end entity is made, or made anew, by the enrolment itself; a renewal enrols the same user
 * name. Before an enrolment leaves the handle says "sent", so that after a lost answer, or a
 * program that died, the server is searched for the certificate of our key first. What waits for
 * an approval has the approval's number in its handle.
 */
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/csr.h"
#include "pki/handlers/code.h"
#include "pki/handlers/ejbca_message.h"
#include "pki/handlers/ejbca_session.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/token.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/requests.h"

#define DAY_SECONDS 86400

static const struct handler_key keys[] = {
	{ "url", HANDLER_KEY_URL, "", "https", TRUE,
	  "The REST interface: https://HOST:8443/ejbca/ejbca-rest-api." },
	{ "client_cert", HANDLER_KEY_CERTS, "", "", FALSE,
	  "The certificate of an EJBCA administrator or RA role, then its chain." },
	{ "client_key", HANDLER_KEY_PRIVATE, "", "", FALSE, "Its private key." },
	{ "oauth.token_url", HANDLER_KEY_URL, "", "https", FALSE,
	  "Log in with OAuth 2.0 client credentials at this address." },
	{ "oauth.client_id", HANDLER_KEY_TEXT, "", "NAME", FALSE, "Our name there." },
	{ "oauth.client_secret", HANDLER_KEY_SECRET, "", "", FALSE, "Our secret there." },
	{ "oauth.audience", HANDLER_KEY_TEXT, "", "NAME", FALSE, "Where the server wants it." },
	{ "oauth.scope", HANDLER_KEY_TEXT, "", "NAMES", FALSE, "Where the server wants it." },
	{ "ca_bundle", HANDLER_KEY_CERTS, "", "", FALSE,
	  "Trust these for the server's certificate, in place of the system's." },
	{ "tls", HANDLER_KEY_CHOICE, "auto", "auto|1.2", FALSE,
	  "1.2: for servers that ask for our certificate by renegotiation." },
	{ "ca_name", HANDLER_KEY_TEXT, "", "NAME", TRUE, "The CA, as EJBCA names it." },
	{ "certificate_profile", HANDLER_KEY_TEXT, "", "NAME", TRUE, "Its certificate profile." },
	{ "end_entity_profile", HANDLER_KEY_TEXT, "", "NAME", TRUE, "Its end entity profile." },
	{ "username_template", HANDLER_KEY_TEXT, "{email}", "TEXT", FALSE,
	  "The end entity of an address: {email}, {local}, {domain}, {common_name}, {hash}." },
	{ "password", HANDLER_KEY_SECRET, "", "", FALSE,
	  "The enrolment code of every end entity; not set: one of its own for each request." },
	{ "endpoint", HANDLER_KEY_CHOICE, "pkcs10enroll", "pkcs10enroll|certificaterequest", FALSE,
	  "certificaterequest: only for end entities that are there already." },
	{ "send_email_field", HANDLER_KEY_BOOL, "on", "", FALSE,
	  "Send the address beside the request, for profiles that take it from there." },
	{ "issuer_dn", HANDLER_KEY_TEXT, "", "DN", FALSE,
	  "The issuer's name for revocation; not set: from the certificate." },
	{ "search", HANDLER_KEY_CHOICE, "v1", "v1|v2|off", FALSE,
	  "How a certificate is looked for whose answer was lost." },
	{ "account_binding_id", HANDLER_KEY_TEXT, "", "ID", FALSE, "Sent along when set." },
	{ "send_response_format", HANDLER_KEY_BOOL, "off", "", FALSE,
	  "Ask for DER in the request; newer servers." },
	{ "send_validity", HANDLER_KEY_BOOL, "off", "", FALSE,
	  "Send the validity that was asked for; newer servers." },
	{ "subject_dn", HANDLER_KEY_TEXT, "", "TEXT", FALSE,
	  "The subject in place of the request's, with the words of username_template; newer "
	  "servers." },
	{ "extension_data", HANDLER_KEY_LIST, "", "NAME=VALUE ...", FALSE, "Newer servers." },
	{ "custom_data", HANDLER_KEY_LIST, "", "NAME=VALUE ...", FALSE, "Newer servers." },
	{ "poll_interval", HANDLER_KEY_DURATION, "10m", "1s..1d", FALSE,
	  "How often to ask whether a request was approved." },
	{ "timeout", HANDLER_KEY_DURATION, "30s", "1s..10m", FALSE, "Of one exchange." },
	{ .name = NULL },
};

/* --- the handle: "sent GENERATION TIMES" or "approval NUMBER GENERATION" --- */

struct handle {
	gint64 approval, generation;
	gint times; /* that it was sent without an outcome */
};

static struct handle
handle_read(const struct request_row *request)
{
	struct handle handle = { 0 };
	g_auto(GStrv) words = g_strsplit(request->handle != NULL ? request->handle : "", " ", 4);

	if (g_strv_length(words) != 3)
		return handle;
	if (strcmp(words[0], "approval") == 0) {
		handle.approval = lost_number(words[1]);
		handle.generation = lost_number(words[2]);
	} else if (strcmp(words[0], "sent") == 0) {
		handle.generation = lost_number(words[1]);
		handle.times = (gint)MIN(lost_number(words[2]), G_MAXINT);
	}
	return handle;
}

/* --- submit --- */

static void
set_optional(struct ejbca_enrol *enrol, const struct handler_context *context,
	     const struct request_row *request)
{
	const struct handler_config *config = context->config;
	const char *binding = handler_config_text(config, "account_binding_id");

	if (handler_config_bool(config, "send_email_field"))
		enrol->email = request->email;
	if (*binding != '\0')
		enrol->account_binding_id = binding;
	if (handler_config_bool(config, "send_response_format"))
		enrol->response_format = "DER";
	if (handler_config_bool(config, "send_validity") && request->validity_days > 0) {
		enrol->not_before = clock_now(context->clock);
		enrol->not_after = enrol->not_before + request->validity_days * DAY_SECONDS;
	}
	enrol->extension_data = handler_config_list(config, "extension_data");
	enrol->custom_data = handler_config_list(config, "custom_data");
}

static struct secret *
code_for(const struct handler_context *context, const struct request_row *request,
	 gint64 generation, GError **error)
{
	struct secret *code = handler_config_secret(context->config, "password");

	return code != NULL ? secret_ref(code)
			    : code_of_request(context, request, "ejbca", generation, error);
}

static struct secret *
enrol_body(const struct handler_context *context, const struct request_row *request,
	   const char *username, gint64 generation, GError **error)
{
	const struct handler_config *config = context->config;
	const char *template = handler_config_text(config, "subject_dn");
	CLEANUP(secret) struct secret *code = code_for(context, request, generation, error);
	g_autofree char *csr = csr_to_pem(request->csr);
	g_autofree char *subject_dn = NULL;
	struct ejbca_enrol enrol = {
		.csr_pem = csr,
		.ca_name = handler_config_text(config, "ca_name"),
		.username = username,
		.code = code,
		.existing =
		    strcmp(handler_config_text(config, "endpoint"), "certificaterequest") == 0,
		.certificate_profile = handler_config_text(config, "certificate_profile"),
		.end_entity_profile = handler_config_text(config, "end_entity_profile"),
	};

	if (code == NULL)
		return NULL;
	if (*template != '\0') {
		subject_dn = ejbca_username(template, request, error);
		if (subject_dn == NULL)
			return NULL;
		enrol.subject_dn = subject_dn;
	}
	set_optional(&enrol, context, request);
	return ejbca_enrol_body(&enrol);
}

static void
take_certs(struct session *session, const struct http_answer *got, struct handler_answer *answer)
{
	g_autoptr(GError) why = NULL;
	json_t *document = peer_json(got, &why);

	answer->certs = document != NULL ? ejbca_enrolled_read(document, &why) : NULL;
	json_decref(document);
	if (answer->certs != NULL)
		answer->status = HANDLER_ISSUED;
	else
		peer_failure(session->context, got, TRUE, NULL, why->message, answer);
}

static void
take_approval(struct session *session, const struct http_answer *got, gint64 generation,
	      struct handler_answer *answer)
{
	json_t *document = peer_json(got, NULL);
	gint64 approval = ejbca_approval_read(document);
	const char *message = peer_json_text(document, "info_message", PEER_TEXT_MAX_BYTES);

	if (approval == 0) {
		peer_failure(
		    session->context, got, TRUE, NULL,
		    "the request waits for an approval whose number the answer does not tell",
		    answer);
	} else {
		handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_HUMAN, "202", "%s",
				   message != NULL ? message : "waits for an approval");
		answer->handle = g_strdup_printf("approval %" G_GINT64_FORMAT " %" G_GINT64_FORMAT,
						 approval, generation);
		answer->not_before =
		    clock_now(session->context->clock) +
		    handler_config_seconds(session->context->config, "poll_interval");
	}
	json_decref(document);
}

static void
enrol(struct session *session, const struct secret *body, gint64 generation,
      struct handler_answer *answer, GError **error)
{
	gboolean existing = strcmp(handler_config_text(session->context->config, "endpoint"),
				   "certificaterequest") == 0;
	struct http_request request = { .method = "POST",
					.content_type = "application/json",
					.secret_body = body };
	CLEANUP(http_answer)
	struct http_answer *got = session_say(session, &request,
					      existing ? "/v1/certificate/certificaterequest"
						       : "/v1/certificate/pkcs10enroll",
					      TRUE, answer, error);

	if (got == NULL)
		return;
	if (got->status == 201 || got->status == 200)
		take_certs(session, got, answer);
	else if (got->status == 202)
		take_approval(session, got, generation, answer);
	else
		ejbca_judge(session, got, TRUE, answer);
	/* A "no" leaves nothing to look for. */
	if (answer->status != HANDLER_ISSUED && answer->handle == NULL &&
	    answer->error_class != HANDLER_ERROR_CONFLICT)
		answer->handle = g_strdup("");
}

/* TRUE: goes on to enrol; *times counts how often that was done without an outcome. */
static gboolean
may_enrol(struct session *session, const struct request_row *request, const char *username,
	  gint *times, struct handler_answer *answer, GError **error)
{
	struct handle before = handle_read(request);

	*times = before.times;
	if (before.times == 0)
		return TRUE;
	enum lost_look found = ejbca_look(session, request, username, answer, error);
	g_autofree char *remedy = g_strdup_printf("look there for end entity '%s'", username);

	if (found == LOST_NONE)
		*times = 0;
	return lost_may_repeat(found, request, before.times, "the CA cannot be searched", remedy,
			       answer);
}

static gboolean
ejbca_submit(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	     const struct request_row *request, struct handler_answer *answer, GError **error)
{
	struct session session = { 0 };
	gint64 generation = keyring_generation(context->keyring);
	gint times = 0;
	g_autoptr(GError) why = NULL;
	g_autofree char *username = ejbca_username(
	    handler_config_text(context->config, "username_template"), request, &why);
	CLEANUP(secret)
	struct secret *body =
	    username != NULL ? enrol_body(context, request, username, generation, &why) : NULL;

	if (body != NULL && ejbca_start(&session, context, answer, &why) &&
	    may_enrol(&session, request, username, &times, answer, &why)) {
		g_autofree char *handle =
		    g_strdup_printf("sent %" G_GINT64_FORMAT " %d", generation, times + 1);
		if (handler_save_handle(context, handle, &why))
			enrol(&session, body, generation, answer, &why);
	}
	return session_end(&session, &why, error);
}

/* --- poll --- */

static void
finalize(struct session *session, const struct handle *handle, const struct secret *code,
	 struct handler_answer *answer, GError **error)
{
	g_autofree char *path =
	    g_strdup_printf("/v1/certificate/%" G_GINT64_FORMAT "/finalize", handle->approval);
	CLEANUP(secret) struct secret *body = ejbca_finalize_body(code);
	struct http_request request = { .method = "POST",
					.content_type = "application/json",
					.secret_body = body };
	/* It issues; but asked again it gives the same, or is found by its key. */
	CLEANUP(http_answer)
	struct http_answer *got = session_say(session, &request, path, TRUE, answer, error);

	if (got == NULL)
		return;
	if (got->status == 201 || got->status == 200)
		take_certs(session, got, answer);
	else if (got->status == 202)
		take_approval(session, got, handle->generation, answer);
	else
		ejbca_judge(session, got, TRUE, answer);
	/* Refused or expired: 4xx, but for those that say nothing about the approval. */
	if (answer->error_class == HANDLER_ERROR_CONFIG && got->status == 404)
		answer->status = HANDLER_REJECTED;
}

static void
check_rejected(struct session *session, const struct request_row *request, const char *username,
	       struct handler_answer *answer, GError **error)
{
	struct handler_answer found = { 0 };

	enum lost_look looked = ejbca_look(session, request, username, &found, error);
	/* Without having looked it is not given up. */
	if (looked == LOST_FOUND || looked == LOST_FAILED) {
		handler_answer_clear(answer);
		*answer = found;
		return;
	}
	handler_answer_clear(&found);
}

static gboolean
ejbca_poll(const struct handler_context *context, const struct request_row *request,
	   struct handler_answer *answer, GError **error)
{
	struct session session = { 0 };
	struct handle handle = handle_read(request);
	g_autoptr(GError) why = NULL;
	g_autofree char *username = ejbca_username(
	    handler_config_text(context->config, "username_template"), request, &why);
	CLEANUP(secret)
	struct secret *code = username != NULL && handle.approval != 0
				  ? code_for(context, request, handle.generation, &why)
				  : NULL;

	if (username != NULL && handle.approval == 0)
		fail(&why, PS_ERROR_INVALID, "the handle of the request names no approval");
	if (code != NULL && ejbca_start(&session, context, answer, &why)) {
		/* The certificate of a finalize whose answer was lost. */
		enum lost_look looked = g_strcmp0(request->error_class, "conflict") == 0
					    ? ejbca_look(&session, request, username, answer, &why)
					    : LOST_NONE;
		if (looked == LOST_NONE || looked == LOST_BLIND)
			finalize(&session, &handle, code, answer, &why);
		/* Or of one that this program died in: it is not given twice. */
		if (answer->status == HANDLER_REJECTED)
			check_rejected(&session, request, username, answer, &why);
	}
	return session_end(&session, &why, error);
}

/* --- revoke --- */

static void
put_revoke(struct session *session, const struct handler_revocation *revocation,
	   struct handler_answer *answer, GError **error)
{
	const char *configured = handler_config_text(session->context->config, "issuer_dn");
	g_autofree char *dn =
	    *configured != '\0' ? g_strdup(configured) : ejbca_dn(cert_issuer(revocation->cert));
	g_autofree char *escaped = http_escape(dn);
	g_autofree char *path =
	    g_strdup_printf("/v1/certificate/%s/%s/revoke?reason=%s", escaped, revocation->serial,
			    ejbca_reason(revocation->reason));
	struct http_request request = { .method = "PUT" };
	/* Said twice is said once. */
	CLEANUP(http_answer)
	struct http_answer *got = session_say(session, &request, path, FALSE, answer, error);

	if (got == NULL)
		return;
	ejbca_judge(session, got, FALSE, answer);
	if (got->status == 200 || got->status == 409)
		handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL, "%s",
				   got->status == 409 ? "was revoked before" : "revoked");
	else if (got->status == 404)
		answer->status = HANDLER_REJECTED;
}

static gboolean
ejbca_revoke(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	     const struct handler_revocation *revocation, struct handler_answer *answer,
	     GError **error)
{
	struct session session = { 0 };
	g_autoptr(GError) why = NULL;

	if (ejbca_start(&session, context, answer, &why))
		put_revoke(&session, revocation, answer, &why);
	return session_end(&session, &why, error);
}

/* --- chain and check --- */

static GPtrArray *
ejbca_chain(const struct handler_context *context, GError **error)
{
	struct session session = { 0 };
	struct handler_answer answer = { 0 };
	g_autoptr(GError) why = NULL;
	GPtrArray *chain = ejbca_start(&session, context, &answer, &why)
			       ? ejbca_download_chain(&session, &answer, &why)
			       : NULL;

	if (chain == NULL && why == NULL)
		peer_fail(&answer, &why);
	handler_answer_clear(&answer);
	(void)session_end(&session, &why, error);
	return chain;
}

static void
look_around(struct session *session, struct handler_answer *answer, GError **error)
{
	const char *name = handler_config_text(session->context->config, "ca_name");
	struct http_request request = { .method = "GET" };
	CLEANUP(http_answer)
	struct http_answer *got =
	    session_say(session, &request, "/v1/certificate/status", FALSE, answer, error);

	if (got == NULL)
		return;
	json_t *document = got->status == 200 ? peer_json(got, NULL) : NULL;
	const char *version = peer_json_text(document, "version", 100);
	if (json_object_get(document, "status") == NULL) {
		ejbca_judge(session, got, FALSE, answer);
		json_decref(document);
		return;
	}
	g_autofree char *shown = g_strdup(version != NULL ? version : "EJBCA");
	json_decref(document);
	g_autofree char *dn = ejbca_find_ca(session, answer, error);
	if (dn != NULL)
		handler_answer_set(answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
				   "%s; CA '%s' (%s) may be used", shown, name, dn);
}

static gboolean
ejbca_check(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	struct session session = { 0 };
	g_autoptr(GError) why = NULL;
	g_autofree char *owner = session_owner(context, "ejbca");

	token_drop(owner, NULL); /* the log-in itself is to be tried */
	if (ejbca_start(&session, context, answer, &why))
		look_around(&session, answer, &why);
	return session_end(&session, &why, error);
}

static char *
ejbca_lacks(const struct handler_context *context, GError **error G_GNUC_UNUSED)
{
	const struct handler_config *config = context->config;
	const char *name = handler_config_name(config);

	if (!ejbca_uses_oauth(context) && handler_config_certs(config, "client_cert") == NULL)
		return g_strdup_printf("neither client_cert nor oauth.token_url is set: postseal "
				       "handler config ejbca/%s client_cert --file FILE",
				       name);
	if (handler_config_certs(config, "client_cert") != NULL &&
	    handler_config_key(config, "client_key") == NULL)
		return g_strdup_printf("client_key is not set: postseal handler config ejbca/%s "
				       "client_key --file FILE",
				       name);
	return NULL;
}

const struct handler handler_ejbca = {
	.name = "ejbca",
	.sentence = "EJBCA, over its REST interface",
	.capabilities = { .revokes = TRUE, .knows_chain = TRUE, .tests = TRUE },
	.keys = keys,
	.lacks = ejbca_lacks,
	.submit = ejbca_submit,
	.poll = ejbca_poll,
	.revoke = ejbca_revoke,
	.chain = ejbca_chain,
	.check = ejbca_check,
};
