/*
 * sealed - one view over the sealed columns of several tables.
 */
#include "store/sealed.h"

#include <string.h>

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/scopes.h"

void
sealed_row_free(struct sealed_row *row)
{
	if (row == NULL)
		return;
	g_free(row->table);
	g_free(row->row);
	if (row->sealed != NULL)
		g_bytes_unref(row->sealed);
	g_free(row);
}

/* A name may hold anything but '/', so that a row's name reads one way only. */
#define PREFERENCE_ROW "(scope || '/' || name)"
#define HANDLER_ROW "(handler || '/' || config || '/' || name)"
#define ACME_ROW "(config || '/' || directory)"
#define OUTBOX_ROW "(outbox_id || '/' || name)"

static const struct sealed_table {
	const char *name;
	struct statement take, replace, count, find, page;
} tables[] = {
	{ "private_key",
	  { "sealed_take_key",
	    "SELECT spki_sha256, sealed, generation FROM private_key"
	    " WHERE generation <> $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED" },
	  { "sealed_replace_key",
	    "UPDATE private_key SET sealed = $2, generation = $3 WHERE spki_sha256 = $1" },
	  { "sealed_count_key", "SELECT count(*) FROM private_key WHERE generation <> $1" },
	  { "sealed_find_key",
	    "SELECT spki_sha256, sealed, generation FROM private_key WHERE spki_sha256 = $1" },
	  { "sealed_page_key", "SELECT spki_sha256, sealed, generation FROM private_key"
			       " WHERE spki_sha256 > $1 ORDER BY spki_sha256 LIMIT $2" } },
	{ "preference",
	  { "sealed_take_preference",
	    "SELECT " PREFERENCE_ROW ", sealed, generation FROM preference"
	    " WHERE generation <> $1 ORDER BY scope, name LIMIT $2 FOR UPDATE SKIP LOCKED" },
	  { "sealed_replace_preference", "UPDATE preference SET sealed = $2, generation = $3"
					 " WHERE " PREFERENCE_ROW " = $1 AND sealed IS NOT NULL" },
	  { "sealed_count_preference", "SELECT count(*) FROM preference WHERE generation <> $1" },
	  { "sealed_find_preference",
	    "SELECT " PREFERENCE_ROW ", sealed, generation FROM preference"
	    " WHERE " PREFERENCE_ROW " = $1 AND sealed IS NOT NULL" },
	  { "sealed_page_preference",
	    "SELECT " PREFERENCE_ROW ", sealed, generation FROM preference"
	    " WHERE sealed IS NOT NULL AND " PREFERENCE_ROW " > $1 ORDER BY 1 LIMIT $2" } },
	{ "handler_setting",
	  { "sealed_take_handler",
	    "SELECT " HANDLER_ROW ", sealed, generation FROM handler_setting"
	    " WHERE generation <> $1 ORDER BY 1 LIMIT $2 FOR UPDATE SKIP LOCKED" },
	  { "sealed_replace_handler", "UPDATE handler_setting SET sealed = $2, generation = $3"
				      " WHERE " HANDLER_ROW " = $1 AND sealed IS NOT NULL" },
	  { "sealed_count_handler", "SELECT count(*) FROM handler_setting WHERE generation <> $1" },
	  { "sealed_find_handler", "SELECT " HANDLER_ROW ", sealed, generation FROM handler_setting"
				   " WHERE " HANDLER_ROW " = $1 AND sealed IS NOT NULL" },
	  { "sealed_page_handler",
	    "SELECT " HANDLER_ROW ", sealed, generation FROM handler_setting"
	    " WHERE sealed IS NOT NULL AND " HANDLER_ROW " > $1 ORDER BY 1 LIMIT $2" } },
	{ "directory_server",
	  { "sealed_take_directory",
	    "SELECT name, sealed, generation FROM directory_server"
	    " WHERE generation <> $1 ORDER BY 1 LIMIT $2 FOR UPDATE SKIP LOCKED" },
	  { "sealed_replace_directory", "UPDATE directory_server SET sealed = $2, generation = $3"
					" WHERE name = $1 AND sealed IS NOT NULL" },
	  { "sealed_count_directory",
	    "SELECT count(*) FROM directory_server WHERE generation <> $1" },
	  { "sealed_find_directory", "SELECT name, sealed, generation FROM directory_server"
				     " WHERE name = $1 AND sealed IS NOT NULL" },
	  { "sealed_page_directory",
	    "SELECT name, sealed, generation FROM directory_server"
	    " WHERE sealed IS NOT NULL AND name > $1 ORDER BY 1 LIMIT $2" } },
	{ "acme_account",
	  { "sealed_take_acme",
	    "SELECT " ACME_ROW ", sealed, generation FROM acme_account"
	    " WHERE generation <> $1 ORDER BY 1 LIMIT $2 FOR UPDATE SKIP LOCKED" },
	  { "sealed_replace_acme", "UPDATE acme_account SET sealed = $2, generation = $3"
				   " WHERE " ACME_ROW " = $1" },
	  { "sealed_count_acme", "SELECT count(*) FROM acme_account WHERE generation <> $1" },
	  { "sealed_find_acme", "SELECT " ACME_ROW ", sealed, generation FROM acme_account"
				" WHERE " ACME_ROW " = $1" },
	  { "sealed_page_acme", "SELECT " ACME_ROW ", sealed, generation FROM acme_account"
				" WHERE " ACME_ROW " > $1 ORDER BY 1 LIMIT $2" } },
	{ "acme_account_next",
	  { "sealed_take_acme_next",
	    "SELECT " ACME_ROW ", sealed, generation FROM acme_account_next"
	    " WHERE generation <> $1 ORDER BY 1 LIMIT $2 FOR UPDATE SKIP LOCKED" },
	  { "sealed_replace_acme_next", "UPDATE acme_account_next SET sealed = $2, generation = $3"
					" WHERE " ACME_ROW " = $1" },
	  { "sealed_count_acme_next",
	    "SELECT count(*) FROM acme_account_next WHERE generation <> $1" },
	  { "sealed_find_acme_next", "SELECT " ACME_ROW ", sealed, generation"
				     " FROM acme_account_next WHERE " ACME_ROW " = $1" },
	  { "sealed_page_acme_next",
	    "SELECT " ACME_ROW ", sealed, generation"
	    " FROM acme_account_next WHERE " ACME_ROW " > $1 ORDER BY 1 LIMIT $2" } },
	{ "outbox_secret",
	  { "sealed_take_outbox",
	    "SELECT " OUTBOX_ROW ", sealed, generation FROM outbox_secret"
	    " WHERE generation <> $1 ORDER BY outbox_id, name LIMIT $2 FOR UPDATE SKIP LOCKED" },
	  { "sealed_replace_outbox", "UPDATE outbox_secret SET sealed = $2, generation = $3"
				     " WHERE outbox_id = split_part($1, '/', 1)::bigint"
				     " AND name = split_part($1, '/', 2)" },
	  { "sealed_count_outbox", "SELECT count(*) FROM outbox_secret WHERE generation <> $1" },
	  { "sealed_find_outbox", "SELECT " OUTBOX_ROW ", sealed, generation FROM outbox_secret"
				  " WHERE outbox_id = split_part($1, '/', 1)::bigint"
				  " AND name = split_part($1, '/', 2)" },
	  { "sealed_page_outbox", "SELECT " OUTBOX_ROW " COLLATE \"C\", sealed, generation"
				  " FROM outbox_secret WHERE " OUTBOX_ROW " COLLATE \"C\" > $1"
				  " ORDER BY 1 LIMIT $2" } },
	{ "bulk_batch",
	  { "sealed_take_bulk",
	    "SELECT id::text, sealed, generation FROM bulk_batch"
	    " WHERE generation <> $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED" },
	  { "sealed_replace_bulk", "UPDATE bulk_batch SET sealed = $2, generation = $3"
				   " WHERE id = $1::bigint AND sealed IS NOT NULL" },
	  { "sealed_count_bulk", "SELECT count(*) FROM bulk_batch WHERE generation <> $1" },
	  { "sealed_find_bulk", "SELECT id::text, sealed, generation FROM bulk_batch"
				" WHERE id = $1::bigint AND sealed IS NOT NULL" },
	  { "sealed_page_bulk", "SELECT id::text, sealed, generation FROM bulk_batch"
				" WHERE sealed IS NOT NULL AND id::text COLLATE \"C\" > $1"
				" ORDER BY id::text COLLATE \"C\" LIMIT $2" } },
	{ "publish_target",
	  { "sealed_take_publish",
	    "SELECT name, sealed, generation FROM publish_target"
	    " WHERE generation <> $1 ORDER BY 1 LIMIT $2 FOR UPDATE SKIP LOCKED" },
	  { "sealed_replace_publish", "UPDATE publish_target SET sealed = $2, generation = $3"
				      " WHERE name = $1 AND sealed IS NOT NULL" },
	  { "sealed_count_publish", "SELECT count(*) FROM publish_target WHERE generation <> $1" },
	  { "sealed_find_publish", "SELECT name, sealed, generation FROM publish_target"
				   " WHERE name = $1 AND sealed IS NOT NULL" },
	  { "sealed_page_publish",
	    "SELECT name, sealed, generation FROM publish_target"
	    " WHERE sealed IS NOT NULL AND name > $1 ORDER BY 1 LIMIT $2" } },
};

