/*
 * process: whole messages through the session, the ruling and the work, on a database of its own
 * and a mail server that writes down what it is told.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "milter/gateway.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mta.h"
#include "milter/outbound.h"
#include "milter/process.h"
#include "milter/report.h"
#include "milter/session.h"
#include "milter/status.h"
#include "pki/ca.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/seal.h"
#include "pki/enroll.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/changelog.h"
#include "store/db/tx.h"
#include "store/preferences.h"
#include "store/requests.h"
#include "store/scopes.h"
#include "tests/support/scratch_pg.h"
#include "tests/unit/milter/reasons_seen.h"

#define ALICE "alice@in.example"
#define BOB "bob@out.example"

static struct scratch_pg *pg;

/* ---- a site --------------------------------------------------------------------------------- */

struct site {
	struct gateway *daemon; /* administers */
	struct gateway *gateway;
	struct outbound *outbound;
	struct status *status;
	struct report *report;
	struct spool_area *area;
	struct process process;
	struct session_handler handler;
};

static struct settings *
site_settings(const char *extra)
{
	const struct settings *from = scratch_pg_settings(pg);
	struct settings *settings = settings_default();
	g_autofree char *key = g_build_filename(scratch_pg_folder(pg), "keys", "master.key", NULL);
	g_autofree char *dir = g_path_get_dirname(key);
	gsize count;
	const struct setting_row *rows = setting_rows(&count);
	g_autoptr(GError) error = NULL;

	for (gsize i = 0; i < count; i++) {
		g_autofree char *value = settings_get(from, rows[i].name);

		if (*value != '\0')
			g_assert_true(settings_set(settings, rows[i].name, value, &error));
	}
	g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
	if (!g_file_test(key, G_FILE_TEST_EXISTS))
		g_assert_true(master_keys_create(key, &error));
	g_assert_true(settings_set(settings, "master_key_file", key, &error));
	g_assert_true(settings_set(settings, "milter_master_key_file", key, &error));
	g_assert_true(settings_set(settings, "authserv_id", "mx.in.example", &error));
	g_assert_true(settings_set(settings, "cache_grace", "1h", &error));
	g_assert_true(settings_set(settings, "database_wait", "1s", &error));
	if (extra != NULL) {
		g_auto(GStrv) parts = g_strsplit(extra, "=", 2);

		g_assert_true(settings_set(settings, parts[0], parts[1], &error));
	}
	g_assert_no_error(error);
	return settings;
}

static struct spool *
give_spool(gpointer data, GError **error)
{
	(void)error;
	return spool_new(((struct site *)data)->area);
}

static enum session_answer
take_message(gpointer data, const struct session_message *message, struct mta *mta)
{
	struct site *site = data;

	return process_message(&site->process, site->area, message, mta);
}

static struct site *
site_open(const char *extra, guint64 spool_bytes)
{
	struct site *site = g_new0(struct site, 1);
	g_autoptr(GError) error = NULL;

	site->daemon = gateway_open(site_settings(extra), GATEWAY_DAEMON, &error);
	g_assert_no_error(error);
	site->gateway = gateway_open(site_settings(extra), GATEWAY_MILTER, &error);
	g_assert_no_error(error);
	site->outbound = outbound_new();
	site->status = status_new();
	site->report = report_new(site->gateway, site->status, NULL);
	site->area = spool_area_new_memory(spool_bytes);
	site->process = (struct process){
		.gateway = site->gateway,
		.outbound = site->outbound,
		.report = site->report,
	};
	site->handler =
	    (struct session_handler){ .spool = give_spool, .message = take_message, .data = site };
	return site;
}

static void
site_close(struct site *site)
{
	report_free(site->report);
	outbound_free(site->outbound);
	status_free(site->status);
	gateway_close(site->gateway);
	gateway_close(site->daemon);
	g_assert_cmpuint(spool_area_used(site->area), ==, 0);
	spool_area_unref(site->area);
	g_free(site);
}

struct wish {
	const char *scope; /* "" global, "user@domain", "domain" */
	const char *name;
	const char *value;
};

