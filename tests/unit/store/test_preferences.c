/*
 * Preferences: the table itself, what values it takes, inheritance, presets, the cache.
 */
#include <glib.h>
#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/cache.h"
#include "store/db/changelog.h"
#include "store/db/tx.h"
#include "store/preferences.h"
#include "store/presets.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

static void
test_table(void)
{
	for (guint p = 0; p < PREF_COUNT; p++) {
		enum preference preference = (enum preference)p;
		enum preference found;
		g_auto(GStrv) values = preference_values(preference);
		const char *initial = preference_default(preference);
		g_autoptr(GError) error = NULL;

		g_test_message("%s", preference_name(preference));
		g_assert_true(preference_find(preference_name(preference), &found, NULL));
		g_assert_cmpint(found, ==, preference);
		g_assert_cmpuint(preference_scopes(preference), !=, 0);
		g_assert_cmpuint(strlen(preference_sentence(preference)), >, 20);
		g_assert_false(g_str_has_suffix(preference_sentence(preference), "."));
		g_assert_true((preference_type(preference) == PREF_CHOICE) == (*values != NULL));
		if (preference_type(preference) == PREF_SECRET || *initial == '\0')
			continue;
		/* A default is a value that one could have set, in its normal form. */
		g_autofree char *normal = preference_normalise(preference, initial, &error);
		g_assert_no_error(error);
		g_assert_cmpstr(normal, ==, initial);
	}
}

static const struct {
	const char *what, *name, *value, *normal; /* normal NULL: refused */
	const char *says;
} values[] = {
	{ "any case", "encrypt_mode", " Force ", "force", NULL },
	{ "a slip of the pen", "encrypt_mode", "froce", NULL, "did you mean 'force'" },
	{ "no choice", "sign_mode", "perhaps", NULL, "never, when-encrypted" },
	{ "a pattern", "encrypt_trigger_subject", "\\bsecret\\b", "\\bsecret\\b", NULL },
	{ "a pattern is switched off", "encrypt_trigger_subject", "OFF", "off", NULL },
	{ "a broken pattern", "encrypt_trigger_subject", "(", NULL, "not a regular expression" },
	{ "a pattern that is always true", "plain_trigger_subject", "x*", NULL, "every message" },
	{ "a header", "encrypt_trigger_header", "Sensitivity:company-confidential",
	  "Sensitivity: company-confidential", NULL },
	{ "a header without a name", "encrypt_trigger_header", ": yes", NULL, "Field-Name" },
	{ "a header with a blank", "encrypt_trigger_header", "My Field: yes", NULL, "Field-Name" },
	{ "kibibytes", "max_size", "10k", "10240", NULL },
	{ "gibibytes", "max_size", "2G", "2147483648", NULL },
	{ "too much", "max_size", "99999999999G", NULL, "bytes" },
	{ "negative", "max_size", "-1", NULL, "bytes" },
	{ "unknown unit", "max_size", "1T", NULL, "bytes" },
	{ "addresses", "aliases", "Bob@Example.COM, eve@example.com",
	  "bob@example.com eve@example.com", NULL },
	{ "no address", "aliases", "bob", NULL, "not an address" },
	{ "logins", "logins", "bob *@Example.com", "bob *@example.com", NULL },
	{ "a telephone", "telephone", "+49 (123) 456-78", "+4912345678", NULL },
	{ "a national number", "telephone", "0123 45678", NULL, "+49" },
	{ "too long a number", "telephone", "+1234567890123456", NULL, "+49" },
	{ "a password", "last_pfx_password", "secret", NULL, "sealed" },
	{ "a thumbprint", "domain_signer", "abcd", NULL, "128 hex digits" },
	{ "a handler", "auto_request", "builtin", "builtin", NULL },
	{ "not a handler", "auto_request", "a b", NULL, "letters" },
	{ "a tag", "tag_signed", "[ok]", "[ok]", NULL },
	{ "a tag with a control character", "tag_signed", "[\a]", NULL, "printable" },
	{ "a tag that would be a format", "tag_signed", "[%n]", NULL, "%" },
	{ "a tag without its name", "tag_signed_by", "[signed]", NULL, "%s" },
	{ "not UTF-8", "tag_signed", "\xff", NULL, "UTF-8" },
};

