/*
 * jobs - work for the daemons, as rows: taken by one at a time, lost by none.
 *
 * A job is leased; if its taker dies the lease runs out and another takes it, so a runner must
 * be able to find its work half or wholly done. key names a job within its kind: there is at most
 * one unfinished job of a key. Threads: any.
 */
#ifndef STORE_JOBS_H
#define STORE_JOBS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum job_state { JOB_DUE, JOB_RUNNING, JOB_DONE, JOB_FAILED };

struct job_row {
	gint64 id;
	char *kind, *key;
	char *payload; /* the runner's own text, or NULL */
	enum job_state state;
	gint64 due;
	gint attempts;
	gint64 lease_until; /* 0: nobody has it */
	char *taken_by;
	char *error;
	gint64 created, updated;
};

const char *job_state_name(enum job_state state);

/* A job with this key that waits keeps its place; due earlier moves it forward. One that is running
   is due again when it is finished: it may have looked already at what this is about. */
gboolean jobs_enqueue(struct tx *tx, const char *kind, const char *key, const char *payload,
		      gint64 due, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The oldest due job of these kinds, leased to taker; *job NULL when there is none. */
gboolean jobs_take(struct db *db, const char *const *kinds, gsize n, const char *taker, gint64 now,
		   gint64 lease_seconds, struct job_row **job,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What processes of this host have held that are dead (store/base/holder.h) is free at once. */
gboolean jobs_release_dead(struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* FALSE with NOT_FOUND when the lease was lost meanwhile. */
gboolean jobs_extend(struct db *db, const struct job_row *job, gint64 until,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean jobs_finish(struct tx *tx, const struct job_row *job,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Again at due, with the reason; due CLOCK_NEVER: failed for good. */
gboolean jobs_postpone(struct tx *tx, const struct job_row *job, gint64 due, const char *reason,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* By hand: due now, whatever its state. */
gboolean jobs_retry(struct tx *tx, gint64 id, gint64 now, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct job_row *jobs_find(struct db *db, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Newest first; kind NULL: all; before 0: from the top. */
GPtrArray *jobs_list(struct db *db, const char *kind, gboolean only_open, gint64 before, gint limit,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Drops finished ones that are older. */
gboolean jobs_forget(struct tx *tx, gint64 older_than, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The milter's way (a SECURITY DEFINER function): the kinds that a milter may ask for. */
gboolean jobs_ask(struct db *db, const char *kind, const char *key, const char *payload,
		  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same for several keys, without payload. */
gboolean jobs_ask_all(struct db *db, const char *kind, const char *const *keys, gsize n,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

void job_row_free(struct job_row *row);
DEFINE_CLEANUP(job_row, job_row_free)

#endif
