/*
 * embedded - the private PostgreSQL cluster: made once, then run under a supervisor.
 *
 * Data in STATE_DIR/database, owned by database_user; one unix socket in RUN_DIR/database; no
 * TCP. Peer authentication with a map: root and daemon_user are postseal_daemon, root and
 * milter_user postseal_milter, root and database_user the superuser. Somebody else who
 * starts it is all of them (development).
 * A lock on the data directory is inherited by every server process, so that there is never a
 * second server on it, also while processes of a killed one still end.
 */
#ifndef STORE_DB_EMBEDDED_H
#define STORE_DB_EMBEDDED_H

#include <glib.h>

#include "store/config/settings.h"
#include "store/db/db.h"

#define EMBEDDED_PORT 5432 /* part of the socket's name only */
#define EMBEDDED_DATABASE "postseal"
#define EMBEDDED_ADMIN "postgres"

/* Is the setting database "embedded"? */
gboolean embedded_wanted(const struct settings *settings);
/* initdb, access map, roles and the database; NOT a running server. Fails when it is there. */
gboolean embedded_create(const struct settings *settings, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean embedded_exists(const struct settings *settings);
/*
 * Becomes the server (`postseald --database`): returns only when it cannot. SIGTERM is
 * postgres' smart shutdown; a supervisor stops it with SIGINT (fast).
 */
gboolean embedded_exec(const struct settings *settings, GError **error);
/*
 * Brings a stopped cluster to a newer major version (pg_upgrade, by copy); the programs of both
 * must be installed. NULL takes the newest ones. The old cluster stays beside it, in
 * STATE_DIR/database.VERSION, until somebody removes it.
 */
gboolean embedded_upgrade(const struct settings *settings, const char *new_bin_dir,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *embedded_conninfo(const struct settings *settings, enum db_role role);
char *embedded_data_dir(const struct settings *settings);
char *embedded_socket_dir(const struct settings *settings);
/* The major version that made the cluster; 0 with *error when it cannot be read. */
int embedded_cluster_major(const struct settings *settings, GError **error);
/* Where initdb, postgres, pg_dump are; major 0 takes the newest. NULL with what to install. */
char *embedded_bin_dir(const struct settings *settings, int major, GError **error);

#endif
