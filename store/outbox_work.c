/* outbox_work - see outbox_work.h. */
#include "store/outbox_work.h"

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/db.h"
#include "store/db/tx.h"
#include "store/outbox_internal.h"

/* holder and the number of the attempt together say whose it is: two threads of a process have one
 * name. A claim whose holder is gone is counted and taken up again: better twice than never. */
static const struct statement outbox_take_statement = {
	"outbox_take",
	"UPDATE outbox SET holder = $2, held_until = now() + make_interval(secs => $3::integer),"
	" repeated = repeated + (state = 'claimed')::integer,"
	" attempts = attempts + (state <> 'sent')::integer,"
	" sms_attempts = sms_attempts + (state = 'sent')::integer,"
	" state = CASE state WHEN 'claimed' THEN 'ready' ELSE state END,"
	" sms = CASE sms WHEN 'claimed' THEN 'waiting' ELSE sms END"
	" WHERE id = (SELECT id FROM outbox WHERE next_try <= $1"
	" AND (state IN ('ready', 'claimed') OR (state = 'sent' AND sms IN ('waiting', 'claimed')))"
	" AND (holder IS NULL OR held_until <= now() OR holder = ANY ($4::text[]))"
	" ORDER BY next_try, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
	" RETURNING " OUTBOX_COLUMN_LIST,
};

gboolean
outbox_take(struct db *db, const char *holder, gint64 lease_seconds, const char *const *dead,
	    struct outbox_row **row, GError **error)
{
	static const char *const nobody[] = { NULL };
	const char *const *names = dead != NULL ? dead : nobody;
	struct params *params = params_new();

	*row = NULL;
	params_time(params, db_now(db));
	params_text(params, holder);
	params_int(params, lease_seconds);
	params_text_array(params, names, g_strv_length((char **)names));
	CLEANUP(rows) struct rows *rows = db_write(db, &outbox_take_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) > 0)
		*row = outbox_row_read(rows, 0);
	return TRUE;
}

static const struct statement outbox_holders_statement = {
	"outbox_holders",
	"SELECT coalesce(array_agg(DISTINCT holder), '{}') FROM outbox"
	" WHERE next_try <= $1 AND holder IS NOT NULL",
};

GStrv
outbox_holders(struct db *db, GError **error)
{
	struct params *params = params_new();

	params_time(params, db_now(db));
	CLEANUP(rows) struct rows *rows = db_write(db, &outbox_holders_statement, params, error);
	return rows != NULL ? rows_text_array(rows, 0, 0) : NULL;
}

static gboolean
is_ours(const struct rows *rows, const struct outbox_row *row, GError **error)
{
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "delivery %" G_GINT64_FORMAT " is another's by now", row->id);
	return TRUE;
}

static const struct statement outbox_hold_statement = {
	"outbox_hold",
	"UPDATE outbox SET held_until = now() + make_interval(secs => $3::integer)"
	" WHERE id = $1 AND holder = $2 AND attempts + sms_attempts = $4",
};

gboolean
outbox_hold(struct db *db, const struct outbox_row *row, gint64 lease_seconds, GError **error)
{
	struct params *params = params_new();

	params_int(params, row->id);
	params_text(params, row->holder);
	params_int(params, lease_seconds);
	params_int(params, row->attempts + row->sms_attempts);
	CLEANUP(rows) struct rows *rows = db_write(db, &outbox_hold_statement, params, error);
	return is_ours(rows, row, error);
}

/* --- claims --- */

static const struct statement outbox_durable_statement = {
	"outbox_durable",
	"SELECT outbox_durable()",
};
static const struct statement outbox_claim_statement = {
	"outbox_claim",
	"UPDATE outbox SET state = 'claimed', updated = now()"
	" WHERE id = $1 AND holder = $2 AND held_until > now() AND state = 'ready'"
	" AND attempts + sms_attempts = $3",
};
static const struct statement outbox_claim_sms_statement = {
	"outbox_claim_sms",
	"UPDATE outbox SET sms = 'claimed', updated = now()"
	" WHERE id = $1 AND holder = $2 AND held_until > now() AND state = 'sent'"
	" AND sms = 'waiting' AND attempts + sms_attempts = $3",
};

struct claim {
	const struct statement *statement;
	const struct outbox_row *row;
};

static gboolean
claim(struct tx *tx, gpointer data, GError **error)
{
	const struct claim *what = data;
	CLEANUP(rows) struct rows *durable = tx_query(tx, &outbox_durable_statement, NULL, error);

	if (durable == NULL)
		return FALSE;
	struct params *params = params_new();
	params_int(params, what->row->id);
	params_text(params, what->row->holder);
	params_int(params, what->row->attempts + what->row->sms_attempts);
	CLEANUP(rows) struct rows *rows = tx_query(tx, what->statement, params, error);
	return is_ours(rows, what->row, error);
}

gboolean
outbox_claim(struct db *db, const struct outbox_row *row, GError **error)
{
	struct claim what = { &outbox_claim_statement, row };

	return db_transaction(db, claim, &what, error);
}

gboolean
outbox_claim_sms(struct db *db, const struct outbox_row *row, GError **error)
{
	struct claim what = { &outbox_claim_sms_statement, row };

	return db_transaction(db, claim, &what, error);
}

/* --- saving --- */

static const struct statement outbox_save_statement = {
	"outbox_save",
	"UPDATE outbox SET state = $3, error = $4, queue_id = $5, sent = $6, next_try = $7,"
	" sms = $8, sms_error = $9, message_id = $10, utf8 = $11, built = $12, subject = $13,"
	" repeated = $14, holder = CASE WHEN $15 THEN holder END,"
	" held_until = CASE WHEN $15 THEN held_until END, updated = now()"
	" WHERE id = $1 AND holder = $2 AND attempts + sms_attempts = $16",
};

static gboolean
save(struct tx *tx, const struct outbox_row *row, gboolean held, GError **error)
{
	CLEANUP(rows) struct rows *durable = tx_query(tx, &outbox_durable_statement, NULL, error);
	struct params *params;

	if (durable == NULL)
		return FALSE;
	params = params_new();
	params_int(params, row->id);
	params_text(params, row->holder);
	params_text(params, outbox_state_name(row->state));
	params_text(params, row->error);
	params_text(params, row->queue_id);
	params_time(params, row->sent);
	params_time(params, row->next_try);
	params_text(params, outbox_sms_name(row->sms));
	params_text(params, row->sms_error);
	params_text(params, row->message_id);
	params_bool(params, row->utf8);
	params_time(params, row->built);
	params_text(params, row->subject);
	params_int(params, row->repeated);
	params_bool(params, held);
	params_int(params, row->attempts + row->sms_attempts);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_save_statement, params, error);
	return is_ours(rows, row, error);
}

gboolean
outbox_save(struct tx *tx, const struct outbox_row *row, GError **error)
{
	return save(tx, row, FALSE, error);
}

gboolean
outbox_save_held(struct tx *tx, const struct outbox_row *row, GError **error)
{
	return save(tx, row, TRUE, error);
}
