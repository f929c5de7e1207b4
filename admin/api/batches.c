/*
 * batches - the noun bulk (C6): files of requests, and the batches that they become.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/paging.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/bulk.h"
#include "pki/handlers/handler.h"
#include "pki/bulk_order.h"
#include "pki/delivery.h"
#include "pki/enroll.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/cas.h"
#include "store/db/tx.h"
#include "store/jobs.h"

/* How many rows are tried before a batch as a whole is refused. */
#define TRIALS 10

static void
set_texts(json_t *object, const struct bulk_row *row)
{
	json_object_set_new(object, "line", json_integer(row->line));
	json_object_set_new(object, "email", answer_text(row->email));
	json_object_set_new(object, "common_name", answer_text(row->common_name));
	json_object_set_new(object, "organisation", answer_text(row->organisation));
	json_object_set_new(object, "first_name", answer_text(row->first_name));
	json_object_set_new(object, "last_name", answer_text(row->last_name));
	json_object_set_new(object, "why", answer_text(row->why));
}

static json_t *
preview_totals(const struct bulk_counts *counts)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "good", (json_int_t)counts->waiting, "broken",
			 (json_int_t)counts->broken, "duplicate", (json_int_t)counts->duplicate,
			 "certified", (json_int_t)counts->certified, "under_way",
			 (json_int_t)counts->under_way);
}

static GPtrArray *
read_rows(struct call *call, const char **name, GError **error)
{
	struct gateway *gateway = call->gateway;
	g_autoptr(GBytes) bytes = call_file(call, "file", 0, name, error);

	if (bytes == NULL)
		return NULL;
	const struct bulk_look look = { .db = gateway->db,
					.trust = gateway->trust,
					.preferences = gateway->preferences,
					.settings = gateway_settings(gateway),
					.now = clock_now(gateway->clock) };
	GPtrArray *rows = bulk_preview(&look, bytes, call_text(call, "encoding"), error);
	if (rows == NULL)
		g_prefix_error(error, "%s: ", *name);
	return rows;
}

json_t *
bulk_preview_show(struct call *call, GError **error)
{
	const char *name;
	g_autoptr(GPtrArray) rows = read_rows(call, &name, error);
	struct bulk_counts counts;
	json_t *items;

	if (rows == NULL)
		return NULL;
	bulk_rows_count(rows, &counts);
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct bulk_row *row = g_ptr_array_index(rows, i);
		gboolean is_good = row->state == BULK_ROW_WAITING;
		json_t *item;

		if (is_good && call_flag(call, "brief"))
			continue;
		item = json_object();
		set_texts(item, row);
		json_object_set_new(
		    item, "result",
		    json_string(is_good ? "good" : bulk_row_state_name(row->state)));
		json_array_append_new(items, item);
	}
	call->exit_status = counts.broken > 0 ? 1 : 0;
	return json_pack("{s:o, s:o}", "items", items, "total", preview_totals(&counts));
}

/* --- status --- */

static json_t *
batch_object(const struct bulk_batch *batch, const struct bulk_counts *counts)
{
	json_t *object = json_object();
	g_autofree char *handler =
	    strcmp(batch->handler_config, "default") != 0
		? g_strdup_printf("%s/%s", batch->handler, batch->handler_config)
		: g_strdup(batch->handler);
	const struct {
		const char *name;
		gint64 value;
	} figures[] = {
		{ "rows", batch->rows },
		{ "issued", counts->issued },
		{ "pending", counts->pending },
		{ "failed", counts->failed },
		{ "waiting", counts->waiting },
		{ "cancelled", counts->cancelled },
		{ "broken", counts->broken },
		{ "duplicate", counts->duplicate },
		{ "certified", counts->certified },
		{ "under_way", counts->under_way },
	};

	json_object_set_new(object, "id", json_integer(batch->id));
	json_object_set_new(object, "state", json_string(bulk_state_name(batch->state)));
	json_object_set_new(object, "file", answer_text(batch->file));
	json_object_set_new(object, "handler", answer_text(handler));
	for (gsize i = 0; i < G_N_ELEMENTS(figures); i++)
		json_object_set_new(object, figures[i].name, json_integer(figures[i].value));
	json_object_set_new(object, "left_out",
			    json_integer(counts->broken + counts->duplicate + counts->certified +
					 counts->under_way));
	json_object_set_new(object, "requester", answer_text(batch->requester));
	json_object_set_new(object, "created", answer_time(batch->created));
	json_object_set_new(object, "finished", answer_time(batch->finished));
	json_object_set_new(object, "error", answer_text(batch->error));
	return object;
}

