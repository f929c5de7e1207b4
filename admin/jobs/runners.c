/*
 * runners - the kinds of jobs: a few lines each over pki/ and store/.
 */
#include "admin/jobs/scheduler.h"

#include "milter/gateway.h"
#include "pki/ca.h"
#include "pki/enroll.h"
#include "pki/keyring.h"
#include "store/audit.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/cas.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/posts.h"

#define DAY_SECONDS 86400
#define ANSWERS_KEEP_SECONDS DAY_SECONDS
#define JOBS_KEEP_SECONDS (7 * DAY_SECONDS)
#define REQUESTS_AT_A_TIME 50

/* --- rewrap: everything sealed anew under the newest master key --- */

static enum job_result
rewrap(const struct job_context *context, GError **error)
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

/* --- housekeeping: partitions, old answers, old jobs --- */

static gboolean
keep_house(struct tx *tx, gpointer data, GError **error)
{
	const struct settings *settings = data;
	gint64 now = tx_now(tx);

	return audit_keep(tx, now - settings->audit_keep, now - settings->message_keep, error) &&
	       posts_forget(tx, now - ANSWERS_KEEP_SECONDS, error) &&
	       jobs_forget(tx, now - JOBS_KEEP_SECONDS, error);
}

static enum job_result
housekeeping(const struct job_context *context, GError **error)
{
	const struct settings *settings = gateway_settings(context->gateway);

	return db_transaction(context->gateway->db, keep_house, (gpointer)settings, error)
		   ? JOB_RESULT_DONE
		   : JOB_RESULT_FAILED;
}

/* --- requests that wait for their next try --- */

static enum job_result
work_requests(const struct job_context *context, GError **error)
{
	struct enroll enroll = {
		.db = context->gateway->db,
		.keyring = context->gateway->keyring,
		.clock = context->gateway->clock,
	};
	guint worked;

	return enroll_run_due(&enroll, REQUESTS_AT_A_TIME, &worked, error) ? JOB_RESULT_DONE
									   : JOB_RESULT_FAILED;
}

/* --- CRLs of our own CAs, in time (C7) --- */

struct due_crl {
	const struct job_context *context;
	const struct ca_row *ca;
};

static gboolean
issue_crl(struct tx *tx, gpointer data, GError **error)
{
	const struct due_crl *due = data;
	struct gateway *gateway = due->context->gateway;
	const struct ca_crl options = { 0 };
	const struct actor actor = { .name = "postseald", .uid = -1, .from = "job" };
	g_autoptr(GBytes) der = ca_make_crl(gateway->keyring, gateway->db, gateway->clock,
					    due->ca->name, &options, tx, error);

	return der != NULL &&
	       audit_admin(tx, &actor, "ca crl", due->ca->name, "the next one in time", error);
}

static enum job_result
issue_crls(const struct job_context *context, GError **error)
{
	gint64 now = clock_now(context->gateway->clock);
	g_autoptr(GPtrArray) cas = cas_list(context->gateway->db, error);

	if (cas == NULL)
		return JOB_RESULT_FAILED;
	for (guint i = 0; i < cas->len; i++) {
		struct due_crl due = { context, g_ptr_array_index(cas, i) };

		if (due.ca->thumbprint == NULL || due.ca->crl_next > now)
			continue;
		if (!db_transaction(context->gateway->db, issue_crl, &due, error))
			return JOB_RESULT_FAILED;
		log_info("CRL made", "ca", due.ca->name);
	}
	return JOB_RESULT_DONE;
}

const struct job_runner job_runners[] = {
	{ "rewrap", 0, rewrap },
	{ "housekeeping", DAY_SECONDS, housekeeping },
	{ "work-requests", 60, work_requests },
	{ "issue-crls", 600, issue_crls },
};
const gsize job_runner_count = G_N_ELEMENTS(job_runners);
