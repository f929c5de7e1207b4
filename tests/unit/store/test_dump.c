/*
 * dump: everything comes back; a broken backup changes nothing; a newer schema is no obstacle.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/db/dump.h"
#include "store/db/query.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

struct memory_sink {
	struct sink sink;
	GByteArray *bytes;
	gsize limit; /* fails past it */
};

static gboolean
memory_write(struct sink *sink, gconstpointer bytes, gsize length, GError **error)
{
	struct memory_sink *memory = (struct memory_sink *)sink;

	if (memory->bytes->len + length > memory->limit)
		return fail_false(error, PS_ERROR_TEMPORARY, "the disk is full");
	g_byte_array_append(memory->bytes, bytes, (guint)length);
	return TRUE;
}

#define PIECE_BYTES 65536

struct memory_source {
	struct source source;
	const GByteArray *bytes;
	gsize at;
	gsize end; /* gives only so much */
	gboolean fails;
};

static gboolean
memory_next(struct source *source, const guint8 **bytes, gsize *length, GError **error)
{
	struct memory_source *memory = (struct memory_source *)source;

	*length = MIN(PIECE_BYTES, memory->end - memory->at);
	if (*length == 0 && memory->fails)
		return fail_false(error, PS_ERROR_INVALID, "wrong passphrase");
	*bytes = memory->bytes->data + memory->at;
	memory->at += *length;
	return TRUE;
}

static gint64
number(const char *name, const char *sql)
{
	struct statement statement = { name, sql };
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	g_autoptr(GError) error = NULL;
	CLEANUP(rows) struct rows *rows = db_query(db, &statement, NULL, &error);

	g_assert_no_error(error);
	return rows_int(rows, 0, 0);
}

static GByteArray *
dump(void)
{
	GByteArray *bytes = g_byte_array_new();
	struct memory_sink sink = { { memory_write }, bytes, G_MAXSIZE };
	g_autoptr(GError) error = NULL;

	g_assert_true(dump_write(scratch_pg_settings(pg), &sink.sink, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(bytes->len, >, 1000);
	return bytes;
}

static gboolean
restore(const GByteArray *bytes, gsize end, gboolean fails, GError **error)
{
	struct memory_source source = { { memory_next }, bytes, 0, end, fails };

	return dump_restore(scratch_pg_settings(pg), &source.source, error);
}

static void
fill(void)
{
	scratch_pg_empty(pg);
	scratch_pg_sql(
	    pg,
	    "SET ROLE postseal_daemon;"
	    "CREATE TABLE thing (id bigint PRIMARY KEY, der bytea);"
	    "INSERT INTO thing SELECT n, sha256(n::text::bytea) FROM generate_series(1, 20000) n;"
	    "GRANT SELECT ON thing TO postseal_milter;"
	    "CREATE FUNCTION things() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS"
	    " 'SELECT count(*) FROM public.thing'");
}

static gint64
things(void)
{
	return number("things", "SELECT things()");
}

static void
test_there_and_back(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	fill();
	g_autoptr(GByteArray) bytes = dump();
	scratch_pg_sql(pg, "DELETE FROM thing WHERE id > 5");
	g_assert_cmpint(things(), ==, 5);
	g_assert_true(restore(bytes, bytes->len, FALSE, &error));
	g_assert_no_error(error);
	g_assert_cmpint(things(), ==, 20000);
	/* Read by the milter: the privileges came back, too. */
	g_assert_cmpint(number("table", "SELECT count(*) FROM thing WHERE"
					" der = sha256(id::text::bytea)"),
			==, 20000);
	g_assert_cmpint(number("before", "SELECT count(*) FROM pg_namespace"
					 " WHERE nspname = 'public_before'"),
			==, 0);
	/* And once more, over what a restore has made. */
	g_assert_true(restore(bytes, bytes->len, FALSE, &error));
	g_assert_no_error(error);
	g_assert_cmpint(things(), ==, 20000);
}

static void
test_over_newer_schema(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	fill();
	g_autoptr(GByteArray) bytes = dump();
	scratch_pg_sql(pg, "SET ROLE postseal_daemon;"
			   "CREATE TABLE newer (id bigint REFERENCES thing);"
			   "CREATE VIEW looks AS SELECT * FROM thing");
	g_assert_true(restore(bytes, bytes->len, FALSE, &error));
	g_assert_no_error(error);
	g_assert_cmpint(things(), ==, 20000);
	g_assert_cmpint(number("newer", "SELECT count(*) FROM pg_class WHERE relname IN"
					" ('newer', 'looks')"),
			==, 0);
}

static void
test_broken(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	fill();
	g_autoptr(GByteArray) bytes = dump();
	scratch_pg_sql(pg, "DELETE FROM thing WHERE id > 5");

	g_assert_false(restore(bytes, bytes->len / 2, FALSE, &error));
	g_assert_true(g_str_has_prefix(error->message, "pg_restore failed with status 1: "));
	g_assert_cmpint(things(), ==, 5);
	g_clear_error(&error);

	g_assert_false(restore(bytes, bytes->len / 2, TRUE, &error));
	g_assert_cmpstr(error->message, ==, "wrong passphrase");
	g_assert_cmpint(things(), ==, 5);
	g_clear_error(&error);

	g_assert_false(restore(bytes, 0, FALSE, &error));
	g_assert_nonnull(error);
	g_assert_cmpint(things(), ==, 5);
	g_clear_error(&error);

	memset(bytes->data, 'x', 100);
	g_assert_false(restore(bytes, bytes->len, FALSE, &error));
	g_assert_nonnull(error);
	g_assert_cmpint(things(), ==, 5);
}

/* The power went while the old schema was aside. */
static void
test_interrupted(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	fill();
	g_autoptr(GByteArray) bytes = dump();
	scratch_pg_sql(pg, "ALTER SCHEMA public RENAME TO public_before");
	g_assert_true(restore(bytes, bytes->len, FALSE, &error));
	g_assert_no_error(error);
	g_assert_cmpint(things(), ==, 20000);
}

static void
test_sink_fails(void)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	struct memory_sink sink = { { memory_write }, bytes, 1000 };
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	fill();
	g_assert_false(dump_write(scratch_pg_settings(pg), &sink.sink, &error));
	g_assert_cmpstr(error->message, ==, "the disk is full");
}

static void
test_down(void)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	struct memory_sink sink = { { memory_write }, bytes, 1000 };
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_down(pg);
	g_assert_false(dump_write(scratch_pg_settings(pg), &sink.sink, &error));
	g_assert_true(g_str_has_prefix(error->message, "pg_dump failed with status 1: "));
	g_assert_null(strchr(error->message, '\n'));
	g_clear_error(&error);
	g_assert_false(restore(bytes, 0, FALSE, &error));
	g_assert_true(g_str_has_prefix(error->message, "database is not reachable: "));
	scratch_pg_up(pg);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start_unmigrated();
	g_test_add_func("/dump/there and back", test_there_and_back);
	g_test_add_func("/dump/over a newer schema", test_over_newer_schema);
	g_test_add_func("/dump/a broken backup changes nothing", test_broken);
	g_test_add_func("/dump/after an interrupted restore", test_interrupted);
	g_test_add_func("/dump/sink fails", test_sink_fails);
	g_test_add_func("/dump/database down", test_down);
	status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
