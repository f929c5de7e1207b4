/*
 * migrate - forward-only migrations, and whether program and schema fit.
 */
#include "store/db/migrate.h"

#include <string.h>

#include "config.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/internal.h"

/* Until the schema exists nobody else can wait for this, so it stands before the table. */
static const char prepare_sql[] =
    "DO $$ BEGIN\n"
    "  PERFORM pg_advisory_xact_lock(hashtext('postseal.migrate'));\n"
    "  IF (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN\n"
    "    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postseal_daemon') THEN\n"
    "      CREATE ROLE postseal_daemon LOGIN; END IF;\n"
    "    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postseal_milter') THEN\n"
    "      CREATE ROLE postseal_milter LOGIN; END IF;\n"
    "    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postseal_readonly') THEN\n"
    "      CREATE ROLE postseal_readonly LOGIN; END IF;\n"
    "  END IF;\n"
    "END $$;\n";

static const char table_sql[] =
    "CREATE TABLE IF NOT EXISTS schema_migration (\n"
    "  number integer PRIMARY KEY,\n"
    "  name text NOT NULL,\n"
    "  applied_at timestamptz NOT NULL DEFAULT now(),\n"
    "  oldest_program text NOT NULL);\n"
    "COMMENT ON TABLE schema_migration IS 'migrations that were run, in order';\n"
    "COMMENT ON COLUMN schema_migration.number IS 'number of the file';\n"
    "COMMENT ON COLUMN schema_migration.name IS 'name of the file without its number';\n"
    "COMMENT ON COLUMN schema_migration.applied_at IS 'when it was run';\n"
    "COMMENT ON COLUMN schema_migration.oldest_program IS\n"
    "  'the oldest program that can work with the schema from this one on';\n"
    "DO $$ DECLARE r text; BEGIN\n"
    "  FOREACH r IN ARRAY ARRAY['postseal_daemon', 'postseal_milter', 'postseal_readonly'] LOOP\n"
    "    IF EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN\n"
    "      EXECUTE format('GRANT SELECT ON schema_migration TO %I', r); END IF;\n"
    "  END LOOP;\n"
    "END $$;\n";

/* A superuser makes everything as the owner, so that the programs can change it later. */
static const char role_sql[] =
    "DO $$ BEGIN\n"
    "  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN\n"
    "    EXECUTE format('GRANT ALL ON DATABASE %I TO postseal_daemon', current_database());\n"
    "    GRANT ALL ON SCHEMA public TO postseal_daemon;\n"
    "    SET LOCAL ROLE postseal_daemon;\n"
    "  END IF;\n"
    "END $$;\n";

static const struct statement newest_statement = {
	"schema_newest",
	"SELECT coalesce(max(number), 0) FROM schema_migration",
};

static const struct migration *
migration_after(const struct migration *table, int number)
{
	for (; table->number != 0; table++)
		if (table->number > number)
			return table;
	return NULL;
}

static int
newest_number(const struct migration *table)
{
	int number = 0;

	for (; table->number != 0; table++)
		number = table->number;
	return number;
}

static gboolean
schema_number(struct connection *connection, int *number, GError **error)
{
	CLEANUP(rows)
	struct rows *rows = connection_query(connection, &newest_statement, NULL, error);

	if (rows == NULL)
		return FALSE;
	*number = (int)rows_int(rows, 0, 0);
	return TRUE;
}

static gboolean
record(struct connection *connection, const struct migration *migration, GError **error)
{
	static const struct statement statement = {
		"schema_record",
		"INSERT INTO schema_migration (number, name, oldest_program) VALUES ($1, $2, $3)",
	};
	CLEANUP(params) struct params *params = params_new();
	CLEANUP(rows) struct rows *rows = NULL;

	params_int(params, migration->number);
	params_text(params, migration->name);
	params_text(params, migration->oldest_program);
	rows = connection_query(connection, &statement, params, error);
	return rows != NULL;
}

/* Inside of a transaction: the next one after what is there, or *done. */
static gboolean
step_inside(struct connection *connection, const struct migration *table, int *number,
	    gboolean *done, GError **error)
{
	if (!connection_run(connection, "migrate", "SET LOCAL statement_timeout = 0", error) ||
	    !connection_run(connection, "migrate", prepare_sql, error) ||
	    !connection_run(connection, "migrate", role_sql, error) ||
	    !connection_run(connection, "migrate", table_sql, error) ||
	    !schema_number(connection, number, error))
		return FALSE;
	const struct migration *next = migration_after(table, *number);
	*done = next == NULL;
	if (next == NULL)
		return TRUE;
	g_autofree char *what = g_strdup_printf("migration %d (%s)", next->number, next->name);
	if (!connection_run(connection, what, next->sql, error) ||
	    !connection_run(connection, what, role_sql, error) || !record(connection, next, error))
		return FALSE;
	*number = next->number;
	return TRUE;
}

