/*
 * revoke_at_ca - one certificate of another CA: the key is the number of the order.
 */
#include "admin/jobs/heartbeat.h"
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/enroll_revoke.h"
#include "store/base/clock.h"
#include "store/jobs.h"

enum job_result
job_revoke_at_ca(const struct job_context *context, GError **error)
{
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);
	const struct enroll enroll = heartbeat_enroll(context, heartbeat);
	gint64 id, next;

	if (!g_ascii_string_to_signed(context->job->key, 10, 1, G_MAXINT64, &id, NULL))
		return JOB_RESULT_DONE;
	if (!enroll_revoke_work(&enroll, id, &next, error))
		return JOB_RESULT_FAILED;
	if (next == CLOCK_NEVER)
		return JOB_RESULT_DONE;
	*context->due = next;
	return JOB_RESULT_LATER;
}
