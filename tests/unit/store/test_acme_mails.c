/*
 * Challenges by mail: which mail is taken, once, and who is about the answer.
 */
#include "store/acme_mails.h"

#include <glib.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

#define TOKEN "LgYemJLy3F1LDkiJrdIGbEzyFJyOyf6v"

static struct scratch_pg *pg;

static gint64
number(struct db *db, const char *sql)
{
	static guint counter;
	g_autofree char *name = g_strdup_printf("acme_number_%u", counter++);
	const struct statement statement = { g_intern_string(name), sql };
	g_autoptr(GError) error = NULL;
	CLEANUP(rows) struct rows *rows = db_write(db, &statement, NULL, &error);

	g_assert_no_error(error);
	return rows_count(rows) > 0 ? rows_int(rows, 0, 0) : 0;
}

static gint64
request(struct db *db, const char *mailbox)
{
	g_autofree char *sql = g_strdup_printf(
	    "INSERT INTO request (state, handler, email, common_name, key, validity_days, next_try)"
	    " VALUES ('pending', 'acme', '%s', 'x', 'ec:P-256', 30, now() + interval '1 hour')"
	    " RETURNING id",
	    mailbox);

	return number(db, sql);
}

struct act {
	gint64 request;
	const char *mailbox, *from;
	gboolean opened;
	struct acme_mail_row *row;
	gint64 now;
};

static gboolean
open_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return acme_mails_open(tx, act->request, act->mailbox, tx_now(tx) + 3600, &act->opened,
			       error);
}

static gboolean
expect_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;
	const struct acme_mail_row row = {
		.request_id = act->request,
		.challenge_url = (char *)"https://ca.example/chall/1",
		.expected_from = (char *)act->from,
		.token2 = (char *)"DGyRejmCefe7v4NfDGDKfA",
		.thumbprint = (char *)"thumb",
		.expires = tx_now(tx) + 3600,
	};

	return acme_mails_expect(tx, &row, error);
}

static gboolean
close_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_mails_close(tx, ((struct act *)data)->request, error);
}

static gboolean
composed_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_mails_composed(tx, ((struct act *)data)->row, 77, error);
}

static gboolean
answered_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return acme_mails_answered(tx, act->row, act->now, error);
}

static gboolean
give_up_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_mails_note(tx, ((struct act *)data)->row, "refused", TRUE, error);
}

static void
run(struct db *db, tx_func func, struct act *act)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(db, func, act, &error));
	g_assert_no_error(error);
}

static enum acme_take
take(struct db *milter, const char *mailbox, const char *from, const char *id, const char *token)
{
	g_autoptr(GError) error = NULL;
	enum acme_take taken = ACME_TAKE_NONE;

	g_assert_true(
	    acme_mails_take(milter, mailbox, from, NULL, id, "ACME: x", token, &taken, &error));
	g_assert_no_error(error);
	return taken;
}

static gboolean
waits(struct db *milter, const char *mailbox)
{
	gboolean answer = FALSE;

	g_assert_true(acme_mails_waits(milter, mailbox, &answer, NULL));
	return answer;
}

#define ALICE "alice@corp.example"
#define CA "acme@ca.example"

static void
test_taken_once(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	struct act act = { .request = request(daemon, ALICE), .mailbox = ALICE, .from = CA };

	g_assert_false(waits(milter, ALICE));
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_NONE);
	run(daemon, open_tx, &act);
	g_assert_true(act.opened && waits(milter, ALICE));
	/* The order is asked for, its challenge not told yet. */
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_EARLY);
	run(daemon, expect_tx, &act);
	g_assert_cmpint(take(milter, ALICE, "evil@ca.example", "<0@ca>", TOKEN), ==,
			ACME_TAKE_NONE);
	g_assert_cmpint(take(milter, "bob@corp.example", CA, "<0@ca>", TOKEN), ==, ACME_TAKE_NONE);
	g_assert_cmpint(take(milter, ALICE, CA, "<0@ca>", "tooshort"), ==, ACME_TAKE_NONE);
	g_assert_cmpint(take(milter, ALICE, CA, "<0@ca>\r\nBcc: x", TOKEN), ==, ACME_TAKE_NONE);
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_TAKEN);
	g_assert_cmpint(number(daemon, "SELECT count(*) FROM job WHERE kind = 'acme-reply'"), ==,
			1);
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_AGAIN);
	g_assert_cmpint(take(milter, ALICE, CA, "<2@ca>", TOKEN), ==, ACME_TAKE_NONE);
	run(daemon, close_tx, &act);
	/* After the end, too, the same mail is not delivered, another is. */
	g_assert_true(waits(milter, ALICE));
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_AGAIN);
	g_assert_cmpint(take(milter, ALICE, CA, "<2@ca>", TOKEN), ==, ACME_TAKE_NONE);
}

