/*
 * outbox - rows of deliveries: how they come, what becomes of them by hand, what is erased.
 */
#include "store/outbox.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/outbox_internal.h"

#define ERASE_AT_A_TIME 10000

static const char *const kind_names[] = { [OUTBOX_BUNDLE] = "bundle", [OUTBOX_MAIL] = "mail" };
static const char *const state_names[] = {
	[OUTBOX_WAITING] = "waiting", [OUTBOX_READY] = "ready",   [OUTBOX_CLAIMED] = "claimed",
	[OUTBOX_SENT] = "sent",       [OUTBOX_FAILED] = "failed", [OUTBOX_CANCELLED] = "cancelled",
};
static const char *const sms_names[] = {
	[OUTBOX_SMS_NONE] = "none",       [OUTBOX_SMS_WAITING] = "waiting",
	[OUTBOX_SMS_CLAIMED] = "claimed", [OUTBOX_SMS_SENT] = "sent",
	[OUTBOX_SMS_FAILED] = "failed",
};

const char *
outbox_state_name(enum outbox_state state)
{
	return state_names[state];
}

const char *
outbox_sms_name(enum outbox_sms sms)
{
	return sms_names[sms];
}

static guint
name_index(const char *const *names, gsize n, const char *text, guint otherwise)
{
	for (guint i = 0; i < n; i++)
		if (text != NULL && strcmp(names[i], text) == 0)
			return i;
	return otherwise;
}

void
outbox_row_free(struct outbox_row *row)
{
	if (row == NULL)
		return;
	g_free(row->email);
	g_free(row->sender);
	g_free(row->recipient);
	g_free(row->subject);
	g_free(row->language);
	g_free(row->message_id);
	g_free(row->holder);
	g_free(row->error);
	g_free(row->queue_id);
	g_free(row->sms_error);
	g_free(row->password_shown_to);
	g_free(row->requester);
	g_free(row);
}

void
outbox_part_free(struct outbox_part *part)
{
	if (part == NULL)
		return;
	g_free(part->thumbprint);
	g_free(part);
}

/* In the order of OUTBOX_COLUMNS. */
struct outbox_row *
outbox_row_read(const struct rows *rows, int r)
{
	struct outbox_row *row = g_new0(struct outbox_row, 1);
	int c = 0;

	row->id = rows_int(rows, r, c++);
	row->kind = (enum outbox_kind)name_index(kind_names, G_N_ELEMENTS(kind_names),
						 rows_text(rows, r, c++), OUTBOX_MAIL);
	row->state = (enum outbox_state)name_index(state_names, G_N_ELEMENTS(state_names),
						   rows_text(rows, r, c++), OUTBOX_FAILED);
	row->email = g_strdup(rows_text(rows, r, c++));
	row->sender = g_strdup(rows_text(rows, r, c++));
	row->recipient = g_strdup(rows_text(rows, r, c++));
	row->subject = g_strdup(rows_text(rows, r, c++));
	row->language = g_strdup(rows_text(rows, r, c++));
	row->compatible = rows_bool(rows, r, c++);
	row->store_password = rows_bool(rows, r, c++);
	row->shown_once = rows_bool(rows, r, c++);
	row->generated = rows_bool(rows, r, c++);
	row->message_id = g_strdup(rows_text(rows, r, c++));
	row->utf8 = rows_bool(rows, r, c++);
	row->built = rows_time(rows, r, c++);
	row->attempts = (gint)rows_int(rows, r, c++);
	row->repeated = (gint)rows_int(rows, r, c++);
	row->next_try = rows_time(rows, r, c++);
	row->holder = g_strdup(rows_text(rows, r, c++));
	row->error = g_strdup(rows_text(rows, r, c++));
	row->queue_id = g_strdup(rows_text(rows, r, c++));
	row->sent = rows_time(rows, r, c++);
	row->sms = (enum outbox_sms)name_index(sms_names, G_N_ELEMENTS(sms_names),
					       rows_text(rows, r, c++), OUTBOX_SMS_FAILED);
	row->sms_attempts = (gint)rows_int(rows, r, c++);
	row->sms_error = g_strdup(rows_text(rows, r, c++));
	row->password_shown = rows_time(rows, r, c++);
	row->password_shown_to = g_strdup(rows_text(rows, r, c++));
	row->requester = g_strdup(rows_text(rows, r, c++));
	row->erased = rows_bool(rows, r, c++);
	row->created = rows_time(rows, r, c++);
	row->updated = rows_time(rows, r, c++);
	return row;
}

