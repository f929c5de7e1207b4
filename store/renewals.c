/*
 * renewals - SQL and mapping of certificates about to end.
 */
#include "store/renewals.h"

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

void
renewal_row_free(struct renewal_row *row)
{
	if (row == NULL)
		return;
	g_free(row->thumbprint);
	g_free(row);
}

/* What can be renewed: its key is here, its user too, and nothing newer is there or under way. */
#define RENEWABLE                                                                                  \
	" NOT c.is_ca AND NOT c.pending"                                                           \
	" AND EXISTS (SELECT 1 FROM private_key k WHERE k.spki_sha256 = c.spki_sha256)"            \
	" AND NOT EXISTS (SELECT 1 FROM user_left u WHERE u.address = r.email)"                    \
	" AND NOT EXISTS (SELECT 1 FROM request o LEFT JOIN certificate d ON d.request_id = o.id"  \
	" WHERE o.email = r.email AND o.key_use = r.key_use AND o.names = r.names"                 \
	" AND o.profile IS NOT DISTINCT FROM r.profile AND o.id <> r.id"                           \
	" AND (o.state IN ('new', 'keyed', 'pending') OR d.not_after > c.not_after))"

static const struct statement renewals_due_statement = {
	"renewals_due",
	"SELECT c.thumbprint, r.id, coalesce(n.attempts, 0) FROM certificate c"
	" JOIN request r ON r.id = c.request_id"
	" LEFT JOIN renewal n ON n.thumbprint = c.thumbprint"
	" LEFT JOIN renewal_advice a ON a.thumbprint = c.thumbprint"
	" WHERE c.not_after > $1 AND CASE WHEN a.renew_at IS NOT NULL THEN a.renew_at <= $1"
	" ELSE c.not_after <= $1 + $2 * interval '1 day'"
	" AND c.not_after <= $1 + (c.not_after - c.not_before) / 3 END"
	" AND (n.next_try IS NULL OR n.next_try <= $1) AND" RENEWABLE
	" ORDER BY c.not_after LIMIT $3",
};

GPtrArray *
renewals_due(struct db *db, gint64 now, gint64 days, gint limit, GError **error)
{
	struct params *params = params_new();

	params_time(params, now);
	params_int(params, days);
	params_int(params, limit);
	CLEANUP(rows) struct rows *rows = db_query(db, &renewals_due_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)renewal_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct renewal_row *row = g_new0(struct renewal_row, 1);
		row->thumbprint = g_strdup(rows_text(rows, r, 0));
		row->request_id = rows_int(rows, r, 1);
		row->attempts = (gint)rows_int(rows, r, 2);
		g_ptr_array_add(found, row);
	}
	return found;
}

static const struct statement renewals_note_statement = {
	"renewals_note",
	"INSERT INTO renewal AS n (thumbprint, attempts, next_try, request_id, note)"
	" VALUES ($1, 1, $3, nullif($2::bigint, 0), $4) ON CONFLICT (thumbprint) DO UPDATE"
	" SET attempts = n.attempts + 1, next_try = excluded.next_try,"
	" request_id = coalesce(excluded.request_id, n.request_id), note = excluded.note",
};

gboolean
renewals_note(struct tx *tx, const char *thumbprint, gint64 request_id, gint64 next_try,
	      const char *note, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	params_int(params, request_id);
	params_time(params, next_try);
	params_text(params, note);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &renewals_note_statement, params, error);
	return rows != NULL;
}

/* ---- what CAs say ---------------------------------------------------------------------------- */

void
renewal_advice_free(struct renewal_advice *advice)
{
	if (advice == NULL)
		return;
	g_free(advice->thumbprint);
	if (advice->der != NULL)
		g_bytes_unref(advice->der);
	g_free(advice->handler);
	g_free(advice->handler_config);
	g_free(advice->error);
	g_free(advice);
}