const char *const sealed_tables[] = {
	"private_key",       "preference",    "handler_setting", "directory_server", "acme_account",
	"acme_account_next", "outbox_secret", "bulk_batch",      "publish_target",   NULL
};

static const struct sealed_table *
table_find(const char *name, GError **error)
{
	for (gsize i = 0; i < G_N_ELEMENTS(tables); i++)
		if (strcmp(tables[i].name, name) == 0)
			return &tables[i];
	return fail(error, PS_ERROR_BUG, "table '%s' has no sealed values", name);
}

static struct sealed_row *
sealed_row_read(const struct sealed_table *table, const struct rows *rows, int r)
{
	struct sealed_row *row = g_new0(struct sealed_row, 1);

	row->table = g_strdup(table->name);
	row->row = g_strdup(rows_text(rows, r, 0));
	row->sealed = rows_bytes(rows, r, 1);
	row->generation = rows_int(rows, r, 2);
	return row;
}

GPtrArray *
sealed_take_older(struct tx *tx, gint64 generation, gint limit, GError **error)
{
	g_autoptr(GPtrArray) taken =
	    g_ptr_array_new_with_free_func((GDestroyNotify)sealed_row_free);

	for (gsize i = 0; i < G_N_ELEMENTS(tables) && (gint)taken->len < limit; i++) {
		struct params *params = params_new();
		params_int(params, generation);
		params_int(params, limit - (gint)taken->len);
		CLEANUP(rows) struct rows *rows = tx_query(tx, &tables[i].take, params, error);
		if (rows == NULL)
			return NULL;
		for (int r = 0; r < rows_count(rows); r++)
			g_ptr_array_add(taken, sealed_row_read(&tables[i], rows, r));
	}
	return g_steal_pointer(&taken);
}

