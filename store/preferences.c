/*
 * preferences - rows of preferences, and the cache that the mail path asks.
 */
#include "store/preferences.h"

#include <string.h>

#include "store/base/error.h"
#include "store/cache.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/preference_internal.h"
#include "store/preference_tags.h"
#include "store/scope_rows.h"

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

struct preference_row *
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

struct preference_cache {
	char delimiter;
	struct scope_cache *scopes;
	struct cache *addresses; /* address key -> set */
	struct cache *sets;      /* by fingerprint, so that equal ones are one; and by domain */
};

static gpointer
set_ref(gpointer set)
{
	return preference_set_ref(set);
}

static void
set_unref(gpointer set)
{
	preference_set_unref(set);
}

struct preference_cache *
preference_cache_new(struct db *db, struct changelog *changelog, char delimiter,
		     const struct cache_limits *limits)
{
	struct preference_cache *cache = g_new0(struct preference_cache, 1);

	cache->delimiter = delimiter;
	cache->scopes = scope_cache_new(db, changelog, limits);
	cache->addresses = cache_new(changelog, NULL, limits, CACHE_ADDRESSES, set_ref, set_unref);
	cache->sets = cache_new(changelog, NULL, limits, CACHE_PREFERENCES, set_ref, set_unref);
	return cache;
}

void
preference_cache_free(struct preference_cache *cache)
{
	if (cache == NULL)
		return;
	cache_free(cache->addresses);
	cache_free(cache->sets);
	scope_cache_free(cache->scopes);
	g_free(cache);
}

struct scope_cache *
preference_cache_scopes(struct preference_cache *cache)
{
	return cache->scopes;
}

/* Adds every scope that could speak for this address. */
static void
add_scope_keys(const struct preference_cache *cache, const char *address_key, GPtrArray *keys)
{
	const char *address = *address_key != '\0' ? address_key : NULL;
	g_autofree char *untagged =
	    address != NULL ? scope_untagged(address, cache->delimiter) : NULL;
	g_autoptr(GPtrArray) scopes = scope_list(address, untagged);

	for (guint s = 0; s < scopes->len; s++)
		g_ptr_array_add(keys, scope_key(g_ptr_array_index(scopes, s)));
}

/* Has somebody of these users, or one whose alias he is, anything of his own? */
static gboolean
has_own(const GPtrArray *keys, GHashTable *found)
{
	for (guint i = 0; i < keys->len; i++) {
		const struct scope_rows *rows = g_hash_table_lookup(found, keys->pdata[i]);
		if (g_str_has_prefix(keys->pdata[i], "u:") &&
		    (rows->preferences->len > 0 || rows->owners->len > 0))
			return TRUE;
	}
	return FALSE;
}

/* Scope key -> rows, as sets are built from; borrows from found. */
static GHashTable *
table_of(GHashTable *found)
{
	GHashTable *table = preference_table_new();
	GHashTableIter iterator;
	gpointer key, value;

	g_hash_table_iter_init(&iterator, found);
	while (g_hash_table_iter_next(&iterator, &key, &value)) {
		const struct scope_rows *rows = value;
		for (guint i = 0; i < rows->preferences->len; i++)
			if (((struct preference_row *)rows->preferences->pdata[i])->preference ==
			    PREF_ALIASES)
				preference_table_add_aliases(table, rows->preferences->pdata[i]);
		if (rows->preferences->len > 0)
			g_hash_table_insert(table, g_strdup(key),
					    g_ptr_array_ref(rows->preferences));
	}
	return table;
}

/* Takes the set over and gives the one to use: an equal one that is there already, or it. */
static struct preference_set *
one_of_equals(struct preference_cache *cache, struct preference_set *set)
{
	struct cache_moment began = cache_moment(cache->sets);
	g_autofree char *print = g_strconcat("=", preference_set_fingerprint(set), NULL);
	struct preference_set *equal = cache_get(cache->sets, print);

	if (equal != NULL) {
		preference_set_unref(set);
		return equal;
	}
	cache_put(cache->sets, print, set, preference_set_memory(set), CLOCK_NEVER, NULL, 0, began);
	return set;
}

