/*
 * Message audit behind the answer: in batches, bounded, and never in the way.
 */
#include <glib.h>
#include <time.h>
#include <string.h>

#include "store/audit.h"
#include "store/base/clock.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

/* Ten days ago, at 08:00: a filter's times are believed for a month. */
#define NOW (((gint64)time(NULL) / 86400 - 10) * 86400 + 8 * 3600)

static struct scratch_pg *pg;

static struct audit_message *
message(guint n)
{
	struct audit_message *m = g_new0(struct audit_message, 1);

	m->at = NOW + n;
	m->node = g_strdup("host");
	m->queue_id = g_strdup_printf("Q%u", n);
	m->message_id = g_strdup_printf("<%u@example.com>", n);
	m->sender = g_strdup("bob@example.com");
	m->origin = g_strdup("trusted");
	m->reason = g_strdup("encrypted");
	m->recipients = g_strsplit("eve@example.net ann@example.net", " ", -1);
	m->outcomes = g_strsplit("encrypted plain.not-wanted", " ", -1);
	m->detail = g_strdup("{\"a\": 1}");
	m->size = 2048;
	m->duration_us = 900;
	return m;
}

static guint
count(struct db *db, const struct audit_message_filter *filter)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) found = audit_message_find(db, filter, &error);

	g_assert_no_error(error);
	return found->len;
}

static void
test_written(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	CLEANUP(audit_writer) struct audit_writer *writer = audit_writer_start(milter, 0, &error);
	for (guint n = 0; n < 1200; n++)
		audit_writer_put(writer, message(n));
	g_assert_true(audit_writer_flush(writer, 60000));
	g_assert_cmpuint(audit_writer_written(writer), ==, 1200);
	g_assert_cmpuint(audit_writer_dropped(writer), ==, 0);

	g_autoptr(GPtrArray) found =
	    audit_message_find(daemon, &(struct audit_message_filter){ .queue_id = "Q7" }, &error);
	g_assert_cmpuint(found->len, ==, 1);
	const struct audit_message *m = g_ptr_array_index(found, 0);
	g_assert_cmpint(m->at, ==, NOW + 7);
	g_assert_cmpstr(m->message_id, ==, "<7@example.com>");
	g_assert_cmpstr(m->author, ==, NULL);
	g_assert_cmpstr(m->reply, ==, NULL);
	g_assert_cmpstr(m->recipients[1], ==, "ann@example.net");
	g_assert_cmpstr(m->outcomes[1], ==, "plain.not-wanted");
	g_assert_cmpstr(m->detail, ==, "{\"a\": 1}");
	g_assert_cmpint(m->duration_us, ==, 900);

	struct audit_message_filter filters[] = {
		{ .recipient = "eve@example.net", .limit = 5000 },
		{ .sender = "bob@example.com", .limit = 5000 },
		{ .from = NOW + 100, .until = NOW + 109 },
		{ .recipient = "nobody@example.net" },
	};
	g_assert_cmpuint(count(daemon, &filters[0]), ==, 1200);
	g_assert_cmpuint(count(daemon, &filters[1]), ==, 1200);
	g_assert_cmpuint(count(daemon, &filters[2]), ==, 10);
	g_assert_cmpuint(count(daemon, &filters[3]), ==, 0);
}

/* Without anybody asking, a row is there after about a second. */
static void
test_by_itself(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(audit_writer) struct audit_writer *writer = audit_writer_start(milter, 0, &error);
	audit_writer_put(writer, message(1));
	for (guint i = 0; i < 1200 && audit_writer_written(writer) == 0; i++)
		g_usleep(50000);
	g_assert_cmpuint(audit_writer_written(writer), ==, 1);
}

/* Foreign bytes and a detail that is no JSON cost at most their own row. */
static void
test_bad_rows(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	CLEANUP(audit_writer) struct audit_writer *writer = audit_writer_start(milter, 0, &error);
	for (guint n = 0; n < 10; n++) {
		struct audit_message *m = message(n);
		if (n == 3) {
			g_free(m->detail);
			m->detail = g_strdup("{no json");
		}
		if (n == 5) {
			g_free(m->message_id);
			m->message_id = g_strdup("<\xff\xfe@example.com>");
		}
		audit_writer_put(writer, m);
	}
	g_assert_true(audit_writer_flush(writer, 60000));
	g_assert_cmpuint(audit_writer_written(writer), ==, 9);
	g_assert_cmpuint(audit_writer_dropped(writer), ==, 1);
	g_assert_cmpuint(count(daemon, &(struct audit_message_filter){ 0 }), ==, 9);
}

static void
test_database_away(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	scratch_pg_down(pg);
	struct audit_writer *writer = audit_writer_start(milter, 50, &error);
	gint64 before = g_get_monotonic_time();
	for (guint n = 0; n < 200; n++)
		audit_writer_put(writer, message(n));
	/* Nobody waited. */
	g_assert_cmpint(g_get_monotonic_time() - before, <, 20 * G_USEC_PER_SEC);
	g_assert_false(audit_writer_flush(writer, 300));
	scratch_pg_up(pg);
	g_assert_true(audit_writer_flush(writer, 60000));
	guint64 written = audit_writer_written(writer);
	g_assert_cmpuint(written + audit_writer_dropped(writer), ==, 200);
	g_assert_cmpuint(written, >=, 50);
	audit_writer_stop(writer);
	/* The newest are those that were kept. */
	g_assert_cmpuint(count(daemon, &(struct audit_message_filter){ .queue_id = "Q199" }), ==,
			 1);
}

