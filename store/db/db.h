/*
 * db - the database as one handle: pools of connections to the primary and, where the setting
 * database_read names one, to a replica.
 *
 * db_open connects to nothing; the first use does, and every use reconnects by itself. Who
 * finds no free connection waits for database_wait, then fails: "no database connection became
 * free in 5 s". A connection that lost its server is never handed out again; a statement that
 * was under way then fails with TEMPORARY and is not repeated.
 * Threads: any number. db_close only after all of them are done.
 */
#ifndef STORE_DB_DB_H
#define STORE_DB_DB_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/clock.h"
#include "store/config/settings.h"

enum db_role {
	DB_ROLE_DAEMON,   /* postseal_daemon, owner of all tables */
	DB_ROLE_MILTER,   /* postseal_milter: SELECT, and EXECUTE on the writing functions */
	DB_ROLE_READONLY, /* postseal_readonly */
	DB_ROLE_ADMIN,    /* embedded cluster: the bootstrap superuser; else as the daemon */
};

struct db;

struct db_stats {
	guint connections; /* open now */
	guint busy;        /* of these, in use */
	guint64 connects;  /* since the start */
	guint64 failures;  /* of connecting */
	guint64 waits;     /* had to wait for a free one */
	guint64 timeouts;  /* waited in vain */
	guint64 queries;
	guint64 retries; /* transactions run again */
};

/* Fails only for a connection string that cannot be read. The clock is kept, not copied. */
struct db *db_open(const struct settings *settings, enum db_role role, struct clock *clock,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;
void db_close(struct db *db); /* NULL is fine */
/* One round trip to the primary. */
gboolean db_ping(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is what db_query reads from a standby? FALSE when it cannot be asked. */
gboolean db_is_standby(struct db *db);
void db_stats(struct db *db, struct db_stats *stats);
/* Goes up when db_query begins to read from another server than before: caches are void. */
guint64 db_read_epoch(struct db *db);
gint64 db_now(const struct db *db);
enum db_role db_role(const struct db *db);

DEFINE_CLEANUP(db, db_close)

#endif
