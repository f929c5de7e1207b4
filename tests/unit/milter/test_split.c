/*
 * Handing copies over, with faults at every step: whatever happens first, after a retry that works
 * each recipient has one copy, but for RFC 1047's window, which is counted.
 */
#include "milter/split.h"

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
#include "tests/unit/milter/copies_fixture.h"
#include "tests/unit/milter/reasons_seen.h"

struct scratch_pg *pg;

#define END_OF_SCRIPT                                                                              \
	{                                                                                          \
		SMTP_STAGES, 0, NULL, SMTP_ANSWER, NULL                                            \
	}
#define RECIPIENTS "zoe@corp.example bob@a.example carol@a.example dan@b.example eve@c.example"
#define TEXT                                                                                       \
	"From: Alice <alice@corp.example>\nTo: all\nSubject: hello\n"                              \
	"Message-ID: <1@corp.example>\nDate: Sun, 22 Nov 2026 01:00:00 +0000\n\ntext\n"

static const char *const names[] = { "zoe@corp.example", "bob@a.example", "carol@a.example",
				     "dan@b.example", "eve@c.example" };

/* In place: 0. Injected: {1, 2}, {3}, {4}. */
struct plan_of_copies {
	struct split_request request;
	struct group groups[3];
	struct gathered gathered;
	struct ruling ruling;
};

static void
plan_up(struct plan_of_copies *plan, struct bench *bench)
{
	static const guint members[3][2] = { { 1, 2 }, { 3, 3 }, { 4, 4 } };

	memset(plan, 0, sizeof *plan);
	plan->gathered.facts.origin = ORIGIN_TRUSTED;
	plan->ruling.gathered = &plan->gathered;
	plan->request.message = &bench->message;
	plan->request.copies = g_ptr_array_new_with_free_func(g_free);
	plan->request.ruling = &plan->ruling;
	plan->request.mta = &bench->mta.mta;
	plan->request.area = bench->area;
	for (guint i = 0; i < 3; i++) {
		struct split_copy *copy = g_new0(struct split_copy, 1);
		g_autofree char *value = g_strdup_printf(" %u", i);

		plan->groups[i].members = g_array_new(FALSE, FALSE, sizeof(guint));
		g_array_append_vals(plan->groups[i].members, members[i], i == 0 ? 2 : 1);
		copy->group = &plan->groups[i];
		copy->edits = edits_new();
		edits_append(copy->edits, "X-Copy", value);
		g_ptr_array_add(plan->request.copies, copy);
	}
}

static void
plan_down(struct plan_of_copies *plan)
{
	for (guint i = 0; i < plan->request.copies->len; i++)
		edits_free(((struct split_copy *)plan->request.copies->pdata[i])->edits);
	for (guint i = 0; i < 3; i++)
		g_array_unref(plan->groups[i].members);
	g_ptr_array_unref(plan->request.copies);
}

/* One try of the whole message, as the walk does it. */
static enum split_outcome
try_once(struct split *split, struct plan_of_copies *plan, struct split_report *report)
{
	g_autoptr(GError) error = NULL;
	gboolean good;

	memset(report, 0, sizeof *report);
	good = split_send(split, &plan->request, report, &error);
	if (error != NULL)
		g_test_message("%s", error->message);
	g_assert_cmpint(good, ==, error == NULL);
	if (!good)
		g_assert_cmpint(report->outcome, ==, SPLIT_DEFER);
	if (report->outcome != SPLIT_DONE)
		reasons_seen(report->reason);
	if (report->outcome == SPLIT_DONE)
		g_assert_true(split_accepted(split, &plan->request, &error));
	g_assert_no_error(good ? error : NULL);
	return report->outcome;
}

static void
assert_copies(struct bench *bench, const guint copies[5])
{
	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		g_test_message("%s: %u", names[i], smtp_server_copies(bench->server, names[i]));
		g_assert_cmpuint(smtp_server_copies(bench->server, names[i]), ==, copies[i]);
	}
}

