/*
 * scheduler - runs what is due: rows of store/jobs, one runner a kind.
 *
 * Several daemons share the rows (FOR UPDATE SKIP LOCKED behind store/jobs.h): a job is leased to
 * one of them, and taken up by another when that one dies. Duties that come again are rows too,
 * each of which puts the next one in its place when it is done. A runner finds its work half or
 * wholly done without harm. A job that a filter asks for is taken at once: the change log wakes the
 * workers (CHANGE_JOB), and a lost notification costs a second. Threads: job_workers,
 * fetch_workers and directory_workers of them; stop waits for the jobs under way.
 */
#ifndef ADMIN_JOBS_SCHEDULER_H
#define ADMIN_JOBS_SCHEDULER_H

#include <glib.h>

#include "store/base/cleanup.h"

struct gateway;
struct job_row;
struct scheduler;

/* What a runner is given. */
struct job_context {
	struct gateway *gateway;
	const struct job_row *job;
	/* TRUE when the program is about to stop: leave, the next run goes on. */
	gboolean (*stopping)(const struct job_context *context);
	/* Keeps the lease for another while; FALSE when it was lost: leave. */
	gboolean (*extend)(const struct job_context *context);
	struct scheduler *scheduler;
	gint64 *due; /* of LATER, to be set */
};

enum job_result {
	JOB_RESULT_DONE,
	JOB_RESULT_AGAIN,  /* left half done (stop, lost lease) */
	JOB_RESULT_LATER,  /* done for now: the same job once more, at *due of the context */
	JOB_RESULT_FAILED, /* *error is set; it is tried again later */
};

/* Who waits for others must not keep what is quick from being done: each lane has its threads. */
enum job_lane {
	JOB_LANE_WORK,    /* database and CPU: job_workers threads */
	JOB_LANE_NETWORK, /* waits for servers elsewhere: fetch_workers threads */
	JOB_LANE_MAIL,    /* the same while a message waits for it: directory_workers threads */
	JOB_LANE_BULK,    /* takes minutes or hours, behind everything else: two threads */
};
#define JOB_LANES 4

struct job_runner {
	const char *kind;
	gint64 interval_seconds; /* of a duty that comes again; 0: once */
	enum job_lane lane;
	enum job_result (*run)(const struct job_context *context, GError **error);
};

extern const struct job_runner job_runners[];
extern const gsize job_runner_count;

/* workers: threads of each lane. */
struct scheduler *scheduler_start(struct gateway *gateway, const guint workers[JOB_LANES],
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
void scheduler_stop(struct scheduler *scheduler); /* NULL is fine */

DEFINE_CLEANUP(scheduler, scheduler_stop)

#endif
