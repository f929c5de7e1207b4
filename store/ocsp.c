/*
 * ocsp - rows of answers, and which answer replaces which.
 */
#include "store/ocsp.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/db/tx.h"
#include "store/lookups.h"

#define REASON_CERTIFICATE_HOLD 6 /* RFC 5280 section 5.3.1: the one that may be lifted */

static const char *const status_names[] = {
	[OCSP_ROW_NONE] = "",
	[OCSP_ROW_GOOD] = "good",
	[OCSP_ROW_REVOKED] = "revoked",
	[OCSP_ROW_UNKNOWN] = "unknown",
};

const char *
ocsp_row_status_name(enum ocsp_row_status status)
{
	return status_names[status];
}

/* What is not one of ours may be anything: as if it had never been answered. */
static enum ocsp_row_status
status_of(const char *name)
{
	for (gsize i = 1; name != NULL && i < G_N_ELEMENTS(status_names); i++)
		if (strcmp(status_names[i], name) == 0)
			return (enum ocsp_row_status)i;
	return OCSP_ROW_NONE;
}

void
ocsp_row_free(struct ocsp_row *row)
{
	if (row == NULL)
		return;
	g_free(row->issuer_key);
	g_free(row->issuer_spki);
	g_free(row->serial);
	g_free(row->url);
	g_free(row->host);
	g_free(row->error);
	g_free(row);
}

#define OCSP_COLUMNS                                                                               \
	"SELECT o.issuer_key, o.issuer_spki, o.serial, o.status, o.this_update, o.next_update,"    \
	" o.revoked_at, o.reason, o.url, o.host, o.answered, o.last_try, o.next_try, o.attempts,"  \
	" o.error, o.wanted FROM ocsp o"

static struct ocsp_row *
ocsp_row_read(const struct rows *rows, int r)
{
	struct ocsp_row *row = g_new0(struct ocsp_row, 1);

	row->issuer_key = g_strdup(rows_text(rows, r, 0));
	row->issuer_spki = g_strdup(rows_text(rows, r, 1));
	row->serial = g_strdup(rows_text(rows, r, 2));
	row->status = status_of(rows_text(rows, r, 3));
	row->this_update = rows_time(rows, r, 4);
	row->next_update = rows_time(rows, r, 5);
	row->revoked_at = rows_time(rows, r, 6);
	row->reason = (gint)rows_int(rows, r, 7);
	row->url = g_strdup(rows_text(rows, r, 8));
	row->host = g_strdup(rows_text(rows, r, 9));
	row->answered = rows_time(rows, r, 10);
	row->last_try = rows_time(rows, r, 11);
	row->next_try = rows_time(rows, r, 12);
	row->attempts = (gint)rows_int(rows, r, 13);
	row->error = g_strdup(rows_text(rows, r, 14));
	row->wanted = rows_time(rows, r, 15);
	return row;
}

const struct statement ocsp_by_certs_statement = {
	"ocsp_by_certs",
	OCSP_COLUMNS " JOIN unnest($1::text[], $2::text[]) AS c(i, s)"
		     " ON o.issuer_key = c.i AND o.serial = c.s",
};

GPtrArray *
ocsp_by_certs(struct db *db, const char *const *issuer_keys, const char *const *serials, gsize n,
	      GError **error)
{
	struct params *params = params_new();

	params_text_array(params, issuer_keys, n);
	params_text_array(params, serials, n);
	CLEANUP(rows) struct rows *rows = db_query(db, &ocsp_by_certs_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)ocsp_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, ocsp_row_read(rows, r));
	return found;
}

static const struct statement ocsp_present_statement = {
	"ocsp_present",
	"SELECT EXISTS (SELECT 1 FROM ocsp)",
};

gboolean
ocsp_present(struct db *db, gboolean *present, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &ocsp_present_statement, NULL, error);

	if (rows == NULL)
		return FALSE;
	*present = rows_bool(rows, 0, 0);
	return TRUE;
}

static struct params *
key_params(const struct ocsp_row *row)
{
	struct params *params = params_new();

	params_text(params, row->issuer_key);
	params_text(params, row->issuer_spki);
	params_text(params, row->serial);
	return params;
}

static const struct statement ocsp_ensure_statement = {
	"ocsp_ensure",
	"INSERT INTO ocsp (issuer_key, issuer_spki, serial, next_try)"
	" VALUES ($1, $2, $3, now()) ON CONFLICT DO NOTHING",
};

static const struct statement ocsp_lock_statement = {
	"ocsp_lock",
	OCSP_COLUMNS " WHERE o.issuer_key = $1 AND o.issuer_spki = $2 AND o.serial = $3 FOR UPDATE",
};

/* The row as it is, made if it was not there, and ours until the end of the transaction. */
static struct ocsp_row *
lock_row(struct tx *tx, const struct ocsp_row *row, GError **error)
{
	CLEANUP(rows)
	struct rows *made = tx_query(tx, &ocsp_ensure_statement, key_params(row), error);
	if (made == NULL)
		return NULL;
	CLEANUP(rows)
	struct rows *locked = tx_query(tx, &ocsp_lock_statement, key_params(row), error);
	return locked != NULL ? ocsp_row_read(locked, 0) : NULL;
}

