/*
 * fetches - SQL and mapping of URLs that are fetched.
 */
#include "store/fetches.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define FETCH_SELECT                                                                               \
	"SELECT f.url, f.kind, f.state, f.result, f.etag, f.last_modified, f.last_try,"            \
	" f.last_success, f.next_try, f.failures, f.yield, f.certificates, f.by_hand,"             \
	" EXISTS (SELECT 1 FROM job j WHERE j.kind = 'fetch' AND j.key = f.url"                    \
	" AND j.state = 'running') FROM fetch_url f"

static const char *const state_names[] = {
	[FETCH_NEVER] = "never",
	[FETCH_FAILED] = "failed",
	[FETCH_GOOD] = "good",
};
static const char *const kind_names[] = {
	[FETCH_CRL] = "crl",
	[FETCH_ISSUER] = "issuer",
};

const char *
fetch_state_name(enum fetch_state state)
{
	return state_names[state];
}

const char *
fetch_kind_name(enum fetch_kind kind)
{
	return kind_names[kind];
}

void
fetch_row_free(struct fetch_row *row)
{
	if (row == NULL)
		return;
	g_free(row->url);
	g_free(row->result);
	g_free(row->etag);
	g_free(row->yield);
	g_free(row);
}

static gint64
time_or_zero(const struct rows *rows, int r, int c)
{
	return rows_is_null(rows, r, c) ? 0 : rows_time(rows, r, c);
}

static struct fetch_row *
fetch_row_read(const struct rows *rows, int r)
{
	struct fetch_row *row = g_new0(struct fetch_row, 1);

	row->url = g_strdup(rows_text(rows, r, 0));
	row->kind = strcmp(rows_text(rows, r, 1), "issuer") == 0 ? FETCH_ISSUER : FETCH_CRL;
	for (guint s = 0; s < G_N_ELEMENTS(state_names); s++)
		if (strcmp(rows_text(rows, r, 2), state_names[s]) == 0)
			row->state = (enum fetch_state)s;
	row->result = g_strdup(rows_text(rows, r, 3));
	row->etag = g_strdup(rows_text(rows, r, 4));
	row->last_modified = time_or_zero(rows, r, 5);
	row->last_try = time_or_zero(rows, r, 6);
	row->last_success = time_or_zero(rows, r, 7);
	row->next_try = rows_time(rows, r, 8);
	row->failures = (gint)rows_int(rows, r, 9);
	row->yield = g_strdup(rows_text(rows, r, 10));
	row->certificates = rows_int(rows, r, 11);
	row->by_hand = rows_bool(rows, r, 12);
	row->under_way = rows_bool(rows, r, 13);
	return row;
}

static GPtrArray *
fetch_rows_read(struct rows *rows)
{
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)fetch_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, fetch_row_read(rows, r));
	rows_free(rows);
	return found;
}

static gboolean
run(struct tx *tx, const struct statement *statement, struct params *params, GError **error)
{
	CLEANUP(rows) struct rows *rows = tx_query(tx, statement, params, error);

	return rows != NULL;
}

static void
params_time_or_null(struct params *params, gint64 seconds)
{
	params_time(params, seconds != 0 ? seconds : CLOCK_NEVER);
}

static const struct statement fetches_add_statement = {
	"fetches_add",
	"INSERT INTO fetch_url (url, kind, next_try, by_hand) VALUES ($1, $2, $3, true)"
	" ON CONFLICT (url) DO UPDATE SET next_try = excluded.next_try, by_hand = true",
};

gboolean
fetches_add(struct tx *tx, enum fetch_kind kind, const char *url, GError **error)
{
	struct params *params = params_new();

	params_text(params, url);
	params_text(params, kind_names[kind]);
	params_time(params, tx_now(tx));
	return run(tx, &fetches_add_statement, params, error);
}

static const struct statement fetches_find_statement = {
	"fetches_find",
	FETCH_SELECT " WHERE f.url = $1",
};

struct fetch_row *
fetches_find(struct db *db, const char *url, GError **error)
{
	struct params *params = params_new();

	params_text(params, url);
	CLEANUP(rows) struct rows *rows = db_query(db, &fetches_find_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "this URL is not among those that are "
			    "fetched");
	return fetch_row_read(rows, 0);
}

static const struct statement fetches_list_statement = {
	"fetches_list",
	FETCH_SELECT " ORDER BY f.url",
};

GPtrArray *
fetches_list(struct db *db, GError **error)
{
	return fetch_rows_read(db_query(db, &fetches_list_statement, NULL, error));
}

static const struct statement fetches_by_urls_statement = {
	"fetches_by_urls",
	FETCH_SELECT " WHERE f.url = ANY ($1::text[]) ORDER BY f.url",
};

GPtrArray *
fetches_by_urls(struct db *db, const char *const *urls, gsize n, GError **error)
{
	struct params *params = params_new();

	params_text_array(params, urls, n);
	return fetch_rows_read(db_query(db, &fetches_by_urls_statement, params, error));
}

static const struct statement fetches_failing_statement = {
	"fetches_failing",
	FETCH_SELECT " WHERE f.state = 'failed' AND f.failures >= $1"
		     " ORDER BY f.certificates DESC, f.url",
};

GPtrArray *
fetches_failing(struct db *db, gint failures_min, GError **error)
{
	struct params *params = params_new();

	params_int(params, failures_min);
	return fetch_rows_read(db_query(db, &fetches_failing_statement, params, error));
}

