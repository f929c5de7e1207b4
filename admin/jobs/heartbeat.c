/*
 * heartbeat - one thread a job under way.
 */
#include "admin/jobs/heartbeat.h"

#include "milter/gateway.h"
#include "pki/enroll.h"

#define BEAT_SECONDS 8

struct heartbeat {
	const struct job_context *context;
	GThread *thread;
	GMutex lock;
	GCond wake;
	gboolean stopped, lost;
};

static gpointer
beat(gpointer data)
{
	struct heartbeat *heartbeat = data;

	g_mutex_lock(&heartbeat->lock);
	while (!heartbeat->stopped && !heartbeat->lost) {
		gint64 until = g_get_monotonic_time() + BEAT_SECONDS * G_USEC_PER_SEC;

		if (g_cond_wait_until(&heartbeat->wake, &heartbeat->lock, until))
			continue;
		g_mutex_unlock(&heartbeat->lock);
		gboolean extended = heartbeat->context->extend(heartbeat->context);
		g_mutex_lock(&heartbeat->lock);
		heartbeat->lost |= !extended;
	}
	g_mutex_unlock(&heartbeat->lock);
	return NULL;
}

struct heartbeat *
heartbeat_start(const struct job_context *context)
{
	struct heartbeat *heartbeat = g_new0(struct heartbeat, 1);

	heartbeat->context = context;
	g_mutex_init(&heartbeat->lock);
	g_cond_init(&heartbeat->wake);
	heartbeat->thread = g_thread_try_new("heartbeat", beat, heartbeat, NULL);
	if (heartbeat->thread == NULL) /* else the flag is the thread's */
		heartbeat->lost = TRUE;
	return heartbeat;
}

void
heartbeat_stop(struct heartbeat *heartbeat)
{
	if (heartbeat == NULL)
		return;
	g_mutex_lock(&heartbeat->lock);
	heartbeat->stopped = TRUE;
	g_cond_signal(&heartbeat->wake);
	g_mutex_unlock(&heartbeat->lock);
	if (heartbeat->thread != NULL)
		g_thread_join(heartbeat->thread);
	g_mutex_clear(&heartbeat->lock);
	g_cond_clear(&heartbeat->wake);
	g_free(heartbeat);
}

gboolean
heartbeat_goes_on(gpointer data)
{
	struct heartbeat *heartbeat = data;

	g_mutex_lock(&heartbeat->lock);
	gboolean lost = heartbeat->lost;
	g_mutex_unlock(&heartbeat->lock);
	return !lost && !heartbeat->context->stopping(heartbeat->context);
}

gboolean
heartbeat_is_over(gpointer heartbeat)
{
	return !heartbeat_goes_on(heartbeat);
}

struct enroll
heartbeat_enroll(const struct job_context *context, struct heartbeat *heartbeat)
{
	struct enroll enroll = gateway_enroll(context->gateway);

	enroll.stopping = heartbeat_is_over;
	enroll.data = heartbeat;
	return enroll;
}
