/*
 * cache: what is remembered is served while it is true and there is room, and not a moment longer.
 */
#include <glib.h>
#include <string.h>

#include "store/cache.h"
#include "tests/support/scratch_pg.h"

#define NOW G_GINT64_CONSTANT(1800000000)
#define DAY 86400

static struct scratch_pg *pg;
static const struct cache_limits no_grace = { 0, 1 << 20 };

static gpointer
ref(gpointer value)
{
	return g_atomic_rc_box_acquire(value);
}

static gint freed; /* atomic */

static void
count_freed(gpointer value)
{
	(void)value;
	g_atomic_int_inc(&freed);
}

static void
unref(gpointer value)
{
	g_atomic_rc_box_release_full(value, count_freed);
}

static gpointer
value_of(int n)
{
	int *value = g_atomic_rc_box_new(int);

	*value = n;
	return value;
}

/* -1: not there. */
static int
look(struct cache *cache, const char *key)
{
	int *value = cache_get(cache, key);
	int n = value != NULL ? *value : -1;

	if (value != NULL)
		unref(value);
	return n;
}

static void
put(struct cache *cache, const char *key, int n, gsize cost, gint64 expires)
{
	gpointer value = value_of(n);

	cache_put(cache, key, value, cost, expires, NULL, 0, cache_moment(cache));
	unref(value);
}

/* ---- time ----------------------------------------------------------------------------------- */

struct time_row {
	const char *name;
	gint64 made, expires, asked;
	gboolean served;
};

static const struct time_row time_rows[] = {
	{ "at once", NOW, NOW + DAY, NOW, TRUE },
	{ "a second before its end", NOW, NOW + DAY, NOW + DAY - 1, TRUE },
	{ "at its end", NOW, NOW + DAY, NOW + DAY, FALSE },
	{ "after its end", NOW, NOW + DAY, NOW + 2 * DAY, FALSE },
	{ "without an end", NOW, CLOCK_NEVER, NOW + 9999 * DAY, TRUE },
	{ "the clock steps back a little", NOW, NOW + DAY, NOW - 60, TRUE },
	{ "the clock is set back", NOW, NOW + DAY, NOW - 61, FALSE },
	{ "the clock is set back a day", NOW, CLOCK_NEVER, NOW - DAY, FALSE },
};

static void
test_time(gconstpointer data)
{
	const struct time_row *row = data;
	CLEANUP(clock) struct clock *clock = clock_new_fixed(row->made);
	CLEANUP(cache) struct cache *cache = cache_new(NULL, clock, NULL, CACHE_WHOLE, ref, unref);

	put(cache, "key", 7, 100, row->expires);
	clock_set(clock, row->asked);
	g_assert_cmpint(look(cache, "key"), ==, row->served ? 7 : -1);
	/* What is no longer true is not kept either. */
	struct cache_stats stats;
	cache_stats(cache, &stats);
	g_assert_cmpuint(stats.entries, ==, row->served ? 1 : 0);
	g_assert_cmpuint(stats.hits, ==, row->served ? 1 : 0);
	g_assert_cmpuint(stats.misses, ==, row->served ? 0 : 1);
}

/* The clock is set back between the judgement and its being remembered. */
static void
test_set_back_meanwhile(void)
{
	CLEANUP(clock) struct clock *clock = clock_new_fixed(NOW);
	CLEANUP(cache) struct cache *cache = cache_new(NULL, clock, NULL, CACHE_WHOLE, ref, unref);
	struct cache_moment began = cache_moment(cache);
	gpointer value = value_of(1);

	clock_set(clock, NOW - DAY);
	cache_put(cache, "key", value, 100, CLOCK_NEVER, NULL, 0, began);
	unref(value);
	g_assert_cmpint(look(cache, "key"), ==, -1);
}

/* ---- room ----------------------------------------------------------------------------------- */

