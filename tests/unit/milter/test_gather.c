/*
 * From a message to its ruling with a real database: who may be signed for, whose certificates
 * are used, what unknown means, and that nothing is asked twice.
 */
#include <string.h>
#include <time.h>

#include "milter/explain.h"
#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/mime/subject.h"
#include "pki/keyring.h"
#include "pki/select.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"
#include "store/db/db.h"
#include "tests/unit/milter/reasons_seen.h"
#include "tests/unit/milter/site_fixture.h"

#define NOW G_GINT64_CONSTANT(1790000000)

static struct site *site;
static struct cert *alice, *carol, *bob_rsa, *bob_ec, *dora_ec;

/* alice and carol are ours, with keys; bob has two certificates, dora one; erik has none. */
static void
usual_people(void)
{
	alice = site_issue(site, "alice@corp.example", KEY_KIND_EC, SITE_KEY_HELD);
	carol = site_issue(site, "carol@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	bob_rsa = site_issue(site, "bob@partner.example", KEY_KIND_RSA, SITE_KEY_ELSEWHERE);
	bob_ec = site_issue(site, "bob@partner.example", KEY_KIND_EC, SITE_KEY_ELSEWHERE);
	dora_ec = site_issue(site, "dora@partner.example", KEY_KIND_EC, SITE_KEY_ELSEWHERE);
}

static void
usual_preferences(void)
{
	site_forget_preferences(site);
	site_prefer(site, "corp.example", "locality", "internal");
}

static struct ruling *
rule(const struct site_mail *mail)
{
	g_autoptr(GError) error = NULL;
	struct ruling *ruling = site_rule(site, mail, &error);

	g_assert_no_error(error);
	reasons_seen(ruling->groups->reason);
	return ruling;
}

/* ---- who may be signed for ------------------------------------------------------------------ */

static const struct {
	const char *name;
	struct site_mail mail;
	gboolean signed_;
	enum reason reason;
} forgeries[] = {
	{ "alice, logged in", { 0 }, TRUE, REASON_DONE_SIGNED },
	{ "alice from a trusted network",
	  { .login = "", .client = "127.0.0.1" },
	  TRUE,
	  REASON_DONE_SIGNED },
	{ "an outsider with a forged internal envelope sender",
	  { .login = "", .headers = "From: eve@evil.example\nTo: bob@partner.example" },
	  FALSE,
	  REASON_PLAIN_UNTRUSTED },
	{ "an outsider with a forged From",
	  { .login = "", .sender = "eve@evil.example" },
	  FALSE,
	  REASON_PLAIN_UNTRUSTED },
	{ "an outsider with both forged", { .login = "" }, FALSE, REASON_PLAIN_UNTRUSTED },
	{ "an outsider with both forged, to one of us",
	  { .login = "", .recipients = "carol@corp.example" },
	  FALSE,
	  REASON_LEAVE_SPOOFED },
	{ "carol logged in, alice in From",
	  { .login = "carol@corp.example" },
	  FALSE,
	  REASON_PLAIN_AUTHOR },
	{ "carol logged in, alice in From and carol in Sender",
	  { .login = "carol@corp.example",
	    .headers = "From: alice@corp.example\nSender: carol@corp.example\n"
		       "To: bob@partner.example" },
	  FALSE,
	  REASON_PLAIN_AUTHOR },
	{ "two From fields",
	  { .headers = "From: alice@corp.example\nFrom: carol@corp.example\n"
		       "To: bob@partner.example" },
	  FALSE,
	  REASON_PLAIN_AUTHOR },
	{ "two equal From fields",
	  { .headers = "From: alice@corp.example\nFrom: alice@corp.example\n"
		       "To: bob@partner.example" },
	  FALSE,
	  REASON_PLAIN_AUTHOR },
	{ "From with two mailboxes",
	  { .headers = "From: alice@corp.example, carol@corp.example\n"
		       "To: bob@partner.example" },
	  FALSE,
	  REASON_PLAIN_AUTHOR },
	{ "no From", { .headers = "To: bob@partner.example" }, FALSE, REASON_PLAIN_AUTHOR },
	{ "an outsider in From, alice in Sender",
	  { .headers = "From: eve@evil.example\nSender: alice@corp.example\n"
		       "To: bob@partner.example" },
	  FALSE,
	  REASON_PLAIN_AUTHOR },
	{ "Resent-From",
	  { .headers = "From: alice@corp.example\nResent-From: carol@corp.example\n"
		       "To: bob@partner.example" },
	  FALSE,
	  REASON_PLAIN_AUTHOR },
	{ "the null sender with a forged From from outside",
	  { .login = "", .sender = "" },
	  FALSE,
	  REASON_PLAIN_UNTRUSTED },
	{ "the null sender with alice in From, logged in",
	  { .sender = "" },
	  FALSE,
	  REASON_LEAVE_NULL_SENDER },
	{ "loopback, a stranger's envelope sender, alice in From",
	  { .login = "", .client = "127.0.0.1", .sender = "eve@evil.example" },
	  FALSE,
	  REASON_PLAIN_AUTHOR },
	{ "behind a content filter: alice in From and envelope",
	  { .login = "", .client = "127.0.0.1", .daemon = "AFTER-FILTER" },
	  FALSE,
	  REASON_PLAIN_UNTRUSTED },
	{ "behind a content filter: a forged From",
	  { .login = "",
	    .client = "127.0.0.1",
	    .daemon = "AFTER-FILTER",
	    .sender = "eve@evil.example" },
	  FALSE,
	  REASON_PLAIN_UNTRUSTED },
	{ "behind a content filter: the null sender with a forged From",
	  { .login = "", .client = "127.0.0.1", .daemon = "AFTER-FILTER", .sender = "" },
	  FALSE,
	  REASON_PLAIN_UNTRUSTED },
};

static void
test_signed_for(void)
{
	if (site_skip(site))
		return;
	usual_preferences();
	site_set(site, "relay_daemons", "AFTER-FILTER");
	for (guint i = 0; i < G_N_ELEMENTS(forgeries); i++) {
		CLEANUP(ruling) struct ruling *ruling = rule(&forgeries[i].mail);

		g_test_message("%s: %s", forgeries[i].name,
			       decide_row_text(ruling->plans[0].sign_row));
		g_assert_cmpint(ruling->plans[0].sign, ==, forgeries[i].signed_);
		g_assert_cmpstr(reason_name(ruling->groups->reason), ==,
				reason_name(forgeries[i].reason));
		if (!forgeries[i].signed_)
			continue;
		const struct group *group = g_ptr_array_index(ruling->groups->copies, 0);

		g_assert_true(cert_equal(group->signer, alice));
		g_assert_nonnull(group->signer_key);
	}
}

/* With required the same are refused, and nobody outside hears why. */
static void
test_required(void)
{
	static const struct {
		const char *name;
		struct site_mail mail;
		const char *line;
	} rows[] = {
		{ "carol in alice's name",
		  { .login = "carol@corp.example" },
		  "<bob@partner.example>: must be signed, but the sender may not write as this "
		  "author" },
		{ "nobody in From, alice in the envelope",
		  { .headers = "To: bob@partner.example" },
		  "<bob@partner.example>: must be signed, but the sender may not write as this "
		  "author" },
	};

	if (site_skip(site))
		return;
	usual_preferences();
	site_prefer(site, "corp.example", "sign_mode", "required");
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(ruling) struct ruling *ruling = rule(&rows[i].mail);

		g_test_message("%s", rows[i].name);
		g_assert_nonnull(ruling->reply);
		g_assert_cmpstr(ruling->reply->code, ==, "550");
		g_assert_cmpstr(ruling->reply->status, ==, "5.7.1");
		g_assert_cmpstr(ruling->reply->lines[0], ==, rows[i].line);
	}
}