GPtrArray *
sealed_page(struct db *db, const char *table_name, const char *after, gint limit, GError **error)
{
	const struct sealed_table *table = table_find(table_name, error);

	if (table == NULL)
		return NULL;
	struct params *params = params_new();
	params_text(params, after);
	params_int(params, limit);
	CLEANUP(rows) struct rows *rows = db_query(db, &table->page, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *page = g_ptr_array_new_with_free_func((GDestroyNotify)sealed_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(page, sealed_row_read(table, rows, r));
	return page;
}

gboolean
sealed_replace(struct tx *tx, const struct sealed_row *row, GError **error)
{
	const struct sealed_table *table = table_find(row->table, error);

	if (table == NULL)
		return FALSE;
	struct params *params = params_new();
	params_text(params, row->row);
	params_bytes(params, row->sealed);
	params_int(params, row->generation);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &table->replace, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) != 1)
		return fail_false(error, PS_ERROR_NOT_FOUND, "%s %.40s is not in the store",
				  row->table, row->row);
	/* The key itself is the same: caches need not hear of it. */
	return TRUE;
}

gint64
sealed_count_older(struct db *db, gint64 generation, GError **error)
{
	gint64 count = 0;

	for (gsize i = 0; i < G_N_ELEMENTS(tables); i++) {
		struct params *params = params_new();
		params_int(params, generation);
		CLEANUP(rows) struct rows *rows = db_write(db, &tables[i].count, params, error);
		if (rows == NULL)
			return -1;
		count += rows_int(rows, 0, 0);
	}
	return count;
}

struct sealed_row *
sealed_find(struct db *db, const char *table_name, const char *row, GError **error)
{
	const struct sealed_table *table = table_find(table_name, error);

	if (table == NULL)
		return NULL;
	struct params *params = params_new();
	params_text(params, row);
	CLEANUP(rows) struct rows *rows = db_query(db, &table->find, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "%s %.60s is not in the store", table_name,
			    row);
	return sealed_row_read(table, rows, 0);
}

static const struct statement sealed_put_preference_statement = {
	"sealed_put_preference",
	"INSERT INTO preference (scope, name, sealed, generation) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (scope, name) DO UPDATE SET sealed = excluded.sealed, value = NULL,"
	" generation = excluded.generation, changed = now()",
};

gboolean
sealed_put_preference(struct tx *tx, const struct sealed_row *row, GError **error)
{
	const char *slash = strrchr(row->row, '/');

	if (slash == NULL)
		return fail_false(error, PS_ERROR_BUG, "'%s' names no preference", row->row);
	g_autofree char *key = g_strndup(row->row, (gsize)(slash - row->row));
	CLEANUP(scope) struct scope *scope = scope_from_key(key);
	if (!scopes_add(tx, scope, NULL, NULL, error))
		return FALSE;
	struct params *params = params_new();
	params_text(params, key);
	params_text(params, slash + 1);
	params_bytes(params, row->sealed);
	params_int(params, row->generation);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &sealed_put_preference_statement, params, error);
	if (rows == NULL)
		return FALSE;
	tx_changed(tx, CHANGE_PREFERENCE, key);
	return TRUE;
}
