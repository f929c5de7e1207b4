/*
 * acme_mail: which message is the challenge of an ACME server, and which is mail like any other.
 * Signed by libopendkim, with keys in a file; orders are rows of a scratch database.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include <opendkim/dkim.h>

#include "milter/acme_mail.h"
#include "milter/envelope.h"
#include "milter/gateway.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mta.h"
#include "milter/outbound.h"
#include "milter/process.h"
#include "milter/report.h"
#include "milter/session.h"
#include "milter/status.h"
#include "pki/crypto/seal.h"
#include "store/base/error.h"
#include "tests/support/scratch_pg.h"
#include "tests/unit/milter/reasons_seen.h"

#define TOKEN "LgYemJLy3F1LDkiJrdIGbEzyFJyOyf6vBdyZ1TG3sME"
#define MAILBOX "alice@in.example"
#define SERVER "acme-challenge+x@ca.example"

static struct scratch_pg *pg;
static char *private_key; /* PEM */
static char *key_file;

/* ---- a site and its order ------------------------------------------------------------------- */

static struct gateway *
gateway_of_filter(void)
{
	struct settings *settings = settings_default();
	const struct setting_row *rows;
	gsize count;
	g_autofree char *key = g_build_filename(scratch_pg_folder(pg), "keys", "master.key", NULL);
	g_autofree char *dir = g_path_get_dirname(key);
	g_autoptr(GError) error = NULL;

	rows = setting_rows(&count);
	for (gsize i = 0; i < count; i++) {
		g_autofree char *value = settings_get(scratch_pg_settings(pg), rows[i].name);

		if (*value != '\0')
			g_assert_true(settings_set(settings, rows[i].name, value, &error));
	}
	g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
	if (!g_file_test(key, G_FILE_TEST_EXISTS))
		g_assert_true(master_keys_create(key, &error));
	g_assert_true(settings_set(settings, "master_key_file", key, &error));
	g_assert_true(settings_set(settings, "milter_master_key_file", key, &error));
	g_assert_true(settings_set(settings, "dkim_keys", key_file, &error));
	g_assert_true(settings_set(settings, "database_wait", "1s", &error));
	struct gateway *gateway = gateway_open(settings, GATEWAY_MILTER, &error);
	g_assert_no_error(error);
	return gateway;
}

enum order { NO_ORDER, UNKNOWN_CHALLENGE, OPEN_ORDER };

static void
place(enum order order)
{
	scratch_pg_sql(pg, "DELETE FROM request");
	if (order == NO_ORDER)
		return;
	scratch_pg_sql(pg, "INSERT INTO request (id, state, handler, email, common_name, key,"
			   " validity_days) VALUES (1, 'pending', 'acme', '" MAILBOX
			   "', 'Alice', 'ec:P-256', 90)");
	scratch_pg_sql(pg,
		       "INSERT INTO acme_mail (request_id, mailbox, expires) VALUES (1, '" MAILBOX
		       "', now() + interval '1 hour')");
	if (order == OPEN_ORDER)
		scratch_pg_sql(pg, "UPDATE acme_mail SET challenge_url = 'https://ca.example/c/1',"
				   " expected_from = '" SERVER "', token2 = 'x', thumbprint = 'y'");
}

/* ---- the message ---------------------------------------------------------------------------- */

static const char plain_header[] = "From: CA <" SERVER ">\n"
				   "To: " MAILBOX "\n"
				   "Subject: ACME:\n " TOKEN "\n"
				   "Date: Sun, 22 Nov 2026 01:00:00 +0000\n"
				   "Message-ID: <1@ca.example>\n"
				   "Auto-Submitted: auto-generated; type=acme\n"
				   "Content-Type: text/plain\n";

/* How the message is signed, and what is done to it afterwards. */
struct row {
	const char *name;
	const char *from, *to; /* in the header: this text is replaced by that; NULL: nothing */
	const char *domain;    /* d=; NULL: ca.example; "": not signed */
	const char *left_out;  /* a field that the signature does not cover */
	gboolean part_of_body; /* l= */
	gboolean other_body;   /* changed after it was signed */
	const char *second;    /* a second recipient */
	enum order order;
	enum acme_mail expected;
};

static GString *
header_of(const struct row *row)
{
	GString *header = g_string_new(plain_header);

	if (row->from != NULL)
		g_assert_cmpuint(g_string_replace(header, row->from, row->to, 1), ==, 1);
	return header;
}

