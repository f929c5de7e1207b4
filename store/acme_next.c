/*
 * acme_next - SQL and mapping of accounts' next keys.
 */
#include "store/acme_next.h"

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

void
acme_next_row_free(struct acme_next_row *row)
{
	if (row == NULL)
		return;
	g_free(row->config);
	g_free(row->directory);
	g_free(row->algorithm);
	g_free(row->thumbprint);
	if (row->sealed != NULL)
		g_bytes_unref(row->sealed);
	g_free(row);
}

static const struct statement acme_next_find_statement = {
	"acme_next_find",
	"SELECT config, directory, algorithm, thumbprint, sealed, generation, asked"
	" FROM acme_account_next WHERE config = $1 AND directory = $2",
};

gboolean
acme_next_find(struct db *db, const char *config, const char *directory, struct acme_next_row **row,
	       GError **error)
{
	struct params *params = params_new();

	*row = NULL;
	params_text(params, config);
	params_text(params, directory);
	CLEANUP(rows) struct rows *rows = db_write(db, &acme_next_find_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return TRUE;
	*row = g_new0(struct acme_next_row, 1);
	(*row)->config = g_strdup(rows_text(rows, 0, 0));
	(*row)->directory = g_strdup(rows_text(rows, 0, 1));
	(*row)->algorithm = g_strdup(rows_text(rows, 0, 2));
	(*row)->thumbprint = g_strdup(rows_text(rows, 0, 3));
	(*row)->sealed = rows_bytes(rows, 0, 4);
	(*row)->generation = rows_int(rows, 0, 5);
	(*row)->asked = rows_time(rows, 0, 6);
	return TRUE;
}

static const struct statement acme_next_put_statement = {
	"acme_next_put",
	"INSERT INTO acme_account_next AS n (config, directory, algorithm, thumbprint, sealed,"
	" generation, asked) VALUES ($1, $2, $3, $4, $5, $6, $7)"
	" ON CONFLICT (config, directory) DO UPDATE SET algorithm = excluded.algorithm,"
	" thumbprint = excluded.thumbprint, sealed = excluded.sealed,"
	" generation = excluded.generation, asked = excluded.asked, created = now()"
	" WHERE n.asked IS NULL",
};

gboolean
acme_next_put(struct tx *tx, const struct acme_next_row *row, gboolean *put, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->config);
	params_text(params, row->directory);
	params_text(params, row->algorithm);
	params_text(params, row->thumbprint);
	params_bytes(params, row->sealed);
	params_int(params, row->generation);
	params_time(params, row->asked);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_next_put_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*put = rows_affected(rows) == 1;
	return TRUE;
}

static const struct statement acme_next_refused_statement = {
	"acme_next_refused",
	"UPDATE acme_account_next SET asked = NULL WHERE config = $1 AND directory = $2"
	" AND thumbprint = $3 AND asked = $4",
};

gboolean
acme_next_refused(struct tx *tx, const struct acme_next_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->config);
	params_text(params, row->directory);
	params_text(params, row->thumbprint);
	params_time(params, row->asked);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_next_refused_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_next_take_statement = {
	"acme_next_take",
	"WITH gone AS (DELETE FROM acme_account_next WHERE config = $1 AND directory = $2"
	" AND thumbprint = $3),"
	" files AS (UPDATE acme_challenge SET value = token || '.' || $3 WHERE config = $1"
	" AND kind = 'http-01' AND value = token || '.' || $6),"
	" mails AS (UPDATE acme_mail SET thumbprint = $3 WHERE state IN ('waiting', 'received')"
	" AND outbox_id IS NULL AND thumbprint = $6)"
	" UPDATE acme_account SET thumbprint = $3, algorithm = $7, sealed = $4, generation = $5"
	" WHERE config = $1 AND directory = $2 AND thumbprint = $6",
};

gboolean
acme_next_take(struct tx *tx, const struct acme_next_row *row, const char *old_thumbprint,
	       GBytes *sealed, gint64 generation, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->config);
	params_text(params, row->directory);
	params_text(params, row->thumbprint);
	params_bytes(params, sealed);
	params_int(params, generation);
	params_text(params, old_thumbprint);
	params_text(params, row->algorithm);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_next_take_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_next_hindered_statement = {
	"acme_next_hindered",
	"SELECT EXISTS (SELECT 1 FROM acme_challenge WHERE config = $1 AND kind = 'dns-01'"
	" AND expires > $2)",
};

gboolean
acme_next_is_hindered(struct db *db, const char *config, gint64 now, gboolean *hindered,
		      GError **error)
{
	struct params *params = params_new();

	params_text(params, config);
	params_time(params, now);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &acme_next_hindered_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*hindered = rows_bool(rows, 0, 0);
	return TRUE;
}
