/*
 * The SMTP client against a server that answers as a script says: every class of answer at every
 * step, cuts, silence, garbage; what goes over the wire; what must not.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "pki/net/smtp.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "tests/support/smtp_server.h"

static struct smtp_server *server;

#define END_OF_SCRIPT                                                                              \
	{                                                                                          \
		SMTP_STAGES, 0, NULL, SMTP_ANSWER, NULL                                            \
	}

static const struct smtp_recipient two[] = {
	{ "<bob@partner.example>", NULL, NULL },
	{ "<carol@partner.example>", NULL, NULL },
};

static struct smtp *
open_with(gint64 timeout_ms, GError **error)
{
	const struct smtp_options options = {
		.address = smtp_server_address(server),
		.name = "gw.example",
		.deadline_us = clock_monotonic_us() + timeout_ms * 1000,
	};

	return smtp_open(&options, error);
}

static gboolean
write_text(gpointer data, struct sink *to, GError **error)
{
	return sink_write(to, data, strlen(data), error);
}

/* One message to two; the class of the answer that decided, 0: *error. */
struct run {
	struct smtp_reply sender, recipients[2], message;
	gboolean greeted, begun, sent, end_sent;
};

static void
run_clear(struct run *run)
{
	smtp_reply_clear(&run->sender);
	smtp_reply_clear(&run->recipients[0]);
	smtp_reply_clear(&run->recipients[1]);
	smtp_reply_clear(&run->message);
}

static void
run_message(struct run *run, const char *text, gint64 timeout_ms, GError **error)
{
	const struct smtp_envelope envelope = {
		.sender = "<alice@corp.example>", .size = 1000, .recipients = two, .count = 2
	};
	CLEANUP(smtp) struct smtp *smtp = open_with(timeout_ms, error);

	memset(run, 0, sizeof *run);
	run->greeted = smtp != NULL;
	run->begun =
	    smtp != NULL && smtp_begin(smtp, &envelope, &run->sender, run->recipients, error);
	if (run->begun && run->sender.code == 250)
		run->sent = smtp_data(smtp, write_text, (gpointer)text, &run->message, error);
	run->end_sent = smtp != NULL && smtp_end_sent(smtp);
}

/* ---- what goes over the wire ---------------------------------------------------------------- */