/* ---- recipients ----------------------------------------------------------------------------- */

static gboolean
has_cert(const struct group *group, const struct cert *cert)
{
	for (guint i = 0; i < group->certificates->len; i++) {
		if (cert_equal(g_ptr_array_index(group->certificates, i), cert))
			return TRUE;
	}
	return FALSE;
}

static void
test_certificates(void)
{
	static const struct {
		const char *name, *key_kind;
		enum copy_keys keys;
		gboolean rsa, ec, own;
	} rows[] = {
		{ "rsa-first: RSA alone, the author's EC one cannot go along", "rsa-first",
		  KEYS_RSA, TRUE, FALSE, FALSE },
		{ "ec-first: EC and the author's own", "ec-first", KEYS_EC, FALSE, TRUE, TRUE },
		{ "all: everything", "all", KEYS_MIXED, TRUE, TRUE, TRUE },
	};

	if (site_skip(site))
		return;
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct site_mail mail = { 0 };
		CLEANUP(ruling) struct ruling *ruling = NULL;
		const struct group *group;

		usual_preferences();
		site_prefer(site, "bob@partner.example", "encrypt_mode", "force");
		site_prefer(site, "bob@partner.example", "key_kind", rows[i].key_kind);
		ruling = rule(&mail);
		group = g_ptr_array_index(ruling->groups->copies, 0);
		g_test_message("%s", rows[i].name);
		g_assert_true(group->plan.encrypt && group->plan.sign);
		g_assert_cmpint(group->plan.keys, ==, rows[i].keys);
		g_assert_cmpint(has_cert(group, bob_rsa), ==, rows[i].rsa);
		g_assert_cmpint(has_cert(group, bob_ec), ==, rows[i].ec);
		g_assert_cmpint(has_cert(group, alice), ==, rows[i].own);
	}
}