/* --- how they come --- */

static const struct statement outbox_insert_statement = {
	"outbox_insert",
	"INSERT INTO outbox (kind, state, email, sender, recipient, subject, language, compatible,"
	" store_password, shown_once, generated, message_id, utf8, built, next_try, sms, requester)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
	" RETURNING id",
};

gboolean
outbox_insert(struct tx *tx, const struct outbox_row *row, gint64 *id, GError **error)
{
	struct params *params = params_new();

	params_text(params, kind_names[row->kind]);
	params_text(params, state_names[row->state]);
	params_text(params, row->email);
	params_text(params, row->sender);
	params_text(params, row->recipient);
	params_text(params, row->subject);
	params_text(params, row->language);
	params_bool(params, row->compatible);
	params_bool(params, row->store_password);
	params_bool(params, row->shown_once);
	params_bool(params, row->generated);
	params_text(params, row->message_id);
	params_bool(params, row->utf8);
	params_time(params, row->built);
	params_time(params, row->next_try);
	params_text(params, sms_names[row->sms]);
	params_text(params, row->requester);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_insert_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*id = rows_int(rows, 0, 0);
	return row->next_try == CLOCK_NEVER || outbox_wake(tx, error);
}

/* The job looks every few seconds; this only makes it sooner. So nobody waits for its row, which
 * all the threads of a bulk issue would. */
static const struct statement outbox_wake_statement = {
	"outbox_wake",
	"UPDATE job SET due = $1 WHERE id = (SELECT id FROM job WHERE kind = $2 AND key = 'duty'"
	" AND state = 'due' AND due > $1 FOR UPDATE SKIP LOCKED LIMIT 1)",
};

gboolean
outbox_wake(struct tx *tx, GError **error)
{
	struct params *params = params_new();

	params_time(params, tx_now(tx));
	params_text(params, OUTBOX_JOB);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_wake_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) > 0)
		tx_changed(tx, CHANGE_JOB, OUTBOX_JOB);
	return TRUE;
}

static const struct statement outbox_add_part_statement = {
	"outbox_add_part",
	"INSERT INTO outbox_part (outbox_id, position, request_id, thumbprint, state)"
	" SELECT $1, 1 + coalesce(max(position), 0), nullif($2::bigint, 0), $3,"
	" CASE WHEN $2::bigint = 0 THEN 'done' ELSE 'waiting' END"
	" FROM outbox_part WHERE outbox_id = $1",
};

gboolean
outbox_add_part(struct tx *tx, gint64 id, gint64 request_id, const char *thumbprint, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_int(params, request_id);
	params_text(params, thumbprint);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_add_part_statement, params, error);
	return rows != NULL;
}

static const struct statement outbox_add_half_statement = {
	"outbox_add_half",
	"SELECT outbox_id FROM outbox_part WHERE request_id = $1",
};

gboolean
outbox_add_half(struct tx *tx, gint64 request_id, gint64 further_request_id, GError **error)
{
	struct params *params = params_new();

	params_int(params, request_id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_add_half_statement, params, error);
	if (rows == NULL)
		return FALSE;
	return rows_count(rows) == 0 ||
	       outbox_add_part(tx, rows_int(rows, 0, 0), further_request_id, NULL, error);
}

static const struct statement outbox_put_secret_statement = {
	"outbox_put_secret",
	"INSERT INTO outbox_secret (outbox_id, name, sealed, generation) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (outbox_id, name) DO UPDATE SET sealed = excluded.sealed,"
	" generation = excluded.generation",
};

