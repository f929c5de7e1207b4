/*
 * pool - connections to one server (or to whichever of several takes us), shared by threads.
 *
 * The newest idle connection is taken first, so that what is not needed grows old and is
 * closed. Connecting happens outside of the lock. When a connection reaches another server
 * than the one before (failover, a list of hosts) the epoch goes up and older connections are
 * closed as they come back: never are two servers read side by side.
 */
#include "store/db/internal.h"

#include <string.h>

#include "store/base/error.h"

#define PING_AFTER_US (30 * G_USEC_PER_SEC)
#define PING_TIMEOUT_US (2 * G_USEC_PER_SEC)
#define IDLE_MAX_US (300 * G_USEC_PER_SEC)

struct pool {
	struct settings *settings;
	char *conninfo;
	GMutex lock;
	GCond freed;
	GQueue idle; /* struct connection; the newest first */
	guint open;  /* idle, busy and being connected */
	guint busy;
	guint64 epoch;
	char *server; /* of this epoch; NULL before the first connection */
	struct db_stats stats;
};

struct pool *
pool_new(const struct settings *settings, const char *conninfo)
{
	struct pool *pool = g_new0(struct pool, 1);

	pool->settings = settings_ref(settings);
	pool->conninfo = g_strdup(conninfo);
	g_mutex_init(&pool->lock);
	g_cond_init(&pool->freed);
	g_queue_init(&pool->idle);
	return pool;
}

void
pool_free(struct pool *pool)
{
	struct connection *connection;

	if (pool == NULL)
		return;
	g_assert(pool->busy == 0);
	while ((connection = g_queue_pop_head(&pool->idle)) != NULL)
		connection_close(connection);
	settings_unref(pool->settings);
	g_mutex_clear(&pool->lock);
	g_cond_clear(&pool->freed);
	g_free(pool->conninfo);
	g_free(pool->server);
	g_free(pool);
}

static gboolean
healthy(struct connection *connection)
{
	if (!connection_alive(connection))
		return FALSE;
	return clock_monotonic_us() - connection->used_us < PING_AFTER_US ||
	       connection_ping(connection, PING_TIMEOUT_US);
}

/* With the lock held: TRUE when *idle is one to try or a new one may be opened (NULL). */
static gboolean
reserve(struct pool *pool, struct connection **idle, GError **error)
{
	gint64 until = g_get_monotonic_time() + pool->settings->database_wait * G_USEC_PER_SEC;
	gboolean waited = FALSE;

	for (;;) {
		*idle = g_queue_pop_head(&pool->idle);
		if (*idle != NULL || pool->open < (guint)pool->settings->database_pool)
			break;
		if (!waited)
			pool->stats.waits++;
		waited = TRUE;
		if (!g_cond_wait_until(&pool->freed, &pool->lock, until)) {
			pool->stats.timeouts++;
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "no database connection became free in %" G_GINT64_FORMAT
					  " s",
					  pool->settings->database_wait);
		}
	}
	if (*idle == NULL)
		pool->open++;
	pool->busy++;
	return TRUE;
}

static void
release(struct pool *pool)
{
	g_mutex_lock(&pool->lock);
	pool->open--;
	pool->busy--;
	pool->stats.failures++;
	g_cond_signal(&pool->freed);
	g_mutex_unlock(&pool->lock);
}

static void
note_server(struct pool *pool, struct connection *connection)
{
	g_mutex_lock(&pool->lock);
	pool->stats.connects++;
	if (pool->server == NULL || strcmp(pool->server, connection->server) != 0) {
		if (pool->server != NULL)
			pool->epoch++;
		g_free(pool->server);
		pool->server = g_strdup(connection->server);
	}
	connection->epoch = pool->epoch;
	g_mutex_unlock(&pool->lock);
}

struct connection *
pool_take(struct pool *pool, GError **error)
{
	struct connection *connection = NULL;
	gboolean usable;

	g_mutex_lock(&pool->lock);
	if (!reserve(pool, &connection, error)) {
		g_mutex_unlock(&pool->lock);
		return NULL;
	}
	usable = connection != NULL && connection->epoch == pool->epoch;
	pool->stats.queries++;
	g_mutex_unlock(&pool->lock);

	if (usable && healthy(connection))
		return connection;
	connection_close(connection);
	connection = connection_open(pool->conninfo, pool->settings, error);
	if (connection == NULL)
		release(pool);
	else
		note_server(pool, connection);
	return connection;
}

static struct connection *
pop_old(struct pool *pool)
{
	struct connection *oldest = g_queue_peek_tail(&pool->idle);

	if (g_queue_get_length(&pool->idle) < 2 ||
	    clock_monotonic_us() - oldest->used_us < IDLE_MAX_US)
		return NULL;
	pool->open--;
	return g_queue_pop_tail(&pool->idle);
}

void
pool_give(struct pool *pool, struct connection *connection)
{
	gboolean alive = connection_alive(connection);
	struct connection *old;

	connection->used_us = clock_monotonic_us();
	g_mutex_lock(&pool->lock);
	pool->busy--;
	if (alive && connection->epoch == pool->epoch) {
		g_queue_push_head(&pool->idle, connection);
		connection = NULL;
	} else {
		pool->open--;
	}
	old = pop_old(pool);
	g_cond_signal(&pool->freed);
	g_mutex_unlock(&pool->lock);
	connection_close(connection);
	connection_close(old);
}

guint64
pool_epoch(struct pool *pool)
{
	g_mutex_lock(&pool->lock);
	guint64 epoch = pool->epoch;
	g_mutex_unlock(&pool->lock);
	return epoch;
}

void
pool_stats(struct pool *pool, struct db_stats *stats)
{
	g_mutex_lock(&pool->lock);
	*stats = pool->stats;
	stats->connections = pool->open;
	stats->busy = pool->busy;
	g_mutex_unlock(&pool->lock);
}