static void
test_one_order_a_mailbox(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	struct act first = { .request = request(daemon, ALICE), .mailbox = ALICE, .from = CA };
	struct act second = { .request = request(daemon, ALICE), .mailbox = ALICE, .from = CA };

	run(daemon, open_tx, &first);
	run(daemon, open_tx, &first);
	g_assert_true(first.opened);
	run(daemon, open_tx, &second);
	g_assert_false(second.opened);
	/* An order whose request is over makes room; one that is too old takes nothing. */
	number(daemon, "UPDATE request SET state = 'failed' WHERE id = (SELECT min(id) FROM"
		       " request) RETURNING 1");
	run(daemon, open_tx, &second);
	g_assert_true(second.opened);
	number(daemon, "UPDATE acme_mail SET opened = now() - interval '1 hour' RETURNING 1");
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_NONE);
	run(daemon, expect_tx, &second);
	number(daemon, "UPDATE acme_mail SET expires = now() RETURNING 1");
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_NONE);
	g_assert_false(waits(milter, ALICE));
}

static void
test_answered_once(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	struct act act = { .request = request(daemon, ALICE),
			   .mailbox = ALICE,
			   .from = CA,
			   .now = clock_now(clock_system()) };
	g_autoptr(GError) error = NULL;

	run(daemon, open_tx, &act);
	run(daemon, expect_tx, &act);
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_TAKEN);
	g_autoptr(GPtrArray) rows = acme_mails_received(daemon, 10, &error);
	g_assert_cmpuint(rows->len, ==, 1);
	act.row = g_ptr_array_index(rows, 0);
	g_assert_cmpstr(act.row->token1, ==, TOKEN);
	g_assert_cmpint(act.row->outbox_id, ==, 0);
	run(daemon, composed_tx, &act);
	/* Two daemons that have seen it do not both answer. */
	g_assert_false(db_transaction(daemon, composed_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	run(daemon, answered_tx, &act);
	g_assert_cmpint(number(daemon, "SELECT count(*) FROM request WHERE next_try < now() +"
				       " interval '1 minute'"),
			==, 1);
	CLEANUP(acme_mail_row)
	struct acme_mail_row *found = acme_mails_of(daemon, act.request, NULL);
	g_assert_cmpint(found->state, ==, ACME_MAIL_ANSWERED);
	g_assert_cmpint(found->outbox_id, ==, 77);
}

/* An answer that the MTA refuses: the challenge is over, and takes no other mail. */
static void
test_given_up(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	struct act act = { .request = request(daemon, ALICE), .mailbox = ALICE, .from = CA };

	run(daemon, open_tx, &act);
	run(daemon, expect_tx, &act);
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_TAKEN);
	g_autoptr(GPtrArray) rows = acme_mails_received(daemon, 10, NULL);
	act.row = g_ptr_array_index(rows, 0);
	run(daemon, give_up_tx, &act);
	g_assert_cmpint(take(milter, ALICE, CA, "<2@ca>", TOKEN), ==, ACME_TAKE_NONE);
	g_assert_cmpint(take(milter, ALICE, CA, "<1@ca>", TOKEN), ==, ACME_TAKE_AGAIN);
	CLEANUP(acme_mail_row)
	struct acme_mail_row *found = acme_mails_of(daemon, act.request, NULL);
	g_assert_cmpint(found->state, ==, ACME_MAIL_WAITING);
	g_assert_cmpstr(found->error, ==, "refused");
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/acme_mails/taken-once", test_taken_once);
	g_test_add_func("/acme_mails/one-order-a-mailbox", test_one_order_a_mailbox);
	g_test_add_func("/acme_mails/answered-once", test_answered_once);
	g_test_add_func("/acme_mails/given-up", test_given_up);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
