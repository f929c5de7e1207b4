/*
 * changelog - one thread polls, one listens; what has changed is a table of plain atomic numbers.
 *
 * A poll that brings news writes the next sequence into the slots concerned and only then makes
 * it the present moment: who reads the moment first sees each slot as it was then, or newer.
 *
 * Each poll asks for the rows from the last one on, that one included: when it is missing or
 * not the same as before, this is not the history that we followed (failover to a standby that
 * was behind, a restored backup), and everything goes up.
 */
#include "store/db/changelog.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/internal.h"

#define POLL_EVERY_US G_USEC_PER_SEC
#define POLL_APART_US (G_USEC_PER_SEC / 20)
#define ROWS_MAX 1000
#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS 30000
/* A standby refuses LISTEN until it is promoted. */
#define REFUSED_MS 30000

struct watcher {
	enum change_kind kind;
	changelog_func func;
	gpointer data;
	guint64 told; /* the sequence up to which it knows */
};

struct changelog {
	struct db *db;
	struct settings *settings;
	char *listen_conninfo;
	guint64 moment;                  /* atomic: the sequence of the last news */
	guint64 all[CHANGE_KINDS];       /* atomic: when all keys of the kind changed at once */
	guint64 any[CHANGE_KINDS];       /* atomic: when anything of the kind changed */
	guint64 slots[CHANGE_TAG_SLOTS]; /* atomic: when a key that falls here changed */
	gint64 polled_us;                /* atomic; 0: never */
	guint64 wakes;                   /* atomic */
	gboolean listening;              /* atomic */
	GMutex news_lock;                /* for the condition alone */
	GCond news;                      /* the moment has moved on, or the end has come */
	gboolean ending;                 /* under news_lock: nobody is to wait any more */
	GMutex poll_lock;                /* held over a poll; guards what is below */
	gint64 number;                   /* last row seen */
	gint64 number_at;                /* its time, in microseconds */
	gboolean known;                  /* is there a history to follow? */
	guint64 epoch;
	guint64 polls;
	guint64 resets;
	GMutex watch_lock; /* held while they are called */
	GPtrArray *watchers;
	GMutex wake_lock; /* guards the two below */
	GCond woken;
	gboolean wake;
	gboolean stopping;
	int stop_fd;
	GThread *poller;
	GThread *listener;
};

static void
store(guint64 *place, guint64 sequence)
{
	__atomic_store_n(place, sequence, __ATOMIC_SEQ_CST);
}

static guint64
load(const guint64 *place)
{
	return __atomic_load_n(place, __ATOMIC_SEQ_CST);
}

/* Under the poll lock; to be made known by publish() when all of the news is in. */
static guint64
next_sequence(const struct changelog *changelog)
{
	return load(&changelog->moment) + 1;
}

static void
mark_all(struct changelog *changelog, int kind)
{
	store(&changelog->all[kind], next_sequence(changelog));
	store(&changelog->any[kind], next_sequence(changelog));
}

static void
mark_everything(struct changelog *changelog)
{
	changelog->resets++;
	for (int kind = 0; kind < CHANGE_KINDS; kind++)
		mark_all(changelog, kind);
}

/* A kind that a newer program has written may concern anything. */
static void
mark_row(struct changelog *changelog, const char *name, const char *key_or_null)
{
	for (int kind = 0; kind < CHANGE_KINDS; kind++) {
		if (g_strcmp0(name, change_kind_name((enum change_kind)kind)) != 0)
			continue;
		if (key_or_null == NULL) {
			mark_all(changelog, kind);
			return;
		}
		store(&changelog->slots[change_tag_slot(
			  change_tag_of((enum change_kind)kind, key_or_null))],
		      next_sequence(changelog));
		store(&changelog->any[kind], next_sequence(changelog));
		return;
	}
	mark_everything(changelog);
}

static void
publish(struct changelog *changelog)
{
	g_mutex_lock(&changelog->news_lock);
	store(&changelog->moment, next_sequence(changelog));
	g_cond_broadcast(&changelog->news);
	g_mutex_unlock(&changelog->news_lock);
}

/* Everything is news; go on from the newest row. */
static gboolean
start_over(struct changelog *changelog, GError **error)
{
	static const struct statement newest = {
		"change_log_newest",
		"SELECT number, (extract(epoch FROM at) * 1000000)::bigint"
		" FROM change_log ORDER BY number DESC LIMIT 1",
	};
	CLEANUP(rows) struct rows *rows = db_query(changelog->db, &newest, NULL, error);

	if (rows == NULL)
		return FALSE;
	changelog->number = rows_count(rows) > 0 ? rows_int(rows, 0, 0) : 0;
	changelog->number_at = rows_count(rows) > 0 ? rows_int(rows, 0, 1) : 0;
	changelog->known = TRUE;
	mark_everything(changelog);
	publish(changelog);
	return TRUE;
}

