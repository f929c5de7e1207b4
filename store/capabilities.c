/*
 * capabilities - SQL of announced ciphers.
 */
#include "store/capabilities.h"

#include "store/db/query.h"

void
capability_row_free(struct capability_row *row)
{
	if (row == NULL)
		return;
	g_free(row->email);
	g_free(row);
}

static const struct statement capabilities_learn_statement = {
	"capabilities_learn",
	"SELECT milter_capability($1, $2::integer, $3::integer, $4)",
};

gboolean
capabilities_learn(struct db *db, const struct capability_row *row, gboolean *newer, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->email);
	params_int(params, row->ciphers);
	params_int(params, row->transports);
	params_time(params, row->signed_at);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &capabilities_learn_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (newer != NULL)
		*newer = rows_bool(rows, 0, 0);
	return TRUE;
}
