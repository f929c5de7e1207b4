/*
 * Handing copies over, with faults at every step: whatever happens first, after a retry that works
 * each recipient has one copy, but for RFC 1047's window, which is counted.
 */
#include <glib.h>
#include <string.h>

#include "milter/envelope.h"
#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/notice.h"
#include "milter/policy/ruling.h"
#include "pki/crypto/seal.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "tests/unit/milter/reasons_seen.h"
#include "tests/unit/milter/split_fixture.h"

static void
test_good(void)
{
	static const guint once[5] = { 0, 1, 1, 1, 1 }, twice[5] = { 0, 2, 2, 2, 2 };
	struct plan_of_copies plan;
	struct split_report report;
	struct bench bench;
	const struct smtp_taken *taken;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	bench_message(&bench, "alice@corp.example",
		      "SIZE=1 BODY=8BITMIME RET=FULL ENVID=abc AUTH=<>",
		      "zoe@corp.example bob@a.example?NOTIFY=SUCCESS&ORCPT=rfc822;b@a.example&X=1 "
		      "carol@a.example dan@b.example eve@c.example",
		      TEXT);
	plan_up(&plan, &bench);
	((struct split_copy *)plan.request.copies->pdata[1])->decrypted = TRUE;
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DONE);
	g_assert_cmpuint(report.injected, ==, 4);
	g_assert_cmpuint(report.skipped + report.repeated, ==, 0);
	g_assert_cmpstr(report.queue_ids, ==, "Q1 Q2 Q3");
	g_assert_null(report.detail);
	split_report_clear(&report);
	assert_copies(&bench, once);
	g_assert_cmpuint(smtp_server_count(bench.server, SMTP_AT_CONNECT), ==, 1);
	taken = smtp_server_taken(bench.server)->pdata[0];
	g_assert_true(g_str_has_prefix(taken->mail, "FROM:<alice@corp.example> SIZE="));
	/* Its content is 7-bit, whatever the message was announced as. */
	g_assert_true(g_str_has_suffix(taken->mail, " RET=FULL ENVID=abc"));
	g_assert_null(strstr(taken->mail, "BODY="));
	g_assert_cmpstr(taken->rcpt->pdata[0], ==,
			"TO:<bob@a.example> NOTIFY=SUCCESS ORCPT=rfc822;b@a.example");
	g_assert_cmpstr(taken->rcpt->pdata[1], ==, "TO:<carol@a.example>");
	/* Exactly the edits, under a trace field of ours. */
	g_assert_cmpstr(
	    taken_text(&bench, 0), ==,
	    "Received: from client.example ([192.0.2.9]) by mx.corp.example (Postseal) id\r\n"
	    " 4XyZqueue; Sun, 22 Nov 2026 01:21:47 +0000\r\n"
	    "From: Alice <alice@corp.example>\r\nTo: all\r\nSubject: hello\r\n"
	    "Message-ID: <1@corp.example>\r\nDate: Sun, 22 Nov 2026 01:00:00 +0000\r\n"
	    "X-Copy: 0\r\n\r\ntext\r\n");
	taken = smtp_server_taken(bench.server)->pdata[1];
	g_assert_true(g_str_has_suffix(taken->mail, " RET=HDRS ENVID=abc"));
	g_assert_nonnull(strstr(taken->content->str, "X-Copy: 1\r\n"));
	g_assert_cmpint(bench_count(&bench, "SELECT count(*) FROM ledger"), ==, 0);
	/* Sent once more on purpose. */
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DONE);
	split_report_clear(&report);
	assert_copies(&bench, twice);
	plan_down(&plan);
	bench_down(&bench);
}

/* ---- faults --------------------------------------------------------------------------------- */

struct fault {
	const char *what;
	struct smtp_step step;
	enum split_outcome outcome;
	enum reason reason;
	guint copies[5]; /* after the first try */
	guint after[5];  /* and after one that works */
	guint repeated;  /* in it */
};

#define NONE                                                                                       \
	{                                                                                          \
		0, 0, 0, 0, 0                                                                      \
	}
#define ALL                                                                                        \
	{                                                                                          \
		0, 1, 1, 1, 1                                                                      \
	}
#define FIRST                                                                                      \
	{                                                                                          \
		0, 1, 1, 0, 0                                                                      \
	}