static gboolean
write_wish(struct tx *tx, gpointer data, GError **error)
{
	const struct wish *wish = data;
	enum scope_kind kind = *wish->scope == '\0'               ? SCOPE_GLOBAL
			       : strchr(wish->scope, '@') != NULL ? SCOPE_USER
								  : SCOPE_DOMAIN;
	CLEANUP(scope) struct scope *scope = scope_parse(kind, wish->scope, error);
	g_autofree char *value = NULL;
	enum preference preference;

	if (scope == NULL || !preference_find(wish->name, &preference, error))
		return FALSE;
	value = preference_normalise(preference, wish->value, error);
	return value != NULL && preferences_set(tx, scope, preference, value, error);
}

static void
site_wish(struct site *site, const struct wish *wish)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(
	    db_transaction(site->daemon->db, write_wish, (gpointer)(guintptr)wish, &error));
	g_assert_no_error(error);
	g_assert_true(changelog_poll(site->gateway->changelog, &error));
	g_assert_no_error(error);
}

static gboolean
make_ca(struct tx *tx, gpointer data, GError **error)
{
	struct site *site = data;
	const struct ca_create options = {
		.root = { .common_name = "Test Root", .key = "ec:P-256" },
		.intermediate = { .common_name = "Test CA", .key = "ec:P-256" },
		.make_default = TRUE,
		.trust_root = TRUE
	};
	struct ca_context context = { site->daemon->db, site->daemon->keyring, site->daemon->clock,
				      NULL };
	struct ca_created created = { 0 };

	if (!ca_create(&context, &options, &created, NULL, tx, error))
		return FALSE;
	cert_unref(created.root);
	cert_unref(created.intermediate);
	return TRUE;
}

struct order {
	struct enroll enroll;
	const char *email;
	gint64 id;
};

static gboolean
place_order(struct tx *tx, gpointer data, GError **error)
{
	struct order *order = data;
	const struct enroll_order what = { .email = order->email,
					   .common_name = order->email,
					   .key = "ec:P-256" };

	return enroll_create(&order->enroll, tx, &what, &order->id, error);
}

static void
site_issue(struct site *site, const char *email)
{
	struct order order = { .enroll = { .db = site->daemon->db,
					   .keyring = site->daemon->keyring,
					   .clock = site->daemon->clock },
			       .email = email };
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(site->daemon->db, place_order, &order, &error));
	g_assert_no_error(error);
	g_assert_true(enroll_advance(&order.enroll, order.id, NULL, &error));
	g_assert_no_error(error);
}

static struct site *
site_furnished(const char *extra, guint64 spool_bytes)
{
	static const struct wish internal = { "in.example", "locality", "internal" };
	struct site *site;
	g_autoptr(GError) error = NULL;

	scratch_pg_empty(pg);
	site = site_open(extra, spool_bytes);
	g_assert_true(db_transaction(site->daemon->db, make_ca, site, &error));
	g_assert_no_error(error);
	site_issue(site, ALICE);
	site_issue(site, BOB);
	site_wish(site, &internal);
	return site;
}

/* ---- a mail server -------------------------------------------------------------------------- */

struct fake_mta {
	struct mta mta;
	GString *edits; /* a line each */
	GString *body;
	gboolean replaced;
	char *reply;
	const char *login;
	guint fail_after; /* of edits and pieces; 0: never */
	guint done;
};

static const char *
fake_macro(struct mta *mta, const char *name)
{
	if (strcmp(name, "i") == 0)
		return "4Q";
	return strcmp(name, "{auth_authen}") == 0 ? ((struct fake_mta *)mta)->login : NULL;
}

static gboolean
note(struct mta *mta, const char *what, const char *name, const char *value)
{
	struct fake_mta *fake = (struct fake_mta *)mta;

	g_string_append_printf(fake->edits, "%s %s:%s\n", what, name, value ? value : "-");
	return fake->fail_after == 0 || ++fake->done < fake->fail_after;
}