static void
test_values(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
		enum preference preference;
		g_autoptr(GError) error = NULL;

		g_test_message("%s", values[i].what);
		g_assert_true(preference_find(values[i].name, &preference, &error));
		g_autofree char *normal = preference_normalise(preference, values[i].value, &error);
		g_assert_cmpstr(normal, ==, values[i].normal);
		if (values[i].normal == NULL) {
			g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
			g_test_message("%s", error->message);
			g_assert_nonnull(strstr(error->message, values[i].says));
		}
	}
}

static void
test_names(void)
{
	enum preference preference;
	g_autoptr(GError) error = NULL;

	g_assert_false(preference_find("encrypt_mod", &preference, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, "did you mean 'encrypt_mode'"));
	g_clear_error(&error);
	g_assert_null(preset_find("strickt", &error));
	g_assert_nonnull(strstr(error->message, "did you mean 'strict'"));
}

static void
test_presets(void)
{
	gsize n;
	const struct preset *presets = presets_all(&n);

	g_assert_cmpuint(n, ==, 5);
	for (gsize i = 0; i < n; i++)
		for (gsize e = 0; e < presets[i].n; e++) {
			const struct preset_entry *entry = &presets[i].entries[e];
			g_autoptr(GError) error = NULL;
			g_autofree char *normal =
			    preference_normalise(entry->preference, entry->value, &error);
			g_assert_no_error(error);
			g_assert_cmpstr(normal, ==, entry->value);
			g_assert_true(preference_scopes(entry->preference) & IN_DOMAIN);
			g_assert_true(preference_scopes(entry->preference) & IN_USER);
		}
}

/* Lists run from weak to strict, so that the later of two is the stricter. */
static void
test_order(void)
{
	g_assert_cmpint(VALUE_ENCRYPT_MODE_NONE, <, VALUE_ENCRYPT_MODE_ALLOW);
	g_assert_cmpint(VALUE_ENCRYPT_MODE_ALLOW, <, VALUE_ENCRYPT_MODE_OPPORTUNISTIC);
	g_assert_cmpint(VALUE_ENCRYPT_MODE_OPPORTUNISTIC, <, VALUE_ENCRYPT_MODE_FORCE);
	g_assert_cmpint(VALUE_SIGN_MODE_IF_POSSIBLE, <, VALUE_SIGN_MODE_REQUIRED);
	g_assert_cmpint(VALUE_TRIGGER_WHEN_OFF_IGNORE, <, VALUE_TRIGGER_WHEN_OFF_REFUSE);
	g_assert_cmpint(preference_stricter(VALUE_ENCRYPT_MODE_FORCE, VALUE_ENCRYPT_MODE_NONE), ==,
			VALUE_ENCRYPT_MODE_FORCE);
}

struct given {
	const char *scope, *name, *value;
};

static GPtrArray *
rows_of(const struct given *given)
{
	GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)preference_row_free);

	for (; given->scope != NULL; given++) {
		struct preference_row *row = g_new0(struct preference_row, 1);
		row->scope = scope_from_key(given->scope);
		g_assert_true(preference_find(given->name, &row->preference, NULL));
		row->value = g_strdup(given->value);
		g_ptr_array_add(rows, row);
	}
	return rows;
}

