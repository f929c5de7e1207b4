/*
 * The ledger of copies: who may send one, what a retry skips, what is forgotten when.
 */
#include "store/ledger.h"

#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;
static const guint8 first[LEDGER_HOLDER_BYTES] = { 1 };
static const guint8 second[LEDGER_HOLDER_BYTES] = { 2 };

static struct ledger_copy
copy_of(guint8 number, guint generations)
{
	struct ledger_copy copy = { .generations = generations, .state = LEDGER_HELD };

	for (guint g = 0; g < generations; g++) {
		copy.digests[g][0] = number;
		/* Generation 1 is 0, and the newest stands first. */
		copy.digests[g][1] = (guint8)(generations - 1 - g);
	}
	return copy;
}

static enum ledger_state
claim(struct db *db, guint8 number, const guint8 *holder, gint64 lease)
{
	struct ledger_copy copy = copy_of(number, 1);
	g_autoptr(GError) error = NULL;

	g_assert_true(ledger_claim(db, &copy, 1, holder, lease, &error));
	g_assert_no_error(error);
	return copy.state;
}

static void
complete(struct db *db, guint8 number)
{
	const struct ledger_copy copy = copy_of(number, 1);
	g_autoptr(GError) error = NULL;

	g_assert_true(ledger_complete(db, &copy, 1, "3QUEUEID", &error));
	g_assert_no_error(error);
}

static void
release(struct db *db, guint8 number, const guint8 *holder, gboolean not_sent)
{
	const struct ledger_copy copy = copy_of(number, 1);

	g_assert_true(ledger_release(db, &copy, 1, holder, not_sent, NULL));
}

static gint64
number(struct db *db, const char *sql)
{
	static guint counter;
	g_autofree char *name = g_strdup_printf("number_%u", counter++);
	const struct statement statement = { g_intern_string(name), sql };
	CLEANUP(rows) struct rows *rows = db_write(db, &statement, NULL, NULL);

	g_assert_nonnull(rows);
	return rows_int(rows, 0, 0);
}

static struct db *
fresh(void)
{
	scratch_pg_empty(pg);
	return scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
}

static void
test_life_of_a_copy(void)
{
	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	g_assert_cmpint(claim(db, 1, first, 60), ==, LEDGER_NEW);
	/* Two tries of one message at a time do not both send it. */
	g_assert_cmpint(claim(db, 1, second, 60), ==, LEDGER_HELD);
	g_assert_cmpint(claim(db, 1, first, 60), ==, LEDGER_REPEATED);
	complete(db, 1);
	g_assert_cmpint(claim(db, 1, first, 60), ==, LEDGER_COMPLETED);
	g_assert_cmpint(claim(db, 1, second, 60), ==, LEDGER_COMPLETED);
	g_assert_cmpint(number(db, "SELECT count(*) FROM ledger WHERE queue_id = '3QUEUEID' AND"
				   " expires > now() + interval '6 days'"),
			==, 1);
	const struct ledger_copy copy = copy_of(1, 1);
	g_assert_true(ledger_forget(db, &copy, 1, NULL));
	g_assert_cmpint(number(db, "SELECT count(*) FROM ledger"), ==, 0);
	/* Sent once more on purpose. */
	g_assert_cmpint(claim(db, 1, second, 60), ==, LEDGER_NEW);
}

static void
test_lease(void)
{
	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	/* Who dies holds it no longer than the lease. */
	g_assert_cmpint(claim(db, 1, first, 0), ==, LEDGER_NEW);
	g_assert_cmpint(claim(db, 1, second, 60), ==, LEDGER_REPEATED);
	/* Only the holder gives it up. */
	release(db, 1, first, FALSE);
	g_assert_cmpint(claim(db, 1, first, 60), ==, LEDGER_HELD);
	release(db, 1, second, FALSE);
	g_assert_cmpint(claim(db, 1, first, 60), ==, LEDGER_REPEATED);
	/* What was surely not sent leaves no trace. */
	release(db, 1, first, TRUE);
	g_assert_cmpint(claim(db, 1, second, 60), ==, LEDGER_NEW);
	/* What is completed is not given up by anybody. */
	complete(db, 1);
	release(db, 1, second, TRUE);
	g_assert_cmpint(claim(db, 1, first, 60), ==, LEDGER_COMPLETED);
}

