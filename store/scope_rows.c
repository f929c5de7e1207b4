/*
 * scope_rows - one query for preferences and selections of many scopes, kept by scope; and none for
 * users who are known to have nothing.
 */
#include "store/scope_rows.h"

#include <string.h>

#include "store/base/error.h"
#include "store/cache.h"
#include "store/db/query.h"
#include "store/lookups.h"
#include "store/preference_internal.h"
#include "store/selections.h"

/* Of a row beside its texts. */
#define ROW_BYTES 160

/* Which scopes had rows, or were somebody's alias, when all of them were read: of the others it is
 * known without a query that they have nothing, as long as no change of theirs was told since. */
#define USERS_MAX 50000
#define USERS_AGAIN_US (5 * G_USEC_PER_SEC)

struct users {
	gatomicrefcount references;
	GHashTable *keys; /* scope keys; NULL: they are too many to be kept */
	guint64 since;
	gint64 read_us;
};

struct scope_cache {
	struct db *db;
	const struct changelog *changelog;
	struct cache *rows; /* scope key -> struct scope_rows */
	struct scope_rows *nothing;
	GMutex lock;
	struct users *users; /* under the lock; NULL: not read yet */
	gboolean reading;    /* likewise: one thread does */
};

static struct scope_rows *
scope_rows_new(void)
{
	struct scope_rows *rows = g_new0(struct scope_rows, 1);

	rows->references = 1;
	rows->preferences = g_ptr_array_new_with_free_func((GDestroyNotify)preference_row_free);
	rows->selections = g_ptr_array_new_with_free_func((GDestroyNotify)selection_row_free);
	rows->owners = g_ptr_array_new_with_free_func(g_free);
	return rows;
}

static gpointer
scope_rows_ref(gpointer p)
{
	struct scope_rows *rows = p;

	g_atomic_int_inc(&rows->references);
	return rows;
}

static void
scope_rows_unref(gpointer p)
{
	struct scope_rows *rows = p;

	if (!g_atomic_int_dec_and_test(&rows->references))
		return;
	g_ptr_array_unref(rows->preferences);
	g_ptr_array_unref(rows->selections);
	g_ptr_array_unref(rows->owners);
	g_free(rows);
}

static void
users_unref(struct users *users)
{
	if (users == NULL || !g_atomic_ref_count_dec(&users->references))
		return;
	g_clear_pointer(&users->keys, g_hash_table_unref);
	g_free(users);
}

struct scope_cache *
scope_cache_new(struct db *db, struct changelog *changelog, const struct cache_limits *limits)
{
	struct scope_cache *cache = g_new0(struct scope_cache, 1);

	cache->db = db;
	cache->changelog = changelog;
	cache->nothing = scope_rows_new();
	g_mutex_init(&cache->lock);
	cache->rows =
	    cache_new(changelog, NULL, limits, CACHE_SCOPES, scope_rows_ref, scope_rows_unref);
	return cache;
}

void
scope_cache_free(struct scope_cache *cache)
{
	if (cache == NULL)
		return;
	cache_free(cache->rows);
	scope_rows_unref(cache->nothing);
	users_unref(cache->users);
	g_mutex_clear(&cache->lock);
	g_free(cache);
}

const struct statement scope_rows_statement = {
	"scope_rows",
	"WITH asked AS MATERIALIZED (SELECT $1::text[] || ARRAY("
	"SELECT scope FROM preference WHERE name = 'aliases'"
	" AND string_to_array(value, ' ') && $2::text[]) AS scopes)"
	" SELECT p.scope, p.name, p.value, p.changed, false, false FROM preference p"
	" WHERE p.scope = ANY ((SELECT scopes FROM asked)::text[])"
	" UNION ALL SELECT s.scope, s.kind, s.thumbprint, s.created, true, s.decrypt"
	" FROM selection s WHERE s.scope = ANY ((SELECT scopes FROM asked)::text[])",
};

static struct selection_row *
selection_row_read(const struct rows *rows, int r)
{
	struct selection_row *row = g_new0(struct selection_row, 1);
	const char *kind = rows_text(rows, r, 1);

	for (int k = SELECTION_ENCRYPT; k <= SELECTION_ADDITIONAL; k++)
		if (strcmp(kind, selection_kind_name((enum selection_kind)k)) == 0)
			row->kind = (enum selection_kind)k;
	row->scope = scope_from_key(rows_text(rows, r, 0));
	row->thumbprint = g_strdup(rows_text(rows, r, 2));
	row->created = rows_time(rows, r, 3);
	row->decrypt = rows_bool(rows, r, 5);
	return row;
}

static int
compare_preferences(gconstpointer a, gconstpointer b)
{
	const struct preference_row *const *one = a, *const *other = b;

	return (int)(*one)->preference - (int)(*other)->preference;
}