static struct headers *
parse(const GString *header)
{
	struct headers *headers = headers_new();
	g_auto(GStrv) lines = g_strsplit(header->str, "\n", -1);
	g_autoptr(GString) field = g_string_new(NULL);

	for (guint i = 0; lines[i] != NULL; i++) {
		if (*lines[i] == ' ') {
			g_string_append_printf(field, "\n%s", lines[i]);
			continue;
		}
		if (field->len > 0) {
			char *colon = strchr(field->str, ':');

			*colon = '\0';
			g_assert_true(
			    headers_add(headers, field->str, colon + 1, strlen(colon + 1), NULL));
		}
		g_string_assign(field, lines[i]);
	}
	return headers;
}

/* The value of a DKIM-Signature over it. */
static char *
sign(const struct headers *headers, const char *body, const struct row *row)
{
	const char *domain = row->domain != NULL ? row->domain : "ca.example";
	static const u_char *skip[2];
	DKIM_STAT status;
	DKIM_LIB *library = dkim_init(NULL, NULL);
	unsigned int flags = DKIM_LIBFLAGS_SIGNLEN;
	size_t length;
	u_char *value;

	skip[0] = (const u_char *)row->left_out;
	if (row->left_out != NULL)
		g_assert_cmpint(dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_SKIPHDRS,
					     (void *)skip, sizeof(u_char **)),
				==, DKIM_STAT_OK);
	if (row->part_of_body)
		(void)dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
	DKIM *handle =
	    dkim_sign(library, (const u_char *)"t", NULL, (u_char *)private_key,
		      (const u_char *)"sel", (const u_char *)domain, DKIM_CANON_RELAXED,
		      DKIM_CANON_RELAXED, DKIM_SIGN_RSASHA256, row->part_of_body ? 2 : -1, &status);
	g_assert_nonnull(handle);
	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *header = headers_at(headers, i);
		g_auto(GStrv) folds = g_strsplit(header->value, "\n", -1);
		g_autofree char *joined = g_strjoinv("\r\n", folds);
		g_autofree char *line = g_strdup_printf("%s:%s", header->name, joined);

		g_assert_cmpint(dkim_header(handle, (u_char *)line, strlen(line)), ==,
				DKIM_STAT_OK);
	}
	g_assert_cmpint(dkim_eoh(handle), ==, DKIM_STAT_OK);
	g_assert_cmpint(dkim_body(handle, (u_char *)body, strlen(body)), ==, DKIM_STAT_OK);
	g_assert_cmpint(dkim_eom(handle, NULL), ==, DKIM_STAT_OK);
	g_assert_cmpint(dkim_getsighdr_d(handle, 0, &value, &length), ==, DKIM_STAT_OK);
	g_autofree char *text = g_strndup((const char *)value, length);
	g_auto(GStrv) folds = g_strsplit(text, "\r\n", -1);
	g_autofree char *joined = g_strjoinv("\n", folds);
	char *field = g_strconcat(" ", joined, NULL);
	dkim_free(handle);
	dkim_close(library);
	return field;
}

/* What becomes of it is asked of acme_mail_look, or of the whole walk (area). */
static gint
ask(struct gateway *gateway, const struct row *row, const char **why,
    gint (*asked)(struct gateway *, struct spool_area *, const struct session_message *,
		  const char **))
{
	static const char body[] = "This is a challenge.\r\n";
	g_autoptr(GString) header = header_of(row);
	CLEANUP(headers) struct headers *headers = parse(header);
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(1 << 20);
	CLEANUP(envelope) struct envelope *envelope = envelope_new();
	const char *sent = row->other_body ? "Another text.\r\n" : body;
	CLEANUP(spool) struct spool *spool = spool_from_bytes(area, sent, strlen(sent), NULL);

	if (row->domain == NULL || *row->domain != '\0') {
		g_autofree char *value = sign(headers, body, row);

		g_assert_true(headers_add(headers, "DKIM-Signature", value, strlen(value), NULL));
	}
	envelope_set_sender(envelope, "<bounce@ca.example>", NULL);
	envelope_add_recipient(envelope, "<" MAILBOX ">", NULL);
	if (row->second != NULL)
		envelope_add_recipient(envelope, row->second, NULL);
	const struct session_message message = { .envelope = envelope,
						 .headers = headers,
						 .body = spool };
	return asked(gateway, area, &message, why);
}

static gint
ask_look(struct gateway *gateway, struct spool_area *area, const struct session_message *message,
	 const char **why)
{
	(void)area;
	return acme_mail_look(gateway, message, why);
}

static enum acme_mail
look(struct gateway *gateway, const struct row *row, const char **why)
{
	return (enum acme_mail)ask(gateway, row, why, ask_look);
}

/* ---- the whole walk ------------------------------------------------------------------------- */

static char reply[4];

