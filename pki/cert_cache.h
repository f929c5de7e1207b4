/*
 * cert_cache - certificates parsed once, by thumbprint, bounded by memory.
 *
 * A certificate never changes, so the cache needs no invalidation; the least recently used leave
 * first. It keeps what many answers share; what one address alone has is kept, and counted, with
 * the answer. Threads: any.
 */
#ifndef PKI_CERT_CACHE_H
#define PKI_CERT_CACHE_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/cache.h"

struct cache_limits;
struct cache_stats;
struct cert;
struct cert_cache;
struct db;

/* limits NULL: the defaults. */
struct cert_cache *cert_cache_new(const struct cache_limits *limits, enum cache_part part);
void cert_cache_free(struct cert_cache *cache);
/* A reference of the caller's, parsed from this DER unless it is here already. */
struct cert *cert_cache_get(struct cert_cache *cache, const char *thumbprint, GBytes *der,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same for one whose thumbprint nobody has told. */
struct cert *cert_cache_parse(struct cert_cache *cache, GBytes *der,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Only if it is here; else NULL. */
struct cert *cert_cache_peek(struct cert_cache *cache, const char *thumbprint);
/* From the certificate store, else the root store; NOT_FOUND. */
struct cert *cert_cache_load(struct cert_cache *cache, struct db *db, const char *thumbprint,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cert_cache_stats(struct cert_cache *cache, struct cache_stats *stats);

DEFINE_CLEANUP(cert_cache, cert_cache_free)

#endif
