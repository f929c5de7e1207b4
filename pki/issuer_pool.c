/*
 * issuer_pool - cached reads of roots, cert and ca.
 */
#include "pki/issuer_pool.h"

#include <string.h>

#include "pki/cert_cache.h"
#include "pki/crypto/chain.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/cache.h"
#include "store/cas.h"
#include "store/certs.h"
#include "store/db/changelog.h"
#include "store/roots.h"

struct issuer_pool {
	struct db *db;
	struct changelog *changelog;
	struct cache *named; /* "ca" or "any", subject key -> GPtrArray of struct cert */
	GMutex lock;
	guint64 roots_since, own_since;
	GPtrArray *roots; /* struct cert, or NULL */
	GHashTable *own;  /* or NULL */
};

static GPtrArray *
certs_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
}

static gpointer
array_ref(gpointer array)
{
	return g_ptr_array_ref(array);
}

static void
array_unref(gpointer array)
{
	g_ptr_array_unref(array);
}

struct issuer_pool *
issuer_pool_new(struct db *db, struct changelog *changelog, const struct cache_limits *limits)
{
	struct issuer_pool *pool = g_new0(struct issuer_pool, 1);

	pool->db = db;
	pool->changelog = changelog;
	pool->named = cache_new(changelog, NULL, limits, CACHE_ISSUERS, array_ref, array_unref);
	g_mutex_init(&pool->lock);
	return pool;
}

void
issuer_pool_free(struct issuer_pool *pool)
{
	if (pool == NULL)
		return;
	g_clear_pointer(&pool->roots, g_ptr_array_unref);
	g_clear_pointer(&pool->own, g_hash_table_unref);
	cache_free(pool->named);
	g_mutex_clear(&pool->lock);
	g_free(pool);
}

/* Is what was read at that moment still so? Without a change log nobody would tell. */
static gboolean
is_current(const struct issuer_pool *pool, enum change_kind kind, guint64 since)
{
	change_tag tag = change_tag_of(kind, NULL);

	return pool->changelog != NULL && changelog_unchanged(pool->changelog, &tag, 1, since);
}

/* A row that does not parse was put there by another program: it is as if it were not there. */
static void
add_der(GPtrArray *certs, GBytes *der, const char *thumbprint)
{
	g_autoptr(GError) error = NULL;
	struct cert *cert = der != NULL ? cert_parse(der, &error) : NULL;

	if (cert != NULL)
		g_ptr_array_add(certs, cert);
	else
		log_warning("a certificate of the store cannot be read", "thumbprint", thumbprint,
			    "reason", error != NULL ? error->message : "no DER");
}

static GPtrArray *
read_roots(struct issuer_pool *pool, GError **error)
{
	g_autoptr(GPtrArray) rows = roots_all(pool->db, error);
	GPtrArray *roots;

	if (rows == NULL)
		return NULL;
	roots = certs_new();
	for (guint i = 0; i < rows->len; i++) {
		const struct root_row *row = rows->pdata[i];
		add_der(roots, row->der, row->thumbprint);
	}
	return roots;
}

GPtrArray *
issuer_pool_roots(struct issuer_pool *pool, GError **error)
{
	guint64 since = changelog_moment(pool->changelog);
	GPtrArray *roots = NULL;

	g_mutex_lock(&pool->lock);
	if (pool->roots != NULL && is_current(pool, CHANGE_ROOT, pool->roots_since))
		roots = g_ptr_array_ref(pool->roots);
	g_mutex_unlock(&pool->lock);
	if (roots != NULL)
		return roots;
	roots = read_roots(pool, error);
	if (roots == NULL)
		return NULL;
	g_mutex_lock(&pool->lock);
	if (pool->roots == NULL || since >= pool->roots_since) {
		g_clear_pointer(&pool->roots, g_ptr_array_unref);
		pool->roots = g_ptr_array_ref(roots);
		pool->roots_since = since;
	}
	g_mutex_unlock(&pool->lock);
	return roots;
}

static GPtrArray *
parse_rows(const GPtrArray *rows)
{
	GPtrArray *certs = certs_new();

	for (guint i = 0; i < MIN(rows->len, CHAIN_CANDIDATES_MAX); i++) {
		const struct cert_row *row = rows->pdata[i];
		add_der(certs, row->der, row->thumbprint);
	}
	return certs;
}

enum whom { CAS_ALONE, ANYBODY };

