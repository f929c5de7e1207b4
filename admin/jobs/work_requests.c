/*
 * work_requests - requests that wait for their next try.
 */
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/enroll.h"

#define REQUESTS_AT_A_TIME 50

enum job_result
job_work_requests(const struct job_context *context, GError **error)
{
	struct enroll enroll = {
		.db = context->gateway->db,
		.keyring = context->gateway->keyring,
		.clock = context->gateway->clock,
	};
	guint worked;

	return enroll_run_due(&enroll, REQUESTS_AT_A_TIME, &worked, error) ? JOB_RESULT_DONE
									   : JOB_RESULT_FAILED;
}
