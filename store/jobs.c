/*
 * jobs - SQL and mapping of jobs under leases.
 */
#include "store/jobs.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/holder.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define LIST_LIMIT 100
#define JOB_COLUMNS                                                                                \
	"id, kind, key, payload, state, due, attempts, lease_until, taken_by, error, created,"     \
	" updated"

static const char *const state_names[] = {
	[JOB_DUE] = "due",
	[JOB_RUNNING] = "running",
	[JOB_DONE] = "done",
	[JOB_FAILED] = "failed",
};

const char *
job_state_name(enum job_state state)
{
	return state_names[state];
}

void
job_row_free(struct job_row *row)
{
	if (row == NULL)
		return;
	g_free(row->kind);
	g_free(row->key);
	g_free(row->payload);
	g_free(row->taken_by);
	g_free(row->error);
	g_free(row);
}

static struct job_row *
job_row_read(const struct rows *rows, int r)
{
	struct job_row *row = g_new0(struct job_row, 1);
	const char *state = rows_text(rows, r, 4);

	row->id = rows_int(rows, r, 0);
	row->kind = g_strdup(rows_text(rows, r, 1));
	row->key = g_strdup(rows_text(rows, r, 2));
	row->payload = g_strdup(rows_text(rows, r, 3));
	row->state = JOB_FAILED;
	for (guint s = 0; s < G_N_ELEMENTS(state_names); s++)
		if (strcmp(state, state_names[s]) == 0)
			row->state = (enum job_state)s;
	row->due = rows_time(rows, r, 5);
	row->attempts = (gint)rows_int(rows, r, 6);
	row->lease_until = rows_is_null(rows, r, 7) ? 0 : rows_time(rows, r, 7);
	row->taken_by = g_strdup(rows_text(rows, r, 8));
	row->error = g_strdup(rows_text(rows, r, 9));
	row->created = rows_time(rows, r, 10);
	row->updated = rows_time(rows, r, 11);
	return row;
}

/* One that is running may have looked already at what this is about: it is due once more. */
static const struct statement jobs_enqueue_statement = {
	"jobs_enqueue",
	"INSERT INTO job (kind, key, payload, due) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (kind, key) WHERE state IN ('due', 'running')"
	" DO UPDATE SET updated = now(),"
	" due = CASE job.state WHEN 'due' THEN least(job.due, excluded.due) ELSE job.due END,"
	" again = CASE job.state WHEN 'running' THEN least(job.again, excluded.due) END"
	" WHERE job.state = 'running' OR job.due > excluded.due",
};

gboolean
jobs_enqueue(struct tx *tx, const char *kind, const char *key, const char *payload, gint64 due,
	     GError **error)
{
	struct params *params = params_new();

	params_text(params, kind);
	params_text(params, key);
	params_text(params, payload);
	params_time(params, due);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &jobs_enqueue_statement, params, error);
	return rows != NULL;
}

/* A job whose lease has run out counts as due: its taker died. */
static const struct statement jobs_take_statement = {
	"jobs_take",
	"UPDATE job SET state = 'running', attempts = attempts + 1, taken_by = $2,"
	" lease_until = $4, updated = $3 WHERE id = (SELECT j.id FROM job j"
	" WHERE j.kind = ANY ($1::text[]) AND j.due <= $3 AND (j.state = 'due'"
	" OR (j.state = 'running' AND j.lease_until < $3))"
	" ORDER BY j.due, j.id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING " JOB_COLUMNS,
};

gboolean
jobs_take(struct db *db, const char *const *kinds, gsize n, const char *taker, gint64 now,
	  gint64 lease_seconds, struct job_row **job, GError **error)
{
	struct params *params = params_new();

	*job = NULL;
	params_text_array(params, kinds, n);
	params_text(params, taker);
	params_time(params, now);
	params_time(params, now + lease_seconds);
	CLEANUP(rows) struct rows *rows = db_write(db, &jobs_take_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) > 0)
		*job = job_row_read(rows, 0);
	return TRUE;
}

/* The number of the attempt proves that the lease is still this taker's. */
#define STILL_OURS " WHERE id = $1 AND attempts = $2 AND state = 'running'"

static struct params *
lease_params(const struct job_row *job)
{
	struct params *params = params_new();

	params_int(params, job->id);
	params_int(params, job->attempts);
	return params;
}

static gboolean
lease_held(struct rows *rows, const struct job_row *job, GError **error)
{
	if (rows == NULL)
		return FALSE;
	gint64 n = rows_affected(rows);
	rows_free(rows);
	if (n == 1)
		return TRUE;
	return fail_false(error, PS_ERROR_NOT_FOUND,
			  "job %" G_GINT64_FORMAT " (%s %s) is no longer ours: its lease ran out",
			  job->id, job->kind, job->key);
}

static const struct statement jobs_takers_statement = {
	"jobs_takers",
	"SELECT coalesce(array_agg(DISTINCT taken_by), '{}') FROM job"
	" WHERE state = 'running' AND taken_by IS NOT NULL",
};
static const struct statement jobs_release_statement = {
	"jobs_release",
	"UPDATE job SET lease_until = $2 WHERE state = 'running' AND taken_by = ANY ($1::text[])",
};

