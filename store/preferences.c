/*
 * preferences - rows of preferences, and the cache that the mail path asks.
 */
#include "store/preferences.h"

#include <string.h>

#include "store/base/error.h"
#include "store/db/changelog.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/lookups.h"
#include "store/preference_internal.h"

/* Addresses remembered; sets themselves are shared by all addresses without rows of their own. */
#define CACHE_MAX 200000

void
preference_row_free(struct preference_row *row)
{
	if (row == NULL)
		return;
	scope_free(row->scope);
	g_free(row->value);
	g_free(row);
}

static void
rows_unref(gpointer rows)
{
	g_ptr_array_unref(rows);
}

GHashTable *
preference_table_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, rows_unref);
}

/* A name that this program does not know belongs to a newer one: it is left alone. */
static struct preference_row *
preference_row_read(const struct rows *rows, int r)
{
	enum preference preference;

	if (!preference_find(rows_text(rows, r, 1), &preference, NULL))
		return NULL;
	struct preference_row *row = g_new0(struct preference_row, 1);
	row->scope = scope_from_key(rows_text(rows, r, 0));
	row->preference = preference;
	row->value = g_strdup(rows_is_null(rows, r, 2) ? "set" : rows_text(rows, r, 2));
	row->changed = rows_time(rows, r, 3);
	return row;
}

const struct statement preferences_by_scopes_statement = {
	"preferences_by_scopes",
	"SELECT scope, name, value, changed FROM preference WHERE scope = ANY ($1::text[] || ARRAY("
	"SELECT scope FROM preference WHERE name = 'aliases'"
	" AND string_to_array(value, ' ') && $2::text[])) ORDER BY scope, name",
};

gboolean
preference_rows_load(struct db *db, const GPtrArray *scope_keys, GHashTable *table, GError **error)
{
	struct params *params = params_new();
	g_autoptr(GPtrArray) addresses = g_ptr_array_new();

	for (guint i = 0; i < scope_keys->len; i++) {
		const char *key = g_ptr_array_index(scope_keys, i);
		if (g_str_has_prefix(key, "u:"))
			g_ptr_array_add(addresses, (gpointer)(key + strlen("u:")));
	}
	params_text_array(params, (const char *const *)scope_keys->pdata, scope_keys->len);
	params_text_array(params, (const char *const *)addresses->pdata, addresses->len);
	CLEANUP(rows)
	struct rows *rows = db_query(db, &preferences_by_scopes_statement, params, error);
	if (rows == NULL)
		return FALSE;
	for (int r = 0; r < rows_count(rows); r++) {
		struct preference_row *row = preference_row_read(rows, r);
		if (row == NULL)
			continue;
		preference_table_add(table, row);
	}
	return TRUE;
}

struct preference_cache {
	struct db *db;
	struct changelog *changelog;
	gint64 grace_seconds;
	char delimiter;
	GMutex mutex;
	guint64 generation;
	GHashTable *by_address; /* key -> set */
	GHashTable *by_print;   /* fingerprint -> set, so that equal ones are one */
};

struct preference_cache *
preference_cache_new(struct db *db, struct changelog *changelog, char delimiter,
		     gint64 grace_seconds)
{
	struct preference_cache *cache = g_new0(struct preference_cache, 1);

	cache->db = db;
	cache->changelog = changelog;
	cache->delimiter = delimiter;
	cache->grace_seconds = grace_seconds;
	g_mutex_init(&cache->mutex);
	cache->by_address = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
						  (GDestroyNotify)preference_set_unref);
	cache->by_print = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
						(GDestroyNotify)preference_set_unref);
	return cache;
}

void
preference_cache_free(struct preference_cache *cache)
{
	if (cache == NULL)
		return;
	g_hash_table_unref(cache->by_address);
	g_hash_table_unref(cache->by_print);
	g_mutex_clear(&cache->mutex);
	g_free(cache);
}

/* Under the mutex. Empties the cache when the generation has moved on. */
static gboolean
is_current(struct preference_cache *cache, guint64 generation)
{
	if (generation != cache->generation || g_hash_table_size(cache->by_address) >= CACHE_MAX) {
		if (generation < cache->generation)
			return FALSE; /* a slow thread with old rows */
		g_hash_table_remove_all(cache->by_address);
		g_hash_table_remove_all(cache->by_print);
		cache->generation = generation;
	}
	return TRUE;
}

