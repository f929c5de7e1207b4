/*
 * peer - what handlers share that ask a CA over HTTP.
 *
 * Who we are comes from the configuration: certificate, key and password stay in memory. An
 * exchange ends in an answer or in nothing; peer_lost() and peer_failure() put into the handler's
 * answer what that means, so that all handlers judge alike: where a request that changes something
 * at the peer may have arrived, the answer is RETRY with CONFLICT: look before asking again.
 * Foreign text is handed on as it came; secrets are in none of the texts.
 * Threads: a peer belongs to one thread, as its http_client does.
 */
#ifndef PKI_HANDLERS_PEER_H
#define PKI_HANDLERS_PEER_H

#include <glib.h>
#include <jansson.h>

#include "pki/handlers/handler.h"
#include "pki/net/http.h"
#include "store/base/cleanup.h"

struct key;
struct secret;

#define PEER_ANSWER_MAX_BYTES (1024 * 1024)
#define PEER_TEXT_MAX_BYTES 1000

/* The keys are names in the handler's table; NULL: it has none of that kind. */
struct peer_options {
	gint64 timeout;         /* seconds; 0: 30 */
	const char *bundle_key; /* CERTS: anchors for the server's certificate */
	const char *certs_key;  /* CERTS: our certificate, then its chain */
	const char *private_key;
	enum http_auth auth;
	const char *user_key, *password_key;
	gboolean version_1_2;
};

struct peer;

/* INVALID when there is a certificate without its key or the other way round. */
struct peer *peer_open(const struct handler_context *context, const struct peer_options *options,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void peer_free(struct peer *peer);
/* From now on; NULL: no longer. A reference is taken. */
void peer_set_bearer(struct peer *peer, struct secret *token);
/* In place of the options' user and password; NULL: none. */
void peer_set_login(struct peer *peer, enum http_auth auth, const char *user,
		    struct secret *password);

/* In place of the options' anchors and certificate; refs are taken. NULL: as it was. */
gboolean peer_set_anchors(struct peer *peer, GPtrArray *certs,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean peer_set_identity(struct peer *peer, struct cert *cert, const struct key *key,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* method, url, body and headers of the request count, the rest is filled in where it is not set.
 * *sent (may be NULL) as in http.h. NULL: no answer. */
struct http_answer *peer_send(struct peer *peer, struct http_request *request, gboolean *sent,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Says what it means that nothing came back. acts: the request changes something there. */
void peer_lost(const GError *why, gboolean acts, gboolean sent, struct handler_answer *answer);
/* Says what a status means that is not the awaited one: 400, 413, 422 REJECTED; 401, 403, 404 and
 * redirects RETRY until an administrator acts; 409 CONFLICT; 408, 429, 5xx RETRY, not before
 * Retry-After; a 5xx of what acts is CONFLICT but for 503 (nothing was begun). An awaited status
 * with a body that cannot be read is treated as 500. code and text are the peer's, or NULL. */
void peer_failure(const struct handler_context *context, const struct http_answer *got,
		  gboolean acts, const char *code, const char *text, struct handler_answer *answer);
/* Only a question was refused, not the request that it is about: RETRY, and later rather than
 * never. */
void peer_soften(struct handler_answer *answer);
/* What the answer says as an error, for chain(): TEMPORARY for what may heal, else INVALID. */
void peer_fail(const struct handler_answer *answer, GError **error);
/* The status and what kind of body came, for a text: "HTTP status 502 with an HTML page". */
char *peer_describe(const struct http_answer *got);

/* A JSON document, whatever the media type says; INVALID: it is none. Free with json_decref. */
json_t *peer_json(const struct http_answer *got, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A member as text; NULL: not there, or of another type, or longer than max_bytes. */
const char *peer_json_text(const json_t *object, const char *name, gsize max_bytes);
/* One certificate, and all, of PEM text or PKCS#7; INVALID. struct cert, the caller's. */
struct cert *peer_cert_from_pem(const char *text, gsize length,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *peer_certs_from(GBytes *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* JSON as the body of a request that holds a secret. */
struct secret *peer_json_body(const json_t *document);
/* application/x-www-form-urlencoded; values may be NULL (left out). */
struct peer_field {
	const char *name, *value; /* name NULL ends */
};
struct secret *peer_form_body(const struct peer_field *fields);

DEFINE_CLEANUP(peer, peer_free)

#endif
