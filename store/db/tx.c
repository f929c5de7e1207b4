/*
 * tx - BEGIN, the caller's function, the change log, COMMIT; again when the server asks for it.
 */
#include "store/db/tx.h"

#include <string.h>

#include "store/base/error.h"
#include "store/db/internal.h"

#define ATTEMPTS_MAX 12
#define BACKOFF_FIRST_US 2000
#define BACKOFF_MAX_US 300000
/* More keys of one kind than this are told as "all of the kind". */
#define KEYS_MAX 200

struct tx {
	struct db *db;
	struct connection *connection;
	GHashTable *changed[CHANGE_KINDS]; /* keys; NULL: nothing of this kind */
	gboolean all[CHANGE_KINDS];
	gboolean retry;  /* a statement failed in a way that running again may mend */
	gint64 usual_us; /* limit of a statement outside of this transaction, when patient */
	gint64 now;
};

static const char *const kind_names[CHANGE_KINDS] = {
	[CHANGE_CERT] = "cert",
	[CHANGE_KEY] = "key",
	[CHANGE_ROOT] = "root",
	[CHANGE_CRL] = "crl",
	[CHANGE_CTL] = "ctl",
	[CHANGE_PREFERENCE] = "preference",
	[CHANGE_SELECTION] = "selection",
	[CHANGE_CA] = "ca",
	[CHANGE_ADDRESS] = "address",
	[CHANGE_ISSUER] = "issuer",
	[CHANGE_OCSP] = "ocsp",
	[CHANGE_DIRECTORY] = "directory",
	[CHANGE_JOB] = "job",
};

const char *
change_kind_name(enum change_kind kind)
{
	return kind_names[kind];
}

struct rows *
tx_query(struct tx *tx, const struct statement *statement, struct params *params, GError **error)
{
	CLEANUP(params) struct params *owned = params;
	struct rows *rows = connection_query(tx->connection, statement, owned, error);

	if (rows == NULL && connection_may_retry(tx->connection))
		tx->retry = TRUE;
	return rows;
}

void
tx_changed(struct tx *tx, enum change_kind kind, const char *key_or_null)
{
	if (key_or_null == NULL)
		tx->all[kind] = TRUE;
	if (tx->all[kind])
		return;
	if (tx->changed[kind] == NULL)
		tx->changed[kind] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_hash_table_add(tx->changed[kind], g_strdup(key_or_null));
	if (g_hash_table_size(tx->changed[kind]) > KEYS_MAX)
		tx->all[kind] = TRUE;
}

struct connection *
tx_connection(struct tx *tx)
{
	return tx->connection;
}

void
tx_note_failure(struct tx *tx)
{
	if (connection_may_retry(tx->connection))
		tx->retry = TRUE;
}

gboolean
tx_set_patience(struct tx *tx, gint64 seconds, GError **error)
{
	g_autofree char *sql =
	    g_strdup_printf("SET LOCAL statement_timeout = %" G_GINT64_FORMAT, seconds * 1000);

	if (tx->usual_us >= 0)
		return TRUE;
	if (!connection_run(tx->connection, "patience", sql, error)) {
		tx_note_failure(tx);
		return FALSE;
	}
	tx->usual_us = tx->connection->timeout_us;
	if (tx->usual_us != 0)
		tx->connection->timeout_us = MAX(tx->usual_us, seconds * G_USEC_PER_SEC);
	return TRUE;
}

gint64
tx_now(const struct tx *tx)
{
	return tx->now;
}

static void
collect_changes(struct tx *tx, GPtrArray *kinds, GPtrArray *keys)
{
	for (int kind = 0; kind < CHANGE_KINDS; kind++) {
		GHashTableIter iterator;
		gpointer key;

		if (tx->all[kind]) {
			g_ptr_array_add(kinds, (gpointer)kind_names[kind]);
			g_ptr_array_add(keys, NULL);
			continue;
		}
		if (tx->changed[kind] == NULL)
			continue;
		g_hash_table_iter_init(&iterator, tx->changed[kind]);
		while (g_hash_table_iter_next(&iterator, &key, NULL)) {
			g_ptr_array_add(kinds, (gpointer)kind_names[kind]);
			g_ptr_array_add(keys, key);
		}
	}
}

/*
 * The lock is the last thing before COMMIT and lives until it, so that numbers are given in the
 * order in which transactions become visible, without gaps; the INSERT is a statement of its
 * own, so that its snapshot is taken under the lock. The newest row is never deleted.
 */