static const struct fault faults[] = {
	{ "no greeting",
	  { SMTP_AT_CONNECT, 1, NULL, SMTP_CUT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "too many connections",
	  { SMTP_AT_CONNECT, 1, NULL, SMTP_ANSWER_CUT, "421 4.7.0 no\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "silent",
	  { SMTP_AT_EHLO, 1, NULL, SMTP_SILENT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "MAIL 4xx while trying",
	  { SMTP_AT_MAIL, 1, NULL, SMTP_ANSWER, "451 4.3.0 x\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "MAIL 5xx while trying",
	  { SMTP_AT_MAIL, 2, NULL, SMTP_ANSWER, "550 5.7.1 x\r\n" },
	  SPLIT_REPLY,
	  REASON_REFUSED_COPY,
	  NONE,
	  ALL,
	  0 },
	{ "RCPT 4xx while trying",
	  { SMTP_AT_RCPT, 4, NULL, SMTP_ANSWER, "450 4.2.0 x\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "RCPT 5xx while trying",
	  { SMTP_AT_RCPT, 4, NULL, SMTP_ANSWER, "550 5.1.1 x\r\n" },
	  SPLIT_REPLY,
	  REASON_REFUSED_COPY,
	  NONE,
	  ALL,
	  0 },
	{ "cut while trying",
	  { SMTP_AT_RCPT, 3, NULL, SMTP_CUT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "5xx and gone while trying",
	  { SMTP_AT_RCPT, 4, NULL, SMTP_ANSWER_CUT, "550 5.1.1 x\r\n" },
	  SPLIT_REPLY,
	  REASON_REFUSED_COPY,
	  NONE,
	  ALL,
	  0 },
	{ "RSET refused",
	  { SMTP_AT_RSET, 1, NULL, SMTP_ANSWER, "500 what\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "first DATA 4xx",
	  { SMTP_AT_DATA, 1, NULL, SMTP_ANSWER, "451 4.3.0 x\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "first DATA 5xx",
	  { SMTP_AT_DATA, 1, NULL, SMTP_ANSWER, "554 5.5.1 x\r\n" },
	  SPLIT_REPLY,
	  REASON_REFUSED_COPY,
	  NONE,
	  ALL,
	  0 },
	{ "cut at the first DATA",
	  { SMTP_AT_DATA, 1, NULL, SMTP_CUT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "first message 4xx",
	  { SMTP_AT_END, 1, NULL, SMTP_ANSWER, "452 4.3.1 x\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  0 },
	{ "first message 5xx",
	  { SMTP_AT_END, 1, NULL, SMTP_ANSWER, "550 5.7.1 x\r\n" },
	  SPLIT_REPLY,
	  REASON_REFUSED_COPY,
	  NONE,
	  ALL,
	  0 },
	{ "cut at the first end, not taken",
	  { SMTP_AT_END, 1, NULL, SMTP_CUT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  2 },
	/* RFC 1047: taken, and the answer is lost. */
	{ "cut at the first end, taken",
	  { SMTP_AT_END, 1, NULL, SMTP_TAKE_CUT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  FIRST,
	  { 0, 2, 2, 1, 1 },
	  2 },
	{ "garbage for the first 250",
	  { SMTP_AT_END, 1, NULL, SMTP_ANSWER, "2500\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  FIRST,
	  { 0, 2, 2, 1, 1 },
	  2 },
	{ "silent at the first end",
	  { SMTP_AT_END, 1, NULL, SMTP_SILENT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  NONE,
	  ALL,
	  2 },
	{ "second MAIL 4xx",
	  { SMTP_AT_MAIL, 5, NULL, SMTP_ANSWER, "451 4.3.0 x\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  FIRST,
	  ALL,
	  0 },
	{ "second RCPT 4xx",
	  { SMTP_AT_RCPT, 7, NULL, SMTP_ANSWER, "450 4.2.0 x\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  FIRST,
	  ALL,
	  0 },
	{ "cut at the second MAIL",
	  { SMTP_AT_MAIL, 5, NULL, SMTP_CUT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  FIRST,
	  ALL,
	  0 },
	{ "cut at the second DATA",
	  { SMTP_AT_DATA, 2, NULL, SMTP_CUT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  FIRST,
	  ALL,
	  0 },
	{ "second message 4xx",
	  { SMTP_AT_END, 2, NULL, SMTP_ANSWER, "452 4.3.1 x\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  FIRST,
	  ALL,
	  0 },
	{ "cut at the second end, taken",
	  { SMTP_AT_END, 2, NULL, SMTP_TAKE_CUT, NULL },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  { 0, 1, 1, 1, 0 },
	  { 0, 1, 1, 2, 1 },
	  1 },
	{ "going down after the second",
	  { SMTP_AT_END, 2, NULL, SMTP_ANSWER_CUT, "250 2.0.0 Ok: queued as Q9\r\n" },
	  SPLIT_DEFER,
	  REASON_DEFERRED_LISTENER,
	  { 0, 1, 1, 1, 0 },
	  ALL,
	  0 },
	{ "going down after the last",
	  { SMTP_AT_END, 3, NULL, SMTP_ANSWER_CUT, "250 2.0.0 Ok: queued as Q9\r\n" },
	  SPLIT_DONE,
	  REASON_COUNT,
	  ALL,
	  { 0, 2, 2, 2, 2 },
	  0 },
};

static void
run_fault(struct bench *bench, const struct fault *fault)
{
	const struct smtp_step steps[] = { fault->step, END_OF_SCRIPT };
	CLEANUP(split) struct split *split = split_new(bench->gateway);
	/* As another filter, or this one after a restart: nothing is known but the ledger. */
	CLEANUP(split) struct split *other = split_new(bench->gateway);
	struct plan_of_copies plan;
	struct split_report report;
	enum split_outcome outcome;

	g_test_message("--- %s", fault->what);
	scratch_pg_sql(pg, "DELETE FROM ledger");
	bench_message(bench, "alice@corp.example", NULL, RECIPIENTS, TEXT);
	plan_up(&plan, bench);
	smtp_server_script(bench->server, steps);
	outcome = try_once(split, &plan, &report);
	g_test_message("%s", report.detail != NULL ? report.detail : "");
	g_assert_cmpint(outcome, ==, fault->outcome);
	if (outcome != SPLIT_DONE)
		g_assert_cmpint(report.reason, ==, fault->reason);
	g_assert_cmpint(report.reply != NULL, ==, outcome == SPLIT_REPLY);
	split_report_clear(&report);
	assert_copies(bench, fault->copies);
	/* The retry; what was taken stays in the server's account. */
	outcome = try_once(other, &plan, &report);
	g_test_message("%s", report.detail != NULL ? report.detail : "");
	g_assert_cmpint(outcome, ==, SPLIT_DONE);
	g_assert_cmpuint(report.repeated, ==, fault->repeated);
	g_assert_cmpuint(report.refused->len, ==, 0);
	split_report_clear(&report);
	assert_copies(bench, fault->after);
	g_assert_cmpint(bench_count(bench, "SELECT count(*) FROM ledger"), ==, 0);
	plan_down(&plan);
}

static void
test_faults(void)
{
	struct bench bench;

	if (!bench_up(&bench))
		return;
	for (guint i = 0; i < G_N_ELEMENTS(faults); i++)
		run_fault(&bench, &faults[i]);
	bench_down(&bench);
}

/* Once something is out, a refusal is one recipient's. */
static void
test_refused_later(void)
{
	static const struct smtp_step rcpt[] = {
		{ SMTP_AT_RCPT, 7, NULL, SMTP_ANSWER, "550 5.1.1 no dan\r\n" }, END_OF_SCRIPT
	};
	static const struct smtp_step end[] = {
		{ SMTP_AT_END, 2, NULL, SMTP_ANSWER, "554 no dan\r\n" }, END_OF_SCRIPT
	};
	static const struct smtp_step mail[] = {
		{ SMTP_AT_MAIL, 5, NULL, SMTP_ANSWER, "552 5.3.4 no dan\r\n" }, END_OF_SCRIPT
	};
	static const struct {
		const struct smtp_step *steps;
		const char *answer, *status;
	} rows[] = { { rcpt, "550 5.1.1 no dan", "5.1.1" },
		     { end, "554 no dan", "5.0.0" },
		     { mail, "552 5.3.4 no dan", "5.3.4" } };
	static const guint copies[5] = { 0, 1, 1, 0, 1 };
	struct bench bench;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct plan_of_copies plan;
		struct split_report report;
		const struct split_refused *refused;

		bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS, TEXT);
		plan_up(&plan, &bench);
		smtp_server_script(bench.server, rows[i].steps);
		g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DONE);
		g_assert_cmpuint(report.refused->len, ==, 1);
		refused = &g_array_index(report.refused, struct split_refused, 0);
		g_assert_cmpuint(refused->recipient, ==, 3);
		g_assert_cmpstr(refused->answer, ==, rows[i].answer);
		g_assert_cmpstr(refused->status, ==, rows[i].status);
		g_assert_cmpuint(report.injected, ==, 3);
		split_report_clear(&report);
		assert_copies(&bench, copies);
		plan_down(&plan);
	}
	bench_down(&bench);
}

/* Half of a copy's recipients are refused after something is out; and a retry that finds one. */
static void
test_refused_in_a_retry(void)
{
	static const struct smtp_step first[] = {
		{ SMTP_AT_END, 2, NULL, SMTP_ANSWER, "451 4.3.0 x\r\n" }, END_OF_SCRIPT
	};
	static const struct smtp_step second[] = {
		{ SMTP_AT_RCPT, 0, "dan@", SMTP_ANSWER, "550 5.1.1 gone\r\n" }, END_OF_SCRIPT
	};
	struct plan_of_copies plan;
	struct split_report report;
	struct bench bench;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS, TEXT);
	plan_up(&plan, &bench);
	smtp_server_script(bench.server, first);
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DEFER);
	split_report_clear(&report);
	smtp_server_script(bench.server, second);
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DONE);
	g_assert_cmpuint(report.refused->len, ==, 1);
	g_assert_cmpuint(report.skipped, ==, 2);
	g_assert_cmpuint(report.injected, ==, 1);
	split_report_clear(&report);
	g_assert_cmpuint(smtp_server_copies(bench.server, "eve@c.example"), ==, 1);
	g_assert_cmpuint(smtp_server_copies(bench.server, "bob@a.example"), ==, 0);
	plan_down(&plan);
	bench_down(&bench);
}

/* ---- the database goes away ----------------------------------------------------------------- */

struct moment {
	enum smtp_stage stage;
	guint nth;
};

static void
database_goes(gpointer data, enum smtp_stage stage, guint nth)
{
	const struct moment *moment = data;

	if (stage == moment->stage && nth == moment->nth)
		scratch_pg_kill(pg);
}

static void
test_database_gone(void)
{
	static const struct {
		struct moment moment;
		guint copies[5]; /* after the first try */
		gboolean restarted;
		guint after[5];
		gboolean known; /* all went out, and this process knows it */
	} rows[] = {
		{ { SMTP_AT_CONNECT, 1 }, FIRST, FALSE, ALL, FALSE },
		{ { SMTP_AT_DATA, 1 }, FIRST, FALSE, ALL, FALSE },
		{ { SMTP_AT_END, 1 }, FIRST, FALSE, ALL, FALSE },
		{ { SMTP_AT_END, 2 }, { 0, 1, 1, 1, 0 }, FALSE, ALL, FALSE },
		{ { SMTP_AT_END, 3 }, ALL, FALSE, ALL, TRUE },
		/* RFC 1047's window on our side: nobody is left who knows of the 250. */
		{ { SMTP_AT_END, 1 }, FIRST, TRUE, { 0, 2, 2, 1, 1 }, FALSE },
		{ { SMTP_AT_END, 3 }, ALL, TRUE, { 0, 1, 1, 1, 2 }, FALSE },
	};
	struct bench bench;

	if (!bench_up(&bench))
		return;
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(split) struct split *split = split_new(bench.gateway);
		CLEANUP(split) struct split *other = split_new(bench.gateway);
		struct plan_of_copies plan;
		struct split_report report;

		g_test_message("--- row %u", i);
		scratch_pg_sql(pg, "DELETE FROM ledger");
		bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS, TEXT);
		plan_up(&plan, &bench);
		smtp_server_script(bench.server, NULL);
		smtp_server_hook(bench.server, database_goes, (gpointer)&rows[i].moment);
		g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DEFER);
		g_assert_cmpint(report.reason, ==, REASON_DEFERRED_STORE);
		split_report_clear(&report);
		smtp_server_hook(bench.server, NULL, NULL);
		assert_copies(&bench, rows[i].copies);
		/* Nothing goes without it. */
		g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DEFER);
		g_assert_cmpint(report.reason, ==, REASON_DEFERRED_STORE);
		split_report_clear(&report);
		assert_copies(&bench, rows[i].copies);
		scratch_pg_up(pg);
		if (!rows[i].known) {
			/* The claim could not be given up: as long as it may be under way, it is.
			 */
			g_assert_cmpint(try_once(rows[i].restarted ? other : split, &plan, &report),
					==, SPLIT_DEFER);
			g_assert_cmpint(report.reason, ==, REASON_DEFERRED_UNDER_WAY);
			split_report_clear(&report);
			scratch_pg_sql(
			    pg, "UPDATE ledger SET held_until = now() WHERE state = 'claimed'");
		}
		g_assert_cmpint(try_once(rows[i].restarted ? other : split, &plan, &report), ==,
				SPLIT_DONE);
		split_report_clear(&report);
		assert_copies(&bench, rows[i].after);
		g_assert_cmpint(bench_count(&bench, "SELECT count(*) FROM ledger"), ==, 0);
		plan_down(&plan);
	}
	bench_down(&bench);
}

/* ---- retries in another shape --------------------------------------------------------------- */

static void
test_served(void)
{
	static const struct smtp_step first[] = {
		{ SMTP_AT_END, 2, NULL, SMTP_ANSWER, "451 4.3.0 x\r\n" }, END_OF_SCRIPT
	};
	struct plan_of_copies plan;
	struct split_report report;
	struct bench bench;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	CLEANUP(split) struct split *other = split_new(bench.gateway);
	g_autoptr(GArray) served = g_array_new(FALSE, FALSE, sizeof(guint));
	bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS, TEXT);
	plan_up(&plan, &bench);
	/* An empty ledger: nobody. */
	g_assert_true(split_served(other, &plan.request, served, NULL));
	g_assert_cmpuint(served->len, ==, 0);
	smtp_server_script(bench.server, first);
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DEFER);
	split_report_clear(&report);
	/* Now everybody would get one copy: bob and carol have theirs. */
	g_assert_true(split_served(split, &plan.request, served, NULL));
	g_assert_cmpuint(served->len, ==, 2);
	g_assert_cmpuint(g_array_index(served, guint, 0), ==, 1);
	g_assert_cmpuint(g_array_index(served, guint, 1), ==, 2);
	/* Or only eve gets one of her own, and the others are in place. */
	for (guint i = 0; i < 2; i++) {
		edits_free(((struct split_copy *)plan.request.copies->pdata[0])->edits);
		g_ptr_array_remove_index(plan.request.copies, 0);
	}
	smtp_server_script(bench.server, NULL);
	g_assert_true(split_send(split, &plan.request, &report, NULL));
	g_assert_cmpint(report.outcome, ==, SPLIT_DONE);
	g_assert_cmpuint(report.served->len, ==, 2);
	g_assert_cmpuint(g_array_index(report.served, guint, 0), ==, 1);
	split_report_clear(&report);
	g_assert_true(split_accepted(split, &plan.request, NULL));
	g_assert_cmpint(bench_count(&bench, "SELECT count(*) FROM ledger"), ==, 0);
	plan_down(&plan);
	bench_down(&bench);
}

/* What makes two messages the same one, tried again. */
static void
test_marked(void)
{
	struct plan_of_copies plan;
	struct split_report report;
	struct bench bench;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	bench_set(&bench, "reinject_marker", "on");
	bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS, TEXT);
	plan_up(&plan, &bench);
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DONE);
	split_report_clear(&report);
	for (guint i = 0; i < 3; i++)
		g_assert_true(g_str_has_prefix(taken_text(&bench, i),
					       "X-Postseal-Marker: v=1; g=1; t=1795310507; n="));
	plan_down(&plan);
	bench_down(&bench);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/split/good", test_good);
	g_test_add_func("/split/marked", test_marked);
	g_test_add_func("/split/faults", test_faults);
	g_test_add_func("/split/refused later", test_refused_later);
	g_test_add_func("/split/refused in a retry", test_refused_in_a_retry);
	g_test_add_func("/split/served before", test_served);
	g_test_add_func("/split/database gone", test_database_gone);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