/* The certificates of one subject, from the cache or the store. */
static GPtrArray *
find_named(struct issuer_pool *pool, const char *subject_key, enum whom whom, GError **error)
{
	struct cache_moment began = cache_moment(pool->named);
	g_autofree char *key = g_strconcat(whom == CAS_ALONE ? "ca " : "any ", subject_key, NULL);
	/* Only of CA certificates is it told by name that they came. */
	change_tag tag = whom == CAS_ALONE ? change_tag_of(CHANGE_ISSUER, subject_key)
					   : change_tag_of(CHANGE_CERT, NULL);
	GPtrArray *certs = cache_get(pool->named, key);
	gsize cost = 64;

	if (certs != NULL)
		return certs;
	g_autoptr(GPtrArray) rows = whom == CAS_ALONE
					? certs_issuers(pool->db, &subject_key, 1, error)
					: certs_by_subject(pool->db, subject_key, NULL, error);
	if (rows == NULL)
		return NULL;
	certs = parse_rows(rows);
	for (guint i = 0; i < certs->len; i++)
		cost += cert_memory(certs->pdata[i]) + sizeof(gpointer);
	cache_put(pool->named, key, certs, cost, CLOCK_NEVER, &tag, 1, began);
	return certs;
}

static void
add_missing(GPtrArray *certs, GPtrArray *from)
{
	for (guint i = 0; i < from->len && certs->len < CHAIN_CANDIDATES_MAX; i++)
		if (!cert_is_among(from->pdata[i], certs))
			g_ptr_array_add(certs, cert_ref(from->pdata[i]));
}

static gboolean
climb_one(struct issuer_pool *pool, const char *issuer_key, GHashTable *asked, GPtrArray *certs,
	  GError **error)
{
	if (!g_hash_table_add(asked, (gpointer)issuer_key))
		return TRUE;
	g_autoptr(GPtrArray) found = find_named(pool, issuer_key, CAS_ALONE, error);
	if (found == NULL)
		return FALSE;
	add_missing(certs, found);
	return TRUE;
}

gboolean
issuer_pool_climb_from(struct issuer_pool *pool, const char *issuer_key, GHashTable *asked,
		       GPtrArray *certs, GError **error)
{
	if (!climb_one(pool, issuer_key, asked, certs, error))
		return FALSE;
	for (guint i = 0; i < certs->len; i++)
		if (!climb_one(pool, cert_issuer_key(certs->pdata[i]), asked, certs, error))
			return FALSE;
	return TRUE;
}

gboolean
issuer_pool_climb(struct issuer_pool *pool, struct cert *cert, GPtrArray *certs, GError **error)
{
	g_autoptr(GHashTable) asked = g_hash_table_new(g_str_hash, g_str_equal);

	return issuer_pool_climb_from(pool, cert_issuer_key(cert), asked, certs, error);
}

gboolean
issuer_pool_named(struct issuer_pool *pool, const char *subject_key, GPtrArray *certs,
		  GError **error)
{
	g_autoptr(GPtrArray) found = find_named(pool, subject_key, ANYBODY, error);

	if (found == NULL)
		return FALSE;
	add_missing(certs, found);
	return TRUE;
}

static GHashTable *
read_own(struct issuer_pool *pool, GError **error)
{
	g_autoptr(GPtrArray) rows = cas_list(pool->db, error);
	GHashTable *own;

	if (rows == NULL)
		return NULL;
	own = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < rows->len; i++) {
		const struct ca_row *row = rows->pdata[i];
		if (row->thumbprint != NULL)
			g_hash_table_add(own, g_strdup(row->thumbprint));
	}
	return own;
}

GHashTable *
issuer_pool_own(struct issuer_pool *pool, GError **error)
{
	guint64 since = changelog_moment(pool->changelog);
	GHashTable *own = NULL;

	g_mutex_lock(&pool->lock);
	if (pool->own != NULL && is_current(pool, CHANGE_CA, pool->own_since))
		own = g_hash_table_ref(pool->own);
	g_mutex_unlock(&pool->lock);
	if (own != NULL)
		return own;
	own = read_own(pool, error);
	if (own == NULL)
		return NULL;
	g_mutex_lock(&pool->lock);
	if (pool->own == NULL || since >= pool->own_since) {
		g_clear_pointer(&pool->own, g_hash_table_unref);
		pool->own = g_hash_table_ref(own);
		pool->own_since = since;
	}
	g_mutex_unlock(&pool->lock);
	return own;
}