static const char *
taken_text(struct bench *bench, guint index)
{
	return ((struct smtp_taken *)smtp_server_taken(bench->server)->pdata[index])->content->str;
}

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
test_keys(void)
{
	static const struct {
		const char *what, *sender, *text, *queue_id;
		gboolean same;
	} rows[] = {
		{ "the same", "alice@corp.example", TEXT, "4Other", TRUE },
		{ "other trace fields", "alice@corp.example",
		  "Received: from x by y; z\nX-Spam-Score: 3\n" TEXT, "4Other", TRUE },
		{ "folded anew", "alice@corp.example",
		  "From: Alice\n <alice@corp.example>\nTo: all\nSubject:  hello\n"
		  "Message-ID: <1@corp.example>\nDate: Sun, 22 Nov 2026 01:00:00 +0000\n\ntext\n",
		  "4Other", TRUE },
		{ "another sender", "bob@corp.example", TEXT, "4Other", FALSE },
		{ "another body", "alice@corp.example", TEXT "x", "4Other", FALSE },
		{ "another Message-ID", "alice@corp.example",
		  "From: Alice <alice@corp.example>\nTo: all\nSubject: hello\n"
		  "Message-ID: <2@corp.example>\nDate: Sun, 22 Nov 2026 01:00:00 +0000\n\ntext\n",
		  "4Other", FALSE },
		{ "another Date", "alice@corp.example",
		  "From: Alice <alice@corp.example>\nTo: all\nSubject: hello\n"
		  "Message-ID: <1@corp.example>\nDate: Sun, 22 Nov 2026 01:00:01 +0000\n\ntext\n",
		  "4Other", FALSE },
		{ "another Reply-To", "alice@corp.example", "Reply-To: eve@x.example\n" TEXT,
		  "4Other", FALSE },
		{ "another encoding", "alice@corp.example",
		  "Content-Transfer-Encoding: base64\n" TEXT, "4Other", FALSE },
		{ "another Subject", "alice@corp.example",
		  "From: Alice <alice@corp.example>\nTo: all\nSubject: hullo\n"
		  "Message-ID: <1@corp.example>\nDate: Sun, 22 Nov 2026 01:00:00 +0000\n\ntext\n",
		  "4Other", FALSE },
	};
	static const struct smtp_step first[] = {
		{ SMTP_AT_END, 2, NULL, SMTP_ANSWER, "451 4.3.0 x\r\n" }, END_OF_SCRIPT
	};
	struct bench bench;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GArray) served = g_array_new(FALSE, FALSE, sizeof(guint));
		struct plan_of_copies plan;
		struct split_report report;

		g_test_message("%s", rows[i].what);
		scratch_pg_sql(pg, "DELETE FROM ledger");
		bench.mta.queue_id = "4XyZqueue";
		bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS, TEXT);
		plan_up(&plan, &bench);
		smtp_server_script(bench.server, first);
		g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DEFER);
		split_report_clear(&report);
		plan_down(&plan);
		bench.mta.queue_id = rows[i].queue_id;
		bench_message(&bench, rows[i].sender, NULL, RECIPIENTS, rows[i].text);
		plan_up(&plan, &bench);
		g_assert_true(split_served(split, &plan.request, served, NULL));
		g_assert_cmpuint(served->len, ==, rows[i].same ? 2 : 0);
		plan_down(&plan);
	}
	bench_down(&bench);
}

/* sendmail(1) without a Message-ID: the MTA makes another one at each try. */
static void
test_keys_of_the_mta(void)
{
	static const struct smtp_step first[] = {
		{ SMTP_AT_END, 2, NULL, SMTP_ANSWER, "451 4.3.0 x\r\n" }, END_OF_SCRIPT
	};
	g_autoptr(GArray) served = g_array_new(FALSE, FALSE, sizeof(guint));
	struct plan_of_copies plan;
	struct split_report report;
	struct bench bench;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS,
		      "Message-ID: <20261122.4XyZqueue@mx>\nDate: Sun, 22 Nov 2026 01:00:00 +0000\n"
		      "From: a\n\ntext\n");
	plan_up(&plan, &bench);
	smtp_server_script(bench.server, first);
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DEFER);
	split_report_clear(&report);
	plan_down(&plan);
	bench.mta.queue_id = "4Another";
	bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS,
		      "Message-ID: <20261123.4Another@mx>\nDate: Sun, 22 Nov 2026 02:00:00 +0000\n"
		      "From: a\n\ntext\n");
	plan_up(&plan, &bench);
	g_assert_true(split_served(split, &plan.request, served, NULL));
	g_assert_cmpuint(served->len, ==, 2);
	plan_down(&plan);
	bench_down(&bench);
}

/* ---- limits and needs ----------------------------------------------------------------------- */

