/*
 * changelog: what has changed is known by kind and key, at the latest after a second.
 */
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/db/changelog.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;
static struct scratch_pg *second;

static gboolean
tell(struct tx *tx, gpointer data, GError **error)
{
	(void)error;
	tx_changed(tx, (enum change_kind)GPOINTER_TO_INT(data), "key");
	return TRUE;
}

static void
change(struct db *db, enum change_kind kind)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(db, tell, GINT_TO_POINTER(kind), &error));
	g_assert_no_error(error);
}

struct watch {
	struct db *db;
	struct changelog *changelog;
};

static struct watch
watch_start(void)
{
	g_autoptr(GError) error = NULL;
	struct watch watch;

	scratch_pg_sql(pg, "TRUNCATE change_log");
	watch.db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	watch.changelog = changelog_start(watch.db, scratch_pg_settings(pg), &error);
	g_assert_no_error(error);
	return watch;
}

static void
watch_stop(struct watch *watch)
{
	changelog_stop(watch->changelog);
	db_close(watch->db);
}

static void
await_listening(const struct watch *watch)
{
	struct changelog_stats stats;

	do {
		g_usleep(2000);
		changelog_stats(watch->changelog, &stats);
	} while (!stats.listening);
}

/* Until the generation is another one; fails after a minute. */
static void
await_generation(const struct watch *watch, enum change_kind kind, guint64 before)
{
	gint64 began = g_get_monotonic_time();

	while (changelog_generation(watch->changelog, kind) == before) {
		g_assert_cmpint(g_get_monotonic_time() - began, <, 60 * G_USEC_PER_SEC);
		g_usleep(1000);
	}
}

/* Notifications that have come in. */
static guint64
wakes(const struct watch *watch)
{
	struct changelog_stats stats;

	changelog_stats(watch->changelog, &stats);
	return stats.wakes;
}

static void
await_wake(const struct watch *watch, guint64 before)
{
	for (guint i = 0; i < 6000 && wakes(watch) == before; i++)
		g_usleep(10000);
	g_assert_cmpuint(wakes(watch), >, before);
}

static guint64
resets(const struct watch *watch)
{
	struct changelog_stats stats;

	changelog_stats(watch->changelog, &stats);
	return stats.resets;
}

static void
poll_now(const struct watch *watch)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(changelog_poll(watch->changelog, &error));
	g_assert_no_error(error);
}

static void
test_one_kind(void)
{
	struct watch watch;

	if (scratch_pg_skip(pg))
		return;
	watch = watch_start();
	poll_now(&watch);
	for (int kind = 0; kind < CHANGE_KINDS; kind++) {
		guint64 before[CHANGE_KINDS];
		for (int i = 0; i < CHANGE_KINDS; i++)
			before[i] = changelog_generation(watch.changelog, (enum change_kind)i);
		change(watch.db, (enum change_kind)kind);
		poll_now(&watch);
		for (int i = 0; i < CHANGE_KINDS; i++)
			g_assert_cmpint(
			    changelog_generation(watch.changelog, (enum change_kind)i) != before[i],
			    ==, i == kind);
	}
	watch_stop(&watch);
}

static void
test_woken(void)
{
	struct watch watch;
	guint64 before, heard;

	if (scratch_pg_skip(pg))
		return;
	watch = watch_start();
	await_listening(&watch);
	before = changelog_generation(watch.changelog, CHANGE_CERT);
	heard = wakes(&watch);
	change(watch.db, CHANGE_CERT);
	await_wake(&watch, heard);
	await_generation(&watch, CHANGE_CERT, before);
	watch_stop(&watch);
}

/* Rows without a NOTIFY: found by the next poll. */
static void
test_notification_lost(void)
{
	struct watch watch;
	guint64 before;

	if (scratch_pg_skip(pg))
		return;
	watch = watch_start();
	await_listening(&watch);
	poll_now(&watch);
	before = changelog_generation(watch.changelog, CHANGE_ROOT);
	scratch_pg_sql(pg, "INSERT INTO change_log (number, kind) SELECT"
			   " coalesce(max(number), 0) + 1, 'root' FROM change_log");
	await_generation(&watch, CHANGE_ROOT, before);
	watch_stop(&watch);
}

static void
test_listener_cut(void)
{
	struct watch watch;
	guint64 before;

	if (scratch_pg_skip(pg))
		return;
	watch = watch_start();
	await_listening(&watch);
	scratch_pg_sql(pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
			   " WHERE pid <> pg_backend_pid() AND usename = 'postseal_daemon'");
	before = changelog_generation(watch.changelog, CHANGE_KEY);
	change(watch.db, CHANGE_KEY);
	await_generation(&watch, CHANGE_KEY, before);
	/* And it listens again. */
	g_usleep(20000);
	await_listening(&watch);
	watch_stop(&watch);
}

