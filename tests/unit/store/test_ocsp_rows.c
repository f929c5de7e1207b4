/*
 * Rows of OCSP answers: which answer replaces which, failures, and what a filter may ask for.
 */
#include <glib.h>

#include "store/base/clock.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/ocsp.h"
#include "tests/support/scratch_pg.h"

#define NOW G_GINT64_CONSTANT(1800000000)
#define DAY 86400

static struct scratch_pg *pg;

struct said {
	enum ocsp_row_status status;
	gint64 this_update; /* days after NOW */
	gint reason;
};

static const struct row {
	const char *proves;
	struct said old, new;
	enum ocsp_outcome outcome;
} rows[] = {
	{ "the first answer", { OCSP_ROW_NONE, 0, 0 }, { OCSP_ROW_GOOD, 0, 0 }, OCSP_STORED },
	{ "a newer one", { OCSP_ROW_GOOD, 0, 0 }, { OCSP_ROW_GOOD, 1, 0 }, OCSP_STORED },
	{ "the same again", { OCSP_ROW_GOOD, 0, 0 }, { OCSP_ROW_GOOD, 0, 0 }, OCSP_STORED },
	{ "an older one", { OCSP_ROW_GOOD, 1, 0 }, { OCSP_ROW_GOOD, 0, 0 }, OCSP_KEPT_NEWER },
	{ "an older one that does not know",
	  { OCSP_ROW_GOOD, 1, 0 },
	  { OCSP_ROW_UNKNOWN, 0, 0 },
	  OCSP_KEPT_NEWER },
	{ "now revoked", { OCSP_ROW_GOOD, 0, 0 }, { OCSP_ROW_REVOKED, 1, 1 }, OCSP_STORED },
	{ "revoked, older than a good one: revoked is for ever",
	  { OCSP_ROW_GOOD, 1, 0 },
	  { OCSP_ROW_REVOKED, 0, 1 },
	  OCSP_STORED },
	{ "no longer revoked: it stays so",
	  { OCSP_ROW_REVOKED, 0, 1 },
	  { OCSP_ROW_GOOD, 1, 0 },
	  OCSP_KEPT_REVOKED },
	{ "revoked without a reason, no longer: it stays so",
	  { OCSP_ROW_REVOKED, 0, 0 },
	  { OCSP_ROW_GOOD, 1, 0 },
	  OCSP_KEPT_REVOKED },
	{ "revoked, now unknown: it stays so",
	  { OCSP_ROW_REVOKED, 0, 1 },
	  { OCSP_ROW_UNKNOWN, 1, 0 },
	  OCSP_KEPT_REVOKED },
	{ "revoked, now on hold only: it stays so",
	  { OCSP_ROW_REVOKED, 0, 1 },
	  { OCSP_ROW_REVOKED, 1, 6 },
	  OCSP_KEPT_REVOKED },
	{ "revoked, for another reason",
	  { OCSP_ROW_REVOKED, 0, 4 },
	  { OCSP_ROW_REVOKED, 1, 1 },
	  OCSP_STORED },
	{ "a hold is lifted", { OCSP_ROW_REVOKED, 0, 6 }, { OCSP_ROW_GOOD, 1, 0 }, OCSP_STORED },
	{ "a hold is not lifted by an older answer",
	  { OCSP_ROW_REVOKED, 1, 6 },
	  { OCSP_ROW_GOOD, 0, 0 },
	  OCSP_KEPT_NEWER },
	{ "nor by one of the same time",
	  { OCSP_ROW_REVOKED, 1, 6 },
	  { OCSP_ROW_GOOD, 1, 0 },
	  OCSP_KEPT_NEWER },
	{ "nor by not knowing",
	  { OCSP_ROW_REVOKED, 0, 6 },
	  { OCSP_ROW_UNKNOWN, 1, 0 },
	  OCSP_KEPT_REVOKED },
	{ "a hold becomes final",
	  { OCSP_ROW_REVOKED, 0, 6 },
	  { OCSP_ROW_REVOKED, 0, 1 },
	  OCSP_STORED },
	{ "a replayed hold after it was lifted",
	  { OCSP_ROW_GOOD, 1, 0 },
	  { OCSP_ROW_REVOKED, 0, 6 },
	  OCSP_KEPT_NEWER },
};

static struct ocsp_row
row_of(const struct said *said)
{
	return (struct ocsp_row){
		.issuer_key = (char *)"issuer",
		.issuer_spki = (char *)"spki",
		.serial = (char *)"0a",
		.status = said->status,
		.this_update = NOW + said->this_update * DAY,
		.next_update = NOW + said->this_update * DAY + DAY,
		.revoked_at = NOW - DAY,
		.reason = said->reason,
		.url = (char *)"http://ocsp.example.org/",
		.host = (char *)"http://ocsp.example.org:80",
		.answered = NOW,
		.next_try = NOW + 600,
		.wanted = CLOCK_NEVER,
	};
}

struct act {
	struct ocsp_row row;
	enum ocsp_outcome outcome;
	gint64 since;
};

static gboolean
answer(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return ocsp_put_answer(tx, &act->row, &act->outcome, error);
}

static gboolean
failure(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return ocsp_put_failure(tx, &act->row, error);
}

static gboolean
forget(struct tx *tx, gpointer data, GError **error)
{
	const struct act *act = data;

	return ocsp_forget(tx, act->since, error);
}

static void
run(struct db *db, tx_func func, struct act *act)
{
	g_autoptr(GError) error = NULL;

	if (!db_transaction(db, func, act, &error))
		g_error("%s", error->message);
}