static void
test_bounded(void)
{
	static const gsize memories[] = { 1, 4096, 1 << 20, 8 << 20, 32 << 20 };

	for (gsize m = 0; m < G_N_ELEMENTS(memories); m++) {
		struct cache_limits limits = { 300, memories[m] };
		CLEANUP(cache)
		struct cache *cache = cache_new(NULL, NULL, &limits, CACHE_WHOLE, ref, unref);
		struct cache_stats stats;

		freed = 0;
		for (int i = 0; i < 100000; i++) {
			char key[40];
			g_snprintf(key, sizeof(key), "user%d@example.com", i);
			put(cache, key, i, (gsize)(i % 1000), CLOCK_NEVER);
			if (i % 1000 == 0) {
				cache_stats(cache, &stats);
				g_assert_cmpuint(stats.bytes, <=, memories[m]);
			}
		}
		cache_stats(cache, &stats);
		g_assert_cmpuint(stats.bytes, <=, memories[m]);
		g_assert_cmpuint(stats.entries + (gsize)freed, ==, 100000);
		/* It is used, not only held free. */
		if (memories[m] > 4096)
			g_assert_cmpuint(stats.bytes, >, memories[m] / 10 * 9);
		/* A reload has made it less. */
		cache_limits_set(&limits, 300, memories[m] / 2);
		for (int i = 0; i < 1000; i++) {
			char key[40];
			g_snprintf(key, sizeof(key), "user%d@example.org", i);
			put(cache, key, i, 1, CLOCK_NEVER);
		}
		cache_stats(cache, &stats);
		g_assert_cmpuint(stats.bytes, <=, memories[m] / 2);
	}
}

static void
test_least_recent_leaves(void)
{
	struct cache_limits limits = { 300, 10000 };
	CLEANUP(cache)
	struct cache *cache = cache_new(NULL, NULL, &limits, CACHE_WHOLE, ref, unref);

	for (int i = 0; i < 100; i++) {
		char key[40];
		g_snprintf(key, sizeof(key), "%d", i);
		put(cache, key, i, 1000, CLOCK_NEVER);
		g_assert_cmpint(look(cache, "0"), ==, 0);
		g_assert_cmpint(look(cache, key), ==, i);
	}
	g_assert_cmpint(look(cache, "99"), ==, 99);
	g_assert_cmpint(look(cache, "98"), ==, 98);
	g_assert_cmpint(look(cache, "1"), ==, -1);
	put(cache, "huge", 1, 10001, CLOCK_NEVER); /* drives nobody out */
	g_assert_cmpint(look(cache, "huge"), ==, -1);
	g_assert_cmpint(look(cache, "0"), ==, 0);
	put(cache, "0", 5, 10, CLOCK_NEVER);
	g_assert_cmpint(look(cache, "0"), ==, 5);
	cache_drop(cache, "0");
	cache_drop(cache, "0");
	g_assert_cmpint(look(cache, "0"), ==, -1);
}

static void
test_parts(void)
{
	gsize sum = 0;

	for (int part = 0; part < CACHE_PARTS; part++) {
		g_assert_cmpuint(cache_part_bytes(1 << 30, (enum cache_part)part), >, 0);
		sum += cache_part_bytes(1 << 30, (enum cache_part)part);
	}
	g_assert_cmpuint(sum, <=, 1 << 30);
	g_assert_cmpuint(sum, >, (gsize)(1 << 30) / 100 * 95);
}

static gpointer
hammer(gpointer data)
{
	for (int i = 0; i < 20000; i++) {
		char key[16];
		g_snprintf(key, sizeof(key), "%d", i % 97);
		if (i % 5 == 0)
			put(data, key, i % 97, 500, CLOCK_NEVER);
		else if (i % 31 == 0)
			cache_drop(data, key);
		int found = look(data, key);
		g_assert_true(found == -1 || found == i % 97);
	}
	return NULL;
}

static void
test_threads(void)
{
	struct cache_limits limits = { 300, 20000 };
	CLEANUP(cache)
	struct cache *cache = cache_new(NULL, NULL, &limits, CACHE_WHOLE, ref, unref);
	GThread *threads[4];

	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("hammer", hammer, cache);
	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
}

/* ---- changes -------------------------------------------------------------------------------- */

struct site {
	struct db *db;
	struct changelog *changelog;
	struct cache *cache;
};

static void
site_open(struct site *site)
{
	g_autoptr(GError) error = NULL;

	scratch_pg_sql(pg, "TRUNCATE change_log");
	site->db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	site->changelog = changelog_start(site->db, scratch_pg_settings(pg), &error);
	g_assert_no_error(error);
	site->cache = cache_new(site->changelog, NULL, &no_grace, CACHE_WHOLE, ref, unref);
}

static void
site_close(struct site *site)
{
	cache_free(site->cache);
	changelog_stop(site->changelog);
	db_close(site->db);
}

