/*
 * Private keys and other secrets at rest: sealed for one row under one master key, re-wrapped
 * while they are in use.
 */
#include "tests/unit/pki/pki_fixture.h"

#include "store/cache.h"
#include "store/db/changelog.h"
#include "store/db/query.h"
#include "store/keys.h"
#include "store/preferences.h"
#include "store/sealed.h"

struct act {
	struct fixture *f;
	struct key *key;
	const char *spki, *name;
	struct scope *scope;
	struct secret *secret;
	gboolean flag;
	guint n;
	GPtrArray *keys;
};

static gboolean
store_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return keyring_store(act->f->keyring, tx, act->key, "imported", 0, &act->flag, error);
}

static gboolean
generate_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	g_ptr_array_set_size(act->keys, 0);
	for (guint i = 0; i < act->n; i++) {
		struct key *key = keyring_generate(act->f->keyring, tx, "ec:P-256", 0, error);
		if (key == NULL)
			return FALSE;
		g_ptr_array_add(act->keys, key);
	}
	return TRUE;
}

static gboolean
delete_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return keyring_delete(act->f->keyring, tx, act->spki, act->flag, error);
}

static gboolean
preference_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return keyring_set_preference(act->f->keyring, tx, act->scope, act->name, act->secret,
				      error);
}

static GPtrArray *
generate(struct fixture *f, guint n)
{
	struct act act = { .f = f, .n = n };
	g_autoptr(GError) error = NULL;

	act.keys = g_ptr_array_new_with_free_func((GDestroyNotify)key_unref);
	g_assert_true(db_transaction(f->db, generate_tx, &act, &error));
	g_assert_no_error(error);
	return act.keys;
}

static const char *
spki_of(GPtrArray *keys, guint i)
{
	return key_spki_sha256(g_ptr_array_index(keys, i));
}

/* As another process would: nothing cached. */
static void
reopen(struct fixture *f)
{
	keyring_free(f->keyring);
	f->keyring = fixture_keyring(f, f->master_key);
}

static void
assert_fails(struct keyring *keyring, const char *spki, const char *says)
{
	g_autoptr(GError) error = NULL;
	struct key *key = keyring_find(keyring, spki, &error);

	g_assert_null(key);
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_test_message("%s", error->message);
	g_assert_nonnull(strstr(error->message, says));
	g_assert_null(strchr(error->message, '\n'));
}

