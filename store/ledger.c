/*
 * ledger - SQL of the copies that were handed over.
 *
 * All of it goes to the primary: what a replica has not heard of yet would be sent again.
 */
#include "store/ledger.h"

#include <string.h>

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

/* One call's worth of digests, flattened copy by copy; all copies have as many. */
static void
params_digests(struct params *params, const struct ledger_copy *copies, guint count)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

	for (guint i = 0; i < count; i++)
		for (guint g = 0; g < copies[0].generations; g++)
			g_ptr_array_add(all,
					g_bytes_new(copies[i].digests[g], LEDGER_DIGEST_BYTES));
	params_bytes_array(params, (GBytes *const *)all->pdata, all->len);
	params_int(params, copies[0].generations);
}

static void
params_raw(struct params *params, const guint8 *bytes, gsize length)
{
	g_autoptr(GBytes) value = g_bytes_new(bytes, length);

	params_bytes(params, value);
}

/* Runs one statement over all copies, a thousand at a time. `more` adds what follows the digests;
 * `take` reads the rows. Both may be NULL. */
struct sweep {
	struct db *db;
	const struct statement *statement;
	const guint8 *holder; /* NULL: not a parameter */
	gint64 lease_seconds; /* -1: not a parameter */
	const char *queue_id; /* likewise NULL */
	gint not_sent;        /* likewise -1 */
};

static struct rows *
sweep_part(const struct sweep *sweep, const struct ledger_copy *copies, guint count, GError **error)
{
	struct params *params = params_new();

	params_digests(params, copies, count);
	if (sweep->holder != NULL)
		params_raw(params, sweep->holder, LEDGER_HOLDER_BYTES);
	if (sweep->lease_seconds >= 0)
		params_int(params, sweep->lease_seconds);
	if (sweep->queue_id != NULL)
		params_text(params, sweep->queue_id);
	if (sweep->not_sent >= 0)
		params_bool(params, sweep->not_sent != 0);
	return db_write(sweep->db, sweep->statement, params, error);
}

static gboolean
sweep_run(const struct sweep *sweep, const struct ledger_copy *copies, guint count, GError **error)
{
	for (guint done = 0; done < count; done += LEDGER_COPIES_MAX) {
		CLEANUP(rows)
		struct rows *rows =
		    sweep_part(sweep, copies + done, MIN(count - done, LEDGER_COPIES_MAX), error);
		if (rows == NULL)
			return FALSE;
	}
	return TRUE;
}

static gboolean
take_states(const struct rows *rows, struct ledger_copy *copies, guint count, GError **error)
{
	static const char *const words[] = { "new", "repeated", "held", "completed" };
	g_auto(GStrv) states = rows_count(rows) == 1 ? rows_text_array(rows, 0, 0) : NULL;

	if (states == NULL || g_strv_length(states) != count)
		return fail_false(error, PS_ERROR_BUG, "the ledger answers for other copies");
	for (guint i = 0; i < count; i++) {
		copies[i].state = LEDGER_HELD; /* what is not understood is not sent */
		for (guint w = 0; w < G_N_ELEMENTS(words); w++)
			if (strcmp(states[i], words[w]) == 0)
				copies[i].state = (enum ledger_state)w;
	}
	return TRUE;
}

static gboolean
sweep_states(const struct sweep *sweep, struct ledger_copy *copies, guint count, GError **error)
{
	for (guint done = 0; done < count; done += LEDGER_COPIES_MAX) {
		guint part = MIN(count - done, LEDGER_COPIES_MAX);
		CLEANUP(rows) struct rows *rows = sweep_part(sweep, copies + done, part, error);
		if (rows == NULL || !take_states(rows, copies + done, part, error))
			return FALSE;
	}
	return TRUE;
}

static const struct statement ledger_claim_statement = {
	"ledger_claim",
	"SELECT milter_ledger_claim($1, $2::integer, $3, make_interval(secs => $4::integer))",
};

