/*
 * copy: every type as it is read back, many rows through a small buffer, errors at the end.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/db/copy.h"
#include "tests/support/scratch_pg.h"

#define MANY 20000

static struct scratch_pg *pg;

static const char into[] = "COPY piece (a, b, c, d, e, f, g) FROM STDIN (FORMAT binary)";
static const struct statement all_pieces = { "all_pieces",
					     "SELECT a, b, c, d, e, f, g FROM piece ORDER BY b" };
static const struct statement count_pieces = { "count_pieces",
					       "SELECT count(*), sum(length(f)) FROM piece" };
static const struct statement show_limit = { "show_limit",
					     "SELECT current_setting('statement_timeout')" };

static void
add(struct copy *copy, gint64 number, gsize length)
{
	g_autofree char *text = g_strdup_printf("text %" G_GINT64_FORMAT, number);
	g_autofree guint8 *bytes = g_malloc0(length + 1);

	copy_row(copy);
	copy_text(copy, number == 3 ? NULL : text);
	copy_int(copy, number);
	copy_int4(copy, -7);
	copy_int2(copy, -8);
	copy_bool(copy, TRUE);
	copy_bytes(copy, bytes, length);
	copy_time(copy, number == 3 ? CLOCK_NEVER : 1000000000);
}

static gboolean
write_three(struct tx *tx, gpointer rows, GError **error)
{
	struct copy *copy = tx_copy_in(tx, into, 7, error);

	if (copy == NULL)
		return FALSE;
	for (gint64 i = 1; i <= 3; i++)
		add(copy, i, 3);
	return copy_end(copy, rows, error);
}

static gboolean
write_many(struct tx *tx, gpointer rows, GError **error)
{
	struct copy *copy = tx_copy_in(tx, into, 7, error);

	if (copy == NULL)
		return FALSE;
	for (gint64 i = 0; i < MANY; i++)
		add(copy, i, i == 5000 ? 200000 : 100);
	return copy_end(copy, rows, error);
}

static gboolean
write_twice(struct tx *tx, gpointer rows, GError **error)
{
	return write_three(tx, rows, error) && write_three(tx, rows, error);
}

static gboolean
write_too_few(struct tx *tx, gpointer rows, GError **error)
{
	struct copy *copy = tx_copy_in(tx, into, 7, error);

	if (copy == NULL)
		return FALSE;
	copy_row(copy);
	copy_int(copy, 1);
	return copy_end(copy, rows, error);
}

static gboolean
write_too_many(struct tx *tx, gpointer rows, GError **error)
{
	struct copy *copy = tx_copy_in(tx, into, 7, error);

	if (copy == NULL)
		return FALSE;
	add(copy, 1, 1);
	copy_null(copy);
	return copy_end(copy, rows, error);
}

static gboolean
write_wrong_type(struct tx *tx, gpointer rows, GError **error)
{
	struct copy *copy = tx_copy_in(tx, "COPY piece (b) FROM STDIN (FORMAT binary)", 1, error);

	if (copy == NULL)
		return FALSE;
	for (int i = 0; i < MANY; i++) {
		copy_row(copy);
		copy_int2(copy, 1);
	}
	return copy_end(copy, rows, error);
}

static gboolean
write_nowhere(struct tx *tx, gpointer rows, GError **error)
{
	struct copy *copy = tx_copy_in(tx, "COPY nowhere (b) FROM STDIN (FORMAT binary)", 1, error);

	return copy != NULL && copy_end(copy, rows, error);
}

static gboolean
give_up(struct tx *tx, gpointer rows, GError **error)
{
	CLEANUP(copy) struct copy *copy = tx_copy_in(tx, into, 7, error);

	(void)rows;
	if (copy == NULL)
		return FALSE;
	add(copy, 9, 9);
	return fail_false(error, PS_ERROR_DENIED, "on second thoughts");
}

static struct db *
fresh(void)
{
	scratch_pg_sql(pg, "TRUNCATE piece");
	return scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
}

static void
test_types(void)
{
	g_autoptr(GError) error = NULL;
	gint64 rows = 0;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	g_assert_true(db_transaction(db, write_three, &rows, &error));
	g_assert_no_error(error);
	g_assert_cmpint(rows, ==, 3);
	CLEANUP(rows) struct rows *found = db_query(db, &all_pieces, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(rows_count(found), ==, 3);
	g_assert_cmpstr(rows_text(found, 0, 0), ==, "text 1");
	g_assert_cmpint(rows_int(found, 1, 1), ==, 2);
	g_assert_cmpint(rows_int(found, 1, 2), ==, -7);
	g_assert_cmpint(rows_int(found, 1, 3), ==, -8);
	g_assert_true(rows_bool(found, 1, 4));
	g_autoptr(GBytes) bytes = rows_bytes(found, 0, 5);
	g_assert_cmpint(g_bytes_get_size(bytes), ==, 3);
	g_assert_cmpint(rows_time(found, 0, 6), ==, 1000000000);
	g_assert_true(rows_is_null(found, 2, 0));
	g_assert_true(rows_time(found, 2, 6) == CLOCK_NEVER);
}

/* Larger than the buffer as a whole, and one value larger than it by itself. */
static void
test_many(void)
{
	g_autoptr(GError) error = NULL;
	gint64 rows = 0;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	g_assert_true(db_transaction(db, write_many, &rows, &error));
	g_assert_no_error(error);
	CLEANUP(rows) struct rows *found = db_query(db, &count_pieces, NULL, &error);
	g_assert_cmpint(rows_int(found, 0, 0), ==, MANY);
	g_assert_cmpint(rows_int(found, 0, 1), ==, (MANY - 1) * 100 + 200000);
	/* The patience of the bulk work has ended with it. */
	CLEANUP(rows) struct rows *limit = db_query(db, &show_limit, NULL, &error);
	g_assert_cmpstr(rows_text(limit, 0, 0), !=, "1h");
}