static void
test_several(void)
{
	struct ledger_copy copies[5];
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	g_assert_cmpint(claim(db, 2, second, 60), ==, LEDGER_NEW);
	g_assert_cmpint(claim(db, 3, second, 0), ==, LEDGER_NEW);
	complete(db, 4);
	for (guint8 i = 0; i < 4; i++)
		copies[i] = copy_of((guint8)(i + 1), 1);
	copies[4] = copy_of(1, 1); /* one recipient named twice */
	g_assert_true(ledger_claim(db, copies, 5, first, 60, &error));
	g_assert_no_error(error);
	g_assert_cmpint(copies[0].state, ==, LEDGER_NEW);
	g_assert_cmpint(copies[1].state, ==, LEDGER_HELD);
	g_assert_cmpint(copies[2].state, ==, LEDGER_REPEATED);
	g_assert_cmpint(copies[3].state, ==, LEDGER_COMPLETED);
	g_assert_cmpint(copies[4].state, ==, LEDGER_NEW);
	g_assert_true(ledger_look(db, copies, 5, NULL));
	g_assert_cmpint(copies[0].state, ==, LEDGER_NEW);
	g_assert_cmpint(copies[1].state, ==, LEDGER_NEW);
	g_assert_cmpint(copies[3].state, ==, LEDGER_COMPLETED);
}

/* The master key was rotated between two tries of a message. */
static void
test_generations(void)
{
	struct ledger_copy copy = copy_of(1, 2);

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	g_assert_cmpint(claim(db, 1, first, 60), ==, LEDGER_NEW);
	g_assert_true(ledger_claim(db, &copy, 1, second, 60, NULL));
	g_assert_cmpint(copy.state, ==, LEDGER_HELD);
	release(db, 1, first, FALSE);
	g_assert_true(ledger_claim(db, &copy, 1, second, 60, NULL));
	g_assert_cmpint(copy.state, ==, LEDGER_REPEATED);
	complete(db, 1);
	g_assert_true(ledger_claim(db, &copy, 1, second, 60, NULL));
	g_assert_cmpint(copy.state, ==, LEDGER_COMPLETED);
	g_assert_true(ledger_look(db, &copy, 1, NULL));
	g_assert_cmpint(copy.state, ==, LEDGER_COMPLETED);
	g_assert_true(ledger_forget(db, &copy, 1, NULL));
	g_assert_cmpint(number(db, "SELECT count(*) FROM ledger"), ==, 0);
}

static void
test_many(void)
{
	const guint count = 2 * LEDGER_COPIES_MAX + 1;
	g_autofree struct ledger_copy *copies = g_new0(struct ledger_copy, count);
	gboolean any = TRUE;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	for (guint i = 0; i < count; i++) {
		copies[i] = copy_of(0, 1);
		memcpy(copies[i].digests[0], &i, sizeof i);
	}
	g_assert_true(ledger_claim(db, copies, count, first, 60, NULL));
	for (guint i = 0; i < count; i++)
		g_assert_cmpint(copies[i].state, ==, LEDGER_NEW);
	g_assert_true(ledger_any(db, &any, NULL));
	g_assert_false(any);
	g_assert_true(ledger_complete(db, copies, count, "Q", NULL));
	g_assert_true(ledger_any(db, &any, NULL));
	g_assert_true(any);
	g_assert_true(ledger_claim(db, copies, count, second, 60, NULL));
	g_assert_cmpint(copies[count - 1].state, ==, LEDGER_COMPLETED);
	g_assert_true(ledger_forget(db, copies, count, NULL));
	g_assert_cmpint(number(db, "SELECT count(*) FROM ledger"), ==, 0);
}

static gboolean
expire(struct tx *tx, gpointer data, GError **error)
{
	return ledger_expire(tx, data, error);
}

