/*
 * request_events - the history of requests.
 */
#include "store/requests.h"

#include "store/base/clock.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define HISTORY_LIMIT 200

static const struct statement requests_note_statement = {
	"requests_note",
	"INSERT INTO request_event (request_id, at, state, text) SELECT $1, $2, $3, $4"
	" WHERE NOT EXISTS (SELECT 1 FROM (SELECT state, text FROM request_event"
	" WHERE request_id = $1 ORDER BY id DESC LIMIT 1) AS last"
	" WHERE last.state = $3 AND last.text = $4)",
};

gboolean
requests_note(struct tx *tx, gint64 id, enum request_state state, const char *text, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_time(params, tx_now(tx));
	params_text(params, request_state_name(state));
	params_text(params, text);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &requests_note_statement, params, error);
	return rows != NULL;
}

static const struct statement requests_history_statement = {
	"requests_history",
	"SELECT at, state, text FROM (SELECT id, at, state, text FROM request_event"
	" WHERE request_id = $1 ORDER BY id DESC LIMIT $2) AS newest ORDER BY id",
};

void
request_event_free(struct request_event *event)
{
	if (event == NULL)
		return;
	g_free(event->state);
	g_free(event->text);
	g_free(event);
}

GPtrArray *
requests_history(struct db *db, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_int(params, HISTORY_LIMIT);
	CLEANUP(rows) struct rows *rows = db_query(db, &requests_history_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)request_event_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct request_event *event = g_new0(struct request_event, 1);

		event->at = rows_time(rows, r, 0);
		event->state = g_strdup(rows_text(rows, r, 1));
		event->text = g_strdup(rows_text(rows, r, 2));
		g_ptr_array_add(found, event);
	}
	return found;
}
