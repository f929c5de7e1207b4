/*
 * folder_publisher - one thread.
 */
#include "admin/jobs/folder_publisher.h"

#include "milter/gateway.h"
#include "pki/publish.h"
#include "store/base/log.h"
#include "store/config/settings.h"
#include "store/db/changelog.h"

#define LOOK_SECONDS 60
#define SETTLE_SECONDS 1 /* several changes are written at once */

struct folder_publisher {
	struct gateway *gateway;
	GThread *thread;
	GMutex lock;
	GCond wake;
	gboolean changed, stopped, failing;
};

static const enum change_kind kinds[] = { CHANGE_CA, CHANGE_CRL, CHANGE_ROOT, CHANGE_ISSUER };

static void
on_change(gpointer data)
{
	struct folder_publisher *publisher = data;

	g_mutex_lock(&publisher->lock);
	publisher->changed = TRUE;
	g_cond_signal(&publisher->wake);
	g_mutex_unlock(&publisher->lock);
}

static void
write_folder(struct folder_publisher *publisher)
{
	struct gateway *gateway = publisher->gateway;
	const char *folder = gateway_settings(gateway)->publish_dir;
	const struct publishing publishing = { gateway->db, gateway->clock, gateway->keyring };
	g_autoptr(GError) why = NULL;

	if (*folder == '\0')
		return;
	gboolean good = publish_folder(&publishing, folder, &why);
	if (!good && !publisher->failing)
		log_warning("nothing could be published into the folder", "folder", folder, "error",
			    why->message);
	publisher->failing = !good;
}

/* FALSE: the program stops. */
static gboolean
wait_for_change(struct folder_publisher *publisher)
{
	gint64 until = g_get_monotonic_time() + LOOK_SECONDS * G_USEC_PER_SEC;

	g_mutex_lock(&publisher->lock);
	while (!publisher->changed && !publisher->stopped &&
	       g_cond_wait_until(&publisher->wake, &publisher->lock, until))
		;
	until = g_get_monotonic_time() + SETTLE_SECONDS * G_USEC_PER_SEC;
	while (!publisher->stopped && g_cond_wait_until(&publisher->wake, &publisher->lock, until))
		;
	publisher->changed = FALSE;
	gboolean go_on = !publisher->stopped;
	g_mutex_unlock(&publisher->lock);
	return go_on;
}

static gpointer
publish(gpointer data)
{
	struct folder_publisher *publisher = data;

	do
		write_folder(publisher);
	while (wait_for_change(publisher));
	return NULL;
}

struct folder_publisher *
folder_publisher_start(struct gateway *gateway)
{
	struct folder_publisher *publisher = g_new0(struct folder_publisher, 1);

	publisher->gateway = gateway;
	g_mutex_init(&publisher->lock);
	g_cond_init(&publisher->wake);
	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
		changelog_watch(gateway->changelog, kinds[i], on_change, publisher);
	publisher->thread = g_thread_new("publisher", publish, publisher);
	return publisher;
}

void
folder_publisher_stop(struct folder_publisher *publisher)
{
	if (publisher == NULL)
		return;
	changelog_unwatch(publisher->gateway->changelog, on_change, publisher);
	g_mutex_lock(&publisher->lock);
	publisher->stopped = TRUE;
	g_cond_signal(&publisher->wake);
	g_mutex_unlock(&publisher->lock);
	g_thread_join(publisher->thread);
	g_mutex_clear(&publisher->lock);
	g_cond_clear(&publisher->wake);
	g_free(publisher);
}
