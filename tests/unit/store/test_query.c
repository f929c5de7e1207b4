/*
 * query: parameters and results of every type, pool, failures and their words.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

static struct db *
open_with(const char *name, const char *value)
{
	CLEANUP(settings) struct settings *settings = settings_default();
	const struct settings *base = scratch_pg_settings(pg);
	g_autoptr(GError) error = NULL;
	struct db *db;

	g_assert_true(settings_set(settings, "state_dir", base->state_dir, NULL));
	g_assert_true(settings_set(settings, "run_dir", base->run_dir, NULL));
	if (name != NULL)
		g_assert_true(settings_set(settings, name, value, &error));
	g_assert_no_error(error);
	db = db_open(settings, DB_ROLE_DAEMON, clock_system(), &error);
	g_assert_no_error(error);
	return db;
}

struct type_row {
	const char *name;
	struct statement statement;
	const char *text; /* what rows_text gives */
	gint64 number;    /* what rows_int gives */
};

/* A prepared statement's name is its identity: one name for each row. */
static const struct type_row type_rows[] = {
	{ "text", { "t1", "SELECT 'abc'::text" }, "abc", 0 },
	{ "empty text", { "t2", "SELECT ''::text" }, "", 0 },
	{ "NULL", { "t3", "SELECT NULL::text" }, NULL, 0 },
	{ "smallint", { "t4", "SELECT (-2)::smallint" }, "-2", -2 },
	{ "integer", { "t5", "SELECT (-70000)::int" }, "-70000", -70000 },
	{ "bigint", { "t6", "SELECT 9000000000::bigint" }, "9000000000", 9000000000 },
	{ "true", { "t7", "SELECT true" }, "true", 1 },
	{ "false", { "t8", "SELECT false" }, "false", 0 },
	{ "double", { "t9", "SELECT 2.5::float8" }, "2.5", 2 },
	{ "numeric of a sum",
	  { "t10", "SELECT sum(x) FROM (VALUES (12345678901::bigint),"
		   " (2)) v(x)" },
	  "12345678903",
	  12345678903 },
	{ "negative numeric with a fraction",
	  { "t11", "SELECT (-120000.75)::numeric" },
	  "-120000",
	  -120000 },
	{ "numeric zero", { "t12", "SELECT 0::numeric" }, "0", 0 },
	{ "numeric below one", { "t13", "SELECT 0.00001::numeric" }, "0", 0 },
	{ "timestamptz",
	  { "t14", "SELECT '2026-11-21 20:00:00+01'::timestamptz" },
	  "2026-11-21T19:00:00Z",
	  1795287600 },
	{ "timestamptz before 1970 with a fraction",
	  { "t15", "SELECT '1969-12-31 23:59:59.5+00'::timestamptz" },
	  "1969-12-31T23:59:59Z",
	  -1 },
	{ "date", { "t16", "SELECT '2026-11-21'::date" }, "2026-11-21T00:00:00Z", 1795219200 },
	{ "jsonb", { "t17", "SELECT '{\"a\": 1}'::jsonb" }, "{\"a\": 1}", 0 },
	{ "json", { "t18", "SELECT '{\"a\":1}'::json" }, "{\"a\":1}", 0 },
	{ "name", { "t19", "SELECT 'n'::name" }, "n", 0 },
	{ "digits as text", { "t20", "SELECT '42'::text" }, "42", 42 },
};

static void
test_type(gconstpointer data)
{
	const struct type_row *row = data;
	static const char *const modes[] = { "on", "off" };

	if (scratch_pg_skip(pg))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
		CLEANUP(db) struct db *db = open_with("prepared_statements", modes[i]);
		g_autoptr(GError) error = NULL;
		CLEANUP(rows) struct rows *rows = db_query(db, &row->statement, NULL, &error);

		g_assert_no_error(error);
		g_assert_cmpint(rows_count(rows), ==, 1);
		g_assert_cmpstr(rows_text(rows, 0, 0), ==, row->text);
		g_assert_cmpint(rows_int(rows, 0, 0), ==, row->number);
		g_assert_true(rows_bool(rows, 0, 0) == (row->number != 0));
		g_assert_true(rows_is_null(rows, 0, 0) == (row->text == NULL));
	}
}

