/*
 * requests - SQL and mapping of certificate requests.
 */
#include "store/requests.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/holder.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/requests_work.h"

#define LIST_LIMIT 100
#define REQUEST_COLUMNS                                                                            \
	"SELECT id, state, handler, handler_config, email, common_name, organisation, first_name," \
	" last_name, ca, key, digest, profile, validity_days, crl_url, options, spki_sha256, csr," \
	" handle, thumbprint, attempts, next_try, error_class, error_code, error_text, requester," \
	" created, updated, names, key_use, renews, batch_id, pair, delivery, tries, lost, "       \
	"asking,"                                                                                  \
	" lease_until, give_up, returned FROM request"
#define OPEN_STATES " state IN ('new', 'keyed', 'pending')"

static const char *const state_names[] = {
	[REQUEST_NEW] = "new",       [REQUEST_KEYED] = "keyed",   [REQUEST_PENDING] = "pending",
	[REQUEST_ISSUED] = "issued", [REQUEST_FAILED] = "failed", [REQUEST_REJECTED] = "rejected",
};

const char *
request_state_name(enum request_state state)
{
	return state_names[state];
}

void
request_row_free(struct request_row *row)
{
	if (row == NULL)
		return;
	g_free(row->handler);
	g_free(row->handler_config);
	g_free(row->email);
	g_free(row->common_name);
	g_free(row->organisation);
	g_free(row->first_name);
	g_free(row->last_name);
	g_free(row->ca);
	g_free(row->key);
	g_free(row->digest);
	g_free(row->profile);
	g_free(row->options);
	g_free(row->spki_sha256);
	if (row->csr != NULL)
		g_bytes_unref(row->csr);
	g_free(row->handle);
	g_free(row->thumbprint);
	g_free(row->error_class);
	g_free(row->error_code);
	g_free(row->error_text);
	g_free(row->requester);
	g_strfreev(row->names);
	g_free(row->key_use);
	g_free(row->renews);
	g_free(row->asking);
	if (row->returned != NULL)
		g_bytes_unref(row->returned);
	g_free(row);
}

static struct request_row *
request_row_read(const struct rows *rows, int r)
{
	struct request_row *row = g_new0(struct request_row, 1);
	int c = 0;

	row->id = rows_int(rows, r, c++);
	row->state = REQUEST_FAILED;
	for (guint s = 0; s < G_N_ELEMENTS(state_names); s++)
		if (strcmp(rows_text(rows, r, c), state_names[s]) == 0)
			row->state = (enum request_state)s;
	c++;
	row->handler = g_strdup(rows_text(rows, r, c++));
	row->handler_config = g_strdup(rows_text(rows, r, c++));
	row->email = g_strdup(rows_text(rows, r, c++));
	row->common_name = g_strdup(rows_text(rows, r, c++));
	row->organisation = g_strdup(rows_text(rows, r, c++));
	row->first_name = g_strdup(rows_text(rows, r, c++));
	row->last_name = g_strdup(rows_text(rows, r, c++));
	row->ca = g_strdup(rows_text(rows, r, c++));
	row->key = g_strdup(rows_text(rows, r, c++));
	row->digest = g_strdup(rows_text(rows, r, c++));
	row->profile = g_strdup(rows_text(rows, r, c++));
	row->validity_days = rows_int(rows, r, c++);
	row->crl_url = rows_bool(rows, r, c++);
	row->options = g_strdup(rows_text(rows, r, c++));
	row->spki_sha256 = g_strdup(rows_text(rows, r, c++));
	row->csr = rows_bytes(rows, r, c++);
	row->handle = g_strdup(rows_text(rows, r, c++));
	row->thumbprint = g_strdup(rows_text(rows, r, c++));
	row->attempts = (gint)rows_int(rows, r, c++);
	row->next_try = rows_time(rows, r, c++);
	row->error_class = g_strdup(rows_text(rows, r, c++));
	row->error_code = g_strdup(rows_text(rows, r, c++));
	row->error_text = g_strdup(rows_text(rows, r, c++));
	row->requester = g_strdup(rows_text(rows, r, c++));
	row->created = rows_time(rows, r, c++);
	row->updated = rows_time(rows, r, c++);
	row->names = rows_text_array(rows, r, c++);
	row->key_use = g_strdup(rows_text(rows, r, c++));
	row->renews = g_strdup(rows_text(rows, r, c++));
	row->batch_id = rows_int(rows, r, c++);
	row->pair = rows_int(rows, r, c++);
	row->delivery = rows_bool(rows, r, c++);
	row->tries = (gint)rows_int(rows, r, c++);
	row->lost = (gint)rows_int(rows, r, c++);
	row->asking = g_strdup(rows_text(rows, r, c++));
	row->lease_until = rows_time(rows, r, c++);
	row->give_up = rows_time(rows, r, c++);
	row->returned = rows_bytes(rows, r, c++);
	return row;
}