static void
test_end(void)
{
	const guint8 nonce[LEDGER_NONCE_BYTES] = { 7 };
	gboolean is_first = FALSE;
	gint64 dropped = 0;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	complete(db, 1);
	complete(db, 2);
	g_assert_true(ledger_consume(db, nonce, 600, &is_first, NULL));
	g_assert_true(is_first);
	g_assert_true(ledger_consume(db, nonce, 600, &is_first, NULL));
	g_assert_false(is_first);
	scratch_pg_sql(pg, "UPDATE ledger SET expires = now() - interval '1 second'"
			   " WHERE digest = decode(rpad('01', 64, '0'), 'hex')");
	/* Over, though nobody has cleaned up yet. */
	g_assert_cmpint(claim(db, 1, first, 60), ==, LEDGER_NEW);
	scratch_pg_sql(pg, "UPDATE ledger SET expires = now() - interval '1 second'"
			   " WHERE digest <> decode(rpad('02', 64, '0'), 'hex')");
	g_assert_true(db_transaction(daemon, expire, &dropped, NULL));
	g_assert_cmpint(dropped, ==, 2);
	g_assert_cmpint(claim(db, 2, first, 60), ==, LEDGER_COMPLETED);
}

/* A retry must find what was completed, whatever a database was set to. */
static void
test_commit_waits(void)
{
	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	static const struct {
		const char *set, *then;
	} settings[] = { { "off", "on" }, { "local", "on" }, { "remote_apply", "remote_apply" } };
	for (guint i = 0; i < G_N_ELEMENTS(settings); i++) {
		g_autofree char *sql =
		    g_strdup_printf("DO $$ BEGIN SET LOCAL synchronous_commit = '%s';"
				    " PERFORM milter_ledger_complete(ARRAY[decode(repeat('01', "
				    "32), 'hex')], 1, 'Q');"
				    " IF current_setting('synchronous_commit') <> '%s' THEN"
				    " RAISE EXCEPTION 'synchronous_commit is %%', "
				    "current_setting('synchronous_commit');"
				    " END IF; END $$",
				    settings[i].set, settings[i].then);
		scratch_pg_sql(pg, sql);
	}
}

static void
test_read_only(void)
{
	struct ledger_copy copy = copy_of(1, 1);
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	CLEANUP(db) struct db *readonly = scratch_pg_open(pg, DB_ROLE_READONLY, NULL);
	g_assert_false(ledger_claim(readonly, &copy, 1, first, 60, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	g_clear_error(&error);
	scratch_pg_down(pg);
	g_assert_false(ledger_claim(db, &copy, 1, first, 60, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	scratch_pg_up(pg);
}

/* Threads fight for the same copies in different order: each is sent by one alone. */
#define FIGHTERS 6
#define PRIZES 40

struct fight {
	struct db *db;
	guint8 number;
	guint won;
};

static gpointer
fight_thread(gpointer data)
{
	struct fight *fight = data;
	const guint8 holder[LEDGER_HOLDER_BYTES] = { (guint8)(10 + fight->number) };
	struct ledger_copy copies[PRIZES];

	for (guint8 i = 0; i < PRIZES; i++)
		copies[i] = copy_of((guint8)((i * 7 + fight->number * 13) % PRIZES), 1);
	if (!ledger_claim(fight->db, copies, PRIZES, holder, 600, NULL))
		return NULL;
	for (guint i = 0; i < PRIZES; i++)
		fight->won += copies[i].state == LEDGER_NEW;
	return NULL;
}

static void
test_fight(void)
{
	struct fight fights[FIGHTERS];
	GThread *threads[FIGHTERS];
	guint won = 0;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	for (guint8 i = 0; i < FIGHTERS; i++) {
		fights[i] = (struct fight){ db, i, 0 };
		threads[i] = g_thread_new("fighter", fight_thread, &fights[i]);
	}
	for (guint i = 0; i < FIGHTERS; i++) {
		g_thread_join(threads[i]);
		won += fights[i].won;
	}
	g_assert_cmpuint(won, ==, PRIZES);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/ledger/life of a copy", test_life_of_a_copy);
	g_test_add_func("/ledger/lease", test_lease);
	g_test_add_func("/ledger/several at once", test_several);
	g_test_add_func("/ledger/generations of the master key", test_generations);
	g_test_add_func("/ledger/many", test_many);
	g_test_add_func("/ledger/the end", test_end);
	g_test_add_func("/ledger/commit waits", test_commit_waits);
	g_test_add_func("/ledger/one sends alone", test_fight);
	g_test_add_func("/ledger/no database to write", test_read_only);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