static gboolean
fake_change(struct mta *mta, const char *name, guint occurrence, const char *value)
{
	g_assert_cmpuint(occurrence, >=, 1);
	return note(mta, value != NULL ? "change" : "delete", name, value);
}

static gboolean
fake_insert(struct mta *mta, guint index, const char *name, const char *value)
{
	g_assert_cmpuint(index, ==, 0);
	return note(mta, "insert", name, value);
}

static gboolean
fake_append(struct mta *mta, const char *name, const char *value)
{
	return note(mta, "append", name, value);
}

static gboolean
fake_body(struct mta *mta, gconstpointer bytes, gsize length)
{
	struct fake_mta *fake = (struct fake_mta *)mta;

	g_string_append_len(fake->body, bytes, (gssize)length);
	fake->replaced = TRUE;
	return fake->fail_after == 0 || ++fake->done < fake->fail_after;
}

static gboolean
fake_reply(struct mta *mta, const char *code, const char *status, const char *const *lines)
{
	struct fake_mta *fake = (struct fake_mta *)mta;
	g_autofree char *text = g_strjoinv(" / ", (char **)lines);

	g_free(fake->reply);
	fake->reply = g_strdup_printf("%s %s %s", code, status, text);
	return TRUE;
}

static const struct mta_ops fake_ops = { .macro = fake_macro,
					 .change_header = fake_change,
					 .insert_header = fake_insert,
					 .append_header = fake_append,
					 .replace_body = fake_body,
					 .set_reply = fake_reply };

static void
fake_init(struct fake_mta *fake)
{
	*fake = (struct fake_mta){ .mta.ops = &fake_ops,
				   .edits = g_string_new(NULL),
				   .body = g_string_new(NULL) };
}

static void
fake_clear(struct fake_mta *fake)
{
	g_string_free(fake->edits, TRUE);
	g_string_free(fake->body, TRUE);
	g_free(fake->reply);
}

struct mail {
	const char *client; /* NULL: loopback */
	const char *login;
	const char *sender;
	const char *recipients; /* separated by blanks */
	const char *fields;     /* "Name: value\n"... */
	const char *body;
	guint body_times; /* 0: once */
};

static enum session_answer
deliver(struct site *site, struct fake_mta *mta, const struct mail *mail)
{
	CLEANUP(session)
	struct session *session = session_new(&site->handler, &mta->mta, "client",
					      mail->client ? mail->client : "127.0.0.1");
	g_auto(GStrv) recipients = g_strsplit(mail->recipients, " ", -1);
	g_auto(GStrv) fields = g_strsplit(mail->fields, "\n", -1);
	const char *arguments[2] = { mail->sender, NULL };

	mta->login = mail->login;
	session_mail(session, arguments);
	for (guint i = 0; recipients[i] != NULL; i++) {
		arguments[0] = recipients[i];
		session_rcpt(session, arguments);
	}
	for (guint i = 0; fields[i] != NULL && *fields[i] != '\0'; i++) {
		char *colon = strchr(fields[i], ':');

		*colon = '\0';
		session_header(session, fields[i], colon + 1);
	}
	session_end_of_header(session);
	for (guint i = 0; i < MAX(mail->body_times, 1); i++)
		session_body(session, mail->body, strlen(mail->body));
	return session_end_of_message(session);
}

static guint
counted(struct site *site, enum reason reason)
{
	g_autofree char *json = status_json(site->status);
	g_autofree char *name = g_strdup_printf("\"%s\": ", reason_name(reason));
	const char *at = strstr(json, name);

	g_assert_nonnull(at);
	return (guint)g_ascii_strtoull(at + strlen(name), NULL, 10);
}

/* ---- rows ----------------------------------------------------------------------------------- */

#define FROM_ALICE "From: Alice <" ALICE ">\nTo: " BOB "\nSubject: hello\n"
#define TEXT "MIME-Version: 1.0\nContent-Type: text/plain\n"