struct told {
	enum change_kind kind;
	const char *keys[2];
	int count; /* further keys */
};

static gboolean
tell(struct tx *tx, gpointer data, GError **error)
{
	const struct told *told = data;

	(void)error;
	tx_changed(tx, told->kind, told->keys[0]);
	if (told->keys[1] != NULL)
		tx_changed(tx, told->kind, told->keys[1]);
	for (int i = 0; i < told->count; i++) {
		char key[16];
		g_snprintf(key, sizeof(key), "%d", i);
		tx_changed(tx, told->kind, key);
	}
	return TRUE;
}

static void
change(const struct site *site, struct told told)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(site->db, tell, &told, &error));
	g_assert_no_error(error);
	g_assert_true(changelog_poll(site->changelog, &error));
	g_assert_no_error(error);
}

struct change_row {
	const char *name;
	struct told told;
	enum change_kind kind; /* what the entry rests on, besides a certificate of bob's */
	const char *key;
	gboolean served;
};

static const struct change_row change_rows[] = {
	{ "its key", { CHANGE_CTL, { "a" }, 0 }, CHANGE_CTL, "a", FALSE },
	{ "another key", { CHANGE_CTL, { "b" }, 0 }, CHANGE_CTL, "a", TRUE },
	{ "another kind", { CHANGE_KEY, { "a" }, 0 }, CHANGE_CTL, "a", TRUE },
	{ "the second of two", { CHANGE_CTL, { "b", "a" }, 0 }, CHANGE_CTL, "a", FALSE },
	{ "all of the kind", { CHANGE_CTL, { NULL }, 0 }, CHANGE_CTL, "a", FALSE },
	{ "all of another", { CHANGE_ROOT, { NULL }, 0 }, CHANGE_CTL, "a", TRUE },
	{ "whatever changes of it", { CHANGE_CTL, { "b" }, 0 }, CHANGE_CTL, NULL, FALSE },
	{ "two hundred others", { CHANGE_CTL, { "b" }, 199 }, CHANGE_CTL, "a", TRUE },
	{ "more are all", { CHANGE_CTL, { "b" }, 200 }, CHANGE_CTL, "a", FALSE },
	{ "its second tag", { CHANGE_ADDRESS, { "bob" }, 0 }, CHANGE_CTL, "a", FALSE },
};

static void
put_tagged(struct cache *cache, const char *key, const GArray *tags, struct cache_moment began)
{
	gpointer value = value_of(7);

	cache_put(cache, key, value, 10, CLOCK_NEVER, (const change_tag *)(gpointer)tags->data,
		  tags->len, began);
	unref(value);
}

static void
test_change(gconstpointer data)
{
	const struct change_row *row = data;
	g_autoptr(GArray) tags = change_tags_new();
	struct site site;

	if (scratch_pg_skip(pg))
		return;
	site_open(&site);
	change_tags_add(tags, CHANGE_ADDRESS, "bob");
	change_tags_add(tags, row->kind, row->key);
	change_tags_add(tags, row->kind, row->key);
	g_assert_cmpuint(tags->len, ==, 2);
	put_tagged(site.cache, "key", tags, cache_moment(site.cache));
	g_assert_cmpint(look(site.cache, "key"), ==, 7);
	change(&site, row->told);
	g_assert_cmpint(look(site.cache, "key"), ==, row->served ? 7 : -1);
	site_close(&site);
}

/* The change comes after the rows were read and before the answer is remembered. */
static void
test_race(void)
{
	g_autoptr(GArray) tags = change_tags_new();
	struct site site;

	if (scratch_pg_skip(pg))
		return;
	site_open(&site);
	change_tags_add(tags, CHANGE_CTL, "a");
	struct cache_moment began = cache_moment(site.cache);
	change(&site, (struct told){ CHANGE_CTL, { "a" }, 0 });
	put_tagged(site.cache, "late", tags, began);
	g_assert_cmpint(look(site.cache, "late"), ==, -1);
	put_tagged(site.cache, "late", tags, cache_moment(site.cache));
	g_assert_cmpint(look(site.cache, "late"), ==, 7);
	/* A slow one does not take the place of a good one for long. */
	put_tagged(site.cache, "late", tags, began);
	g_assert_cmpint(look(site.cache, "late"), !=, -2);
	site_close(&site);
}