static struct preference_set *
build(struct preference_cache *cache, const char *address_key, GHashTable *found)
{
	g_autoptr(GHashTable) table = table_of(found);
	const char *address = *address_key != '\0' ? address_key : NULL;

	return one_of_equals(cache, preference_set_build_table(address, cache->delimiter, table));
}

/* What all addresses of a domain have that have nothing of their own. */
static struct preference_set *
domain_set(struct preference_cache *cache, const char *address_key, const GPtrArray *keys,
	   GHashTable *found, struct cache_moment began)
{
	const char *at = strrchr(address_key, '@');
	const char *domain = at != NULL ? at : "@";
	struct preference_set *set = cache_get(cache->sets, domain);
	g_autoptr(GArray) tags = NULL;

	if (set != NULL)
		return set;
	set = build(cache, address_key, found);
	tags = change_tags_new();
	for (guint i = 0; i < keys->len; i++)
		if (!g_str_has_prefix(keys->pdata[i], "u:"))
			change_tags_add(tags, CHANGE_PREFERENCE, keys->pdata[i]);
	cache_put(cache->sets, domain, set, 0, CLOCK_NEVER, (change_tag *)(gpointer)tags->data,
		  tags->len, began);
	return set;
}

/* Its scopes' rows are in found. Appends what the set rests on. */
static struct preference_set *
make_set(struct preference_cache *cache, const char *address_key, GHashTable *found,
	 struct cache_moment began, GArray *tags)
{
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GArray) own = change_tags_new();
	struct preference_set *set;
	gsize cost = 0;

	add_scope_keys(cache, address_key, keys);
	for (guint i = 0; i < keys->len; i++) {
		const struct scope_rows *rows = g_hash_table_lookup(found, keys->pdata[i]);
		change_tags_add(own, CHANGE_PREFERENCE, keys->pdata[i]);
		for (guint k = 0; k < rows->owners->len; k++)
			change_tags_add(own, CHANGE_PREFERENCE, rows->owners->pdata[k]);
	}
	if (has_own(keys, found)) {
		set = build(cache, address_key, found);
		cost = preference_set_memory(set);
	} else {
		set = domain_set(cache, address_key, keys, found, began);
	}
	cache_put(cache->addresses, address_key, set, cost, CLOCK_NEVER,
		  (change_tag *)(gpointer)own->data, own->len, began);
	if (tags != NULL)
		change_tags_join(tags, own);
	return set;
}

gboolean
preferences_prefetch(struct preference_cache *cache, const char *const *address_keys, gsize n,
		     GError **error)
{
	struct cache_moment began = cache_moment(cache->addresses);
	g_autoptr(GPtrArray) missing = g_ptr_array_new();
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

	for (gsize i = 0; i < n; i++) {
		CLEANUP(preference_set)
		struct preference_set *set = cache_get(cache->addresses, address_keys[i]);
		if (set != NULL)
			continue;
		g_ptr_array_add(missing, (gpointer)address_keys[i]);
		add_scope_keys(cache, address_keys[i], keys);
	}
	if (missing->len == 0)
		return TRUE;
	g_autoptr(GHashTable) found =
	    scope_cache_load(cache->scopes, (const char *const *)keys->pdata, keys->len, error);
	if (found == NULL)
		return FALSE;
	for (guint i = 0; i < missing->len; i++)
		preference_set_unref(make_set(cache, missing->pdata[i], found, began, NULL));
	return TRUE;
}

struct preference_set *
preferences_resolve(struct preference_cache *cache, const char *address_key, GError **error)
{
	return preferences_resolve_tagged(cache, address_key, NULL, error);
}

struct preference_set *
preferences_resolve_tagged(struct preference_cache *cache, const char *address_key, GArray *tags,
			   GError **error)
{
	const char *key = address_key != NULL ? address_key : "";
	struct cache_moment began = cache_moment(cache->addresses);
	struct preference_set *set = cache_get_tagged(cache->addresses, key, tags);
	g_autoptr(GPtrArray) keys = NULL;
	g_autoptr(GHashTable) found = NULL;

	if (set != NULL)
		return set;
	keys = g_ptr_array_new_with_free_func(g_free);
	add_scope_keys(cache, key, keys);
	found = scope_cache_load(cache->scopes, (const char *const *)keys->pdata, keys->len, error);
	return found != NULL ? make_set(cache, key, found, began, tags) : NULL;
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