static void
test_recipients(void)
{
	static const struct {
		const char *name, *recipients, *headers;
		enum outcome outcome;
		enum reason reason;
	} rows[] = {
		{ "one with and one without a certificate",
		  "bob@partner.example erik@partner.example", NULL, OUTCOME_REFUSE,
		  REASON_REFUSED_NO_CERTIFICATE },
		{ "RSA and EC", "bob@partner.example dora@partner.example", NULL, OUTCOME_DEFER,
		  REASON_DEFERRED_DIFFERENT },
		{ "hidden and given twice", "dora@partner.example Dora@partner.example",
		  "From: alice@corp.example\nTo: somebody@partner.example", OUTCOME_DO,
		  REASON_DONE_SIGNED_ENCRYPTED },
		{ "both named", "dora@partner.example dora@partner.example",
		  "From: alice@corp.example\nCc: Dora <Dora@Partner.Example>", OUTCOME_DO,
		  REASON_DONE_SIGNED_ENCRYPTED },
		{ "hidden and alone", "dora@partner.example",
		  "From: alice@corp.example\nTo: somebody@partner.example", OUTCOME_DO,
		  REASON_DONE_SIGNED_ENCRYPTED },
		{ "internal and external", "dora@partner.example carol@corp.example", NULL,
		  OUTCOME_DEFER, REASON_DEFERRED_DIFFERENT },
		{ "routed out of our domain: who is meant is the one behind",
		  "dora%partner.example@corp.example", NULL, OUTCOME_DO,
		  REASON_DONE_SIGNED_ENCRYPTED },
		{ "routed in quotes", "\"erik@partner.example\"@corp.example", NULL, OUTCOME_REFUSE,
		  REASON_REFUSED_NO_CERTIFICATE },
		{ "routed with a bang", "partner.example!erik@corp.example", NULL, OUTCOME_REFUSE,
		  REASON_REFUSED_NO_CERTIFICATE },
		{ "routed over a stranger: what either demands", "erik%partner.example@localhost",
		  NULL, OUTCOME_REFUSE, REASON_REFUSED_NO_CERTIFICATE },
		{ "routed by a second at sign", "erik@partner.example@corp.example", NULL,
		  OUTCOME_REFUSE, REASON_REFUSED_NO_CERTIFICATE },
		{ "no route: one of ours", "fax%7@corp.example", NULL, OUTCOME_LEAVE,
		  REASON_LEAVE_INTERNAL },
		{ "a local part that is none: its domain's preferences count",
		  "er[i]k@partner.example", NULL, OUTCOME_REFUSE, REASON_REFUSED_NO_CERTIFICATE },
		{ "a local part that is no UTF-8", "er\xffk@partner.example", NULL, OUTCOME_REFUSE,
		  REASON_REFUSED_NO_CERTIFICATE },
		{ "not an address", "dora", "From: alice@corp.example", OUTCOME_DO,
		  REASON_DONE_SIGNED },
	};

	if (site_skip(site))
		return;
	usual_preferences();
	site_prefer(site, "partner.example", "encrypt_mode", "force");
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct site_mail mail = { .recipients = rows[i].recipients,
					  .headers = rows[i].headers };
		CLEANUP(ruling) struct ruling *ruling = rule(&mail);

		g_test_message("%s", rows[i].name);
		g_assert_cmpstr(decide_outcome_name(ruling->groups->outcome), ==,
				decide_outcome_name(rows[i].outcome));
		g_assert_cmpstr(reason_name(ruling->groups->reason), ==,
				reason_name(rows[i].reason));
	}
}

