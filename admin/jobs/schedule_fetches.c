/*
 * schedule_fetches - a job for every URL that is due, and for the run that collects them.
 */
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "store/config/settings.h"
#include "store/db/changelog.h"
#include "store/db/tx.h"
#include "store/fetch_points.h"
#include "store/fetches.h"
#include "store/jobs.h"

/* Has a root or CA certificate come or gone since this daemon looked last? What verifies, and so
 * what is fetched, is another set then. What other daemons saw only costs a run. */
static gboolean
has_news(struct changelog *changelog)
{
	static GMutex lock;
	static guint64 seen;
	static gboolean started;
	const change_tag tags[] = { change_tag_of(CHANGE_ROOT, NULL),
				    change_tag_of(CHANGE_ISSUER, NULL) };
	guint64 moment = changelog_moment(changelog);

	g_mutex_lock(&lock);
	gboolean news = started && !changelog_unchanged(changelog, tags, G_N_ELEMENTS(tags), seen);
	seen = moment;
	started = TRUE;
	g_mutex_unlock(&lock);
	return news;
}

struct round {
	gboolean news;
	gint64 collected; /* by the last run */
	gint64 interval;
};

static gboolean
enqueue(struct tx *tx, gpointer data, GError **error)
{
	const struct round *round = data;

	/* A last run in the future: the clock was set back. */
	if ((round->news || tx_now(tx) >= round->collected + round->interval ||
	     round->collected > tx_now(tx)) &&
	    !jobs_enqueue(tx, "crl-refresh", "all", NULL, tx_now(tx), error))
		return FALSE;
	return fetches_enqueue_due(tx, error);
}

enum job_result
job_schedule_fetches(const struct job_context *context, GError **error)
{
	struct fetch_run run;

	if (!fetch_points_last_run(context->gateway->db, &run, error))
		return JOB_RESULT_FAILED;
	struct round round = {
		.news = has_news(context->gateway->changelog),
		.collected = run.finished,
		.interval = gateway_settings(context->gateway)->crl_update_interval,
	};
	return db_transaction(context->gateway->db, enqueue, &round, error) ? JOB_RESULT_DONE
									    : JOB_RESULT_FAILED;
}
