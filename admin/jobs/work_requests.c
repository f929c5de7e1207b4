/*
 * work_requests - requests that are due, configuration by configuration.
 *
 * The key is "handler/configuration/slot". A slot works for a few seconds and then queues up
 * again, so that configurations take turns; slot 0 sleeps until the next request is due, the
 * others are called while there is more to do than one can. The key "duty" looks every minute
 * that nothing waits unseen, and ends what has waited for too long.
 */
#include "admin/jobs/heartbeat.h"
#include "admin/jobs/runners.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/enroll.h"
#include "pki/handlers/handler.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/requests_work.h"

#define TURN_US (3 * G_USEC_PER_SEC)
#define SLOTS_HERE 2 /* of handlers that answer inside of a transaction */

struct turn {
	const struct job_context *context;
	struct heartbeat *heartbeat;
	struct enroll enroll;
	const struct handler *handler;
	char *config;
	gint64 slot, slots;
};

static gboolean
read_key(struct turn *turn, GError **error)
{
	const char *key = turn->context->job->key;
	g_auto(GStrv) parts = g_strsplit(key, "/", 3);

	if (g_strv_length(parts) != 3 ||
	    !g_ascii_string_to_signed(parts[2], 10, 0, 64, &turn->slot, NULL))
		return fail_false(error, PS_ERROR_BUG, "'%s' names no worker of requests", key);
	turn->handler = handler_find(parts[0], error);
	turn->config = g_strdup(parts[1]);
	return turn->handler != NULL;
}

static gboolean
read_slots(struct turn *turn, GError **error)
{
	turn->slots = SLOTS_HERE;
	if (turn->handler->capabilities.synchronous)
		return TRUE;
	CLEANUP(handler_config)
	struct handler_config *config = handler_config_load(turn->enroll.db, turn->enroll.keyring,
							    turn->handler, turn->config, error);
	if (config == NULL)
		return FALSE;
	turn->slots = handler_config_int(config, "parallel");
	return TRUE;
}

static gboolean
call_next_slot(struct tx *tx, gpointer data, GError **error)
{
	const struct turn *turn = data;
	g_autofree char *key =
	    g_strdup_printf("%s/%s/%d", turn->handler->name, turn->config, (int)turn->slot + 1);

	return jobs_enqueue(tx, turn->context->job->kind, key, NULL, tx_now(tx), error);
}

/* TRUE: *result is what the job has come to. */
static gboolean
work(struct turn *turn, enum job_result *result, GError **error)
{
	gint64 until = g_get_monotonic_time() + TURN_US;
	gint64 now = clock_now(turn->enroll.clock), next, id;
	gboolean more;

	if (!requests_next_due(turn->enroll.db, turn->handler->name, turn->config, now, &next,
			       &more, error))
		return FALSE;
	if (more && turn->slot + 1 < turn->slots && next <= now &&
	    !db_transaction(turn->enroll.db, call_next_slot, turn, error))
		return FALSE;
	do {
		if (heartbeat_is_over(turn->heartbeat)) {
			*result = JOB_RESULT_AGAIN;
			return TRUE;
		}
		if (!enroll_work_one(&turn->enroll, turn->handler->name, turn->config, &id, error))
			return FALSE;
		*result = JOB_RESULT_AGAIN;
	} while (id != 0 && g_get_monotonic_time() < until);
	if (id != 0)
		return TRUE;
	*result = JOB_RESULT_DONE;
	if (turn->slot > 0)
		return TRUE;
	if (!requests_next_due(turn->enroll.db, turn->handler->name, turn->config, now, &next,
			       &more, error))
		return FALSE;
	if (next != CLOCK_NEVER) {
		*result = JOB_RESULT_LATER;
		/* Due, and yet not taken: another slot has it in its hands. */
		*turn->context->due = MAX(next, clock_now(turn->enroll.clock) + 1);
	}
	return TRUE;
}

static gboolean
call_all(struct tx *tx, gpointer data, GError **error)
{
	const GPtrArray *waiting = data;

	for (guint i = 0; i < waiting->len; i++) {
		const struct requests_waiting *one = g_ptr_array_index(waiting, i);
		const struct handler *handler = handler_find(one->handler, NULL);

		if (handler != NULL &&
		    !requests_call_worker(tx, one->handler, one->config,
					  handler->capabilities.synchronous, one->next, error))
			return FALSE;
	}
	return TRUE;
}

static enum job_result
look_after(const struct enroll *enroll, GError **error)
{
	g_autoptr(GPtrArray) waiting = requests_waiting(enroll->db, error);
	guint ended;

	if (waiting == NULL || !db_transaction(enroll->db, call_all, waiting, error) ||
	    !enroll_give_up(enroll, &ended, error))
		return JOB_RESULT_FAILED;
	if (ended > 0) {
		g_autofree char *count = g_strdup_printf("%u", ended);
		log_info("requests were given up", "count", count);
	}
	return JOB_RESULT_DONE;
}

enum job_result
job_work_requests(const struct job_context *context, GError **error)
{
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);
	struct turn turn = {
		.context = context,
		.heartbeat = heartbeat,
		.enroll = heartbeat_enroll(context, heartbeat),
	};
	enum job_result result = JOB_RESULT_FAILED;

	if (strcmp(context->job->key, "duty") == 0)
		return look_after(&turn.enroll, error);
	if (!read_key(&turn, error) || !read_slots(&turn, error)) {
		g_free(turn.config);
		return JOB_RESULT_FAILED;
	}
	if (turn.slot >= turn.slots)
		result = JOB_RESULT_DONE;
	else if (!work(&turn, &result, error))
		result = JOB_RESULT_FAILED;
	g_free(turn.config);
	return result;
}
