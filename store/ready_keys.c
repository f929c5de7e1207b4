/*
 * ready_keys - SQL of keys made ahead.
 */
#include "store/ready_keys.h"

#include "store/base/clock.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/sealed.h"

/* A server that was promoted, or begins on an old disk, may hold what was handed out already: each
 * run of a server gives out what was put into it. */
#define OF_THIS_RUN "server_start = pg_postmaster_start_time()"

static const struct statement insert_statement = {
	"ready_keys_insert",
	"INSERT INTO ready_key (algorithm, spki_sha256, sealed, generation, kind, bits)"
	" VALUES ($1, $2, $3, $4, $5, $6)",
};

gboolean
ready_keys_insert(struct db *db, const char *algorithm, const struct key_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, algorithm);
	params_text(params, row->spki_sha256);
	params_bytes(params, row->sealed);
	params_int(params, row->generation);
	params_text(params, row->kind);
	params_int(params, row->bits);
	CLEANUP(rows) struct rows *rows = db_write(db, &insert_statement, params, error);
	return rows != NULL;
}

static const struct statement take_statement = {
	"ready_keys_take",
	"WITH one AS (DELETE FROM ready_key WHERE id = (SELECT id FROM ready_key"
	" WHERE algorithm = $1 AND generation = $2 AND " OF_THIS_RUN
	" ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
	" RETURNING *), stored AS (INSERT INTO private_key (spki_sha256, sealed, generation, kind,"
	" bits, origin, request_id, made) SELECT spki_sha256, sealed, generation, kind, bits,"
	" 'generated', nullif($3::bigint, 0), made FROM one)"
	" SELECT spki_sha256, sealed, generation FROM one",
};

gboolean
ready_keys_take(struct tx *tx, const char *algorithm, gint64 generation, gint64 request_id,
		struct sealed_row **row, GError **error)
{
	struct params *params = params_new();

	*row = NULL;
	params_text(params, algorithm);
	params_int(params, generation);
	params_int(params, request_id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &take_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return TRUE;
	*row = g_new0(struct sealed_row, 1);
	(*row)->table = g_strdup("private_key");
	(*row)->row = g_strdup(rows_text(rows, 0, 0));
	(*row)->sealed = rows_bytes(rows, 0, 1);
	(*row)->generation = rows_int(rows, 0, 2);
	tx_changed(tx, CHANGE_KEY, (*row)->row);
	return TRUE;
}

static const struct statement count_statement = {
	"ready_keys_count",
	"SELECT count(*) FROM ready_key WHERE algorithm = $1 AND generation = $2 AND " OF_THIS_RUN,
};

gint64
ready_keys_count(struct db *db, const char *algorithm, gint64 generation, GError **error)
{
	struct params *params = params_new();

	params_text(params, algorithm);
	params_int(params, generation);
	CLEANUP(rows) struct rows *rows = db_write(db, &count_statement, params, error);
	return rows != NULL ? rows_int(rows, 0, 0) : -1;
}

static const struct statement purge_statement = {
	"ready_keys_purge",
	"DELETE FROM ready_key WHERE generation <> $1 OR NOT algorithm = ANY ($2::text[])"
	" OR NOT " OF_THIS_RUN,
};

gboolean
ready_keys_purge(struct tx *tx, const char *const *algorithms, gsize n, gint64 generation,
		 guint *dropped, GError **error)
{
	struct params *params = params_new();

	params_int(params, generation);
	params_text_array(params, algorithms, n);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &purge_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*dropped = (guint)rows_affected(rows);
	return TRUE;
}

static const struct statement purge_older_statement = {
	"ready_keys_purge_older",
	"DELETE FROM ready_key WHERE generation <> $1",
};

gboolean
ready_keys_purge_older(struct tx *tx, gint64 generation, GError **error)
{
	struct params *params = params_new();

	params_int(params, generation);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &purge_older_statement, params, error);
	return rows != NULL;
}