static int
compare_selections(gconstpointer a, gconstpointer b)
{
	const struct selection_row *one = *(const struct selection_row *const *)a;
	const struct selection_row *other = *(const struct selection_row *const *)b;

	if (one->kind != other->kind)
		return (int)one->kind - (int)other->kind;
	if (one->created != other->created)
		return one->created < other->created ? -1 : 1;
	return strcmp(one->thumbprint, other->thumbprint);
}

static int
compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct scope_rows *
rows_of(GHashTable *found, const char *key)
{
	struct scope_rows *rows = g_hash_table_lookup(found, key);

	if (rows == NULL) {
		rows = scope_rows_new();
		g_hash_table_insert(found, g_strdup(key), rows);
	}
	return rows;
}

/* Where the aliases of this row are among what was asked for, they have found their owner. */
static void
note_owner(GHashTable *found, const char *scope, const char *value)
{
	g_auto(GStrv) aliases = g_strsplit(value, " ", -1);

	for (char **alias = aliases; *alias != NULL; alias++) {
		g_autofree char *key = g_strconcat("u:", *alias, NULL);
		struct scope_rows *rows = g_hash_table_lookup(found, key);
		if (rows != NULL)
			g_ptr_array_add(rows->owners, g_strdup(scope));
	}
}

static void
take_rows(GHashTable *found, const struct rows *rows)
{
	GHashTableIter iterator;
	gpointer value;

	for (int r = 0; r < rows_count(rows); r++) {
		const char *scope = rows_text(rows, r, 0);
		struct scope_rows *of_scope = rows_of(found, scope);
		if (rows_bool(rows, r, 4)) {
			g_ptr_array_add(of_scope->selections, selection_row_read(rows, r));
			continue;
		}
		struct preference_row *row = preference_row_read(rows, r);
		if (row == NULL)
			continue;
		g_ptr_array_add(of_scope->preferences, row);
		if (row->preference == PREF_ALIASES)
			note_owner(found, scope, row->value);
	}
	g_hash_table_iter_init(&iterator, found);
	while (g_hash_table_iter_next(&iterator, NULL, &value)) {
		struct scope_rows *of_scope = value;
		g_ptr_array_sort(of_scope->preferences, compare_preferences);
		g_ptr_array_sort(of_scope->selections, compare_selections);
		g_ptr_array_sort(of_scope->owners, compare_texts);
	}
}

static gboolean
query(struct scope_cache *cache, const GPtrArray *keys, GHashTable *found, GError **error)
{
	struct params *params = params_new();
	g_autoptr(GPtrArray) addresses = g_ptr_array_new();

	for (guint i = 0; i < keys->len; i++) {
		const char *key = g_ptr_array_index(keys, i);
		if (g_str_has_prefix(key, "u:"))
			g_ptr_array_add(addresses, (gpointer)(key + strlen("u:")));
		(void)rows_of(found, key); /* also when there are none */
	}
	params_text_array(params, (const char *const *)keys->pdata, keys->len);
	params_text_array(params, (const char *const *)addresses->pdata, addresses->len);
	CLEANUP(rows) struct rows *rows = db_query(cache->db, &scope_rows_statement, params, error);
	if (rows == NULL)
		return FALSE;
	take_rows(found, rows);
	return TRUE;
}

static gsize
cost_of(const struct scope_rows *rows)
{
	gsize cost = sizeof(*rows) + 3 * 64;

	for (guint i = 0; i < rows->preferences->len; i++) {
		const struct preference_row *row = g_ptr_array_index(rows->preferences, i);
		cost += ROW_BYTES + strlen(row->scope->name) + strlen(row->value);
	}
	cost += rows->selections->len * (ROW_BYTES + 256);
	for (guint i = 0; i < rows->owners->len; i++)
		cost += 32 + strlen(g_ptr_array_index(rows->owners, i));
	return cost;
}

const struct statement scope_users_statement = {
	"scope_users",
	"SELECT scope FROM preference UNION SELECT scope FROM selection"
	" UNION SELECT 'u:' || unnest(string_to_array(value, ' ')) FROM preference"
	" WHERE name = 'aliases' LIMIT $1",
};

static struct users *
users_read(struct scope_cache *cache)
{
	struct users *users = g_new0(struct users, 1);
	struct params *params = params_new();

	g_atomic_ref_count_init(&users->references);
	users->since = changelog_moment(cache->changelog);
	users->read_us = g_get_monotonic_time();
	params_int(params, USERS_MAX + 1);
	CLEANUP(rows) struct rows *rows = db_query(cache->db, &scope_users_statement, params, NULL);
	if (rows == NULL)
		g_clear_pointer(&users, users_unref); /* the next one tries again */
	if (rows == NULL || rows_count(rows) > USERS_MAX)
		return users;
	users->keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (int r = 0; r < rows_count(rows); r++)
		g_hash_table_add(users->keys, g_strdup(rows_text(rows, r, 0)));
	return users;
}