static void
test_content(void)
{
	static const struct {
		const char *what, *sent, *arrives;
	} rows[] = {
		{ "a plain message", "A: b\r\n\r\ntext\r\n", "A: b\r\n\r\ntext\r\n" },
		{ "a dot alone does not end it", "A: b\r\n\r\n.\r\nmore\r\n",
		  "A: b\r\n\r\n.\r\nmore\r\n" },
		{ "dots in front stay", "A: b\r\n\r\n..\r\n...x\r\n.y",
		  "A: b\r\n\r\n..\r\n...x\r\n.y\r\n" },
		{ "a bare LF is a line end", "A: b\n\n.\nmore\n", "A: b\r\n\r\n.\r\nmore\r\n" },
		{ "nor does a smuggled end", "A: b\r\n\r\nx\n.\r\nMAIL FROM:<e@e>\r\n",
		  "A: b\r\n\r\nx\r\n.\r\nMAIL FROM:<e@e>\r\n" },
		{ "nor one with two CR", "A: b\r\n\r\n.\r\r\nmore\r\n",
		  "A: b\r\n\r\n.\r\r\nmore\r\n" },
		{ "a bare CR is no line end", "A: b\r\n\r\nx\r.\r\ry\r\n",
		  "A: b\r\n\r\nx\r.\r\ry\r\n" },
		{ "without a last line end", "A: b\r\n\r\ntext", "A: b\r\n\r\ntext\r\n" },
		{ "nothing", "", "" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		struct run run;
		GPtrArray *taken;

		g_test_message("%s", rows[i].what);
		smtp_server_script(server, NULL);
		run_message(&run, rows[i].sent, 60000, &error);
		g_assert_no_error(error);
		g_assert_cmpuint(run.message.code, ==, 250);
		g_assert_cmpstr(run.message.status, ==, "2.0.0");
		taken = smtp_server_taken(server);
		g_assert_cmpuint(taken->len, ==, 1);
		g_assert_cmpstr(((struct smtp_taken *)taken->pdata[0])->content->str, ==,
				rows[i].arrives);
		g_assert_cmpuint(smtp_server_copies(server, "carol@partner.example"), ==, 1);
		run_clear(&run);
	}
}

/* In pieces of every length a line end or a dot may be cut from its line. */
static gboolean
write_in_pieces(gpointer data, struct sink *to, GError **error)
{
	static const char text[] = "A: b\r\n\r\n.\r\n..\r\n\n.x\r\n\r\r\nend\r\n";
	gsize piece = GPOINTER_TO_SIZE(data);

	for (gsize at = 0; at < sizeof text - 1; at += piece)
		if (!sink_write(to, text + at, MIN(piece, sizeof text - 1 - at), error))
			return FALSE;
	return TRUE;
}

static void
test_pieces(void)
{
	const struct smtp_envelope envelope = { .sender = "<>", .recipients = two, .count = 1 };

	smtp_server_script(server, NULL);
	CLEANUP(smtp) struct smtp *smtp = open_with(60000, NULL);
	for (gsize piece = 1; piece < 12; piece++) {
		struct run run = { 0 };
		GPtrArray *taken = smtp_server_taken(server);

		g_assert_true(smtp_begin(smtp, &envelope, &run.sender, run.recipients, NULL));
		g_assert_true(
		    smtp_data(smtp, write_in_pieces, GSIZE_TO_POINTER(piece), &run.message, NULL));
		g_assert_cmpuint(run.message.code, ==, 250);
		g_assert_cmpuint(taken->len, ==, piece);
		g_assert_cmpstr(((struct smtp_taken *)taken->pdata[piece - 1])->content->str, ==,
				"A: b\r\n\r\n.\r\n..\r\n\r\n.x\r\n\r\r\nend\r\n");
		run_clear(&run);
	}
}

#define LARGE_BYTES (8 * 1024 * 1024)

static gboolean
write_large(gpointer data, struct sink *to, GError **error)
{
	static const char line[] = ".123456789012345678901234567890\r\n";
	(void)data;

	for (gsize sent = 0; sent < LARGE_BYTES; sent += sizeof line - 1)
		if (!sink_write(to, line, sizeof line - 1, error))
			return FALSE;
	return TRUE;
}

static void
test_large(void)
{
	const struct smtp_envelope envelope = { .sender = "<>", .recipients = two, .count = 1 };
	struct run run = { 0 };

	smtp_server_script(server, NULL);
	CLEANUP(smtp) struct smtp *smtp = open_with(120000, NULL);
	g_assert_true(smtp_begin(smtp, &envelope, &run.sender, run.recipients, NULL));
	g_assert_true(smtp_data(smtp, write_large, NULL, &run.message, NULL));
	g_assert_cmpuint(run.message.code, ==, 250);
	g_assert_cmpuint(((struct smtp_taken *)smtp_server_taken(server)->pdata[0])->content->len,
			 >=, LARGE_BYTES);
	run_clear(&run);
}

/* A message that breaks off on our side must not look whole on the other. */
static gboolean
write_half(gpointer data, struct sink *to, GError **error)
{
	(void)data;
	return sink_write(to, "A: b\r\n\r\nhalf\r\n", 14, error) &&
	       fail_false(error, PS_ERROR_FULL, "the spool is gone");
}

static void
test_half(void)
{
	const struct smtp_envelope envelope = { .sender = "<>", .recipients = two, .count = 1 };
	g_autoptr(GError) error = NULL;
	struct run run = { 0 };

	smtp_server_script(server, NULL);
	struct smtp *smtp = open_with(60000, NULL);
	g_assert_true(smtp_begin(smtp, &envelope, &run.sender, run.recipients, NULL));
	g_assert_false(smtp_data(smtp, write_half, NULL, &run.message, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_FULL);
	g_assert_false(smtp_end_sent(smtp));
	smtp_close(smtp);
	g_usleep(50000);
	g_assert_cmpuint(smtp_server_count(server, SMTP_AT_END), ==, 0);
	g_assert_cmpuint(smtp_server_taken(server)->len, ==, 0);
	run_clear(&run);
}

static void
test_parameters(void)
{
	static const struct smtp_recipient recipients[] = {
		{ "<b@c.example>", "SUCCESS,FAILURE", "rfc822;b+2Bx@c.example" },
		{ "<\"a > b\"@c.example>", "NEVER", NULL },
		{ "<gr\303\274n@c.example>", NULL, NULL },
	};
	const struct smtp_envelope envelope = { .sender = "<a@b.example>",
						.size = 77,
						.eight_bit = TRUE,
						.utf8 = TRUE,
						.dsn = TRUE,
						.ret = "HDRS",
						.envid = "e+3Dv",
						.recipients = recipients,
						.count = 3 };
	struct smtp_reply sender = { 0 }, replies[3] = { 0 }, message = { 0 };
	const struct smtp_taken *taken;

	smtp_server_script(server, NULL);
	CLEANUP(smtp) struct smtp *smtp = open_with(60000, NULL);
	g_assert_cmpuint(smtp_extensions(smtp), ==,
			 SMTP_PIPELINING | SMTP_SIZE | SMTP_8BITMIME | SMTP_UTF8 | SMTP_DSN);
	g_assert_cmpuint(smtp_size_max(smtp), ==, 10000000);
	g_assert_true(smtp_begin(smtp, &envelope, &sender, replies, NULL));
	g_assert_true(smtp_data(smtp, write_text, (gpointer) "x\r\n", &message, NULL));
	taken = smtp_server_taken(server)->pdata[0];
	g_assert_cmpstr(taken->mail, ==,
			"FROM:<a@b.example> SIZE=77 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e+3Dv");
	g_assert_cmpstr(taken->rcpt->pdata[0], ==,
			"TO:<b@c.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bx@c.example");
	g_assert_cmpstr(taken->rcpt->pdata[1], ==, "TO:<\"a > b\"@c.example> NOTIFY=NEVER");
	g_assert_cmpstr(taken->rcpt->pdata[2], ==, "TO:<gr\303\274n@c.example>");
	smtp_reply_clear(&sender);
	for (guint i = 0; i < 3; i++)
		smtp_reply_clear(&replies[i]);
	smtp_reply_clear(&message);
}

/* What the server does not know is left out, or ends it where the message needs it. */
static void
test_extensions(void)
{
	static const struct {
		const char *offers;
		struct smtp_envelope envelope;
		const char *mail, *lacks;
	} rows[] = {
		{ "SIZE", { .size = 5, .ret = "FULL" }, "FROM:<a@b> SIZE=5", NULL },
		{ "X-NOTHING", { .size = 5 }, "FROM:<a@b>", NULL },
		{ "pipelining\nsize 0", { .size = 5 }, "FROM:<a@b> SIZE=5", NULL },
		{ "PIPELINING\nDSN", { .eight_bit = TRUE }, NULL, "8BITMIME" },
		{ "PIPELINING\nDSN", { .utf8 = TRUE }, NULL, "SMTPUTF8" },
		{ "PIPELINING", { .dsn = TRUE, .ret = "HDRS" }, NULL, "DSN" },
		{ "PIPELININGS\nXDSN\n8BITMIMEX", { .eight_bit = TRUE }, NULL, "8BITMIME" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct smtp_envelope envelope = rows[i].envelope;
		g_autoptr(GError) error = NULL;
		struct run run = { 0 };

		envelope.sender = "<a@b>";
		envelope.recipients = two;
		envelope.count = 2;
		smtp_server_offer(server, rows[i].offers);
		smtp_server_script(server, NULL);
		CLEANUP(smtp) struct smtp *smtp = open_with(60000, NULL);
		gboolean begun = smtp_begin(smtp, &envelope, &run.sender, run.recipients, &error);
		g_assert_cmpint(begun, ==, rows[i].lacks == NULL);
		if (begun) {
			g_assert_true(
			    smtp_data(smtp, write_text, (gpointer) "x\r\n", &run.message, NULL));
			g_assert_cmpstr(
			    ((struct smtp_taken *)smtp_server_taken(server)->pdata[0])->mail, ==,
			    rows[i].mail);
		} else {
			g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
			g_assert_nonnull(strstr(error->message, rows[i].lacks));
			g_assert_cmpuint(smtp_server_count(server, SMTP_AT_MAIL), ==, 0);
		}
		run_clear(&run);
	}
	smtp_server_offer(server, NULL);
}

/* Nothing that somebody wrote into an address becomes a command or a parameter. */
static void
test_injection(void)
{
	static const struct {
		const char *address, *notify, *orcpt;
	} rows[] = {
		{ "<a@b>\r\nDATA", NULL, NULL },
		{ "<a@b> SIZE=1", NULL, NULL },
		{ "<a@b> NOTIFY=NEVER>", NULL, NULL },
		{ "a@b", NULL, NULL },
		{ "<a@b", NULL, NULL },
		{ "<\"a@b>", NULL, NULL },
		{ "<a\n@b>", NULL, NULL },
		{ "<a@b\177>", NULL, NULL },
		{ "<\303\274@b>", NULL, NULL },
		{ "<a b@c>", NULL, NULL },
		{ "<a@b>", "NEVER ORCPT=x", NULL },
		{ "<a@b>", NULL, "x=y" },
		{ "<a@b>", NULL, "x\r\nRSET" },
		{ "", NULL, NULL },
		{ "<", NULL, NULL },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct smtp_recipient recipient = { rows[i].address, rows[i].notify,
							  rows[i].orcpt };
		const struct smtp_envelope envelope = { .sender = "<x@y>",
							.recipients = &recipient,
							.count = 1 };
		g_autoptr(GError) error = NULL;
		struct run run = { 0 };

		g_test_message("%u: %s", i, rows[i].address);
		smtp_server_script(server, NULL);
		struct smtp *smtp = open_with(60000, NULL);
		g_assert_false(smtp_begin(smtp, &envelope, &run.sender, run.recipients, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		smtp_close(smtp);
		g_assert_cmpuint(smtp_server_count(server, SMTP_AT_RCPT), ==, 0);
		run_clear(&run);
	}
}

/* ---- answers at each step ------------------------------------------------------------------- */

static const char *const offers[] = { NULL, "8BITMIME" }; /* with pipelining, without */

static void
test_answers(void)
{
	static const struct {
		enum smtp_stage stage;
		guint nth;
		const char *answer;
		gboolean greeted, begun, sent;
		guint sender, second, message;
	} rows[] = {
		{ SMTP_AT_CONNECT, 1, "220-hello\r\n220 there\r\n", 1, 1, 1, 250, 250, 250 },
		{ SMTP_AT_CONNECT, 1, "554 no\r\n", 0, 0, 0, 0, 0, 0 },
		{ SMTP_AT_CONNECT, 1, "421 4.3.2 busy\r\n", 0, 0, 0, 0, 0, 0 },
		{ SMTP_AT_CONNECT, 1, "garbage\r\n", 0, 0, 0, 0, 0, 0 },
		{ SMTP_AT_CONNECT, 1, "220-a\r\n221 b\r\n", 0, 0, 0, 0, 0, 0 },
		{ SMTP_AT_EHLO, 1, "502 5.5.2 what\r\n", 0, 0, 0, 0, 0, 0 },
		{ SMTP_AT_EHLO, 1, "250\r\n", 1, 1, 1, 250, 250, 250 },
		{ SMTP_AT_MAIL, 1, "452 4.3.1 full\r\n", 1, 1, 0, 452, 0, 0 },
		{ SMTP_AT_MAIL, 1, "552 5.3.4 large\r\n", 1, 1, 0, 552, 0, 0 },
		{ SMTP_AT_RCPT, 2, "450 4.2.0 grey\r\n", 1, 1, 1, 250, 450, 250 },
		{ SMTP_AT_RCPT, 2, "550-5.1.1 no\r\n550 5.1.1 body\r\n", 1, 1, 1, 250, 550, 250 },
		{ SMTP_AT_RCPT, 2, "250\n", 1, 1, 1, 250, 250, 250 },
		{ SMTP_AT_RCPT, 2, "25 0\r\n", 1, 0, 0, 250, 0, 0 },
		{ SMTP_AT_DATA, 1, "451 4.3.0 later\r\n", 1, 1, 1, 250, 250, 451 },
		{ SMTP_AT_DATA, 1, "554 5.5.1 no\r\n", 1, 1, 1, 250, 250, 554 },
		{ SMTP_AT_DATA, 1, "999 what\r\n", 1, 1, 0, 250, 250, 0 },
		{ SMTP_AT_END, 1, "451 4.3.0 later\r\n", 1, 1, 1, 250, 250, 451 },
		{ SMTP_AT_END, 1, "550 5.7.1 spam\r\n", 1, 1, 1, 250, 250, 550 },
		{ SMTP_AT_END, 1, "\r\n", 1, 1, 0, 250, 250, 0 },
	};

	for (guint o = 0; o < G_N_ELEMENTS(offers); o++)
		for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
			const struct smtp_step steps[] = {
				{ rows[i].stage, rows[i].nth, NULL, SMTP_ANSWER, rows[i].answer },
				END_OF_SCRIPT,
			};
			g_autoptr(GError) error = NULL;
			struct run run;

			g_test_message("%u/%u: %s", o, i, rows[i].answer);
			smtp_server_offer(server, offers[o]);
			smtp_server_script(server, steps);
			run_message(&run, "A: b\r\n\r\nx\r\n", 60000, &error);
			g_assert_cmpint(run.greeted, ==, rows[i].greeted);
			g_assert_cmpint(run.begun, ==, rows[i].begun);
			g_assert_cmpint(run.sent, ==, rows[i].sent);
			g_assert_cmpuint(run.sender.code, ==, rows[i].sender);
			if (run.sender.code == 250)
				g_assert_cmpuint(run.recipients[1].code, ==, rows[i].second);
			g_assert_cmpuint(run.message.code, ==, rows[i].message);
			g_assert_cmpint(error != NULL, ==,
					!run.greeted || !run.begun ||
					    (run.sender.code == 250 && !run.sent));
			run_clear(&run);
		}
	smtp_server_offer(server, NULL);
}

static const struct smtp_step *server_steps;

/* Silence is waited for with little patience, which must do for all that comes before it: a busy
 * machine gets more. */
static void
run_until_cut(struct run *run, enum smtp_act act, gboolean to_the_end, GError **error)
{
	gint64 patience_ms = act == SMTP_SILENT ? 300 : 60000;

	for (;;) {
		smtp_server_script(server, server_steps);
		run_message(run, "A: b\r\n\r\nx\r\n", patience_ms, error);
		if (run->end_sent == to_the_end || patience_ms >= 30000)
			return;
		run_clear(run);
		g_clear_error(error);
		patience_ms *= 10;
	}
}

static void
test_cuts(void)
{
	static const enum smtp_act acts[] = { SMTP_CUT, SMTP_SILENT };
	static const struct {
		enum smtp_stage stage;
		gboolean end_sent;
	} rows[] = {
		{ SMTP_AT_CONNECT, FALSE }, { SMTP_AT_EHLO, FALSE }, { SMTP_AT_MAIL, FALSE },
		{ SMTP_AT_RCPT, FALSE },    { SMTP_AT_DATA, FALSE }, { SMTP_AT_END, TRUE },
	};

	for (guint o = 0; o < G_N_ELEMENTS(offers); o++)
		for (guint a = 0; a < G_N_ELEMENTS(acts); a++)
			for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
				const struct smtp_step steps[] = {
					{ rows[i].stage, 1, NULL, acts[a], NULL },
					END_OF_SCRIPT,
				};
				g_autoptr(GError) error = NULL;
				struct run run;

				g_test_message("offer %u, act %u, stage %u", o, a, rows[i].stage);
				smtp_server_offer(server, offers[o]);
				server_steps = steps;
				run_until_cut(&run, acts[a], rows[i].end_sent, &error);
				g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
				g_assert_cmpint(run.end_sent, ==, rows[i].end_sent);
				run_clear(&run);
			}
	smtp_server_offer(server, NULL);
}

/* A drop now and then does not prolong the time limit. */
static void
test_slow(void)
{
	static const struct smtp_step steps[] = { { SMTP_AT_MAIL, 0, NULL, SMTP_SLOW, NULL },
						  END_OF_SCRIPT };
	g_autoptr(GError) error = NULL;
	struct run run;

	smtp_server_script(server, steps);
	run_message(&run, "x", 60, &error);
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	run_clear(&run);
	g_clear_error(&error);
	smtp_server_script(server, steps);
	run_message(&run, "x", 60000, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(run.message.code, ==, 250);
	run_clear(&run);
}

/* Limits of an answer: what it says is bounded, whoever says it. */
static void
test_bounds(void)
{
	g_autofree char *long_word = g_strnfill(SMTP_LINE_MAX_BYTES, 'x');
	g_autofree char *fits = g_strdup_printf("250 %.*s\r\n", SMTP_LINE_MAX_BYTES - 6, long_word);
	g_autofree char *too_long = g_strdup_printf("250 %s\r\n", long_word);
	g_autofree char *endless = g_strdup(long_word);
	g_autoptr(GString) lines = g_string_new(NULL);
	g_autofree char *most = NULL, *more = NULL;

	for (guint i = 1; i < SMTP_LINES_MAX; i++)
		g_string_append(lines, "250-x\r\n");
	most = g_strconcat(lines->str, "250 x\r\n", NULL);
	more = g_strconcat(lines->str, "250-x\r\n250 x\r\n", NULL);
	const struct {
		const char *answer;
		gboolean good;
	} rows[] = { { fits, TRUE },
		     { too_long, FALSE },
		     { endless, FALSE },
		     { most, TRUE },
		     { more, FALSE } };
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct smtp_step steps[] = {
			{ SMTP_AT_MAIL, 1, NULL, SMTP_ANSWER, rows[i].answer },
			END_OF_SCRIPT,
		};
		g_autoptr(GError) error = NULL;
		struct run run;

		smtp_server_script(server, steps);
		run_message(&run, "x", 60000, &error);
		g_test_message("%u", i);
		g_assert_cmpint(run.begun, ==, rows[i].good);
		if (!rows[i].good)
			g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		run_clear(&run);
	}
}

/* What the server says is printable before anybody sees it. */
static void
test_texts(void)
{
	static const struct {
		const char *line, *text, *status;
	} rows[] = {
		{ "550 5.1.1 no such user\r\n", "550 5.1.1 no such user", "5.1.1" },
		{ "550 no such user\r\n", "550 no such user", "" },
		{ "550 4.1.1 odd\r\n", "550 4.1.1 odd", "" },
		{ "550 5.1 odd\r\n", "550 5.1 odd", "" },
		{ "550 5.1.1234 odd\r\n", "550 5.1.1234 odd", "" },
		{ "550 5.1.1\r\n", "550 5.1.1 ", "5.1.1" },
		{ "550\r\n", "550 ", "" },
		{ "550 a\033[1mb\r\n", "550 a\\x1b[1mb", "" },
		{ "550 \303\274\r\n", "550 ??", "" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct smtp_reply reply = { 0 };
		gboolean whole = FALSE;
		gsize used = 0;

		g_assert_true(smtp_reply_take(&reply, rows[i].line, strlen(rows[i].line), &used,
					      &whole, NULL));
		g_assert_true(whole);
		g_assert_cmpuint(used, ==, strlen(rows[i].line));
		g_autofree char *text = smtp_reply_text(&reply);
		g_assert_cmpstr(text, ==, rows[i].text);
		g_assert_cmpstr(reply.status, ==, rows[i].status);
		smtp_reply_clear(&reply);
	}
}

/* ---- where it connects to ------------------------------------------------------------------- */

static void
test_addresses(void)
{
	static const struct {
		const char *address;
		gboolean good;
	} rows[] = {
		{ "127.0.0.1:10026", TRUE },
		{ "127.1.2.3:1", TRUE },
		{ "[::1]:10026", TRUE },
		{ "localhost:25", TRUE },
		{ "unix:/run/x.sock", TRUE },
		{ "192.0.2.1:25", FALSE },
		{ "0.0.0.0:25", FALSE },
		{ "[::]:25", FALSE },
		{ "[::ffff:127.0.0.1]:25", FALSE },
		{ "mail.example:25", FALSE },
		{ "127.0.0.1", FALSE },
		{ "127.0.0.1:0", FALSE },
		{ "127.0.0.1:65536", FALSE },
		{ "127.0.0.1:25x", FALSE },
		{ "unix:run/x.sock", FALSE },
		{ "", FALSE },
		{ "127.0.0.1@evil.example:25", FALSE },
		{ ":25", FALSE },
		{ "unix:/"
		  "123456789012345678901234567890123456789012345678901234567890123456789012345"
		  "678901234567890123456789012345678901234567890",
		  FALSE },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;

		g_test_message("%s", rows[i].address);
		g_assert_cmpint(smtp_address_check(rows[i].address, &error), ==, rows[i].good);
		if (!rows[i].good)
			g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	}
}

static void
test_unix(void)
{
	g_autofree char *folder = g_dir_make_tmp("postseal-smtp-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "s", NULL);
	g_autofree char *gone = g_strdup_printf("unix:%s/none", folder);
	struct smtp_server *inet = server;
	g_autoptr(GError) error = NULL;
	struct run run;

	server = smtp_server_start(path);
	run_message(&run, "x\r\n", 60000, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(run.message.code, ==, 250);
	run_clear(&run);
	smtp_server_stop(server);
	server = inet;
	const struct smtp_options options = { .address = gone,
					      .name = "x",
					      .deadline_us = clock_monotonic_us() + 1000000 };
	g_assert_null(smtp_open(&options, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_rmdir(folder);
}

/* ---- while waiting -------------------------------------------------------------------------- */

static gboolean
count_waits(gpointer data)
{
	guint *count = data;

	(*count)++;
	return *count < 2;
}

static void
test_waiting(void)
{
	static const struct smtp_step steps[] = { { SMTP_AT_EHLO, 1, NULL, SMTP_SILENT, NULL },
						  END_OF_SCRIPT };
	guint count = 0;
	const struct smtp_options options = {
		.address = smtp_server_address(server),
		.name = "x",
		.deadline_us = clock_monotonic_us() + 20 * G_USEC_PER_SEC,
		.waiting = count_waits,
		.waiting_data = &count,
	};
	g_autoptr(GError) error = NULL;
	gint64 began = clock_monotonic_us();

	smtp_server_script(server, steps);
	g_assert_null(smtp_open(&options, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_assert_cmpuint(count, ==, 2);
	g_assert_cmpint(clock_monotonic_us() - began, <, 19 * G_USEC_PER_SEC);
}

/* Two hundred long commands at once, answered as they come: nobody waits for the other. */
static void
test_pipeline(void)
{
	struct smtp_recipient recipients[SMTP_RECIPIENTS_MAX];
	struct smtp_reply sender = { 0 }, replies[SMTP_RECIPIENTS_MAX] = { 0 };
	g_autofree char *fill = g_strnfill(1500, 'a');
	g_autofree char *word = g_strnfill(3000, 'b');
	g_autofree char *answer = g_strdup_printf("250 %s\r\n", word);
	g_autofree char *address = g_strdup_printf("<%s@x>", fill);
	const struct smtp_step steps[] = { { SMTP_AT_RCPT, 0, NULL, SMTP_ANSWER, answer },
					   END_OF_SCRIPT };
	const struct smtp_envelope envelope = { .sender = "<>",
						.recipients = recipients,
						.count = SMTP_RECIPIENTS_MAX };

	for (guint i = 0; i < SMTP_RECIPIENTS_MAX; i++)
		recipients[i] = (struct smtp_recipient){ address, NULL, NULL };
	smtp_server_script(server, steps);
	CLEANUP(smtp) struct smtp *smtp = open_with(60000, NULL);
	g_assert_true(smtp_begin(smtp, &envelope, &sender, replies, NULL));
	g_assert_true(smtp_reset(smtp, NULL));
	for (guint i = 0; i < SMTP_RECIPIENTS_MAX; i++) {
		g_assert_cmpuint(replies[i].code, ==, 250);
		smtp_reply_clear(&replies[i]);
	}
	smtp_reply_clear(&sender);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	server = smtp_server_start(NULL);
	g_test_add_func("/smtp/content arrives as it is", test_content);
	g_test_add_func("/smtp/content in pieces", test_pieces);
	g_test_add_func("/smtp/a large message", test_large);
	g_test_add_func("/smtp/half a message is none", test_half);
	g_test_add_func("/smtp/parameters", test_parameters);
	g_test_add_func("/smtp/extensions", test_extensions);
	g_test_add_func("/smtp/nothing is smuggled in addresses", test_injection);
	g_test_add_func("/smtp/every answer at every step", test_answers);
	g_test_add_func("/smtp/cut and silence at every step", test_cuts);
	g_test_add_func("/smtp/slow", test_slow);
	g_test_add_func("/smtp/limits of an answer", test_bounds);
	g_test_add_func("/smtp/texts of an answer", test_texts);
	g_test_add_func("/smtp/addresses", test_addresses);
	g_test_add_func("/smtp/unix socket", test_unix);
	g_test_add_func("/smtp/waiting", test_waiting);
	g_test_add_func("/smtp/a long pipeline", test_pipeline);
	int status = g_test_run();
	smtp_server_stop(server);
	return status;
}