/* Does the answer continue what we know? Then marks what is new in it. */
static gboolean
follow(struct changelog *changelog, const struct rows *rows)
{
	int count = rows_count(rows);
	int first = changelog->number > 0 ? 1 : 0;

	if (first == 1 && (count == 0 || rows_int(rows, 0, 0) != changelog->number ||
			   rows_int(rows, 0, 1) != changelog->number_at))
		return FALSE;
	for (int i = first; i < count; i++)
		if (rows_int(rows, i, 0) != changelog->number + 1 + i - first)
			return FALSE;
	if (count == ROWS_MAX)
		return FALSE; /* too far behind: cheaper from new */
	for (int i = first; i < count; i++)
		mark_row(changelog, rows_text(rows, i, 2),
			 rows_is_null(rows, i, 3) ? NULL : rows_text(rows, i, 3));
	if (count > first) {
		publish(changelog);
		changelog->number = rows_int(rows, count - 1, 0);
		changelog->number_at = rows_int(rows, count - 1, 1);
	}
	return TRUE;
}

static gboolean
poll_locked(struct changelog *changelog, GError **error)
{
	static const struct statement after = {
		"change_log_after",
		"SELECT number, (extract(epoch FROM at) * 1000000)::bigint, kind,"
		" key FROM change_log WHERE number >= $1 ORDER BY number LIMIT $2",
	};
	struct params *params = params_new();
	CLEANUP(rows) struct rows *rows = NULL;
	guint64 epoch;

	changelog->polls++;
	params_int(params, changelog->number);
	params_int(params, ROWS_MAX);
	rows = db_query(changelog->db, &after, params, error);
	if (rows == NULL)
		return FALSE;
	/* After the query: that is what may have found another server. */
	epoch = db_read_epoch(changelog->db);
	if (!changelog->known || epoch != changelog->epoch || !follow(changelog, rows)) {
		changelog->epoch = epoch;
		if (!start_over(changelog, error))
			return FALSE;
	}
	__atomic_store_n(&changelog->polled_us, clock_monotonic_us(), __ATOMIC_SEQ_CST);
	return TRUE;
}

void
changelog_watch(struct changelog *changelog, enum change_kind kind, changelog_func func,
		gpointer data)
{
	struct watcher *watcher;

	if (changelog == NULL)
		return;
	watcher = g_new0(struct watcher, 1);
	watcher->kind = kind;
	watcher->func = func;
	watcher->data = data;
	watcher->told = changelog_moment(changelog);
	g_mutex_lock(&changelog->watch_lock);
	g_ptr_array_add(changelog->watchers, watcher);
	g_mutex_unlock(&changelog->watch_lock);
}

void
changelog_unwatch(struct changelog *changelog, changelog_func func, gpointer data)
{
	if (changelog == NULL)
		return;
	g_mutex_lock(&changelog->watch_lock);
	for (guint i = changelog->watchers->len; i > 0; i--) {
		const struct watcher *watcher = changelog->watchers->pdata[i - 1];
		if (watcher->func == func && watcher->data == data)
			g_ptr_array_remove_index(changelog->watchers, i - 1);
	}
	g_mutex_unlock(&changelog->watch_lock);
}

static void
tell_watchers(struct changelog *changelog)
{
	g_mutex_lock(&changelog->watch_lock);
	for (guint i = 0; i < changelog->watchers->len; i++) {
		struct watcher *watcher = changelog->watchers->pdata[i];
		guint64 latest = changelog_generation(changelog, watcher->kind);
		if (latest <= watcher->told)
			continue;
		watcher->told = latest;
		watcher->func(watcher->data);
	}
	g_mutex_unlock(&changelog->watch_lock);
}

gboolean
changelog_poll(struct changelog *changelog, GError **error)
{
	gboolean good;

	if (changelog == NULL)
		return TRUE;
	g_mutex_lock(&changelog->poll_lock);
	good = poll_locked(changelog, error);
	g_mutex_unlock(&changelog->poll_lock);
	tell_watchers(changelog);
	return good;
}

/* Sleeps until a wake-up or the next second; FALSE: stop. */
static gboolean
await_turn(struct changelog *changelog, gint64 last_us)
{
	gint64 until = last_us + POLL_EVERY_US;
	gboolean go_on;

	g_mutex_lock(&changelog->wake_lock);
	while (!changelog->stopping && !changelog->wake)
		if (!g_cond_wait_until(&changelog->woken, &changelog->wake_lock, until))
			break;
	/* Anybody who may connect can notify: never more often than this. */
	until = last_us + POLL_APART_US;
	while (!changelog->stopping)
		if (!g_cond_wait_until(&changelog->woken, &changelog->wake_lock, until))
			break;
	changelog->wake = FALSE;
	go_on = !changelog->stopping;
	g_mutex_unlock(&changelog->wake_lock);
	return go_on;
}

