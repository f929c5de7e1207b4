/*
 * keyring - keys out of sealed rows, kept open in a bounded cache.
 */
#include "pki/keyring.h"

#include <string.h>

#include "pki/crypto/key.h"
#include "pki/crypto/seal.h"
#include "pki/key_pool.h"
#include "pki/keyring_internal.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/cache.h"
#include "store/db/changelog.h"
#include "store/db/db.h"
#include "store/sealed.h"

/* A row of an unknown generation makes the file be read again, but not for every message. */
#define RELOAD_PAUSE_US G_USEC_PER_SEC
/* Of an open key: OpenSSL's objects, and what it prepares for its use. */
#define KEY_BYTES 8192
#define KEY_BYTES_PER_BIT 5

/* What is known of one SPKI digest: an open key, that it is held, or that it is not. */
struct held {
	gint references;
	struct key *key; /* NULL: not opened */
	gboolean held;
};

struct keyring {
	struct db *db;
	struct changelog *changelog;
	struct clock *clock;
	char *path;
	GRWLock keys_lock;
	struct master_keys *keys;
	gint64 loaded_us;   /* under keys_lock */
	struct cache *held; /* digest -> struct held */
};

static gpointer
held_ref(gpointer data)
{
	struct held *held = data;

	g_atomic_int_inc(&held->references);
	return held;
}

static void
held_unref(gpointer data)
{
	struct held *held = data;

	if (held == NULL || !g_atomic_int_dec_and_test(&held->references))
		return;
	key_unref(held->key);
	g_free(held);
}

/* A key that has left the store, here or elsewhere, does not stay open (K9). */
static void
on_news(gpointer data)
{
	struct keyring *keyring = data;

	cache_sweep(keyring->held);
}

struct keyring *
keyring_open(struct db *db, struct changelog *changelog, struct clock *clock,
	     const char *master_key_path, const struct cache_limits *limits, GError **error)
{
	CLEANUP(master_keys) struct master_keys *keys = master_keys_load(master_key_path, error);
	if (keys == NULL)
		return NULL;

	struct keyring *keyring = g_new0(struct keyring, 1);
	keyring->db = db;
	keyring->changelog = changelog;
	keyring->clock = clock;
	keyring->path = g_strdup(master_key_path);
	keyring->keys = g_steal_pointer(&keys);
	keyring->loaded_us = g_get_monotonic_time();
	g_rw_lock_init(&keyring->keys_lock);
	keyring->held = cache_new(changelog, NULL, limits, CACHE_KEYS, held_ref, held_unref);
	changelog_watch(changelog, CHANGE_KEY, on_news, keyring);
	return keyring;
}

void
keyring_free(struct keyring *keyring)
{
	if (keyring == NULL)
		return;
	changelog_unwatch(keyring->changelog, on_news, keyring);
	cache_free(keyring->held);
	master_keys_free(keyring->keys);
	g_rw_lock_clear(&keyring->keys_lock);
	g_free(keyring->path);
	g_free(keyring);
}

struct db *
keyring_db(struct keyring *keyring)
{
	return keyring->db;
}

gboolean
keyring_reload(struct keyring *keyring, GError **error)
{
	struct master_keys *keys = master_keys_load(keyring->path, error);

	if (keys == NULL)
		return FALSE;
	g_rw_lock_writer_lock(&keyring->keys_lock);
	struct master_keys *old = keyring->keys;
	keyring->keys = keys;
	keyring->loaded_us = g_get_monotonic_time();
	g_rw_lock_writer_unlock(&keyring->keys_lock);
	master_keys_free(old);
	return TRUE;
}

gint64
keyring_generation(struct keyring *keyring)
{
	g_rw_lock_reader_lock(&keyring->keys_lock);
	gint64 generation = master_keys_current(keyring->keys);
	g_rw_lock_reader_unlock(&keyring->keys_lock);
	return generation;
}

struct secret *
keyring_derive(struct keyring *keyring, const char *label, gsize length, GError **error)
{
	g_rw_lock_reader_lock(&keyring->keys_lock);
	struct secret *derived = master_keys_derive(keyring->keys, 0, label, length, error);
	g_rw_lock_reader_unlock(&keyring->keys_lock);
	return derived;
}

static void
free_secret(gpointer secret)
{
	secret_unref(secret);
}

GPtrArray *
keyring_derive_all(struct keyring *keyring, const char *label, gsize length, GError **error)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(free_secret);

	g_rw_lock_reader_lock(&keyring->keys_lock);
	for (unsigned int i = 0; master_keys_nth(keyring->keys, i) != 0; i++) {
		struct secret *one = master_keys_derive(
		    keyring->keys, master_keys_nth(keyring->keys, i), label, length, error);

		if (one == NULL)
			break;
		g_ptr_array_add(all, one);
	}
	g_rw_lock_reader_unlock(&keyring->keys_lock);
	return all->len > 0 && (error == NULL || *error == NULL) ? g_steal_pointer(&all) : NULL;
}