static void
test_params(void)
{
	static const struct statement echo = {
		"echo",
		"SELECT $1::text, $2::bigint, $3::bool, $4::timestamptz, $5::timestamptz, "
		"$6::bytea,"
		" $7::bytea, $8::text[], cardinality($9::bigint[]), $10::bytea[], $11::text",
	};
	static const guint8 raw[] = { 0, 255, '\\', '\'', 0 };
	static const char *const texts[] = { "a", "", "NULL", "x\"y\\z", "{,}", "ü" };
	static const gint64 numbers[] = { 1, -2, 3 };
	g_autoptr(GBytes) bytes = g_bytes_new_static(raw, sizeof(raw));
	g_autoptr(GBytes) empty = g_bytes_new_static("", 0);
	GBytes *both[] = { bytes, empty };
	CLEANUP(db) struct db *db = NULL;
	CLEANUP(rows) struct rows *rows = NULL;
	g_autoptr(GError) error = NULL;
	struct params *params;

	if (scratch_pg_skip(pg))
		return;
	db = open_with(NULL, NULL);
	params = params_new();
	params_text(params, "'; DROP TABLE x; --");
	params_int(params, G_MININT64);
	params_bool(params, TRUE);
	params_time(params, 1795287600);
	params_time(params, CLOCK_NEVER);
	params_bytes(params, bytes);
	params_bytes(params, empty);
	params_text_array(params, texts, G_N_ELEMENTS(texts));
	params_int_array(params, numbers, G_N_ELEMENTS(numbers));
	params_bytes_array(params, both, G_N_ELEMENTS(both));
	params_null(params);
	rows = db_query(db, &echo, params, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(rows_text(rows, 0, 0), ==, "'; DROP TABLE x; --");
	g_assert_cmpint(rows_int(rows, 0, 1), ==, G_MININT64);
	g_assert_true(rows_bool(rows, 0, 2));
	g_assert_cmpint(rows_time(rows, 0, 3), ==, 1795287600);
	g_assert_cmpint(rows_time(rows, 0, 4), ==, CLOCK_NEVER);
	g_autoptr(GBytes) same = rows_bytes(rows, 0, 5);
	g_assert_true(g_bytes_equal(same, bytes));
	g_autoptr(GBytes) nothing = rows_bytes(rows, 0, 6);
	g_assert_cmpuint(g_bytes_get_size(nothing), ==, 0);
	g_auto(GStrv) back = rows_text_array(rows, 0, 7);
	g_assert_cmpuint(g_strv_length(back), ==, G_N_ELEMENTS(texts));
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		g_assert_cmpstr(back[i], ==, texts[i]);
	g_assert_cmpint(rows_int(rows, 0, 8), ==, 3);
	g_auto(GStrv) raws = rows_text_array(rows, 0, 9);
	g_assert_cmpuint(g_strv_length(raws), ==, 2);
	g_assert_null(rows_bytes(rows, 0, 10));
	/* What is not there is NULL, and said in the log. */
	g_assert_null(rows_text(rows, 0, 11));
	g_assert_null(rows_text(rows, 1, 0));
}

struct failure_row {
	const char *name;
	struct statement statement;
	enum ps_error code;
	const char *words;
};

static const struct failure_row failure_rows[] = {
	{ "syntax error is a bug", { "f1", "SELEC 1" }, PS_ERROR_BUG, "f1: syntax error" },
	{ "missing table names the remedy",
	  { "f2", "SELECT 1 FROM no_such_table" },
	  PS_ERROR_TEMPORARY,
	  "run 'postseal db migrate'" },
	{ "division by zero is the input's fault",
	  { "f3", "SELECT 1/0" },
	  PS_ERROR_INVALID,
	  "f3: division by zero" },
	{ "a constraint",
	  { "f4", "INSERT INTO failing VALUES (1), (1)" },
	  PS_ERROR_INVALID,
	  "(Key (id)=(1) already exists.)" },
	{ "RAISE", { "f5", "SELECT raising('P0001')" }, PS_ERROR_INVALID, "f5: raised" },
	{ "RAISE no_data_found",
	  { "f6", "SELECT raising('P0002')" },
	  PS_ERROR_NOT_FOUND,
	  "f6: raised" },
	{ "privilege", { "f7", "SELECT * FROM pg_authid" }, PS_ERROR_DENIED, "permission denied" },
	{ "cancelled", { "f8", "SELECT raising('57014')" }, PS_ERROR_TEMPORARY, "f8: raised" },
	{ "disk full", { "f9", "SELECT raising('53100')" }, PS_ERROR_TEMPORARY, "f9: raised" },
	{ "read-only server",
	  { "f10", "SELECT raising('25006')" },
	  PS_ERROR_TEMPORARY,
	  "f10: raised" },
};

static void
test_failure(gconstpointer data)
{
	const struct failure_row *row = data;
	static const struct statement after = { "after", "SELECT 7" };
	CLEANUP(db) struct db *db = NULL;
	CLEANUP(rows) struct rows *rows = NULL;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = open_with("database_pool", "1");
	g_assert_null(db_write(db, &row->statement, NULL, &error));
	g_assert_error(error, PS_ERROR, (int)row->code);
	g_assert_nonnull(strstr(error->message, row->words));
	g_assert_null(strchr(error->message, '\n'));
	g_clear_error(&error);
	/* The connection goes on. */
	rows = db_query(db, &after, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(rows_int(rows, 0, 0), ==, 7);
}

static void
test_one_name_one_text(void)
{
	static const struct statement first = { "same_name", "SELECT 1" };
	static const struct statement second = { "same_name", "SELECT 2" };
	CLEANUP(db) struct db *db = NULL;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = open_with("database_pool", "1");
	rows_free(db_query(db, &first, NULL, &error));
	g_assert_no_error(error);
	g_assert_null(db_query(db, &second, NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_BUG);
}

static gpointer
sleeper(gpointer data)
{
	static const struct statement sleep_statement = { "sleep", "SELECT pg_sleep(60)" };

	rows_free(db_query(data, &sleep_statement, NULL, NULL));
	return NULL;
}

static void
test_pool_exhausted(void)
{
	CLEANUP(settings) struct settings *settings = settings_default();
	const struct settings *base = scratch_pg_settings(pg != NULL ? pg : NULL);
	g_autoptr(GError) error = NULL;
	struct db_stats stats;

	g_assert_true(settings_set(settings, "run_dir", base->run_dir, NULL));
	g_assert_true(settings_set(settings, "database_pool", "1", NULL));
	g_assert_true(settings_set(settings, "database_wait", "1s", NULL));
	CLEANUP(db) struct db *db = db_open(settings, DB_ROLE_DAEMON, clock_system(), &error);
	GThread *thread = g_thread_new("sleeper", sleeper, db);

	do {
		g_usleep(1000);
		db_stats(db, &stats);
	} while (stats.busy == 0);
	g_assert_false(db_ping(db, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_assert_cmpstr(error->message, ==, "no database connection became free in 1 s");
	g_clear_error(&error);
	scratch_pg_sql(pg, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
			   " WHERE query = 'SELECT pg_sleep(60)'");
	g_thread_join(thread);
	g_assert_true(db_ping(db, &error));
	g_assert_no_error(error);
	db_stats(db, &stats);
	g_assert_cmpuint(stats.timeouts, ==, 1);
	g_assert_cmpuint(stats.connects, ==, 1);
}

static void
test_pool_exhausted_or_skip(void)
{
	if (!scratch_pg_skip(pg))
		test_pool_exhausted();
}

static gpointer
many_queries(gpointer data)
{
	static const struct statement add = { "add", "SELECT $1::bigint + 1" };

	for (gint64 i = 0; i < 200; i++) {
		g_autoptr(GError) error = NULL;
		struct params *params = params_new();
		params_int(params, i);
		CLEANUP(rows) struct rows *rows = db_query(data, &add, params, &error);
		g_assert_no_error(error);
		g_assert_cmpint(rows_int(rows, 0, 0), ==, i + 1);
	}
	return NULL;
}

static void
test_many_threads(void)
{
	GThread *threads[8];
	struct db_stats stats;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = open_with("database_pool", "3");
	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("queries", many_queries, db);
	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
	db_stats(db, &stats);
	g_assert_cmpuint(stats.connections, <=, 3);
	g_assert_cmpuint(stats.busy, ==, 0);
	g_assert_cmpuint(stats.queries, ==, 1600);
}

static void
test_query_timeout(void)
{
	static const struct statement too_long = { "too_long", "SELECT pg_sleep(200)" };
	static const char *const modes[] = { "on", "off" };

	if (scratch_pg_skip(pg))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
		CLEANUP(settings) struct settings *settings = settings_default();
		g_autoptr(GError) error = NULL;

		g_assert_true(
		    settings_set(settings, "run_dir", scratch_pg_settings(pg)->run_dir, NULL));
		g_assert_true(settings_set(settings, "database_query_timeout", "1s", NULL));
		/* Off: the server has no limit, ours ends it. */
		g_assert_true(settings_set(settings, "prepared_statements", modes[i], NULL));
		CLEANUP(db)
		struct db *db = db_open(settings, DB_ROLE_DAEMON, clock_system(), &error);
		gint64 began = g_get_monotonic_time();
		g_assert_null(db_query(db, &too_long, NULL, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
		g_assert_cmpint(g_get_monotonic_time() - began, <, 100 * G_USEC_PER_SEC);
		g_clear_error(&error);
		g_assert_true(db_ping(db, &error));
		g_assert_no_error(error);
	}
}

/* A plan of before a change of the table is made again, without an error. */
static void
test_stale_plan(void)
{
	static const struct statement star = { "star", "SELECT * FROM changing" };
	CLEANUP(db) struct db *db = NULL;
	CLEANUP(rows) struct rows *before = NULL;
	CLEANUP(rows) struct rows *after = NULL;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_sql(pg, "CREATE TABLE changing AS SELECT 1 AS a;"
			   "ALTER TABLE changing OWNER TO postseal_daemon");
	db = open_with("database_pool", "1");
	before = db_query(db, &star, NULL, &error);
	g_assert_no_error(error);
	scratch_pg_sql(pg, "ALTER TABLE changing ADD COLUMN b text DEFAULT 'x'");
	after = db_query(db, &star, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(rows_text(after, 0, 1), ==, "x");
}

static void
test_affected(void)
{
	static const struct statement insert = {
		"affected", "INSERT INTO failing SELECT generate_series(10, 12)"
	};
	CLEANUP(db) struct db *db = NULL;
	CLEANUP(rows) struct rows *rows = NULL;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	db = open_with(NULL, NULL);
	rows = db_write(db, &insert, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(rows_affected(rows), ==, 3);
	g_assert_cmpint(rows_count(rows), ==, 0);
}

static void
test_roles(void)
{
	static const struct statement who = { "who", "SELECT current_user" };
	static const char *const names[] = {
		[DB_ROLE_DAEMON] = "postseal_daemon",
		[DB_ROLE_MILTER] = "postseal_milter",
		[DB_ROLE_READONLY] = "postseal_readonly",
		[DB_ROLE_ADMIN] = "postgres",
	};

	if (scratch_pg_skip(pg))
		return;
	for (int role = DB_ROLE_DAEMON; role <= DB_ROLE_ADMIN; role++) {
		CLEANUP(db) struct db *db = scratch_pg_open(pg, (enum db_role)role, NULL);
		g_autoptr(GError) error = NULL;
		CLEANUP(rows) struct rows *rows = db_query(db, &who, NULL, &error);

		g_assert_no_error(error);
		g_assert_cmpstr(rows_text(rows, 0, 0), ==, names[role]);
		g_assert_false(db_is_standby(db));
	}
}

static void
test_bad_conninfo(void)
{
	CLEANUP(settings) struct settings *settings = settings_default();
	g_autoptr(GError) error = NULL;

	g_assert_true(settings_set(settings, "database", "hst=x", NULL));
	g_assert_null(db_open(settings, DB_ROLE_DAEMON, clock_system(), &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, "invalid connection option \"hst\""));
}

static void
test_down(void)
{
	CLEANUP(settings) struct settings *settings = settings_default();
	g_autoptr(GError) error = NULL;

	g_assert_true(settings_set(settings, "run_dir", "/nonexistent/postseal", NULL));
	CLEANUP(db) struct db *db = db_open(settings, DB_ROLE_DAEMON, clock_system(), &error);
	g_assert_no_error(error);
	g_assert_false(db_ping(db, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_assert_true(g_str_has_prefix(error->message, "database is not reachable: "));
	g_assert_nonnull(strstr(error->message, "postseal doctor"));
	g_assert_null(strchr(error->message, '\n'));
}

static void
prepare_tables(void)
{
	scratch_pg_sql(pg,
		       "CREATE TABLE failing (id int PRIMARY KEY);"
		       "ALTER TABLE failing OWNER TO postseal_daemon;"
		       "CREATE FUNCTION raising(state text) RETURNS void LANGUAGE plpgsql AS $$"
		       "BEGIN RAISE EXCEPTION USING ERRCODE = state, MESSAGE = 'raised'; END $$");
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start_unmigrated();
	if (pg != NULL)
		prepare_tables();
	for (gsize i = 0; i < G_N_ELEMENTS(type_rows); i++) {
		g_autofree char *path = g_strdup_printf("/query/type/%s", type_rows[i].name);
		g_test_add_data_func(path, &type_rows[i], test_type);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(failure_rows); i++) {
		g_autofree char *path = g_strdup_printf("/query/failure/%s", failure_rows[i].name);
		g_test_add_data_func(path, &failure_rows[i], test_failure);
	}
	g_test_add_func("/query/params", test_params);
	g_test_add_func("/query/one name, one text", test_one_name_one_text);
	g_test_add_func("/query/affected", test_affected);
	g_test_add_func("/query/stale plan", test_stale_plan);
	g_test_add_func("/query/roles", test_roles);
	g_test_add_func("/query/timeout", test_query_timeout);
	g_test_add_func("/pool/exhausted", test_pool_exhausted_or_skip);
	g_test_add_func("/pool/many threads", test_many_threads);
	g_test_add_func("/pool/bad connection string", test_bad_conninfo);
	g_test_add_func("/pool/server is down", test_down);
	status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
