/*
 * Who is believed: origin from login, listener and client; the author from his own preferences;
 * the triggers from the header. No database: the preferences are made up here.
 */
#include <string.h>

#include "milter/envelope.h"
#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/mime/subject.h"
#include "milter/policy/author_check.h"
#include "milter/policy/origin.h"
#include "milter/policy/triggers.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/config/settings.h"

/* ---- origin --------------------------------------------------------------------------------- */

static struct settings *
site_settings(void)
{
	struct settings *settings = settings_default();

	g_assert_true(
	    settings_set(settings, "trusted_networks", "127.0.0.0/8 ::1/128 192.0.2.0/24", NULL));
	g_assert_true(settings_set(settings, "trusted_daemons", "SUBMISSION", NULL));
	g_assert_true(settings_set(settings, "relay_daemons", "AFTER-FILTER", NULL));
	return settings;
}

static void
test_origin(void)
{
	static const struct {
		const char *name, *client, *login, *daemon;
		gboolean reinjected;
		enum origin origin;
	} rows[] = {
		{ "a stranger", "198.51.100.7", NULL, "MTA", FALSE, ORIGIN_UNTRUSTED },
		{ "a login from anywhere", "198.51.100.7", "bob", "MTA", FALSE, ORIGIN_TRUSTED },
		{ "an empty login is none", "198.51.100.7", "", "MTA", FALSE, ORIGIN_UNTRUSTED },
		{ "a trusted listener", "198.51.100.7", NULL, "SUBMISSION", FALSE, ORIGIN_TRUSTED },
		{ "listener names are exact", "198.51.100.7", NULL, "submission", FALSE,
		  ORIGIN_UNTRUSTED },
		{ "loopback", "127.0.0.1", NULL, "MTA", FALSE, ORIGIN_TRUSTED },
		{ "loopback of IPv6", "::1", NULL, NULL, FALSE, ORIGIN_TRUSTED },
		{ "IPv6 as Sendmail writes it", "IPv6:::1", NULL, NULL, FALSE, ORIGIN_TRUSTED },
		{ "IPv4 inside of IPv6", "::ffff:192.0.2.9", NULL, NULL, FALSE, ORIGIN_TRUSTED },
		{ "a network of the site", "192.0.2.255", NULL, "MTA", FALSE, ORIGIN_TRUSTED },
		{ "one address beyond it", "192.0.3.0", NULL, "MTA", FALSE, ORIGIN_UNTRUSTED },
		{ "loopback behind a content filter", "127.0.0.1", NULL, "AFTER-FILTER", FALSE,
		  ORIGIN_UNTRUSTED },
		{ "a login that the content filter hands on", "127.0.0.1", "bob", "AFTER-FILTER",
		  FALSE, ORIGIN_TRUSTED },
		{ "no address at all", NULL, NULL, "MTA", FALSE, ORIGIN_UNTRUSTED },
		{ "an address that is none", "unknown", NULL, "MTA", FALSE, ORIGIN_UNTRUSTED },
		{ "our reinjection listener", "127.0.0.1", NULL, "REINJECT", TRUE,
		  ORIGIN_REINJECTED },
	};
	CLEANUP(settings) struct settings *settings = site_settings();
	g_autoptr(GError) error = NULL;
	CLEANUP(origin_rules) struct origin_rules *rules = origin_rules_new(settings, &error);

	g_assert_no_error(error);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(envelope) struct envelope *envelope = envelope_new();
		const char *why = NULL;

		g_test_message("%s", rows[i].name);
		envelope->client_address = g_strdup(rows[i].client);
		envelope->login = g_strdup(rows[i].login);
		envelope->daemon_name = g_strdup(rows[i].daemon);
		g_assert_cmpint(origin_judge(rules, envelope, rows[i].reinjected, &why), ==,
				rows[i].origin);
		g_assert_nonnull(why);
	}
}

