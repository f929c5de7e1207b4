/*
 * tx: all or nothing, repetition after deadlock, serialisation failure and a lost server.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

static const struct statement insert = { "insert", "INSERT INTO item (id) VALUES ($1)" };
static const struct statement count = { "count", "SELECT count(*) FROM item" };
static const struct statement log_rows = {
	"log_rows", "SELECT number, kind, key FROM change_log ORDER BY number"
};

static gboolean
run(struct tx *tx, const struct statement *statement, GError **error)
{
	CLEANUP(rows) struct rows *rows = tx_query(tx, statement, NULL, error);

	return rows != NULL;
}

static gboolean
add_item(struct tx *tx, gint64 id, GError **error)
{
	struct params *params = params_new();
	params_int(params, id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &insert, params, error);

	return rows != NULL;
}

static gint64
item_count(struct db *db)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(rows) struct rows *rows = db_query(db, &count, NULL, &error);

	g_assert_no_error(error);
	return rows_int(rows, 0, 0);
}

static struct db *
fresh(void)
{
	scratch_pg_sql(pg, "TRUNCATE item, change_log, number");
	scratch_pg_sql(pg, "INSERT INTO number VALUES (1, 0), (2, 0)");
	return scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
}

static gboolean
add_and_refuse(struct tx *tx, gpointer data, GError **error)
{
	(void)data;
	if (!add_item(tx, 1, error))
		return FALSE;
	tx_changed(tx, CHANGE_CERT, "x");
	return fail_false(error, PS_ERROR_DENIED, "on second thoughts");
}

static gboolean
add_two_and_tell(struct tx *tx, gpointer data, GError **error)
{
	(void)data;
	tx_changed(tx, CHANGE_CERT, "aa");
	tx_changed(tx, CHANGE_CERT, "aa");
	tx_changed(tx, CHANGE_CTL, "bb");
	tx_changed(tx, CHANGE_CTL, NULL);
	return add_item(tx, 1, error) && add_item(tx, 2, error);
}

static gboolean
pass_over(struct tx *tx, gpointer data, GError **error)
{
	static const struct statement wrong = { "wrong", "SELECT 1/0" };

	(void)data;
	g_assert_true(add_item(tx, 1, error));
	g_assert_false(run(tx, &wrong, NULL));
	return TRUE;
}

static gboolean
no_reason(struct tx *tx, gpointer data, GError **error)
{
	(void)tx;
	(void)data;
	(void)error;
	return FALSE;
}

static void
test_all_or_nothing(void)
{
	CLEANUP(db) struct db *db = NULL;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = fresh();
	g_assert_false(db_transaction(db, add_and_refuse, NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	g_assert_cmpstr(error->message, ==, "on second thoughts");
	g_assert_cmpint(item_count(db), ==, 0);
	g_clear_error(&error);

	g_assert_false(db_transaction(db, pass_over, NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_BUG);
	g_assert_cmpint(item_count(db), ==, 0);
	g_clear_error(&error);

	g_assert_false(db_transaction(db, no_reason, NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_BUG);
	g_clear_error(&error);

	g_assert_true(db_transaction(db, add_two_and_tell, NULL, &error));
	g_assert_no_error(error);
	g_assert_cmpint(item_count(db), ==, 2);
	CLEANUP(rows) struct rows *rows = db_query(db, &log_rows, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(rows_count(rows), ==, 2);
	g_assert_cmpint(rows_int(rows, 0, 0), ==, 1);
	g_assert_cmpstr(rows_text(rows, 0, 1), ==, "cert");
	g_assert_cmpstr(rows_text(rows, 0, 2), ==, "aa");
	g_assert_cmpstr(rows_text(rows, 1, 1), ==, "ctl");
	g_assert_null(rows_text(rows, 1, 2));
}

static gboolean
tell_many(struct tx *tx, gpointer data, GError **error)
{
	(void)data;
	(void)error;
	for (int i = 0; i < 1000; i++) {
		g_autofree char *key = g_strdup_printf("%d", i);
		tx_changed(tx, CHANGE_CERT, key);
	}
	return TRUE;
}

static void
test_many_changes_are_all(void)
{
	CLEANUP(db) struct db *db = NULL;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = fresh();
	g_assert_true(db_transaction(db, tell_many, NULL, &error));
	CLEANUP(rows) struct rows *rows = db_query(db, &log_rows, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(rows_count(rows), ==, 1);
	g_assert_null(rows_text(rows, 0, 2));
}

struct race {
	struct db *db;
	gint64 first;
	gint64 second;
	gboolean serializable;
	int runs; /* atomic, of both threads */
};

static gboolean
bump_number(struct tx *tx, gint64 id, GError **error)
{
	static const struct statement update = { "bump",
						 "UPDATE number SET n = n + 1 WHERE id = $1" };
	struct params *params = params_new();
	params_int(params, id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &update, params, error);

	return rows != NULL;
}

static gint race_arrived;

/* Locks two rows in the order given, the second one when the other thread has its first. */
static gboolean
bump_both(struct tx *tx, gpointer data, GError **error)
{
	static const struct statement serializable = {
		"serializable", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
	};
	static const struct statement look = { "look", "SELECT sum(n) FROM number" };
	struct race *race = data;

	__atomic_add_fetch(&race->runs, 1, __ATOMIC_SEQ_CST);
	if (race->serializable && (!run(tx, &serializable, error) || !run(tx, &look, error)))
		return FALSE;
	if (!bump_number(tx, race->first, error))
		return FALSE;
	__atomic_add_fetch(&race_arrived, 1, __ATOMIC_SEQ_CST);
	for (guint i = 0; i < 6000 && __atomic_load_n(&race_arrived, __ATOMIC_SEQ_CST) < 2; i++)
		g_usleep(10000);
	return bump_number(tx, race->second, error);
}

