/*
 * libmilter_glue - the milter protocol (version 6), the only user of libmilter.
 *
 * One per process, as the library is. The library starts the threads; the handler's functions
 * are called from them.
 */
#ifndef MILTER_LIBMILTER_GLUE_H
#define MILTER_LIBMILTER_GLUE_H

#include <glib.h>
#include <sys/types.h>

struct session_handler;

struct milter_options {
	const char *socket;       /* "unix:/path" or "inet:port@host", "inet6:port@host" */
	mode_t socket_mode;       /* of a unix socket */
	const char *socket_group; /* who may connect to it, or NULL: our own group */
	guint connections_max;    /* more are turned away at negotiation */
	guint timeout_seconds;    /* of silence, in either direction */
	gsize packet_max_bytes;   /* a header field travels in one packet */
	const struct session_handler *handler;
};

/*
 * Opens the socket. A dead unix socket there is replaced; one that somebody serves is an error
 * that names it. The options must stay until milter_run returns.
 */
gboolean milter_listen(const struct milter_options *options,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Serves until the process ends; returns only on failure. */
gboolean milter_run(GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* New connections find nobody from now on (unix sockets); those that are open go on. */
void milter_close_door(void);
guint milter_connections(void);

#endif
