/*
 * bulk - SQL and mapping of batches and their rows.
 */
#include "store/bulk.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/copy.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define LIST_LIMIT 100

static const char *const state_names[] = {
	[BULK_RUNNING] = "running",
	[BULK_PAUSED] = "paused",
	[BULK_DONE] = "done",
	[BULK_CANCELLED] = "cancelled",
};
static const char *const row_state_names[BULK_ROW_STATES] = {
	[BULK_ROW_WAITING] = "waiting",     [BULK_ROW_REQUESTED] = "requested",
	[BULK_ROW_FAILED] = "failed",       [BULK_ROW_CANCELLED] = "cancelled",
	[BULK_ROW_BROKEN] = "broken",       [BULK_ROW_DUPLICATE] = "duplicate",
	[BULK_ROW_CERTIFIED] = "certified", [BULK_ROW_UNDER_WAY] = "under-way",
};

const char *
bulk_state_name(enum bulk_state state)
{
	return state_names[state];
}

const char *
bulk_row_state_name(enum bulk_row_state state)
{
	return row_state_names[state];
}

void
bulk_batch_free(struct bulk_batch *batch)
{
	if (batch == NULL)
		return;
	g_free(batch->file);
	g_free(batch->handler);
	g_free(batch->handler_config);
	g_free(batch->ca);
	g_free(batch->key);
	g_free(batch->digest);
	g_free(batch->profile);
	g_free(batch->key_use);
	g_free(batch->language);
	g_clear_pointer(&batch->password, g_bytes_unref);
	g_free(batch->requester);
	g_free(batch->error);
	g_free(batch);
}

void
bulk_row_free(struct bulk_row *row)
{
	if (row == NULL)
		return;
	g_free(row->email);
	g_free(row->common_name);
	g_free(row->organisation);
	g_free(row->first_name);
	g_free(row->last_name);
	g_free(row->why);
	g_free(row->request_state);
	g_free(row);
}

/* --- batches --- */

static const struct statement insert_statement = {
	"bulk_insert",
	"INSERT INTO bulk_batch (file, handler, handler_config, ca, key, digest, profile, key_use,"
	" validity_days, crl_url, add_user, deliver, sms, store_password, compatible, language,"
	" requester, total) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
	" $15, $16, $17, $18) RETURNING id",
};
static const char copy_rows[] =
    "COPY bulk_row (batch_id, line, state, email, common_name, organisation, first_name,"
    " last_name, request_id, why) FROM STDIN (FORMAT binary)";

static gboolean
insert_rows(struct tx *tx, gint64 id, GPtrArray *rows, GError **error)
{
	struct copy *copy = tx_copy_in(tx, copy_rows, 10, error);

	if (copy == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++) {
		const struct bulk_row *row = g_ptr_array_index(rows, i);

		copy_row(copy);
		copy_int(copy, id);
		copy_int4(copy, (gint32)row->line);
		copy_text(copy, row_state_names[row->state]);
		copy_text(copy, row->email);
		copy_text(copy, row->common_name);
		copy_text(copy, row->organisation);
		copy_text(copy, row->first_name);
		copy_text(copy, row->last_name);
		if (row->request_id != 0)
			copy_int(copy, row->request_id);
		else
			copy_null(copy);
		copy_text(copy, row->why);
	}
	return copy_end(copy, NULL, error);
}

gboolean
bulk_insert(struct tx *tx, const struct bulk_batch *batch, GPtrArray *rows, gint64 *id,
	    GError **error)
{
	struct params *params = params_new();

	params_text(params, batch->file);
	params_text(params, batch->handler);
	params_text(params, batch->handler_config != NULL ? batch->handler_config : "default");
	params_text(params, batch->ca);
	params_text(params, batch->key);
	params_text(params, batch->digest);
	params_text(params, batch->profile);
	params_text(params, batch->key_use);
	params_int(params, batch->validity_days);
	params_bool(params, batch->crl_url);
	params_bool(params, batch->add_user);
	params_bool(params, batch->deliver);
	params_bool(params, batch->sms);
	params_bool(params, batch->store_password);
	params_bool(params, batch->compatible);
	params_text(params, batch->language);
	params_text(params, batch->requester);
	params_int(params, rows->len);
	CLEANUP(rows) struct rows *made = tx_query(tx, &insert_statement, params, error);
	if (made == NULL)
		return FALSE;
	*id = rows_int(made, 0, 0);
	return insert_rows(tx, *id, rows, error);
}

