/*
 * What earlier messages say, up to the ruling: answers to what was decrypted, certificates that
 * were asked for, ciphers that were announced; written by learning and read back through the store.
 */
#include <string.h>

#include "milter/learning.h"
#include "milter/message/headers.h"
#include "pki/crypto/cms.h"
#include "store/answers.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/capabilities.h"
#include "store/db/changelog.h"
#include "tests/unit/milter/reasons_seen.h"
#include "tests/unit/milter/site_fixture.h"

/* Requests and announcements are dated by the database's own clock. */
#define NOW (g_get_real_time() / G_USEC_PER_SEC)

static struct site *site;
static struct learning *learning;

static struct ruling *
rule(const struct site_mail *mail)
{
	g_autoptr(GError) error = NULL;
	struct ruling *ruling = site_rule(site, mail, &error);

	g_assert_no_error(error);
	reasons_seen(ruling->groups->reason);
	return ruling;
}

static void
heard(void)
{
	g_assert_true(learning_flush(learning, 10000));
	g_assert_true(changelog_poll(site_gateway(site)->changelog, NULL));
}

/* ---- auto_request --------------------------------------------------------------------------- */

#define LETTER(author, more) "From: " author "\nTo: bob@partner.example" more

static const struct {
	const char *name;
	const char *mode;
	const char *wait; /* auto_request_wait */
	const char *patience;
	struct site_mail mail;
	enum reason reason;
	gboolean requested;
} request_rows[] = {
	{ "try: unsigned, asked for",
	  "if-possible",
	  "off",
	  "15m",
	  { .sender = "new@corp.example",
	    .login = "new@corp.example",
	    .headers = LETTER("new@corp.example", "") },
	  REASON_PLAIN_NO_SIGNER,
	  TRUE },
	{ "must: refused, asked for",
	  "required",
	  "off",
	  "15m",
	  { .sender = "new@corp.example",
	    .login = "new@corp.example",
	    .headers = LETTER("new@corp.example", "") },
	  REASON_REFUSED_NO_SIGNER,
	  TRUE },
	{ "must, wait: deferred",
	  "required",
	  "on",
	  "15m",
	  { .sender = "new@corp.example",
	    .login = "new@corp.example",
	    .headers = LETTER("new@corp.example", "") },
	  REASON_DEFERRED_REQUEST,
	  TRUE },
	{ "try, wait: deferred",
	  "if-possible",
	  "on",
	  "15m",
	  { .sender = "new@corp.example",
	    .login = "new@corp.example",
	    .headers = LETTER("new@corp.example", "") },
	  REASON_DEFERRED_REQUEST,
	  TRUE },
	{ "must, no patience: refused",
	  "required",
	  "on",
	  "0s",
	  { .sender = "asked@corp.example",
	    .login = "asked@corp.example",
	    .headers = LETTER("asked@corp.example", "") },
	  REASON_REFUSED_NO_SIGNER,
	  TRUE },
	{ "never: not asked for",
	  "never",
	  "on",
	  "15m",
	  { .sender = "new@corp.example",
	    .login = "new@corp.example",
	    .headers = LETTER("new@corp.example", "") },
	  REASON_PLAIN_NOT_WANTED,
	  FALSE },
	{ "who has one: signed", "required", "on", "15m", { 0 }, REASON_DONE_SIGNED, FALSE },
	{ "a program's: refused, not asked for",
	  "required",
	  "on",
	  "15m",
	  { .sender = "new@corp.example",
	    .login = "new@corp.example",
	    .headers = LETTER("new@corp.example", "\nAuto-Submitted: auto-replied") },
	  REASON_REFUSED_NO_SIGNER,
	  FALSE },
	{ "Auto-Submitted: no, with a comment",
	  "required",
	  "on",
	  "15m",
	  { .sender = "new@corp.example",
	    .login = "new@corp.example",
	    .headers = LETTER("new@corp.example", "\nAuto-Submitted: No (a person)") },
	  REASON_DEFERRED_REQUEST,
	  TRUE },
	{ "nobody's: not asked for",
	  "required",
	  "on",
	  "15m",
	  { .sender = "", .login = "new@corp.example", .headers = LETTER("new@corp.example", "") },
	  REASON_LEAVE_NULL_SENDER,
	  FALSE },
	{ "another's login: not asked for",
	  "if-possible",
	  "on",
	  "15m",
	  { .sender = "new@corp.example",
	    .login = "alice@corp.example",
	    .headers = LETTER("new@corp.example", "") },
	  REASON_PLAIN_AUTHOR,
	  FALSE },
};

