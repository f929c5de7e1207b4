/*
 * roots - SQL and mapping of the root store.
 */
#include "store/roots.h"

#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define ROOT_COLUMNS                                                                               \
	"SELECT thumbprint, der, subject, subject_key, serial, not_before, not_after, "            \
	"spki_sha256,"                                                                             \
	" ski, source, comment, created FROM root"

void
root_row_free(struct root_row *row)
{
	if (row == NULL)
		return;
	g_free(row->thumbprint);
	if (row->der != NULL)
		g_bytes_unref(row->der);
	g_free(row->subject);
	g_free(row->subject_key);
	g_free(row->serial);
	g_free(row->spki_sha256);
	g_free(row->ski);
	g_free(row->source);
	g_free(row->comment);
	g_free(row);
}

static struct root_row *
root_row_read(const struct rows *rows, int r)
{
	struct root_row *row = g_new0(struct root_row, 1);

	row->thumbprint = g_strdup(rows_text(rows, r, 0));
	row->der = rows_bytes(rows, r, 1);
	row->subject = g_strdup(rows_text(rows, r, 2));
	row->subject_key = g_strdup(rows_text(rows, r, 3));
	row->serial = g_strdup(rows_text(rows, r, 4));
	row->not_before = rows_time(rows, r, 5);
	row->not_after = rows_time(rows, r, 6);
	row->spki_sha256 = g_strdup(rows_text(rows, r, 7));
	row->ski = g_strdup(rows_text(rows, r, 8));
	row->source = g_strdup(rows_text(rows, r, 9));
	row->comment = g_strdup(rows_text(rows, r, 10));
	row->created = rows_time(rows, r, 11);
	return row;
}

static const struct statement roots_insert_statement = {
	"roots_insert",
	"INSERT INTO root (thumbprint, der, subject, subject_key, serial, not_before, not_after,"
	" spki_sha256, ski, source, comment) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
	" ON CONFLICT (thumbprint) DO NOTHING",
};

gboolean
roots_insert(struct tx *tx, const struct root_row *row, gboolean *is_new, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->thumbprint);
	params_bytes(params, row->der);
	params_text(params, row->subject);
	params_text(params, row->subject_key);
	params_text(params, row->serial);
	params_time(params, row->not_before);
	params_time(params, row->not_after);
	params_text(params, row->spki_sha256);
	params_text(params, row->ski);
	params_text(params, row->source);
	params_text(params, row->comment);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &roots_insert_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*is_new = rows_affected(rows) > 0;
	if (*is_new)
		tx_changed(tx, CHANGE_ROOT, row->thumbprint);
	return TRUE;
}

static const struct statement roots_delete_statement = {
	"roots_delete",
	"DELETE FROM root WHERE thumbprint = $1",
};

gboolean
roots_delete(struct tx *tx, const char *thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &roots_delete_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND, "root %.16s is not in the root store",
				  thumbprint);
	tx_changed(tx, CHANGE_ROOT, thumbprint);
	return TRUE;
}

static const struct statement roots_find_statement = {
	"roots_find",
	ROOT_COLUMNS " WHERE thumbprint >= $1 AND thumbprint < $1 || 'g' LIMIT 2",
};

struct root_row *
roots_find(struct db *db, const char *thumbprint, GError **error)
{
	g_autofree char *digits = hex_from_spelling(thumbprint);
	struct params *params;

	if (digits == NULL)
		return fail(error, PS_ERROR_NOT_FOUND, "'%.64s' is no thumbprint: hex digits",
			    thumbprint);
	params = params_new();
	params_text(params, digits);
	CLEANUP(rows) struct rows *rows = db_query(db, &roots_find_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "root %.16s is not in the root store",
			    digits);
	if (rows_count(rows) > 1)
		return fail(error, PS_ERROR_INVALID,
			    "several roots begin with %.16s, give more digits", digits);
	return root_row_read(rows, 0);
}

static const struct statement roots_all_statement = {
	"roots_all",
	ROOT_COLUMNS " ORDER BY subject, thumbprint",
};

GPtrArray *
roots_all(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &roots_all_statement, NULL, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)root_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, root_row_read(rows, r));
	return found;
}

static const struct statement roots_count_statement = {
	"roots_count",
	"SELECT count(*) FROM root",
};

gint64
roots_count(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &roots_count_statement, NULL, error);
	return rows != NULL ? rows_int(rows, 0, 0) : -1;
}
