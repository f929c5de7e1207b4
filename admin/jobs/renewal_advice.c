/*
 * renewal_advice - asks CAs when they would have their certificates renewed (see
 * pki/renewal_advice).
 */
#include "admin/jobs/heartbeat.h"
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/enroll.h"
#include "pki/renewal_advice.h"

#define AT_A_TIME 50

enum job_result
job_renewal_advice(const struct job_context *context, GError **error)
{
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);
	const struct enroll enroll = {
		.db = context->gateway->db,
		.keyring = context->gateway->keyring,
		.clock = context->gateway->clock,
		.settings = gateway_settings(context->gateway),
		.stopping = heartbeat_is_over,
		.data = heartbeat,
	};

	return renewal_advice_run(&enroll, AT_A_TIME, error) ? JOB_RESULT_DONE : JOB_RESULT_FAILED;
}