static void
test_forged(void)
{
	struct watch watch;
	struct changelog_stats before;
	guint64 generation;

	if (scratch_pg_skip(pg))
		return;
	watch = watch_start();
	await_listening(&watch);
	poll_now(&watch);
	generation = changelog_generation(watch.changelog, CHANGE_CERT);
	changelog_stats(watch.changelog, &before);
	for (int i = 0; i < 100; i++)
		scratch_pg_sql(pg, "NOTIFY postseal_change, 'delete everything'");
	await_wake(&watch, before.wakes);
	g_assert_cmpuint(changelog_generation(watch.changelog, CHANGE_CERT), ==, generation);
	watch_stop(&watch);
}

static void
test_forged_rate(void)
{
	struct watch watch;
	struct changelog_stats before;
	struct changelog_stats after;
	gint64 began;

	if (scratch_pg_skip(pg))
		return;
	watch = watch_start();
	await_listening(&watch);
	began = g_get_monotonic_time();
	changelog_stats(watch.changelog, &before);
	while (g_get_monotonic_time() - began < G_USEC_PER_SEC)
		scratch_pg_sql(pg, "NOTIFY postseal_change");
	changelog_stats(watch.changelog, &after);
	g_assert_cmpint((gint64)(after.polls - before.polls), <=,
			(g_get_monotonic_time() - began) / (G_USEC_PER_SEC / 20) + 2);
	watch_stop(&watch);
}

struct break_row {
	const char *name;
	const char *sql;
};

static const struct break_row break_rows[] = {
	{ "a gap", "INSERT INTO change_log (number, kind) VALUES (7, 'cert')" },
	{ "numbers go backwards", "DELETE FROM change_log WHERE number > 1" },
	{ "all rows are gone", "TRUNCATE change_log" },
	{ "the last row is another one", "UPDATE change_log SET at = at + interval '1 second'" },
	{ "a kind from the future",
	  "INSERT INTO change_log (number, kind) VALUES (4, 'telepathy')" },
	{ "thousands of rows behind", "INSERT INTO change_log (number, kind)"
				      " SELECT n, 'cert' FROM generate_series(4, 4000) n" },
};

static void
test_break(gconstpointer data)
{
	const struct break_row *row = data;
	struct watch watch;
	guint64 before;

	if (scratch_pg_skip(pg))
		return;
	watch = watch_start();
	for (int i = 0; i < 3; i++)
		change(watch.db, CHANGE_CERT);
	poll_now(&watch);
	before = resets(&watch);
	scratch_pg_sql(pg, row->sql);
	poll_now(&watch);
	g_assert_cmpuint(resets(&watch), ==, before + 1);
	/* From there on all is well again. */
	poll_now(&watch);
	change(watch.db, CHANGE_CERT);
	poll_now(&watch);
	g_assert_cmpuint(resets(&watch), ==, before + 1);
	watch_stop(&watch);
}

static void
test_fresh(void)
{
	struct watch watch;

	g_assert_true(changelog_fresh(NULL, 0));
	g_assert_cmpuint(changelog_generation(NULL, CHANGE_CA), ==, 0);
	if (scratch_pg_skip(pg))
		return;
	watch = watch_start();
	g_assert_true(changelog_fresh(watch.changelog, 0));
	scratch_pg_down(pg);
	g_usleep(2500000);
	g_assert_false(changelog_fresh(watch.changelog, 0));
	g_assert_true(changelog_fresh(watch.changelog, 300));
	scratch_pg_up(pg);
	poll_now(&watch);
	g_assert_true(changelog_fresh(watch.changelog, 0));
	watch_stop(&watch);
}

static void
test_starts_without_database(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_down(pg);
	struct db *db = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	struct changelog *changelog = changelog_start(db, scratch_pg_settings(pg), &error);
	g_assert_no_error(error);
	g_assert_false(changelog_fresh(changelog, 300));
	g_assert_false(changelog_poll(changelog, &error));
	g_assert_nonnull(error);
	scratch_pg_up(pg);
	gint64 began = g_get_monotonic_time();
	while (!changelog_fresh(changelog, 300)) {
		g_assert_cmpint(g_get_monotonic_time() - began, <, 60 * G_USEC_PER_SEC);
		g_usleep(10000);
	}
	changelog_stop(changelog);
	db_close(db);
}

static char *
standby_file(void)
{
	return g_build_filename(scratch_pg_settings(pg)->state_dir, "database", "standby.signal",
				NULL);
}

