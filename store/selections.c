/*
 * selections - SQL and mapping of certificates chosen by hand.
 */
#include "store/selections.h"

#include <string.h>

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/lookups.h"

#define SELECTION_COLUMNS "SELECT s.scope, s.kind, s.thumbprint, s.decrypt, s.created FROM "

static const char *const kind_names[] = {
	[SELECTION_ENCRYPT] = "encrypt",
	[SELECTION_SIGN] = "sign",
	[SELECTION_ADDITIONAL] = "additional",
};

const char *
selection_kind_name(enum selection_kind kind)
{
	return kind_names[kind];
}

void
selection_row_free(struct selection_row *row)
{
	if (row == NULL)
		return;
	scope_free(row->scope);
	g_free(row->thumbprint);
	g_free(row);
}

static GPtrArray *
selection_rows_read(struct rows *rows)
{
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)selection_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct selection_row *row = g_new0(struct selection_row, 1);
		const char *kind = rows_text(rows, r, 1);
		row->scope = scope_from_key(rows_text(rows, r, 0));
		for (guint k = 0; k < G_N_ELEMENTS(kind_names); k++)
			if (strcmp(kind, kind_names[k]) == 0)
				row->kind = (enum selection_kind)k;
		row->thumbprint = g_strdup(rows_text(rows, r, 2));
		row->decrypt = rows_bool(rows, r, 3);
		row->created = rows_time(rows, r, 4);
		g_ptr_array_add(found, row);
	}
	rows_free(rows);
	return found;
}

static const struct statement selections_drop_signer = {
	"selections_drop_signer",
	"DELETE FROM selection WHERE scope = $1 AND kind = 'sign' AND thumbprint <> $2",
};
static const struct statement selections_add_statement = {
	"selections_add",
	"INSERT INTO selection (scope, kind, thumbprint, decrypt) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (scope, kind, thumbprint) DO UPDATE SET decrypt = excluded.decrypt",
};

gboolean
selections_add(struct tx *tx, const struct selection_row *row, GError **error)
{
	g_autofree char *key = scope_key(row->scope);

	if (!scopes_add(tx, row->scope, NULL, NULL, error))
		return FALSE;
	if (row->kind == SELECTION_SIGN) {
		struct params *params = params_new();
		params_text(params, key);
		params_text(params, row->thumbprint);
		CLEANUP(rows)
		struct rows *dropped = tx_query(tx, &selections_drop_signer, params, error);
		if (dropped == NULL)
			return FALSE;
	}
	struct params *params = params_new();
	params_text(params, key);
	params_text(params, kind_names[row->kind]);
	params_text(params, row->thumbprint);
	params_bool(params, row->decrypt);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &selections_add_statement, params, error);
	if (rows == NULL)
		return FALSE;
	tx_changed(tx, CHANGE_SELECTION, key);
	return TRUE;
}

static const struct statement selections_remove_statement = {
	"selections_remove",
	"DELETE FROM selection WHERE scope = $1 AND kind = $2"
	" AND ($3::text IS NULL OR thumbprint = $3)",
};

gboolean
selections_remove(struct tx *tx, const struct scope *scope, enum selection_kind kind,
		  const char *thumbprint, GError **error)
{
	g_autofree char *key = scope_key(scope);
	g_autofree char *text = scope_text(scope);
	struct params *params = params_new();

	params_text(params, key);
	params_text(params, kind_names[kind]);
	params_text(params, thumbprint);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &selections_remove_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "%s: no such certificate is chosen by hand here (%s)", text,
				  kind_names[kind]);
	tx_changed(tx, CHANGE_SELECTION, key);
	return TRUE;
}

/* The order of the scopes asked for is kept: nearest first. */
const struct statement selections_by_scopes_statement = {
	"selections_by_scopes",
	SELECTION_COLUMNS "selection s WHERE s.scope = ANY ($1::text[])"
			  " ORDER BY array_position($1::text[], s.scope), s.kind, s.created,"
			  " s.thumbprint",
};

GPtrArray *
selections_by_scopes(struct db *db, const GPtrArray *scopes, GError **error)
{
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < scopes->len; i++)
		g_ptr_array_add(keys, scope_key(g_ptr_array_index(scopes, i)));
	struct params *params = params_new();
	params_text_array(params, (const char *const *)keys->pdata, keys->len);
	return selection_rows_read(db_query(db, &selections_by_scopes_statement, params, error));
}

static const struct statement selections_by_thumbprint_statement = {
	"selections_by_thumbprint",
	SELECTION_COLUMNS "selection s WHERE s.thumbprint = $1 ORDER BY s.scope, s.kind",
};

GPtrArray *
selections_by_thumbprint(struct db *db, const char *thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	return selection_rows_read(
	    db_query(db, &selections_by_thumbprint_statement, params, error));
}

static const struct statement selections_of_kind_statement = {
	"selections_of_kind",
	SELECTION_COLUMNS "selection s WHERE s.kind = $1 ORDER BY s.scope, s.thumbprint LIMIT $2",
};

GPtrArray *
selections_of_kind(struct db *db, enum selection_kind kind, gint limit, GError **error)
{
	struct params *params = params_new();

	params_text(params, kind_names[kind]);
	params_int(params, limit);
	return selection_rows_read(db_query(db, &selections_of_kind_statement, params, error));
}