gboolean
ledger_claim(struct db *db, struct ledger_copy *copies, guint count,
	     const guint8 holder[LEDGER_HOLDER_BYTES], gint64 lease_seconds, GError **error)
{
	const struct sweep sweep = { db, &ledger_claim_statement, holder, lease_seconds, NULL, -1 };

	return sweep_states(&sweep, copies, count, error);
}

static const struct statement ledger_look_statement = {
	"ledger_look",
	"SELECT array_agg(s.state ORDER BY s.copy) FROM ("
	"SELECT (d.n - 1) / $2::integer AS copy,"
	" CASE WHEN bool_or(l.digest IS NOT NULL) THEN 'completed' ELSE 'new' END AS state"
	" FROM unnest($1::bytea[]) WITH ORDINALITY AS d(digest, n) LEFT JOIN ledger l"
	" ON l.digest = d.digest AND l.state = 'completed' AND l.expires > now() GROUP BY 1) AS s",
};

gboolean
ledger_look(struct db *db, struct ledger_copy *copies, guint count, GError **error)
{
	const struct sweep sweep = { db, &ledger_look_statement, NULL, -1, NULL, -1 };

	return sweep_states(&sweep, copies, count, error);
}

static const struct statement ledger_complete_statement = {
	"ledger_complete",
	"SELECT milter_ledger_complete($1, $2::integer, $3)",
};

gboolean
ledger_complete(struct db *db, const struct ledger_copy *copies, guint count, const char *queue_id,
		GError **error)
{
	const struct sweep sweep = { db, &ledger_complete_statement, NULL, -1, queue_id, -1 };

	return sweep_run(&sweep, copies, count, error);
}

static const struct statement ledger_release_statement = {
	"ledger_release",
	"SELECT milter_ledger_release($1, $2::integer, $3, $4)",
};

gboolean
ledger_release(struct db *db, const struct ledger_copy *copies, guint count,
	       const guint8 holder[LEDGER_HOLDER_BYTES], gboolean not_sent, GError **error)
{
	const struct sweep sweep = {
		db, &ledger_release_statement, holder, -1, NULL, not_sent,
	};

	return sweep_run(&sweep, copies, count, error);
}

static const struct statement ledger_forget_statement = {
	"ledger_forget",
	"SELECT milter_ledger_forget($1, $2::integer)",
};

gboolean
ledger_forget(struct db *db, const struct ledger_copy *copies, guint count, GError **error)
{
	const struct sweep sweep = { db, &ledger_forget_statement, NULL, -1, NULL, -1 };

	return sweep_run(&sweep, copies, count, error);
}

static const struct statement ledger_any_statement = {
	"ledger_any",
	"SELECT EXISTS (SELECT 1 FROM ledger WHERE state = 'completed')",
};

gboolean
ledger_any(struct db *db, gboolean *any, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_write(db, &ledger_any_statement, NULL, error);

	if (rows == NULL)
		return FALSE;
	*any = rows_bool(rows, 0, 0);
	return TRUE;
}

static const struct statement ledger_consume_statement = {
	"ledger_consume",
	"SELECT milter_nonce($1, make_interval(secs => $2::integer))",
};

gboolean
ledger_consume(struct db *db, const guint8 nonce[LEDGER_NONCE_BYTES], gint64 keep_seconds,
	       gboolean *first, GError **error)
{
	struct params *params = params_new();

	params_raw(params, nonce, LEDGER_NONCE_BYTES);
	params_int(params, keep_seconds);
	CLEANUP(rows) struct rows *rows = db_write(db, &ledger_consume_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*first = rows_bool(rows, 0, 0);
	return TRUE;
}

static const struct statement ledger_expire_statement = {
	"ledger_expire",
	"DELETE FROM ledger WHERE digest IN"
	" (SELECT digest FROM ledger WHERE expires <= now() ORDER BY expires LIMIT 10000)",
};

gboolean
ledger_expire(struct tx *tx, gint64 *dropped, GError **error)
{
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ledger_expire_statement, NULL, error);

	if (rows == NULL)
		return FALSE;
	*dropped = rows_affected(rows);
	return TRUE;
}