static gboolean
keep_reply(struct mta *mta, const char *code, const char *status, const char *const *lines)
{
	(void)mta;
	(void)status;
	(void)lines;
	g_strlcpy(reply, code, sizeof reply);
	return TRUE;
}

static const char *
no_macro(struct mta *mta, const char *name)
{
	(void)mta;
	(void)name;
	return NULL;
}

static gint
ask_process(struct gateway *gateway, struct spool_area *area, const struct session_message *message,
	    const char **why)
{
	static const struct mta_ops ops = { .macro = no_macro, .set_reply = keep_reply };
	struct mta mta = { .ops = &ops };
	struct status *status = status_new();
	struct report *report = report_new(gateway, status, NULL);
	struct outbound *outbound = outbound_new();
	const struct process process = { .gateway = gateway,
					 .outbound = outbound,
					 .report = report };
	enum session_answer answer = process_message(&process, area, message, &mta);

	(void)why;
	outbound_free(outbound);
	report_free(report);
	status_free(status);
	return (gint)answer;
}

static const struct row rows[] = {
#define FITS .order = OPEN_ORDER
	{ .name = "as it should be", FITS, .expected = ACME_MAIL_TAKEN },
	{ .name = "no order", .order = NO_ORDER, .expected = ACME_MAIL_NOT },
	{ .name = "its order does not know it yet",
	  .order = UNKNOWN_CHALLENGE,
	  .expected = ACME_MAIL_EARLY },
	{ .name = "not signed", FITS, .domain = "", .expected = ACME_MAIL_NOT },
	{ .name = "signed by another domain",
	  FITS,
	  .domain = "evil.example",
	  .expected = ACME_MAIL_NOT },
	{ .name = "signed by the domain above",
	  FITS,
	  .domain = "example",
	  .expected = ACME_MAIL_NOT },
	{ .name = "another body", FITS, .other_body = TRUE, .expected = ACME_MAIL_NOT },
	{ .name = "a part of the body", FITS, .part_of_body = TRUE, .expected = ACME_MAIL_NOT },
	{ .name = "without the subject", FITS, .left_out = "Subject", .expected = ACME_MAIL_NOT },
	{ .name = "without Auto-Submitted",
	  FITS,
	  .left_out = "Auto-Submitted",
	  .expected = ACME_MAIL_NOT },
	{ .name = "from somebody else there",
	  FITS,
	  .from = SERVER,
	  .to = "boss@ca.example",
	  .expected = ACME_MAIL_NOT },
	{ .name = "to somebody else",
	  FITS,
	  .from = "To: " MAILBOX,
	  .to = "To: bob@in.example",
	  .expected = ACME_MAIL_NOT },
	{ .name = "to two",
	  FITS,
	  .from = "To: " MAILBOX,
	  .to = "To: " MAILBOX ", bob@in.example",
	  .expected = ACME_MAIL_NOT },
	{ .name = "a second From",
	  FITS,
	  .from = "To: ",
	  .to = "From: x@ca.example\nTo: ",
	  .expected = ACME_MAIL_NOT },
	{ .name = "two recipients", FITS, .second = "<bob@in.example>", .expected = ACME_MAIL_NOT },
	{ .name = "not automatic",
	  FITS,
	  .from = "auto-generated; type=acme",
	  .to = "no",
	  .expected = ACME_MAIL_NOT },
	{ .name = "no Message-ID",
	  FITS,
	  .from = "Message-ID:",
	  .to = "X-Id:",
	  .expected = ACME_MAIL_NOT },
	{ .name = "a Reply-To",
	  FITS,
	  .from = "Date:",
	  .to = "Reply-To: <r@ca.example>\nDate:",
	  .expected = ACME_MAIL_TAKEN },
	{ .name = "two in Reply-To",
	  FITS,
	  .from = "Date:",
	  .to = "Reply-To: r@ca.example, s@ca.example\nDate:",
	  .expected = ACME_MAIL_NOT },
	{ .name = "an answer",
	  FITS,
	  .from = "ACME:",
	  .to = "Re: ACME:",
	  .expected = ACME_MAIL_NOT },
	{ .name = "a short token",
	  FITS,
	  .from = TOKEN,
	  .to = "LgYemJLy3F1LDkiJrdIGb",
	  .expected = ACME_MAIL_NOT },
	{ .name = "a token of other characters",
	  FITS,
	  .from = TOKEN,
	  .to = TOKEN "+/",
	  .expected = ACME_MAIL_NOT },
	{ .name = "a token in two pieces",
	  FITS,
	  .from = "rdIGbEzy",
	  .to = "rdIGb\n Ezy",
	  .expected = ACME_MAIL_TAKEN },
#undef FITS
};