static const struct statement requests_insert_statement = {
	"requests_insert",
	"INSERT INTO request (state, handler, handler_config, email, common_name, organisation,"
	" first_name, last_name, ca, key, digest, profile, validity_days, crl_url, options,"
	" requester, next_try, names, key_use, renews, batch_id, delivery, give_up, pair) VALUES"
	" ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,"
	" $20, nullif($21::bigint, 0), $22, $23, nullif($24::bigint, 0)) RETURNING id",
};

gboolean
requests_insert(struct tx *tx, const struct request_row *row, gint64 *id, GError **error)
{
	struct params *params = params_new();

	params_text(params, state_names[row->state]);
	params_text(params, row->handler);
	params_text(params, row->handler_config != NULL ? row->handler_config : "default");
	params_text(params, row->email);
	params_text(params, row->common_name);
	params_text(params, row->organisation);
	params_text(params, row->first_name);
	params_text(params, row->last_name);
	params_text(params, row->ca);
	params_text(params, row->key);
	params_text(params, row->digest);
	params_text(params, row->profile);
	params_int(params, row->validity_days);
	params_bool(params, row->crl_url);
	params_text(params, row->options);
	params_text(params, row->requester);
	params_time(params, row->next_try);
	params_text_array(params, (const char *const *)row->names,
			  row->names != NULL ? g_strv_length(row->names) : 0);
	params_text(params, row->key_use != NULL ? row->key_use : "dual");
	params_text(params, row->renews);
	params_int(params, row->batch_id);
	params_bool(params, row->delivery);
	params_time(params, row->give_up);
	params_int(params, row->pair);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &requests_insert_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*id = rows_int(rows, 0, 0);
	return TRUE;
}

static const struct statement requests_update_statement = {
	"requests_update",
	"UPDATE request SET state = $2, spki_sha256 = $3, csr = $4, handle = $5, thumbprint = $6,"
	" attempts = $7, next_try = $8, error_class = $9, error_code = $10, error_text = $11,"
	" tries = $12, lost = $13, asking = $14, lease_by = CASE WHEN $15::timestamptz IS NULL"
	" THEN NULL WHEN lease_until IS DISTINCT FROM $15 THEN $18 ELSE lease_by END,"
	" lease_until = $15, give_up = $16, returned = $17, updated = now() WHERE id = $1",
};

static gboolean
one_request(struct rows *rows, gint64 id, GError **error)
{
	if (rows == NULL)
		return FALSE;
	gint64 n = rows_affected(rows);
	rows_free(rows);
	if (n == 1)
		return TRUE;
	return fail_false(error, PS_ERROR_NOT_FOUND, "request %" G_GINT64_FORMAT " does not exist",
			  id);
}

gboolean
requests_update(struct tx *tx, const struct request_row *row, GError **error)
{
	struct params *params = params_new();

	params_int(params, row->id);
	params_text(params, state_names[row->state]);
	params_text(params, row->spki_sha256);
	params_bytes(params, row->csr);
	params_text(params, row->handle);
	params_text(params, row->thumbprint);
	params_int(params, row->attempts);
	params_time(params, row->next_try);
	params_text(params, row->error_class);
	params_text(params, row->error_code);
	params_text(params, row->error_text);
	params_int(params, row->tries);
	params_int(params, row->lost);
	params_text(params, row->asking);
	params_time(params, row->lease_until);
	params_time(params, row->give_up);
	params_bytes(params, row->returned);
	params_text(params, holder_name());
	return one_request(tx_query(tx, &requests_update_statement, params, error), row->id, error);
}

static const struct statement requests_delete_statement = {
	"requests_delete",
	"DELETE FROM request WHERE id = $1",
};

gboolean
requests_delete(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	return one_request(tx_query(tx, &requests_delete_statement, params, error), id, error);
}

static struct request_row *
first_request(struct rows *rows, gint64 id, GError **error)
{
	struct request_row *row = NULL;

	if (rows == NULL)
		return NULL;
	if (rows_count(rows) > 0)
		row = request_row_read(rows, 0);
	else
		(void)fail(error, PS_ERROR_NOT_FOUND, "request %" G_GINT64_FORMAT " does not exist",
			   id);
	rows_free(rows);
	return row;
}

static const struct statement requests_find_statement = {
	"requests_find",
	REQUEST_COLUMNS " WHERE id = $1",
};
static const struct statement requests_lock_statement = {
	"requests_lock",
	REQUEST_COLUMNS " WHERE id = $1 FOR UPDATE",
};

struct request_row *
requests_find(struct db *db, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	return first_request(db_write(db, &requests_find_statement, params, error), id, error);
}

struct request_row *
requests_lock(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	return first_request(tx_query(tx, &requests_lock_statement, params, error), id, error);
}

static GPtrArray *
request_rows_read(struct rows *rows)
{
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)request_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, request_row_read(rows, r));
	rows_free(rows);
	return found;
}

