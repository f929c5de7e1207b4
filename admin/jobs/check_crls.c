/*
 * check_crls - revocation lists that are kept without effect are looked at again: when a CA
 * certificate or a root has come or gone since, and once in a while for those that wait for a
 * date.
 */
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/crl_load.h"
#include "store/base/log.h"
#include "store/db/changelog.h"

#define ANYHOW_US (15 * 60 * G_USEC_PER_SEC)

enum job_result
job_check_crls(const struct job_context *context, GError **error)
{
	/* What this daemon saw last; another one's ignorance only costs a look. */
	static GMutex lock;
	static guint64 seen;
	static gint64 looked_us;
	struct gateway *gateway = context->gateway;
	guint64 moment = changelog_moment(gateway->changelog);
	const change_tag tags[] = { change_tag_of(CHANGE_ROOT, NULL),
				    change_tag_of(CHANGE_ISSUER, NULL) };
	guint changed;

	g_mutex_lock(&lock);
	gboolean quiet = looked_us != 0 && clock_monotonic_us() < looked_us + ANYHOW_US &&
			 changelog_unchanged(gateway->changelog, tags, G_N_ELEMENTS(tags), seen);
	g_mutex_unlock(&lock);
	if (quiet)
		return JOB_RESULT_DONE;
	CLEANUP(crl_loader)
	struct crl_loader *loader = crl_loader_new(gateway->db, gateway->changelog);
	if (!crl_reexamine(loader, NULL, &changed, error))
		return JOB_RESULT_FAILED;
	if (changed > 0) {
		g_autofree char *count = g_strdup_printf("%u", changed);
		log_info("revocation lists that were kept have another state now", "count", count);
	}
	g_mutex_lock(&lock);
	seen = moment;
	looked_us = clock_monotonic_us();
	g_mutex_unlock(&lock);
	return JOB_RESULT_DONE;
}
