/*
 * public_server - HTTP over TCP for everybody: limits, conditional requests, and nothing to change.
 *
 * What is answered from memory is answered by the threads that read the network; what may wait for
 * the database is handed to as many others, and beyond a queue of these to nobody (503). Answers
 * are immutable and shared; a digest of the body is their ETag. No cookies, no authentication, no
 * query: who asks is not looked at, but for the limits.
 * Limits: connections in all and of one address, bytes of head and body, time without a whole
 * request, time to take an answer. Failure: 400, 404, 405, 413, 415, 503, or cut off.
 */
#ifndef ADMIN_HTTP_PUBLIC_SERVER_H
#define ADMIN_HTTP_PUBLIC_SERVER_H

#include <glib.h>

#include "store/base/cleanup.h"

struct clock;
struct public_answer;
struct public_server;

struct public_limits {
	unsigned int connections;
	unsigned int connections_per_address; /* IPv6: of a /64; loopback has none of its own */
	unsigned int threads;
	unsigned int waiting_max;     /* requests that wait for a thread that may wait */
	unsigned int idle_seconds;    /* of silence */
	unsigned int receive_seconds; /* for a whole request, from the end of the last one */
	unsigned int send_seconds;    /* for taking an answer */
};
extern const struct public_limits public_default_limits;

enum public_methods { PUBLIC_GET = 1, PUBLIC_POST = 2 }; /* HEAD goes with GET */

struct public_request {
	enum public_methods method;
	const char *path; /* decoded, without the query */
	const char *rest; /* of the path, after the prefix of the route */
	GBytes *body;     /* of POST; never NULL */
};

/* A reference of the caller's; never NULL. Called from any thread, several at a time. */
typedef struct public_answer *(*public_handler)(const struct public_request *request,
						gpointer data);

struct public_route {
	const char
	    *prefix; /* the longest that fits is taken; one without '/' at its end is a path */
	unsigned int methods;
	const char *post_type; /* Content-Type that a POST must have, or NULL */
	gsize body_max_bytes;
	/* From memory, never waits; NULL, also of the function: handle() is asked. */
	public_handler peek;
	public_handler handle;
};

struct public_answer_spec {
	unsigned int status;
	const char *content_type; /* static */
	GBytes *body;             /* a reference is taken */
	gint64 last_modified;     /* CLOCK_NEVER: not said */
	gint64 expires;           /* is good until then; CLOCK_NEVER: not to be kept by anybody */
	gint64 fresh;             /* there is a newer one from then on; 0: as expires */
	gint64 keep_seconds;      /* a cache looks again after so long; 0: at that time */
	const char *allow;        /* static; of 405, or NULL */
};
struct public_answer *public_answer_new(const struct public_answer_spec *spec);
/* A page of one line, not to be kept. */
struct public_answer *public_answer_text(unsigned int status, const char *line);
struct public_answer *public_answer_ref(struct public_answer *answer);
void public_answer_unref(struct public_answer *answer); /* NULL is fine */

/* "127.0.0.1:80", "[::1]:80"; numbers only. INVALID, or TEMPORARY when it cannot be bound. */
int public_server_listen(const char *address, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes the descriptors. routes (ended by prefix NULL) are the caller's and live longer. */
struct public_server *public_server_start(const int *fds, gsize n,
					  const struct public_route *routes,
					  const struct public_limits *limits, struct clock *clock,
					  gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void public_server_stop(struct public_server *server); /* waits for requests in flight */

DEFINE_CLEANUP(public_server, public_server_stop)
DEFINE_CLEANUP(public_answer, public_answer_unref)

#endif
