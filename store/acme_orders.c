/*
 * acme_orders - SQL and mapping of ACME accounts, orders and answers to challenges.
 */
#include "store/acme_orders.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

/* ---- accounts -------------------------------------------------------------------------------- */

char *
acme_account_place(const char *config, const char *directory)
{
	return g_strconcat(config, "/", directory, NULL);
}

void
acme_account_row_free(struct acme_account_row *row)
{
	if (row == NULL)
		return;
	g_free(row->config);
	g_free(row->directory);
	g_free(row->algorithm);
	g_free(row->thumbprint);
	if (row->sealed != NULL)
		g_bytes_unref(row->sealed);
	g_free(row->url);
	g_free(row);
}

static const struct statement acme_accounts_find_statement = {
	"acme_accounts_find",
	"SELECT config, directory, algorithm, thumbprint, sealed, generation, url"
	" FROM acme_account WHERE config = $1 AND directory = $2",
};

struct acme_account_row *
acme_accounts_find(struct db *db, const char *config, const char *directory, GError **error)
{
	struct params *params = params_new();

	params_text(params, config);
	params_text(params, directory);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &acme_accounts_find_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "configuration '%s' has no ACME account there yet", config);
	struct acme_account_row *row = g_new0(struct acme_account_row, 1);
	row->config = g_strdup(rows_text(rows, 0, 0));
	row->directory = g_strdup(rows_text(rows, 0, 1));
	row->algorithm = g_strdup(rows_text(rows, 0, 2));
	row->thumbprint = g_strdup(rows_text(rows, 0, 3));
	row->sealed = rows_bytes(rows, 0, 4);
	row->generation = rows_int(rows, 0, 5);
	row->url = g_strdup(rows_text(rows, 0, 6));
	return row;
}

static const struct statement acme_accounts_insert_statement = {
	"acme_accounts_insert",
	"INSERT INTO acme_account (config, directory, algorithm, thumbprint, sealed, generation)"
	" VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (config, directory) DO NOTHING",
};

gboolean
acme_accounts_insert(struct tx *tx, const struct acme_account_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->config);
	params_text(params, row->directory);
	params_text(params, row->algorithm);
	params_text(params, row->thumbprint);
	params_bytes(params, row->sealed);
	params_int(params, row->generation);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &acme_accounts_insert_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_accounts_named_statement = {
	"acme_accounts_named",
	"UPDATE acme_account SET url = $4, registered = CASE WHEN $4::text IS NULL THEN NULL"
	" ELSE now() END WHERE config = $1 AND directory = $2 AND thumbprint = $3",
};

gboolean
acme_accounts_named(struct tx *tx, const struct acme_account_row *row, const char *url,
		    GError **error)
{
	struct params *params = params_new();

	params_text(params, row->config);
	params_text(params, row->directory);
	params_text(params, row->thumbprint);
	params_text(params, url);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &acme_accounts_named_statement, params, error);
	return rows != NULL;
}

/* ---- orders ---------------------------------------------------------------------------------- */

void
acme_order_row_free(struct acme_order_row *row)
{
	if (row == NULL)
		return;
	g_free(row->url);
	g_free(row->look_page);
	g_free(row);
}

static const struct statement acme_orders_load_statement = {
	"acme_orders_load",
	"SELECT url, asked, failures, look_page, look_at, looks FROM acme_order"
	" WHERE request_id = $1",
};