static gboolean
one_batch(struct rows *owned, gint64 id, GError **error)
{
	CLEANUP(rows) struct rows *rows = owned;

	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 1)
		return TRUE;
	return fail_false(error, PS_ERROR_NOT_FOUND, "batch %" G_GINT64_FORMAT " does not exist",
			  id);
}

static const struct statement password_statement = {
	"bulk_set_password",
	"UPDATE bulk_batch SET sealed = $2, generation = $3 WHERE id = $1",
};

gboolean
bulk_set_password(struct tx *tx, gint64 id, GBytes *sealed, gint64 generation, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_bytes(params, sealed);
	if (sealed != NULL)
		params_int(params, generation);
	else
		params_null(params);
	return one_batch(tx_query(tx, &password_statement, params, error), id, error);
}

#define BATCH_COLUMNS                                                                              \
	"SELECT id, state, file, handler, handler_config, ca, key, digest, profile, key_use,"      \
	" validity_days, crl_url, add_user, deliver, sms, store_password, compatible, language,"   \
	" sealed, generation, requester, error, total, created, finished FROM bulk_batch"

static struct bulk_batch *
batch_read(const struct rows *rows, int r)
{
	struct bulk_batch *batch = g_new0(struct bulk_batch, 1);
	int c = 0;

	batch->id = rows_int(rows, r, c++);
	batch->state = BULK_PAUSED;
	for (guint s = 0; s < G_N_ELEMENTS(state_names); s++)
		if (strcmp(rows_text(rows, r, c), state_names[s]) == 0)
			batch->state = (enum bulk_state)s;
	c++;
	batch->file = g_strdup(rows_text(rows, r, c++));
	batch->handler = g_strdup(rows_text(rows, r, c++));
	batch->handler_config = g_strdup(rows_text(rows, r, c++));
	batch->ca = g_strdup(rows_text(rows, r, c++));
	batch->key = g_strdup(rows_text(rows, r, c++));
	batch->digest = g_strdup(rows_text(rows, r, c++));
	batch->profile = g_strdup(rows_text(rows, r, c++));
	batch->key_use = g_strdup(rows_text(rows, r, c++));
	batch->validity_days = rows_int(rows, r, c++);
	batch->crl_url = rows_bool(rows, r, c++);
	batch->add_user = rows_bool(rows, r, c++);
	batch->deliver = rows_bool(rows, r, c++);
	batch->sms = rows_bool(rows, r, c++);
	batch->store_password = rows_bool(rows, r, c++);
	batch->compatible = rows_bool(rows, r, c++);
	batch->language = g_strdup(rows_text(rows, r, c++));
	batch->password = rows_bytes(rows, r, c++);
	batch->password_generation = rows_int(rows, r, c++);
	batch->requester = g_strdup(rows_text(rows, r, c++));
	batch->error = g_strdup(rows_text(rows, r, c++));
	batch->rows = rows_int(rows, r, c++);
	batch->created = rows_time(rows, r, c++);
	batch->finished = rows_time(rows, r, c++);
	return batch;
}

static struct bulk_batch *
first_batch(struct rows *owned, gint64 id, GError **error)
{
	CLEANUP(rows) struct rows *rows = owned;

	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "batch %" G_GINT64_FORMAT " does not exist",
			    id);
	return batch_read(rows, 0);
}

static const struct statement find_statement = { "bulk_find", BATCH_COLUMNS " WHERE id = $1" };
static const struct statement lock_statement = {
	"bulk_lock",
	BATCH_COLUMNS " WHERE id = $1 FOR NO KEY UPDATE",
};
static const struct statement list_statement = {
	"bulk_list",
	BATCH_COLUMNS " WHERE $1 = 0 OR id < $1 ORDER BY id DESC LIMIT $2",
};

struct bulk_batch *
bulk_find(struct db *db, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	return first_batch(db_write(db, &find_statement, params, error), id, error);
}

struct bulk_batch *
bulk_lock(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	return first_batch(tx_query(tx, &lock_statement, params, error), id, error);
}

GPtrArray *
bulk_list(struct db *db, gint64 before, gint limit, GError **error)
{
	struct params *params = params_new();

	params_int(params, before);
	params_int(params, limit > 0 ? limit : LIST_LIMIT);
	CLEANUP(rows) struct rows *rows = db_write(db, &list_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)bulk_batch_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, batch_read(rows, r));
	return found;
}