static void
test_requests(void)
{
	if (site_skip(site))
		return;
	g_assert_true(auto_requests_ask(site_gateway(site)->db, "asked@corp.example", NULL));
	for (guint i = 0; i < G_N_ELEMENTS(request_rows); i++) {
		CLEANUP(ruling) struct ruling *ruling = NULL;

		g_test_message("%s", request_rows[i].name);
		site_prefer(site, "corp.example", "sign_mode", request_rows[i].mode);
		site_prefer(site, "corp.example", "auto_request", "builtin");
		site_prefer(site, "corp.example", "auto_request_wait", request_rows[i].wait);
		site_set(site, "auto_request_wait_max", request_rows[i].patience);
		ruling = rule(&request_rows[i].mail);
		g_assert_cmpstr(reason_name(ruling->groups->reason), ==,
				reason_name(request_rows[i].reason));
		g_assert_cmpint(ruling->plans[0].request, ==, request_rows[i].requested);
	}
	site_set(site, "auto_request_wait_max", "15m");
	site_forget_preferences(site);
	site_prefer(site, "corp.example", "locality", "internal");
}

/* However often it is said, one row and its first time. */
static void
test_asked_once(void)
{
	struct db *db;
	CLEANUP(mailaddr) struct mailaddr *author = mailaddr_parse("once@corp.example", NULL);
	gint64 first = CLOCK_NEVER, again = CLOCK_NEVER;

	if (site_skip(site))
		return;
	db = site_gateway(site)->db;
	g_assert_true(auto_requests_find(db, "once@corp.example", &first, NULL));
	g_assert_cmpint(first, ==, CLOCK_NEVER);
	learning_requests(learning, author);
	heard();
	g_assert_true(auto_requests_find(db, "once@corp.example", &first, NULL));
	g_assert_cmpint(first, !=, CLOCK_NEVER);
	learning_requests(learning, author);
	heard();
	g_assert_true(auto_requests_find(db, "once@corp.example", &again, NULL));
	g_assert_cmpint(first, ==, again);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void
note_decrypted(const char *recipient, const char *message_id)
{
	CLEANUP(headers) struct headers *headers = headers_new();
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(recipient, NULL);

	g_assert_true(headers_add(headers, "Message-ID", message_id, strlen(message_id), NULL));
	learning_decrypted(learning, headers, address);
}

static void
test_answers(void)
{
	static const struct {
		const char *name, *reply, *mode, *headers, *recipient;
		gboolean down;
		enum reason reason;
	} rows[] = {
		{ "allow: encrypted", "allow", "allow",
		  "From: alice@corp.example\nIn-Reply-To: <q@x>", NULL, FALSE,
		  REASON_DONE_ENCRYPTED },
		{ "blanks and company in References", "allow", "allow",
		  "From: alice@corp.example\nReferences: <a@b>  <q @x>", NULL, FALSE,
		  REASON_DONE_ENCRYPTED },
		{ "with a tag", "allow", "allow",
		  "From: alice+news@corp.example\nIn-Reply-To: <q@x>", NULL, FALSE,
		  REASON_DONE_ENCRYPTED },
		{ "came in with a tag", "allow", "allow",
		  "From: alice@corp.example\nIn-Reply-To: <tagged@x>", NULL, FALSE,
		  REASON_DONE_ENCRYPTED },
		{ "another's question", "force", "allow",
		  "From: alice@corp.example\nIn-Reply-To: <carols@x>", NULL, FALSE,
		  REASON_PLAIN_NOT_WANTED },
		{ "no answer", "force", "allow", "From: alice@corp.example", NULL, FALSE,
		  REASON_PLAIN_NOT_WANTED },
		{ "broken references", "force", "allow",
		  "From: alice@corp.example\nReferences: q@x> <q@x", NULL, FALSE,
		  REASON_PLAIN_NOT_WANTED },
		{ "allow, no certificate: plain", "allow", "allow",
		  "From: alice@corp.example\nIn-Reply-To: <q@x>", "erik@partner.example", FALSE,
		  REASON_PLAIN_OPPORTUNISTIC },
		{ "force, no certificate: refused", "force", "allow",
		  "From: alice@corp.example\nIn-Reply-To: <q@x>", "erik@partner.example", FALSE,
		  REASON_REFUSED_NO_CERTIFICATE },
		{ "off", "off", "allow", "From: alice@corp.example\nIn-Reply-To: <q@x>", NULL,
		  FALSE, REASON_PLAIN_NOT_WANTED },
		{ "nobody knows", "force", "allow", "From: alice@corp.example\nIn-Reply-To: <?@x>",
		  NULL, TRUE, REASON_DEFERRED_STORE },
		{ "nobody knows, and it does not matter", "allow", "opportunistic",
		  "From: alice@corp.example\nIn-Reply-To: <?@x>", NULL, TRUE,
		  REASON_DONE_ENCRYPTED },
	};

	if (site_skip(site))
		return;
	site_prefer(site, "corp.example", "sign_mode", "never");
	note_decrypted("alice@corp.example", " <q@x>");
	note_decrypted("alice+lists@corp.example", "<tagged@x>");
	note_decrypted("carol@corp.example", "<carols@x>");
	note_decrypted("carol@corp.example", "no identifier");
	heard();
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct site_mail mail = { .headers = rows[i].headers,
					  .recipients = rows[i].recipient };
		CLEANUP(ruling) struct ruling *ruling = NULL;

		g_test_message("%s", rows[i].name);
		site_prefer(site, "corp.example", "reply_encrypt", rows[i].reply);
		site_prefer(site, "corp.example", "encrypt_mode", rows[i].mode);
		ruling = rule(&mail);
		if (rows[i].down) { /* what else is asked for is in the caches by now */
			ruling_free(g_steal_pointer(&ruling));
			site_database_down(site);
			ruling = rule(&mail);
			site_database_up(site);
		}
		g_assert_cmpstr(reason_name(ruling->groups->reason), ==,
				reason_name(rows[i].reason));
	}
	site_forget_preferences(site);
	site_prefer(site, "corp.example", "locality", "internal");
}

