/*
 * session - one act at a peer that speaks HTTP, logged in where it wants a token.
 *
 * What the peer says goes into the handler's answer, what is wrong on our side into *error: a
 * function that gives nothing has set one of them. session_end() turns both into what a handler
 * returns. Threads: a session belongs to one act.
 */
#ifndef PKI_HANDLERS_SESSION_H
#define PKI_HANDLERS_SESSION_H

#include "pki/handlers/peer.h"

struct session {
	const struct handler_context *context;
	struct peer *peer;
	const char *const *headers; /* of each request; may be NULL */
	char *owner;                /* of the token; NULL: without */
	struct secret *token;
	struct secret *(*log_in)(struct peer *peer, const struct handler_context *context,
				 gint64 *seconds, struct handler_answer *answer, GError **error);
};

/* Opens the peer; with log_in set, takes the token that is held or logs in. */
gboolean session_start(struct session *session, const struct handler_context *context,
		       const struct peer_options *options, struct handler_answer *answer,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Sends to the configuration's "url" and path. After a 401 once more with a new token: a request
 * that was not let in did nothing. */
struct http_answer *session_say(struct session *session, struct http_request *request,
				const char *path, gboolean acts, struct handler_answer *answer,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Frees what the session holds; hands *why on and returns FALSE if there is one. */
gboolean session_end(struct session *session, GError **why, GError **error);
/* "ejbca/default", for the owner; the caller's. */
char *session_owner(const struct handler_context *context, const char *handler);

#endif
