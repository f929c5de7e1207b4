/*
 * rewrap - everything sealed anew under the newest master key.
 */
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/keyring.h"
#include "store/base/log.h"

enum job_result
job_rewrap(const struct job_context *context, GError **error)
{
	struct keyring *keyring = context->gateway->keyring;
	gint64 left = 1;

	if (!keyring_reload(keyring, error))
		return JOB_RESULT_FAILED;
	while (left > 0) {
		gint64 done;

		if (context->stopping(context) || !context->extend(context))
			return JOB_RESULT_AGAIN;
		if (!keyring_rewrap(keyring, 0, &done, &left, error))
			return JOB_RESULT_FAILED;
		/* What another run has locked is counted as left: give it time. */
		if (done == 0 && left > 0)
			return JOB_RESULT_AGAIN;
	}
	log_info("everything is sealed under the newest master key");
	return JOB_RESULT_DONE;
}