static json_t *
batch_answer(struct db *db, const struct bulk_batch *batch, GError **error)
{
	struct bulk_counts counts;

	return bulk_count(db, batch->id, &counts, error) ? batch_object(batch, &counts) : NULL;
}

json_t *
bulk_status(struct call *call, GError **error)
{
	struct db *db = call->gateway->db;
	gint64 id = call_int(call, "id", 0);

	if (id == 0) {
		g_autoptr(GPtrArray) newest = bulk_list(db, 0, 1, error);

		if (newest == NULL)
			return NULL;
		if (newest->len == 0)
			return fail(error, PS_ERROR_NOT_FOUND,
				    "there is no batch: postseal bulk submit");
		return batch_answer(db, g_ptr_array_index(newest, 0), error);
	}
	CLEANUP(bulk_batch) struct bulk_batch *batch = bulk_find(db, id, error);
	return batch != NULL ? batch_answer(db, batch, error) : NULL;
}

json_t *
bulk_list_show(struct call *call, GError **error)
{
	struct page page;
	json_t *items;

	if (!page_of(call, &page, error))
		return NULL;
	g_autoptr(GPtrArray) batches = bulk_list(call->gateway->db, page.after, page.limit, error);
	if (batches == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < batches->len; i++) {
		const struct bulk_batch *batch = g_ptr_array_index(batches, i);
		json_t *item = batch_answer(call->gateway->db, batch, error);

		if (item == NULL) {
			json_decref(items);
			return NULL;
		}
		json_array_append_new(items, item);
		page_seen(&page, batch->id);
	}
	return page_answer(&page, items);
}

/* What a person calls the state of a row. */
static const char *
result_of(const struct bulk_row *row)
{
	if (row->state != BULK_ROW_REQUESTED)
		return bulk_row_state_name(row->state);
	return row->request_state != NULL ? row->request_state : "deleted";
}

json_t *
bulk_rows_show(struct call *call, GError **error)
{
	gint64 id = call_int(call, "id", 0);
	struct page page;
	json_t *items;

	CLEANUP(bulk_batch) struct bulk_batch *batch = bulk_find(call->gateway->db, id, error);
	if (batch == NULL || !page_of(call, &page, error))
		return NULL;
	g_autoptr(GPtrArray) rows = bulk_rows(call->gateway->db, id, (guint)page.after,
					      call_flag(call, "failures"), page.limit, error);
	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct bulk_row *row = g_ptr_array_index(rows, i);
		json_t *item = json_object();

		set_texts(item, row);
		json_object_set_new(item, "result", json_string(result_of(row)));
		json_object_set_new(item, "request",
				    row->request_id != 0 ? json_integer(row->request_id)
							 : json_null());
		json_array_append_new(items, item);
		page_seen(&page, row->line);
	}
	return page_answer(&page, items);
}

/* --- submit --- */

struct submission {
	struct call *call;
	struct bulk_batch batch;
	GPtrArray *rows;
	struct secret *password;
	const struct bulk_row *trial;
	gboolean tried;
};

/* Everything that making the request checks, without making it. */
static gboolean
try_row(struct tx *tx, gpointer data, GError **error)
{
	struct submission *submission = data;
	struct enroll enroll = gateway_enroll(submission->call->gateway);
	struct delivery_options delivery;
	struct enroll_order order;
	gint64 id;

	submission->tried = FALSE;
	bulk_order(&submission->batch, submission->trial, submission->password, &order, &delivery);
	if (!bulk_add_user(&submission->batch, submission->trial, tx, error) ||
	    !enroll_create(&enroll, tx, &order, &id, error))
		return FALSE;
	submission->tried = TRUE;
	return fail_false(error, PS_ERROR_BUG, "it was a trial");
}