static void
become_standby(void)
{
	g_autofree char *path = standby_file();
	g_autofree char *folder = g_path_get_dirname(path);
	struct stat owner;

	scratch_pg_down(pg);
	g_assert_true(g_file_set_contents(path, "", 0, NULL));
	g_assert_cmpint(stat(folder, &owner), ==, 0);
	g_assert_cmpint(chown(path, owner.st_uid, owner.st_gid), ==, 0);
	scratch_pg_up(pg);
}

/* LISTEN is refused there, and writing is a matter of time. */
static void
test_standby(void)
{
	static const struct statement write_statement = {
		"write", "INSERT INTO change_log (number, kind) VALUES (99, 'cert')"
	};
	struct watch watch;
	struct changelog_stats stats;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	become_standby();
	watch.db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	watch.changelog = changelog_start(watch.db, scratch_pg_settings(pg), &error);
	g_assert_no_error(error);
	g_assert_true(db_is_standby(watch.db));
	do {
		g_usleep(10000);
		changelog_stats(watch.changelog, &stats);
	} while (stats.polls < 2);
	g_assert_false(stats.listening);
	g_assert_cmpuint(stats.polls, >=, 2);
	g_assert_true(changelog_fresh(watch.changelog, 0));
	g_assert_null(db_write(watch.db, &write_statement, NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_clear_error(&error);
	g_assert_false(db_transaction(watch.db, tell, GINT_TO_POINTER(CHANGE_CERT), &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	scratch_pg_sql(pg, "SELECT pg_promote()");
	change(watch.db, CHANGE_CERT);
	poll_now(&watch);
	watch_stop(&watch);
}

/* The second host of the list takes over: what was read from the first is void. */
static void
test_failover(void)
{
	CLEANUP(settings) struct settings *settings = settings_default();
	g_autofree char *conninfo = NULL;
	g_autoptr(GError) error = NULL;
	struct watch watch;
	guint64 before;

	if (scratch_pg_skip(pg))
		return;
	conninfo =
	    g_strdup_printf("host='%s/database,%s/database'", scratch_pg_settings(pg)->run_dir,
			    scratch_pg_settings(second)->run_dir);
	g_assert_true(settings_set(settings, "database", conninfo, NULL));
	scratch_pg_sql(pg, "TRUNCATE change_log");
	scratch_pg_sql(second, "TRUNCATE change_log");
	watch.db = db_open(settings, DB_ROLE_DAEMON, clock_system(), &error);
	g_assert_no_error(error);
	watch.changelog = changelog_start(watch.db, settings, &error);
	g_assert_no_error(error);
	await_listening(&watch);
	poll_now(&watch);
	before = resets(&watch);
	scratch_pg_down(pg);
	poll_now(&watch);
	g_assert_cmpuint(resets(&watch), ==, before + 1);
	g_assert_cmpuint(db_read_epoch(watch.db), ==, 1);
	/* Changes over there are seen and told. */
	guint64 generation = changelog_generation(watch.changelog, CHANGE_CTL);
	change(watch.db, CHANGE_CTL);
	await_generation(&watch, CHANGE_CTL, generation);
	await_listening(&watch);
	scratch_pg_up(pg);
	watch_stop(&watch);
}

static void
make_table(struct scratch_pg *cluster)
{
	if (cluster != NULL)
		scratch_pg_sql(cluster, "SET ROLE postseal_daemon;"
					"CREATE TABLE change_log (number bigint PRIMARY KEY,"
					" kind text NOT NULL, key text,"
					" at timestamptz NOT NULL DEFAULT now());"
					"GRANT SELECT ON change_log TO postseal_milter");
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start_unmigrated();
	second = scratch_pg_start_unmigrated();
	make_table(pg);
	make_table(second);
	g_test_add_func("/changelog/a change bumps its kind alone", test_one_kind);
	g_test_add_func("/changelog/woken at once", test_woken);
	g_test_add_func("/changelog/notification lost", test_notification_lost);
	g_test_add_func("/changelog/listener cut", test_listener_cut);
	g_test_add_func("/changelog/forged notifications change nothing", test_forged);
	g_test_add_func("/changelog/forged notifications cost little", test_forged_rate);
	for (gsize i = 0; i < G_N_ELEMENTS(break_rows); i++) {
		g_autofree char *path =
		    g_strdup_printf("/changelog/everything goes up/%s", break_rows[i].name);
		g_test_add_data_func(path, &break_rows[i], test_break);
	}
	g_test_add_func("/changelog/fresh", test_fresh);
	g_test_add_func("/changelog/starts without database", test_starts_without_database);
	g_test_add_func("/changelog/on a standby", test_standby);
	g_test_add_func("/changelog/failover to another host", test_failover);
	status = g_test_run();
	scratch_pg_stop(second);
	scratch_pg_stop(pg);
	return status;
}
