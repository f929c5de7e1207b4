/*
 * temporary_server - the embedded database while a command needs it and no supervisor runs it.
 *
 * One that answers already is used and left alone. Ours is stopped at the end of the command.
 */
#ifndef ADMIN_API_TEMPORARY_SERVER_H
#define ADMIN_API_TEMPORARY_SERVER_H

#include <glib.h>
#include <sys/types.h>

struct settings;

struct temporary_server {
	pid_t pid; /* 0: not ours */
};

/* Waits until it answers. */
gboolean temporary_server_start(struct temporary_server *server, const struct settings *settings,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
void temporary_server_stop(struct temporary_server *server);

#endif