static gpointer
race_main(gpointer data)
{
	struct race *race = data;
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(race->db, bump_both, race, &error));
	g_assert_no_error(error);
	return NULL;
}

static void
check_race(gboolean serializable)
{
	static const struct statement sum = { "sum", "SELECT min(n), max(n) FROM number" };
	CLEANUP(db) struct db *db = fresh();
	struct race a = { db, 1, 2, serializable, 0 };
	struct race b = { db, 2, 1, serializable, 0 };
	g_autoptr(GError) error = NULL;
	struct db_stats stats;
	race_arrived = 0;
	GThread *other = g_thread_new("race", race_main, &b);

	race_main(&a);
	g_thread_join(other);
	CLEANUP(rows) struct rows *rows = db_query(db, &sum, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(rows_int(rows, 0, 0), ==, 2);
	g_assert_cmpint(rows_int(rows, 0, 1), ==, 2);
	g_assert_cmpint(a.runs + b.runs, >, 2);
	db_stats(db, &stats);
	g_assert_cmpuint(stats.retries, ==, (guint64)(a.runs + b.runs - 2));
}

static void
test_deadlock(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_sql(pg, "ALTER ROLE postseal_daemon SET deadlock_timeout = '50ms'");
	check_race(FALSE);
}

static void
test_serialisation(void)
{
	if (!scratch_pg_skip(pg))
		check_race(TRUE);
}

struct counted {
	int runs;
	int restart_in_run; /* the server goes away inside of this one */
};

static gboolean
add_during_restart(struct tx *tx, gpointer data, GError **error)
{
	struct counted *counted = data;

	counted->runs++;
	if (!add_item(tx, 1, error))
		return FALSE;
	if (counted->runs == counted->restart_in_run) {
		scratch_pg_down(pg);
		scratch_pg_up(pg);
	}
	return add_item(tx, 2, error);
}

/* Nothing was committed yet, so it may be repeated. */
static void
test_server_lost_before_commit(void)
{
	struct counted counted = { 0, 1 };
	CLEANUP(db) struct db *db = NULL;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = fresh();
	g_assert_true(db_transaction(db, add_during_restart, &counted, &error));
	g_assert_no_error(error);
	g_assert_cmpint(counted.runs, ==, 2);
	g_assert_cmpint(item_count(db), ==, 2);
}

static gboolean
always_conflicts(struct tx *tx, gpointer data, GError **error)
{
	static const struct statement conflict = { "conflict", "SELECT conflict()" };

	++*(int *)data;
	return run(tx, &conflict, error);
}

static void
test_gives_up(void)
{
	CLEANUP(db) struct db *db = NULL;
	g_autoptr(GError) error = NULL;
	int runs = 0;

	if (scratch_pg_skip(pg))
		return;
	db = fresh();
	g_assert_false(db_transaction(db, always_conflicts, &runs, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_assert_cmpint(runs, ==, 12);
}

static gboolean
see_time(struct tx *tx, gpointer data, GError **error)
{
	(void)error;
	*(gint64 *)data = tx_now(tx);
	return TRUE;
}

static void
test_time(void)
{
	CLEANUP(clock) struct clock *clock = clock_new_fixed(12345);
	CLEANUP(db) struct db *db = NULL;
	gint64 seen = 0;

	if (scratch_pg_skip(pg))
		return;
	db = scratch_pg_open(pg, DB_ROLE_DAEMON, clock);
	g_assert_true(db_transaction(db, see_time, &seen, NULL));
	g_assert_cmpint(seen, ==, 12345);
}

static gpointer
append_many(gpointer data)
{
	for (int i = 0; i < 25; i++)
		g_assert_true(db_transaction(data, tell_many, NULL, NULL));
	return NULL;
}

/* Numbers have no gaps, whoever commits when. */
static void
test_numbers(void)
{
	static const struct statement check = {
		"check", "SELECT count(*), min(number), max(number) FROM change_log"
	};
	GThread *threads[4];
	CLEANUP(db) struct db *db = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = fresh();
	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("append", append_many, db);
	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
	CLEANUP(rows) struct rows *rows = db_query(db, &check, NULL, NULL);
	g_assert_cmpint(rows_int(rows, 0, 0), ==, 100);
	g_assert_cmpint(rows_int(rows, 0, 1), ==, 1);
	g_assert_cmpint(rows_int(rows, 0, 2), ==, 100);
}

static void
prepare_tables(void)
{
	scratch_pg_sql(
	    pg, "SET ROLE postseal_daemon;"
		"CREATE TABLE item (id bigint);"
		"CREATE TABLE number (id int, n int);"
		"CREATE TABLE change_log (number bigint PRIMARY KEY, kind text NOT NULL, key text,"
		" at timestamptz NOT NULL DEFAULT now());"
		"CREATE FUNCTION conflict() RETURNS void LANGUAGE plpgsql AS $$"
		"BEGIN RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'conflict'; END $$");
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start_unmigrated();
	if (pg != NULL)
		prepare_tables();
	g_test_add_func("/tx/all or nothing", test_all_or_nothing);
	g_test_add_func("/tx/many changes of a kind are told as all", test_many_changes_are_all);
	g_test_add_func("/tx/deadlock is repeated", test_deadlock);
	g_test_add_func("/tx/serialisation failure is repeated", test_serialisation);
	g_test_add_func("/tx/gives up in the end", test_gives_up);
	g_test_add_func("/tx/server lost before commit", test_server_lost_before_commit);
	g_test_add_func("/tx/clock", test_time);
	g_test_add_func("/tx/numbers without gaps", test_numbers);
	status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