gboolean
acme_orders_load(struct db *db, gint64 request_id, struct acme_order_row **row, GError **error)
{
	struct params *params = params_new();

	params_int(params, request_id);
	CLEANUP(rows) struct rows *rows = db_write(db, &acme_orders_load_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*row = g_new0(struct acme_order_row, 1);
	(*row)->request_id = request_id;
	(*row)->asked = CLOCK_NEVER;
	if (rows_count(rows) == 0)
		return TRUE;
	(*row)->url = g_strdup(rows_text(rows, 0, 0));
	(*row)->asked = rows_time(rows, 0, 1);
	(*row)->failures = (gint)rows_int(rows, 0, 2);
	(*row)->look_page = g_strdup(rows_text(rows, 0, 3));
	(*row)->look_at = (gint)rows_int(rows, 0, 4);
	(*row)->looks = (gint)rows_int(rows, 0, 5);
	return TRUE;
}

static const struct statement acme_orders_save_statement = {
	"acme_orders_save",
	"INSERT INTO acme_order (request_id, url, asked, failures, look_page, look_at, looks)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7)"
	" ON CONFLICT (request_id) DO UPDATE SET url = excluded.url, asked = excluded.asked,"
	" failures = excluded.failures, look_page = excluded.look_page,"
	" look_at = excluded.look_at, looks = excluded.looks",
};

gboolean
acme_orders_save(struct tx *tx, const struct acme_order_row *row, GError **error)
{
	struct params *params = params_new();

	params_int(params, row->request_id);
	params_text(params, row->url);
	params_time(params, row->asked);
	params_int(params, row->failures);
	params_text(params, row->look_page);
	params_int(params, row->look_at);
	params_int(params, row->looks);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_orders_save_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_orders_known_statement = {
	"acme_orders_known",
	"SELECT 1 FROM acme_order WHERE url = $1",
};

gboolean
acme_orders_known(struct db *db, const char *url, gboolean *known, GError **error)
{
	struct params *params = params_new();

	params_text(params, url);
	CLEANUP(rows) struct rows *rows = db_write(db, &acme_orders_known_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*known = rows_count(rows) > 0;
	return TRUE;
}

/* ---- answers to challenges ------------------------------------------------------------------- */

void
acme_challenge_row_free(struct acme_challenge_row *row)
{
	if (row == NULL)
		return;
	g_free(row->url);
	g_free(row->config);
	g_free(row->kind);
	g_free(row->domain);
	g_free(row->token);
	g_free(row->value);
	g_free(row);
}

static const struct statement acme_challenges_put_statement = {
	"acme_challenges_put",
	"INSERT INTO acme_challenge (url, request_id, config, kind, domain, token, value, expires)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (url) DO NOTHING",
};

gboolean
acme_challenges_put(struct tx *tx, const struct acme_challenge_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->url);
	params_int(params, row->request_id);
	params_text(params, row->config);
	params_text(params, row->kind);
	params_text(params, row->domain);
	params_text(params, row->token);
	params_text(params, row->value);
	params_time(params, row->expires);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &acme_challenges_put_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_challenges_added_statement = {
	"acme_challenges_added",
	"UPDATE acme_challenge SET added = $2 WHERE url = $1",
};

gboolean
acme_challenges_added(struct tx *tx, const char *url, GError **error)
{
	struct params *params = params_new();

	params_text(params, url);
	params_time(params, tx_now(tx));
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &acme_challenges_added_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_challenges_drop_statement = {
	"acme_challenges_drop",
	"DELETE FROM acme_challenge WHERE url = $1",
};

gboolean
acme_challenges_drop(struct tx *tx, const char *url, GError **error)
{
	struct params *params = params_new();

	params_text(params, url);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &acme_challenges_drop_statement, params, error);
	return rows != NULL;
}

static GPtrArray *
challenge_rows(struct rows *result)
{
	CLEANUP(rows) struct rows *rows = result;

	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)acme_challenge_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct acme_challenge_row *row = g_new0(struct acme_challenge_row, 1);
		row->url = g_strdup(rows_text(rows, r, 0));
		row->request_id = rows_int(rows, r, 1);
		row->config = g_strdup(rows_text(rows, r, 2));
		row->kind = g_strdup(rows_text(rows, r, 3));
		row->domain = g_strdup(rows_text(rows, r, 4));
		row->token = g_strdup(rows_text(rows, r, 5));
		row->value = g_strdup(rows_text(rows, r, 6));
		row->added = rows_time(rows, r, 7);
		row->expires = rows_time(rows, r, 8);
		g_ptr_array_add(found, row);
	}
	return found;
}

#define CHALLENGE_COLUMNS                                                                          \
	"SELECT c.url, c.request_id, c.config, c.kind, c.domain, c.token, c.value, c.added,"       \
	" c.expires FROM acme_challenge c"

static const struct statement acme_challenges_of_statement = {
	"acme_challenges_of",
	CHALLENGE_COLUMNS " WHERE c.request_id = $1 ORDER BY c.url",
};

GPtrArray *
acme_challenges_of(struct db *db, gint64 request_id, GError **error)
{
	struct params *params = params_new();

	params_int(params, request_id);
	return challenge_rows(db_write(db, &acme_challenges_of_statement, params, error));
}

static const struct statement acme_challenges_stale_statement = {
	"acme_challenges_stale",
	CHALLENGE_COLUMNS " WHERE c.expires <= $1 OR NOT EXISTS (SELECT 1 FROM request r"
			  " WHERE r.id = c.request_id AND r.state IN ('new', 'keyed', 'pending'))"
			  " ORDER BY c.url LIMIT $2",
};

GPtrArray *
acme_challenges_stale(struct db *db, gint64 now, gint limit, GError **error)
{
	struct params *params = params_new();

	params_time(params, now);
	params_int(params, limit);
	return challenge_rows(db_write(db, &acme_challenges_stale_statement, params, error));
}

static const struct statement acme_challenges_answer_statement = {
	"acme_challenges_answer",
	"SELECT value FROM acme_challenge WHERE kind = 'http-01' AND token = $1 AND expires > $2"
	" LIMIT 1",
};

char *
acme_challenges_answer(struct db *db, const char *token, gint64 now, GError **error)
{
	struct params *params = params_new();

	params_text(params, token);
	params_time(params, now);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &acme_challenges_answer_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "no challenge has this token");
	return g_strdup(rows_text(rows, 0, 0));
}