static void
test_limits(void)
{
	static const struct {
		const char *what, *setting, *value, *offers, *parameters, *sender;
		enum split_outcome outcome;
		enum reason reason;
		gboolean decrypted;
	} rows[] = {
		{ "no listener", "reinject_address", "", NULL, NULL, "a@b.example", SPLIT_DEFER,
		  REASON_DEFERRED_DIFFERENT, FALSE },
		{ "nobody listens", "reinject_address", "127.0.0.1:1", NULL, NULL, "a@b.example",
		  SPLIT_DEFER, REASON_DEFERRED_LISTENER, FALSE },
		{ "more copies than may be", "bcc_copies_max", "2", NULL, NULL, "a@b.example",
		  SPLIT_DEFER, REASON_DEFERRED_COPIES, FALSE },
		{ "as many as may be", "bcc_copies_max", "3", NULL, NULL, "a@b.example", SPLIT_DONE,
		  REASON_COUNT, FALSE },
		{ "larger than the listener takes", "bcc_copies_max", "3", "SIZE 500", NULL,
		  "a@b.example", SPLIT_REPLY, REASON_REFUSED_SIZE, FALSE },
		{ "a listener without DSN", "bcc_copies_max", "3", "PIPELINING", "RET=HDRS",
		  "a@b.example", SPLIT_DONE, REASON_COUNT, FALSE },
		{ "the same for decrypted text", "bcc_copies_max", "3", "PIPELINING", NULL,
		  "a@b.example", SPLIT_DEFER, REASON_DEFERRED_LISTENER, TRUE },
		{ "a listener without SMTPUTF8", "bcc_copies_max", "3", "PIPELINING", NULL,
		  "gr\303\274n@b.example", SPLIT_DEFER, REASON_DEFERRED_LISTENER, FALSE },
		{ "SMTPUTF8 that is not needed", "bcc_copies_max", "3", "PIPELINING", "SMTPUTF8",
		  "a@b.example", SPLIT_DONE, REASON_COUNT, FALSE },
	};
	struct bench bench;

	if (!bench_up(&bench))
		return;
	g_autofree char *address = g_strdup(smtp_server_address(bench.server));
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct plan_of_copies plan;
		struct split_report report;

		g_test_message("--- %s", rows[i].what);
		bench_set(&bench, "reinject_address", address);
		bench_set(&bench, rows[i].setting, rows[i].value);
		smtp_server_offer(bench.server, rows[i].offers);
		smtp_server_script(bench.server, NULL);
		bench_message(&bench, rows[i].sender, rows[i].parameters, RECIPIENTS, TEXT);
		plan_up(&plan, &bench);
		((struct split_copy *)plan.request.copies->pdata[0])->decrypted = rows[i].decrypted;
		g_assert_cmpint(try_once(split, &plan, &report), ==, rows[i].outcome);
		if (rows[i].outcome != SPLIT_DONE) {
			g_assert_cmpint(report.reason, ==, rows[i].reason);
			g_assert_cmpuint(smtp_server_taken(bench.server)->len, ==, 0);
		}
		split_report_clear(&report);
		g_assert_cmpint(bench_count(&bench, "SELECT count(*) FROM ledger"), ==, 0);
		plan_down(&plan);
	}
	bench_down(&bench);
}

/* More than one transaction holds: a hundred at a time. */
static void
test_many_recipients(void)
{
	g_autoptr(GString) recipients = g_string_new("zoe@corp.example");
	struct plan_of_copies plan;
	struct split_report report;
	struct bench bench;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	for (guint i = 1; i < 251; i++)
		g_string_append_printf(recipients, " r%u@a.example", i);
	bench_message(&bench, "alice@corp.example", NULL, recipients->str, TEXT);
	plan_up(&plan, &bench);
	g_array_set_size(plan.groups[0].members, 0);
	for (guint i = 1; i < 251; i++)
		if (i != 3 && i != 4)
			g_array_append_val(plan.groups[0].members, i);
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DONE);
	g_assert_cmpuint(report.injected, ==, 250);
	split_report_clear(&report);
	g_assert_cmpuint(smtp_server_taken(bench.server)->len, ==, 5);
	for (guint i = 1; i < 251; i++) {
		g_autofree char *name = g_strdup_printf("r%u@a.example", i);

		g_assert_cmpuint(smtp_server_copies(bench.server, name), ==, 1);
	}
	plan_down(&plan);
	bench_down(&bench);
}

static void
test_progress(void)
{
	static const struct smtp_step silent[] = { { SMTP_AT_MAIL, 2, NULL, SMTP_SILENT, NULL },
						   END_OF_SCRIPT };
	struct plan_of_copies plan;
	struct split_report report;
	struct bench bench;
	gint64 began;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS, TEXT);
	plan_up(&plan, &bench);
	smtp_server_script(bench.server, silent);
	began = clock_monotonic_us();
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DEFER);
	g_assert_cmpint(clock_monotonic_us() - began, >, 4 * G_USEC_PER_SEC);
	g_assert_cmpint(clock_monotonic_us() - began, <, 7 * G_USEC_PER_SEC);
	g_assert_cmpuint(bench.mta.progress, >=, 3);
	split_report_clear(&report);
	/* An MTA that does not wait any more ends it. */
	bench.mta.gone = TRUE;
	smtp_server_script(bench.server, silent);
	began = clock_monotonic_us();
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_DEFER);
	g_assert_cmpint(clock_monotonic_us() - began, <, 3 * G_USEC_PER_SEC);
	split_report_clear(&report);
	plan_down(&plan);
	bench_down(&bench);
}

