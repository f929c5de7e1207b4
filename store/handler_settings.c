/*
 * handler_settings - SQL and mapping of handler_setting.
 */
#include "store/handler_settings.h"

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

void
handler_setting_row_free(struct handler_setting_row *row)
{
	if (row == NULL)
		return;
	g_free(row->name);
	g_free(row->value);
	if (row->sealed != NULL)
		g_bytes_unref(row->sealed);
	g_free(row);
}

void
handler_config_name_free(struct handler_config_name *name)
{
	if (name == NULL)
		return;
	g_free(name->handler);
	g_free(name->config);
	g_free(name);
}

static const struct statement handler_settings_load_statement = {
	"handler_settings_load",
	"SELECT name, value, sealed, generation, changed FROM handler_setting"
	" WHERE handler = $1 AND config = $2 ORDER BY name",
};

GPtrArray *
handler_settings_load(struct db *db, const char *handler, const char *config, GError **error)
{
	struct params *params = params_new();

	params_text(params, handler);
	params_text(params, config);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &handler_settings_load_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)handler_setting_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct handler_setting_row *row = g_new0(struct handler_setting_row, 1);

		row->name = g_strdup(rows_text(rows, r, 0));
		row->value = g_strdup(rows_text(rows, r, 1));
		row->sealed = rows_bytes(rows, r, 2);
		row->generation = rows_int(rows, r, 3);
		row->changed = rows_time(rows, r, 4);
		g_ptr_array_add(found, row);
	}
	return found;
}

static const struct statement handler_settings_put_statement = {
	"handler_settings_put",
	"INSERT INTO handler_setting (handler, config, name, value, sealed, generation)"
	" VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (handler, config, name) DO UPDATE"
	" SET value = excluded.value, sealed = excluded.sealed, generation = excluded.generation,"
	" changed = now()",
};

gboolean
handler_settings_put(struct tx *tx, const char *handler, const char *config,
		     const struct handler_setting_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, handler);
	params_text(params, config);
	params_text(params, row->name);
	params_text(params, row->sealed == NULL ? row->value : NULL);
	params_bytes(params, row->sealed);
	if (row->sealed != NULL)
		params_int(params, row->generation);
	else
		params_null(params);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &handler_settings_put_statement, params, error);
	return rows != NULL;
}

static const struct statement handler_settings_drop_statement = {
	"handler_settings_drop",
	"DELETE FROM handler_setting WHERE handler = $1 AND config = $2"
	" AND ($3::text IS NULL OR name = $3)",
};

gboolean
handler_settings_drop(struct tx *tx, const char *handler, const char *config, const char *name,
		      gint64 *dropped, GError **error)
{
	struct params *params = params_new();

	params_text(params, handler);
	params_text(params, config);
	params_text(params, name);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &handler_settings_drop_statement, params, error);
	if (rows != NULL && dropped != NULL)
		*dropped = rows_affected(rows);
	return rows != NULL;
}

static const struct statement handler_settings_configs_statement = {
	"handler_settings_configs",
	"SELECT DISTINCT handler, config FROM handler_setting ORDER BY handler, config LIMIT 1000",
};

GPtrArray *
handler_settings_configs(struct db *db, GError **error)
{
	CLEANUP(rows)
	struct rows *rows = db_write(db, &handler_settings_configs_statement, NULL, error);

	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)handler_config_name_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct handler_config_name *name = g_new0(struct handler_config_name, 1);

		name->handler = g_strdup(rows_text(rows, r, 0));
		name->config = g_strdup(rows_text(rows, r, 1));
		g_ptr_array_add(found, name);
	}
	return found;
}
