/*
 * token - bearer tokens, kept in memory until shortly before they end.
 *
 * For the whole program: a log-in serves many requests. A token belongs to an owner, the name of a
 * handler and its configuration; nothing is lost with it, the next one asks for another.
 * Threads: any.
 */
#ifndef PKI_HANDLERS_TOKEN_H
#define PKI_HANDLERS_TOKEN_H

#include <glib.h>

struct handler_answer;
struct handler_context;
struct peer;
struct secret;

/* A reference of the caller's; NULL: none, or it has ended. */
struct secret *token_find(const char *owner);
void token_keep(const char *owner, struct secret *token, gint64 seconds);
/* Forgets it if it is still this one; token NULL: whatever it is. */
void token_drop(const char *owner, const struct secret *token);

/* OAuth 2.0 client credentials (RFC 6749 section 4.4) by the keys oauth.token_url, client_id,
 * client_secret, audience, scope. NULL with *answer saying why, or with *error. */
struct secret *token_by_client_credentials(struct peer *peer, const struct handler_context *context,
					   gint64 *seconds, struct handler_answer *answer,
					   GError **error);

#endif