/* An unready handler, no CA, no sender: the batch is refused before it is one. What concerns one
 * address alone (no telephone) is found row by row. */
static gboolean
try_batch(struct submission *submission, GError **error)
{
	g_autoptr(GError) first = NULL;
	guint tried = 0;

	for (guint i = 0; i < submission->rows->len && tried < TRIALS; i++) {
		const struct bulk_row *row = g_ptr_array_index(submission->rows, i);
		g_autoptr(GError) why = NULL;

		if (row->state != BULK_ROW_WAITING)
			continue;
		submission->trial = row;
		if (db_transaction(submission->call->gateway->db, try_row, submission, &why) ||
		    submission->tried)
			return TRUE;
		tried++;
		if (first == NULL)
			first = g_steal_pointer(&why);
	}
	if (first == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&first));
	return FALSE;
}

static gboolean
seal_password(const struct submission *submission, struct tx *tx, gint64 id, GError **error)
{
	g_autofree char *row = g_strdup_printf("%" G_GINT64_FORMAT, id);
	gint64 generation;

	if (submission->password == NULL)
		return TRUE;
	g_autoptr(GBytes) sealed = keyring_seal(submission->call->gateway->keyring, "bulk_batch",
						row, submission->password, &generation, error);
	return sealed != NULL && bulk_set_password(tx, id, sealed, generation, error);
}

static json_t *
submit(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	struct submission *submission = data;
	struct bulk_counts counts;
	gint64 id;

	bulk_rows_count(submission->rows, &counts);
	if (!bulk_insert(tx, &submission->batch, submission->rows, &id, error) ||
	    !seal_password(submission, tx, id, error))
		return NULL;
	g_autofree char *key = g_strdup_printf("%" G_GINT64_FORMAT, id);
	if (counts.waiting == 0 ? !bulk_set_state(tx, id, BULK_DONE, NULL, error)
				: !jobs_enqueue(tx, "bulk", key, NULL, tx_now(tx), error))
		return NULL;
	change->object = g_strdup_printf("batch %" G_GINT64_FORMAT, id);
	change->detail = g_strdup_printf("%s: %" G_GINT64_FORMAT " requests",
					 submission->batch.file, counts.waiting);
	return json_pack("{s:I, s:s, s:o}", "id", (json_int_t)id, "state",
			 bulk_state_name(counts.waiting == 0 ? BULK_DONE : BULK_RUNNING), "total",
			 preview_totals(&counts));
}

static struct bulk_batch
batch_of(struct call *call, const struct ca_defaults *defaults, char **handler, char *file)
{
	const char *crl_url = call_text(call, "crl-url");

	return (struct bulk_batch){
		.file = file,
		.handler = handler[0],
		.handler_config = handler[0] != NULL ? handler[1] : NULL,
		.ca = (char *)call_text(call, "ca"),
		.key = (char *)call_text(call, "key"),
		.digest = (char *)call_text(call, "digest"),
		.profile = (char *)call_text(call, "profile"),
		.key_use = (char *)call_text(call, "key-use"),
		.validity_days = call_int(call, "days", 0),
		.crl_url = crl_url == NULL ? defaults->add_crl_url : strcmp(crl_url, "yes") == 0,
		.add_user = call_flag(call, "add-user"),
		.deliver = call_flag(call, "send"),
		.sms = call_flag(call, "sms"),
		.store_password = call_flag(call, "store-password"),
		.compatible = call_flag(call, "compatible"),
		.language = (char *)call_text(call, "language"),
		.requester = (char *)call->actor,
	};
}

/* What says how to deliver says nothing without a delivery. */
static gboolean
check_delivery(const struct submission *submission, GError **error)
{
	const struct bulk_batch *batch = &submission->batch;

	if (batch->deliver || !(batch->sms || batch->compatible || submission->password != NULL))
		return TRUE;
	return fail_false(error, PS_ERROR_USAGE,
			  "--password, --sms and --compatible are about what is sent: add --send");
}