struct row {
	const char *name;
	struct wish wishes[3];
	struct mail mail;
	enum reason reason;
	const char *reply; /* its beginning; NULL: accepted */
	const char *edits; /* a piece of them, "" for none at all, NULL does not matter */
	const char *body;  /* a piece of the new body, NULL: not replaced */
};

static const struct row rows[] = {
	{ "signed",
	  { { 0 } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB ">", FROM_ALICE TEXT, "hello\r\n", 0 },
	  REASON_DONE_SIGNED,
	  NULL,
	  "multipart/signed",
	  "\r\n\r\nhello\r\n" },
	{ "signed, without any MIME field",
	  { { 0 } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB ">", FROM_ALICE, "hello\r\n", 0 },
	  REASON_DONE_SIGNED,
	  NULL,
	  "multipart/signed",
	  "\r\n\r\nhello\r\n" },
	{ "signed, empty body",
	  { { 0 } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB ">", FROM_ALICE TEXT, "", 0 },
	  REASON_DONE_SIGNED,
	  NULL,
	  "multipart/signed",
	  "application/pkcs7-signature" },
	{ "signed and encrypted by force",
	  { { "out.example", "encrypt_mode", "force" } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB ">", FROM_ALICE TEXT, "hello\r\n", 0 },
	  REASON_DONE_SIGNED_ENCRYPTED,
	  NULL,
	  "application/pkcs7-mime",
	  "MI" },
	{ "encrypted alone",
	  { { "out.example", "encrypt_mode", "force" }, { "in.example", "sign_mode", "never" } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB ">", FROM_ALICE TEXT, "hello\r\n", 0 },
	  REASON_DONE_ENCRYPTED,
	  NULL,
	  "enveloped-data",
	  "MI" },
	{ "trigger encrypts and leaves",
	  { { 0 } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB ">",
	    "From: " ALICE "\nTo: " BOB "\nSubject: [encrypt] hello\n" TEXT, "hello\r\n", 0 },
	  REASON_DONE_SIGNED_ENCRYPTED,
	  NULL,
	  "change Subject: hello\n",
	  "MI" },
	{ "no certificate, by force",
	  { { "out.example", "encrypt_mode", "force" } },
	  { NULL, NULL, "<" ALICE ">", "<carol@out.example>",
	    "From: " ALICE "\nTo: carol@out.example\n" TEXT, "hello\r\n", 0 },
	  REASON_REFUSED_NO_CERTIFICATE,
	  "550 5.7.5 ",
	  "",
	  NULL },
	{ "one of two without certificate: nobody gets it",
	  { { "out.example", "encrypt_mode", "force" } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB "> <carol@out.example>",
	    "From: " ALICE "\nTo: carol@out.example, " BOB "\n" TEXT, "hello\r\n", 0 },
	  REASON_REFUSED_NO_CERTIFICATE,
	  "550 5.7.5 ",
	  "",
	  NULL },
	{ "different treatment",
	  { { BOB, "encrypt_mode", "force" } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB "> <carol@out.example>",
	    "From: " ALICE "\nTo: carol@out.example, " BOB "\n" TEXT, "hello\r\n", 0 },
	  REASON_DEFERRED_DIFFERENT,
	  "451 4.7.0 ",
	  "",
	  NULL },
	{ "a stranger with a forged From",
	  { { 0 } },
	  { "203.0.113.7", NULL, "<" ALICE ">", "<" BOB ">", FROM_ALICE TEXT, "hello\r\n", 0 },
	  REASON_COUNT,
	  NULL,
	  "",
	  NULL },
	{ "fields of ours from a stranger go",
	  { { 0 } },
	  { "203.0.113.7", NULL, "<x@other.example>", "<" ALICE ">",
	    "From: x@other.example\nX-Postseal-Integrity: none\n"
	    "Authentication-Results: mx.in.example; smime=pass\n" TEXT,
	    "hello\r\n", 0 },
	  REASON_LEAVE_INBOUND,
	  NULL,
	  "delete X-Postseal-Integrity:-\n",
	  NULL },
	{ "observe changes not one byte",
	  { { "in.example", "mode", "observe" }, { "out.example", "encrypt_mode", "force" } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB ">", FROM_ALICE "X-Postseal-Encrypt: yes\n" TEXT,
	    "hello\r\n", 0 },
	  REASON_COUNT,
	  NULL,
	  "",
	  NULL },
	{ "the null sender and force, no certificate: no word of it leaves",
	  { { "out.example", "encrypt_mode", "force" } },
	  { NULL, ALICE, "<>", "<carol@out.example>",
	    "From: " ALICE "\nTo: carol@out.example\n" TEXT "Content-Description: secret\n",
	    "secret\r\n", 0 },
	  REASON_LEAVE_CUT,
	  NULL,
	  "delete Content-Description:-\n",
	  "The text of this message was removed" },
	{ "the null sender, force for one of two: nobody gets the text",
	  { { BOB, "encrypt_mode", "force" } },
	  { NULL, ALICE, "<>", "<" BOB "> <carol@out.example>", FROM_ALICE TEXT, "secret\r\n", 0 },
	  REASON_LEAVE_CUT,
	  NULL,
	  "change Content-Type: text/plain; charset=us-ascii\n",
	  "The text of this message was removed" },
	{ "too large for a signature that must be",
	  { { "in.example", "sign_mode", "required" }, { "in.example", "max_size", "20000" } },
	  { NULL, NULL, "<" ALICE ">", "<" BOB ">", FROM_ALICE TEXT, "0123456789012345678\r\n",
	    2000 },
	  REASON_REFUSED_SIZE,
	  "552 5.3.4 ",
	  "",
	  NULL },
};

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	struct fake_mta mta;
	struct site *site;
	enum session_answer answer;

	if (scratch_pg_skip(pg))
		return;
	site = site_furnished(NULL, 1 << 24);
	for (gsize i = 0; i < G_N_ELEMENTS(row->wishes) && row->wishes[i].name != NULL; i++)
		site_wish(site, &row->wishes[i]);
	fake_init(&mta);
	answer = deliver(site, &mta, &row->mail);
	g_assert_cmpint(answer, ==, row->reply != NULL ? SESSION_REPLY : SESSION_CONTINUE);
	if (row->reply != NULL)
		g_assert_true(g_str_has_prefix(mta.reply, row->reply));
	else
		g_assert_cmpstr(mta.reply, ==, NULL);
	if (row->edits != NULL && *row->edits == '\0')
		g_assert_cmpstr(mta.edits->str, ==, "");
	else if (row->edits != NULL)
		g_assert_nonnull(strstr(mta.edits->str, row->edits));
	g_assert_cmpint(mta.replaced, ==, row->body != NULL);
	if (row->body != NULL)
		g_assert_nonnull(strstr(mta.body->str, row->body));
	if (mta.replaced)
		g_assert_null(strstr(mta.body->str, "secret"));
	if (row->reason != REASON_COUNT) {
		g_assert_cmpuint(counted(site, row->reason), ==, 1);
		reasons_seen(row->reason);
	}
	fake_clear(&mta);
	site_close(site);
}