static struct preference_set *
cache_get(struct preference_cache *cache, const char *key, guint64 generation)
{
	struct preference_set *set = NULL;

	g_mutex_lock(&cache->mutex);
	if (is_current(cache, generation))
		set = g_hash_table_lookup(cache->by_address, key);
	if (set != NULL)
		preference_set_ref(set);
	g_mutex_unlock(&cache->mutex);
	return set;
}

/* Takes the set over and gives the one to use: an equal one that is there already, or it. */
static struct preference_set *
cache_put(struct preference_cache *cache, const char *key, struct preference_set *set,
	  guint64 generation)
{
	g_mutex_lock(&cache->mutex);
	if (is_current(cache, generation)) {
		const char *print = preference_set_fingerprint(set);
		struct preference_set *equal = g_hash_table_lookup(cache->by_print, print);
		if (equal != NULL) {
			preference_set_unref(set);
			set = preference_set_ref(equal);
		} else {
			g_hash_table_insert(cache->by_print, (gpointer)print,
					    preference_set_ref(set));
		}
		g_hash_table_insert(cache->by_address, g_strdup(key), preference_set_ref(set));
	}
	g_mutex_unlock(&cache->mutex);
	return set;
}

/* Every scope that could speak for one of these addresses, each once. */
static GPtrArray *
scope_keys_of(struct preference_cache *cache, const char *const *address_keys, gsize n)
{
	GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (gsize i = 0; i < n; i++) {
		const char *address = *address_keys[i] != '\0' ? address_keys[i] : NULL;
		g_autofree char *untagged =
		    address != NULL ? scope_untagged(address, cache->delimiter) : NULL;
		g_autoptr(GPtrArray) scopes = scope_list(address, untagged);
		for (guint s = 0; s < scopes->len; s++) {
			char *key = scope_key(g_ptr_array_index(scopes, s));
			if (g_hash_table_contains(seen, key)) {
				g_free(key);
				continue;
			}
			g_hash_table_add(seen, key);
			g_ptr_array_add(keys, key);
		}
	}
	return keys;
}

/* When the change log is silent for too long, an entry might be wrong: the database decides. */
static gboolean
may_serve(const struct preference_cache *cache)
{
	return changelog_fresh(cache->changelog, cache->grace_seconds);
}

gboolean
preferences_prefetch(struct preference_cache *cache, const char *const *address_keys, gsize n,
		     GError **error)
{
	/* Before the query: a change in between only makes the entry stale at once. */
	guint64 generation = changelog_generation(cache->changelog, CHANGE_PREFERENCE);
	g_autoptr(GPtrArray) missing = g_ptr_array_new();

	for (gsize i = 0; i < n; i++) {
		CLEANUP(preference_set)
		struct preference_set *set =
		    may_serve(cache) ? cache_get(cache, address_keys[i], generation) : NULL;
		if (set == NULL)
			g_ptr_array_add(missing, (gpointer)address_keys[i]);
	}
	if (missing->len == 0)
		return TRUE;
	g_autoptr(GPtrArray) keys =
	    scope_keys_of(cache, (const char *const *)missing->pdata, missing->len);
	g_autoptr(GHashTable) table = preference_table_new();
	if (!preference_rows_load(cache->db, keys, table, error))
		return FALSE;
	for (guint i = 0; i < missing->len; i++) {
		const char *key = g_ptr_array_index(missing, i);
		struct preference_set *set =
		    preference_set_build_table(*key != '\0' ? key : NULL, cache->delimiter, table);
		preference_set_unref(cache_put(cache, key, set, generation));
	}
	return TRUE;
}

struct preference_set *
preferences_resolve(struct preference_cache *cache, const char *address_key, GError **error)
{
	guint64 generation = changelog_generation(cache->changelog, CHANGE_PREFERENCE);
	const char *key = address_key != NULL ? address_key : "";

	if (may_serve(cache)) {
		struct preference_set *set = cache_get(cache, key, generation);
		if (set != NULL)
			return set;
	}
	g_autoptr(GPtrArray) keys = scope_keys_of(cache, &key, 1);
	g_autoptr(GHashTable) table = preference_table_new();
	if (!preference_rows_load(cache->db, keys, table, error))
		return NULL;
	return cache_put(cache, key,
			 preference_set_build_table(address_key, cache->delimiter, table),
			 generation);
}