static void
test_additional(void)
{
	struct site_mail mail = { .recipients = "dora@partner.example" };
	CLEANUP(cert)
	struct cert *archive =
	    site_issue(site, "archive@corp.example", KEY_KIND_EC, SITE_KEY_ELSEWHERE);
	CLEANUP(cert)
	struct cert *escrow =
	    site_issue(site, "escrow@corp.example", KEY_KIND_RSA, SITE_KEY_ELSEWHERE);

	usual_preferences();
	site_prefer(site, "partner.example", "encrypt_mode", "force");
	site_select(site, "corp.example", "additional", archive);
	{
		CLEANUP(ruling) struct ruling *ruling = rule(&mail);
		const struct group *group = g_ptr_array_index(ruling->groups->copies, 0);

		g_assert_true(has_cert(group, archive));
		g_assert_cmpuint(group->plan.additional_set, ==, 1);
	}
	/* One of the other kind cannot go along: missing, and fatal only where it is required. */
	site_select(site, "global", "additional", escrow);
	{
		CLEANUP(ruling) struct ruling *ruling = rule(&mail);
		const struct group *group = g_ptr_array_index(ruling->groups->copies, 0);

		g_assert_cmpint(ruling->groups->outcome, ==, OUTCOME_DO);
		g_assert_false(has_cert(group, escrow));
	}
	site_prefer(site, "corp.example", "additional_required", "on");
	{
		CLEANUP(ruling) struct ruling *ruling = rule(&mail);

		g_assert_cmpint(ruling->groups->reason, ==, REASON_DEFERRED_ADDITIONAL);
	}
}

static void
test_additional_if_database(void)
{
	if (!site_skip(site))
		test_additional();
}

/* ---- preferences ---------------------------------------------------------------------------- */

static const struct {
	const char *name, *scope, *preference, *value;
	struct site_mail mail;
	enum reason reason;
} preferring_rows[] = {
	{ "the user before the domain",
	  "alice@corp.example",
	  "sign_mode",
	  "never",
	  { 0 },
	  REASON_PLAIN_NOT_WANTED },
	{ "a subject trigger",
	  "global",
	  "mode",
	  "active",
	  { .headers = "From: alice@corp.example\nTo: bob@partner.example\n"
		       "Subject: [encrypt] hello" },
	  REASON_DONE_SIGNED_ENCRYPTED },
	{ "Sensitivity",
	  "global",
	  "mode",
	  "active",
	  { .headers = "From: alice@corp.example\nTo: bob@partner.example\n"
		       "Sensitivity: Company-Confidential" },
	  REASON_DONE_SIGNED_ENCRYPTED },
	{ "observe of the author",
	  "alice@corp.example",
	  "mode",
	  "observe",
	  { 0 },
	  REASON_DONE_SIGNED },
	{ "somebody else's observe in From does not free the envelope sender",
	  "carol@corp.example",
	  "mode",
	  "observe",
	  { .headers = "From: carol@corp.example\nTo: erik@partner.example\n"
		       "Subject: [encrypt] hello",
	    .recipients = "erik@partner.example" },
	  REASON_REFUSED_NO_CERTIFICATE },
	{ "observe of the recipient's domain",
	  "partner.example",
	  "mode",
	  "observe",
	  { .login = "carol@corp.example" },
	  REASON_PLAIN_AUTHOR },
	{ "max_size", "alice@corp.example", "max_size", "1K", { 0 }, REASON_PLAIN_SIZE },
	{ "author_check = network",
	  "corp.example",
	  "author_check",
	  "network",
	  { .login = "carol@corp.example" },
	  REASON_DONE_SIGNED },
	{ "logins",
	  "alice@corp.example",
	  "logins",
	  "carol@corp.example",
	  { .login = "carol@corp.example" },
	  REASON_DONE_SIGNED },
	{ "the envelope sender's required counts too",
	  "carol@corp.example",
	  "sign_mode",
	  "required",
	  { .sender = "carol@corp.example", .login = "carol@corp.example" },
	  REASON_REFUSED_AUTHOR },
	{ "a list of ours, a stranger's letter: relayed",
	  "corp.example",
	  "sign_mode",
	  "required",
	  { .login = "",
	    .client = "127.0.0.1",
	    .sender = "list-bounces@corp.example",
	    .headers = "From: eve@evil.example\nList-Id: <l.corp.example>\n"
		       "To: l@corp.example" },
	  REASON_PLAIN_NOT_WANTED },
	{ "the same without List-Id: ours, and refused",
	  "corp.example",
	  "sign_mode",
	  "required",
	  { .login = "",
	    .client = "127.0.0.1",
	    .sender = "list-bounces@corp.example",
	    .headers = "From: eve@evil.example\nTo: l@corp.example" },
	  REASON_REFUSED_AUTHOR },
	{ "spoofed, reject",
	  "carol@corp.example",
	  "on_spoofed_internal",
	  "reject",
	  { .login = "", .recipients = "carol@corp.example" },
	  REASON_REFUSED_SPOOFED },
};

