/*
 * records - audit list, trace, and the noun job: what happened and what is to happen.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/paging.h"

#include <string.h>

#include "milter/gateway.h"
#include "store/audit.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/jobs.h"

#define TRACE_ROWS 100
#define TRACE_ROWS_MAX 10000
#define RESULTS_SHOWN_MAX 10 /* recipients with another outcome */
#define COPY_DAYS 7          /* as far back a copy is looked for */

json_t *
audit_list(struct call *call, GError **error)
{
	struct page page;
	json_t *items;

	if (!page_of(call, &page, error))
		return NULL;
	g_autoptr(GPtrArray) rows = audit_admin_list(call->gateway->db, call_text(call, "object"),
						     page.after, page.limit, error);
	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct audit_admin_row *row = g_ptr_array_index(rows, i);
		json_t *item = json_object();

		json_object_set_new(item, "id", json_integer(row->id));
		json_object_set_new(item, "at", answer_time(row->at));
		json_object_set_new(item, "actor", answer_text(row->actor));
		json_object_set_new(item, "uid", json_integer(row->uid));
		json_object_set_new(item, "from", answer_text(row->from));
		json_object_set_new(item, "operation", answer_text(row->operation));
		json_object_set_new(item, "object", answer_text(row->object));
		json_object_set_new(item, "detail", answer_text(row->detail));
		json_array_append_new(items, item);
		page_seen(&page, row->id);
	}
	return page_answer(&page, items);
}

/* --- trace --- */

/* The outcome of the message, and those of recipients for whom it was another. */
static json_t *
results_of(const struct audit_message *message)
{
	json_t *list = json_array();
	guint others = 0;

	json_array_append_new(list, answer_text(message->reason));
	for (guint i = 0; message->recipients[i] != NULL && message->outcomes[i] != NULL; i++) {
		if (strcmp(message->outcomes[i], message->reason) == 0 ||
		    ++others > RESULTS_SHOWN_MAX)
			continue;
		g_autofree char *text =
		    g_strdup_printf("%s: %s", message->recipients[i], message->outcomes[i]);
		json_array_append_new(list, answer_text(text));
	}
	if (others > RESULTS_SHOWN_MAX) {
		g_autofree char *text = g_strdup_printf("%u more", others - RESULTS_SHOWN_MAX);

		json_array_append_new(list, answer_text(text));
	}
	return list;
}

static json_t *
message_object(const struct audit_message *message)
{
	json_t *object = json_object();
	json_t *detail = message->detail != NULL ? json_loads(message->detail, 0, NULL) : NULL;

	json_object_set_new(object, "at", answer_time(message->at));
	json_object_set_new(object, "node", answer_text(message->node));
	json_object_set_new(object, "queue_id", answer_text(message->queue_id));
	json_object_set_new(object, "message_id", answer_text(message->message_id));
	json_object_set_new(object, "sender", answer_text(message->sender));
	json_object_set_new(object, "author", answer_text(message->author));
	json_object_set_new(object, "client", answer_text(message->client));
	json_object_set_new(object, "origin", answer_text(message->origin));
	json_object_set_new(object, "recipients",
			    answer_texts((const char *const *)message->recipients));
	json_object_set_new(object, "outcomes",
			    answer_texts((const char *const *)message->outcomes));
	json_object_set_new(object, "reason", answer_text(message->reason));
	json_object_set_new(object, "results", results_of(message));
	json_object_set(object, "copies", json_object_get(detail, "queued"));
	json_object_set_new(object, "reply", answer_text(message->reply));
	json_object_set_new(object, "size", json_integer(message->size));
	json_object_set_new(object, "duration_us", json_integer(message->duration_us));
	if (detail != NULL)
		json_object_set_new(object, "detail", detail);
	return object;
}

/* An address is looked up in its normalised form; the null sender and oddities as they are. */
static char *
address_key(const char *text)
{
	CLEANUP(mailaddr) struct mailaddr *address = NULL;

	if (text == NULL)
		return NULL;
	address = mailaddr_parse(text, NULL);
	return g_strdup(address != NULL ? mailaddr_key(address) : text);
}

