/*
 * copy - many rows into one table as a stream: COPY ... FROM STDIN (FORMAT binary).
 *
 * Begun inside of a transaction; nothing else may be asked of the transaction until copy_end.
 * A row is copy_row and then one value for each column, in the order that copy_sql names them;
 * the calls say the type that the column has (int8, int4, int2 ... : binary COPY converts
 * nothing). Values go into a buffer of 64 KiB and from there to the server, so that memory does
 * not grow with the rows. Errors (of the server, of too few or too many values) are kept and
 * come out of copy_end, which is always called and frees the copy; after the first one the
 * values are dropped. A transaction that has failed or is given up writes nothing.
 * Time: no limit on the whole (the transaction gets COPY_PATIENCE_SECONDS a statement), but the
 * server must take something within the usual limit of a statement.
 * Threads: those of the transaction.
 */
#ifndef STORE_DB_COPY_H
#define STORE_DB_COPY_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/db/tx.h"

#define COPY_PATIENCE_SECONDS 3600

struct copy;

/* copy_sql: "COPY t (a, b) FROM STDIN (FORMAT binary)", of the program's own. NULL with *error. */
struct copy *tx_copy_in(struct tx *tx, const char *copy_sql, int columns,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
void copy_row(struct copy *copy);
void copy_text(struct copy *copy, const char *or_null); /* text; not varchar(n) */
void copy_int(struct copy *copy, gint64 value);         /* bigint */
void copy_int4(struct copy *copy, gint32 value);        /* integer */
void copy_int2(struct copy *copy, gint16 value);        /* smallint */
void copy_bool(struct copy *copy, gboolean value);
void copy_time(struct copy *copy, gint64 seconds); /* timestamptz; CLOCK_NEVER gives NULL */
void copy_bytes(struct copy *copy, gconstpointer bytes, gsize length); /* bytea; never NULL */
void copy_null(struct copy *copy);
/* Has something gone wrong already, on this side? So that a long source can be left early. */
gboolean copy_failed(const struct copy *copy);
/* Frees the copy. rows (how many were written) may be NULL. */
gboolean copy_end(struct copy *copy, gint64 *rows, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Gives the rows up: the transaction can then only be rolled back. NULL is fine. */
void copy_abandon(struct copy *copy);

DEFINE_CLEANUP(copy, copy_abandon)

#endif
