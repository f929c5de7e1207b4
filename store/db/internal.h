/*
 * internal - what the files of store/db/ share and nobody else may see: libpq's types.
 *
 * A connection is used by one thread at a time. The deadline of every wait is in
 * clock_monotonic_us(); G_MAXINT64 means none.
 */
#ifndef STORE_DB_INTERNAL_H
#define STORE_DB_INTERNAL_H

#include <glib.h>
#include <libpq-fe.h>

#include "store/db/db.h"
#include "store/db/query.h"
#include "store/db/tx.h"

struct connection {
	PGconn *pg;
	GHashTable *prepared; /* statement name -> its text; NULL: never prepare */
	char *server;         /* host and port that we reached */
	gint64 used_us;       /* when it came back to the pool */
	gint64 timeout_us;    /* of one statement; 0: none */
	guint64 epoch;        /* of the pool when it was opened */
	char sqlstate[6];     /* of the last failure; "" for a lost connection */
	gboolean stale_plans; /* to be closed, not to be given on */
};

/* connection.c: one libpq connection with time limits */
/* The whole connection string for a role; text is the value of a setting, or "embedded". */
char *conninfo_for(const struct settings *settings, enum db_role role, const char *text,
		   GError **error);
void conninfo_append(GString *conninfo, const char *keyword, const char *value);
struct connection *connection_open(const char *conninfo, const struct settings *settings,
				   GError **error);
void connection_close(struct connection *connection);
/* Says without a round trip whether the server has hung up. */
gboolean connection_alive(struct connection *connection);
gboolean connection_ping(struct connection *connection, gint64 timeout_us);
/* SQL text without parameters, several statements allowed; results are dropped. */
gboolean connection_run(struct connection *connection, const char *what, const char *sql,
			GError **error);
struct rows *connection_query(struct connection *connection, const struct statement *statement,
			      const struct params *params, GError **error);
/* COPY ... FROM STDIN: begin, data, end. After a FALSE of put the server is out of COPY. */
gboolean connection_copy_begin(struct connection *connection, const char *sql, GError **error);
gboolean connection_copy_put(struct connection *connection, const char *bytes, gsize length,
			     GError **error);
/* give_up: why, for the server's log; NULL: all is there. */
gboolean connection_copy_end(struct connection *connection, const char *give_up, GError **error);
gboolean connection_lost(const struct connection *connection);
/* Does the last failure go away when the transaction is run again? */
gboolean connection_may_retry(const struct connection *connection);
/* Turns a failed result (or a lost connection) into *error; returns NULL. */
void *fail_result(GError **error, struct connection *connection, const char *what,
		  const PGresult *result);
/* libpq's texts have several lines; the first that says something, without "FATAL:". */
char *pg_message(const char *text);

/* tx.c */
struct connection *tx_connection(struct tx *tx);
void tx_note_failure(struct tx *tx); /* of what went past tx_query: is it to be run again? */

/* rows.c */
struct rows *rows_new(PGresult *result, const char *what); /* takes the result */

/* params.c: arrays as libpq wants them */
struct params_view {
	int count;
	const Oid *types;
	const char *const *values;
	const int *lengths;
	const int *formats;
	gboolean plan_anew;
};
void params_view(const struct params *params, struct params_view *view);

/* pool.c */
struct pool;
struct pool *pool_new(const struct settings *settings, const char *conninfo);
void pool_free(struct pool *pool);
struct connection *pool_take(struct pool *pool, GError **error);
void pool_give(struct pool *pool, struct connection *connection);
guint64 pool_epoch(struct pool *pool);
void pool_stats(struct pool *pool, struct db_stats *stats);

/* db.c */
struct pool *db_pool_primary(struct db *db);
void db_count_retry(struct db *db);

#endif
