/*
 * cert_cache - parsed certificates under their thumbprints.
 */
#include "pki/cert_cache.h"

#include "pki/crypto/cert.h"
#include "store/base/error.h"
#include "store/cache.h"
#include "store/certs.h"
#include "store/roots.h"

struct cert_cache {
	struct cache *certs;
};

static gpointer
ref(gpointer cert)
{
	return cert_ref(cert);
}

static void
unref(gpointer cert)
{
	cert_unref(cert);
}

struct cert_cache *
cert_cache_new(const struct cache_limits *limits, enum cache_part part)
{
	struct cert_cache *cache = g_new0(struct cert_cache, 1);

	cache->certs = cache_new(NULL, NULL, limits, part, ref, unref);
	return cache;
}

void
cert_cache_free(struct cert_cache *cache)
{
	if (cache == NULL)
		return;
	cache_free(cache->certs);
	g_free(cache);
}

struct cert *
cert_cache_peek(struct cert_cache *cache, const char *thumbprint)
{
	return cache_get(cache->certs, thumbprint);
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
	cache_put(cache->certs, cert_thumbprint(cert), cert, cert_memory(cert), CLOCK_NEVER, NULL,
		  0, cache_moment(cache->certs));
	return cert;
}

struct cert *
cert_cache_parse(struct cert_cache *cache, GBytes *der, GError **error)
{
	g_autofree char *thumbprint = cert_thumbprint_of(der);

	return cert_cache_get(cache, thumbprint, der, error);
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
cert_cache_stats(struct cert_cache *cache, struct cache_stats *stats)
{
	cache_stats(cache->certs, stats);
}