gint64
keyring_generation_nth(struct keyring *keyring, guint i)
{
	g_rw_lock_reader_lock(&keyring->keys_lock);
	gint64 generation = master_keys_nth(keyring->keys, i);
	g_rw_lock_reader_unlock(&keyring->keys_lock);
	return generation;
}

GBytes *
keyring_seal(struct keyring *keyring, const char *table, const char *row, struct secret *secret,
	     gint64 *generation, GError **error)
{
	g_rw_lock_reader_lock(&keyring->keys_lock);
	GBytes *sealed = seal(keyring->keys, table, row, secret, error);
	*generation = master_keys_current(keyring->keys);
	g_rw_lock_reader_unlock(&keyring->keys_lock);
	return sealed;
}

/* Another program has rotated: its file has a generation that ours, in memory, lacks. */
static void
follow_rotation(struct keyring *keyring, unsigned int generation)
{
	g_autoptr(GError) why = NULL;

	g_rw_lock_reader_lock(&keyring->keys_lock);
	gboolean known = generation == 0 || master_keys_has(keyring->keys, generation);
	gboolean recent = g_get_monotonic_time() - keyring->loaded_us < RELOAD_PAUSE_US;
	g_rw_lock_reader_unlock(&keyring->keys_lock);
	if (known)
		return;
	/* A file that was read a moment ago is read once more all the same, after a pause. */
	if (recent)
		g_usleep(RELOAD_PAUSE_US / 20);
	if (!keyring_reload(keyring, &why))
		log_warning("cannot read the master key file again", "error", why->message);
}

struct secret *
keyring_derive_at(struct keyring *keyring, gint64 generation, const char *label, gsize length,
		  GError **error)
{
	if (generation < 1 || generation > G_MAXUINT32)
		return fail(error, PS_ERROR_INVALID,
			    "no generation of a master key has this number");
	follow_rotation(keyring, (unsigned int)generation);
	g_rw_lock_reader_lock(&keyring->keys_lock);
	struct secret *derived =
	    master_keys_derive(keyring->keys, (unsigned int)generation, label, length, error);
	g_rw_lock_reader_unlock(&keyring->keys_lock);
	return derived;
}

struct secret *
keyring_unseal(struct keyring *keyring, const char *table, const char *row, GBytes *sealed,
	       GError **error)
{
	follow_rotation(keyring, seal_generation(sealed));
	g_rw_lock_reader_lock(&keyring->keys_lock);
	struct secret *secret = unseal(keyring->keys, table, row, sealed, error);
	g_rw_lock_reader_unlock(&keyring->keys_lock);
	return secret;
}

/* key NULL: only whether it is held. What is absent is remembered only where a change is heard. */
static void
remember(struct keyring *keyring, const char *spki, gboolean is_held, struct key *key,
	 struct cache_moment began)
{
	change_tag tag = change_tag_of(CHANGE_KEY, spki);
	struct held *held;

	if (!is_held && keyring->changelog == NULL)
		return;
	held = g_new0(struct held, 1);
	held->references = 1;
	held->held = is_held;
	held->key = key != NULL ? key_ref(key) : NULL;
	cache_put(keyring->held, spki, held,
		  key != NULL ? KEY_BYTES + KEY_BYTES_PER_BIT * key_bits(key) : sizeof(*held),
		  CLOCK_NEVER, &tag, keyring->changelog != NULL ? 1 : 0, began);
	held_unref(held);
}

struct key *
keyring_open_row(struct keyring *keyring, const struct sealed_row *row, GError **error)
{
	CLEANUP(secret)
	struct secret *pkcs8 = keyring_unseal(keyring, row->table, row->row, row->sealed, error);
	if (pkcs8 == NULL)
		return NULL;
	CLEANUP(key) struct key *key = key_parse_pkcs8(pkcs8, error);
	if (key == NULL) {
		g_prefix_error(error, "private key %.16s: ", row->row);
		return NULL;
	}
	if (strcmp(key_spki_sha256(key), row->row) != 0)
		return fail(
		    error, PS_ERROR_INVALID,
		    "private key %.16s: the row holds another key; restore it from a backup",
		    row->row);
	return g_steal_pointer(&key);
}

/* The daemon alone may write; it notes the use as the key is opened, at most once a day. */
static void
note_use(struct keyring *keyring, const char *spki)
{
	if (db_role(keyring->db) == DB_ROLE_DAEMON &&
	    !keys_touch(keyring->db, spki, clock_now(keyring->clock), NULL))
		log_debug("last use of a key was not noted", "key", spki);
}

