/*
 * requests_work - SQL of the requests' workers.
 */
#include "store/requests_work.h"

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/holder.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/jobs.h"

#define OPEN_STATES " state IN ('new', 'keyed', 'pending')"
#define DUE "greatest(next_try, lease_until)"

static const struct statement requests_next_due_statement = {
	"requests_next_due",
	"SELECT min(" DUE "), count(*) FILTER (WHERE " DUE " <= $3) FROM"
	" (SELECT next_try, lease_until FROM request WHERE" OPEN_STATES
	" AND handler = $1 AND handler_config = $2 AND next_try IS NOT NULL"
	" ORDER BY next_try LIMIT 50) AS first",
};

gboolean
requests_next_due(struct db *db, const char *handler, const char *config, gint64 now, gint64 *next,
		  gboolean *more, GError **error)
{
	struct params *params = params_new();

	params_text(params, handler);
	params_text(params, config);
	params_time(params, now);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &requests_next_due_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*next = rows_time(rows, 0, 0);
	*more = rows_int(rows, 0, 1) > 0;
	return TRUE;
}

static const struct statement requests_waiting_statement = {
	"requests_waiting",
	"SELECT handler, handler_config, min(" DUE ") FROM request WHERE" OPEN_STATES
	" AND next_try IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 1000",
};

void
requests_waiting_free(struct requests_waiting *waiting)
{
	if (waiting == NULL)
		return;
	g_free(waiting->handler);
	g_free(waiting->config);
	g_free(waiting);
}

GPtrArray *
requests_waiting(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_write(db, &requests_waiting_statement, NULL, error);

	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)requests_waiting_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct requests_waiting *waiting = g_new0(struct requests_waiting, 1);

		waiting->handler = g_strdup(rows_text(rows, r, 0));
		waiting->config = g_strdup(rows_text(rows, r, 1));
		waiting->next = rows_time(rows, r, 2);
		g_ptr_array_add(found, waiting);
	}
	return found;
}

gboolean
requests_call_worker(struct tx *tx, const char *handler, const char *config, gboolean here,
		     gint64 due, GError **error)
{
	g_autofree char *key = g_strdup_printf("%s/%s/0", handler, config);

	const char *kind = here ? REQUESTS_JOB_HERE : REQUESTS_JOB_ASK;

	/* What is due is not left to the next look of a worker. */
	if (due <= tx_now(tx))
		tx_changed(tx, CHANGE_JOB, kind);
	return jobs_enqueue(tx, kind, key, NULL, due, error);
}

static const struct statement requests_wake_statement = {
	"requests_wake",
	"UPDATE request SET next_try = $3, tries = 0, updated = now() WHERE" OPEN_STATES
	" AND handler = $1 AND handler_config = $2 AND error_class = 'permanent-config'",
};

gboolean
requests_wake(struct tx *tx, const char *handler, const char *config, gint64 now, gint64 *woken,
	      GError **error)
{
	struct params *params = params_new();

	params_text(params, handler);
	params_text(params, config);
	params_time(params, now);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &requests_wake_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*woken = rows_affected(rows);
	return TRUE;
}

static const struct statement requests_overdue_statement = {
	"requests_overdue",
	"SELECT id FROM request WHERE" OPEN_STATES " AND give_up <= $1 AND next_try IS NULL"
	" AND (lease_until IS NULL OR lease_until <= $1) ORDER BY id LIMIT 1000",
};

GArray *
requests_overdue(struct db *db, gint64 now, GError **error)
{
	struct params *params = params_new();

	params_time(params, now);
	CLEANUP(rows) struct rows *rows = db_write(db, &requests_overdue_statement, params, error);
	if (rows == NULL)
		return NULL;
	GArray *ids = g_array_new(FALSE, FALSE, sizeof(gint64));
	for (int r = 0; r < rows_count(rows); r++) {
		gint64 id = rows_int(rows, r, 0);
		g_array_append_val(ids, id);
	}
	return ids;
}

static const struct statement requests_extend_statement = {
	"requests_extend",
	"UPDATE request SET lease_until = $3 WHERE id = $1 AND attempts = $2"
	" AND lease_until IS NOT NULL AND" OPEN_STATES,
};

gboolean
requests_extend(struct db *db, gint64 id, gint attempt, gint64 until, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_int(params, attempt);
	params_time(params, until);
	CLEANUP(rows) struct rows *rows = db_write(db, &requests_extend_statement, params, error);
	if (rows == NULL)
		return FALSE;
	return rows_affected(rows) == 1 ||
	       fail_false(error, PS_ERROR_NOT_FOUND,
			  "request %" G_GINT64_FORMAT " is worked on by another", id);
}

static const struct statement requests_holders_statement = {
	"requests_holders",
	"SELECT coalesce(array_agg(DISTINCT lease_by), '{}') FROM request"
	" WHERE" OPEN_STATES " AND lease_by IS NOT NULL",
};
/* Their workers, too, whose next look would be when the lease ends. */
static const struct statement requests_release_statement = {
	"requests_release",
	"WITH released AS (UPDATE request SET lease_until = $2 WHERE" OPEN_STATES
	" AND lease_by = ANY ($1::text[]) AND lease_until > $2 RETURNING id)"
	" UPDATE job SET due = least(due, $2) WHERE kind = ANY ($3::text[]) AND state = 'due'"
	" AND EXISTS (SELECT 1 FROM released)",
};

gboolean
requests_release_dead(struct tx *tx, GError **error)
{
	static const char *const kinds[] = { REQUESTS_JOB_HERE, REQUESTS_JOB_ASK };
	CLEANUP(rows) struct rows *rows = tx_query(tx, &requests_holders_statement, NULL, error);

	if (rows == NULL)
		return FALSE;
	g_auto(GStrv) holders = rows_text_array(rows, 0, 0);
	g_auto(GStrv) dead = holder_dead_among((const char *const *)holders);
	if (*dead == NULL)
		return TRUE;
	struct params *params = params_new();
	params_text_array(params, (const char *const *)dead, g_strv_length(dead));
	params_time(params, tx_now(tx) - 1);
	params_text_array(params, kinds, G_N_ELEMENTS(kinds));
	CLEANUP(rows)
	struct rows *released = tx_query(tx, &requests_release_statement, params, error);
	return released != NULL;
}
