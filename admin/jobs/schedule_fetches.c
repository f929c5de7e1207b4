/*
 * schedule_fetches - a job for every URL that is due, and for the run that collects them.
 */
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/fetch_points.h"
#include "store/fetches.h"
#include "store/jobs.h"

struct round {
	gint64 collected; /* by the last run */
	gint64 interval;
};

static gboolean
enqueue(struct tx *tx, gpointer data, GError **error)
{
	const struct round *round = data;

	/* A last run in the future: the clock was set back. */
	if ((tx_now(tx) >= round->collected + round->interval || round->collected > tx_now(tx)) &&
	    !jobs_enqueue(tx, "crl-refresh", "all", NULL, tx_now(tx), error))
		return FALSE;
	return fetches_enqueue_due(tx, error);
}

enum job_result
job_schedule_fetches(const struct job_context *context, GError **error)
{
	struct fetch_run run;

	if (!fetch_points_last_run(context->gateway->db, &run, error))
		return JOB_RESULT_FAILED;
	struct round round = {
		.collected = run.finished,
		.interval = gateway_settings(context->gateway)->crl_update_interval,
	};
	return db_transaction(context->gateway->db, enqueue, &round, error) ? JOB_RESULT_DONE
									    : JOB_RESULT_FAILED;
}
