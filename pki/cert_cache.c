/*
 * cert_cache - a least-recently-used map of parsed certificates.
 */
#include "pki/cert_cache.h"

#include "pki/crypto/cert.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/roots.h"

/* What a parsed certificate takes beside its DER: OpenSSL's tree and our own strings. */
#define COST_FACTOR 5
#define COST_FIXED 4096

struct entry {
	struct cert *cert;
	gsize cost;
	GList link;
};

struct cert_cache {
	GMutex mutex;
	GHashTable *entries; /* thumbprint (the certificate's own) -> struct entry */
	GQueue recent;
	gsize max, used;
	guint64 hits, misses;
};

static void
entry_free(gpointer data)
{
	struct entry *entry = data;

	cert_unref(entry->cert);
	g_free(entry);
}

struct cert_cache *
cert_cache_new(gsize memory_max_bytes)
{
	struct cert_cache *cache = g_new0(struct cert_cache, 1);

	g_mutex_init(&cache->mutex);
	g_queue_init(&cache->recent);
	cache->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, entry_free);
	cache->max = memory_max_bytes;
	return cache;
}

void
cert_cache_free(struct cert_cache *cache)
{
	if (cache == NULL)
		return;
	g_hash_table_unref(cache->entries);
	g_mutex_clear(&cache->mutex);
	g_free(cache);
}

/* Under the mutex; a reference, or NULL. */
static struct cert *
look_up(struct cert_cache *cache, const char *thumbprint)
{
	struct entry *entry = g_hash_table_lookup(cache->entries, thumbprint);

	if (entry == NULL)
		return NULL;
	g_queue_unlink(&cache->recent, &entry->link);
	g_queue_push_head_link(&cache->recent, &entry->link);
	return cert_ref(entry->cert);
}

struct cert *
cert_cache_peek(struct cert_cache *cache, const char *thumbprint)
{
	g_mutex_lock(&cache->mutex);
	struct cert *cert = look_up(cache, thumbprint);
	if (cert != NULL)
		cache->hits++;
	else
		cache->misses++;
	g_mutex_unlock(&cache->mutex);
	return cert;
}

static void
insert(struct cert_cache *cache, struct cert *cert)
{
	g_mutex_lock(&cache->mutex);
	if (!g_hash_table_contains(cache->entries, cert_thumbprint(cert))) {
		struct entry *entry = g_new0(struct entry, 1);
		entry->cert = cert_ref(cert);
		entry->cost = g_bytes_get_size(cert_der(cert)) * COST_FACTOR + COST_FIXED;
		entry->link.data = entry;
		g_hash_table_insert(cache->entries, (gpointer)cert_thumbprint(cert), entry);
		g_queue_push_head_link(&cache->recent, &entry->link);
		cache->used += entry->cost;
	}
	while (cache->used > cache->max && g_queue_get_length(&cache->recent) > 1) {
		struct entry *last = g_queue_peek_tail(&cache->recent);
		g_queue_unlink(&cache->recent, &last->link);
		cache->used -= last->cost;
		g_hash_table_remove(cache->entries, cert_thumbprint(last->cert));
	}
	g_mutex_unlock(&cache->mutex);
}

struct cert *
cert_cache_get(struct cert_cache *cache, const char *thumbprint, GBytes *der, GError **error)
{
	struct cert *cert = cert_cache_peek(cache, thumbprint);

	if (cert != NULL)
		return cert;
	cert = cert_parse(der, error);
	if (cert == NULL) {
		g_prefix_error(error, "certificate %.16s: ", thumbprint);
		return NULL;
	}
	insert(cache, cert);
	return cert;
}

struct cert *
cert_cache_load(struct cert_cache *cache, struct db *db, const char *thumbprint, GError **error)
{
	struct cert *cert = cert_cache_peek(cache, thumbprint);
	g_autoptr(GError) why = NULL;

	if (cert != NULL)
		return cert;
	CLEANUP(cert_row) struct cert_row *row = certs_find(db, thumbprint, &why);
	if (row != NULL)
		return cert_cache_get(cache, row->thumbprint, row->der, error);
	if (g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		CLEANUP(root_row) struct root_row *root = roots_find(db, thumbprint, NULL);
		if (root != NULL)
			return cert_cache_get(cache, root->thumbprint, root->der, error);
	}
	g_propagate_error(error, g_steal_pointer(&why));
	return NULL;
}

void
cert_cache_counts(struct cert_cache *cache, guint64 *hits, guint64 *misses, gsize *entries,
		  gsize *bytes)
{
	g_mutex_lock(&cache->mutex);
	*hits = cache->hits;
	*misses = cache->misses;
	*entries = g_hash_table_size(cache->entries);
	*bytes = cache->used;
	g_mutex_unlock(&cache->mutex);
}
