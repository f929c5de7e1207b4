/*
 * scheduler - workers over the rows of jobs.
 */
#include "admin/jobs/scheduler.h"

#include "milter/gateway.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/holder.h"
#include "store/base/log.h"
#include "store/db/changelog.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/requests_work.h"

#define LEASE_SECONDS 30
#define IDLE_SECONDS 1
#define WATCH_MS 500 /* how long a stop waits for the watcher at most */
#define BACKOFF_MIN_SECONDS 10
#define BACKOFF_MAX_SECONDS 3600
#define KINDS_MAX 32
#define DUTIES_AGAIN_US (5 * 60 * G_USEC_PER_SEC)

struct scheduler {
	struct gateway *gateway;
	char *name;
	struct lane {
		struct scheduler *scheduler;
		const char *kinds[KINDS_MAX];
		gsize count;
	} lanes[JOB_LANES];
	GPtrArray *threads;
	GThread *watcher; /* of the change log */
	guint64 calls;    /* how often it said that there are jobs; under the lock */
	GMutex lock;
	GCond wake;
	gboolean stopping;
	gint64 duties_listed_us; /* 0: not yet */
};

static gboolean
is_stopping(struct scheduler *scheduler)
{
	g_mutex_lock(&scheduler->lock);
	gboolean stopping = scheduler->stopping;
	g_mutex_unlock(&scheduler->lock);
	return stopping;
}

static guint64
calls_so_far(struct scheduler *scheduler)
{
	g_mutex_lock(&scheduler->lock);
	guint64 calls = scheduler->calls;
	g_mutex_unlock(&scheduler->lock);
	return calls;
}

/* Until a job was announced after `seen`, or a second is over. */
static void
sleep_a_while(struct scheduler *scheduler, guint64 seen)
{
	gint64 until = g_get_monotonic_time() + IDLE_SECONDS * G_USEC_PER_SEC;

	g_mutex_lock(&scheduler->lock);
	while (!scheduler->stopping && scheduler->calls == seen &&
	       g_cond_wait_until(&scheduler->wake, &scheduler->lock, until))
		;
	g_mutex_unlock(&scheduler->lock);
}

static gpointer
watch(gpointer data)
{
	struct scheduler *scheduler = data;
	struct changelog *changelog = scheduler->gateway->changelog;
	change_tag jobs = change_tag_of(CHANGE_JOB, NULL);
	guint64 since = changelog_moment(changelog);

	while (!is_stopping(scheduler)) {
		if (!changelog_wait(changelog, jobs, since, WATCH_MS))
			continue;
		/* What came until here is looked at now, what comes later is later than this. */
		since = changelog_moment(changelog);
		g_mutex_lock(&scheduler->lock);
		scheduler->calls++;
		g_cond_broadcast(&scheduler->wake);
		g_mutex_unlock(&scheduler->lock);
	}
	return NULL;
}

static gboolean
context_stopping(const struct job_context *context)
{
	return is_stopping(context->scheduler);
}

static gboolean
context_extend(const struct job_context *context)
{
	struct gateway *gateway = context->gateway;

	return jobs_extend(gateway->db, context->job, clock_now(gateway->clock) + LEASE_SECONDS,
			   NULL);
}

/* --- duties --- */

static gboolean
list_duties(struct tx *tx, gpointer data, GError **error)
{
	const gboolean *first = data;

	/* What a predecessor on this host has left need not wait for its lease. */
	if (*first && (!jobs_release_dead(tx, error) || !requests_release_dead(tx, error)))
		return FALSE;
	for (gsize i = 0; i < job_runner_count; i++) {
		gint64 interval = job_runners[i].interval_seconds;
		gint64 due = tx_now(tx) + (*first ? 0 : MAX(interval, BACKOFF_MAX_SECONDS));

		if (interval > 0 &&
		    !jobs_enqueue(tx, job_runners[i].kind, "duty", NULL, due, error))
			return FALSE;
	}
	return TRUE;
}

/* The rows are made when the database is first there; those that exist keep their place. Later
 * looks pull forward what stands too far ahead because the clock was set back. */
static void
ensure_duties(struct scheduler *scheduler)
{
	gint64 now_us = clock_monotonic_us();

	g_mutex_lock(&scheduler->lock);
	gboolean first = scheduler->duties_listed_us == 0;
	if ((first || now_us > scheduler->duties_listed_us + DUTIES_AGAIN_US) &&
	    db_transaction(scheduler->gateway->db, list_duties, &first, NULL))
		scheduler->duties_listed_us = now_us;
	g_mutex_unlock(&scheduler->lock);
}

/* --- one job --- */

struct ending {
	const struct job_row *job;
	const struct job_runner *runner;
	enum job_result result;
	gint64 due;
	const char *reason;
};

static gint64
backoff(gint attempts)
{
	gint64 seconds = BACKOFF_MIN_SECONDS;

	for (gint i = 1; i < attempts && seconds < BACKOFF_MAX_SECONDS; i++)
		seconds *= 2;
	return MIN(seconds, BACKOFF_MAX_SECONDS);
}

