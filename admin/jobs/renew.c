/*
 * renew - new certificates in place of those that are about to end (see pki/renewal).
 */
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/enroll.h"
#include "pki/renewal.h"

#define RENEWALS_AT_A_TIME 200

enum job_result
job_renew(const struct job_context *context, GError **error)
{
	struct enroll enroll = gateway_enroll(context->gateway);
	guint ordered;

	return renewal_run(&enroll, RENEWALS_AT_A_TIME, &ordered, error) ? JOB_RESULT_DONE
									 : JOB_RESULT_FAILED;
}
