/*
 * Restored: what a database that was set back must not do once more.
 */
#include "store/restored.h"

#include <glib.h>

#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/ready_keys.h"
#include "store/sealed.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

static const struct {
	const char *what, *sql;
	const char *find; /* gives the id when all is as it should be */
} rows[] = {
	{ "a batch that ran waits for a person",
	  "INSERT INTO bulk_batch (id, state, file, handler, total) VALUES"
	  " (1, 'running', 'f', 'builtin', 5)",
	  "SELECT id FROM bulk_batch WHERE id = 1 AND state = 'paused' AND error ~ 'bulk resume'" },
	{ "one that was done stays done",
	  "INSERT INTO bulk_batch (id, state, file, handler, total) VALUES"
	  " (2, 'done', 'f', 'builtin', 5)",
	  "SELECT id FROM bulk_batch WHERE id = 2 AND state = 'done' AND error IS NULL" },
	{ "a mail that was due has failed, and says how it is sent",
	  "INSERT INTO outbox (id, kind, state, email, recipient, next_try) VALUES"
	  " (3, 'bundle', 'ready', 'a@x', 'a@x', now())",
	  "SELECT id FROM outbox WHERE id = 3 AND state = 'failed' AND next_try IS NULL"
	  " AND error ~ 'outbox retry'" },
	{ "so has one that was being handed over, and nobody holds it",
	  "INSERT INTO outbox (id, kind, state, email, recipient, next_try, holder, held_until)"
	  " VALUES (4, 'bundle', 'claimed', 'a@x', 'a@x', now(), 'daemon', now())",
	  "SELECT id FROM outbox WHERE id = 4 AND state = 'failed' AND holder IS NULL" },
	{ "one that waits for its certificate goes on waiting",
	  "INSERT INTO outbox (id, kind, state, email, recipient) VALUES"
	  " (5, 'bundle', 'waiting', 'a@x', 'a@x')",
	  "SELECT id FROM outbox WHERE id = 5 AND state = 'waiting'" },
	{ "the SMS of a mail that was sent is not sent by itself",
	  "INSERT INTO outbox (id, kind, state, email, recipient, sms, next_try) VALUES"
	  " (6, 'bundle', 'sent', 'a@x', 'a@x', 'waiting', now())",
	  "SELECT id FROM outbox WHERE id = 6 AND state = 'sent' AND sms = 'failed'"
	  " AND next_try IS NULL" },
	{ "one that was sent with its mail stays sent",
	  "INSERT INTO outbox (id, kind, state, email, recipient, sms) VALUES"
	  " (7, 'bundle', 'sent', 'a@x', 'a@x', 'sent')",
	  "SELECT id FROM outbox WHERE id = 7 AND sms = 'sent' AND sms_error IS NULL" },
};

static gboolean
hold_tx(struct tx *tx, gpointer data, GError **error)
{
	return restored_hold(tx, data, error);
}

static gint64
found(struct db *db, const char *sql)
{
	g_autofree char *name = g_strdup_printf("found_%u", g_str_hash(sql));
	const struct statement statement = { g_intern_string(name), sql };
	g_autoptr(GError) error = NULL;
	CLEANUP(rows) struct rows *answer = db_write(db, &statement, NULL, &error);

	g_assert_no_error(error);
	return rows_count(answer);
}

static void
test_hold(void)
{
	struct restored_held held = { 0 };
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		scratch_pg_sql(pg, rows[i].sql);
	g_assert_true(db_transaction(db, hold_tx, &held, &error));
	g_assert_no_error(error);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].what);
		g_assert_cmpint(found(db, rows[i].find), ==, 1);
	}
	g_assert_cmpint(held.batches, ==, 1);
	g_assert_cmpint(held.deliveries, ==, 2);
	g_assert_cmpint(held.messages, ==, 1);
	db_close(db);
}

static gboolean
take_tx(struct tx *tx, gpointer data, GError **error)
{
	return ready_keys_take(tx, "rsa:3072", 1, 0, data, error);
}

static gboolean
purge_tx(struct tx *tx, gpointer data, GError **error)
{
	static const char *const kinds[] = { "rsa:3072" };

	return ready_keys_purge(tx, kinds, 1, 1, data, error);
}

static void
put_key(struct db *db, const char *spki)
{
	g_autoptr(GBytes) sealed = g_bytes_new_static("sealed", 6);
	const struct key_row row = { .spki_sha256 = (char *)spki,
				     .sealed = sealed,
				     .generation = 1,
				     .kind = (char *)"rsa",
				     .bits = 3072 };
	g_autoptr(GError) error = NULL;

	g_assert_true(ready_keys_insert(db, "rsa:3072", &row, &error));
	g_assert_no_error(error);
}

/* A replica that lagged, or a disk of last week, has keys that were handed out meanwhile: two
 * people would have one key. */
static void
test_keys_made_ahead(void)
{
	CLEANUP(sealed_row) struct sealed_row *taken = NULL;
	CLEANUP(sealed_row) struct sealed_row *other = NULL;
	g_autoptr(GError) error = NULL;
	guint dropped = 0;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	put_key(db, "a");
	g_assert_cmpint(ready_keys_count(db, "rsa:3072", 1, &error), ==, 1);
	g_assert_true(db_transaction(db, take_tx, &taken, &error));
	g_assert_no_error(error);
	g_assert_nonnull(taken);

	put_key(db, "b");
	scratch_pg_sql(pg, "UPDATE ready_key SET server_start = server_start - interval '1 hour'");
	g_assert_cmpint(ready_keys_count(db, "rsa:3072", 1, &error), ==, 0);
	g_assert_true(db_transaction(db, take_tx, &other, &error));
	g_assert_no_error(error);
	g_assert_null(other);
	g_assert_true(db_transaction(db, purge_tx, &dropped, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(dropped, ==, 1);
	db_close(db);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/restored/what was under way", test_hold);
	g_test_add_func("/restored/keys made ahead", test_keys_made_ahead);
	int rc = g_test_run();
	scratch_pg_stop(pg);
	return rc;
}