static gboolean
write_end(struct tx *tx, gpointer data, GError **error)
{
	const struct ending *ending = data;
	gint64 now = tx_now(tx);

	switch (ending->result) {
	case JOB_RESULT_DONE:
		if (!jobs_finish(tx, ending->job, error))
			return FALSE;
		return ending->runner->interval_seconds == 0 ||
		       jobs_enqueue(tx, ending->job->kind, ending->job->key, NULL,
				    now + ending->runner->interval_seconds, error);
	case JOB_RESULT_AGAIN:
		return jobs_postpone(tx, ending->job, now, NULL, error);
	case JOB_RESULT_LATER:
		return jobs_postpone(tx, ending->job, ending->due, NULL, error);
	case JOB_RESULT_FAILED:
		break;
	}
	return jobs_postpone(tx, ending->job, now + backoff(ending->job->attempts), ending->reason,
			     error);
}

static const struct job_runner *
runner_of(const char *kind)
{
	for (gsize i = 0; i < job_runner_count; i++)
		if (g_str_equal(job_runners[i].kind, kind))
			return &job_runners[i];
	return NULL;
}

static void
run_job(struct scheduler *scheduler, const struct job_row *job)
{
	const struct job_runner *runner = runner_of(job->kind);
	g_autoptr(GError) problem = NULL;
	g_autoptr(GError) unwritten = NULL;
	struct ending ending = { .job = job, .runner = runner };
	struct job_context context = {
		.gateway = scheduler->gateway,
		.job = job,
		.stopping = context_stopping,
		.extend = context_extend,
		.scheduler = scheduler,
		.due = &ending.due,
	};

	ending.result = runner->run(&context, &problem);
	ending.reason = problem != NULL ? problem->message : NULL;
	if (ending.result == JOB_RESULT_FAILED)
		log_warning("a job failed and is tried again", "kind", job->kind, "key", job->key,
			    "error", ending.reason);
	if (!db_transaction(scheduler->gateway->db, write_end, &ending, &unwritten))
		log_warning("the end of a job could not be recorded, it runs again", "kind",
			    job->kind, "error", unwritten->message);
}

static gpointer
work(gpointer data)
{
	const struct lane *lane = data;
	struct scheduler *scheduler = lane->scheduler;
	gboolean was_away = FALSE;

	while (!is_stopping(scheduler)) {
		g_autoptr(GError) problem = NULL;
		CLEANUP(job_row) struct job_row *job = NULL;

		guint64 seen = calls_so_far(scheduler);

		ensure_duties(scheduler);
		gboolean asked =
		    jobs_take(scheduler->gateway->db, lane->kinds, lane->count, scheduler->name,
			      clock_now(scheduler->gateway->clock), LEASE_SECONDS, &job, &problem);
		if (!asked && !was_away)
			log_warning("jobs wait for the database", "error", problem->message);
		was_away = !asked;
		if (job != NULL)
			run_job(scheduler, job);
		else
			sleep_a_while(scheduler, seen);
	}
	return NULL;
}

/* --- life --- */

static void
fill_lanes(struct scheduler *scheduler)
{
	for (guint l = 0; l < JOB_LANES; l++)
		scheduler->lanes[l].scheduler = scheduler;
	for (gsize i = 0; i < job_runner_count; i++) {
		struct lane *lane = &scheduler->lanes[job_runners[i].lane];

		g_assert(lane->count < KINDS_MAX);
		lane->kinds[lane->count++] = job_runners[i].kind;
	}
}

static gboolean
start_lane(struct lane *lane, guint workers, GError **error)
{
	for (guint i = 0; i < workers && lane->count > 0; i++) {
		GThread *thread = g_thread_try_new("job", work, lane, error);

		if (thread == NULL)
			return FALSE;
		g_ptr_array_add(lane->scheduler->threads, thread);
	}
	return TRUE;
}

struct scheduler *
scheduler_start(struct gateway *gateway, const guint workers[JOB_LANES], GError **error)
{
	struct scheduler *scheduler = g_new0(struct scheduler, 1);

	scheduler->gateway = gateway;
	scheduler->name = g_strdup(holder_name());
	scheduler->threads = g_ptr_array_new();
	g_mutex_init(&scheduler->lock);
	g_cond_init(&scheduler->wake);
	fill_lanes(scheduler);
	scheduler->watcher = g_thread_try_new("jobs", watch, scheduler, error);
	if (scheduler->watcher == NULL) {
		scheduler_stop(scheduler);
		return NULL;
	}
	for (guint l = 0; l < JOB_LANES; l++)
		if (!start_lane(&scheduler->lanes[l], workers[l], error)) {
			scheduler_stop(scheduler);
			return NULL;
		}
	return scheduler;
}

void
scheduler_stop(struct scheduler *scheduler)
{
	if (scheduler == NULL)
		return;
	g_mutex_lock(&scheduler->lock);
	scheduler->stopping = TRUE;
	g_cond_broadcast(&scheduler->wake);
	g_mutex_unlock(&scheduler->lock);
	if (scheduler->watcher != NULL)
		g_thread_join(scheduler->watcher);
	for (guint i = 0; i < scheduler->threads->len; i++)
		g_thread_join(g_ptr_array_index(scheduler->threads, i));
	g_ptr_array_unref(scheduler->threads);
	g_mutex_clear(&scheduler->lock);
	g_cond_clear(&scheduler->wake);
	g_free(scheduler->name);
	g_free(scheduler);
}