static void
test_rows(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	struct gateway *gateway = gateway_of_filter();
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *why;

		place(rows[i].order);
		enum acme_mail found = look(gateway, &rows[i], &why);
		if (found != rows[i].expected)
			g_test_message("%s: %d (%s)", rows[i].name, found, why != NULL ? why : "-");
		g_assert_cmpint(found, ==, rows[i].expected);
	}
	gateway_close(gateway);
}

/* The MTA may bring a mail again that was written down; another one has come too late. */
static void
test_again(void)
{
	const struct row another = { .from = "<1@", .to = "<2@" };
	const char *why;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	struct gateway *gateway = gateway_of_filter();
	place(OPEN_ORDER);
	g_assert_cmpint(look(gateway, &rows[0], &why), ==, ACME_MAIL_TAKEN);
	g_assert_cmpint(look(gateway, &rows[0], &why), ==, ACME_MAIL_TAKEN);
	g_assert_cmpint(look(gateway, &another, &why), ==, ACME_MAIL_NOT);
	scratch_pg_down(pg);
	g_assert_cmpint(look(gateway, &rows[0], &why), ==, ACME_MAIL_UNKNOWN);
	scratch_pg_up(pg);
	gateway_close(gateway);
}

/* Accepted and delivered to nobody; or again in a while. */
static void
test_answers(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	struct gateway *gateway = gateway_of_filter();
	place(OPEN_ORDER);
	g_assert_cmpint(ask(gateway, &rows[0], NULL, ask_process), ==, SESSION_DISCARD);
	reasons_seen(REASON_ANSWERED_ACME);
	place(UNKNOWN_CHALLENGE);
	g_assert_cmpint(ask(gateway, &rows[0], NULL, ask_process), ==, SESSION_REPLY);
	g_assert_cmpstr(reply, ==, "451");
	reasons_seen(REASON_DEFERRED_ACME);
	gateway_close(gateway);
}

static void
test_observed(void)
{
	const char *why;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	scratch_pg_sql(pg, "INSERT INTO scope (key, kind, name)"
			   " VALUES ('u:" MAILBOX "', 'user', '" MAILBOX "')");
	scratch_pg_sql(pg, "INSERT INTO preference (scope, name, value)"
			   " VALUES ('u:" MAILBOX "', 'mode', 'observe')");
	struct gateway *gateway = gateway_of_filter();
	place(OPEN_ORDER);
	g_assert_cmpint(look(gateway, &rows[0], &why), ==, ACME_MAIL_NOT);
	gateway_close(gateway);
}

static void
make_key(void)
{
	g_autofree char *pem = NULL;
	g_autofree char *der = NULL;
	g_autofree char *path = g_build_filename(scratch_pg_folder(pg), "dkim.pem", NULL);
	g_autofree char *make = g_strdup_printf("openssl genrsa -traditional -out %s 2048", path);
	g_autofree char *show = g_strdup_printf("openssl rsa -in %s -pubout", path);
	g_autoptr(GString) keys = g_string_new(NULL);
	g_autofree char *public = NULL;
	gint status;

	g_assert_true(g_spawn_command_line_sync(make, NULL, &der, &status, NULL));
	g_assert_true(g_file_get_contents(path, &private_key, NULL, NULL));
	g_assert_true(g_spawn_command_line_sync(show, &public, &pem, &status, NULL));
	g_auto(GStrv) lines = g_strsplit(public, "\n", -1);
	for (guint i = 0; lines[i] != NULL; i++) {
		if (*lines[i] == '-')
			*lines[i] = '\0';
	}
	static const char *const domains[] = { "ca.example", "evil.example", "example" };
	for (guint d = 0; d < G_N_ELEMENTS(domains); d++) {
		g_string_append_printf(keys, "sel._domainkey.%s v=DKIM1; k=rsa; p=", domains[d]);
		for (guint i = 1; lines[i] != NULL && *lines[i] != '\0'; i++)
			g_string_append(keys, lines[i]);
		g_string_append_c(keys, '\n');
	}
	key_file = g_build_filename(scratch_pg_folder(pg), "dkim.keys", NULL);
	g_assert_true(g_file_set_contents(key_file, keys->str, -1, NULL));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	if (pg != NULL)
		make_key();
	g_test_add_func("/acme mail/what is one", test_rows);
	g_test_add_func("/acme mail/again, late, without database", test_again);
	g_test_add_func("/acme mail/what the MTA is told", test_answers);
	g_test_add_func("/acme mail/who is only watched keeps his mail", test_observed);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
