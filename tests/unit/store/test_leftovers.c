/*
 * Leftovers: what goes when it is old, what stays however old it is.
 */
#include "store/leftovers.h"

#include <glib.h>

#include "store/base/clock.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

#define DAY 86400

static struct scratch_pg *pg;

/* Requests 1 (ended long ago, certificate ended), 2 (open), 3 (ended lately), 4 (ended long ago,
 * its certificate has not). */
static const char site_sql[] =
    "INSERT INTO request (id, state, handler, handler_config, email, common_name, key,"
    " validity_days, updated) VALUES"
    " (1, 'issued', 'acme', 'gone', 'a@x', 'x', 'ec:P-256', 1, now() - interval '900 days'),"
    " (2, 'pending', 'acme', 'open', 'b@x', 'x', 'ec:P-256', 1, now() - interval '900 days'),"
    " (3, 'failed', 'acme', 'there', 'c@x', 'x', 'ec:P-256', 1, now()),"
    " (4, 'issued', 'acme', 'valid', 'd@x', 'x', 'ec:P-256', 1, now() - interval '900 days');"
    "INSERT INTO certificate (thumbprint, der, subject, issuer, subject_key, issuer_key, serial,"
    " not_before, not_after, spki_sha256, is_ca, self_signed, key_kind, key_bits, origin,"
    " request_id) VALUES"
    " ('t1', '', '', '', 's', 'i', '01', now() - interval '990 days', now() - interval '800 days',"
    " 'k1', false, false, 'ec', 256, 'handler', 1),"
    " ('t4', '', '', '', 's', 'i', '04', now() - interval '990 days', now() + interval '9 days',"
    " 'k4', false, false, 'ec', 256, 'handler', 4);"
    "INSERT INTO handler_setting (handler, config, name, value) VALUES"
    " ('acme', 'there', 'challenge', 'http-01')";

static const struct {
	const char *what, *sql, *count;
	gint left;
} rows[] = {
	{ "revocations that are done",
	  "INSERT INTO revocation_order (thumbprint, request_id, handler, handler_config, serial,"
	  " state, updated) VALUES ('a', 1, 'h', 'c', '1', 'done', now() - interval '500 days'),"
	  " ('b', 1, 'h', 'c', '2', 'open', now() - interval '500 days'),"
	  " ('c', 1, 'h', 'c', '3', 'failed', now() - interval '100 days')",
	  "revocation_order", 2 },
	{ "batches that are done, with their rows",
	  "INSERT INTO bulk_batch (id, state, file, handler, total, finished) VALUES"
	  " (1, 'done', 'f', 'builtin', 1, now() - interval '500 days'),"
	  " (2, 'paused', 'f', 'builtin', 1, NULL),"
	  " (3, 'cancelled', 'f', 'builtin', 1, now() - interval '100 days');"
	  "INSERT INTO bulk_row (batch_id, line, state) VALUES (1, 2, 'failed'), (2, 2, 'waiting')",
	  "bulk_batch", 2 },
	{ "lines of requests that have ended",
	  "INSERT INTO request_event (request_id, at, state, text) VALUES"
	  " (1, now() - interval '900 days', 'new', 'x'),"
	  " (2, now() - interval '900 days', 'new', 'x'),"
	  " (3, now() - interval '900 days', 'new', 'x')",
	  "request_event", 2 },
	{ "ACME orders of requests that have ended",
	  "INSERT INTO acme_order (request_id, url) VALUES (1, 'u1'), (2, 'u2'), (3, 'u3')",
	  "acme_order", 2 },
	{ "challenge mail that never came",
	  "INSERT INTO acme_mail (request_id, mailbox, expires) VALUES"
	  " (2, 'b@x', now() - interval '40 days'), (3, 'c@x', now() + interval '1 day')",
	  "acme_mail", 1 },
	{ "ACME accounts of configurations that are gone",
	  "INSERT INTO acme_account (config, directory, algorithm, thumbprint, sealed, generation,"
	  " created) SELECT c, 'https://ca/', 'ec:P-256', c, '', 1, now() - interval '900 days'"
	  " FROM unnest(ARRAY['gone', 'open', 'there', 'valid']) AS c;"
	  "INSERT INTO acme_account (config, directory, algorithm, thumbprint, sealed, generation)"
	  " VALUES ('new', 'https://ca/', 'ec:P-256', 'new', '', 1)",
	  "acme_account", 4 },
	{ "notes on renewals",
	  "INSERT INTO renewal (thumbprint, next_try) VALUES ('t1', now() - interval '700 days'),"
	  " ('t4', now() - interval '700 days'), ('nobody', now())",
	  "renewal", 2 },
	{ "what CAs said about renewals",
	  "INSERT INTO renewal_advice (thumbprint, asked, next_ask) VALUES"
	  " ('t1', now() - interval '700 days', now()), ('t4', now() - interval '700 days', now())",
	  "renewal_advice", 1 },
	{ "users that left",
	  "INSERT INTO user_left (address, at) VALUES ('a@x', now() - interval '700 days'),"
	  " ('b@x', now() - interval '700 days'), ('d@x', now() - interval '700 days'),"
	  " ('e@x', now())",
	  "user_left", 3 },
	{ "what was taken away from where it was published",
	  "INSERT INTO publication (target, object, digest, published, next_try) VALUES"
	  " ('ldap:a', 'user/1', '', now() - interval '70 days', NULL),"
	  " ('ldap:a', 'user/2', '', now() - interval '70 days', now()),"
	  " ('ldap:a', 'ca', 'd', now() - interval '70 days', NULL)",
	  "publication", 2 },
};

static gboolean
forget_tx(struct tx *tx, gpointer data G_GNUC_UNUSED, GError **error)
{
	gint64 now = tx_now(tx);

	return leftovers_forget(tx, now - 400 * DAY, now - 30 * DAY, error);
}

static gint64
count(struct db *db, const char *table)
{
	g_autofree char *name = g_strconcat("count_", table, NULL);
	g_autofree char *sql = g_strconcat("SELECT count(*) FROM ", table, NULL);
	const struct statement statement = { g_intern_string(name), g_intern_string(sql) };
	g_autoptr(GError) error = NULL;
	CLEANUP(rows) struct rows *counted = db_write(db, &statement, NULL, &error);

	g_assert_no_error(error);
	return rows_int(counted, 0, 0);
}

static void
test_forget(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	scratch_pg_sql(pg, site_sql);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		scratch_pg_sql(pg, rows[i].sql);
	for (guint again = 0; again < 2; again++) {
		g_assert_true(db_transaction(db, forget_tx, NULL, &error));
		g_assert_no_error(error);
		for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
			g_test_message("%s", rows[i].what);
			g_assert_cmpint(count(db, rows[i].count), ==, rows[i].left);
		}
	}
	g_assert_cmpint(count(db, "request"), ==, 4);
	g_assert_cmpint(count(db, "bulk_row"), ==, 1);
	db_close(db);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/leftovers/forget", test_forget);
	int rc = g_test_run();
	scratch_pg_stop(pg);
	return rc;
}