/* A name before it may have worked meanwhile: then this one goes on waiting. */
static const struct statement fetches_record_statement = {
	"fetches_record",
	"UPDATE fetch_url SET state = $2, result = $3, etag = $4, last_modified = $5, last_try = "
	"$6,"
	" last_success = $7, next_try = CASE WHEN next_try IS NOT NULL THEN $8::timestamptz END,"
	" failures = $9, yield = $10 WHERE url = $1",
};

/* The name behind this one in each of its points, unless it is tried already. */
static const struct statement fetches_next_name_statement = {
	"fetches_next_name",
	"UPDATE fetch_url f SET next_try = $2 FROM fetch_point p"
	" WHERE p.urls @> ARRAY[$1::text] AND f.url = p.urls[array_position(p.urls, $1::text) + 1]"
	" AND f.next_try IS NULL",
};

/* Those behind this one that are the first name of no point and not asked for by hand. */
static const struct statement fetches_rest_waits_statement = {
	"fetches_rest_waits",
	"UPDATE fetch_url f SET next_try = NULL FROM fetch_point p"
	" WHERE p.urls @> ARRAY[$1::text] AND array_position(p.urls, f.url) >"
	" array_position(p.urls, $1::text) AND NOT f.by_hand"
	" AND NOT EXISTS (SELECT 1 FROM fetch_point q WHERE q.urls[1] = f.url)",
};

gboolean
fetches_record(struct tx *tx, const struct fetch_row *row, gboolean *kept, GError **error)
{
	gboolean failed = row->state == FETCH_FAILED;
	struct params *params = params_new();

	params_text(params, row->url);
	params_text(params, state_names[row->state]);
	params_text(params, row->result);
	params_text(params, row->etag);
	params_time_or_null(params, row->last_modified);
	params_time_or_null(params, row->last_try);
	params_time_or_null(params, row->last_success);
	params_time(params, row->next_try);
	params_int(params, row->failures);
	params_text(params, row->yield);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &fetches_record_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*kept = rows_affected(rows) > 0;
	params = params_new();
	params_text(params, row->url);
	if (!failed)
		return run(tx, &fetches_rest_waits_statement, params, error);
	params_time(params, tx_now(tx));
	return run(tx, &fetches_next_name_statement, params, error);
}

static const struct statement fetches_forget_statement = {
	"fetches_forget",
	"UPDATE fetch_url SET by_hand = false WHERE url = $1 AND by_hand",
};
static const struct statement fetches_drop_statement = {
	"fetches_drop",
	"DELETE FROM fetch_url f WHERE url = $1"
	" AND NOT EXISTS (SELECT 1 FROM fetch_point p WHERE p.urls @> ARRAY[f.url])",
};

gboolean
fetches_forget(struct tx *tx, const char *url, GError **error)
{
	struct params *params = params_new();

	params_text(params, url);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &fetches_forget_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND, "nobody asked for this URL by hand");
	params = params_new();
	params_text(params, url);
	return run(tx, &fetches_drop_statement, params, error);
}

static const struct statement fetches_due_now_statement = {
	"fetches_due_now",
	"UPDATE fetch_url SET next_try = $1 WHERE url = ANY ($2::text[])"
	" OR ($3 AND next_try IS NOT NULL)",
};

gboolean
fetches_due_now(struct tx *tx, const char *const *urls, gsize n, GError **error)
{
	struct params *params = params_new();

	params_time(params, tx_now(tx));
	params_text_array(params, urls, n);
	params_bool(params, n == 0);
	return run(tx, &fetches_due_now_statement, params, error);
}

static const struct statement fetches_of_ca_statement = {
	"fetches_of_ca",
	"SELECT DISTINCT u.url FROM fetch_point p JOIN certificate c ON c.thumbprint = p.witness,"
	" unnest(p.urls) AS u(url) WHERE p.kind = 'crl' AND (c.issuer_key = $2"
	" OR strpos(lower(c.issuer), lower($1)) > 0) ORDER BY u.url",
};

GStrv
fetches_urls_of_ca(struct tx *tx, const char *name_part, const char *subject_key, GError **error)
{
	struct params *params = params_new();
	g_autoptr(GStrvBuilder) urls = g_strv_builder_new();

	params_text(params, name_part);
	params_text(params, subject_key);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &fetches_of_ca_statement, params, error);
	if (rows == NULL)
		return NULL;
	for (int r = 0; r < rows_count(rows); r++)
		g_strv_builder_add(urls, rows_text(rows, r, 0));
	return g_strv_builder_end(urls);
}

/* A last try in the future: the clock was set back since. */
static const struct statement fetches_enqueue_statement = {
	"fetches_enqueue",
	"INSERT INTO job (kind, key, due) SELECT 'fetch', url, $1::timestamptz FROM fetch_url"
	" WHERE next_try <= $1 OR (next_try IS NOT NULL AND last_try > $1 + interval '5 minutes')"
	" ON CONFLICT (kind, key) WHERE state IN ('due', 'running') DO NOTHING",
};

gboolean
fetches_enqueue_due(struct tx *tx, GError **error)
{
	struct params *params = params_new();

	params_time(params, tx_now(tx));
	return run(tx, &fetches_enqueue_statement, params, error);
}

static const struct statement fetches_list_there_statement = {
	"fetches_list_there",
	"SELECT next_update FROM crl WHERE thumbprint = $1",
};

gboolean
fetches_list_there(struct db *db, const char *thumbprint, gboolean *there, gint64 *next_update,
		   GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	CLEANUP(rows)
	struct rows *rows = db_query(db, &fetches_list_there_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*there = rows_count(rows) > 0;
	*next_update = *there ? rows_time(rows, 0, 0) : CLOCK_NEVER;
	return TRUE;
}
