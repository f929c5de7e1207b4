/*
 * fetch_url - one URL: the key of the job.
 */
#include "admin/jobs/heartbeat.h"
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/fetch_one.h"
#include "pki/net/fetch.h"
#include "store/base/clock.h"
#include "store/db/tx.h"
#include "store/fetches.h"
#include "store/jobs.h"

/* The next name of a point may be due now; an intermediate may name more. */
static gboolean
enqueue(struct tx *tx, gpointer data, GError **error)
{
	const gboolean *brought = data;

	if (*brought && !jobs_enqueue(tx, "crl-refresh", "all", NULL, tx_now(tx), error))
		return FALSE;
	return fetches_enqueue_due(tx, error);
}

enum job_result
job_fetch_url(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	const struct settings *settings = gateway_settings(gateway);
	CLEANUP(fetcher) struct fetcher *fetcher = fetcher_new(settings);
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);
	const struct fetch_one one = {
		.db = gateway->db,
		.changelog = gateway->changelog,
		.fetcher = fetcher,
		.settings = settings,
		.now = clock_now(gateway->clock),
		.waiting = heartbeat_goes_on,
		.data = heartbeat,
	};
	gboolean brought;

	if (!fetch_one_run(&one, context->job->key, &brought, error))
		return JOB_RESULT_FAILED;
	/* What was given up is not written down: another run does it. */
	if (!heartbeat_goes_on(heartbeat))
		return JOB_RESULT_AGAIN;
	return db_transaction(gateway->db, enqueue, &brought, error) ? JOB_RESULT_DONE
								     : JOB_RESULT_FAILED;
}