static void
test_preferences(void)
{
	if (site_skip(site))
		return;
	for (guint i = 0; i < G_N_ELEMENTS(preferring_rows); i++) {
		CLEANUP(ruling) struct ruling *ruling = NULL;

		usual_preferences();
		site_prefer(site, preferring_rows[i].scope, preferring_rows[i].preference,
			    preferring_rows[i].value);
		ruling = rule(&preferring_rows[i].mail);
		g_test_message("%s", preferring_rows[i].name);
		g_assert_cmpstr(reason_name(ruling->plans[0].reason), ==,
				reason_name(preferring_rows[i].reason));
		g_assert_cmpint(ruling->observed, ==,
				g_str_has_prefix(preferring_rows[i].name, "observe"));
		g_assert_cmpint(ruling->observed && ruling->plans[0].sign, ==, FALSE);
	}
}

/* ---- the database --------------------------------------------------------------------------- */

/* What was asked once is not asked again while nothing changes. */
static void
test_no_round_trip(void)
{
	struct site_mail mail = { .recipients = "bob@partner.example" };
	struct db_stats before, after;

	if (site_skip(site))
		return;
	usual_preferences();
	site_prefer(site, "partner.example", "encrypt_mode", "force");
	ruling_free(rule(&mail));
	db_stats(site_gateway(site)->db, &before);
	for (guint i = 0; i < 20; i++)
		ruling_free(rule(&mail));
	db_stats(site_gateway(site)->db, &after);
	/* The change log polls every second behind our back. */
	g_assert_cmpuint(after.queries - before.queries, <=, 2);
}

