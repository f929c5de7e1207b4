/*
 * The scratch database of the tests: starts, is migrated, stops, dies and comes back.
 */
#include <glib.h>

#include "store/db/query.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

static gint64
one(struct db *db)
{
	static const struct statement select_one = { "select_one", "SELECT 1" };
	g_autoptr(GError) error = NULL;
	CLEANUP(rows) struct rows *rows = db_query(db, &select_one, NULL, &error);

	g_assert_no_error(error);
	return rows_int(rows, 0, 0);
}

static void
test_answers(void)
{
	CLEANUP(db) struct db *db = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	g_assert_cmpint(one(db), ==, 1);
}

static void
test_recovers(void)
{
	CLEANUP(db) struct db *db = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	g_assert_cmpint(one(db), ==, 1);
	scratch_pg_down(pg);
	scratch_pg_up(pg);
	g_assert_cmpint(one(db), ==, 1);
	scratch_pg_kill(pg);
	scratch_pg_up(pg);
	g_assert_cmpint(one(db), ==, 1);
	scratch_pg_empty(pg);
	g_assert_cmpint(one(db), ==, 1);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/scratch/answers", test_answers);
	g_test_add_func("/scratch/recovers", test_recovers);
	status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