/* ---- ciphers -------------------------------------------------------------------------------- */

#define BIT(name) (1u << CMS_CIPHER_##name)
#define OAEP(name) (1u << CMS_TRANSPORT_OAEP_##name)
#define DAY 86400

static void
test_announced(void)
{
	static const struct {
		const char *name;
		guint ciphers, transports;
		gint64 at; /* seconds from now */
		enum copy_cipher cipher;
		enum copy_transport transport;
	} rows[] = {
		{ "the strongest of all", 0x1f, 0, -1000, CIPHER_AES_256_GCM, TRANSPORT_PKCS1 },
		{ "GCM before CBC", BIT(AES_128_GCM) | BIT(AES_256_CBC), 0, -900,
		  CIPHER_AES_128_GCM, TRANSPORT_PKCS1 },
		{ "older: not heard", 0x1f, 0, -901, CIPHER_AES_128_GCM, TRANSPORT_PKCS1 },
		{ "of the same second: not heard", 0x1f, 0, -900, CIPHER_AES_128_GCM,
		  TRANSPORT_PKCS1 },
		{ "far ahead: not heard", 0x1f, 0, DAY + 60, CIPHER_AES_128_GCM, TRANSPORT_PKCS1 },
		{ "without a time: not heard", 0x1f, 0, CLOCK_NEVER, CIPHER_AES_128_GCM,
		  TRANSPORT_PKCS1 },
		{ "aes-128-cbc alone", BIT(AES_128_CBC), 0, -800, CIPHER_AES_128_CBC,
		  TRANSPORT_PKCS1 },
		{ "aes-192 is nothing that we write", BIT(AES_192_CBC), 0, -700, CIPHER_AES_256_CBC,
		  TRANSPORT_PKCS1 },
		{ "nothing of ours", 0, 0, -600, CIPHER_AES_256_CBC, TRANSPORT_PKCS1 },
		{ "OAEP", BIT(AES_256_CBC), OAEP(SHA512) | OAEP(SHA256), -500, CIPHER_AES_256_CBC,
		  TRANSPORT_OAEP_SHA256 },
		{ "OAEP with SHA-1 is not used", BIT(AES_256_CBC), OAEP(SHA1), -400,
		  CIPHER_AES_256_CBC, TRANSPORT_PKCS1 },
		{ "a little ahead", 0x1f, 0, DAY - 60, CIPHER_AES_256_GCM, TRANSPORT_PKCS1 },
	};
	CLEANUP(mailaddr) struct mailaddr *bob = mailaddr_parse("bob@partner.example", NULL);
	gint64 now = NOW;

	if (site_skip(site))
		return;
	site_prefer(site, "partner.example", "encrypt_mode", "force");
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct site_mail mail = { 0 };
		CLEANUP(ruling) struct ruling *ruling = NULL;

		g_test_message("%s", rows[i].name);
		learning_announced(learning, bob, rows[i].ciphers, rows[i].transports,
				   rows[i].at == CLOCK_NEVER ? CLOCK_NEVER : now + rows[i].at);
		heard();
		ruling = rule(&mail);
		g_assert_cmpint(ruling->plans[0].cipher, ==, rows[i].cipher);
		g_assert_cmpint(ruling->plans[0].transport, ==, rows[i].transport);
	}
	/* What is set by hand is not asked about; and a filter's login does not date ahead. */
	site_prefer(site, "bob@partner.example", "cipher", "aes-128-cbc");
	const struct site_mail mail = { 0 };
	CLEANUP(ruling) struct ruling *ruling = rule(&mail);
	g_assert_cmpint(ruling->plans[0].cipher, ==, CIPHER_AES_128_CBC);
	struct capability_row ahead = { (char *)"bob@partner.example", 1, 0, now + 2 * DAY };
	gboolean newer = TRUE;
	g_assert_true(capabilities_learn(site_gateway(site)->db, &ahead, &newer, NULL));
	g_assert_false(newer);
}

int
main(int argc, char **argv)
{
	CLEANUP(cert) struct cert *alice = NULL;
	CLEANUP(cert) struct cert *bob = NULL;
	int status;

	g_test_init(&argc, &argv, NULL);
	site = site_start(NOW);
	if (site != NULL) {
		alice = site_issue(site, "alice@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
		bob = site_issue(site, "bob@partner.example", KEY_KIND_RSA, SITE_KEY_ELSEWHERE);
		site_prefer(site, "corp.example", "locality", "internal");
		learning = learning_start(site_gateway(site), NULL);
	}
	g_test_add_func("/gather/author/certificates on request", test_requests);
	g_test_add_func("/gather/author/asked once", test_asked_once);
	g_test_add_func("/gather/author/answers", test_answers);
	g_test_add_func("/gather/author/announced ciphers", test_announced);
	status = g_test_run();
	learning_stop(learning);
	site_stop(site);
	return status;
}
