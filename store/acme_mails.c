/*
 * acme_mails - SQL and mapping of challenges by mail.
 */
#include "store/acme_mails.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define WEEK_SECONDS (7 * 86400)
#define MAIL_COLUMNS                                                                               \
	"id, request_id, state, mailbox, expires, challenge_url, expected_from, token2,"           \
	" token_join, thumbprint, mail_from, reply_to, message_id, subject, token1, received,"     \
	" outbox_id, error, answered"

static const char *const state_names[] = {
	[ACME_MAIL_WAITING] = "waiting",
	[ACME_MAIL_RECEIVED] = "received",
	[ACME_MAIL_ANSWERED] = "answered",
	[ACME_MAIL_DONE] = "done",
};

static const char *const take_names[] = {
	[ACME_TAKE_NONE] = "none",
	[ACME_TAKE_TAKEN] = "taken",
	[ACME_TAKE_AGAIN] = "again",
	[ACME_TAKE_EARLY] = "early",
};

void
acme_mail_row_free(struct acme_mail_row *row)
{
	if (row == NULL)
		return;
	g_free(row->mailbox);
	g_free(row->challenge_url);
	g_free(row->expected_from);
	g_free(row->token2);
	g_free(row->thumbprint);
	g_free(row->mail_from);
	g_free(row->reply_to);
	g_free(row->message_id);
	g_free(row->subject);
	g_free(row->token1);
	g_free(row->error);
	g_free(row);
}

static struct acme_mail_row *
acme_mail_row_read(const struct rows *rows, int r)
{
	struct acme_mail_row *row = g_new0(struct acme_mail_row, 1);
	int c = 0;

	row->id = rows_int(rows, r, c++);
	row->request_id = rows_int(rows, r, c++);
	row->state = ACME_MAIL_DONE;
	for (guint s = 0; s < G_N_ELEMENTS(state_names); s++)
		if (strcmp(rows_text(rows, r, c), state_names[s]) == 0)
			row->state = (enum acme_mail_state)s;
	c++;
	row->mailbox = g_strdup(rows_text(rows, r, c++));
	row->expires = rows_time(rows, r, c++);
	row->challenge_url = g_strdup(rows_text(rows, r, c++));
	row->expected_from = g_strdup(rows_text(rows, r, c++));
	row->token2 = g_strdup(rows_text(rows, r, c++));
	row->join_decoded = strcmp(rows_text(rows, r, c++), "decoded") == 0;
	row->thumbprint = g_strdup(rows_text(rows, r, c++));
	row->mail_from = g_strdup(rows_text(rows, r, c++));
	row->reply_to = g_strdup(rows_text(rows, r, c++));
	row->message_id = g_strdup(rows_text(rows, r, c++));
	row->subject = g_strdup(rows_text(rows, r, c++));
	row->token1 = g_strdup(rows_text(rows, r, c++));
	row->received = rows_time(rows, r, c++);
	row->outbox_id = rows_int(rows, r, c++);
	row->error = g_strdup(rows_text(rows, r, c++));
	row->answered = rows_time(rows, r, c++);
	return row;
}

/* ---- the filter's ---------------------------------------------------------------------------- */

static const struct statement acme_mails_waits_statement = {
	"acme_mails_waits",
	"SELECT milter_acme_waits($1)",
};