static void
test_bad_settings(void)
{
	static const struct {
		const char *setting, *value, *text;
	} rows[] = {
		{ "trusted_networks", "127.0.0.1/33",
		  "trusted_networks: '127.0.0.1/33' is no network" },
		{ "trusted_networks", "mail.example",
		  "trusted_networks: 'mail.example' is no network" },
		{ "relay_daemons", "SUBMISSION",
		  "relay_daemons: 'SUBMISSION' is in trusted_daemons too" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(settings) struct settings *settings = site_settings();
		g_autoptr(GError) error = NULL;

		if (!settings_set(settings, rows[i].setting, rows[i].value, NULL))
			continue; /* the settings' own check was first */
		g_assert_null(origin_rules_new(settings, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		g_assert_true(g_str_has_prefix(error->message, rows[i].text));
	}
}

/* ---- the author ----------------------------------------------------------------------------- */

static void
add_row(GPtrArray *rows, enum scope_kind kind, const char *name, enum preference preference,
	const char *value)
{
	struct preference_row *row = g_new0(struct preference_row, 1);
	g_autoptr(GError) error = NULL;

	row->scope = scope_new(kind, name);
	row->preference = preference;
	row->value = preference_normalise(preference, value, &error);
	g_assert_no_error(error);
	g_ptr_array_add(rows, row);
}

/* Preferences of an address: pairs of (preference, value) set for itself; value NULL ends. */
static struct preference_set *
set_of(const char *address, enum preference first, const char *first_value, enum preference second,
       const char *second_value)
{
	g_autoptr(GPtrArray) rows =
	    g_ptr_array_new_with_free_func((GDestroyNotify)preference_row_free);

	add_row(rows, SCOPE_DOMAIN, "corp.example", PREF_LOCALITY, "internal");
	if (first_value != NULL)
		add_row(rows, SCOPE_USER, address, first, first_value);
	if (second_value != NULL)
		add_row(rows, SCOPE_USER, address, second, second_value);
	return preference_set_build(address, '+', rows);
}

static const struct {
	const char *name, *author, *login, *sender, *logins, *aliases, *check;
	gboolean resent;
	enum author_state state;
} author_rows[] = {
	{ "his own login", "alice@corp.example", "alice@corp.example", "alice@corp.example", NULL,
	  NULL, "login", FALSE, AUTHOR_CONFIRMED },
	{ "his own login in capitals", "alice@corp.example", "Alice@CORP.example", "", NULL, NULL,
	  "login", FALSE, AUTHOR_CONFIRMED },
	{ "his own login, From with a tag", "alice+news@corp.example", "alice@corp.example", "",
	  NULL, NULL, "login", FALSE, AUTHOR_CONFIRMED },
	{ "a colleague's login", "alice@corp.example", "bob@corp.example", "alice@corp.example",
	  NULL, NULL, "login", FALSE, AUTHOR_LOGIN },
	{ "a bare login name is nobody's by default", "alice@corp.example", "alice", "", NULL, NULL,
	  "login", FALSE, AUTHOR_LOGIN },
	{ "a login that is listed", "alice@corp.example", "alice", "", "alice alice2", NULL,
	  "login", FALSE, AUTHOR_CONFIRMED },
	{ "a pattern", "alice@corp.example", "assistant-7", "", "assistant-*", NULL, "login", FALSE,
	  AUTHOR_CONFIRMED },
	{ "a login whose letters only look the same after folding", "alice@corp.example",
	  "a\xe2\x84\xaa", "", "ak", NULL, "login", FALSE, AUTHOR_LOGIN },
	{ "a login that is no UTF-8, and a pattern", "alice@corp.example", "assistant-\xe2", "",
	  "assistant-*", NULL, "login", FALSE, AUTHOR_LOGIN },
	{ "a login with the Kelvin sign is not the author's", "k@corp.example",
	  "\xe2\x84\xaa@corp.example", "", NULL, NULL, "login", FALSE, AUTHOR_LOGIN },
	{ "a pattern is the whole login", "alice@corp.example", "not-assistant-7", "",
	  "assistant-*", NULL, "login", FALSE, AUTHOR_LOGIN },
	{ "a list replaces the default", "alice@corp.example", "alice@corp.example", "", "alice",
	  NULL, "login", FALSE, AUTHOR_LOGIN },
	{ "no login, his own envelope sender", "alice@corp.example", NULL, "alice@corp.example",
	  NULL, NULL, "login", FALSE, AUTHOR_CONFIRMED },
	{ "no login, another internal envelope sender", "alice@corp.example", NULL,
	  "daemon@corp.example", NULL, NULL, "login", FALSE, AUTHOR_CONFIRMED },
	{ "no login, the null sender", "alice@corp.example", NULL, "", NULL, NULL, "login", FALSE,
	  AUTHOR_CONFIRMED },
	{ "no login, a stranger's envelope sender", "alice@corp.example", NULL, "eve@evil.example",
	  NULL, NULL, "login", FALSE, AUTHOR_SENDER },
	{ "no login, an alias outside", "alice@corp.example", NULL, "alice@home.example", NULL,
	  "alice@home.example", "login", FALSE, AUTHOR_CONFIRMED },
	{ "no login, an envelope sender that is no address", "alice@corp.example", NULL,
	  "not an address", NULL, NULL, "login", FALSE, AUTHOR_SENDER },
	{ "network: a colleague's login will do", "alice@corp.example", "bob@corp.example", "",
	  NULL, NULL, "network", FALSE, AUTHOR_CONFIRMED },
	{ "none-signed: nobody without a login", "alice@corp.example", NULL, "alice@corp.example",
	  NULL, NULL, "none-signed", FALSE, AUTHOR_NO_LOGIN },
	{ "none-signed: his login", "alice@corp.example", "alice@corp.example", "", NULL, NULL,
	  "none-signed", FALSE, AUTHOR_CONFIRMED },
	{ "none-signed: a colleague's login", "alice@corp.example", "bob@corp.example", "", NULL,
	  NULL, "none-signed", FALSE, AUTHOR_LOGIN },
	{ "an outsider in From", "eve@evil.example", "alice@corp.example", "", NULL, NULL, "login",
	  FALSE, AUTHOR_EXTERNAL },
	{ "Resent-From", "alice@corp.example", "alice@corp.example", "", NULL, NULL, "login", TRUE,
	  AUTHOR_RESENT },
	{ "nobody in From", NULL, "alice@corp.example", "alice@corp.example", NULL, NULL, "network",
	  FALSE, AUTHOR_NONE },
};

static void
test_author(void)
{
	for (guint i = 0; i < G_N_ELEMENTS(author_rows); i++) {
		const char *address =
		    author_rows[i].author != NULL ? author_rows[i].author : "x@corp.example";
		CLEANUP(preference_set)
		struct preference_set *set = set_of(address, PREF_LOGINS, author_rows[i].logins,
						    PREF_ALIASES, author_rows[i].aliases);
		CLEANUP(preference_set)
		struct preference_set *check =
		    set_of(address, PREF_AUTHOR_CHECK, author_rows[i].check, PREF_MODE, NULL);
		CLEANUP(mailaddr)
		struct mailaddr *author = author_rows[i].author != NULL
					      ? mailaddr_parse(author_rows[i].author, NULL)
					      : NULL;
		CLEANUP(mailaddr)
		struct mailaddr *sender = mailaddr_parse(author_rows[i].sender, NULL);
		struct author_question question = {
			.author = author,
			.preferences = set,
			.check = preference_choice(check, PREF_AUTHOR_CHECK),
			.author_internal =
			    author != NULL && g_str_has_suffix(address, "corp.example"),
			.resent = author_rows[i].resent,
			.login = author_rows[i].login,
			.sender = author_rows[i].sender,
			.sender_address = sender,
			.sender_internal = g_str_has_suffix(author_rows[i].sender, "corp.example"),
			.delimiter = '+',
		};

		g_test_message("%s", author_rows[i].name);
		g_assert_cmpint(author_check(&question), ==, author_rows[i].state);
	}
}

/* What is alice's own holds for her aliases too, but not whether they are internal. */
static void
test_alias(void)
{
	g_autoptr(GPtrArray) rows =
	    g_ptr_array_new_with_free_func((GDestroyNotify)preference_row_free);
	CLEANUP(mailaddr) struct mailaddr *author = mailaddr_parse("sales@corp.example", NULL);
	CLEANUP(preference_set) struct preference_set *inside = NULL;
	CLEANUP(preference_set) struct preference_set *outside = NULL;
	struct author_question question = { .author = author, .author_internal = TRUE };

	add_row(rows, SCOPE_DOMAIN, "corp.example", PREF_LOCALITY, "internal");
	add_row(rows, SCOPE_USER, "alice@corp.example", PREF_SIGN_MODE, "required");
	add_row(rows, SCOPE_USER, "alice@corp.example", PREF_LOCALITY, "internal");
	add_row(rows, SCOPE_USER, "alice@corp.example", PREF_ALIASES,
		"sales@corp.example alice@home.example");
	inside = preference_set_build("sales@corp.example", '+', rows);
	outside = preference_set_build("alice@home.example", '+', rows);
	g_assert_cmpint(preference_choice(inside, PREF_SIGN_MODE), ==, VALUE_SIGN_MODE_REQUIRED);
	g_assert_cmpstr(preference_scope(inside, PREF_SIGN_MODE), ==, "user alice@corp.example");
	g_assert_cmpint(preference_choice(outside, PREF_LOCALITY), ==, VALUE_LOCALITY_EXTERNAL);
	question.preferences = inside;
	question.check = VALUE_AUTHOR_CHECK_LOGIN;
	question.sender = "";
	question.login = "alice@corp.example";
	g_assert_cmpint(author_check(&question), ==, AUTHOR_CONFIRMED);
	question.login = "bob@corp.example";
	g_assert_cmpint(author_check(&question), ==, AUTHOR_LOGIN);
}

/* ---- the sending side ----------------------------------------------------------------------- */

static void
test_side(void)
{
	struct side side = {
		.sets = { set_of("alice@corp.example", PREF_ENCRYPT_MODE, "opportunistic",
				 PREF_SMIME, "off"),
			  set_of("bob@corp.example", PREF_ENCRYPT_MODE, "allow", PREF_MAX_SIZE,
				 "10M") },
		.count = 2,
	};

	/* smime off takes what that set asks for, not what the other does */
	g_assert_cmpint(side_encrypt_mode(&side), ==, VALUE_ENCRYPT_MODE_ALLOW);
	g_assert_cmpint(side_sign_mode(&side), ==, VALUE_SIGN_MODE_IF_POSSIBLE);
	g_assert_true(side_on(&side, PREF_SMIME));
	g_assert_cmpuint(side_size_max(&side, PREF_MAX_SIZE), ==, 10 * 1024 * 1024);
	g_assert_cmpint(side_choice(&side, PREF_ENCRYPT_MODE), ==,
			VALUE_ENCRYPT_MODE_OPPORTUNISTIC);
	side_clear(&side);
}

/* ---- triggers ------------------------------------------------------------------------------- */

static struct headers *
headers_of(const char *name, const char *value)
{
	struct headers *headers = headers_new();
	g_autofree char *raw = g_strconcat(" ", value, NULL);

	g_assert_true(headers_add(headers, name, raw, strlen(raw), NULL));
	return headers;
}

static void
test_triggers(void)
{
	static const struct {
		const char *name, *field, *value;
		gboolean encrypt, sign, plain;
	} rows[] = {
		{ "nothing", "Subject", "quarterly figures", FALSE, FALSE, FALSE },
		{ "the default word", "Subject", "[encrypt] figures", TRUE, FALSE, FALSE },
		{ "without case", "Subject", "figures [ENCRYPT]", TRUE, FALSE, FALSE },
		{ "encoded", "Subject", "=?utf-8?q?=5Bencrypt=5D_figures?=", TRUE, FALSE, FALSE },
		{ "both words", "Subject", "[sign][encrypt] figures", TRUE, TRUE, FALSE },
		{ "a word of the site's own", "Subject", "offen: figures", FALSE, FALSE, TRUE },
		{ "our field", "X-Postseal-Encrypt", "yes", TRUE, FALSE, FALSE },
		{ "our field with another value", "X-Postseal-Encrypt", "no", FALSE, FALSE, FALSE },
		{ "our other field", "X-Postseal-Sign", "Yes", FALSE, TRUE, FALSE },
		{ "confidential", "Sensitivity", "Company-Confidential", TRUE, FALSE, FALSE },
		{ "private is something else", "Sensitivity", "private", FALSE, FALSE, FALSE },
		{ "another field with the word", "Comments", "[encrypt]", FALSE, FALSE, FALSE },
	};
	CLEANUP(trigger_cache) struct trigger_cache *cache = trigger_cache_new();
	struct side side = {
		.sets = { set_of("alice@corp.example", PREF_PLAIN_TRIGGER_SUBJECT,
				 "^offen:", PREF_MODE, NULL) },
		.count = 1,
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(headers) struct headers *headers = headers_of(rows[i].field, rows[i].value);
		struct triggers_found found;
		g_autoptr(GError) error = NULL;

		g_test_message("%s", rows[i].name);
		g_assert_true(triggers_find(cache, &side, headers, &found, &error));
		g_assert_no_error(error);
		g_assert_cmpint(found.encrypt, ==, rows[i].encrypt);
		g_assert_cmpint(found.sign, ==, rows[i].sign);
		g_assert_cmpint(found.plain, ==, rows[i].plain);
	}
	side_clear(&side);
}

/* Whose pattern PCRE gives up at its limit gets protection, and is not sent plain by it. */
static void
test_undecided_triggers(void)
{
	static const struct {
		enum preference preference;
		const char *field;
		gboolean encrypt, sign, plain;
	} rows[] = {
		{ PREF_ENCRYPT_TRIGGER_SUBJECT, "Subject", TRUE, FALSE, FALSE },
		{ PREF_SIGN_TRIGGER_SUBJECT, "Subject", FALSE, TRUE, FALSE },
		{ PREF_PLAIN_TRIGGER_SUBJECT, "Subject", FALSE, FALSE, FALSE },
		{ PREF_ENCRYPT_TRIGGER_HEADER, "X-Ask", TRUE, FALSE, FALSE },
		{ PREF_SIGN_TRIGGER_HEADER, "X-Ask", FALSE, TRUE, FALSE },
		{ PREF_PLAIN_TRIGGER_HEADER, "X-Ask", FALSE, FALSE, FALSE },
	};
	CLEANUP(headers) struct headers *quiet = headers_of("Subject", "figures");

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		gboolean field = strcmp(rows[i].field, "X-Ask") == 0;
		CLEANUP(trigger_cache) struct trigger_cache *cache = trigger_cache_new();
		CLEANUP(headers)
		struct headers *headers = headers_of(
		    rows[i].field, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
		struct side side = {
			.sets = { set_of("alice@corp.example", rows[i].preference,
					 field ? "X-Ask: ^(a+)+$" : "^(a+)+$", PREF_MODE, NULL) },
			.count = 1,
		};
		struct triggers_found found;
		g_autoptr(GError) error = NULL;

		g_test_message("%s", preference_name(rows[i].preference));
		g_assert_true(triggers_find(cache, &side, headers, &found, &error));
		g_assert_no_error(error);
		g_assert_cmpint(found.encrypt, ==, rows[i].encrypt);
		g_assert_cmpint(found.sign, ==, rows[i].sign);
		g_assert_cmpint(found.plain, ==, rows[i].plain);
		g_assert_true(triggers_find(cache, &side, quiet, &found, &error));
		g_assert_false(found.encrypt || found.sign || found.plain);
		side_clear(&side);
	}
}

static void
test_cut(void)
{
	static const struct {
		const char *name, *subject;
		gboolean remove;
		const char *cut; /* decoded, or NULL: not rewritten */
	} rows[] = {
		{ "nothing to cut: not rewritten", "quarterly  figures", TRUE, NULL },
		{ "a trigger", "[encrypt] figures", TRUE, "figures" },
		{ "a trigger that may stay", "[encrypt] figures", FALSE, NULL },
		{ "a tag, whatever trigger_remove says", "[signed] figures", FALSE, "figures" },
		{ "a tag with a name in it", "[signed by: eve@evil.example] figures", TRUE,
		  "figures" },
		{ "a tag inside of a tag", "[sig[signed]ned] figures", TRUE, "figures" },
	};
	CLEANUP(trigger_cache) struct trigger_cache *cache = trigger_cache_new();
	struct side side = {
		.sets = { set_of("alice@corp.example", PREF_MODE, NULL, PREF_MODE, NULL) },
		.count = 1,
	};
	g_autoptr(GPtrArray) sets = g_ptr_array_new();

	g_ptr_array_add(sets, side.sets[0]);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(headers) struct headers *headers = headers_of("Subject", rows[i].subject);
		CLEANUP(edits) struct edits *edits = edits_new();
		g_autoptr(GError) error = NULL;
		CLEANUP(words)
		struct words *words = triggers_to_cut(cache, &side, sets, rows[i].remove, &error);
		g_autofree char *decoded = NULL;

		g_test_message("%s", rows[i].name);
		g_assert_no_error(error);
		triggers_cut(headers, words, edits);
		g_assert_cmpint(edits_empty(edits), ==, rows[i].cut == NULL);
		if (rows[i].cut == NULL)
			continue;
		decoded = subject_decode(edits_at(edits, 0)->value);
		g_assert_cmpstr(g_strstrip(decoded), ==, rows[i].cut);
	}
	side_clear(&side);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/origin/table", test_origin);
	g_test_add_func("/origin/bad-settings", test_bad_settings);
	g_test_add_func("/author/table", test_author);
	g_test_add_func("/author/alias", test_alias);
	g_test_add_func("/side/combined", test_side);
	g_test_add_func("/triggers/found", test_triggers);
	g_test_add_func("/triggers/undecided", test_undecided_triggers);
	g_test_add_func("/triggers/cut", test_cut);
	return g_test_run();
}