/* Who is not trusted hears nothing of the server's answer. */
static void
test_replies(void)
{
	static const struct smtp_step refuses[] = { { SMTP_AT_RCPT, 3, NULL, SMTP_ANSWER,
						      "550-5.1.1 no\r\n550 5.1.1 dan\r\n" },
						    END_OF_SCRIPT };
	struct plan_of_copies plan;
	struct split_report report;
	struct bench bench;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	bench_message(&bench, "alice@corp.example", NULL, RECIPIENTS, TEXT);
	plan_up(&plan, &bench);
	smtp_server_script(bench.server, refuses);
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_REPLY);
	g_assert_cmpstr(report.reply->code, ==, "550");
	g_assert_cmpstr(report.reply->status, ==, "5.1.1");
	g_assert_cmpstr(report.reply->lines[0], ==,
			"<dan@b.example>: the mail server answers 550 5.1.1 no / dan");
	split_report_clear(&report);
	plan.gathered.facts.origin = ORIGIN_UNTRUSTED;
	smtp_server_script(bench.server, refuses);
	g_assert_cmpint(try_once(split, &plan, &report), ==, SPLIT_REPLY);
	g_assert_cmpstr(report.reply->lines[0], ==, "message not accepted");
	split_report_clear(&report);
	plan_down(&plan);
	bench_down(&bench);
}

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

/* ---- notices -------------------------------------------------------------------------------- */

static void
test_notice(void)
{
	const struct notice_recipient told[] = {
		{ .recipient = 1, .status = "5.7.5", .text = "no certificate" },
		{ .recipient = 2, .status = "5.1.1", .text = "550 5.1.1 no", .by_server = TRUE },
		{ .recipient = 3, .status = "5.7.5", .text = "no certificate" },
	};
	struct plan_of_copies plan;
	struct bench bench;
	const struct smtp_taken *taken;
	g_autoptr(GError) error = NULL;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	bench_message(&bench, "alice@corp.example", "ENVID=a+2Bb",
		      "zoe@corp.example bob@a.example?ORCPT=rfc822;bobby+2Bx@a.example "
		      "gr\303\274n@a.example dan@b.example?NOTIFY=NEVER eve@c.example",
		      "Subject: gr\303\274n\nBcc: x@y\nX-Postseal-Encrypt: yes\n" TEXT);
	plan_up(&plan, &bench);
	const struct notice notice = { .message = &bench.message,
				       .recipients = told,
				       .count = 3,
				       .host = "mx.corp.example",
				       .now = BENCH_NOW };
	g_assert_true(split_notify(split, &plan.request, &notice, &error));
	g_assert_no_error(error);
	/* Once, however often the message is tried. */
	g_assert_true(split_notify(split, &plan.request, &notice, &error));
	g_assert_cmpuint(smtp_server_taken(bench.server)->len, ==, 1);
	taken = smtp_server_taken(bench.server)->pdata[0];
	g_assert_true(g_str_has_prefix(taken->mail, "FROM:<> SIZE="));
	g_assert_cmpstr(taken->rcpt->pdata[0], ==, "TO:<alice@corp.example>");
	static const char *const wanted[] = {
		"To: <alice@corp.example>\r\n",
		"Auto-Submitted: auto-replied\r\n",
		"Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=",
		"<bob@a.example>:\r\nno certificate\r\n",
		"the mail server answers 550 5.1.1 no\r\n",
		"Original-Envelope-Id: a+b\r\nReporting-MTA: dns; mx.corp.example\r\n",
		"\r\n\r\nOriginal-Recipient: rfc822;bobby+x@a.example\r\n"
		"Final-Recipient: rfc822; bob@a.example\r\nAction: failed\r\nStatus: 5.7.5\r\n",
		"Diagnostic-Code: x-postseal; no certificate\r\n",
		"Final-Recipient: utf-8; gr\\x{FC}n@a.example\r\n",
		"Diagnostic-Code: smtp; 550 5.1.1 no\r\n",
		"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable",
		"Subject: gr=C3=BCn\r\n",
		"Subject: hello\r\n",
	};
	for (guint i = 0; i < G_N_ELEMENTS(wanted); i++)
		if (strstr(taken->content->str, wanted[i]) == NULL)
			g_error("%s is not in %s", wanted[i], taken->content->str);
	static const char *const unwanted[] = { "dan@", "eve@", "Bcc:", "X-Postseal",
						"text\r\n\r\n" };
	for (guint i = 0; i < G_N_ELEMENTS(unwanted); i++)
		if (strstr(taken->content->str, unwanted[i]) != NULL)
			g_error("%s is in %s", unwanted[i], taken->content->str);
	g_assert_true(g_str_is_ascii(taken->content->str));
	g_assert_true(split_accepted(split, &plan.request, NULL));
	g_assert_cmpint(bench_count(&bench, "SELECT count(*) FROM ledger"), ==, 0);
	plan_down(&plan);
	bench_down(&bench);
}

