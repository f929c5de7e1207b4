/*
 * enroll_lease - one thread a question under way, as with the heartbeat of jobs.
 */
#include "pki/enroll_internal.h"

#include "store/base/clock.h"
#include "store/requests_work.h"

#define BEAT_SECONDS 15

struct enroll_lease {
	struct db *db;
	struct clock *clock;
	gint64 id;
	gint attempt;
	GThread *thread;
	GMutex lock;
	GCond wake;
	gboolean ended;
};

static gpointer
beat(gpointer data)
{
	struct enroll_lease *lease = data;

	g_mutex_lock(&lease->lock);
	while (!lease->ended) {
		gint64 until = g_get_monotonic_time() + BEAT_SECONDS * G_USEC_PER_SEC;

		if (g_cond_wait_until(&lease->wake, &lease->lock, until))
			continue;
		g_mutex_unlock(&lease->lock);
		/* A lease that was lost shows when the answer is saved. */
		gint64 next = clock_now(lease->clock) + ENROLL_LEASE_SECONDS;
		(void)!requests_extend(lease->db, lease->id, lease->attempt, next, NULL);
		g_mutex_lock(&lease->lock);
	}
	g_mutex_unlock(&lease->lock);
	return NULL;
}

struct enroll_lease *
enroll_lease_keep(struct db *db, struct clock *clock, gint64 id, gint attempt)
{
	struct enroll_lease *lease = g_new0(struct enroll_lease, 1);

	lease->db = db;
	lease->clock = clock;
	lease->id = id;
	lease->attempt = attempt;
	g_mutex_init(&lease->lock);
	g_cond_init(&lease->wake);
	lease->thread = g_thread_try_new("lease", beat, lease, NULL);
	return lease;
}

void
enroll_lease_end(struct enroll_lease *lease)
{
	if (lease == NULL)
		return;
	g_mutex_lock(&lease->lock);
	lease->ended = TRUE;
	g_cond_signal(&lease->wake);
	g_mutex_unlock(&lease->lock);
	if (lease->thread != NULL)
		g_thread_join(lease->thread);
	g_mutex_clear(&lease->lock);
	g_cond_clear(&lease->wake);
	g_free(lease);
}