static const struct {
	const char *what, *address;
	struct given given[6];
	const char *name, *value, *scope;
} inherited[] = {
	{ "nothing is set", "bob@a.example", { { 0 } }, "sign_mode", "if-possible", "default" },
	{ "global",
	  "bob@a.example",
	  { { "g", "sign_mode", "never" } },
	  "sign_mode",
	  "never",
	  "global" },
	{ "the exact domain before global",
	  "bob@a.example",
	  { { "g", "sign_mode", "never" }, { "d:a.example", "sign_mode", "required" } },
	  "sign_mode",
	  "required",
	  "domain a.example" },
	{ "the user before the domain",
	  "bob@a.example",
	  { { "u:bob@a.example", "sign_mode", "never" },
	    { "d:a.example", "sign_mode", "required" } },
	  "sign_mode",
	  "never",
	  "user bob@a.example" },
	{ "per preference",
	  "bob@a.example",
	  { { "u:bob@a.example", "encrypt_mode", "none" },
	    { "d:a.example", "sign_mode", "required" } },
	  "sign_mode",
	  "required",
	  "domain a.example" },
	{ "the longest wildcard first",
	  "bob@x.b.a.example",
	  { { "d:*.a.example", "sign_mode", "never" },
	    { "d:*.b.a.example", "sign_mode", "required" } },
	  "sign_mode",
	  "required",
	  "domain *.b.a.example" },
	{ "a wildcard covers all depths",
	  "bob@x.y.z.a.example",
	  { { "d:*.a.example", "sign_mode", "never" } },
	  "sign_mode",
	  "never",
	  "domain *.a.example" },
	{ "a wildcard does not cover the domain itself",
	  "bob@a.example",
	  { { "d:*.a.example", "sign_mode", "never" } },
	  "sign_mode",
	  "if-possible",
	  "default" },
	{ "the exact domain before a wildcard",
	  "bob@b.a.example",
	  { { "d:*.a.example", "sign_mode", "never" },
	    { "d:b.a.example", "sign_mode", "required" } },
	  "sign_mode",
	  "required",
	  "domain b.a.example" },
	{ "somebody else's row",
	  "bob@a.example",
	  { { "u:eve@a.example", "sign_mode", "never" } },
	  "sign_mode",
	  "if-possible",
	  "default" },
	{ "a tag is cut for internal addresses",
	  "bob+x@a.example",
	  { { "d:a.example", "locality", "internal" },
	    { "u:bob@a.example", "sign_mode", "never" } },
	  "sign_mode",
	  "never",
	  "user bob@a.example" },
	{ "the address as written comes before",
	  "bob+x@a.example",
	  { { "d:a.example", "locality", "internal" },
	    { "u:bob+x@a.example", "sign_mode", "required" },
	    { "u:bob@a.example", "sign_mode", "never" } },
	  "sign_mode",
	  "required",
	  "user bob+x@a.example" },
	{ "a tag outside is a part of the name",
	  "bob+x@a.example",
	  { { "u:bob@a.example", "sign_mode", "never" } },
	  "sign_mode",
	  "if-possible",
	  "default" },
	{ "internal by the user without tag alone is not enough",
	  "bob+x@a.example",
	  { { "u:bob@a.example", "locality", "internal" },
	    { "u:bob@a.example", "sign_mode", "never" } },
	  "sign_mode",
	  "if-possible",
	  "default" },
	{ "a value of a newer program is the strictest",
	  "bob@a.example",
	  { { "u:bob@a.example", "encrypt_mode", "quantum" }, { "g", "encrypt_mode", "none" } },
	  "encrypt_mode",
	  "quantum",
	  "user bob@a.example" },
};

static void
test_inheritance(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(inherited); i++) {
		g_autoptr(GPtrArray) rows = rows_of(inherited[i].given);
		enum preference preference;
		CLEANUP(preference_set)
		struct preference_set *set = preference_set_build(inherited[i].address, '+', rows);

		g_test_message("%s", inherited[i].what);
		g_assert_true(preference_find(inherited[i].name, &preference, NULL));
		g_assert_cmpstr(preference_text(set, preference), ==, inherited[i].value);
		g_assert_cmpstr(preference_scope(set, preference), ==, inherited[i].scope);
		if (strcmp(inherited[i].value, "quantum") == 0)
			g_assert_cmpint(preference_choice(set, preference), ==,
					VALUE_ENCRYPT_MODE_FORCE);
	}
}

static void
test_meaning(void)
{
	static const struct given given[] = {
		{ "g", "max_size", "1048576" },
		{ "g", "plain_trigger_subject", "\\[plain\\]" },
		{ "g", "encrypt_trigger_header", "Sensitivity: ^company-confidential$" },
		{ "u:bob@a.example", "logins", "bob *@a.example" },
		{ "g", "harvest", "off" },
		{ 0 },
	};
	g_autoptr(GPtrArray) rows = rows_of(given);
	CLEANUP(preference_set)
	struct preference_set *set = preference_set_build("bob@a.example", '+', rows);

	g_assert_cmpint(preference_size(set, PREF_MAX_SIZE), ==, 1048576);
	g_assert_true(g_regex_match(preference_pattern(set, PREF_PLAIN_TRIGGER_SUBJECT),
				    "Re: [PLAIN] hello", 0, NULL));
	g_assert_true(g_regex_match(preference_pattern(set, PREF_ENCRYPT_TRIGGER_SUBJECT),
				    "[encrypt] hello", 0, NULL));
	g_assert_cmpstr(preference_header(set, PREF_ENCRYPT_TRIGGER_HEADER), ==, "Sensitivity");
	g_assert_true(g_regex_match(preference_pattern(set, PREF_ENCRYPT_TRIGGER_HEADER),
				    "Company-Confidential", 0, NULL));
	g_assert_null(preference_pattern(set, PREF_PLAIN_TRIGGER_HEADER));
	g_assert_cmpstr(preference_list(set, PREF_LOGINS)[1], ==, "*@a.example");
	g_assert_null(preference_list(set, PREF_ALIASES)[0]);
	g_assert_false(preference_on(set, PREF_HARVEST));
	g_assert_true(preference_on(set, PREF_TRIGGER_REMOVE));
}

