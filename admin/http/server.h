/*
 * server - HTTP on our own unix socket: requests in, responses out. The only libmicrohttpd.
 *
 * The socket has mode 0660; who connects is asked of the kernel (SO_PEERCRED), never of the
 * request. A thread per connection, so a handler may wait for the database. Limits: connections,
 * connections of one user, bytes of a request and of all requests together, time to send one.
 * Failure: a request beyond a limit is answered 413, 408 or 503 and never reaches the handler.
 * A user who has more connections open than are answered, with or without a request, is cut off;
 * root never is, and has connections of its own.
 */
#ifndef ADMIN_HTTP_SERVER_H
#define ADMIN_HTTP_SERVER_H

#include <glib.h>
#include <sys/types.h>

#include "store/base/cleanup.h"

struct server;

struct server_limits {
	unsigned int connections;
	unsigned int connections_for_root; /* more than these, which nobody else can take */
	unsigned int connections_per_user;
	gsize body_max_bytes;
	gsize bodies_max_bytes;       /* of all requests in flight */
	unsigned int header_seconds;  /* of silence before the header of a request is there */
	unsigned int idle_seconds;    /* of silence after that */
	unsigned int receive_seconds; /* from the first byte of a request to its last */
};

struct request {
	const char *method;
	const char *path;  /* decoded, without the query */
	GHashTable *query; /* name -> GPtrArray of values */
	const char *id;    /* header Postseal-Request, or NULL */
	GBytes *body;      /* never NULL */
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

struct response {
	unsigned int status;
	const char *content_type; /* static */
	GBytes *body;             /* the response's; never NULL */
	int exit_status;          /* header Postseal-Exit; what a command line exits with */
};

/* Fills in a response; called from any thread, several at a time. */
typedef void (*server_handler)(const struct request *request, struct response *response,
			       gpointer data);

/* Binds, listens, chmods; NULL with *error when the socket cannot be made or is in use. */
int server_listen(const char *path, const char *group_or_null, const char *const *further_groups,
		  GError **error);
struct server *server_start(int listen_fd, const struct server_limits *limits,
			    server_handler handler, gpointer data,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void server_stop(struct server *server); /* waits for requests in flight; NULL is fine */
extern const struct server_limits server_default_limits;

DEFINE_CLEANUP(server, server_stop)

#endif
