/*
 * cas - SQL and mapping of our own CAs, their revocations and the defaults of issuing.
 */
#include "store/cas.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"
#include "store/cas_internal.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define CA_COLUMNS "SELECT " CA_ROW_COLUMNS " FROM ca"

void
ca_row_free(struct ca_row *row)
{
	if (row == NULL)
		return;
	g_free(row->name);
	g_free(row->thumbprint);
	g_free(row->root_thumbprint);
	g_free(row->issuer_key);
	g_free(row->spki_sha256);
	g_free(row->root_spki_sha256);
	if (row->csr != NULL)
		g_bytes_unref(row->csr);
	g_free(row);
}

struct ca_row *
ca_row_read(const struct rows *rows, int r)
{
	struct ca_row *row = g_new0(struct ca_row, 1);

	row->id = rows_int(rows, r, 0);
	row->name = g_strdup(rows_text(rows, r, 1));
	row->thumbprint = g_strdup(rows_text(rows, r, 2));
	row->root_thumbprint = g_strdup(rows_text(rows, r, 3));
	row->issuer_key = g_strdup(rows_text(rows, r, 4));
	row->spki_sha256 = g_strdup(rows_text(rows, r, 5));
	row->root_spki_sha256 = g_strdup(rows_text(rows, r, 6));
	row->is_default = rows_bool(rows, r, 7);
	row->created = rows_time(rows, r, 8);
	row->crl_next = rows_is_null(rows, r, 9) ? 0 : rows_time(rows, r, 9);
	row->csr = rows_bytes(rows, r, 10);
	row->crl_partition = rows_int(rows, r, 11);
	row->revoked = rows_bool(rows, r, 12);
	return row;
}

static const struct statement cas_undefault_statement = {
	"cas_undefault",
	"UPDATE ca SET is_default = false WHERE is_default AND id <> $1",
};
static const struct statement cas_default_statement = {
	"cas_default",
	"UPDATE ca SET is_default = true WHERE id = $1",
};

gboolean
cas_set_default(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows) struct rows *cleared = tx_query(tx, &cas_undefault_statement, params, error);
	if (cleared == NULL)
		return FALSE;
	params = params_new();
	params_int(params, id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &cas_default_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) != 1)
		return fail_false(error, PS_ERROR_NOT_FOUND, "this CA does not exist");
	tx_changed(tx, CHANGE_CA, NULL);
	return TRUE;
}

static const struct statement cas_insert_statement = {
	"cas_insert",
	"INSERT INTO ca (name, thumbprint, root_thumbprint, issuer_key, spki_sha256,"
	" root_spki_sha256, crl_next, csr) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
	" ON CONFLICT (name) DO UPDATE SET thumbprint = excluded.thumbprint,"
	" root_thumbprint = excluded.root_thumbprint, issuer_key = excluded.issuer_key,"
	" spki_sha256 = excluded.spki_sha256, root_spki_sha256 = excluded.root_spki_sha256"
	" RETURNING id",
};

gboolean
cas_insert(struct tx *tx, const struct ca_row *row, gint64 *id, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->name);
	params_text(params, row->thumbprint);
	params_text(params, row->root_thumbprint);
	params_text(params, row->issuer_key);
	params_text(params, row->spki_sha256);
	params_text(params, row->root_spki_sha256);
	params_time(params, row->crl_next != 0 ? row->crl_next : CLOCK_NEVER);
	params_bytes(params, row->csr);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &cas_insert_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*id = rows_int(rows, 0, 0);
	tx_changed(tx, CHANGE_CA, row->name);
	return row->is_default ? cas_set_default(tx, *id, error) : TRUE;
}

static const struct statement cas_set_crl_next_statement = {
	"cas_set_crl_next",
	"UPDATE ca SET crl_next = $2 WHERE id = $1",
};

gboolean
cas_set_crl_next(struct tx *tx, gint64 id, gint64 at, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_time(params, at);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &cas_set_crl_next_statement, params, error);
	return rows != NULL;
}

static const struct statement cas_find_statement = {
	"cas_find",
	CA_COLUMNS " WHERE CASE WHEN $1::text IS NULL THEN is_default"
		   " ELSE name = $1 OR thumbprint = $1 OR root_thumbprint = $1 END"
		   " ORDER BY thumbprint = $1 DESC, id LIMIT 1",
};

static struct ca_row *
first_ca(struct rows *rows, const char *name, GError **error)
{
	struct ca_row *row = NULL;

	if (rows == NULL)
		return NULL;
	if (rows_count(rows) > 0)
		row = ca_row_read(rows, 0);
	else if (name == NULL)
		(void)fail(error, PS_ERROR_NOT_FOUND,
			   "there is no CA yet, or none is the default: postseal ca create, "
			   "postseal ca default");
	else {
		g_autofree char *shown = printable(name);
		(void)fail(error, PS_ERROR_NOT_FOUND, "CA '%s' does not exist", shown);
	}
	rows_free(rows);
	return row;
}

struct ca_row *
cas_find(struct db *db, const char *name_or_thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, name_or_thumbprint);
	return first_ca(db_query(db, &cas_find_statement, params, error), name_or_thumbprint,
			error);
}

struct ca_row *
cas_find_in_tx(struct tx *tx, const char *name_or_thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, name_or_thumbprint);
	return first_ca(tx_query(tx, &cas_find_statement, params, error), name_or_thumbprint,
			error);
}

static const struct statement cas_list_statement = {
	"cas_list",
	CA_COLUMNS " ORDER BY id",
};

GPtrArray *
cas_list(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &cas_list_statement, NULL, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)ca_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, ca_row_read(rows, r));
	return found;
}

static const struct statement cas_next_crl_number_statement = {
	"cas_next_crl_number",
	"UPDATE ca SET crl_number = greatest(crl_number + 1, $2) WHERE id = $1"
	" RETURNING crl_number",
};

gboolean
cas_next_crl_number(struct tx *tx, gint64 id, gint64 least, gint64 *number, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_int(params, least);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &cas_next_crl_number_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) != 1)
		return fail_false(error, PS_ERROR_NOT_FOUND, "this CA does not exist");
	*number = rows_int(rows, 0, 0);
	return TRUE;
}

static const struct statement cas_next_partition_statement = {
	"cas_next_partition",
	"UPDATE ca SET crl_partition = crl_partition + 1 WHERE id = $1",
};

gboolean
cas_next_partition(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &cas_next_partition_statement, params, error);
	if (rows == NULL)
		return FALSE;
	tx_changed(tx, CHANGE_CA, NULL);
	return TRUE;
}