gboolean
outbox_put_secret(struct tx *tx, gint64 id, const char *name, GBytes *sealed, gint64 generation,
		  GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_text(params, name);
	params_bytes(params, sealed);
	params_int(params, generation);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_put_secret_statement, params, error);
	return rows != NULL;
}

static const struct statement outbox_secret_statement = {
	"outbox_secret",
	"SELECT sealed FROM outbox_secret WHERE outbox_id = $1 AND name = $2",
};

GBytes *
outbox_secret(struct db *db, gint64 id, const char *name, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_text(params, name);
	CLEANUP(rows) struct rows *rows = db_write(db, &outbox_secret_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "the %s of delivery %" G_GINT64_FORMAT " is erased", name, id);
	return rows_bytes(rows, 0, 0);
}

/* --- what the requests say --- */

/* The delivery is locked first, so that two halves of a pair that come at once see each other. */
static const struct statement outbox_lock_request_statement = {
	"outbox_lock_request",
	"SELECT o.id, p.state FROM outbox o JOIN outbox_part p ON p.outbox_id = o.id"
	" WHERE p.request_id = $1 FOR UPDATE OF o",
};
static const struct statement outbox_set_part_statement = {
	"outbox_set_part",
	"UPDATE outbox_part SET state = $2 WHERE request_id = $1",
};
/* What was sent without a part that comes late is made anew with it. */
static const struct statement outbox_weigh_statement = {
	"outbox_weigh",
	"UPDATE outbox o SET"
	" state = CASE WHEN p.waits > 0 THEN 'waiting' WHEN p.done > 0 THEN 'ready'"
	" ELSE 'cancelled' END,"
	" next_try = CASE WHEN p.waits = 0 AND p.done > 0 THEN $2::timestamptz END,"
	" built = NULL, message_id = NULL, attempts = 0, error = NULL, updated = now()"
	" FROM (SELECT count(*) FILTER (WHERE state = 'waiting') AS waits,"
	" count(*) FILTER (WHERE state = 'done') AS done FROM outbox_part WHERE outbox_id = $1) p"
	" WHERE o.id = $1 AND (o.state IN ('waiting', 'cancelled')"
	" OR ($3 AND o.state IN ('sent', 'failed') AND o.holder IS NULL AND NOT o.erased))"
	" RETURNING o.next_try",
};

static gboolean
outbox_say(struct tx *tx, gint64 request_id, const char *what, GError **error)
{
	struct params *params = params_new();

	params_int(params, request_id);
	CLEANUP(rows)
	struct rows *found = tx_query(tx, &outbox_lock_request_statement, params, error);
	if (found == NULL)
		return FALSE;
	/* Read anew under the lock: the row that was joined may be that of before. */
	if (rows_count(found) == 0 || strcmp(rows_text(found, 0, 1), what) == 0)
		return TRUE;
	params = params_new();
	params_int(params, request_id);
	params_text(params, what);
	CLEANUP(rows) struct rows *set = tx_query(tx, &outbox_set_part_statement, params, error);
	if (set == NULL)
		return FALSE;
	params = params_new();
	params_int(params, rows_int(found, 0, 0));
	params_time(params, tx_now(tx));
	params_bool(params, strcmp(what, "done") == 0);
	CLEANUP(rows) struct rows *weighed = tx_query(tx, &outbox_weigh_statement, params, error);
	if (weighed == NULL)
		return FALSE;
	return rows_count(weighed) == 0 || rows_is_null(weighed, 0, 0) || outbox_wake(tx, error);
}

gboolean
outbox_ready(struct tx *tx, gint64 request_id, GError **error)
{
	return outbox_say(tx, request_id, "done", error);
}

gboolean
outbox_drop(struct tx *tx, gint64 request_id, GError **error)
{
	return outbox_say(tx, request_id, "dropped", error);
}

static const struct statement outbox_of_request_statement = {
	"outbox_of_request",
	"SELECT outbox_id FROM outbox_part WHERE request_id = $1",
};