/* What is cached goes on; what is not is an error that may pass, never plain text. */
static void
test_database_down(void)
{
	struct site_mail known = { .recipients = "bob@partner.example" };
	struct site_mail unknown = { .recipients = "zoe@elsewhere.example" };
	g_autoptr(GError) error = NULL;

	if (site_skip(site))
		return;
	usual_preferences();
	site_prefer(site, "partner.example", "encrypt_mode", "force");
	/* Of who has no preferences of his own that much is known without asking. */
	site_prefer(site, "zoe@elsewhere.example", "encrypt_mode", "allow");
	ruling_free(rule(&known));
	site_database_down(site);
	{
		CLEANUP(ruling) struct ruling *ruling = rule(&known);

		g_assert_cmpint(ruling->groups->outcome, ==, OUTCOME_DO);
	}
	g_assert_null(site_rule(site, &unknown, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	site_database_up(site);
	ruling_free(rule(&unknown));
}

/* ---- explain -------------------------------------------------------------------------------- */

static void
test_describe_is_stable(void)
{
	struct site_mail mail = { .recipients = "bob@partner.example erik@partner.example" };
	g_autoptr(GString) first = g_string_new(NULL);
	g_autoptr(GString) second = g_string_new(NULL);
	struct ruling *ruling;

	if (site_skip(site))
		return;
	usual_preferences();
	ruling = rule(&mail);
	ruling_describe(ruling, first);
	ruling_free(ruling);
	ruling = rule(&mail);
	ruling_describe(ruling, second);
	ruling_free(ruling);
	g_assert_cmpstr(first->str, ==, second->str);
	g_assert_nonnull(strstr(first->str, "\"author\": \"alice@corp.example\""));
}

/* A reload that does not fit leaves everything as it was. */
static void
test_reload(void)
{
	struct site_mail mail = { .login = "", .client = "127.0.0.1" };
	const struct settings *before;
	struct settings *wrong;
	g_autoptr(GError) error = NULL;

	if (site_skip(site))
		return;
	usual_preferences();
	before = gateway_settings(site_gateway(site));
	wrong = settings_default();
	g_assert_true(settings_set(wrong, "trusted_daemons", "BOTH", NULL));
	g_assert_true(settings_set(wrong, "relay_daemons", "BOTH", NULL));
	g_assert_false(gateway_reload(site_gateway(site), wrong, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_true(gateway_settings(site_gateway(site)) == before);
	site_set(site, "trusted_networks", "192.0.2.0/24");
	{
		CLEANUP(ruling) struct ruling *ruling = rule(&mail);

		g_assert_cmpint(ruling->gathered->facts.origin, ==, ORIGIN_UNTRUSTED);
	}
	site_set(site, "trusted_networks", "127.0.0.0/8");
	/* What was given out before a reload may still be read. */
	g_assert_cmpstr(before->local_part_case, ==, "fold");
}

/* ---- explain and the filter ----------------------------------------------------------------- */

#define GENERATED 500
#define COST_ROUNDS 5000

static const char *
any_of(const char *const *texts, guint count)
{
	return texts[g_test_rand_int_range(0, (gint32)count)];
}
#define ANY(texts) any_of(texts, G_N_ELEMENTS(texts))

static void
prefer_at_random(void)
{
	static const char *const people[] = { "alice@corp.example",  "carol@corp.example",
					      "bob@partner.example", "dora@partner.example",
					      "partner.example",     "corp.example" };
	static const struct {
		const char *name, *values;
	} choices[] = {
		{ "encrypt_mode", "none allow opportunistic force" },
		{ "sign_mode", "never when-encrypted if-possible required" },
		{ "smime", "off on" },
		{ "protect_internal", "off on" },
		{ "calendar", "plain sign-only normal" },
		{ "signing_format", "clear opaque" },
		{ "signature_scheme", "pkcs1 pss" },
		{ "cipher", "auto aes-256-gcm aes-128-cbc" },
		{ "key_transport", "auto oaep-sha256" },
		{ "key_kind", "rsa-first ec-first all" },
		{ "trigger_when_off", "refuse ignore" },
		{ "on_spoofed_internal", "inbound reject" },
		{ "author_check", "login network none-signed" },
		{ "mode", "active observe" },
	};

	usual_preferences();
	for (guint i = 0; i < 12; i++) {
		guint at = (guint)g_test_rand_int_range(0, G_N_ELEMENTS(choices));
		g_auto(GStrv) values = g_strsplit(choices[at].values, " ", -1);

		site_prefer(site, ANY(people), choices[at].name,
			    any_of((const char *const *)values, g_strv_length(values)));
	}
}

/* The ruling inside of what explain says. */
static char *
explained(const struct explain_question *question)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = explain_question(site_gateway(site), question, &error);
	const char *start;

	g_assert_no_error(error);
	start = strstr(text, "\"ruling\": ");
	g_assert_nonnull(start);
	start += strlen("\"ruling\": ");
	return g_strndup(start, strlen(start) - 1);
}

static void
compare_generated(void)
{
	static const char *const authors[] = { "alice@corp.example", "carol@corp.example",
					       "eve@evil.example",
					       "alice@corp.example, carol@corp.example" };
	static const char *const senders[] = { "alice@corp.example", "carol@corp.example", "",
					       "eve@evil.example" };
	static const char *const recipients[] = { "bob@partner.example",
						  "dora@partner.example",
						  "erik@partner.example",
						  "carol@corp.example",
						  "bob@partner.example erik@partner.example",
						  "bob@partner.example dora@partner.example" };
	static const char *const subjects[] = { "words", "[encrypt] words", "[sign] words",
						"[encrypt][sign] gr\303\274\303\237e" };
	static const char *const types[] = { NULL, "text/plain", "text/calendar; method=REQUEST",
					     "application/pkcs7-mime; smime-type=enveloped-data" };
	static const char *const logins[] = { NULL, "alice@corp.example", "carol@corp.example" };
	static const char *const clients[] = { "127.0.0.1", "198.51.100.7" };
	const char *type = ANY(types);
	const char *login = ANY(logins);
	g_auto(GStrv) to = g_strsplit(ANY(recipients), " ", -1);
	struct explain_question question = {
		.from = ANY(authors),
		.sender = ANY(senders),
		.recipients = (const char *const *)to,
		.client_address = ANY(clients),
		.login = login,
		.subject = ANY(subjects),
		.content_type = type,
		.size_bytes = 5000,
	};
	g_autofree char *all = g_strjoinv(", ", to);
	g_autofree char *joined = g_strjoinv(" ", to);
	g_autofree char *subject = subject_encode(question.subject);
	g_autofree char *headers = g_strdup_printf(
	    "From: %s\nTo: %s\nSubject:%s%s%s", question.from, all, subject,
	    type != NULL ? "\nMIME-Version: 1.0\nContent-Type: " : "", type != NULL ? type : "");
	struct site_mail mail = {
		.sender = question.sender,
		.login = login != NULL ? login : "",
		.client = question.client_address,
		.recipients = joined,
		.headers = headers,
		.structure = { .size_bytes = 5000,
			       .calendar = type != NULL && strstr(type, "calendar") != NULL },
	};
	CLEANUP(ruling) struct ruling *ruling = rule(&mail);
	g_autoptr(GString) decided = g_string_new(NULL);
	g_autofree char *asked = explained(&question);

	ruling_describe(ruling, decided);
	g_assert_cmpstr(decided->str, ==, asked);
}

/* explain looks up more to show it, and must come to the very same ruling. */
static void
test_explain_is_the_ruling(void)
{
	if (site_skip(site))
		return;
	for (guint i = 0; i < GENERATED; i++) {
		if (i % 20 == 0)
			prefer_at_random();
		compare_generated();
	}
}

/* ---- what it costs -------------------------------------------------------------------------- */

/* A ruling and the clean-up of the header, everything cached; to be compared with a signature,
 * which takes 250 us (RSA) or 20 us (EC). */
static void
test_cost(void)
{
	struct site_mail mail = { .recipients = "bob@partner.example" };
	CLEANUP(headers) struct headers *headers = headers_new();
	clock_t start;

	if (site_skip(site))
		return;
	g_assert_true(headers_add(headers, "Subject", " Re: quarterly figures", 22, NULL));
	usual_preferences();
	site_prefer(site, "partner.example", "encrypt_mode", "force");
	ruling_free(rule(&mail));
	start = clock();
	for (guint i = 0; i < COST_ROUNDS; i++) {
		CLEANUP(ruling) struct ruling *ruling = rule(&mail);
		CLEANUP(edits) struct edits *edits = edits_new();

		ruling_clean_header(site_gateway(site), ruling, headers, edits);
	}
	g_test_message("%.1f us of CPU a ruling",
		       (double)(clock() - start) * 1e6 / CLOCKS_PER_SEC / COST_ROUNDS);
}

/* A key whose row was copied over another's does not open: unknown, not absent. */
static void
test_key_does_not_open(void)
{
	struct site_mail mail = {
		.sender = "frank@corp.example",
		.login = "frank@corp.example",
		.headers = "From: frank@corp.example\nTo: bob@partner.example",
	};
	CLEANUP(cert) struct cert *frank = NULL;
	CLEANUP(ruling) struct ruling *ruling = NULL;

	if (site_skip(site))
		return;
	usual_preferences();
	frank = site_issue(site, "frank@corp.example", KEY_KIND_EC, SITE_KEY_HELD);
	site_copy_key(site, alice, frank);
	ruling = rule(&mail);
	g_assert_cmpstr(reason_name(ruling->groups->reason), ==,
			reason_name(REASON_DEFERRED_UNKNOWN_KEY));
	g_assert_nonnull(ruling->gathered->signer_note);
	g_test_message("%s", ruling->gathered->signer_note);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	site = site_start(NOW);
	if (site != NULL)
		usual_people();
	g_test_add_func("/gather/signed-for", test_signed_for);
	g_test_add_func("/gather/required", test_required);
	g_test_add_func("/gather/certificates", test_certificates);
	g_test_add_func("/gather/recipients", test_recipients);
	g_test_add_func("/gather/preferences", test_preferences);
	g_test_add_func("/gather/no-round-trip", test_no_round_trip);
	g_test_add_func("/gather/describe-is-stable", test_describe_is_stable);
	g_test_add_func("/gather/reload", test_reload);
	g_test_add_func("/gather/explain-is-the-ruling", test_explain_is_the_ruling);
	g_test_add_func("/gather/key-does-not-open", test_key_does_not_open);
	g_test_add_func("/gather/cost", test_cost);
	g_test_add_func("/gather/database-down", test_database_down);
	g_test_add_func("/gather/additional", test_additional_if_database);
	status = g_test_run();
	cert_unref(alice);
	cert_unref(carol);
	cert_unref(bob_rsa);
	cert_unref(bob_ec);
	cert_unref(dora_ec);
	site_stop(site);
	return status;
}