static gboolean
step(struct connection *connection, const struct migration *table, int *number, gboolean *done,
     GError **error)
{
	if (!connection_run(connection, "migrate", "BEGIN", error))
		return FALSE;
	if (!step_inside(connection, table, number, done, error)) {
		if (!connection_lost(connection))
			(void)connection_run(connection, "migrate", "ROLLBACK", NULL);
		return FALSE;
	}
	return connection_run(connection, "migrate", "COMMIT", error);
}

static gboolean
run_all(struct connection *connection, const struct migration *table, int *from, int *to,
	GError **error)
{
	gboolean done = FALSE;
	int number = 0;

	/* What is there already, before the first step; no table is no schema. */
	if (!schema_number(connection, &number, NULL))
		number = 0;
	if (from != NULL)
		*from = number;
	while (!done) {
		if (!step(connection, table, &number, &done, error))
			return FALSE;
		if (!done) {
			g_autofree char *text = g_strdup_printf("%d", number);
			log_info("schema migrated", "number", text);
		}
	}
	if (to != NULL)
		*to = number;
	return TRUE;
}

gboolean
migrate_run_table(struct db *db, const struct migration *table, const char *version, int *from,
		  int *to, GError **error)
{
	struct pool *pool = db_pool_primary(db);
	struct connection *connection = pool_take(pool, error);
	gboolean good;

	if (connection == NULL)
		return FALSE;
	connection->timeout_us = 0;
	good = run_all(connection, table, from, to, error);
	/* Plans and limits of this connection are not like those of the others. */
	connection->stale_plans = TRUE;
	pool_give(pool, connection);
	return good && migrate_check_table(db, table, version, error);
}

/* "0.10.1" against "0.9"; what is missing counts as 0. */
static int
version_compare(const char *a, const char *b)
{
	for (;;) {
		char *rest_a;
		char *rest_b;
		guint64 x = g_ascii_strtoull(a, &rest_a, 10);
		guint64 y = g_ascii_strtoull(b, &rest_b, 10);

		if (x != y)
			return x < y ? -1 : 1;
		if (*rest_a != '.' && *rest_b != '.')
			return 0;
		a = *rest_a == '.' ? rest_a + 1 : "";
		b = *rest_b == '.' ? rest_b + 1 : "";
	}
}

gboolean
migrate_check_table(struct db *db, const struct migration *table, const char *version,
		    GError **error)
{
	static const struct statement statement = {
		"schema_check",
		"SELECT number, oldest_program FROM schema_migration ORDER BY number",
	};
	static const struct statement exists = {
		"schema_exists",
		"SELECT to_regclass('schema_migration') IS NOT NULL",
	};
	CLEANUP(rows) struct rows *there = db_query(db, &exists, NULL, error);
	CLEANUP(rows) struct rows *rows = NULL;
	int number = 0;

	if (there == NULL)
		return FALSE;
	if (!rows_bool(there, 0, 0))
		return fail_false(error, PS_ERROR_INVALID,
				  "the database has no schema yet: run 'postseal db migrate'");
	rows = db_query(db, &statement, NULL, error);
	if (rows == NULL)
		return FALSE;
	for (int i = 0; i < rows_count(rows); i++) {
		const char *oldest = rows_text(rows, i, 1);
		number = (int)rows_int(rows, i, 0);
		if (version_compare(version, oldest) < 0)
			return fail_false(error, PS_ERROR_INVALID,
					  "database schema %d needs version %s or newer, this is "
					  "%s: update this program",
					  number, oldest, version);
	}
	if (number < newest_number(table))
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "database schema %d is older than the %d that this program needs: "
		    "run 'postseal db migrate'",
		    number, newest_number(table));
	return TRUE;
}

gboolean
migrate_run(struct db *db, int *from, int *to, GError **error)
{
	return migrate_run_table(db, schema_migrations, PACKAGE_VERSION, from, to, error);
}

gboolean
migrate_check(struct db *db, GError **error)
{
	return migrate_check_table(db, schema_migrations, PACKAGE_VERSION, error);
}