/* A reference, or NULL. Read once, and again by the one who finds it no longer of use. */
static struct users *
users_find(struct scope_cache *cache, gboolean again)
{
	struct users *users, *former;
	gboolean mine;

	g_mutex_lock(&cache->lock);
	users = cache->users;
	mine =
	    !cache->reading &&
	    (users == NULL || (again && g_get_monotonic_time() - users->read_us > USERS_AGAIN_US));
	if (users != NULL && !mine)
		g_atomic_ref_count_inc(&users->references);
	cache->reading |= mine;
	g_mutex_unlock(&cache->lock);
	if (!mine)
		return users;
	users = users_read(cache);
	if (users != NULL)
		g_atomic_ref_count_inc(&users->references);
	g_mutex_lock(&cache->lock);
	former = cache->users;
	cache->users = users;
	cache->reading = FALSE;
	g_mutex_unlock(&cache->lock);
	users_unref(former);
	return users;
}

/* Is it known that this scope has no rows? */
static gboolean
has_nothing(struct scope_cache *cache, const char *key)
{
	change_tag tags[] = { change_tag_of(CHANGE_PREFERENCE, key),
			      change_tag_of(CHANGE_SELECTION, key) };
	gboolean again = FALSE, nothing = FALSE;

	if (cache->changelog == NULL || !cache_is_fresh(cache->rows))
		return FALSE;
	for (int round = 0; round < 2 && !nothing; round++) {
		struct users *users = users_find(cache, again);
		gboolean known = users != NULL && users->keys != NULL;

		again = known && !changelog_unchanged(cache->changelog, tags, 2, users->since);
		nothing = known && !again && !g_hash_table_contains(users->keys, key);
		users_unref(users);
		if (!again)
			break;
	}
	return nothing;
}

/* Rests on its own key alone: who makes it an alias tells that as a change of it. */
static void
remember(struct scope_cache *cache, const char *key, struct scope_rows *rows,
	 struct cache_moment began)
{
	change_tag tags[] = { change_tag_of(CHANGE_PREFERENCE, key),
			      change_tag_of(CHANGE_SELECTION, key) };

	cache_put(cache->rows, key, rows, cost_of(rows), CLOCK_NEVER, tags, G_N_ELEMENTS(tags),
		  began);
}

/* Adds the rows of these keys to found. */
static gboolean
load(struct scope_cache *cache, const char *const *keys, gsize n, GHashTable *found, GError **error)
{
	struct cache_moment began = cache_moment(cache->rows);
	g_autoptr(GPtrArray) missing = g_ptr_array_new();
	g_autoptr(GHashTable) fresh = NULL;
	GHashTableIter iterator;
	gpointer key, rows;

	for (gsize i = 0; i < n; i++) {
		struct scope_rows *known = NULL;
		if (g_hash_table_contains(found, keys[i]))
			continue;
		known = cache_get(cache->rows, keys[i]);
		if (known == NULL && has_nothing(cache, keys[i]))
			known = scope_rows_ref(cache->nothing);
		if (known != NULL)
			g_hash_table_insert(found, g_strdup(keys[i]), known);
		else
			g_ptr_array_add(missing, (gpointer)keys[i]);
	}
	if (missing->len == 0)
		return TRUE;
	fresh = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, scope_rows_unref);
	if (!query(cache, missing, fresh, error))
		return FALSE;
	for (guint i = 0; i < missing->len; i++)
		remember(cache, missing->pdata[i], g_hash_table_lookup(fresh, missing->pdata[i]),
			 began);
	/* Owners come along; whose aliases they are themselves was not asked. */
	g_hash_table_iter_init(&iterator, fresh);
	while (g_hash_table_iter_next(&iterator, &key, &rows))
		if (!g_hash_table_contains(found, key))
			g_hash_table_insert(found, g_strdup(key), scope_rows_ref(rows));
	return TRUE;
}

GHashTable *
scope_cache_load(struct scope_cache *cache, const char *const *scope_keys, gsize n, GError **error)
{
	g_autoptr(GHashTable) found =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, scope_rows_unref);
	g_autoptr(GPtrArray) owners = g_ptr_array_new_with_free_func(g_free);

	if (!load(cache, scope_keys, n, found, error))
		return NULL;
	for (gsize i = 0; i < n; i++) {
		const struct scope_rows *rows = g_hash_table_lookup(found, scope_keys[i]);
		for (guint k = 0; k < rows->owners->len; k++)
			g_ptr_array_add(owners, g_strdup(rows->owners->pdata[k]));
	}
	if (!load(cache, (const char *const *)owners->pdata, owners->len, found, error))
		return NULL;
	return g_steal_pointer(&found);
}