static gpointer
poller_main(gpointer data)
{
	struct changelog *changelog = data;
	gboolean was_good = TRUE;
	gint64 last_us = clock_monotonic_us();

	while (await_turn(changelog, last_us)) {
		g_autoptr(GError) error = NULL;
		gboolean good;

		last_us = clock_monotonic_us();
		good = changelog_poll(changelog, &error);
		if (!good && was_good)
			log_warning("changes cannot be read", "reason", error->message);
		if (good && !was_good)
			log_info("changes are read again");
		was_good = good;
	}
	return NULL;
}

static void
wake_poller(struct changelog *changelog)
{
	g_mutex_lock(&changelog->wake_lock);
	changelog->wake = TRUE;
	g_cond_signal(&changelog->woken);
	g_mutex_unlock(&changelog->wake_lock);
}

/* TRUE: the socket has something; FALSE: stop, or timeout (where one is given). */
static gboolean
await_socket(const struct changelog *changelog, int socket_fd, int timeout_ms, gboolean *stopped)
{
	struct pollfd watched[] = {
		{ .fd = changelog->stop_fd, .events = POLLIN },
		{ .fd = socket_fd, .events = POLLIN },
	};
	int ready;

	do
		ready = poll(watched, 2, timeout_ms);
	while (ready < 0 && errno == EINTR);
	*stopped = (watched[0].revents & POLLIN) != 0;
	return !*stopped && ready > 0 && watched[1].revents != 0;
}

/* What was missed while nobody listened is found by the poll that is asked for at once. */
static void
listen_until_lost(struct changelog *changelog, struct connection *connection, gboolean *stopped)
{
	__atomic_store_n(&changelog->listening, TRUE, __ATOMIC_SEQ_CST);
	wake_poller(changelog);
	while (!*stopped && !connection_lost(connection)) {
		PGnotify *notify;

		if (!await_socket(changelog, PQsocket(connection->pg), -1, stopped))
			continue;
		if (PQconsumeInput(connection->pg) == 0)
			break;
		while ((notify = PQnotifies(connection->pg)) != NULL) {
			PQfreemem(notify);
			__atomic_add_fetch(&changelog->wakes, 1, __ATOMIC_SEQ_CST);
			wake_poller(changelog);
		}
	}
	__atomic_store_n(&changelog->listening, FALSE, __ATOMIC_SEQ_CST);
}

/* Returns how long to wait before the next attempt. */
static int
listen_once(struct changelog *changelog, int backoff_ms, gboolean *stopped)
{
	g_autoptr(GError) error = NULL;
	struct connection *connection =
	    connection_open(changelog->listen_conninfo, changelog->settings, &error);
	int wait_ms = MIN(backoff_ms * 2, BACKOFF_MAX_MS);

	if (connection == NULL)
		return wait_ms;
	if (connection_run(connection, "listen", "LISTEN postseal_change", &error)) {
		listen_until_lost(changelog, connection, stopped);
		wait_ms = BACKOFF_FIRST_MS;
	} else if (strcmp(connection->sqlstate, "25006") == 0) {
		wait_ms = REFUSED_MS;
	}
	connection_close(connection);
	return wait_ms;
}

static gpointer
listener_main(gpointer data)
{
	struct changelog *changelog = data;
	gboolean stopped = FALSE;
	int backoff_ms = BACKOFF_FIRST_MS / 2;

	while (!stopped) {
		backoff_ms = listen_once(changelog, backoff_ms, &stopped);
		if (!stopped)
			(void)await_socket(changelog, -1, backoff_ms, &stopped);
	}
	return NULL;
}

static struct changelog *
changelog_new(struct db *db, const struct settings *settings, char *conninfo)
{
	struct changelog *changelog = g_new0(struct changelog, 1);

	changelog->db = db;
	changelog->settings = settings_ref(settings);
	changelog->listen_conninfo = conninfo;
	changelog->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g_mutex_init(&changelog->poll_lock);
	g_mutex_init(&changelog->wake_lock);
	g_cond_init(&changelog->woken);
	g_mutex_init(&changelog->watch_lock);
	changelog->watchers = g_ptr_array_new_with_free_func(g_free);
	g_mutex_init(&changelog->news_lock);
	g_cond_init(&changelog->news);
	return changelog;
}

struct changelog *
changelog_start(struct db *db, const struct settings *settings, GError **error)
{
	const char *text =
	    *settings->database_listen != '\0' ? settings->database_listen : settings->database;
	char *conninfo = conninfo_for(settings, db_role(db), text, error);
	g_autoptr(GError) first = NULL;
	struct changelog *changelog;

	if (conninfo == NULL)
		return NULL;
	changelog = changelog_new(db, settings, conninfo);
	if (!changelog_poll(changelog, &first))
		log_warning("changes cannot be read yet", "reason", first->message);
	changelog->poller = g_thread_new("changelog", poller_main, changelog);
	changelog->listener = g_thread_new("listen", listener_main, changelog);
	return changelog;
}

