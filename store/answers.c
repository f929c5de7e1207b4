/*
 * answers - SQL of what the filter remembers for later messages.
 */
#include "store/answers.h"

#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/jobs.h"

static const struct statement decrypted_note_statement = {
	"decrypted_note",
	"SELECT milter_decrypted($1)",
};

gboolean
decrypted_note(struct db *db, GBytes *const *digests, gsize n, GError **error)
{
	struct params *params = params_new();

	params_bytes_array(params, digests, n);
	CLEANUP(rows) struct rows *rows = db_write(db, &decrypted_note_statement, params, error);
	return rows != NULL;
}

static const struct statement decrypted_find_statement = {
	"decrypted_find",
	"SELECT EXISTS (SELECT 1 FROM decrypted_mail WHERE digest = ANY ($1::bytea[]))",
};

gboolean
decrypted_find(struct db *db, GBytes *const *digests, gsize n, gboolean *found, GError **error)
{
	struct params *params = params_new();

	params_bytes_array(params, digests, n);
	CLEANUP(rows) struct rows *rows = db_query(db, &decrypted_find_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*found = rows_bool(rows, 0, 0);
	return TRUE;
}

static gboolean
forget(struct tx *tx, const struct statement *statement, gint64 older_than, GError **error)
{
	struct params *params = params_new();

	params_time(params, older_than);
	CLEANUP(rows) struct rows *rows = tx_query(tx, statement, params, error);
	return rows != NULL;
}

static const struct statement decrypted_forget_statement = {
	"decrypted_forget",
	"DELETE FROM decrypted_mail WHERE seen < $1",
};

gboolean
decrypted_forget(struct tx *tx, gint64 older_than, GError **error)
{
	return forget(tx, &decrypted_forget_statement, older_than, error);
}

static const struct statement auto_requests_find_statement = {
	"auto_requests_find",
	"SELECT asked FROM auto_request WHERE email = $1",
};

gboolean
auto_requests_find(struct db *db, const char *email_key, gint64 *asked, GError **error)
{
	struct params *params = params_new();

	params_text(params, email_key);
	CLEANUP(rows)
	struct rows *rows = db_query(db, &auto_requests_find_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*asked = rows_count(rows) > 0 ? rows_time(rows, 0, 0) : CLOCK_NEVER;
	return TRUE;
}

gboolean
auto_requests_ask(struct db *db, const char *email_key, GError **error)
{
	return jobs_ask(db, "auto-request", email_key, NULL, error);
}

static const struct statement auto_requests_forget_statement = {
	"auto_requests_forget",
	"DELETE FROM auto_request WHERE asked < $1",
};

gboolean
auto_requests_forget(struct tx *tx, gint64 older_than, GError **error)
{
	return forget(tx, &auto_requests_forget_statement, older_than, error);
}
