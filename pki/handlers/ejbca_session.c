/*
 * ejbca_session - log-in, errors, /v1/ca, and the searches of versions 1 and 2.
 */
#include "pki/handlers/ejbca_session.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/handlers/ejbca_message.h"
#include "pki/handlers/token.h"
#include "store/requests.h"

gboolean
ejbca_uses_oauth(const struct handler_context *context)
{
	return *handler_config_text(context->config, "oauth.token_url") != '\0';
}

gboolean
ejbca_start(struct session *session, const struct handler_context *context,
	    struct handler_answer *answer, GError **error)
{
	static const char *const headers[] = { "Accept: application/json", NULL };
	const struct handler_config *config = context->config;
	struct peer_options options = {
		.timeout = handler_config_seconds(config, "timeout"),
		.bundle_key = "ca_bundle",
		.certs_key = "client_cert",
		.private_key = "client_key",
		.version_1_2 = strcmp(handler_config_text(config, "tls"), "1.2") == 0,
	};

	session->headers = headers;
	if (ejbca_uses_oauth(context)) {
		session->owner = session_owner(context, "ejbca");
		session->log_in = token_by_client_credentials;
	}
	return session_start(session, context, &options, answer, error);
}

void
ejbca_judge(const struct session *session, const struct http_answer *got, gboolean acts,
	    struct handler_answer *answer)
{
	json_t *document = peer_json(got, NULL);
	const json_t *code = json_object_get(document, "error_code");
	g_autofree char *number = json_is_integer(code) ? g_strdup_printf("%" JSON_INTEGER_FORMAT,
									  json_integer_value(code))
							: NULL;

	peer_failure(session->context, got, acts, number,
		     peer_json_text(document, "error_message", 64 * 1024), answer);
	json_decref(document);
}

char *
ejbca_find_ca(struct session *session, struct handler_answer *answer, GError **error)
{
	const char *name = handler_config_text(session->context->config, "ca_name");
	struct http_request request = { .method = "GET" };
	CLEANUP(http_answer)
	struct http_answer *got = session_say(session, &request, "/v1/ca", FALSE, answer, error);

	if (got == NULL)
		return NULL;
	json_t *document = got->status == 200 ? peer_json(got, NULL) : NULL;
	char *dn = g_strdup(ejbca_ca_read(document, name));
	if (document == NULL ||
	    !json_is_array(json_object_get(document, "certificate_authorities")))
		ejbca_judge(session, got, FALSE, answer);
	else if (dn == NULL)
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_CONFIG, NULL,
				   "there is no CA '%s' that we may use (ca_name)", name);
	json_decref(document);
	return dn;
}

GPtrArray *
ejbca_download_chain(struct session *session, struct handler_answer *answer, GError **error)
{
	g_autofree char *dn = ejbca_find_ca(session, answer, error);
	g_autofree char *escaped = dn != NULL ? http_escape(dn) : NULL;
	g_autofree char *path = g_strdup_printf("/v1/ca/%s/certificate/download", escaped);
	struct http_request request = { .method = "GET" };

	if (dn == NULL)
		return NULL;
	CLEANUP(http_answer)
	struct http_answer *got = session_say(session, &request, path, FALSE, answer, error);
	if (got == NULL)
		return NULL;
	if (got->status == 200)
		return peer_certs_from(got->body, error);
	ejbca_judge(session, got, FALSE, answer);
	return NULL;
}

static void
add_chain(struct session *session, GPtrArray *certs)
{
	struct handler_answer unused = { 0 };
	g_autoptr(GError) why = NULL;
	g_autoptr(GPtrArray) chain = ejbca_download_chain(session, &unused, &why);

	for (guint i = 0; chain != NULL && i < chain->len; i++)
		g_ptr_array_add(certs, cert_ref(g_ptr_array_index(chain, i)));
	handler_answer_clear(&unused);
}

enum lost_look
ejbca_look(struct session *session, const struct request_row *request, const char *username,
	   struct handler_answer *answer, GError **error)
{
	const char *how = handler_config_text(session->context->config, "search");
	gboolean v2 = strcmp(how, "v2") == 0;
	g_autofree char *text = ejbca_search_body(username, v2);
	g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
	struct http_request search = { .method = "POST",
				       .content_type = "application/json",
				       .body = body,
				       .answer_max_bytes = 8 * PEER_ANSWER_MAX_BYTES };

	if (strcmp(how, "off") == 0)
		return LOST_BLIND;
	CLEANUP(http_answer)
	struct http_answer *got =
	    session_say(session, &search, v2 ? "/v2/certificate/search" : "/v1/certificate/search",
			FALSE, answer, error);
	if (got == NULL)
		return LOST_FAILED;
	/* Community has not all of them, and a role may lack the right. */
	if (got->status == 403 || got->status == 404 || got->status == 405)
		return LOST_BLIND;
	json_t *document = got->status == 200 ? peer_json(got, NULL) : NULL;
	if (!json_is_array(json_object_get(document, "certificates"))) {
		json_decref(document);
		ejbca_judge(session, got, FALSE, answer);
		/* Our own question was not understood; the request is none the worse. */
		peer_soften(answer);
		return LOST_FAILED;
	}
	struct cert *cert = ejbca_found_read(document, request->spki_sha256);
	json_decref(document);
	if (cert == NULL)
		return LOST_NONE;
	answer->status = HANDLER_ISSUED;
	answer->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_ptr_array_add(answer->certs, cert);
	add_chain(session, answer->certs);
	return LOST_FOUND;
}
