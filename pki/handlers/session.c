/*
 * session - log-in, sending, one more try.
 */
#include "pki/handlers/session.h"

#include <string.h>

#include "pki/handlers/token.h"
#include "store/base/secret.h"

static gboolean
log_in(struct session *session, struct handler_answer *answer, GError **error)
{
	gint64 seconds = 0;

	session->token = token_find(session->owner);
	if (session->token == NULL) {
		peer_set_bearer(session->peer, NULL);
		session->token =
		    session->log_in(session->peer, session->context, &seconds, answer, error);
		if (session->token == NULL)
			return FALSE;
		token_keep(session->owner, session->token, seconds);
	}
	peer_set_bearer(session->peer, session->token);
	return TRUE;
}

gboolean
session_start(struct session *session, const struct handler_context *context,
	      const struct peer_options *options, struct handler_answer *answer, GError **error)
{
	session->context = context;
	session->peer = peer_open(context, options, error);
	return session->peer != NULL && (session->log_in == NULL || log_in(session, answer, error));
}

static char *
url_of(const struct session *session, const char *path)
{
	const char *base = handler_config_text(session->context->config, "url");
	gsize length = strlen(base);

	if (length > 0 && base[length - 1] == '/')
		length--;
	return g_strdup_printf("%.*s%s", (int)length, base, path);
}

struct http_answer *
session_say(struct session *session, struct http_request *request, const char *path, gboolean acts,
	    struct handler_answer *answer, GError **error)
{
	g_autofree char *url = url_of(session, path);

	request->url = url;
	if (request->headers == NULL)
		request->headers = session->headers;
	for (gboolean again = FALSE;; again = TRUE) {
		g_autoptr(GError) why = NULL;
		gboolean sent = FALSE;
		struct http_request one = *request;
		struct http_answer *got = peer_send(session->peer, &one, &sent, &why);

		if (got == NULL) {
			peer_lost(why, acts, sent, answer);
			return NULL;
		}
		if (got->status != 401 || again || session->owner == NULL)
			return got;
		http_answer_free(got);
		token_drop(session->owner, session->token);
		g_clear_pointer(&session->token, secret_unref);
		if (!log_in(session, answer, error))
			return NULL;
	}
}

gboolean
session_end(struct session *session, GError **why, GError **error)
{
	peer_free(session->peer);
	secret_unref(session->token);
	g_free(session->owner);
	*session = (struct session){ 0 };
	if (*why == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(why));
	return FALSE;
}

char *
session_owner(const struct handler_context *context, const char *handler)
{
	/* A token of one server is no other one's, when the URL is changed. */
	return g_strconcat(handler, "/", handler_config_name(context->config), " ",
			   handler_config_text(context->config, "url"), NULL);
}
