/*
 * ca_lists - SQL and mapping of the lists that our CAs keep.
 */
#include "store/ca_lists.h"

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/crls.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/publish_targets.h"

#define LIST_COLUMNS                                                                               \
	"SELECT issuer, key_id, crl_partition, urls, number, thumbprint, next_update, made"        \
	" FROM ca_list"

void
ca_list_row_free(struct ca_list_row *row)
{
	if (row == NULL)
		return;
	g_free(row->issuer);
	g_free(row->key_id);
	g_strfreev(row->urls);
	g_free(row->thumbprint);
	g_free(row);
}

static const struct statement ca_lists_find_statement = {
	"ca_lists_find",
	LIST_COLUMNS " WHERE $1::text IS NULL OR issuer = $1 ORDER BY issuer, crl_partition",
};

static GPtrArray *
take_lists(struct rows *taken)
{
	CLEANUP(rows) struct rows *rows = taken;

	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)ca_list_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct ca_list_row *row = g_new0(struct ca_list_row, 1);
		row->issuer = g_strdup(rows_text(rows, r, 0));
		row->key_id = g_strdup(rows_text(rows, r, 1));
		row->partition = rows_int(rows, r, 2);
		row->urls = rows_text_array(rows, r, 3);
		row->number = rows_int(rows, r, 4);
		row->thumbprint = g_strdup(rows_text(rows, r, 5));
		row->next_update = rows_time(rows, r, 6);
		row->made = rows_time(rows, r, 7);
		g_ptr_array_add(found, row);
	}
	return found;
}

GPtrArray *
ca_lists_find(struct db *db, const char *issuer, GError **error)
{
	struct params *params = params_new();

	params_text(params, issuer);
	return take_lists(db_query(db, &ca_lists_find_statement, params, error));
}

GPtrArray *
ca_lists_find_in_tx(struct tx *tx, const char *issuer, GError **error)
{
	struct params *params = params_new();

	params_text(params, issuer);
	return take_lists(tx_query(tx, &ca_lists_find_statement, params, error));
}

static const struct statement ca_lists_thumbprint_statement = {
	"ca_lists_thumbprint",
	"SELECT thumbprint FROM ca_list WHERE key_id = $1 AND crl_partition = $2"
	" AND thumbprint IS NOT NULL",
};

GBytes *
ca_lists_der(struct db *db, const char *key_id, gint64 partition, GError **error)
{
	struct params *params = params_new();

	params_text(params, key_id);
	params_int(params, partition);
	CLEANUP(rows)
	struct rows *rows = db_query(db, &ca_lists_thumbprint_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "no CA of ours keeps such a list");
	CLEANUP(crl_row) struct crl_row *crl = crls_find(db, rows_text(rows, 0, 0), error);
	return crl != NULL ? g_bytes_ref(crl->der) : NULL;
}

static const struct statement ca_lists_add_url_statement = {
	"ca_lists_add_url",
	"INSERT INTO ca_list AS l (issuer, crl_partition, key_id, urls)"
	" VALUES ($1, $2, $3, CASE WHEN $4::text IS NULL THEN '{}'::text[] ELSE ARRAY[$4] END)"
	" ON CONFLICT (issuer, crl_partition) DO UPDATE SET urls = CASE WHEN $4 IS NULL"
	" OR $4 = ANY (l.urls) THEN l.urls ELSE l.urls || $4 END",
};

gboolean
ca_lists_add_url(struct tx *tx, const struct ca_list_row *row, const char *url, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->issuer);
	params_int(params, row->partition);
	params_text(params, row->key_id);
	params_text(params, url);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_lists_add_url_statement, params, error);
	return rows != NULL;
}

static const struct statement ca_lists_save_statement = {
	"ca_lists_save",
	"INSERT INTO ca_list (issuer, crl_partition, key_id, number, thumbprint, next_update, made)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (issuer, crl_partition) DO UPDATE"
	" SET number = excluded.number, thumbprint = excluded.thumbprint,"
	" next_update = excluded.next_update, made = excluded.made",
};

gboolean
ca_lists_save(struct tx *tx, const struct ca_list_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->issuer);
	params_int(params, row->partition);
	params_text(params, row->key_id);
	params_int(params, row->number);
	params_text(params, row->thumbprint);
	params_time(params, row->next_update);
	params_time(params, row->made);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_lists_save_statement, params, error);
	return rows != NULL && publish_targets_wake(tx, error);
}

static const struct statement ca_lists_left_over_statement = {
	"ca_lists_left_over",
	"SELECT array_agg(thumbprint) FROM crl WHERE issuer_key = $1 AND signer_key = $2"
	" AND state = 'usable' AND thumbprint <> ALL ($3::text[])",
};

GStrv
ca_lists_left_over(struct tx *tx, const char *issuer_key, const char *signer_key,
		   const char *const *present, gsize n, GError **error)
{
	struct params *params = params_new();

	params_text(params, issuer_key);
	params_text(params, signer_key);
	params_text_array(params, present, n);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &ca_lists_left_over_statement, params, error);
	return rows != NULL ? rows_text_array(rows, 0, 0) : NULL;
}