static void
test_failures(void)
{
	static const struct {
		const char *what;
		tx_func run;
		gint code;
		const char *says;
		gint64 left;
	} cases[] = {
		{ "two after each other", write_twice, 0, NULL, 6 },
		{ "a row with too few values", write_too_few, PS_ERROR_BUG, "instead of 7", 0 },
		{ "a row with too many", write_too_many, PS_ERROR_BUG, "more than 7", 0 },
		{ "a value that is no bigint", write_wrong_type, PS_ERROR_BUG, "COPY", 0 },
		{ "no such table", write_nowhere, PS_ERROR_TEMPORARY, "nowhere", 0 },
		{ "given up half-way", give_up, PS_ERROR_DENIED, "second thoughts", 0 },
	};

	for (gsize i = 0; !scratch_pg_skip(pg) && i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(db) struct db *db = fresh();
		gint64 rows = 0;

		g_test_message("%s", cases[i].what);
		gboolean good = db_transaction(db, cases[i].run, &rows, &error);
		if (cases[i].says == NULL) {
			g_assert_no_error(error);
			g_assert_true(good);
		} else {
			g_assert_error(error, PS_ERROR, cases[i].code);
			g_assert_nonnull(strstr(error->message, cases[i].says));
		}
		g_clear_error(&error);
		/* The connection is of use for the next one. */
		CLEANUP(rows) struct rows *found = db_query(db, &count_pieces, NULL, &error);
		g_assert_no_error(error);
		g_assert_cmpint(rows_int(found, 0, 0), ==, cases[i].left);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start_unmigrated();
	if (pg != NULL)
		scratch_pg_sql(pg, "SET ROLE postseal_daemon; CREATE TABLE piece (a text, b "
				   "bigint, c integer, d smallint,"
				   " e boolean, f bytea, g timestamptz)");
	g_test_add_func("/store/copy/types", test_types);
	g_test_add_func("/store/copy/many", test_many);
	g_test_add_func("/store/copy/failures", test_failures);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