static void
test_scopes(void)
{
	static const struct {
		enum scope_kind kind;
		const char *text, *name;
	} rows[] = {
		{ SCOPE_USER, "Bob@Example.COM", "bob@example.com" },
		{ SCOPE_USER, "bob", NULL },
		{ SCOPE_DOMAIN, "Example.COM", "example.com" },
		{ SCOPE_DOMAIN,
		  "*.B\xc3\xbc"
		  "cher.example",
		  "*.xn--bcher-kva.example" },
		{ SCOPE_DOMAIN, "bob@example.com", NULL },
		{ SCOPE_DOMAIN, "a.*.example", NULL },
		{ SCOPE_DOMAIN, "", NULL },
		{ SCOPE_DOMAIN, "*.", NULL },
		{ SCOPE_GLOBAL, "whatever", "" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(scope)
		struct scope *scope = scope_parse(rows[i].kind, rows[i].text, &error);
		g_test_message("%s", rows[i].text);
		g_assert_cmpstr(scope != NULL ? scope->name : NULL, ==, rows[i].name);
		if (scope == NULL) {
			g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
			continue;
		}
		g_autofree char *key = scope_key(scope);
		CLEANUP(scope) struct scope *back = scope_from_key(key);
		g_assert_cmpstr(back->name, ==, scope->name);
		g_assert_cmpint(back->kind, ==, scope->kind);
	}
}

struct act {
	const char *scope;
	enum preference preference;
	const char *value; /* NULL: unset */
	const struct preset *preset;
	gboolean delete_scope;
};

static gboolean
act_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct act *act = data;
	CLEANUP(scope) struct scope *scope = scope_from_key(act->scope);

	if (act->delete_scope)
		return scopes_delete(tx, scope, error);
	if (act->preset != NULL)
		return preset_apply(tx, scope, act->preset, error);
	if (act->value == NULL)
		return preferences_unset(tx, scope, act->preference, error);
	return preferences_set(tx, scope, act->preference, act->value, error);
}

static void
set_value(struct db *db, const char *scope, enum preference preference, const char *value)
{
	struct act act = { .scope = scope, .preference = preference, .value = value };
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(db, act_tx, &act, &error));
	g_assert_no_error(error);
}

static void
assert_value(struct preference_cache *cache, const char *address, enum preference preference,
	     const char *value, const char *scope)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(preference_set)
	struct preference_set *set = preferences_resolve(cache, address, &error);

	g_assert_no_error(error);
	g_assert_cmpstr(preference_text(set, preference), ==, value);
	g_assert_cmpstr(preference_scope(set, preference), ==, scope);
}