gboolean
outbox_of_request(struct db *db, gint64 request_id, gint64 *id, GError **error)
{
	struct params *params = params_new();

	params_int(params, request_id);
	CLEANUP(rows) struct rows *rows = db_query(db, &outbox_of_request_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*id = rows_count(rows) > 0 ? rows_int(rows, 0, 0) : 0;
	return TRUE;
}

/* --- looking --- */

static struct outbox_row *
one_row(struct rows *rows, gint64 id, GError **error)
{
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "there is no delivery %" G_GINT64_FORMAT,
			    id);
	return outbox_row_read(rows, 0);
}

static const struct statement outbox_find_statement = {
	"outbox_find",
	OUTBOX_COLUMNS " WHERE id = $1",
};

struct outbox_row *
outbox_find(struct db *db, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows) struct rows *rows = db_query(db, &outbox_find_statement, params, error);
	return one_row(rows, id, error);
}

static const struct statement outbox_lock_statement = {
	"outbox_lock",
	OUTBOX_COLUMNS " WHERE id = $1 FOR UPDATE",
};

struct outbox_row *
outbox_lock(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_lock_statement, params, error);
	return one_row(rows, id, error);
}

static const struct statement outbox_parts_statement = {
	"outbox_parts",
	"SELECT coalesce(p.request_id, 0), coalesce(p.thumbprint, r.thumbprint), p.state"
	" FROM outbox_part p LEFT JOIN request r ON r.id = p.request_id"
	" WHERE p.outbox_id = $1 ORDER BY p.position",
};

GPtrArray *
outbox_parts(struct db *db, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows) struct rows *rows = db_write(db, &outbox_parts_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *parts = g_ptr_array_new_with_free_func((GDestroyNotify)outbox_part_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct outbox_part *part = g_new0(struct outbox_part, 1);

		part->request_id = rows_int(rows, r, 0);
		part->thumbprint = g_strdup(rows_text(rows, r, 1));
		part->waiting = strcmp(rows_text(rows, r, 2), "waiting") == 0;
		part->dropped = strcmp(rows_text(rows, r, 2), "dropped") == 0;
		g_ptr_array_add(parts, part);
	}
	return parts;
}

static const struct statement outbox_list_statement = {
	"outbox_list",
	OUTBOX_COLUMNS " WHERE ($1::bigint = 0 OR id < $1)"
		       " AND (NOT $2 OR state IN ('waiting', 'ready', 'claimed')"
		       " OR sms IN ('waiting', 'claimed'))"
		       " AND (NOT $3 OR state = 'failed' OR sms = 'failed')"
		       " AND ($4::text IS NULL OR email = $4 OR recipient = $4)"
		       " ORDER BY id DESC LIMIT $5",
};

GPtrArray *
outbox_list(struct db *db, gboolean only_open, gboolean only_failed, const char *email,
	    gint64 before, gint limit, GError **error)
{
	struct params *params = params_new();

	params_int(params, before);
	params_bool(params, only_open);
	params_bool(params, only_failed);
	params_text(params, email);
	params_int(params, limit);
	CLEANUP(rows) struct rows *rows = db_query(db, &outbox_list_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)outbox_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(list, outbox_row_read(rows, r));
	return list;
}

/* --- by hand --- */

static const struct statement outbox_retry_statement = {
	"outbox_retry",
	"UPDATE outbox SET next_try = $2, attempts = 0, sms_attempts = 0,"
	" state = CASE WHEN $3 OR state = 'failed' THEN 'ready' ELSE state END,"
	" built = CASE WHEN $3 THEN NULL ELSE built END,"
	" message_id = CASE WHEN $3 AND kind = 'bundle' THEN NULL ELSE message_id END,"
	" sms = CASE WHEN sms = 'failed' OR ($3 AND sms <> 'none') THEN 'waiting' ELSE sms END,"
	" updated = now() WHERE id = $1",
};