gboolean
jobs_release_dead(struct tx *tx, GError **error)
{
	CLEANUP(rows) struct rows *rows = tx_query(tx, &jobs_takers_statement, NULL, error);

	if (rows == NULL)
		return FALSE;
	g_auto(GStrv) takers = rows_text_array(rows, 0, 0);
	g_auto(GStrv) dead = holder_dead_among((const char *const *)takers);
	if (*dead == NULL)
		return TRUE;
	struct params *params = params_new();
	params_text_array(params, (const char *const *)dead, g_strv_length(dead));
	params_time(params, tx_now(tx) - 1);
	CLEANUP(rows) struct rows *released = tx_query(tx, &jobs_release_statement, params, error);
	return released != NULL;
}

static const struct statement jobs_extend_statement = {
	"jobs_extend",
	"UPDATE job SET lease_until = $3, updated = now()" STILL_OURS,
};

gboolean
jobs_extend(struct db *db, const struct job_row *job, gint64 until, GError **error)
{
	struct params *params = lease_params(job);

	params_time(params, until);
	return lease_held(db_write(db, &jobs_extend_statement, params, error), job, error);
}

static const struct statement jobs_finish_statement = {
	"jobs_finish",
	"UPDATE job SET state = CASE WHEN again IS NULL THEN 'done' ELSE 'due' END,"
	" due = coalesce(again, due), attempts = CASE WHEN again IS NULL THEN attempts ELSE 0 END,"
	" again = NULL, lease_until = NULL, error = NULL, updated = now()" STILL_OURS,
};

gboolean
jobs_finish(struct tx *tx, const struct job_row *job, GError **error)
{
	return lease_held(tx_query(tx, &jobs_finish_statement, lease_params(job), error), job,
			  error);
}

static const struct statement jobs_postpone_statement = {
	"jobs_postpone",
	"UPDATE job SET state = CASE WHEN coalesce($3::timestamptz, again) IS NULL THEN 'failed'"
	" ELSE 'due' END, due = coalesce(least($3::timestamptz, again), due), again = NULL,"
	" lease_until = NULL, error = $4, updated = now()" STILL_OURS,
};

gboolean
jobs_postpone(struct tx *tx, const struct job_row *job, gint64 due, const char *reason,
	      GError **error)
{
	struct params *params = lease_params(job);

	params_time(params, due);
	params_text(params, reason);
	return lease_held(tx_query(tx, &jobs_postpone_statement, params, error), job, error);
}

static const struct statement jobs_retry_statement = {
	"jobs_retry",
	"UPDATE job SET state = 'due', due = $2, lease_until = NULL, updated = now()"
	" WHERE id = $1 AND state IN ('due', 'failed')",
};

static const struct statement jobs_exists_statement = {
	"jobs_exists",
	"SELECT 1 FROM job WHERE id = $1",
};

static gboolean
retry_refused(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &jobs_exists_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "job %" G_GINT64_FORMAT " does not exist", id);
	return fail_false(error, PS_ERROR_INVALID,
			  "job %" G_GINT64_FORMAT " is not waiting and has not failed", id);
}

gboolean
jobs_retry(struct tx *tx, gint64 id, gint64 now, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_time(params, now);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &jobs_retry_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return retry_refused(tx, id, error);
	return TRUE;
}

static const struct statement jobs_find_statement = {
	"jobs_find",
	"SELECT " JOB_COLUMNS " FROM job WHERE id = $1",
};

struct job_row *
jobs_find(struct db *db, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows) struct rows *rows = db_query(db, &jobs_find_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "job %" G_GINT64_FORMAT " does not exist",
			    id);
	return job_row_read(rows, 0);
}

static const struct statement jobs_list_statement = {
	"jobs_list",
	"SELECT " JOB_COLUMNS " FROM job WHERE ($1::text IS NULL OR kind = $1)"
	" AND (NOT $2 OR state IN ('due', 'running')) AND ($3 = 0 OR id < $3)"
	" ORDER BY id DESC LIMIT $4",
};

GPtrArray *
jobs_list(struct db *db, const char *kind, gboolean only_open, gint64 before, gint limit,
	  GError **error)
{
	struct params *params = params_new();

	params_text(params, kind);
	params_bool(params, only_open);
	params_int(params, before);
	params_int(params, limit > 0 ? limit : LIST_LIMIT);
	CLEANUP(rows) struct rows *rows = db_query(db, &jobs_list_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)job_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, job_row_read(rows, r));
	return found;
}

static const struct statement jobs_forget_statement = {
	"jobs_forget",
	"DELETE FROM job WHERE state IN ('done', 'failed') AND updated < $1",
};

gboolean
jobs_forget(struct tx *tx, gint64 older_than, GError **error)
{
	struct params *params = params_new();

	params_time(params, older_than);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &jobs_forget_statement, params, error);
	return rows != NULL;
}

static const struct statement jobs_ask_statement = {
	"jobs_ask",
	"SELECT milter_job($1, $2, $3)",
};

gboolean
jobs_ask(struct db *db, const char *kind, const char *key, const char *payload, GError **error)
{
	struct params *params = params_new();

	params_text(params, kind);
	params_text(params, key);
	params_text(params, payload);
	CLEANUP(rows) struct rows *rows = db_write(db, &jobs_ask_statement, params, error);
	return rows != NULL;
}

static const struct statement jobs_ask_all_statement = {
	"jobs_ask_all",
	"SELECT milter_job($1, k, NULL) FROM unnest($2::text[]) AS k",
};

gboolean
jobs_ask_all(struct db *db, const char *kind, const char *const *keys, gsize n, GError **error)
{
	struct params *params = params_new();

	params_text(params, kind);
	params_text_array(params, keys, n);
	CLEANUP(rows) struct rows *rows = db_write(db, &jobs_ask_all_statement, params, error);
	return rows != NULL;
}
