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

static const struct statement renewals_due_statement = {
	"renewals_due",
	"SELECT c.thumbprint, r.id, coalesce(n.attempts, 0) FROM certificate c"
	" JOIN request r ON r.id = c.request_id"
	" LEFT JOIN renewal n ON n.thumbprint = c.thumbprint"
	" WHERE c.not_after > $1 AND c.not_after <= $1 + $2 * interval '1 day'"
	" AND c.not_after <= $1 + (c.not_after - c.not_before) / 3"
	" AND NOT c.is_ca AND NOT c.pending AND (n.next_try IS NULL OR n.next_try <= $1)"
	" AND EXISTS (SELECT 1 FROM private_key k WHERE k.spki_sha256 = c.spki_sha256)"
	" AND NOT EXISTS (SELECT 1 FROM user_left u WHERE u.address = r.email)"
	" AND NOT EXISTS (SELECT 1 FROM request o LEFT JOIN certificate d ON d.request_id = o.id"
	" WHERE o.email = r.email AND o.key_use = r.key_use AND o.names = r.names"
	" AND o.profile IS NOT DISTINCT FROM r.profile AND o.id <> r.id"
	" AND (o.state IN ('new', 'keyed', 'pending') OR d.not_after > c.not_after))"
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
