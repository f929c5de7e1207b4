/*
 * ocsp_answers - responder certificates and answers of our own OCSP responder, renewed in time.
 *
 * Any daemon does it for all, once one of them has a public listener.
 */
#include "admin/jobs/runners.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/ocsp_responder.h"
#include "store/config/settings.h"
#include "store/ocsp_answers.h"

#define BATCH 100

enum job_result
job_ocsp_answers(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	const struct settings *settings = gateway_settings(gateway);
	const struct ocsp_policy policy = { settings->ocsp_validity,
					    strcmp(settings->ocsp_nonce, "repeat") == 0 };
	gboolean left = TRUE;

	g_autoptr(GPtrArray) made = ocsp_responders_list(gateway->db, error);
	if (made == NULL)
		return JOB_RESULT_FAILED;
	if (made->len == 0 && settings->public_listen[0] == NULL)
		return JOB_RESULT_DONE;
	CLEANUP(ocsp_responder)
	struct ocsp_responder *responder =
	    ocsp_responder_new(gateway->db, gateway->changelog, gateway->clock, gateway->keyring);
	while (left) {
		if (!ocsp_responder_work(responder, &policy, BATCH, &left, error))
			return JOB_RESULT_FAILED;
		if (left && (context->stopping(context) || !context->extend(context)))
			return JOB_RESULT_AGAIN;
	}
	return JOB_RESULT_DONE;
}