static void
test_notice_faults(void)
{
	static const struct smtp_step refuses[] = {
		{ SMTP_AT_RCPT, 1, NULL, SMTP_ANSWER, "550 5.1.1 no\r\n" }, END_OF_SCRIPT
	};
	static const struct smtp_step cut[] = { { SMTP_AT_DATA, 1, NULL, SMTP_CUT, NULL },
						END_OF_SCRIPT };
	const struct notice_recipient told = { .recipient = 1, .status = "5.7.5", .text = "no" };
	const struct notice_recipient silent = { .recipient = 3, .status = "5.7.5", .text = "no" };
	struct plan_of_copies plan;
	struct bench bench;
	g_autoptr(GError) error = NULL;

	if (!bench_up(&bench))
		return;
	CLEANUP(split) struct split *split = split_new(bench.gateway);
	bench_message(&bench, "alice@corp.example", NULL,
		      "zoe@corp.example bob@a.example carol@a.example dan@b.example?NOTIFY=SUCCESS "
		      "eve@c.example",
		      TEXT);
	plan_up(&plan, &bench);
	struct notice notice = { &bench.message, &told, 1, "mx.corp.example", BENCH_NOW };
	smtp_server_script(bench.server, refuses);
	g_assert_false(split_notify(split, &plan.request, &notice, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_clear_error(&error);
	smtp_server_script(bench.server, cut);
	g_assert_false(split_notify(split, &plan.request, &notice, &error));
	g_clear_error(&error);
	smtp_server_script(bench.server, NULL);
	g_assert_true(split_notify(split, &plan.request, &notice, &error));
	g_assert_cmpuint(smtp_server_taken(bench.server)->len, ==, 1);
	/* Of whom the sender wants to hear only the good. */
	notice.recipients = &silent;
	smtp_server_script(bench.server, NULL);
	g_assert_true(split_notify(split, &plan.request, &notice, &error));
	g_assert_cmpuint(smtp_server_taken(bench.server)->len, ==, 0);
	plan_down(&plan);
	bench_down(&bench);
}

static void
test_settings(void)
{
	static const struct {
		const char *name, *value;
		gboolean good;
	} rows[] = {
		{ "reinject_address", "127.0.0.1:10026", TRUE },
		{ "reinject_address", "192.0.2.1:25", FALSE },
		{ "reinject_networks", "127.0.0.0/8 nonsense", FALSE },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(settings) struct settings *settings = settings_default();
		g_autoptr(GError) error = NULL;

		g_assert_true(settings_set(settings, rows[i].name, rows[i].value, NULL));
		g_assert_cmpint(split_settings_check(settings, &error), ==, rows[i].good);
		if (!rows[i].good)
			g_assert_nonnull(strstr(error->message, rows[i].name));
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/split/settings", test_settings);
	g_test_add_func("/split/good", test_good);
	g_test_add_func("/split/marked", test_marked);
	g_test_add_func("/split/faults", test_faults);
	g_test_add_func("/split/refused later", test_refused_later);
	g_test_add_func("/split/refused in a retry", test_refused_in_a_retry);
	g_test_add_func("/split/served before", test_served);
	g_test_add_func("/split/what is the same message", test_keys);
	g_test_add_func("/split/Message-ID of the MTA", test_keys_of_the_mta);
	g_test_add_func("/split/limits and needs", test_limits);
	g_test_add_func("/split/many recipients", test_many_recipients);
	g_test_add_func("/split/replies", test_replies);
	g_test_add_func("/split/progress", test_progress);
	g_test_add_func("/split/notice", test_notice);
	g_test_add_func("/split/notice that fails", test_notice_faults);
	g_test_add_func("/split/database gone", test_database_gone);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
