/*
 * http - bounded requests, over TCP or a unix socket. The only way to libcurl.
 *
 * One request, one answer; nothing is kept between calls but the connection of a client.
 * Limits are part of the request and are checked while the answer arrives: an answer that is
 * larger, or that takes longer, is an error. Redirects are followed only when asked for, to http
 * and https alone, and every hop passes the same guard. Proxies of the environment are not used,
 * content is not decompressed. A status outside 200-299 is an answer, not an error.
 * Failure: PS_ERROR_TEMPORARY when the server cannot be reached or breaks off; DENIED when the
 * guard refuses, and when a configured peer's certificate or ours is not accepted; INVALID for what
 * stays wrong (too large, too many redirects). No error text holds anything that the server sent.
 * A URL that holds a secret has shown_url beside it, and copies of it are wiped; it is not
 * redirected. A request other than GET and HEAD goes out once: never over a connection that may
 * have died, and never again because the answer did not come. Whoever sends one learns with `sent`
 * whether the server may have got it. Secrets are borrowed, and the memory of libcurl is wiped as
 * it is freed. Threads: a client belongs to one thread.
 */
#ifndef PKI_NET_HTTP_H
#define PKI_NET_HTTP_H

#include <glib.h>

#include "store/base/cleanup.h"

struct address_guard;
struct http_client;
struct secret;

/* Who we are to a server that asks with 401; BEARER and BASIC do not wait to be asked. NEGOTIATE
 * takes the ticket that the process has, whatever user and password. */
enum http_auth {
	HTTP_AUTH_NONE,
	HTTP_AUTH_BASIC,
	HTTP_AUTH_DIGEST,
	HTTP_AUTH_NTLM,
	HTTP_AUTH_NEGOTIATE,
	HTTP_AUTH_BEARER, /* the password is the token */
};

/* All from memory, borrowed; what is NULL is not used. */
struct http_tls {
	GBytes *anchors;          /* PEM, in place of the system's */
	GBytes *certs;            /* PEM: ours, then what issued it */
	const struct secret *key; /* of ours: PKCS#8 in DER, not encrypted */
	gboolean version_1_2;     /* for servers that ask for the certificate late */
};

struct http_request {
	const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
	const char *url;
	const char *shown_url;    /* what errors say for a URL with a secret in it; or NULL */
	const char *unix_socket;  /* NULL: TCP */
	const char *content_type; /* of the body */
	GBytes *body;             /* NULL: none */
	const struct secret *secret_body; /* in its place */
	enum http_auth auth;
	const char *user;
	const struct secret *password;
	const struct http_tls *tls; /* NULL: the system's anchors, no certificate of ours */
	gboolean answer_is_secret;  /* its body is wiped when it is freed */
	gboolean *sent;             /* may be NULL; set before return, good or bad */
	const char *const *headers; /* "Name: value" lines, NULL-terminated; may be NULL */
	gsize answer_max_bytes;     /* 0: 1 MiB */
	unsigned int timeout_ms;    /* of the whole exchange; 0: 30 s */
	/* For a URL that a stranger named: what may be connected to. The URL is read strictly
	 * (pki/net/url.h), connections are not reused. NULL: the peer was configured. */
	const struct address_guard *guard;
	guint redirects_max;         /* 0: a redirect is an answer like others */
	const char *if_none_match;   /* an ETag as it came; NULL: none */
	gint64 if_modified_since;    /* 0: none */
	const char *proxy;           /* http://host:port, connected to as it is; NULL, "": none */
	const char *const *no_proxy; /* as url_host_is_among; NULL: none */
	gboolean tls_unverified;     /* for what is signed in itself */
	guint low_speed_seconds; /* slower than 100 bytes a second for so long: given up; 0: off */
	/* Called while waiting; FALSE gives up. May be NULL. */
	gboolean (*waiting)(gpointer data);
	gpointer waiting_data;
};

struct http_answer {
	unsigned int status;
	char *content_type; /* may be NULL */
	GBytes *body;
	GHashTable *headers; /* lower-case name -> value; the last of a repeated one, of Link all;
			      * use http_header */
	/* Read strictly, left out when they are not as they should be. */
	char *etag;           /* NULL: none */
	gint64 last_modified; /* 0: none */
	gint64 max_age;       /* seconds; 0 for no-cache and no-store; -1: does not say */
	gint64 retry_after;   /* seconds from now; -1: does not say */
	char *url;            /* that answered, after redirects */
};

struct http_client *http_client_new(void);
void http_client_free(struct http_client *client);
struct http_answer *http_send(struct http_client *client, const struct http_request *request,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
void http_answer_free(struct http_answer *answer);
/* NULL: not there. Case of the name does not count. */
const char *http_header(const struct http_answer *answer, const char *name);
/* Percent-encodes for a path segment or query value; owned by the caller. */
char *http_escape(const char *text);

DEFINE_CLEANUP(http_client, http_client_free)
DEFINE_CLEANUP(http_answer, http_answer_free)

#endif
