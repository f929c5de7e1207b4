/*
 * deliver - works on what is due in the outbox, several deliveries at a time.
 */
#include "admin/jobs/runners.h"

#include "admin/jobs/deliver_one.h"
#include "admin/jobs/heartbeat.h"
#include "milter/gateway.h"
#include "store/base/clock.h"
#include "store/base/holder.h"
#include "store/base/log.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/outbox_work.h"

#define LOOK_SECONDS 5

struct work {
	struct gateway *gateway;
	struct heartbeat *heartbeat;
	GStrv dead; /* who held something, and is no more */
	GMutex lock;
	GError *problem;
};

static void
note_problem(struct work *work, GError *problem)
{
	g_mutex_lock(&work->lock);
	if (work->problem == NULL)
		work->problem = problem;
	else
		g_error_free(problem);
	g_mutex_unlock(&work->lock);
}

static gpointer
deliver(gpointer data)
{
	struct work *work = data;

	while (heartbeat_goes_on(work->heartbeat)) {
		CLEANUP(outbox_row) struct outbox_row *row = NULL;
		GError *problem = NULL;

		if (!outbox_take(work->gateway->db, holder_name(),
				 deliver_lease_seconds(work->gateway),
				 (const char *const *)work->dead, &row, &problem)) {
			note_problem(work, problem);
			break;
		}
		if (row == NULL)
			break;
		deliver_one(work->gateway, row);
	}
	return NULL;
}

static void
run_threads(struct work *work, guint count)
{
	g_autoptr(GPtrArray) threads = g_ptr_array_new();

	for (guint i = 1; i < count; i++) {
		GThread *thread = g_thread_try_new("deliver", deliver, work, NULL);

		if (thread != NULL)
			g_ptr_array_add(threads, thread);
	}
	(void)deliver(work);
	for (guint i = 0; i < threads->len; i++)
		g_thread_join(g_ptr_array_index(threads, i));
}

static gboolean
erase_old(struct tx *tx, gpointer data, GError **error)
{
	const struct settings *settings = data;
	gint64 erased;

	return outbox_erase(tx, tx_now(tx) - settings->delivery_keep, &erased, error);
}

enum job_result
job_deliver(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	guint count = (guint)gateway_settings(gateway)->delivery_workers;
	g_auto(GStrv) holders = outbox_holders(gateway->db, error);
	g_auto(GStrv) dead = NULL;

	if (holders == NULL)
		return JOB_RESULT_FAILED;
	dead = holder_dead_among((const char *const *)holders);
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);
	struct work work = { .gateway = gateway, .heartbeat = heartbeat, .dead = dead };
	g_mutex_init(&work.lock);
	run_threads(&work, count);
	g_mutex_clear(&work.lock);
	if (work.problem != NULL) {
		g_propagate_error(error, work.problem);
		return JOB_RESULT_FAILED;
	}
	if (!db_transaction(gateway->db, erase_old, (gpointer)gateway_settings(gateway), error))
		return JOB_RESULT_FAILED;
	*context->due = clock_now(gateway->clock) + LOOK_SECONDS;
	return JOB_RESULT_LATER;
}