/* A copy has no row of its own: the message that it was made of names it. */
static GPtrArray *
find_by_copy(struct call *call, struct audit_message_filter filter, GError **error)
{
	filter.copy_id = filter.queue_id;
	filter.queue_id = NULL;
	if (filter.from == 0)
		filter.from = clock_now(call->gateway->clock) - COPY_DAYS * 24 * 3600;
	return audit_message_find(call->gateway->db, &filter, error);
}

json_t *
trace_find(struct call *call, GError **error)
{
	g_autofree char *sender = address_key(call_text(call, "sender"));
	g_autofree char *recipient = address_key(call_text(call, "recipient"));
	struct audit_message_filter filter = {
		.queue_id = call_text(call, "queue-id"),
		.message_id = call_text(call, "message-id"),
		.sender = sender,
		.recipient = recipient,
		.limit = (gint)CLAMP(call_int(call, "limit", TRACE_ROWS), 1, TRACE_ROWS_MAX),
	};
	json_t *items;

	(void)call_time(call, "since", &filter.from);
	(void)call_time(call, "until", &filter.until);
	if (filter.queue_id == NULL && filter.message_id == NULL && sender == NULL &&
	    recipient == NULL && filter.from == 0 && filter.until == 0)
		return fail(error, PS_ERROR_INVALID,
			    "say what to look for: --queue-id, --message-id, --sender, "
			    "--recipient, --since or --until");
	g_autoptr(GPtrArray) rows = audit_message_find(call->gateway->db, &filter, error);
	if (rows != NULL && rows->len == 0 && filter.queue_id != NULL) {
		g_ptr_array_unref(rows);
		rows = find_by_copy(call, filter, error);
	}
	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++)
		json_array_append_new(items, message_object(g_ptr_array_index(rows, i)));
	if (rows->len == 0)
		call->exit_status = 5;
	return answer_list(items, NULL);
}

/* --- jobs --- */

static json_t *
job_object(const struct job_row *row)
{
	json_t *object = json_object();

	json_object_set_new(object, "id", json_integer(row->id));
	json_object_set_new(object, "kind", answer_text(row->kind));
	json_object_set_new(object, "key", answer_text(row->key));
	json_object_set_new(object, "state", json_string(job_state_name(row->state)));
	json_object_set_new(object, "due", answer_time(row->due));
	json_object_set_new(object, "attempts", json_integer(row->attempts));
	json_object_set_new(object, "error", answer_text(row->error));
	json_object_set_new(object, "taken_by", answer_text(row->taken_by));
	json_object_set_new(object, "created", answer_time(row->created));
	json_object_set_new(object, "changed", answer_time(row->updated));
	return object;
}

json_t *
job_list(struct call *call, GError **error)
{
	struct page page;
	json_t *items;

	if (!page_of(call, &page, error))
		return NULL;
	g_autoptr(GPtrArray) rows =
	    jobs_list(call->gateway->db, call_text(call, "kind"), call_flag(call, "open"),
		      page.after, page.limit, error);
	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct job_row *row = g_ptr_array_index(rows, i);

		json_array_append_new(items, job_object(row));
		page_seen(&page, row->id);
	}
	return page_answer(&page, items);
}

json_t *
job_show(struct call *call, GError **error)
{
	CLEANUP(job_row)
	struct job_row *row = jobs_find(call->gateway->db, call_int(call, "id", 0), error);

	return row != NULL ? job_object(row) : NULL;
}

static json_t *
retry_jobs(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GArray *ids = data;
	g_auto(GStrv) names = call_list(change->call, "ids");

	for (guint i = 0; i < ids->len; i++)
		if (!jobs_retry(tx, g_array_index(ids, gint64, i), tx_now(tx), error))
			return NULL;
	g_autofree char *list = g_strjoinv(" ", names);
	change->object = g_strdup_printf("job %s", list);
	return json_pack("{s:i}", "due_now", (int)ids->len);
}

json_t *
job_retry(struct call *call, GError **error)
{
	g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(gint64));
	g_auto(GStrv) names = call_list(call, "ids");

	for (char **name = names; *name != NULL; name++) {
		gint64 id;

		if (!g_ascii_string_to_signed(*name, 10, 1, G_MAXINT64, &id, NULL))
			return fail(error, PS_ERROR_INVALID, "'%s' is no number of a job", *name);
		g_array_append_val(ids, id);
	}
	return change_run(call, retry_jobs, ids, error);
}
