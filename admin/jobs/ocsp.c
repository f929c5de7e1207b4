/*
 * ocsp - one question to an OCSP responder, asked again when its answer is due for refreshing.
 *
 * The job stays, postponed, as long as a judgement wanted the answer within the last week.
 */
#include "admin/jobs/runners.h"

#include "admin/jobs/ocsp_post.h"
#include "milter/gateway.h"
#include "pki/ocsp.h"
#include "pki/ocsp_ask.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/config/settings.h"
#include "store/jobs.h"

/* Is it still worth asking when the answer is due for refreshing? */
static gboolean
is_kept(const struct ocsp_report *report, gint64 now)
{
	const struct ocsp_row *row = report->row;

	if (row == NULL || row->wanted == CLOCK_NEVER)
		return FALSE;
	/* Who is revoked for good is not asked about again. */
	if (row->status == OCSP_ROW_REVOKED && row->next_try > now + OCSP_WANTED_SECONDS)
		return FALSE;
	return row->wanted > now - OCSP_WANTED_SECONDS;
}

enum job_result
job_ocsp(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	gint64 now = clock_now(gateway->clock);
	g_autoptr(GError) why = NULL;
	g_autoptr(GPtrArray) certs = ocsp_job_parse(context->job->payload, &why);

	if (certs == NULL) {
		log_warning("a question to an OCSP responder cannot be read and is dropped",
			    "error", why->message);
		return JOB_RESULT_DONE;
	}
	CLEANUP(ocsp_post)
	struct ocsp_post *post = ocsp_post_new(gateway_settings(gateway), context);
	struct ocsp_ask ask = {
		.db = gateway->db,
		.clock = gateway->clock,
		.trust = gateway->trust,
		.per_minute = gateway_settings(gateway)->ocsp_per_minute,
		.post = ocsp_post,
		.data = post,
	};
	CLEANUP(cert) struct cert *cert = g_ptr_array_steal_index(certs, 0);
	CLEANUP(ocsp_report)
	struct ocsp_report *report =
	    ocsp_ask(&ask, cert, certs,
		     context->job->attempts <= 1 ? OCSP_ASKING_WANTED : OCSP_ASKING_DUE, error);

	if (report == NULL)
		return JOB_RESULT_FAILED;
	if (report->asked == OCSP_ASKED_NOBODY)
		log_info("nobody is asked by OCSP", "subject", cert_subject(cert), "reason",
			 report->why);
	if (report->asked != OCSP_ASKED_LIMITED && !is_kept(report, now))
		return JOB_RESULT_DONE;
	*context->due = report->again;
	return JOB_RESULT_LATER;
}