/* ---- what goes wrong ------------------------------------------------------------------------ */

static const struct mail plain_mail = {
	NULL, NULL, "<" ALICE ">", "<" BOB ">", FROM_ALICE TEXT, "hello\r\n", 0
};

static void
expect_reply(struct site *site, const struct mail *mail, enum reason reason, const char *reply)
{
	struct fake_mta mta;
	guint before = counted(site, reason);

	fake_init(&mta);
	g_assert_cmpint(deliver(site, &mta, mail), ==, SESSION_REPLY);
	g_assert_true(g_str_has_prefix(mta.reply, reply));
	g_assert_cmpstr(mta.edits->str, ==, "");
	g_assert_false(mta.replaced);
	g_assert_cmpuint(counted(site, reason), ==, before + 1);
	reasons_seen(reason);
	fake_clear(&mta);
}

static void
expect_signed(struct site *site)
{
	struct fake_mta mta;

	fake_init(&mta);
	g_assert_cmpint(deliver(site, &mta, &plain_mail), ==, SESSION_CONTINUE);
	g_assert_nonnull(strstr(mta.edits->str, "multipart/signed"));
	fake_clear(&mta);
}

/* What is collected fits and what is made of it does not, or not even that. */
static void
test_spool_full(void)
{
	struct mail large = plain_mail;
	struct site *site;

	if (scratch_pg_skip(pg))
		return;
	site = site_furnished(NULL, 100000);
	large.body = "01234567890123456789012345678901234567890123456789012345678\r\n";
	large.body_times = 2000;
	expect_reply(site, &large, REASON_DEFERRED_SPOOL_FULL, "452 4.3.1 ");
	expect_signed(site);
	site_close(site);
}