static gboolean
is_lasting(const struct ocsp_row *row)
{
	return row->status == OCSP_ROW_REVOKED && row->reason != REASON_CERTIFICATE_HOLD;
}

/* Pure: what becomes of a new answer beside the one that is there. */
static enum ocsp_outcome
outcome_of(const struct ocsp_row *old, const struct ocsp_row *new)
{
	if (is_lasting(new))
		return OCSP_STORED;
	if (is_lasting(old))
		return OCSP_KEPT_REVOKED;
	if (old->status == OCSP_ROW_REVOKED && new->status != OCSP_ROW_REVOKED) {
		/* A hold ends when the responder says good of a later time; not knowing ends it
		 * not. */
		if (new->status != OCSP_ROW_GOOD)
			return OCSP_KEPT_REVOKED;
		return new->this_update > old->this_update ? OCSP_STORED : OCSP_KEPT_NEWER;
	}
	return old->status != OCSP_ROW_NONE && old->this_update > new->this_update ? OCSP_KEPT_NEWER
										   : OCSP_STORED;
}

static void
append_change(struct tx *tx, const struct ocsp_row *row)
{
	g_autofree char *key = g_strconcat(row->issuer_key, ":", row->serial, NULL);

	tx_changed(tx, CHANGE_OCSP, key);
}

static const struct statement ocsp_answer_statement = {
	"ocsp_answer",
	"UPDATE ocsp SET status = $4, this_update = $5, next_update = $6, revoked_at = $7,"
	" reason = $8, answered = $9"
	" WHERE issuer_key = $1 AND issuer_spki = $2 AND serial = $3",
};

static gboolean
write_answer(struct tx *tx, const struct ocsp_row *row, GError **error)
{
	struct params *params = key_params(row);

	params_text(params, ocsp_row_status_name(row->status));
	params_time(params, row->this_update);
	params_time(params, row->next_update);
	params_time(params, row->status == OCSP_ROW_REVOKED ? row->revoked_at : CLOCK_NEVER);
	params_int(params, row->reason);
	params_time(params, row->answered);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ocsp_answer_statement, params, error);
	return rows != NULL;
}

static const struct statement ocsp_try_statement = {
	"ocsp_try",
	"UPDATE ocsp SET url = $4, host = $5, last_try = $6, next_try = $7, error = $8,"
	" attempts = CASE WHEN $8::text IS NULL THEN 0 ELSE attempts + 1 END,"
	" wanted = coalesce($9, wanted)"
	" WHERE issuer_key = $1 AND issuer_spki = $2 AND serial = $3",
};

static gboolean
write_try(struct tx *tx, const struct ocsp_row *row, const char *problem, GError **error)
{
	struct params *params = key_params(row);

	params_text(params, row->url);
	params_text(params, row->host);
	params_time(params, tx_now(tx));
	params_time(params, row->next_try);
	params_text(params, problem);
	params_time(params, row->wanted);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ocsp_try_statement, params, error);
	if (rows == NULL)
		return FALSE;
	append_change(tx, row);
	return TRUE;
}

gboolean
ocsp_put_answer(struct tx *tx, const struct ocsp_row *row, enum ocsp_outcome *outcome,
		GError **error)
{
	CLEANUP(ocsp_row) struct ocsp_row *old = lock_row(tx, row, error);

	if (old == NULL)
		return FALSE;
	*outcome = outcome_of(old, row);
	return (*outcome != OCSP_STORED || write_answer(tx, row, error)) &&
	       write_try(tx, row, NULL, error);
}

gboolean
ocsp_put_failure(struct tx *tx, const struct ocsp_row *row, GError **error)
{
	CLEANUP(ocsp_row) struct ocsp_row *old = lock_row(tx, row, error);

	return old != NULL && write_try(tx, row, row->error != NULL ? row->error : "", error);
}

static const struct statement ocsp_count_statement = {
	"ocsp_count",
	"SELECT count(*), count(*) FILTER (WHERE host = $2 AND error IS NOT NULL)"
	" FROM ocsp WHERE last_try > $1 AND last_try <= $3",
};

gboolean
ocsp_count_between(struct db *db, gint64 since, gint64 until, const char *host, gint64 *asked,
		   gint64 *failed, GError **error)
{
	struct params *params = params_new();

	params_time(params, since);
	params_text(params, host);
	params_time(params, until);
	CLEANUP(rows) struct rows *rows = db_write(db, &ocsp_count_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*asked = rows_int(rows, 0, 0);
	*failed = rows_int(rows, 0, 1);
	return TRUE;
}

static const struct statement ocsp_forget_statement = {
	"ocsp_forget",
	"DELETE FROM ocsp WHERE coalesce(wanted, last_try) < $1"
	" AND status IS DISTINCT FROM 'revoked'",
};

gboolean
ocsp_forget(struct tx *tx, gint64 unwanted_since, GError **error)
{
	struct params *params = params_new();

	params_time(params, unwanted_since);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ocsp_forget_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) > 0)
		tx_changed(tx, CHANGE_OCSP, NULL);
	return TRUE;
}
