/*
 * publish - LDAP servers are written to soon after something has changed, and again after failures.
 *
 * Folders are each host's own: admin/jobs/folder_publisher.h.
 */
#include "admin/jobs/runners.h"

#include "admin/jobs/heartbeat.h"
#include "milter/gateway.h"
#include "pki/publish.h"

enum job_result
job_publish(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	const struct publishing publishing = { gateway->db, gateway->clock, gateway->keyring };
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);

	if (!publish_ldap(&publishing, heartbeat_is_over, heartbeat, error))
		return JOB_RESULT_FAILED;
	return heartbeat_goes_on(heartbeat) ? JOB_RESULT_DONE : JOB_RESULT_AGAIN;
}
