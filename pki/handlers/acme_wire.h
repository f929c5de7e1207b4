/*
 * acme_wire - a conversation with an ACME server: signed requests, nonces, problems (RFC 8555
 * section 6).
 *
 * A conversation belongs to one act of the handler. What ends it is kept in it: the peer's "no" or
 * its silence as the handler's answer, what we could not do as an error; functions then say FALSE
 * or NULL, and acme_end() hands both over. URLs come from the server alone.
 * Threads: one at a time.
 */
#ifndef PKI_HANDLERS_ACME_WIRE_H
#define PKI_HANDLERS_ACME_WIRE_H

#include "pki/handlers/acme_object.h"
#include "pki/handlers/acme_problem.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/peer.h"
#include "store/base/cleanup.h"

struct key;

struct acme {
	const struct handler_context *context;
	struct handler_answer *answer; /* of the act */
	struct acme_directory *directory;
	char *directory_url; /* as configured */
	struct key *key;     /* of the account; NULL: none yet */
	char *kid;           /* URL of the account; NULL: not registered */
	char *thumbprint;    /* of the account key */
	struct peer *peer;
	char *nonce;
	GError *error;
	gint64 deadline_us; /* of waiting inside of this act; clock_monotonic_us() */
};

struct acme_call {
	const char *url;
	json_t *payload;      /* taken; NULL: POST-as-GET */
	gboolean acts;        /* changes something there */
	const struct key *as; /* signs with this key, named by its JWK; NULL: the account's */
	const char *accept;   /* NULL: any */
};

/* Reads the directory. NULL with *error or with *answer set. */
struct acme *acme_open(const struct handler_context *context, struct handler_answer *answer,
		       GError **error);
void acme_free(struct acme *acme);
/* FALSE with *error for what we could not do; TRUE: the answer says how it ended. */
gboolean acme_end(struct acme *acme, GError **error);

/* A status of 2xx, or NULL: then the conversation has ended, unless *problem (may be NULL) takes
 * the problem document; it is NULL where there was none. */
struct http_answer *acme_post(struct acme *acme, const struct acme_call *call,
			      struct acme_problem **problem);
/* The same, the body being JSON; *got (may be NULL) is the whole answer. */
json_t *acme_post_json(struct acme *acme, const struct acme_call *call, struct http_answer **got,
		       struct acme_problem **problem);
/* Without a signature: the directory, renewal information. */
json_t *acme_get_json(struct acme *acme, const char *url, struct http_answer **got);

/* Compact; the caller's. */
char *acme_json_text(const json_t *json);

/* Ends it. FALSE, so that a caller can return it. */
gboolean acme_fail(struct acme *acme, GError *error); /* taken */
gboolean acme_stop(struct acme *acme, enum handler_status status,
		   enum handler_error_class error_class, const char *code, const char *format, ...)
    G_GNUC_PRINTF(5, 6);
/* By a problem; what is a sentence before it, or NULL. */
gboolean acme_stop_problem(struct acme *acme, const char *what, const struct acme_problem *problem);
/* Waits so long, or until something stops us; FALSE: it is not worth it, the time is over. */
gboolean acme_wait(struct acme *acme, gint64 milliseconds);
gboolean acme_stopping(const struct acme *acme);

DEFINE_CLEANUP(acme, acme_free)

#endif
