/*
 * idle - asks the kernel and the books.
 */
#include "admin/jobs/idle.h"

#include "milter/gateway.h"
#include "store/base/background.h"
#include "store/bulk.h"
#include "store/config/settings.h"

#define LOOK_MS 300

gboolean
idle_now(const struct job_context *context, gboolean *idle, GError **error)
{
	gboolean running;

	*idle = FALSE;
	if (context->stopping(context))
		return TRUE;
	if (!bulk_any_running(context->gateway->db, &running, error))
		return FALSE;
	*idle = !running && background_busy(LOOK_MS) * 100 <
				(double)gateway_settings(context->gateway)->key_pool_busy_max;
	return TRUE;
}
