/*
 * migrate: forward only, once, together; and what is said when program and schema do not fit.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/db/migrate.h"
#include "store/db/query.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

static const struct migration first[] = {
	{ 1, "one", "0.1.0", "CREATE TABLE one (a int);\nINSERT INTO one VALUES (1);\n" },
	{ 0, NULL, NULL, NULL },
};
static const struct migration two[] = {
	{ 1, "one", "0.1.0", "CREATE TABLE one (a int);\nINSERT INTO one VALUES (1);\n" },
	{ 2, "two", "0.1.0", "SELECT pg_sleep(0.2); CREATE TABLE two (a int);\n" },
	{ 0, NULL, NULL, NULL },
};
static const struct migration broken[] = {
	{ 1, "one", "0.1.0", "CREATE TABLE one (a int);\nINSERT INTO one VALUES (1);\n" },
	{ 2, "half", "0.1.0", "CREATE TABLE half (a int);\nSELECT 1/0;\n" },
	{ 0, NULL, NULL, NULL },
};
static const struct migration contracted[] = {
	{ 1, "one", "0.1.0", "CREATE TABLE one (a int);\nINSERT INTO one VALUES (1);\n" },
	{ 2, "two", "0.10.0", "CREATE TABLE two (a int);\n" },
	{ 3, "three", "0.2.0", "CREATE TABLE three (a int);\n" },
	{ 0, NULL, NULL, NULL },
};

static struct db *
fresh(enum db_role role)
{
	scratch_pg_empty(pg);
	return scratch_pg_open(pg, role, NULL);
}

static gboolean
exists(struct db *db, const char *table)
{
	static const struct statement statement = {
		"exists", "SELECT 1 FROM pg_tables WHERE tablename = $1 AND tableowner ="
			  " 'postseal_daemon'"
	};
	struct params *params = params_new();
	params_text(params, table);
	CLEANUP(rows) struct rows *rows = db_query(db, &statement, params, NULL);

	return rows != NULL && rows_count(rows) == 1;
}

static void
check_forward(enum db_role role)
{
	CLEANUP(db) struct db *db = fresh(role);
	g_autoptr(GError) error = NULL;
	int from = -1;
	int to = -1;

	g_assert_false(migrate_check_table(db, first, "0.1.0", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_cmpstr(error->message, ==,
			"the database has no schema yet: run 'postseal db migrate'");
	g_clear_error(&error);

	g_assert_true(migrate_run_table(db, first, "0.1.0", &from, &to, &error));
	g_assert_no_error(error);
	g_assert_cmpint(from, ==, 0);
	g_assert_cmpint(to, ==, 1);
	g_assert_true(exists(db, "one"));

	g_assert_false(migrate_check_table(db, two, "0.1.0", &error));
	g_assert_cmpstr(error->message, ==,
			"database schema 1 is older than the 2 that this program needs: run "
			"'postseal db migrate'");
	g_clear_error(&error);

	g_assert_true(migrate_run_table(db, two, "0.1.0", &from, &to, &error));
	g_assert_no_error(error);
	g_assert_cmpint(from, ==, 1);
	g_assert_cmpint(to, ==, 2);
	g_assert_true(exists(db, "two"));
	g_assert_true(exists(db, "schema_migration"));
	/* The program of before still goes on. */
	g_assert_true(migrate_check_table(db, first, "0.1.0", &error));
	g_assert_true(migrate_run_table(db, two, "0.1.0", &from, &to, &error));
	g_assert_cmpint(from, ==, 2);
	g_assert_cmpint(to, ==, 2);
	g_assert_no_error(error);

	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	g_assert_true(migrate_check_table(milter, two, "0.1.0", &error));
	g_assert_no_error(error);
}

static void
test_forward_as_superuser(void)
{
	if (!scratch_pg_skip(pg))
		check_forward(DB_ROLE_ADMIN);
}

static void
test_forward_as_owner(void)
{
	if (!scratch_pg_skip(pg))
		check_forward(DB_ROLE_DAEMON);
}

static void
test_broken_leaves_nothing(void)
{
	CLEANUP(db) struct db *db = NULL;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = fresh(DB_ROLE_ADMIN);
	g_assert_false(migrate_run_table(db, broken, "0.1.0", NULL, NULL, &error));
	g_assert_cmpstr(error->message, ==, "migration 2 (half): division by zero");
	g_assert_true(exists(db, "one"));
	g_assert_false(exists(db, "half"));
	g_clear_error(&error);
	g_assert_true(migrate_run_table(db, two, "0.1.0", NULL, NULL, &error));
	g_assert_no_error(error);
}

static void
test_program_too_old(void)
{
	CLEANUP(db) struct db *db = NULL;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = fresh(DB_ROLE_ADMIN);
	g_assert_true(migrate_run_table(db, contracted, "0.10.0", NULL, NULL, &error));
	g_assert_no_error(error);
	/* 0.9 is older than 0.10, and an old migration's demand holds for ever. */
	g_assert_false(migrate_check_table(db, two, "0.9.3", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_cmpstr(error->message, ==,
			"database schema 2 needs version 0.10.0 or newer, this is 0.9.3: update "
			"this program");
	g_clear_error(&error);
	g_assert_true(migrate_check_table(db, two, "0.10", &error));
	g_assert_true(migrate_check_table(db, two, "1.0.0", &error));
	g_assert_no_error(error);
}

static gpointer
migrate_main(gpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(migrate_run_table(data, two, "0.1.0", NULL, NULL, &error));
	g_assert_no_error(error);
	return NULL;
}

static void
test_two_at_once(void)
{
	CLEANUP(db) struct db *db = NULL;
	CLEANUP(db) struct db *other = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = fresh(DB_ROLE_ADMIN);
	other = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	GThread *thread = g_thread_new("migrate", migrate_main, other);
	migrate_main(db);
	g_thread_join(thread);
	g_assert_true(exists(db, "two"));
}

/* What is compiled in is in order, complete and runs. */
static void
test_own_schema(void)
{
	CLEANUP(db) struct db *db = NULL;
	g_autoptr(GError) error = NULL;
	int last = 0;

	for (const struct migration *m = schema_migrations; m->number != 0; m++) {
		g_assert_cmpint(m->number, >, last);
		last = m->number;
		g_assert_nonnull(m->name);
		g_assert_true(g_ascii_isdigit(m->oldest_program[0]));
	}
	if (scratch_pg_skip(pg))
		return;
	db = fresh(DB_ROLE_ADMIN);
	g_assert_true(migrate_run(db, NULL, &last, &error));
	g_assert_no_error(error);
	g_assert_true(migrate_check(db, &error));
	g_assert_no_error(error);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start_unmigrated();
	g_test_add_func("/migrate/forward as superuser", test_forward_as_superuser);
	g_test_add_func("/migrate/forward as owner", test_forward_as_owner);
	g_test_add_func("/migrate/a broken one leaves nothing", test_broken_leaves_nothing);
	g_test_add_func("/migrate/program too old", test_program_too_old);
	g_test_add_func("/migrate/two at once", test_two_at_once);
	g_test_add_func("/migrate/own schema", test_own_schema);
	status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
