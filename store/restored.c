/*
 * restored - three statements, in the transaction of the restore's audit row.
 */
#include "store/restored.h"

#include "store/db/query.h"
#include "store/db/tx.h"

#define SINCE "a backup was restored: it may have been done since that was made; "

static const struct statement batches_statement = {
	"restored_batches",
	"UPDATE bulk_batch SET state = 'paused',"
	" error = '" SINCE "bulk resume goes on' WHERE state = 'running'",
};

static const struct statement deliveries_statement = {
	"restored_deliveries",
	"UPDATE outbox SET state = 'failed', next_try = NULL, holder = NULL, held_until = NULL,"
	" error = '" SINCE "outbox retry sends it', updated = now()"
	" WHERE state IN ('ready', 'claimed')",
};

static const struct statement messages_statement = {
	"restored_messages",
	"UPDATE outbox SET sms = 'failed', next_try = NULL, holder = NULL, held_until = NULL,"
	" sms_error = '" SINCE "outbox retry sends it', updated = now()"
	" WHERE state = 'sent' AND sms IN ('waiting', 'claimed')",
};

static gboolean
hold(struct tx *tx, const struct statement *statement, gint64 *held, GError **error)
{
	CLEANUP(rows) struct rows *rows = tx_query(tx, statement, params_new(), error);

	if (rows == NULL)
		return FALSE;
	*held = rows_affected(rows);
	return TRUE;
}

gboolean
restored_hold(struct tx *tx, struct restored_held *held, GError **error)
{
	return hold(tx, &batches_statement, &held->batches, error) &&
	       hold(tx, &deliveries_statement, &held->deliveries, error) &&
	       hold(tx, &messages_statement, &held->messages, error);
}
