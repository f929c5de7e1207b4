/*
 * What stands around the handing over of copies: which message is the same one, limits and needs,
 * what the MTA is told in the meantime and at the end, notices.
 */
#include <glib.h>
#include <string.h>

#include "milter/envelope.h"
#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/notice.h"
#include "pki/crypto/seal.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "tests/unit/milter/reasons_seen.h"
#include "tests/unit/milter/split_fixture.h"

/* ---- the same message ----------------------------------------------------------------------- */

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
	g_test_add_func("/split/what is the same message", test_keys);
	g_test_add_func("/split/Message-ID of the MTA", test_keys_of_the_mta);
	g_test_add_func("/split/limits and needs", test_limits);
	g_test_add_func("/split/many recipients", test_many_recipients);
	g_test_add_func("/split/replies", test_replies);
	g_test_add_func("/split/progress", test_progress);
	g_test_add_func("/split/notice", test_notice);
	g_test_add_func("/split/notice that fails", test_notice_faults);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
