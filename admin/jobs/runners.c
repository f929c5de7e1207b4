/*
 * runners - the table of the kinds of jobs.
 */
#include "admin/jobs/runners.h"

#include "pki/enroll_revoke.h"
#include "store/requests_work.h"

#define DAY_SECONDS 86400
#define KEY_POOL_SECONDS 20
#define OCSP_PRESIGN_SECONDS 120

const struct job_runner job_runners[] = {
	{ "rewrap", 0, JOB_LANE_WORK, job_rewrap },
	{ "housekeeping", DAY_SECONDS, JOB_LANE_WORK, job_housekeeping },
	{ "work-requests", 60, JOB_LANE_WORK, job_work_requests },
	{ "auto-request", 0, JOB_LANE_WORK, job_auto_request },
	{ "renew", RENEW_SECONDS, JOB_LANE_WORK, job_renew },
	{ "issue-crls", ISSUE_CRLS_SECONDS, JOB_LANE_WORK, job_issue_crls },
	{ "check-crls", 60, JOB_LANE_WORK, job_check_crls },
	{ "bulk", 0, JOB_LANE_BULK, job_bulk },
	{ "key-pool", KEY_POOL_SECONDS, JOB_LANE_BULK, job_key_pool },
	{ "directory", 0, JOB_LANE_MAIL, job_directory },
	{ "ocsp", 0, JOB_LANE_NETWORK, job_ocsp },
	{ "fetch-schedule", 15, JOB_LANE_WORK, job_schedule_fetches },
	{ "crl-refresh", 0, JOB_LANE_WORK, job_collect_points },
	{ "fetch", 0, JOB_LANE_NETWORK, job_fetch_url },
	{ "acme-reply", 60, JOB_LANE_NETWORK, job_acme_reply },
	{ "renewal-advice", 300, JOB_LANE_NETWORK, job_renewal_advice },
	{ "check-claims", 600, JOB_LANE_NETWORK, job_check_claims },
	/* requests: issued here, and handed in elsewhere */
	{ REQUESTS_JOB_HERE, 0, JOB_LANE_WORK, job_work_requests },
	{ REQUESTS_JOB_ASK, 0, JOB_LANE_NETWORK, job_work_requests },
	{ ENROLL_REVOKE_JOB, 0, JOB_LANE_NETWORK, job_revoke_at_ca },
	{ "csr-mail", 0, JOB_LANE_WORK, job_csr_mail },

	{ "ocsp-answers", 300, JOB_LANE_WORK, job_ocsp_answers },
	{ "ocsp-presign", OCSP_PRESIGN_SECONDS, JOB_LANE_BULK, job_ocsp_presign },
	{ "deliver", 60, JOB_LANE_NETWORK, job_deliver },
	{ "publish", 30, JOB_LANE_NETWORK, job_publish },
};
const gsize job_runner_count = G_N_ELEMENTS(job_runners);