static gboolean
append_changes(struct tx *tx, GError **error)
{
	static const struct statement lock = {
		"change_log_lock",
		"SELECT pg_advisory_xact_lock(hashtext('postseal.change_log'))",
	};
	static const struct statement append = {
		"change_log_append",
		"WITH added AS (INSERT INTO change_log (number, kind, key, at)"
		" SELECT (SELECT coalesce(max(number), 0) FROM change_log) + c.n, c.kind, c.key,"
		" clock_timestamp()"
		" FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS c(kind, key, n)"
		" RETURNING 1)"
		" SELECT pg_notify('postseal_change', ''), (SELECT count(*) FROM added)",
	};
	g_autoptr(GPtrArray) kinds = g_ptr_array_new();
	g_autoptr(GPtrArray) keys = g_ptr_array_new();
	CLEANUP(rows) struct rows *locked = NULL;
	CLEANUP(rows) struct rows *added = NULL;
	struct params *params;

	collect_changes(tx, kinds, keys);
	if (kinds->len == 0)
		return TRUE;
	locked = tx_query(tx, &lock, NULL, error);
	if (locked == NULL)
		return FALSE;
	params = params_new();
	params_text_array(params, (const char *const *)kinds->pdata, kinds->len);
	params_text_array(params, (const char *const *)keys->pdata, keys->len);
	added = tx_query(tx, &append, params, error);
	return added != NULL;
}

static void
reset(struct tx *tx)
{
	for (int kind = 0; kind < CHANGE_KINDS; kind++) {
		g_clear_pointer(&tx->changed[kind], g_hash_table_unref);
		tx->all[kind] = FALSE;
	}
	tx->retry = FALSE;
	tx->usual_us = -1;
	tx->now = db_now(tx->db);
}

/* COMMIT of a transaction that has failed is answered "ROLLBACK", without an error. */
static gboolean
commit(struct tx *tx, GError **error)
{
	if (PQtransactionStatus(tx->connection->pg) == PQTRANS_INERROR)
		return fail_false(error, PS_ERROR_BUG,
				  "a statement of the transaction failed and was passed over");
	if (connection_run(tx->connection, "commit", "COMMIT", error))
		return TRUE;
	tx->retry = connection_may_retry(tx->connection);
	if (connection_lost(tx->connection))
		g_prefix_error(error, "it is not known whether the change was saved: ");
	return FALSE;
}

/* TRUE: done. FALSE with tx->retry: run again; what happened has left no trace. */
static gboolean
attempt(struct tx *tx, tx_func func, gpointer data, GError **error)
{
	reset(tx);
	if (!connection_run(tx->connection, "begin", "BEGIN", error) || !func(tx, data, error) ||
	    !append_changes(tx, error)) {
		tx->retry |= connection_lost(tx->connection);
		if (error != NULL && *error == NULL)
			fail(error, PS_ERROR_BUG, "a transaction failed without a reason");
		return FALSE;
	}
	/* It may have passed over a failure that wants a repetition. */
	if (tx->retry)
		return fail_false(error, PS_ERROR_TEMPORARY, "the transaction has to be repeated");
	return commit(tx, error);
}

static void
back_off(guint number)
{
	gint64 ceiling_us = MIN((gint64)BACKOFF_FIRST_US << number, (gint64)BACKOFF_MAX_US);

	g_usleep((gulong)g_random_int_range((gint32)ceiling_us / 2, (gint32)ceiling_us + 1));
}

gboolean
db_transaction(struct db *db, tx_func func, gpointer data, GError **error)
{
	struct pool *pool = db_pool_primary(db);
	struct tx tx = { .db = db };
	gboolean done = FALSE;

	for (guint number = 0; !done; number++) {
		g_autoptr(GError) local = NULL;

		tx.connection = pool_take(pool, error);
		if (tx.connection == NULL)
			break;
		done = attempt(&tx, func, data, &local);
		if (!done && !connection_lost(tx.connection) &&
		    PQtransactionStatus(tx.connection->pg) != PQTRANS_IDLE)
			(void)connection_run(tx.connection, "rollback", "ROLLBACK", NULL);
		if (tx.usual_us >= 0)
			tx.connection->timeout_us = tx.usual_us;
		pool_give(pool, tx.connection);
		if (done)
			break;
		if (!tx.retry || number + 1 >= ATTEMPTS_MAX) {
			g_propagate_error(error, g_steal_pointer(&local));
			break;
		}
		db_count_retry(db);
		back_off(number);
	}
	reset(&tx);
	return done;
}
