/*
 * templates - SQL of the texts of the gateway's own mail.
 */
#include "store/templates.h"

#include "store/db/query.h"
#include "store/db/tx.h"

void
template_row_free(struct template_row *row)
{
	if (row == NULL)
		return;
	g_free(row->name);
	g_free(row->language);
	g_free(row->part);
	g_free(row->value);
	g_free(row);
}

static const struct statement templates_load_statement = {
	"templates_load",
	"SELECT name, language, part, value, changed FROM notify_template"
	" WHERE $1::text IS NULL OR name = $1 ORDER BY name, language, part",
};

GPtrArray *
templates_load(struct db *db, const char *name, GError **error)
{
	struct params *params = params_new();

	params_text(params, name);
	CLEANUP(rows) struct rows *rows = db_query(db, &templates_load_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)template_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct template_row *row = g_new0(struct template_row, 1);

		row->name = g_strdup(rows_text(rows, r, 0));
		row->language = g_strdup(rows_text(rows, r, 1));
		row->part = g_strdup(rows_text(rows, r, 2));
		row->value = g_strdup(rows_text(rows, r, 3));
		row->changed = rows_time(rows, r, 4);
		g_ptr_array_add(list, row);
	}
	return list;
}

static const struct statement templates_set_statement = {
	"templates_set",
	"INSERT INTO notify_template (name, language, part, value) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (name, language, part) DO UPDATE SET value = excluded.value,"
	" changed = now()",
};

gboolean
templates_set(struct tx *tx, const struct template_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->name);
	params_text(params, row->language);
	params_text(params, row->part);
	params_text(params, row->value);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &templates_set_statement, params, error);
	return rows != NULL;
}

static const struct statement templates_reset_statement = {
	"templates_reset",
	"DELETE FROM notify_template WHERE name = $1 AND ($2::text IS NULL OR language = $2)"
	" AND ($3::text IS NULL OR part = $3)",
};

gboolean
templates_reset(struct tx *tx, const char *name, const char *language, const char *part,
		gint64 *count, GError **error)
{
	struct params *params = params_new();

	params_text(params, name);
	params_text(params, language);
	params_text(params, part);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &templates_reset_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*count = rows_affected(rows);
	return TRUE;
}