json_t *
bulk_submit(struct call *call, GError **error)
{
	const char *name;
	json_t *earlier = change_repeated(call, error);

	if (earlier != NULL || (error != NULL && *error != NULL))
		return earlier;
	g_autoptr(GPtrArray) rows = read_rows(call, &name, error);
	if (rows == NULL)
		return NULL;
	g_autofree char *file = printable(name);
	const char *named = call_text(call, "handler");
	g_auto(GStrv) handler = g_strsplit(named != NULL ? named : "", "/", 2);
	CLEANUP(secret) struct secret *password = call_password(call, "password");
	struct submission submission = { .call = call, .rows = rows, .password = password };
	CLEANUP(ca_defaults)
	struct ca_defaults *defaults = ca_defaults_load(call->gateway->db, error);
	if (defaults == NULL)
		return NULL;
	submission.batch = batch_of(call, defaults, handler, file);
	if (!check_delivery(&submission, error))
		return NULL;
	g_auto(GStrv) by_default = g_strsplit(defaults->handler, "/", 2);
	if (submission.batch.handler == NULL || *submission.batch.handler == '\0') {
		submission.batch.handler = by_default[0];
		submission.batch.handler_config = by_default[0] != NULL ? by_default[1] : NULL;
	}
	if (handler_find(submission.batch.handler, error) == NULL || !try_batch(&submission, error))
		return NULL;
	return change_run(call, submit, &submission, error);
}

/* --- cancel, resume, delete --- */

static json_t *
cancel(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const gint64 *id = data;
	CLEANUP(bulk_batch) struct bulk_batch *batch = bulk_lock(tx, *id, error);

	if (batch == NULL)
		return NULL;
	if (batch->state == BULK_DONE)
		return fail(error, PS_ERROR_INVALID,
			    "batch %" G_GINT64_FORMAT " is done: there is nothing to cancel", *id);
	if (!bulk_rows_cancel(tx, *id, error) ||
	    !bulk_set_state(tx, *id, BULK_CANCELLED, NULL, error))
		return NULL;
	change->object = g_strdup_printf("batch %" G_GINT64_FORMAT, *id);
	return json_object();
}

static json_t *
resume(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const gint64 *id = data;
	g_autofree char *key = g_strdup_printf("%" G_GINT64_FORMAT, *id);
	CLEANUP(bulk_batch) struct bulk_batch *batch = bulk_lock(tx, *id, error);

	if (batch == NULL || !bulk_rows_again(tx, *id, error) ||
	    !bulk_set_state(tx, *id, BULK_RUNNING, NULL, error) ||
	    !jobs_enqueue(tx, "bulk", key, NULL, tx_now(tx), error))
		return NULL;
	change->object = g_strdup_printf("batch %" G_GINT64_FORMAT, *id);
	return json_object();
}

static json_t *
forget(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const gint64 *id = data;
	CLEANUP(bulk_batch) struct bulk_batch *batch = bulk_lock(tx, *id, error);
	json_t *answer = NULL;

	if (batch == NULL)
		return NULL;
	if ((batch->state == BULK_RUNNING || batch->state == BULK_PAUSED) &&
	    !call_is_sure(change->call, &answer, "batch %" G_GINT64_FORMAT " is not finished", *id))
		return answer;
	if (!bulk_delete(tx, *id, error))
		return NULL;
	change->object = g_strdup_printf("batch %" G_GINT64_FORMAT, *id);
	change->detail = g_strdup(batch->file);
	return json_pack("{s:I}", "deleted", (json_int_t)*id);
}

static json_t *
change_batch(struct call *call, change_act act, GError **error)
{
	gint64 id = call_int(call, "id", 0);
	json_t *done = change_run(call, act, &id, error);

	if (done == NULL)
		return NULL;
	json_decref(done);
	CLEANUP(bulk_batch) struct bulk_batch *batch = bulk_find(call->gateway->db, id, error);
	return batch != NULL ? batch_answer(call->gateway->db, batch, error) : NULL;
}

json_t *
bulk_cancel(struct call *call, GError **error)
{
	return change_batch(call, cancel, error);
}

json_t *
bulk_resume(struct call *call, GError **error)
{
	return change_batch(call, resume, error);
}

json_t *
bulk_delete_batch(struct call *call, GError **error)
{
	gint64 id = call_int(call, "id", 0);

	return change_run(call, forget, &id, error);
}