static void
test_store(void)
{
	struct fixture f = { 0 };
	gboolean held;
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	g_autoptr(GPtrArray) keys = generate(&f, 1);
	const char *spki = spki_of(keys, 0);
	reopen(&f);
	CLEANUP(key) struct key *found = keyring_find(f.keyring, spki, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(key_spki_sha256(found), ==, spki);
	CLEANUP(key) struct key *again = keyring_find(f.keyring, spki, &error);
	g_assert_true(found == again); /* open already */
	g_assert_true(keyring_holds(f.keyring, spki, &held, &error) && held);
	g_assert_true(keyring_holds(f.keyring, "00", &held, &error) && !held);
	g_assert_null(keyring_find(f.keyring, "00", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_clear_error(&error);

	/* A second import is harmless. */
	struct act act = { .f = &f, .key = found, .flag = TRUE };
	g_assert_true(db_transaction(f.db, store_tx, &act, &error));
	g_assert_false(act.flag);

	/* The database has nothing that could be used without the master key. */
	CLEANUP(key_row) struct key_row *row = keys_find(f.db, spki, &error);
	CLEANUP(secret) struct secret *clear = key_to_pkcs8(found, &error);
	gsize length;
	const guint8 *sealed = g_bytes_get_data(row->sealed, &length);
	g_assert_null(memmem(sealed, length,
			     (const guint8 *)secret_bytes(clear) + secret_length(clear) / 2, 16));
	g_assert_cmpstr(row->origin, ==, "generated");
	g_assert_cmpint(row->last_used, ==, FIXTURE_NOW);
	fixture_down(&f);
}

static const struct statement copy_row = {
	"test_copy_row",
	"UPDATE private_key SET sealed = (SELECT sealed FROM private_key WHERE spki_sha256 = $1)"
	" WHERE spki_sha256 = $2",
};

static void
test_copied_row(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	g_autoptr(GPtrArray) keys = generate(&f, 2);
	struct params *params = params_new();
	params_text(params, spki_of(keys, 0));
	params_text(params, spki_of(keys, 1));
	CLEANUP(rows) struct rows *rows = db_write(f.db, &copy_row, params, &error);
	g_assert_no_error(error);
	reopen(&f);
	CLEANUP(key) struct key *first = keyring_find(f.keyring, spki_of(keys, 0), &error);
	g_assert_no_error(error);
	assert_fails(f.keyring, spki_of(keys, 1), "copied from another row");
	gint64 checked;
	g_assert_false(keyring_verify_all(f.keyring, &checked, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	fixture_down(&f);
}

static void
test_other_master_key(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	g_autoptr(GPtrArray) keys = generate(&f, 1);
	g_autofree char *other = g_strconcat(f.master_key, ".other", NULL);
	g_assert_true(master_keys_create(other, &error));
	CLEANUP(keyring) struct keyring *keyring = fixture_keyring(&f, other);
	assert_fails(keyring, spki_of(keys, 0), "another master key");

	/* A generation that no file has is told apart from a wrong file. */
	scratch_pg_sql(pg, "UPDATE private_key SET sealed = overlay(sealed placing"
			   " '\\x00000063'::bytea from 5 for 4)");
	assert_fails(f.keyring, spki_of(keys, 0), "generation 99");
	fixture_down(&f);
}

static void
test_rotation(void)
{
	struct fixture f = { 0 };
	unsigned int generation;
	gint64 done, left, checked;
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	g_autoptr(GPtrArray) keys = generate(&f, 250);
	CLEANUP(secret) struct secret *password = secret_new_text("correct horse");
	struct act act = { .f = &f, .secret = password, .name = "last_pfx_password" };
	act.scope = scope_new(SCOPE_USER, "bob@example.com");
	g_assert_true(db_transaction(f.db, preference_tx, &act, &error));
	CLEANUP(keyring) struct keyring *before = fixture_keyring(&f, f.master_key);

	g_assert_true(master_keys_add_generation(f.master_key, &generation, &error));
	g_assert_true(keyring_reload(f.keyring, &error));
	g_assert_cmpint(keyring_generation(f.keyring), ==, 2);
	g_assert_true(keyring_rewrap(f.keyring, 100, &done, &left, &error));
	g_assert_cmpint(done, ==, 100);
	g_assert_cmpint(left, ==, 151);

	/* Half way: a program that started before the rotation reads old and new rows. */
	for (guint i = 0; i < keys->len; i++) {
		CLEANUP(key) struct key *key = keyring_find(before, spki_of(keys, i), &error);
		g_assert_no_error(error);
		g_assert_nonnull(key);
	}
	g_assert_cmpint(keyring_generation(before), ==, 2);

	/* Interrupted: another process goes on where the first one stopped. */
	reopen(&f);
	g_assert_true(keyring_rewrap(f.keyring, 100, &done, &left, &error));
	g_assert_cmpint(left, ==, 51);
	g_assert_true(keyring_rewrap(f.keyring, 100, &done, &left, &error));
	g_assert_cmpint(done, ==, 51);
	g_assert_cmpint(left, ==, 0);
	g_assert_true(keyring_rewrap(f.keyring, 100, &done, &left, &error));
	g_assert_cmpint(done, ==, 0);

	/* The first generation is not needed for anything any more. */
	g_assert_true(master_keys_drop_generation(f.master_key, 1, &error));
	reopen(&f);
	g_assert_true(keyring_verify_all(f.keyring, &checked, &error));
	g_assert_no_error(error);
	g_assert_cmpint(checked, ==, 251);
	CLEANUP(secret)
	struct secret *read = keyring_preference(f.keyring, act.scope, "last_pfx_password", &error);
	g_assert_cmpstr(secret_text(read), ==, "correct horse");
	scope_free(act.scope);
	fixture_down(&f);
}

static void
test_rotation_with_a_bad_row(void)
{
	struct fixture f = { 0 };
	unsigned int generation;
	gint64 done, left;
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	g_autoptr(GPtrArray) keys = generate(&f, 20);
	scratch_pg_sql(pg, "UPDATE private_key SET sealed = overlay(sealed placing '\\x0000'::bytea"
			   " from 100) WHERE id = (SELECT min(id) FROM private_key)");
	g_assert_true(master_keys_add_generation(f.master_key, &generation, &error));
	g_assert_true(keyring_reload(f.keyring, &error));
	g_assert_true(keyring_rewrap(f.keyring, 10, &done, &left, &error));
	g_assert_cmpint(done, ==, 9);
	g_assert_true(keyring_rewrap(f.keyring, 10, &done, &left, &error));
	g_assert_true(keyring_rewrap(f.keyring, 10, &done, &left, &error));
	g_assert_cmpint(left, ==, 1);
	/* Nothing moves any more: now the row is named. */
	g_assert_false(keyring_rewrap(f.keyring, 10, &done, &left, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	fixture_down(&f);
}

static void
test_preference(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	CLEANUP(secret) struct secret *password = secret_new_text("hunter2hunter2");
	CLEANUP(scope) struct scope *bob = scope_new(SCOPE_USER, "bob@example.com");
	CLEANUP(scope) struct scope *eve = scope_new(SCOPE_USER, "eve@example.com");
	struct act act = { .f = &f, .secret = password, .name = "last_pfx_password", .scope = bob };
	g_assert_true(db_transaction(f.db, preference_tx, &act, &error));
	act.scope = eve;
	g_assert_true(db_transaction(f.db, preference_tx, &act, &error));
	CLEANUP(secret)
	struct secret *read = keyring_preference(f.keyring, bob, "last_pfx_password", &error);
	g_assert_cmpstr(secret_text(read), ==, "hunter2hunter2");

	/* Lists show that it is set, never what it is. */
	g_autoptr(GPtrArray) own = preferences_own(f.db, bob, &error);
	g_assert_cmpuint(own->len, ==, 1);
	const struct preference_row *row = g_ptr_array_index(own, 0);
	g_assert_cmpstr(row->value, ==, "set");

	scratch_pg_sql(pg, "UPDATE preference SET sealed = (SELECT sealed FROM preference WHERE"
			   " scope = 'u:bob@example.com') WHERE scope = 'u:eve@example.com'");
	g_assert_null(keyring_preference(f.keyring, eve, "last_pfx_password", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, "copied from another row"));
	fixture_down(&f);
}

static void
test_delete(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256" };
	CLEANUP(cert) struct cert *cert = fixture_issue(&f, &order);
	struct act act = { .f = &f, .spki = cert_spki_sha256(cert) };
	g_assert_false(db_transaction(f.db, delete_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	g_test_message("%s", error->message);
	g_clear_error(&error);
	act.spki = cert_spki_sha256(ca.intermediate);
	g_assert_false(db_transaction(f.db, delete_tx, &act, &error));
	g_assert_nonnull(strstr(error->message, "a CA signs with it"));
	g_clear_error(&error);
	act.spki = cert_spki_sha256(cert);
	act.flag = TRUE;
	g_assert_true(db_transaction(f.db, delete_tx, &act, &error));
	g_assert_null(keyring_find(f.keyring, act.spki, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_clear_error(&error);

	g_autoptr(GPtrArray) lone = generate(&f, 1); /* used by nothing: no question */
	act = (struct act){ .f = &f, .spki = spki_of(lone, 0) };
	g_assert_true(db_transaction(f.db, delete_tx, &act, &error));
	ca_created_clear(&ca);
	fixture_down(&f);
}

static void
test_bounded(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	g_autoptr(GPtrArray) keys = generate(&f, 5);
	/* Six of a hundred are for keys: room for two or three. */
	const struct cache_limits limits = { 300, 400000 };
	CLEANUP(keyring)
	struct keyring *small = keyring_open(f.db, NULL, f.clock, f.master_key, &limits, &error);
	CLEANUP(key) struct key *first = keyring_find(small, spki_of(keys, 0), &error);
	for (guint i = 1; i < keys->len; i++) {
		CLEANUP(key) struct key *key = keyring_find(small, spki_of(keys, i), &error);
		g_assert_nonnull(key);
	}
	CLEANUP(key) struct key *again = keyring_find(small, spki_of(keys, 0), &error);
	g_assert_true(first != again); /* it had to leave, and was opened anew */
	fixture_down(&f);
}

/* With a change log an absent key is remembered, and found as soon as it is there. */
static void
test_changelog(void)
{
	struct fixture f = { 0 };
	gboolean held;
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	CLEANUP(key) struct key *key = key_generate(KEY_KIND_EC, 256, &error);
	CLEANUP(changelog)
	struct changelog *changelog = changelog_start(f.db, scratch_pg_settings(pg), &error);
	g_assert_no_error(error);
	struct keyring *listening =
	    keyring_open(f.db, changelog, f.clock, f.master_key, NULL, &error);
	g_assert_true(keyring_holds(listening, key_spki_sha256(key), &held, &error) && !held);
	struct act act = { .f = &f, .key = key };
	g_assert_true(db_transaction(f.db, store_tx, &act, &error)); /* by another keyring */
	g_assert_true(changelog_poll(changelog, &error));
	g_assert_true(keyring_holds(listening, key_spki_sha256(key), &held, &error) && held);
	CLEANUP(key) struct key *found = keyring_find(listening, key_spki_sha256(key), &error);
	g_assert_nonnull(found);
	act = (struct act){ .f = &f, .spki = key_spki_sha256(key) };
	g_assert_true(db_transaction(f.db, delete_tx, &act, &error));
	g_assert_true(changelog_poll(changelog, &error));
	g_assert_null(keyring_find(listening, key_spki_sha256(key), &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	keyring_free(listening);
	g_clear_pointer(&changelog, changelog_stop); /* its thread asks the database */
	fixture_down(&f);
}

struct many {
	struct keyring *keyring;
	GPtrArray *keys;
	gint failures;
};

static gpointer
find_many(gpointer data)
{
	struct many *many = data;

	for (guint round = 0; round < 20; round++)
		for (guint i = 0; i < many->keys->len; i++) {
			CLEANUP(key)
			struct key *key = keyring_find(many->keyring, spki_of(many->keys, i), NULL);
			if (key == NULL ||
			    strcmp(key_spki_sha256(key), spki_of(many->keys, i)) != 0)
				g_atomic_int_inc(&many->failures);
		}
	return NULL;
}

static void
test_threads(void)
{
	struct fixture f = { 0 };
	GThread *threads[6];
	gint64 done, left;
	unsigned int generation;
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	g_autoptr(GPtrArray) keys = generate(&f, 30);
	const struct cache_limits limits = { 300, 2000000 };
	CLEANUP(keyring)
	struct keyring *small = keyring_open(f.db, NULL, f.clock, f.master_key, &limits, &error);
	struct many many = { small, keys, 0 };
	for (guint t = 0; t < G_N_ELEMENTS(threads); t++)
		threads[t] = g_thread_new("find", find_many, &many);
	g_assert_true(master_keys_add_generation(f.master_key, &generation, &error));
	g_assert_true(keyring_reload(f.keyring, &error));
	do
		g_assert_true(keyring_rewrap(f.keyring, 5, &done, &left, &error));
	while (left > 0);
	for (guint t = 0; t < G_N_ELEMENTS(threads); t++)
		g_thread_join(threads[t]);
	g_assert_cmpint(many.failures, ==, 0);
	fixture_down(&f);
}

static void
test_algorithms(void)
{
	enum key_kind kind;
	unsigned int bits;
	g_autoptr(GError) error = NULL;

	g_assert_true(key_algorithm_parse("EC:p-384", &kind, &bits, &error));
	g_assert_cmpuint(bits, ==, 384);
	g_assert_false(key_algorithm_parse("rsa:1024", &kind, &bits, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/keyring/stores sealed, finds open", test_store);
	g_test_add_func("/keyring/a row copied onto another does not open", test_copied_row);
	g_test_add_func("/keyring/a database under another master key", test_other_master_key);
	g_test_add_func("/keyring/rotation, interrupted and continued", test_rotation);
	g_test_add_func("/keyring/a bad row does not stop rotation", test_rotation_with_a_bad_row);
	g_test_add_func("/keyring/secret preferences", test_preference);
	g_test_add_func("/keyring/delete asks when used", test_delete);
	g_test_add_func("/keyring/open keys are bounded", test_bounded);
	g_test_add_func("/keyring/hears of keys that come and go", test_changelog);
	g_test_add_func("/keyring/many threads during a rotation", test_threads);
	g_test_add_func("/keyring/names of algorithms", test_algorithms);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
