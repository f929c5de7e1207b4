/*
 * ocsp_presign - OCSP answers signed before anybody asks, while the machine has nothing else to do.
 *
 * One daemon at a time; what it leaves the next round finds.
 */
#include "admin/jobs/heartbeat.h"
#include "admin/jobs/idle.h"
#include "admin/jobs/runners.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/ocsp_ahead.h"
#include "store/base/background.h"
#include "store/config/settings.h"
#include "store/ocsp_answers.h"

#define BATCH 32         /* answers between two looks at the machine */
#define ROUND_BATCHES 64 /* then others have their turn */

struct presigning {
	struct ocsp_ahead *ahead;
	gboolean left;
	GError *error;
};

/* A thread of its own, for there is no way back to the usual priority. Not the lowest one: while an
 * answer is signed, a revocation waits for it. */
static gpointer
sign_batch(gpointer data)
{
	struct presigning *presigning = data;

	background_thread(BACKGROUND_LOW);
	return GINT_TO_POINTER(
	    ocsp_ahead_go_on(presigning->ahead, BATCH, &presigning->left, &presigning->error));
}

static gboolean
go_on(struct ocsp_ahead *ahead, gboolean *left, GError **error)
{
	struct presigning presigning = { .ahead = ahead };
	GThread *thread = g_thread_try_new("ocsp-presign", sign_batch, &presigning, error);

	if (thread == NULL)
		return FALSE;
	if (!GPOINTER_TO_INT(g_thread_join(thread))) {
		g_propagate_error(error, presigning.error);
		return FALSE;
	}
	*left = presigning.left;
	return TRUE;
}

static enum job_result
work_a_round(const struct job_context *context, struct ocsp_ahead *ahead, GError **error)
{
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);
	gboolean left = TRUE, idle;

	for (guint i = 0; left && i < ROUND_BATCHES && heartbeat_goes_on(heartbeat); i++) {
		if (!idle_now(context, &idle, error))
			return JOB_RESULT_FAILED;
		if (!idle)
			return JOB_RESULT_DONE;
		if (!go_on(ahead, &left, error))
			return JOB_RESULT_FAILED;
	}
	return left ? JOB_RESULT_AGAIN : JOB_RESULT_DONE;
}

enum job_result
job_ocsp_presign(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	const struct settings *settings = gateway_settings(gateway);
	const struct ocsp_policy policy = { settings->ocsp_validity,
					    strcmp(settings->ocsp_nonce, "repeat") == 0 };

	if (settings->ocsp_presign == 0)
		return JOB_RESULT_DONE;
	g_autoptr(GPtrArray) made = ocsp_responders_list(gateway->db, error);
	if (made == NULL)
		return JOB_RESULT_FAILED;
	if (made->len == 0 && settings->public_listen[0] == NULL)
		return JOB_RESULT_DONE;
	CLEANUP(ocsp_responder)
	struct ocsp_responder *responder =
	    ocsp_responder_new(gateway->db, gateway->changelog, gateway->clock, gateway->keyring);
	CLEANUP(ocsp_ahead)
	struct ocsp_ahead *ahead = ocsp_ahead_new(responder, &policy, settings->ocsp_presign);
	return work_a_round(context, ahead, error);
}