static const struct statement requests_list_statement = {
	"requests_list",
	REQUEST_COLUMNS
	" WHERE (NOT $1 OR" OPEN_STATES ") AND ($2 = 0 OR id < $2)"
	" AND ($4::text IS NULL OR state = $4) AND ($5::text IS NULL OR handler = $5)"
	" AND ($6::text IS NULL OR handler_config = $6)"
	" AND ($7::text IS NULL OR email = $7) AND ($8 = 0 OR batch_id = $8)"
	" AND ($9::text IS NULL OR strpos(lower(email), lower($9)) > 0"
	" OR strpos(lower(common_name), lower($9)) > 0"
	" OR strpos(lower(error_text), lower($9)) > 0)"
	" ORDER BY id DESC LIMIT $3",
};

GPtrArray *
requests_list(struct db *db, const struct request_filter *filter, GError **error)
{
	struct params *params = params_new();

	params_bool(params, filter->only_open);
	params_int(params, filter->before);
	params_int(params, filter->limit > 0 ? filter->limit : LIST_LIMIT);
	params_text(params, filter->state);
	params_text(params, filter->handler);
	params_text(params, filter->config);
	params_text(params, filter->email);
	params_int(params, filter->batch_id);
	params_text(params, filter->text);
	return request_rows_read(db_query(db, &requests_list_statement, params, error));
}

static const struct statement requests_open_for_statement = {
	"requests_open_for",
	REQUEST_COLUMNS " WHERE email = $1 AND" OPEN_STATES " ORDER BY id LIMIT $2",
};

GPtrArray *
requests_open_for(struct db *db, const char *email_key, GError **error)
{
	struct params *params = params_new();

	params_text(params, email_key);
	params_int(params, LIST_LIMIT);
	return request_rows_read(db_write(db, &requests_open_for_statement, params, error));
}

static const struct statement requests_due_statement = {
	"requests_due",
	REQUEST_COLUMNS " WHERE" OPEN_STATES " AND next_try <= $1"
			" AND (lease_until IS NULL OR lease_until <= $1)"
			" ORDER BY next_try, id LIMIT $2",
};

GPtrArray *
requests_due(struct db *db, gint64 now, gint limit, GError **error)
{
	struct params *params = params_new();

	params_time(params, now);
	params_int(params, limit > 0 ? limit : LIST_LIMIT);
	return request_rows_read(db_write(db, &requests_due_statement, params, error));
}

static const struct statement requests_by_spki_statement = {
	"requests_by_spki",
	REQUEST_COLUMNS " WHERE spki_sha256 = $1 AND" OPEN_STATES " ORDER BY id LIMIT 1",
};

struct request_row *
requests_by_spki(struct db *db, const char *spki_sha256, GError **error)
{
	struct params *params = params_new();

	params_text(params, spki_sha256);
	g_autoptr(GPtrArray) found =
	    request_rows_read(db_query(db, &requests_by_spki_statement, params, error));
	if (found == NULL)
		return NULL;
	if (found->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "no request waits for key %.16s",
			    spki_sha256);
	return g_ptr_array_steal_index(found, 0);
}

static const struct statement requests_of_key_statement = {
	"requests_of_key",
	REQUEST_COLUMNS " WHERE spki_sha256 = $1 ORDER BY id",
};

GPtrArray *
requests_of_key(struct db *db, const char *spki_sha256, GError **error)
{
	struct params *params = params_new();

	params_text(params, spki_sha256);
	return request_rows_read(db_query(db, &requests_of_key_statement, params, error));
}

static const struct statement requests_of_pair_statement = {
	"requests_of_pair",
	REQUEST_COLUMNS " WHERE pair = $1 ORDER BY id",
};

GPtrArray *
requests_of_pair(struct tx *tx, gint64 pair, GError **error)
{
	struct params *params = params_new();

	params_int(params, pair);
	return request_rows_read(tx_query(tx, &requests_of_pair_statement, params, error));
}

static const struct statement requests_set_pair_statement = {
	"requests_set_pair",
	"UPDATE request SET pair = $2 WHERE id = $1",
};

gboolean
requests_set_pair(struct tx *tx, gint64 id, gint64 pair, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_int(params, pair);
	return one_request(tx_query(tx, &requests_set_pair_statement, params, error), id, error);
}

static const struct statement requests_lock_due_statement = {
	"requests_lock_due",
	REQUEST_COLUMNS " WHERE" OPEN_STATES " AND handler = $1 AND handler_config = $2"
			" AND next_try <= $3 AND (lease_until IS NULL OR lease_until <= $3)"
			" ORDER BY next_try, id LIMIT 1 FOR UPDATE SKIP LOCKED",
};

gboolean
requests_lock_due(struct tx *tx, const char *handler, const char *config, gint64 now,
		  struct request_row **row, GError **error)
{
	struct params *params = params_new();

	*row = NULL;
	params_text(params, handler);
	params_text(params, config);
	params_time(params, now);
	g_autoptr(GPtrArray) found =
	    request_rows_read(tx_query(tx, &requests_lock_due_statement, params, error));
	if (found == NULL)
		return FALSE;
	if (found->len > 0)
		*row = g_ptr_array_steal_index(found, 0);
	return TRUE;
}
