/*
 * work_bulk - works on one batch of requests: the job's key is its number.
 */
#include "admin/jobs/heartbeat.h"
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/bulk.h"
#include "pki/enroll.h"
#include "store/base/error.h"
#include "store/jobs.h"

enum job_result
job_bulk(const struct job_context *context, GError **error)
{
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);
	const struct enroll enroll = heartbeat_enroll(context, heartbeat);
	const struct bulk_work work = { .enroll = &enroll,
					.go_on = heartbeat_goes_on,
					.data = heartbeat };
	g_autoptr(GError) why = NULL;
	gboolean finished = FALSE;
	gint64 id;

	if (!g_ascii_string_to_signed(context->job->key, 10, 1, G_MAXINT64, &id, NULL))
		return JOB_RESULT_DONE;
	if (bulk_run(&work, id, &finished, &why))
		return finished ? JOB_RESULT_DONE : JOB_RESULT_AGAIN;
	/* Deleted meanwhile. */
	if (g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return JOB_RESULT_DONE;
	g_propagate_error(error, g_steal_pointer(&why));
	return JOB_RESULT_FAILED;
}
