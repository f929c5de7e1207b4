/*
 * http - bounded requests, over TCP or a unix socket. The only user of libcurl.
 *
 * One request, one answer; nothing is kept between calls but the connection of a client.
 * Limits are part of the request and are checked while the answer arrives: an answer that is
 * larger, or that takes longer, is an error. Redirects are not followed and proxies of the
 * environment are not used. A status outside 200-299 is an answer, not an error.
 * Failure: PS_ERROR_TEMPORARY when the server cannot be reached or breaks off.
 * Threads: a client belongs to one thread.
 */
#ifndef PKI_NET_HTTP_H
#define PKI_NET_HTTP_H

#include <glib.h>

#include "store/base/cleanup.h"

struct http_client;

struct http_request {
	const char *method; /* "GET" or "POST" */
	const char *url;
	const char *unix_socket;    /* NULL: TCP */
	const char *content_type;   /* of the body */
	GBytes *body;               /* NULL: none */
	const char *const *headers; /* "Name: value" lines, NULL-terminated; may be NULL */
	gsize answer_max_bytes;     /* 0: 1 MiB */
	unsigned int timeout_ms;    /* of the whole exchange; 0: 30 s */
	/* Called while waiting; FALSE gives up. May be NULL. */
	gboolean (*waiting)(gpointer data);
	gpointer waiting_data;
};

struct http_answer {
	unsigned int status;
	char *content_type; /* may be NULL */
	GBytes *body;
	GHashTable *headers; /* lower-case name -> value; the last of a repeated one */
};

struct http_client *http_client_new(void);
void http_client_free(struct http_client *client);
struct http_answer *http_send(struct http_client *client, const struct http_request *request,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
void http_answer_free(struct http_answer *answer);
/* Percent-encodes for a path segment or query value; owned by the caller. */
char *http_escape(const char *text);

DEFINE_CLEANUP(http_client, http_client_free)
DEFINE_CLEANUP(http_answer, http_answer_free)

#endif