static void
test_lost_history(void)
{
	g_autoptr(GArray) tags = change_tags_new();
	g_autoptr(GError) error = NULL;
	struct site site;

	if (scratch_pg_skip(pg))
		return;
	site_open(&site);
	change(&site, (struct told){ CHANGE_CTL, { "b" }, 0 });
	change(&site, (struct told){ CHANGE_CTL, { "c" }, 0 });
	change_tags_add(tags, CHANGE_CTL, "a");
	put_tagged(site.cache, "tagged", tags, cache_moment(site.cache));
	put(site.cache, "of its own", 3, 10, CLOCK_NEVER);
	/* A standby that was behind has become the server. */
	scratch_pg_sql(pg, "DELETE FROM change_log WHERE number > 1");
	g_assert_true(changelog_poll(site.changelog, &error));
	g_assert_cmpint(look(site.cache, "tagged"), ==, -1);
	g_assert_cmpint(look(site.cache, "of its own"), ==, 3);
	site_close(&site);
}

static void
test_database_away(void)
{
	struct site site;

	if (scratch_pg_skip(pg))
		return;
	site_open(&site);
	put(site.cache, "key", 3, 10, CLOCK_NEVER);
	g_assert_cmpint(look(site.cache, "key"), ==, 3);
	scratch_pg_down(pg);
	g_usleep(2500000);
	g_assert_cmpint(look(site.cache, "key"), ==, -1);
	scratch_pg_up(pg);
	g_assert_true(changelog_poll(site.changelog, NULL));
	g_assert_cmpint(look(site.cache, "key"), ==, 3);
	site_close(&site);
}

static void
test_no_changelog(void)
{
	CLEANUP(cache) struct cache *cache = cache_new(NULL, NULL, NULL, CACHE_WHOLE, ref, unref);
	g_autoptr(GArray) tags = change_tags_new();

	change_tags_add(tags, CHANGE_CTL, "a");
	put_tagged(cache, "key", tags, cache_moment(cache));
	g_assert_cmpint(look(cache, "key"), ==, -1);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static gpointer
change_later(gpointer data)
{
	g_usleep(100000);
	change(data, (struct told){ CHANGE_DIRECTORY, { "other" }, 0 });
	g_usleep(100000);
	change(data, (struct told){ CHANGE_DIRECTORY, { "bob" }, 0 });
	return NULL;
}

static void
test_wait(void)
{
	struct site site;
	change_tag tag = change_tag_of(CHANGE_DIRECTORY, "bob");

	g_assert_false(changelog_wait(NULL, tag, 0, 1));
	if (scratch_pg_skip(pg))
		return;
	site_open(&site);
	guint64 since = changelog_moment(site.changelog);
	g_assert_false(changelog_wait(site.changelog, tag, since, 50));
	gint64 began = g_get_monotonic_time();
	GThread *thread = g_thread_new("change", change_later, &site);
	g_assert_true(changelog_wait(site.changelog, tag, since, 60000));
	g_assert_cmpint(g_get_monotonic_time() - began, >, 150000);
	g_thread_join(thread);
	/* What happened meanwhile needs no waiting. */
	g_assert_true(changelog_wait(site.changelog, tag, since, 60000));
	site_close(&site);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	for (gsize i = 0; i < G_N_ELEMENTS(time_rows); i++) {
		g_autofree char *path = g_strconcat("/cache/time/", time_rows[i].name, NULL);
		g_test_add_data_func(path, &time_rows[i], test_time);
	}
	g_test_add_func("/cache/time/set back meanwhile", test_set_back_meanwhile);
	g_test_add_func("/cache/bounded by bytes", test_bounded);
	g_test_add_func("/cache/the least recently used leave", test_least_recent_leaves);
	g_test_add_func("/cache/parts of the memory", test_parts);
	g_test_add_func("/cache/threads", test_threads);
	for (gsize i = 0; i < G_N_ELEMENTS(change_rows); i++) {
		g_autofree char *path = g_strconcat("/cache/change/", change_rows[i].name, NULL);
		g_test_add_data_func(path, &change_rows[i], test_change);
	}
	g_test_add_func("/cache/change/while it is made", test_race);
	g_test_add_func("/cache/change/numbers go backwards", test_lost_history);
	g_test_add_func("/cache/change/the database is away", test_database_away);
	g_test_add_func("/cache/change/nobody tells of any", test_no_changelog);
	g_test_add_func("/changelog/wait", test_wait);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