struct key *
keyring_find(struct keyring *keyring, const char *spki_sha256, GError **error)
{
	struct cache_moment began = cache_moment(keyring->held);
	struct held *held = cache_get(keyring->held, spki_sha256);
	struct key *key = held != NULL && held->key != NULL ? key_ref(held->key) : NULL;
	gboolean is_absent = held != NULL && !held->held;

	held_unref(held);
	if (key != NULL)
		return key;
	if (is_absent)
		return fail(error, PS_ERROR_NOT_FOUND, "private key %.16s is not in the store",
			    spki_sha256);
	g_autoptr(GError) why = NULL;
	CLEANUP(sealed_row)
	struct sealed_row *row = sealed_find(keyring->db, "private_key", spki_sha256, &why);
	if (row == NULL) {
		if (g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
			remember(keyring, spki_sha256, FALSE, NULL, began);
		g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	key = keyring_open_row(keyring, row, error);
	if (key == NULL)
		return NULL;
	remember(keyring, spki_sha256, TRUE, key, began);
	note_use(keyring, spki_sha256);
	return key;
}

gboolean
keyring_holds(struct keyring *keyring, const char *spki_sha256, gboolean *held, GError **error)
{
	struct cache_moment began = cache_moment(keyring->held);
	struct held *known = cache_get(keyring->held, spki_sha256);

	if (known != NULL) {
		*held = known->held;
		held_unref(known);
		return TRUE;
	}
	g_autoptr(GHashTable) found = keys_held(keyring->db, &spki_sha256, 1, error);
	if (found == NULL)
		return FALSE;
	*held = g_hash_table_size(found) > 0;
	remember(keyring, spki_sha256, *held, NULL, began);
	return TRUE;
}

gboolean
keyring_store(struct keyring *keyring, struct tx *tx, const struct key *key, const char *origin,
	      gint64 request_id, gboolean *is_new, GError **error)
{
	const char *spki = key_spki_sha256(key);
	gboolean was_new;
	gint64 generation;

	CLEANUP(secret) struct secret *pkcs8 = key_to_pkcs8(key, error);
	if (pkcs8 == NULL)
		return FALSE;
	g_autoptr(GBytes) sealed =
	    keyring_seal(keyring, "private_key", spki, pkcs8, &generation, error);
	if (sealed == NULL)
		return FALSE;
	struct key_row row = {
		.spki_sha256 = (char *)spki,
		.sealed = sealed,
		.generation = generation,
		.kind = (char *)key_kind_name(key_kind(key)),
		.bits = (gint)key_bits(key),
		.origin = (char *)origin,
		.request_id = request_id,
	};
	if (!keys_insert(tx, &row, is_new != NULL ? is_new : &was_new, error))
		return FALSE;
	cache_drop(keyring->held, spki);
	return TRUE;
}

gboolean
key_algorithm_parse(const char *text, enum key_kind *kind, unsigned int *bits, GError **error)
{
	static const struct {
		const char *text;
		enum key_kind kind;
		unsigned int bits;
	} algorithms[] = {
		{ "rsa:2048", KEY_KIND_RSA, 2048 }, { "rsa:3072", KEY_KIND_RSA, 3072 },
		{ "rsa:4096", KEY_KIND_RSA, 4096 }, { "ec:P-256", KEY_KIND_EC, 256 },
		{ "ec:P-384", KEY_KIND_EC, 384 },   { "ec:P-521", KEY_KIND_EC, 521 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(algorithms); i++)
		if (g_ascii_strcasecmp(algorithms[i].text, text) == 0) {
			*kind = algorithms[i].kind;
			*bits = algorithms[i].bits;
			return TRUE;
		}
	return fail_false(error, PS_ERROR_INVALID,
			  "'%.40s' is no key that is made here: rsa:2048, rsa:3072, rsa:4096, "
			  "ec:P-256, ec:P-384 or ec:P-521",
			  text);
}

struct key *
keyring_generate(struct keyring *keyring, struct tx *tx, const char *algorithm, gint64 request_id,
		 GError **error)
{
	enum key_kind kind;
	unsigned int bits;

	if (!key_algorithm_parse(algorithm, &kind, &bits, error))
		return NULL;
	struct key *ready = NULL;
	if (!key_pool_take(keyring, tx, algorithm, request_id, &ready, error))
		return NULL;
	if (ready != NULL) {
		cache_drop(keyring->held, key_spki_sha256(ready));
		return ready;
	}
	CLEANUP(key) struct key *key = key_generate(kind, bits, error);
	if (key == NULL || !keyring_store(keyring, tx, key, "generated", request_id, NULL, error))
		return NULL;
	return g_steal_pointer(&key);
}

gboolean
keyring_delete(struct keyring *keyring, struct tx *tx, const char *spki_sha256,
	       gboolean even_if_used, GError **error)
{
	CLEANUP(key_row) struct key_row *row = keys_find_in_tx(tx, spki_sha256, error);

	if (row == NULL)
		return FALSE;
	if (!even_if_used && (row->certificates > 0 || row->requests > 0 || row->is_ca))
		return fail_false(error, PS_ERROR_DENIED,
				  "private key %.16s is used by %" G_GINT64_FORMAT
				  " certificate(s) and %" G_GINT64_FORMAT
				  " unfinished request(s)%s;"
				  " what was encrypted to it cannot be read without it",
				  spki_sha256, row->certificates, row->requests,
				  row->is_ca ? ", and a CA signs with it" : "");
	if (!keys_delete(tx, spki_sha256, error))
		return FALSE;
	cache_drop(keyring->held, spki_sha256);
	return TRUE;
}