gboolean
acme_mails_waits(struct db *db, const char *mailbox, gboolean *waits, GError **error)
{
	struct params *params = params_new();

	params_text(params, mailbox);
	CLEANUP(rows) struct rows *rows = db_write(db, &acme_mails_waits_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*waits = rows_bool(rows, 0, 0);
	return TRUE;
}

static const struct statement acme_mails_take_statement = {
	"acme_mails_take",
	"SELECT milter_acme_take($1, $2, $3, $4, $5, $6)",
};

gboolean
acme_mails_take(struct db *db, const char *mailbox, const char *from, const char *reply_to,
		const char *message_id, const char *subject, const char *token1,
		enum acme_take *take, GError **error)
{
	struct params *params = params_new();

	params_text(params, mailbox);
	params_text(params, from);
	params_text(params, reply_to);
	params_text(params, message_id);
	params_text(params, subject);
	params_text(params, token1);
	CLEANUP(rows) struct rows *rows = db_write(db, &acme_mails_take_statement, params, error);
	if (rows == NULL)
		return FALSE;
	const char *name = rows_text(rows, 0, 0);
	for (guint t = 0; t < G_N_ELEMENTS(take_names); t++)
		if (g_strcmp0(name, take_names[t]) == 0) {
			*take = (enum acme_take)t;
			return TRUE;
		}
	return fail_false(error, PS_ERROR_BUG, "milter_acme_take gave no answer that is known");
}

/* ---- the daemon's ---------------------------------------------------------------------------- */

/* One that nobody waits for any more makes room. */
static const struct statement acme_mails_stale_statement = {
	"acme_mails_stale",
	"UPDATE acme_mail m SET state = 'done' WHERE m.mailbox = $2 AND m.state <> 'done'"
	" AND m.request_id <> $1 AND NOT EXISTS (SELECT 1 FROM request r"
	" WHERE r.id = m.request_id AND r.state IN ('new', 'keyed', 'pending'))",
};

static const struct statement acme_mails_open_statement = {
	"acme_mails_open",
	"INSERT INTO acme_mail (request_id, mailbox, expires) VALUES ($1, $2, $3)"
	" ON CONFLICT (mailbox) WHERE state <> 'done' DO UPDATE SET opened = now(),"
	" expires = excluded.expires WHERE acme_mail.request_id = excluded.request_id"
	" RETURNING id",
};

gboolean
acme_mails_open(struct tx *tx, gint64 request_id, const char *mailbox, gint64 expires,
		gboolean *opened, GError **error)
{
	struct params *params = params_new();

	params_int(params, request_id);
	params_text(params, mailbox);
	CLEANUP(rows)
	struct rows *stale = tx_query(tx, &acme_mails_stale_statement, params, error);
	if (stale == NULL)
		return FALSE;
	params = params_new();
	params_int(params, request_id);
	params_text(params, mailbox);
	params_time(params, expires);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_mails_open_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*opened = rows_count(rows) == 1;
	return TRUE;
}

static const struct statement acme_mails_expect_statement = {
	"acme_mails_expect",
	"UPDATE acme_mail SET challenge_url = $2, expected_from = $3, token2 = $4, token_join = $5,"
	" thumbprint = $6, expires = $7 WHERE request_id = $1 AND state = 'waiting'",
};

gboolean
acme_mails_expect(struct tx *tx, const struct acme_mail_row *row, GError **error)
{
	struct params *params = params_new();

	params_int(params, row->request_id);
	params_text(params, row->challenge_url);
	params_text(params, row->expected_from);
	params_text(params, row->token2);
	params_text(params, row->join_decoded ? "decoded" : "string");
	params_text(params, row->thumbprint);
	params_time(params, row->expires);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_mails_expect_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_mails_of_statement = {
	"acme_mails_of",
	"SELECT " MAIL_COLUMNS " FROM acme_mail WHERE request_id = $1 AND state <> 'done'",
};

struct acme_mail_row *
acme_mails_of(struct db *db, gint64 request_id, GError **error)
{
	struct params *params = params_new();

	params_int(params, request_id);
	CLEANUP(rows) struct rows *rows = db_write(db, &acme_mails_of_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "request %" G_GINT64_FORMAT " waits for no challenge by mail",
			    request_id);
	return acme_mail_row_read(rows, 0);
}

static const struct statement acme_mails_close_statement = {
	"acme_mails_close",
	"UPDATE acme_mail SET state = 'done' WHERE request_id = $1 AND state <> 'done'",
};

gboolean
acme_mails_close(struct tx *tx, gint64 request_id, GError **error)
{
	struct params *params = params_new();

	params_int(params, request_id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_mails_close_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_mails_received_statement = {
	"acme_mails_received",
	"SELECT " MAIL_COLUMNS " FROM acme_mail WHERE state = 'received' ORDER BY id LIMIT $1",
};

GPtrArray *
acme_mails_received(struct db *db, gint limit, GError **error)
{
	struct params *params = params_new();

	params_int(params, limit);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &acme_mails_received_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)acme_mail_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, acme_mail_row_read(rows, r));
	return found;
}

static gboolean
one_changed(struct rows *rows, const struct acme_mail_row *row, GError **error)
{
	if (rows == NULL)
		return FALSE;
	gint64 n = rows_affected(rows);
	rows_free(rows);
	if (n == 1)
		return TRUE;
	return fail_false(error, PS_ERROR_NOT_FOUND,
			  "challenge %" G_GINT64_FORMAT " is taken care of already", row->id);
}

static const struct statement acme_mails_composed_statement = {
	"acme_mails_composed",
	"UPDATE acme_mail SET outbox_id = $2, error = NULL"
	" WHERE id = $1 AND state = 'received' AND outbox_id IS NULL",
};

gboolean
acme_mails_composed(struct tx *tx, const struct acme_mail_row *row, gint64 outbox_id,
		    GError **error)
{
	struct params *params = params_new();

	params_int(params, row->id);
	params_int(params, outbox_id);
	return one_changed(tx_query(tx, &acme_mails_composed_statement, params, error), row, error);
}

static const struct statement acme_mails_answered_statement = {
	"acme_mails_answered",
	"UPDATE acme_mail SET state = 'answered', answered = $2, error = NULL"
	" WHERE id = $1 AND state = 'received'",
};

static const struct statement acme_mails_due_statement = {
	"acme_mails_due",
	"UPDATE request SET next_try = $2 WHERE id = $1 AND state IN ('keyed', 'pending')"
	" AND next_try > $2",
};

gboolean
acme_mails_answered(struct tx *tx, const struct acme_mail_row *row, gint64 now, GError **error)
{
	struct params *params = params_new();

	params_int(params, row->id);
	params_time(params, now);
	if (!one_changed(tx_query(tx, &acme_mails_answered_statement, params, error), row, error))
		return FALSE;
	params = params_new();
	params_int(params, row->request_id);
	params_time(params, now);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_mails_due_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_mails_note_statement = {
	"acme_mails_note",
	"UPDATE acme_mail SET error = $2, state = CASE WHEN $3 THEN 'waiting' ELSE state END,"
	" expires = CASE WHEN $3 THEN now() ELSE expires END WHERE id = $1 AND state = 'received'",
};

gboolean
acme_mails_note(struct tx *tx, const struct acme_mail_row *row, const char *why, gboolean give_up,
		GError **error)
{
	struct params *params = params_new();

	params_int(params, row->id);
	params_text(params, why);
	params_bool(params, give_up);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_mails_note_statement, params, error);
	return rows != NULL;
}

static const struct statement acme_mails_forget_statement = {
	"acme_mails_forget",
	"DELETE FROM acme_mail WHERE state = 'done' AND coalesce(received, opened) < $1",
};

gboolean
acme_mails_forget(struct tx *tx, gint64 now, GError **error)
{
	struct params *params = params_new();

	params_time(params, now - WEEK_SECONDS);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &acme_mails_forget_statement, params, error);
	return rows != NULL;
}
