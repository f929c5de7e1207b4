/*
 * collect_points - which URLs do the certificates of the store name (T5).
 */
#include "admin/jobs/heartbeat.h"
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/crl_refresh.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/db/tx.h"
#include "store/fetches.h"

static gboolean
enqueue(struct tx *tx, gpointer data, GError **error)
{
	(void)data;
	return fetches_enqueue_due(tx, error);
}

enum job_result
job_collect_points(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);
	const struct crl_refresh refresh = {
		.db = gateway->db,
		.trust = gateway->trust,
		.settings = gateway_settings(gateway),
		.now = clock_now(gateway->clock),
		.go_on = heartbeat_goes_on,
		.data = heartbeat,
	};
	struct fetch_run run;
	gboolean done;

	if (!crl_refresh_run(&refresh, &run, &done, error))
		return JOB_RESULT_FAILED;
	if (!done)
		return JOB_RESULT_AGAIN;
	g_autofree char *points = g_strdup_printf("%" G_GINT64_FORMAT, run.points);
	log_info("distribution points collected", "points", points);
	return db_transaction(gateway->db, enqueue, NULL, error) ? JOB_RESULT_DONE
								 : JOB_RESULT_FAILED;
}