static GPtrArray *
look(struct db *db)
{
	static const char *const issuers[] = { "issuer", "other" };
	static const char *const serials[] = { "0a", "0a" };
	g_autoptr(GError) error = NULL;
	GPtrArray *found = ocsp_by_certs(db, issuers, serials, 2, &error);

	g_assert_no_error(error);
	return found;
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	struct act old = { .row = row_of(&row->old) }, new = { .row = row_of(&row->new) };

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(clock) struct clock *clock = clock_new_fixed(NOW);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, clock);
	if (row->old.status != OCSP_ROW_NONE)
		run(db, answer, &old);
	run(db, answer, &new);
	g_assert_cmpint(new.outcome, ==, row->outcome);
	const struct said *kept = row->outcome == OCSP_STORED ? &row->new : &row->old;
	g_autoptr(GPtrArray) found = look(db);
	g_assert_cmpuint(found->len, ==, 1);
	const struct ocsp_row *is = found->pdata[0];
	g_assert_cmpint(is->status, ==, kept->status);
	g_assert_cmpint(is->this_update, ==, NOW + kept->this_update * DAY);
	g_assert_cmpint(is->reason, ==, kept->reason);
	g_assert_cmpint(is->last_try, ==, NOW);
}

/* A failure leaves the answer; the next answer forgets the failures. */
static void
test_failures(void)
{
	struct said good = { OCSP_ROW_GOOD, 0, 0 };
	struct act act = { .row = row_of(&good), .since = NOW };
	g_autoptr(GError) error = NULL;
	gint64 asked, failed;
	gboolean present;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(clock) struct clock *clock = clock_new_fixed(NOW);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, clock);
	g_assert_true(ocsp_present(db, &present, &error) && !present);
	run(db, answer, &act);
	g_assert_true(ocsp_present(db, &present, &error) && present);
	act.row.error = (char *)"cannot be reached";
	act.row.wanted = NOW - 5;
	run(db, failure, &act);
	run(db, failure, &act);
	g_autoptr(GPtrArray) found = look(db);
	const struct ocsp_row *row = found->pdata[0];
	g_assert_cmpint(row->status, ==, OCSP_ROW_GOOD);
	g_assert_cmpint(row->attempts, ==, 2);
	g_assert_cmpstr(row->error, ==, "cannot be reached");
	g_assert_cmpint(row->wanted, ==, NOW - 5);
	g_assert_true(ocsp_count_between(db, NOW - 60, NOW, act.row.host, &asked, &failed, &error));
	g_assert_cmpint(asked, ==, 1);
	g_assert_cmpint(failed, ==, 1);
	g_assert_true(
	    ocsp_count_between(db, NOW - 60, NOW, "http://other:80", &asked, &failed, &error));
	g_assert_cmpint(failed, ==, 0);
	g_assert_true(ocsp_count_between(db, NOW, NOW, act.row.host, &asked, &failed, &error));
	g_assert_cmpint(asked, ==, 0);
	g_assert_true(
	    ocsp_count_between(db, NOW - DAY, NOW - 1, act.row.host, &asked, &failed, &error));
	g_assert_cmpint(asked, ==, 0);

	act.row.error = NULL;
	act.row.wanted = CLOCK_NEVER;
	run(db, answer, &act);
	g_autoptr(GPtrArray) then = look(db);
	row = then->pdata[0];
	g_assert_cmpint(row->attempts, ==, 0);
	g_assert_null(row->error);
	g_assert_cmpint(row->wanted, ==, NOW - 5);
	g_assert_no_error(error);
}

/* What nobody wants is dropped, but for who is revoked. */
static void
test_forget(void)
{
	struct said good = { OCSP_ROW_GOOD, 0, 0 }, revoked = { OCSP_ROW_REVOKED, 0, 1 };
	struct act one = { .row = row_of(&good), .since = NOW + 1 };
	struct act two = { .row = row_of(&revoked) };
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(clock) struct clock *clock = clock_new_fixed(NOW);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, clock);
	two.row.issuer_key = (char *)"other";
	run(db, answer, &one);
	run(db, answer, &two);
	one.since = NOW;
	run(db, forget, &one);
	g_autoptr(GPtrArray) both = look(db);
	g_assert_cmpuint(both->len, ==, 2);
	one.since = NOW + 1;
	run(db, forget, &one);
	g_autoptr(GPtrArray) found = look(db);
	g_assert_cmpuint(found->len, ==, 1);
	g_assert_cmpstr(((struct ocsp_row *)found->pdata[0])->issuer_key, ==, "other");
}

/* Filters ask through a function that keeps the number of open questions small. */
static void
test_asking(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	for (int i = 0; i < 1005; i++) {
		g_autofree char *key = g_strdup_printf("key-%d", i);
		g_assert_true(jobs_ask(db, "ocsp", key, "x", &error));
	}
	g_assert_no_error(error);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	g_autoptr(GPtrArray) open = jobs_list(daemon, "ocsp", TRUE, 0, 2000, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(open->len, ==, 1000);
	g_assert_false(jobs_ask(db, "rewrap", "duty", NULL, &error));
	g_clear_error(&error);
	g_assert_false(jobs_ask(db, NULL, "duty", NULL, &error));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/ocsp rows/%s", rows[i].proves);
		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/ocsp rows/failures", test_failures);
	g_test_add_func("/ocsp rows/forget", test_forget);
	g_test_add_func("/ocsp rows/asking", test_asking);
	int rc = g_test_run();
	scratch_pg_stop(pg);
	return rc;
}
