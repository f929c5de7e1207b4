/*
 * cache - answers remembered by a text key, bounded by bytes, stale as soon as the change log says.
 *
 * An entry is served while all of this holds: none of its tags has changed since the moment at
 * which its making began; the clock is not past its expiry, nor more than a minute before the
 * making (a clock that was set back: what was in force then may not be in force now); the change
 * log was read within the grace. The least recently used leave first. Values are counted
 * references: what is given out stays valid when the entry goes.
 * Threads: any number; the entries are spread over several locks. Nothing here fails: what cannot
 * be kept (too large, already stale, tags without a change log) is forgotten at once.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/clock.h"
#include "store/db/changelog.h"

struct cache;

/* The settings cache_grace and cache_memory, shared by all caches of a program, which follow when
 * they are set anew. NULL, where a pointer to these is asked for: the defaults. */
struct cache_limits {
	gint64 grace_seconds;
	gsize memory_bytes;
};
void cache_limits_set(struct cache_limits *limits, gint64 grace_seconds, gsize memory_bytes);

/* Each has its share of the memory; the table is in cache.c. */
enum cache_part {
	CACHE_CERTIFICATES, /* chosen for domains or for all */
	CACHE_SELECTIONS,   /* with the certificates of the addresses */
	CACHE_VERDICTS,
	CACHE_PREFERENCES, /* sets, which many addresses share */
	CACHE_ADDRESSES,   /* which set an address has */
	CACHE_SCOPES,
	CACHE_ISSUERS, /* CA certificates by name */
	CACHE_ABOVES,  /* what paths of an issuer's certificates lead through */
	CACHE_KEYS,
	CACHE_BROUGHT, /* certificates that came inside of messages */
	CACHE_WHOLE,   /* for one that is alone */
};
#define CACHE_PARTS 10

/* When the making of an answer began: to be taken before the first look into the database. */
struct cache_moment {
	guint64 since;
	gint64 at;
};

struct cache_stats {
	guint64 hits, misses;
	guint64 evictions; /* left for want of room */
	gsize entries, bytes, bytes_max;
};

gsize cache_part_bytes(gsize memory_bytes, enum cache_part part);

/* changelog, clock, limits: the caller's, who keeps them longer; each may be NULL (nothing
 * changes; no time passes). */
struct cache *cache_new(const struct changelog *changelog, struct clock *clock,
			const struct cache_limits *limits, enum cache_part part,
			gpointer (*ref)(gpointer), GDestroyNotify unref);
void cache_free(struct cache *cache);
struct cache_moment cache_moment(const struct cache *cache);
/* Was the change log read within the grace? If not, nothing is served. */
gboolean cache_is_fresh(const struct cache *cache);
/* A reference of the caller's; NULL: absent, expired, changed, or the database is away for too
 * long. */
gpointer cache_get(struct cache *cache, const char *key) G_GNUC_WARN_UNUSED_RESULT;
/* The same, and what it rests on is joined to these tags (NULL: not wanted). */
gpointer cache_get_tagged(struct cache *cache, const char *key,
			  GArray *tags) G_GNUC_WARN_UNUSED_RESULT;
/* Takes a reference of its own, in place of what the key had. cost: bytes of the value and what it
 * alone keeps alive; the entry's own are added. expires: the first moment at which the answer may
 * be another one, CLOCK_NEVER for none. */
void cache_put(struct cache *cache, const char *key, gpointer value, gsize cost, gint64 expires,
	       const change_tag *tags, gsize n_tags, struct cache_moment began);
void cache_drop(struct cache *cache, const char *key);
/* Lets go at once what would not be served any more. */
void cache_sweep(struct cache *cache);
void cache_stats(struct cache *cache, struct cache_stats *stats);

DEFINE_CLEANUP(cache, cache_free)

#endif
