/*
 * request_handles - SQL.
 */
#include "store/request_handles.h"

#include "store/db/query.h"
#include "store/db/tx.h"

static const struct statement request_handles_statement = {
	"request_handles",
	"SELECT handle FROM request WHERE handler = $1 AND handler_config = $2"
	" AND starts_with(handle, $3) ORDER BY id DESC LIMIT $4",
};

GPtrArray *
request_handles(struct db *db, const char *handler, const char *config, const char *prefix,
		gint limit, GError **error)
{
	struct params *params = params_new();

	params_text(params, handler);
	params_text(params, config);
	params_text(params, prefix);
	params_int(params, limit);
	CLEANUP(rows) struct rows *rows = db_write(db, &request_handles_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, g_strdup(rows_text(rows, r, 0)));
	return found;
}
