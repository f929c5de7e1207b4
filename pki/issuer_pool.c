/*
 * issuer_pool - cached reads of roots, cert and ca.
 */
#include "pki/issuer_pool.h"

#include <string.h>

#include "pki/crypto/chain.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/cas.h"
#include "store/certs.h"
#include "store/db/changelog.h"
#include "store/roots.h"

#define SUBJECTS_MAX 20000 /* kept by subject; beyond it all are read anew */

struct issuer_pool {
	struct db *db;
	struct changelog *changelog;
	GMutex lock;
	guint64 root_generation, cert_generation, ca_generation;
	GPtrArray *roots;       /* struct cert, or NULL */
	GHashTable *by_subject; /* subject key -> GPtrArray of struct cert */
	GHashTable *own;        /* or NULL */
};

static GHashTable *
subjects_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
				     (GDestroyNotify)g_ptr_array_unref);
}

static GPtrArray *
certs_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
}

struct issuer_pool *
issuer_pool_new(struct db *db, struct changelog *changelog)
{
	struct issuer_pool *pool = g_new0(struct issuer_pool, 1);

	pool->db = db;
	pool->changelog = changelog;
	g_mutex_init(&pool->lock);
	pool->by_subject = subjects_new();
	return pool;
}

void
issuer_pool_free(struct issuer_pool *pool)
{
	if (pool == NULL)
		return;
	g_clear_pointer(&pool->roots, g_ptr_array_unref);
	g_clear_pointer(&pool->own, g_hash_table_unref);
	g_hash_table_unref(pool->by_subject);
	g_mutex_clear(&pool->lock);
	g_free(pool);
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
	guint64 now = changelog_generation(pool->changelog, CHANGE_ROOT);
	GPtrArray *roots = NULL;

	g_mutex_lock(&pool->lock);
	if (pool->roots != NULL && pool->root_generation == now && pool->changelog != NULL)
		roots = g_ptr_array_ref(pool->roots);
	g_mutex_unlock(&pool->lock);
	if (roots != NULL)
		return roots;
	roots = read_roots(pool, error);
	if (roots == NULL)
		return NULL;
	g_mutex_lock(&pool->lock);
	g_clear_pointer(&pool->roots, g_ptr_array_unref);
	pool->roots = g_ptr_array_ref(roots);
	pool->root_generation = now;
	g_mutex_unlock(&pool->lock);
	return roots;
}

static GPtrArray *
read_subject(struct issuer_pool *pool, const char *subject_key, GError **error)
{
	g_autoptr(GPtrArray) rows = certs_issuers(pool->db, &subject_key, 1, error);
	GPtrArray *certs;

	if (rows == NULL)
		return NULL;
	certs = certs_new();
	for (guint i = 0; i < rows->len; i++) {
		const struct cert_row *row = rows->pdata[i];
		add_der(certs, row->der, row->thumbprint);
	}
	return certs;
}

/* The CA certificates of one subject, from the cache or the store. */
static GPtrArray *
issuers_named(struct issuer_pool *pool, const char *subject_key, GError **error)
{
	guint64 now = changelog_generation(pool->changelog, CHANGE_CERT);
	GPtrArray *certs = NULL;

	g_mutex_lock(&pool->lock);
	if (pool->cert_generation != now || pool->changelog == NULL ||
	    g_hash_table_size(pool->by_subject) >= SUBJECTS_MAX) {
		g_hash_table_remove_all(pool->by_subject);
		pool->cert_generation = now;
	}
	certs = g_hash_table_lookup(pool->by_subject, subject_key);
	if (certs != NULL)
		g_ptr_array_ref(certs);
	g_mutex_unlock(&pool->lock);
	if (certs != NULL)
		return certs;
	certs = read_subject(pool, subject_key, error);
	if (certs == NULL)
		return NULL;
	g_mutex_lock(&pool->lock);
	if (pool->cert_generation == now)
		g_hash_table_replace(pool->by_subject, g_strdup(subject_key),
				     g_ptr_array_ref(certs));
	g_mutex_unlock(&pool->lock);
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
climb_from(struct issuer_pool *pool, const struct cert *cert, GHashTable *asked, GPtrArray *certs,
	   GError **error)
{
	if (!g_hash_table_add(asked, (gpointer)cert_issuer_key(cert)))
		return TRUE;
	g_autoptr(GPtrArray) found = issuers_named(pool, cert_issuer_key(cert), error);
	if (found == NULL)
		return FALSE;
	add_missing(certs, found);
	return TRUE;
}

gboolean
issuer_pool_climb(struct issuer_pool *pool, struct cert *cert, GPtrArray *certs, GError **error)
{
	g_autoptr(GHashTable) asked = g_hash_table_new(g_str_hash, g_str_equal);

	if (!climb_from(pool, cert, asked, certs, error))
		return FALSE;
	for (guint i = 0; i < certs->len; i++)
		if (!climb_from(pool, certs->pdata[i], asked, certs, error))
			return FALSE;
	return TRUE;
}

gboolean
issuer_pool_named(struct issuer_pool *pool, const char *subject_key, GPtrArray *certs,
		  GError **error)
{
	g_autoptr(GPtrArray) rows = certs_by_subject(pool->db, subject_key, NULL, error);
	g_autoptr(GPtrArray) found = certs_new();

	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < MIN(rows->len, CHAIN_CANDIDATES_MAX); i++) {
		const struct cert_row *row = rows->pdata[i];
		add_der(found, row->der, row->thumbprint);
	}
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
	guint64 now = changelog_generation(pool->changelog, CHANGE_CA);
	GHashTable *own = NULL;

	g_mutex_lock(&pool->lock);
	if (pool->own != NULL && pool->ca_generation == now && pool->changelog != NULL)
		own = g_hash_table_ref(pool->own);
	g_mutex_unlock(&pool->lock);
	if (own != NULL)
		return own;
	own = read_own(pool, error);
	if (own == NULL)
		return NULL;
	g_mutex_lock(&pool->lock);
	g_clear_pointer(&pool->own, g_hash_table_unref);
	pool->own = g_hash_table_ref(own);
	pool->ca_generation = now;
	g_mutex_unlock(&pool->lock);
	return own;
}