static const struct statement set_state_statement = {
	"bulk_set_state",
	"UPDATE bulk_batch SET state = $2::text, error = $3, finished ="
	" CASE WHEN $2::text IN ('done', 'cancelled') THEN coalesce(finished, now()) END"
	" WHERE id = $1",
};

gboolean
bulk_set_state(struct tx *tx, gint64 id, enum bulk_state state, const char *why, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_text(params, state_names[state]);
	params_text(params, why);
	return one_batch(tx_query(tx, &set_state_statement, params, error), id, error);
}

static const struct statement delete_statement = {
	"bulk_delete",
	"DELETE FROM bulk_batch WHERE id = $1",
};

gboolean
bulk_delete(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	return one_batch(tx_query(tx, &delete_statement, params, error), id, error);
}

static const struct statement any_running_statement = {
	"bulk_any_running",
	"SELECT EXISTS (SELECT 1 FROM bulk_batch WHERE state = 'running')",
};

gboolean
bulk_any_running(struct db *db, gboolean *any, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &any_running_statement, NULL, error);

	if (rows == NULL)
		return FALSE;
	*any = rows_bool(rows, 0, 0);
	return TRUE;
}

/* --- rows --- */

/* A request that was deleted gave nothing. */
static const struct statement count_statement = {
	"bulk_count",
	"SELECT CASE WHEN b.state <> 'requested' THEN b.state"
	" WHEN r.state = 'issued' THEN 'issued'"
	" WHEN r.state IN ('new', 'keyed', 'pending') THEN 'pending' ELSE 'failed' END, count(*)"
	" FROM bulk_row b LEFT JOIN request r ON r.id = b.request_id"
	" WHERE b.batch_id = $1 GROUP BY 1",
};

gboolean
bulk_count(struct db *db, gint64 id, struct bulk_counts *counts, GError **error)
{
	const struct {
		const char *name;
		gint64 *count;
	} kinds[] = {
		{ "waiting", &counts->waiting },     { "issued", &counts->issued },
		{ "pending", &counts->pending },     { "failed", &counts->failed },
		{ "cancelled", &counts->cancelled }, { "broken", &counts->broken },
		{ "duplicate", &counts->duplicate }, { "certified", &counts->certified },
		{ "under-way", &counts->under_way },
	};
	struct params *params = params_new();

	*counts = (struct bulk_counts){ 0 };
	params_int(params, id);
	CLEANUP(rows) struct rows *rows = db_write(db, &count_statement, params, error);
	if (rows == NULL)
		return FALSE;
	for (int r = 0; r < rows_count(rows); r++)
		for (guint k = 0; k < G_N_ELEMENTS(kinds); k++)
			if (strcmp(rows_text(rows, r, 0), kinds[k].name) == 0)
				*kinds[k].count = rows_int(rows, r, 1);
	return TRUE;
}

static GPtrArray *
rows_read(struct rows *owned)
{
	CLEANUP(rows) struct rows *rows = owned;

	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)bulk_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct bulk_row *row = g_new0(struct bulk_row, 1);
		int c = 0;

		row->line = (guint)rows_int(rows, r, c++);
		row->state = BULK_ROW_FAILED;
		for (guint s = 0; s < BULK_ROW_STATES; s++)
			if (strcmp(rows_text(rows, r, c), row_state_names[s]) == 0)
				row->state = (enum bulk_row_state)s;
		c++;
		row->email = g_strdup(rows_text(rows, r, c++));
		row->common_name = g_strdup(rows_text(rows, r, c++));
		row->organisation = g_strdup(rows_text(rows, r, c++));
		row->first_name = g_strdup(rows_text(rows, r, c++));
		row->last_name = g_strdup(rows_text(rows, r, c++));
		row->request_id = rows_int(rows, r, c++);
		row->request_state = g_strdup(rows_text(rows, r, c++));
		row->why = g_strdup(rows_text(rows, r, c++));
		g_ptr_array_add(found, row);
	}
	return found;
}

#define ROW_COLUMNS                                                                                \
	"SELECT b.line, b.state, b.email, b.common_name, b.organisation, b.first_name,"            \
	" b.last_name, b.request_id, r.state, coalesce(b.why, r.error_text) FROM bulk_row b"       \
	" LEFT JOIN request r ON r.id = b.request_id"
