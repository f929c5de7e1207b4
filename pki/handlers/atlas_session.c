/*
 * atlas_session - log-in, headers, what is kept for a day.
 */
#include "pki/handlers/atlas_session.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/handlers/remembered.h"
#include "pki/handlers/token.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/secret.h"

#define TOKEN_MAX_BYTES (16 * 1024)
#define TOKEN_SECONDS 570 /* of ten minutes, with token.c's margin: nine */
#define BUSY_SECONDS 5
#define REMEMBERED_SECONDS 86400
#define STEP_US 100000

void
atlas_judge(const struct atlas *atlas, const struct http_answer *got, gboolean acts,
	    struct handler_answer *answer)
{
	const struct handler_context *context = atlas->session.context;
	json_t *document = peer_json(got, NULL);

	peer_failure(context, got, acts, NULL, peer_json_text(document, "description", 64 * 1024),
		     answer);
	if (got->status == 429 && answer->not_before == 0)
		answer->not_before = clock_now(context->clock) + BUSY_SECONDS;
	json_decref(document);
}

/* {client_serial} stands for the serial number of our certificate, in hex. */
static GStrv
headers_of(const struct handler_context *context)
{
	const char *const *rows = handler_config_list(context->config, "extra_headers");
	GPtrArray *certs = handler_config_certs(context->config, "client_cert");
	g_autofree char *serial =
	    certs != NULL && certs->len > 0
		? g_ascii_strup(cert_serial_hex(g_ptr_array_index(certs, 0)), -1)
		: g_strdup("");
	g_autoptr(GStrvBuilder) headers = g_strv_builder_new();

	for (; rows != NULL && *rows != NULL; rows++) {
		g_autoptr(GString) row = g_string_new(*rows);

		g_string_replace(row, "{client_serial}", serial, 0);
		g_strv_builder_add(headers, row->str);
	}
	return g_strv_builder_end(headers);
}

static struct secret *
login_body(const struct handler_context *context)
{
	struct secret *secret = handler_config_secret(context->config, "api_secret");
	json_t *body =
	    json_pack("{s:s, s:s}", "api_key", handler_config_text(context->config, "api_key"),
		      "api_secret", secret != NULL ? secret_text(secret) : "");
	struct secret *text = peer_json_body(body);

	json_decref(body);
	return text;
}

static struct secret *
log_in(struct peer *peer, const struct handler_context *context, gint64 *seconds,
       struct handler_answer *answer, GError **error G_GNUC_UNUSED)
{
	const char *base = handler_config_text(context->config, "url");
	g_autofree char *url =
	    g_strdup_printf("%s%slogin", base, g_str_has_suffix(base, "/") ? "" : "/");
	CLEANUP(secret) struct secret *body = login_body(context);
	struct atlas atlas = { .session = { .context = context } };
	g_auto(GStrv) headers = NULL;
	struct http_request request = { .method = "POST",
					.url = url,
					.content_type = ATLAS_BODY_TYPE,
					.secret_body = body,
					.answer_is_secret = TRUE };
	g_autoptr(GError) why = NULL;

	headers = headers_of(context);
	request.headers = (const char *const *)headers;
	CLEANUP(http_answer) struct http_answer *got = peer_send(peer, &request, NULL, &why);
	if (got == NULL) {
		peer_lost(why, FALSE, FALSE, answer);
		return NULL;
	}
	json_t *document = got->status == 200 ? peer_json(got, NULL) : NULL;
	const char *token = peer_json_text(document, "access_token", TOKEN_MAX_BYTES);
	struct secret *found = token != NULL ? secret_new_text(token) : NULL;
	json_decref(document);
	*seconds = TOKEN_SECONDS;
	if (found != NULL)
		return found;
	atlas_judge(&atlas, got, FALSE, answer);
	/* A log-in that is refused says nothing about a request. */
	if (answer->error_class == HANDLER_ERROR_INPUT) {
		answer->status = HANDLER_RETRY;
		answer->error_class = HANDLER_ERROR_CONFIG;
	}
	return NULL;
}

gboolean
atlas_start(struct atlas *atlas, const struct handler_context *context,
	    struct handler_answer *answer, GError **error)
{
	struct peer_options options = {
		.timeout = handler_config_seconds(context->config, "timeout"),
		.bundle_key = "ca_bundle",
		.certs_key = "client_cert",
		.private_key = "client_key",
	};

	atlas->headers = headers_of(context);
	atlas->session.headers = (const char *const *)atlas->headers;
	atlas->session.owner = session_owner(context, "atlas");
	atlas->session.log_in = log_in;
	return session_start(&atlas->session, context, &options, answer, error);
}

gboolean
atlas_end(struct atlas *atlas, GError **why, GError **error)
{
	g_clear_pointer(&atlas->headers, g_strfreev);
	return session_end(&atlas->session, why, error);
}

struct http_answer *
atlas_say(struct atlas *atlas, const char *method, const char *path, const json_t *body,
	  gboolean acts, struct handler_answer *answer, GError **error)
{
	CLEANUP(secret) struct secret *text = body != NULL ? peer_json_body(body) : NULL;
	struct http_request request = { .method = method,
					.content_type = body != NULL ? ATLAS_BODY_TYPE : NULL,
					.secret_body = text };

	return session_say(&atlas->session, &request, path, acts, answer, error);
}

json_t *
atlas_document(struct atlas *atlas, const char *path, struct handler_answer *answer, GError **error)
{
	g_autoptr(GBytes) kept = remembered_find(atlas->session.owner, path);
	gsize length = 0;

	if (kept != NULL) {
		const char *text = g_bytes_get_data(kept, &length);
		return json_loadb(text, length, 0, NULL);
	}
	CLEANUP(http_answer)
	struct http_answer *got = atlas_say(atlas, "GET", path, NULL, FALSE, answer, error);
	if (got == NULL)
		return NULL;
	json_t *document = got->status == 200 ? peer_json(got, NULL) : NULL;
	if (document == NULL)
		atlas_judge(atlas, got, FALSE, answer);
	else
		remembered_keep(atlas->session.owner, path, got->body, REMEMBERED_SECONDS);
	return document;
}

void
atlas_forget(const struct handler_context *context)
{
	g_autofree char *owner = session_owner(context, "atlas");

	token_drop(owner, NULL);
	remembered_drop(owner);
}

gboolean
atlas_wait(const struct handler_context *context, gint64 seconds)
{
	gint64 until = clock_monotonic_us() + seconds * G_USEC_PER_SEC;

	while (clock_monotonic_us() < until) {
		if (context->stopping != NULL && context->stopping(context->data))
			return FALSE;
		g_usleep(STEP_US);
	}
	return TRUE;
}
