/*
 * db - the handle: which pool a statement goes to.
 */
#include "store/db/db.h"

#include <string.h>

#include "store/base/error.h"
#include "store/db/internal.h"

struct db {
	struct settings *settings;
	struct clock *clock;
	enum db_role role;
	struct pool *primary;
	struct pool *read; /* the same as primary unless the milter has a replica */
	guint64 retries;   /* atomic */
};

static struct pool *
open_pool(const struct settings *settings, enum db_role role, const char *text, GError **error)
{
	g_autofree char *conninfo = conninfo_for(settings, role, text, error);

	return conninfo != NULL ? pool_new(settings, conninfo) : NULL;
}

struct db *
db_open(const struct settings *settings, enum db_role role, struct clock *clock, GError **error)
{
	gboolean replica = *settings->database_read != '\0' &&
			   (role == DB_ROLE_MILTER || role == DB_ROLE_READONLY);
	CLEANUP(db) struct db *db = g_new0(struct db, 1);

	db->settings = settings_ref(settings);
	db->clock = clock;
	db->role = role;
	db->primary = open_pool(settings, role, settings->database, error);
	if (db->primary == NULL)
		return NULL;
	db->read =
	    replica ? open_pool(settings, role, settings->database_read, error) : db->primary;
	if (db->read == NULL)
		return NULL;
	return g_steal_pointer(&db);
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	if (db->read != db->primary)
		pool_free(db->read);
	pool_free(db->primary);
	settings_unref(db->settings);
	g_free(db);
}

static struct rows *
pool_query(struct pool *pool, const struct statement *statement, const struct params *params,
	   gboolean *lost, GError **error)
{
	struct connection *connection = pool_take(pool, error);
	struct rows *rows;

	*lost = FALSE;
	if (connection == NULL)
		return NULL;
	rows = connection_query(connection, statement, params, error);
	*lost = rows == NULL && connection_lost(connection);
	pool_give(pool, connection);
	return rows;
}

/* What only reads may be asked twice when the server went away in between. */
static gboolean
reads_only(const struct statement *statement)
{
	return g_ascii_strncasecmp(statement->sql, "SELECT ", 7) == 0;
}

struct rows *
db_query(struct db *db, const struct statement *statement, struct params *params, GError **error)
{
	CLEANUP(params) struct params *owned = params;
	g_autoptr(GError) local = NULL;
	gboolean lost = FALSE;
	struct rows *rows = pool_query(db->read, statement, owned, &lost, &local);

	if (rows == NULL && lost && reads_only(statement)) {
		g_clear_error(&local);
		rows = pool_query(db->read, statement, owned, &lost, &local);
	}
	if (rows == NULL)
		g_propagate_error(error, g_steal_pointer(&local));
	return rows;
}

struct rows *
db_write(struct db *db, const struct statement *statement, struct params *params, GError **error)
{
	CLEANUP(params) struct params *owned = params;
	gboolean lost = FALSE;

	return pool_query(db->primary, statement, owned, &lost, error);
}

gboolean
db_ping(struct db *db, GError **error)
{
	static const struct statement ping = { "db_ping", "SELECT 1" };
	CLEANUP(rows) struct rows *rows = db_write(db, &ping, NULL, error);

	return rows != NULL;
}

gboolean
db_is_standby(struct db *db)
{
	static const struct statement standby = { "db_is_standby", "SELECT pg_is_in_recovery()" };
	CLEANUP(rows) struct rows *rows = db_query(db, &standby, NULL, NULL);

	return rows != NULL && rows_bool(rows, 0, 0);
}

void
db_stats(struct db *db, struct db_stats *stats)
{
	struct db_stats read = { 0 };

	pool_stats(db->primary, stats);
	if (db->read != db->primary)
		pool_stats(db->read, &read);
	stats->connections += read.connections;
	stats->busy += read.busy;
	stats->connects += read.connects;
	stats->failures += read.failures;
	stats->waits += read.waits;
	stats->timeouts += read.timeouts;
	stats->queries += read.queries;
	stats->retries = __atomic_load_n(&db->retries, __ATOMIC_RELAXED);
}

guint64
db_read_epoch(struct db *db)
{
	return pool_epoch(db->read);
}

gint64
db_now(const struct db *db)
{
	return clock_now(db->clock);
}

enum db_role
db_role(const struct db *db)
{
	return db->role;
}

struct pool *
db_pool_primary(struct db *db)
{
	return db->primary;
}

void
db_count_retry(struct db *db)
{
	__atomic_add_fetch(&db->retries, 1, __ATOMIC_RELAXED);
}