static const struct statement rows_statement = {
	"bulk_rows",
	ROW_COLUMNS " WHERE b.batch_id = $1 AND b.line > $2 AND (NOT $3 OR NOT (b.state IN"
		    " ('waiting', 'certified') OR b.state = 'requested' AND coalesce(r.state, '')"
		    " IN ('issued', 'new', 'keyed', 'pending'))) ORDER BY b.line LIMIT $4",
};
static const struct statement rows_waiting_statement = {
	"bulk_rows_waiting",
	"SELECT line, state, email, common_name, organisation, first_name, last_name, request_id,"
	" NULL::text, why FROM bulk_row WHERE batch_id = $1 AND line > $2 AND state = 'waiting'"
	" ORDER BY line LIMIT $3",
};

GPtrArray *
bulk_rows(struct db *db, gint64 id, guint after, gboolean only_failures, gint limit, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_int(params, after);
	params_bool(params, only_failures);
	params_int(params, limit > 0 ? limit : LIST_LIMIT);
	return rows_read(db_write(db, &rows_statement, params, error));
}

GPtrArray *
bulk_rows_waiting(struct db *db, gint64 id, guint after, gint limit, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	params_int(params, after);
	params_int(params, limit);
	return rows_read(db_write(db, &rows_waiting_statement, params, error));
}

static const struct statement claim_statement = {
	"bulk_rows_claim",
	"SELECT line FROM bulk_row WHERE batch_id = $1 AND line = ANY ($2::integer[])"
	" AND state = 'waiting' ORDER BY line FOR UPDATE",
};

GArray *
bulk_rows_claim(struct tx *tx, gint64 id, const guint *lines, gsize n, GError **error)
{
	struct params *params = params_new();
	g_autofree gint64 *numbers = g_new(gint64, n + 1);

	for (gsize i = 0; i < n; i++)
		numbers[i] = lines[i];
	params_int(params, id);
	params_int_array(params, numbers, n);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &claim_statement, params, error);
	if (rows == NULL)
		return NULL;
	GArray *claimed = g_array_new(FALSE, FALSE, sizeof(guint));
	for (int r = 0; r < rows_count(rows); r++) {
		guint line = (guint)rows_int(rows, r, 0);

		g_array_append_val(claimed, line);
	}
	return claimed;
}

static const struct statement save_statement = {
	"bulk_rows_save",
	"UPDATE bulk_row b SET state = n.state, request_id = nullif(n.request_id, 0), why = n.why"
	" FROM unnest($2::integer[], $3::text[], $4::bigint[], $5::text[])"
	" AS n(line, state, request_id, why) WHERE b.batch_id = $1 AND b.line = n.line",
};

gboolean
bulk_rows_save(struct tx *tx, gint64 id, struct bulk_row *const *rows, gsize n, GError **error)
{
	struct params *params = params_new();
	g_autofree gint64 *lines = g_new(gint64, n + 1);
	g_autofree gint64 *requests = g_new(gint64, n + 1);
	g_autofree const char **states = g_new(const char *, n + 1);
	g_autofree const char **whys = g_new(const char *, n + 1);

	for (gsize i = 0; i < n; i++) {
		lines[i] = rows[i]->line;
		states[i] = row_state_names[rows[i]->state];
		requests[i] = rows[i]->request_id;
		whys[i] = rows[i]->why;
	}
	params_int(params, id);
	params_int_array(params, lines, n);
	params_text_array(params, states, n);
	params_int_array(params, requests, n);
	params_text_array(params, whys, n);
	CLEANUP(rows) struct rows *saved = tx_query(tx, &save_statement, params, error);
	return saved != NULL;
}

static const struct statement cancel_statement = {
	"bulk_rows_cancel",
	"UPDATE bulk_row SET state = 'cancelled' WHERE batch_id = $1 AND state = 'waiting'",
};

gboolean
bulk_rows_cancel(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &cancel_statement, params, error);
	return rows != NULL;
}

static const struct statement again_statement = {
	"bulk_rows_again",
	"UPDATE bulk_row SET state = 'waiting', why = NULL WHERE batch_id = $1"
	" AND state IN ('cancelled', 'failed')",
};

gboolean
bulk_rows_again(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &again_statement, params, error);
	return rows != NULL;
}