#define ADVICE                                                                                     \
	"a.window_start, a.window_end, a.renew_at, a.asked, a.next_ask, coalesce(a.failures, 0),"  \
	" coalesce(a.error, '')"

/* These columns from c on. */
static void
read_advice(struct renewal_advice *advice, const struct rows *rows, int r, int c)
{
	advice->window_start = rows_time(rows, r, c++);
	advice->window_end = rows_time(rows, r, c++);
	advice->renew_at = rows_time(rows, r, c++);
	advice->asked = rows_time(rows, r, c++);
	advice->next_ask = rows_time(rows, r, c++);
	advice->failures = (gint)rows_int(rows, r, c++);
	advice->error = g_strdup(rows_text(rows, r, c++));
}

static const struct statement renewal_advice_due_statement = {
	"renewal_advice_due",
	"SELECT c.thumbprint, c.der, r.handler, r.handler_config, " ADVICE " FROM certificate c"
	" JOIN request r ON r.id = c.request_id AND r.thumbprint = c.thumbprint"
	" LEFT JOIN renewal_advice a ON a.thumbprint = c.thumbprint"
	" WHERE r.handler = ANY ($1::text[]) AND c.not_after > $2"
	" AND (a.next_ask IS NULL OR a.next_ask <= $2) AND" RENEWABLE
	" ORDER BY a.next_ask NULLS FIRST, c.id LIMIT $3",
};

GPtrArray *
renewal_advice_due(struct db *db, const char *const *handlers, gint64 now, gint limit,
		   GError **error)
{
	struct params *params = params_new();

	params_text_array(params, handlers, g_strv_length((char **)handlers));
	params_time(params, now);
	params_int(params, limit);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &renewal_advice_due_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)renewal_advice_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct renewal_advice *advice = g_new0(struct renewal_advice, 1);
		advice->thumbprint = g_strdup(rows_text(rows, r, 0));
		advice->der = rows_bytes(rows, r, 1);
		advice->handler = g_strdup(rows_text(rows, r, 2));
		advice->handler_config = g_strdup(rows_text(rows, r, 3));
		read_advice(advice, rows, r, 4);
		g_ptr_array_add(found, advice);
	}
	return found;
}

static const struct statement renewal_advice_find_statement = {
	"renewal_advice_find",
	"SELECT " ADVICE " FROM renewal_advice a WHERE a.thumbprint = $1",
};

gboolean
renewal_advice_find(struct db *db, const char *thumbprint, struct renewal_advice **advice,
		    GError **error)
{
	struct params *params = params_new();

	*advice = NULL;
	params_text(params, thumbprint);
	CLEANUP(rows)
	struct rows *rows = db_query(db, &renewal_advice_find_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return TRUE;
	*advice = g_new0(struct renewal_advice, 1);
	(*advice)->thumbprint = g_strdup(thumbprint);
	read_advice(*advice, rows, 0, 0);
	return TRUE;
}

static const struct statement renewal_advice_save_statement = {
	"renewal_advice_save",
	"INSERT INTO renewal_advice (thumbprint, window_start, window_end, renew_at, asked,"
	" next_ask, failures, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
	" ON CONFLICT (thumbprint) DO UPDATE SET window_start = excluded.window_start,"
	" window_end = excluded.window_end, renew_at = excluded.renew_at, asked = excluded.asked,"
	" next_ask = excluded.next_ask, failures = excluded.failures, error = excluded.error",
};

gboolean
renewal_advice_save(struct tx *tx, const struct renewal_advice *advice, GError **error)
{
	struct params *params = params_new();

	params_text(params, advice->thumbprint);
	params_time(params, advice->window_start);
	params_time(params, advice->window_end);
	params_time(params, advice->renew_at);
	params_time(params, advice->asked);
	params_time(params, advice->next_ask);
	params_int(params, advice->failures);
	params_text(params, advice->error);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &renewal_advice_save_statement, params, error);
	return rows != NULL;
}
