/*
 * query - statements with parameters, and the rows that they give.
 *
 * A statement is static: a name (of the whole program: one name, one text) and its SQL with $1,
 * $2 ... It is prepared once a connection, unless the setting prepared_statements is off.
 * Parameters travel beside the text and are never part of it; their types are what the SQL
 * says ($1::text[] where it does not). Times are timestamptz columns, bytes are bytea.
 * Results are binary: a number can be asked for as text, a bigint as a time.
 * Ownership: params are taken by the call, whatever its outcome; rows are the caller's.
 * Threads: params and rows belong to one thread; NULL params mean none.
 * Errors: TEMPORARY when the database is away, busy or read-only and when a transaction has to
 * be repeated; INVALID when a constraint or a RAISE refuses; NOT_FOUND for no_data_found;
 * DENIED without a privilege; BUG for the rest. The text names the statement.
 */
#ifndef STORE_DB_QUERY_H
#define STORE_DB_QUERY_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/clock.h"

struct statement {
	const char *name; /* at most 63 bytes */
	const char *sql;
};

struct db;
struct params;
struct rows;

struct params *params_new(void);
void params_free(struct params *params);
void params_text(struct params *params, const char *or_null);
void params_int(struct params *params, gint64 value);
void params_null(struct params *params);
void params_bool(struct params *params, gboolean value);
void params_time(struct params *params, gint64 seconds); /* CLOCK_NEVER gives NULL */
void params_bytes(struct params *params, GBytes *or_null);
void params_text_array(struct params *params, const char *const *values, gsize count);
void params_int_array(struct params *params, const gint64 *values, gsize count);
void params_bytes_array(struct params *params, GBytes *const *values, gsize count);
/* Plan for these values, each time anew: for lists whose best plan depends on them. */
void params_plan_anew(struct params *params);

/* One statement on a pooled connection, by itself. It may go to a replica: it must not write. */
struct rows *db_query(struct db *db, const struct statement *statement, struct params *params,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same on the primary: one statement that writes and needs no transaction of several. */
struct rows *db_write(struct db *db, const struct statement *statement, struct params *params,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

void rows_free(struct rows *rows);
int rows_count(const struct rows *rows);
gint64 rows_affected(const struct rows *rows); /* of INSERT, UPDATE, DELETE */
gboolean rows_is_null(const struct rows *rows, int row, int column);
/* NULL for SQL NULL; lives as long as the rows. */
const char *rows_text(const struct rows *rows, int row, int column);
gint64 rows_int(const struct rows *rows, int row, int column);       /* 0 for NULL */
gboolean rows_bool(const struct rows *rows, int row, int column);    /* FALSE for NULL */
gint64 rows_time(const struct rows *rows, int row, int column);      /* CLOCK_NEVER for NULL */
GBytes *rows_bytes(const struct rows *rows, int row, int column);    /* a copy; NULL for NULL */
GStrv rows_text_array(const struct rows *rows, int row, int column); /* empty for NULL */

DEFINE_CLEANUP(params, params_free)
DEFINE_CLEANUP(rows, rows_free)

#endif
