/*
 * ca_roots - SQL and mapping of the roots that we made.
 */
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/cas.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define ROOT_COLUMNS "SELECT r.thumbprint, r.spki_sha256, r.name, r.crl_next FROM ca_root r"

static struct ca_root_row *
root_read(const struct rows *rows, int r)
{
	struct ca_root_row *row = g_new0(struct ca_root_row, 1);

	row->thumbprint = g_strdup(rows_text(rows, r, 0));
	row->spki_sha256 = g_strdup(rows_text(rows, r, 1));
	row->name = g_strdup(rows_text(rows, r, 2));
	row->crl_next = rows_is_null(rows, r, 3) ? 0 : rows_time(rows, r, 3);
	return row;
}

void
ca_root_row_free(struct ca_root_row *row)
{
	if (row == NULL)
		return;
	g_free(row->thumbprint);
	g_free(row->spki_sha256);
	g_free(row->name);
	g_free(row);
}

static const struct statement ca_roots_insert_statement = {
	"ca_roots_insert",
	"INSERT INTO ca_root (thumbprint, spki_sha256, name, crl_next) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (thumbprint) DO UPDATE SET name = excluded.name",
};

gboolean
ca_roots_insert(struct tx *tx, const struct ca_root_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->thumbprint);
	params_text(params, row->spki_sha256);
	params_text(params, row->name);
	params_time(params, row->crl_next != 0 ? row->crl_next : CLOCK_NEVER);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_roots_insert_statement, params, error);
	return rows != NULL;
}

static const struct statement ca_roots_find_statement = {
	"ca_roots_find",
	ROOT_COLUMNS " LEFT JOIN ca ON ca.root_thumbprint = r.thumbprint"
		     " WHERE r.thumbprint = $1 OR r.name = $1 OR ca.name = $1 OR ca.thumbprint = $1"
		     " ORDER BY r.thumbprint = $1 DESC, r.name = $1 DESC LIMIT 1",
};

struct ca_root_row *
ca_roots_find(struct tx *tx, const char *name, GError **error)
{
	struct params *params = params_new();

	params_text(params, name);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_roots_find_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) > 0)
		return root_read(rows, 0);
	g_autofree char *shown = printable(name);
	return fail(error, PS_ERROR_NOT_FOUND, "'%s' is no root of ours, and has none above it",
		    shown);
}

static const struct statement ca_roots_list_statement = {
	"ca_roots_list",
	ROOT_COLUMNS " ORDER BY r.thumbprint",
};

GPtrArray *
ca_roots_list(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &ca_roots_list_statement, NULL, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)ca_root_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, root_read(rows, r));
	return found;
}

static const struct statement ca_roots_crl_next_statement = {
	"ca_roots_crl_next",
	"UPDATE ca_root SET crl_next = $2 WHERE thumbprint = $1",
};

gboolean
ca_roots_set_crl_next(struct tx *tx, const char *thumbprint, gint64 at, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	params_time(params, at);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &ca_roots_crl_next_statement, params, error);
	return rows != NULL;
}

static const struct statement ca_roots_number_statement = {
	"ca_roots_number",
	"UPDATE ca_root SET crl_number = greatest(crl_number + 1, $2) WHERE thumbprint = $1"
	" RETURNING crl_number",
};

gboolean
ca_roots_next_crl_number(struct tx *tx, const char *thumbprint, gint64 least, gint64 *number,
			 GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	params_int(params, least);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_roots_number_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) != 1)
		return fail_false(error, PS_ERROR_NOT_FOUND, "this root does not exist");
	*number = rows_int(rows, 0, 0);
	return TRUE;
}