static void
test_limit(void)
{
	g_autofree char *value = g_strnfill(HEADERS_FIELD_MAX_BYTES + 1, 'x');
	g_autofree char *fields = g_strconcat(FROM_ALICE TEXT "X-Long:", value, "\n", NULL);
	struct mail mail = plain_mail;
	struct site *site;

	if (scratch_pg_skip(pg))
		return;
	site = site_furnished(NULL, 1 << 24);
	mail.fields = fields;
	expect_reply(site, &mail, REASON_REFUSED_LIMIT, "550 5.7.1 ");
	site_close(site);
}

/* The limit of the mail server is checked before it does the work. */
static void
test_server_limit(void)
{
	static const struct wish force = { "out.example", "encrypt_mode", "force" };
	struct mail mail = plain_mail;
	struct site *site;

	if (scratch_pg_skip(pg))
		return;
	site = site_furnished("message_size_max=60000", 1 << 24);
	site_wish(site, &force);
	mail.body = "01234567890123456789012345678901234567890123456789012345678\r\n";
	mail.body_times = 800;
	expect_reply(site, &mail, REASON_REFUSED_SIZE, "552 5.3.4 ");
	site_close(site);
}

/* A server that takes no more, at each step: the message is deferred. */
static void
test_server_breaks(void)
{
	struct site *site;

	if (scratch_pg_skip(pg))
		return;
	site = site_furnished(NULL, 1 << 24);
	for (guint step = 1; step <= 2; step++) {
		struct fake_mta mta;

		fake_init(&mta);
		mta.fail_after = step;
		g_assert_cmpint(deliver(site, &mta, &plain_mail), ==, SESSION_REPLY);
		g_assert_true(g_str_has_prefix(mta.reply, "451 4.3.0 "));
		fake_clear(&mta);
	}
	g_assert_cmpuint(counted(site, REASON_DEFERRED_INTERNAL), ==, 2);
	reasons_seen(REASON_DEFERRED_INTERNAL);
	site_close(site);
}

/* Known things are answered from the caches for cache_grace, then everything waits. */
static void
test_database_down(void)
{
	struct site *site;

	if (scratch_pg_skip(pg))
		return;
	site = site_furnished(NULL, 1 << 24);
	expect_signed(site);
	scratch_pg_down(pg);
	expect_signed(site);
	scratch_pg_up(pg);
	site_close(site);
	site = site_furnished("cache_grace=1s", 1 << 24);
	scratch_pg_down(pg);
	g_usleep(3 * G_USEC_PER_SEC);
	expect_reply(site, &plain_mail, REASON_DEFERRED_STORE, "451 4.3.0 ");
	scratch_pg_up(pg);
	for (guint i = 0; i < 600 && !changelog_fresh(site->gateway->changelog, 1); i++)
		g_usleep(100000);
	expect_signed(site);
	site_close(site);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	log_start("test_process", LOG_TARGET_STDERR, LOG_LEVEL_INFO);
	pg = scratch_pg_start();
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strconcat("/process/", rows[i].name, NULL);
		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/process/spool-full", test_spool_full);
	g_test_add_func("/process/limit", test_limit);
	g_test_add_func("/process/server-limit", test_server_limit);
	g_test_add_func("/process/server-breaks", test_server_breaks);
	g_test_add_func("/process/database-down", test_database_down);
	status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