void
changelog_stop(struct changelog *changelog)
{
	guint64 one = 1;

	if (changelog == NULL)
		return;
	g_mutex_lock(&changelog->wake_lock);
	changelog->stopping = TRUE;
	g_cond_signal(&changelog->woken);
	g_mutex_unlock(&changelog->wake_lock);
	g_mutex_lock(&changelog->news_lock);
	changelog->ending = TRUE;
	g_cond_broadcast(&changelog->news);
	g_mutex_unlock(&changelog->news_lock);
	if (write(changelog->stop_fd, &one, sizeof(one)) != sizeof(one))
		log_error("the listener could not be told to stop");
	g_thread_join(changelog->poller);
	g_thread_join(changelog->listener);
	close(changelog->stop_fd);
	settings_unref(changelog->settings);
	g_mutex_clear(&changelog->poll_lock);
	g_mutex_clear(&changelog->wake_lock);
	g_cond_clear(&changelog->woken);
	g_mutex_clear(&changelog->watch_lock);
	g_ptr_array_unref(changelog->watchers);
	g_mutex_clear(&changelog->news_lock);
	g_cond_clear(&changelog->news);
	g_free(changelog->listen_conninfo);
	g_free(changelog);
}

guint64
changelog_moment(const struct changelog *changelog)
{
	return changelog != NULL ? load(&changelog->moment) : 0;
}

static gboolean
tag_unchanged(const struct changelog *changelog, change_tag tag, guint64 since)
{
	enum change_kind kind = change_tag_kind(tag);

	if (change_tag_is_any(tag))
		return load(&changelog->any[kind]) <= since;
	return load(&changelog->all[kind]) <= since &&
	       load(&changelog->slots[change_tag_slot(tag)]) <= since;
}

gboolean
changelog_unchanged(const struct changelog *changelog, const change_tag *tags, gsize n,
		    guint64 since)
{
	/* Most of the time there has been no news at all. */
	if (changelog == NULL || load(&changelog->moment) == since)
		return TRUE;
	for (gsize i = 0; i < n; i++)
		if (!tag_unchanged(changelog, tags[i], since))
			return FALSE;
	return TRUE;
}

gboolean
changelog_wait(struct changelog *changelog, change_tag tag, guint64 since, gint64 timeout_ms)
{
	gint64 until = g_get_monotonic_time() + timeout_ms * 1000;
	gboolean in_time = TRUE;

	if (changelog == NULL) {
		g_usleep((gulong)MAX(timeout_ms, 0) * 1000);
		return FALSE;
	}
	g_mutex_lock(&changelog->news_lock);
	while (in_time && !changelog->ending && tag_unchanged(changelog, tag, since))
		in_time = g_cond_wait_until(&changelog->news, &changelog->news_lock, until);
	g_mutex_unlock(&changelog->news_lock);
	return !tag_unchanged(changelog, tag, since);
}

guint64
changelog_generation(const struct changelog *changelog, enum change_kind kind)
{
	return changelog != NULL ? load(&changelog->any[kind]) : 0;
}

static gint64
age_us(const struct changelog *changelog)
{
	gint64 polled_us = __atomic_load_n(&changelog->polled_us, __ATOMIC_SEQ_CST);

	return polled_us == 0 ? G_MAXINT64 : clock_monotonic_us() - polled_us;
}

gboolean
changelog_fresh(const struct changelog *changelog, gint64 grace_seconds)
{
	/* A healthy poll is up to a second old: a grace of 0 would otherwise never hold. */
	return changelog == NULL || age_us(changelog) <= MAX(grace_seconds, 2) * G_USEC_PER_SEC;
}

void
changelog_stats(const struct changelog *changelog, struct changelog_stats *stats)
{
	struct changelog *open = (struct changelog *)(gpointer)changelog;

	memset(stats, 0, sizeof(*stats));
	if (changelog == NULL)
		return;
	g_mutex_lock(&open->poll_lock);
	stats->number = open->number;
	stats->polls = open->polls;
	stats->resets = open->resets;
	g_mutex_unlock(&open->poll_lock);
	stats->wakes = __atomic_load_n(&open->wakes, __ATOMIC_SEQ_CST);
	stats->listening = __atomic_load_n(&open->listening, __ATOMIC_SEQ_CST);
	stats->age_seconds =
	    age_us(open) == G_MAXINT64 ? (double)G_MAXINT64 : (double)age_us(open) / G_USEC_PER_SEC;
}
