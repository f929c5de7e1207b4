/*
 * make_keys - keys made ahead while the machine has nothing else to do.
 */
#include "admin/jobs/heartbeat.h"
#include "admin/jobs/idle.h"
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/key_pool.h"
#include "store/base/background.h"
#include "store/base/error.h"
#include "store/config/settings.h"

struct making {
	struct gateway *gateway;
	const char *algorithm;
	GError *error;
};

static gpointer
make(gpointer data)
{
	struct making *making = data;

	return GINT_TO_POINTER(key_pool_add(making->gateway->keyring, making->gateway->db,
					    making->algorithm, &making->error));
}

static gboolean
make_one(struct gateway *gateway, const char *algorithm, GError **error)
{
	struct making making = { gateway, algorithm, NULL };

	if (GPOINTER_TO_INT(background_call(BACKGROUND_IDLE, make, &making)))
		return TRUE;
	g_propagate_error(error, making.error);
	return FALSE;
}

enum job_result
job_key_pool(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);

	while (heartbeat_goes_on(heartbeat)) {
		g_autofree char *wanted = NULL;
		gboolean idle;

		if (!key_pool_tend(gateway->keyring, gateway->db, gateway_settings(gateway),
				   &wanted, error))
			return JOB_RESULT_FAILED;
		if (wanted == NULL)
			return JOB_RESULT_DONE;
		if (!idle_now(context, &idle, error))
			return JOB_RESULT_FAILED;
		if (!idle)
			return JOB_RESULT_DONE;
		if (!make_one(gateway, wanted, error))
			return JOB_RESULT_FAILED;
	}
	return JOB_RESULT_AGAIN;
}