static void
test_cache(void)
{
	g_autoptr(GError) error = NULL;
	struct db_stats before, after;
	const struct cache_limits none = { -1, 1 << 20 };

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	CLEANUP(changelog)
	struct changelog *changelog = changelog_start(db, scratch_pg_settings(pg), &error);
	struct preference_cache *cache = preference_cache_new(db, changelog, '+', NULL);

	set_value(db, "d:a.example", PREF_SIGN_MODE, "required");
	assert_value(cache, "bob@a.example", PREF_SIGN_MODE, "required", "domain a.example");
	CLEANUP(preference_set)
	struct preference_set *bob = preferences_resolve(cache, "bob@a.example", &error);
	CLEANUP(preference_set)
	struct preference_set *eve = preferences_resolve(cache, "eve@a.example", &error);
	g_assert_true(bob == eve); /* equal sets are one */

	/* A change is seen as soon as the change log is. */
	set_value(db, "u:bob@a.example", PREF_SIGN_MODE, "never");
	g_assert_true(changelog_poll(changelog, &error));
	assert_value(cache, "bob@a.example", PREF_SIGN_MODE, "never", "user bob@a.example");
	assert_value(cache, "eve@a.example", PREF_SIGN_MODE, "required", "domain a.example");
	assert_value(cache, NULL, PREF_SIGN_MODE, "if-possible", "default");
	set_value(db, "u:bob@a.example", PREF_SIGN_MODE, NULL);
	g_assert_true(changelog_poll(changelog, &error));
	assert_value(cache, "bob@a.example", PREF_SIGN_MODE, "required", "domain a.example");
	/* What was given out before stays what it was. */
	g_assert_cmpstr(preference_text(bob, PREF_SIGN_MODE), ==, "required");

	/* Many at once are one query, and afterwards none. */
	const char *many[] = { "x@a.example", "y@a.example", "z@b.example", "bob@a.example" };
	db_stats(db, &before);
	g_assert_true(preferences_prefetch(cache, many, G_N_ELEMENTS(many), &error));
	db_stats(db, &after);
	g_assert_cmpuint(after.queries - before.queries, <=, 3); /* the poller has its own */
	scratch_pg_down(pg);
	assert_value(cache, "x@a.example", PREF_SIGN_MODE, "required", "domain a.example");
	assert_value(cache, "z@b.example", PREF_SIGN_MODE, "if-possible", "default");
	/* Of those who have nothing of their own that is known, too. */
	assert_value(cache, "new@a.example", PREF_SIGN_MODE, "required", "domain a.example");
	assert_value(cache, "new@c.example", PREF_SIGN_MODE, "if-possible", "default");
	/* Beyond the grace what is remembered is no answer either. */
	struct preference_cache *strict = preference_cache_new(db, changelog, '+', &none);
	g_assert_null(preferences_resolve(strict, "x@a.example", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	preference_cache_free(strict);
	scratch_pg_up(pg);
	preference_cache_free(cache);
}

static void
test_rows(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	struct act act = { .scope = "d:partner.example",
			   .preset = preset_find("edi-energy", NULL) };
	g_assert_true(db_transaction(db, act_tx, &act, &error));
	CLEANUP(scope) struct scope *partner = scope_new(SCOPE_DOMAIN, "partner.example");
	g_autoptr(GPtrArray) own = preferences_own(db, partner, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(own->len, ==, act.preset->n);
	g_autoptr(GPtrArray) domains = scopes_list(db, SCOPE_DOMAIN, "partner", NULL, 0, &error);
	g_assert_cmpuint(domains->len, ==, 1);
	const struct scope_row *row = g_ptr_array_index(domains, 0);
	g_assert_cmpint(row->preferences, ==, (gint64)act.preset->n);

	/* A telephone is a person's. */
	act = (struct act){ .scope = "d:partner.example",
			    .preference = PREF_TELEPHONE,
			    .value = "+4912345678" };
	g_assert_false(db_transaction(db, act_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, "only for a user"));
	g_clear_error(&error);
	act = (struct act){ .scope = "u:nobody@a.example", .preference = PREF_SMIME };
	g_assert_false(db_transaction(db, act_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_clear_error(&error);

	/* With the domain goes all that was set for it. */
	act = (struct act){ .scope = "d:partner.example", .delete_scope = TRUE };
	g_assert_true(db_transaction(db, act_tx, &act, &error));
	g_autoptr(GPtrArray) gone = preferences_own(db, partner, &error);
	g_assert_cmpuint(gone->len, ==, 0);
	g_assert_false(db_transaction(db, act_tx, &act, &error));
	g_clear_error(&error);
	act.scope = "g";
	g_assert_false(db_transaction(db, act_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/preferences/the table is sound", test_table);
	g_test_add_func("/preferences/values are checked", test_values);
	g_test_add_func("/preferences/the nearest name is offered", test_names);
	g_test_add_func("/preferences/presets hold values that exist", test_presets);
	g_test_add_func("/preferences/later is stricter", test_order);
	g_test_add_func("/preferences/inheritance", test_inheritance);
	g_test_add_func("/preferences/meaning of values", test_meaning);
	g_test_add_func("/preferences/names of scopes", test_scopes);
	g_test_add_func("/preferences/rows", test_rows);
	g_test_add_func("/preferences/cache", test_cache);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