static void
test_stop_writes(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	struct audit_writer *writer = audit_writer_start(milter, 0, &error);
	for (guint n = 0; n < 700; n++)
		audit_writer_put(writer, message(n));
	audit_writer_stop(writer);
	g_assert_cmpuint(count(daemon, &(struct audit_message_filter){ .limit = 1000 }), ==, 700);
}

static gboolean
keep_tx(struct tx *tx, gpointer data, GError **error)
{
	gint64 before = *(gint64 *)data;

	return audit_keep(tx, before, before, error);
}

static const struct statement days = {
	"test_days",
	"SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_message'::regclass",
};

static gint64
day_count(struct db *db)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(rows) struct rows *rows = db_query(db, &days, NULL, &error);

	g_assert_no_error(error);
	return rows_int(rows, 0, 0);
}

static void
test_days(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(clock) struct clock *clock = clock_new_fixed(NOW);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, clock);
	CLEANUP(audit_writer) struct audit_writer *writer = audit_writer_start(milter, 0, &error);
	for (guint n = 0; n < 5; n++)
		audit_writer_put(writer, message(n * 86400));
	g_assert_true(audit_writer_flush(writer, 60000));
	g_assert_cmpint(day_count(daemon), ==, 5);
	clock_set(clock, NOW + 4 * 86400);
	gint64 before = NOW + 2 * 86400; /* a day that has not ended before stays whole */
	g_assert_true(db_transaction(daemon, keep_tx, &before, &error));
	g_assert_no_error(error);
	g_assert_cmpint(day_count(daemon), ==, 3 + 2);
	g_assert_cmpuint(count(daemon, &(struct audit_message_filter){ 0 }), ==, 3);
}

static gboolean
admin_tx(struct tx *tx, gpointer data, GError **error)
{
	static const struct actor root = { "root", 0, "socket" };
	static const struct actor job = { "postseald", -1, "job" };

	return audit_admin(tx, &root, "ctl add", "aabb", "allow", error) &&
	       audit_admin(tx, &job, "crl refresh", "x", NULL, error) && *(gboolean *)data;
}

static void
test_admin(void)
{
	gboolean good = FALSE;
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	/* What did not happen is not in the audit. */
	g_assert_false(db_transaction(db, admin_tx, &good, NULL));
	g_autoptr(GPtrArray) none = audit_admin_list(db, NULL, 0, 0, &error);
	g_assert_cmpuint(none->len, ==, 0);
	good = TRUE;
	g_assert_true(db_transaction(db, admin_tx, &good, &error));
	g_autoptr(GPtrArray) all = audit_admin_list(db, NULL, 0, 0, &error);
	g_assert_cmpuint(all->len, ==, 2);
	const struct audit_admin_row *newest = g_ptr_array_index(all, 0);
	g_assert_cmpstr(newest->operation, ==, "crl refresh");
	g_assert_cmpint(newest->uid, ==, -1);
	g_autoptr(GPtrArray) one = audit_admin_list(db, "aabb", 0, 0, &error);
	g_assert_cmpuint(one->len, ==, 1);
	g_autoptr(GPtrArray) older = audit_admin_list(db, NULL, newest->id, 0, &error);
	g_assert_cmpuint(older->len, ==, 1);
}

static gboolean
many_tx(struct tx *tx, gpointer data, GError **error)
{
	static const struct actor root = { "root", 0, "socket" };

	return audit_admin(tx, &root, "cert import", data, "40 new", error);
}

/* Random digits: what can be compressed would have fitted. */
static void
test_many_objects(void)
{
	g_autoptr(GString) names = g_string_new("first");
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	for (guint i = 0; i < 40; i++) {
		g_autofree char *number = g_strdup_printf("%u", i);
		g_autofree char *digits =
		    g_compute_checksum_for_string(G_CHECKSUM_SHA512, number, -1);
		g_string_append_printf(names, " %s", digits);
	}
	g_assert_true(db_transaction(db, many_tx, names->str, &error));
	g_assert_no_error(error);
	g_autoptr(GPtrArray) rows = audit_admin_list(db, NULL, 0, 0, &error);
	const struct audit_admin_row *row = g_ptr_array_index(rows, 0);
	g_assert_true(g_str_has_prefix(row->object, "first ") &&
		      g_str_has_suffix(row->object, " ..."));
	g_assert_nonnull(strstr(row->detail, names->str));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/audit/messages are written and found", test_written);
	g_test_add_func("/audit/a row is there within a second", test_by_itself);
	g_test_add_func("/audit/a bad row costs itself only", test_bad_rows);
	g_test_add_func("/audit/the database is away", test_database_away);
	g_test_add_func("/audit/the end writes what waits", test_stop_writes);
	g_test_add_func("/audit/days come and go whole", test_days);
	g_test_add_func("/audit/acts of administrators", test_admin);
	g_test_add_func("/audit/an act on many objects", test_many_objects);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