static gboolean
may_retry(struct tx *tx, const struct outbox_row *row, gboolean again, GError **error)
{
	static const char *const says[] = {
		[OUTBOX_WAITING] = "waits for its certificate: see the request",
		[OUTBOX_CANCELLED] = "was cancelled with its request: retry that",
	};
	(void)tx;
	if (row->erased)
		return fail_false(error, PS_ERROR_INVALID,
				  "delivery %" G_GINT64_FORMAT
				  " is erased: use cert send for a new one",
				  row->id);
	if (row->state == OUTBOX_WAITING || row->state == OUTBOX_CANCELLED)
		return fail_false(error, PS_ERROR_INVALID, "delivery %" G_GINT64_FORMAT " %s",
				  row->id, says[row->state]);
	if (row->holder != NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "delivery %" G_GINT64_FORMAT " is being worked on", row->id);
	if (row->state == OUTBOX_SENT && !again &&
	    (row->sms == OUTBOX_SMS_NONE || row->sms == OUTBOX_SMS_SENT))
		return fail_false(error, PS_ERROR_INVALID,
				  "delivery %" G_GINT64_FORMAT
				  " was sent: say --again to send it once more",
				  row->id);
	return TRUE;
}

gboolean
outbox_retry(struct tx *tx, gint64 id, gboolean again, GError **error)
{
	CLEANUP(outbox_row) struct outbox_row *row = outbox_lock(tx, id, error);

	if (row == NULL || !may_retry(tx, row, again, error))
		return FALSE;
	struct params *params = params_new();
	params_int(params, id);
	params_time(params, tx_now(tx));
	params_bool(params, again && row->state == OUTBOX_SENT);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_retry_statement, params, error);
	return rows != NULL && outbox_wake(tx, error);
}

static const struct statement outbox_delete_statement = {
	"outbox_delete",
	"DELETE FROM outbox WHERE id = $1",
};

gboolean
outbox_delete(struct tx *tx, gint64 id, GError **error)
{
	CLEANUP(outbox_row) struct outbox_row *row = outbox_lock(tx, id, error);

	if (row == NULL)
		return FALSE;
	if (row->state == OUTBOX_CLAIMED)
		return fail_false(error, PS_ERROR_INVALID,
				  "delivery %" G_GINT64_FORMAT " is being sent now", id);
	struct params *params = params_new();
	params_int(params, id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_delete_statement, params, error);
	return rows != NULL;
}

static const struct statement outbox_note_shown_statement = {
	"outbox_note_shown",
	"UPDATE outbox SET password_shown = $2, password_shown_to = $3 WHERE id = $1",
};

gboolean
outbox_note_shown(struct tx *tx, gint64 id, const char *whom, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_time(params, tx_now(tx));
	params_text(params, whom);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_note_shown_statement, params, error);
	return rows != NULL;
}

static const struct statement outbox_erase_statement = {
	"outbox_erase",
	"WITH old AS (SELECT id FROM outbox WHERE NOT erased AND next_try IS NULL"
	" AND holder IS NULL AND state IN ('sent', 'failed', 'cancelled') AND updated < $1"
	" ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED),"
	" gone AS (DELETE FROM outbox_secret USING old WHERE outbox_id = old.id)"
	" UPDATE outbox SET erased = true FROM old WHERE outbox.id = old.id",
};

gboolean
outbox_erase(struct tx *tx, gint64 before, gint64 *erased, GError **error)
{
	struct params *params = params_new();

	params_time(params, before);
	params_int(params, ERASE_AT_A_TIME);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_erase_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*erased = rows_affected(rows);
	return TRUE;
}

static const struct statement outbox_forget_statement = {
	"outbox_forget",
	"DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE erased AND next_try IS NULL"
	" AND holder IS NULL AND updated < $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)",
};

gboolean
outbox_forget(struct tx *tx, gint64 before, GError **error)
{
	struct params *params = params_new();

	params_time(params, before);
	params_int(params, ERASE_AT_A_TIME);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &outbox_forget_statement, params, error);
	return rows != NULL;
}