static gboolean
scope_fits(const struct scope *scope, enum preference preference, GError **error)
{
	static const guint bits[] = {
		[SCOPE_GLOBAL] = IN_GLOBAL,
		[SCOPE_DOMAIN] = IN_DOMAIN,
		[SCOPE_USER] = IN_USER,
	};
	g_autofree char *text = scope_text(scope);

	if (preference_scopes(preference) & bits[scope->kind])
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID, "%s cannot be set for %s, only for a %s",
			  preference_name(preference), text,
			  preference_scopes(preference) & IN_USER ? "user" : "domain");
}

/* An alias takes over what its owner has, so its own answers change as well. */
static void
tell_aliases(struct tx *tx, const char *value)
{
	g_auto(GStrv) aliases = g_strsplit(value, " ", -1);

	for (char **alias = aliases; *alias != NULL; alias++) {
		CLEANUP(scope) struct scope *scope = scope_new(SCOPE_USER, *alias);
		g_autofree char *key = scope_key(scope);
		tx_changed(tx, CHANGE_PREFERENCE, key);
	}
}

static const struct statement preferences_aliases_statement = {
	"preferences_aliases",
	"SELECT value FROM preference WHERE scope = $1 AND name = 'aliases'"
	" AND value IS NOT NULL FOR UPDATE",
};

gboolean
preferences_aliases_changed(struct tx *tx, const struct scope *scope, GError **error)
{
	g_autofree char *key = scope_key(scope);
	struct params *params = params_new();

	params_text(params, key);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &preferences_aliases_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) > 0)
		tell_aliases(tx, rows_text(rows, 0, 0));
	return TRUE;
}

static const struct statement preferences_set_statement = {
	"preferences_set",
	"INSERT INTO preference (scope, name, value) VALUES ($1, $2, $3)"
	" ON CONFLICT (scope, name) DO UPDATE SET value = excluded.value, sealed = NULL,"
	" generation = NULL, changed = now()",
};

gboolean
preferences_set(struct tx *tx, const struct scope *scope, enum preference preference,
		const char *value, GError **error)
{
	g_autofree char *key = scope_key(scope);

	if (!scope_fits(scope, preference, error) || !scopes_add(tx, scope, NULL, NULL, error))
		return FALSE;
	if (preference == PREF_ALIASES) {
		if (!preferences_aliases_changed(tx, scope, error))
			return FALSE;
		tell_aliases(tx, value);
	}
	struct params *params = params_new();
	params_text(params, key);
	params_text(params, preference_name(preference));
	params_text(params, value);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &preferences_set_statement, params, error);
	if (rows == NULL)
		return FALSE;
	tx_changed(tx, CHANGE_PREFERENCE, key);
	return TRUE;
}

static const struct statement preferences_unset_statement = {
	"preferences_unset",
	"DELETE FROM preference WHERE scope = $1 AND name = $2",
};

gboolean
preferences_unset(struct tx *tx, const struct scope *scope, enum preference preference,
		  GError **error)
{
	g_autofree char *key = scope_key(scope);
	g_autofree char *text = scope_text(scope);

	if (preference == PREF_ALIASES && !preferences_aliases_changed(tx, scope, error))
		return FALSE;
	struct params *params = params_new();
	params_text(params, key);
	params_text(params, preference_name(preference));
	CLEANUP(rows) struct rows *rows = tx_query(tx, &preferences_unset_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND, "%s is not set for %s itself",
				  preference_name(preference), text);
	tx_changed(tx, CHANGE_PREFERENCE, key);
	return TRUE;
}

static const struct statement preferences_own_statement = {
	"preferences_own",
	"SELECT scope, name, value, changed FROM preference WHERE scope = $1 ORDER BY name",
};

GPtrArray *
preferences_own(struct db *db, const struct scope *scope, GError **error)
{
	g_autofree char *key = scope_key(scope);
	struct params *params = params_new();

	params_text(params, key);
	CLEANUP(rows) struct rows *rows = db_query(db, &preferences_own_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *own = g_ptr_array_new_with_free_func((GDestroyNotify)preference_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct preference_row *row = preference_row_read(rows, r);
		if (row != NULL)
			g_ptr_array_add(own, row);
	}
	return own;
}
