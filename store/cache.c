/*
 * cache - a hash table and a list by last use in each shard, under the shard's own lock.
 *
 * An entry is one block: itself, its tags, its key. What it costs is what its maker says plus
 * that block and its place in the table; values are let go outside of the lock.
 */
#include "store/cache.h"

#include <string.h>

#define SHARDS_MAX 16
/* A shard below this would hold next to nothing. */
#define SHARD_BYTES_MIN (256 * 1024)
/* Of the table, and of malloc, for each entry. */
#define ENTRY_EXTRA_BYTES 64
/* Clocks are stepped by a little now and then; more than this is another time. */
#define SET_BACK_SECONDS 60

struct entry {
	gpointer value;
	gsize cost;
	gint64 expires;
	struct cache_moment began;
	struct entry *newer, *older;
	const char *key; /* behind the tags */
	gsize n_tags;
	change_tag tags[];
};

struct shard {
	GMutex lock;
	GHashTable *entries; /* key -> struct entry */
	struct entry *newest, *oldest;
	gsize bytes;
	guint64 hits, misses, evictions;
};

struct cache {
	const struct changelog *changelog;
	struct clock *clock;
	gint64 grace;
	gpointer (*ref)(gpointer);
	GDestroyNotify unref;
	gsize shard_bytes_max;
	guint shard_count;
	struct shard shards[SHARDS_MAX];
};

/* Parsed certificates are what a gateway has most of and what costs most to make again. */
static const guint part_percent[CACHE_PARTS] = {
	[CACHE_CERTIFICATES] = 36, [CACHE_SELECTIONS] = 32, [CACHE_VERDICTS] = 10,
	[CACHE_PREFERENCES] = 8,   [CACHE_ISSUERS] = 8,     [CACHE_KEYS] = 6,
};

gsize
cache_part_bytes(gsize memory_bytes, enum cache_part part)
{
	return memory_bytes / 100 * part_percent[part];
}

struct cache *
cache_new(const struct changelog *changelog, struct clock *clock, gint64 grace,
	  gsize memory_max_bytes, gpointer (*ref)(gpointer), GDestroyNotify unref)
{
	struct cache *cache = g_new0(struct cache, 1);

	cache->changelog = changelog;
	cache->clock = clock;
	cache->grace = grace;
	cache->ref = ref;
	cache->unref = unref;
	cache->shard_count =
	    (guint)CLAMP(memory_max_bytes / SHARD_BYTES_MIN, (gsize)1, (gsize)SHARDS_MAX);
	cache->shard_bytes_max = memory_max_bytes / cache->shard_count;
	for (guint i = 0; i < cache->shard_count; i++) {
		g_mutex_init(&cache->shards[i].lock);
		cache->shards[i].entries = g_hash_table_new(g_str_hash, g_str_equal);
	}
	return cache;
}

static void
entry_free(struct cache *cache, struct entry *entry)
{
	if (entry == NULL)
		return;
	cache->unref(entry->value);
	g_free(entry);
}

void
cache_free(struct cache *cache)
{
	if (cache == NULL)
		return;
	for (guint i = 0; i < cache->shard_count; i++) {
		struct shard *shard = &cache->shards[i];

		for (struct entry *entry = shard->newest; entry != NULL;) {
			struct entry *older = entry->older;
			entry_free(cache, entry);
			entry = older;
		}
		g_hash_table_unref(shard->entries);
		g_mutex_clear(&shard->lock);
	}
	g_free(cache);
}

static struct shard *
shard_of(struct cache *cache, const char *key)
{
	guint hash = g_str_hash(key);

	/* The table takes the low bits. */
	return &cache->shards[(hash ^ hash >> 16 ^ hash >> 24) % cache->shard_count];
}

static void
link_newest(struct shard *shard, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = shard->newest;
	if (shard->newest != NULL)
		shard->newest->newer = entry;
	else
		shard->oldest = entry;
	shard->newest = entry;
}

static void
unlink_entry(struct shard *shard, struct entry *entry)
{
	if (entry->newer != NULL)
		entry->newer->older = entry->older;
	else
		shard->newest = entry->older;
	if (entry->older != NULL)
		entry->older->newer = entry->newer;
	else
		shard->oldest = entry->newer;
}

/* Out of the table; the caller frees it, outside of the lock. */
static void
take_out(struct shard *shard, struct entry *entry)
{
	g_hash_table_remove(shard->entries, entry->key);
	unlink_entry(shard, entry);
	shard->bytes -= entry->cost;
}

static gint64
now(const struct cache *cache)
{
	return cache->clock != NULL ? clock_now(cache->clock) : 0;
}

struct cache_moment
cache_moment(const struct cache *cache)
{
	struct cache_moment moment = {
		.since = changelog_moment(cache->changelog),
		.at = now(cache),
	};

	return moment;
}

static gboolean
is_good(const struct cache *cache, const struct entry *entry)
{
	gint64 present = now(cache);

	return present < entry->expires && present >= entry->began.at - SET_BACK_SECONDS &&
	       changelog_unchanged(cache->changelog, entry->tags, entry->n_tags,
				   entry->began.since);
}

gpointer
cache_get(struct cache *cache, const char *key)
{
	struct shard *shard = shard_of(cache, key);
	gboolean fresh = changelog_fresh(cache->changelog, cache->grace);
	struct entry *stale = NULL;
	gpointer value = NULL;

	g_mutex_lock(&shard->lock);
	struct entry *entry = fresh ? g_hash_table_lookup(shard->entries, key) : NULL;
	if (entry != NULL && !is_good(cache, entry)) {
		take_out(shard, entry);
		stale = entry;
	} else if (entry != NULL) {
		value = cache->ref(entry->value);
		if (shard->newest != entry) {
			unlink_entry(shard, entry);
			link_newest(shard, entry);
		}
	}
	*(value != NULL ? &shard->hits : &shard->misses) += 1;
	g_mutex_unlock(&shard->lock);
	entry_free(cache, stale);
	return value;
}

static struct entry *
entry_new(struct cache *cache, const char *key, gpointer value, gsize cost, const change_tag *tags,
	  gsize n_tags)
{
	gsize head = sizeof(struct entry) + n_tags * sizeof(change_tag);
	gsize key_size = strlen(key) + 1;
	struct entry *entry = g_malloc(head + key_size);
	char *own_key = (char *)entry + head;

	memcpy(own_key, key, key_size);
	if (n_tags > 0)
		memcpy(entry->tags, tags, n_tags * sizeof(change_tag));
	entry->n_tags = n_tags;
	entry->key = own_key;
	entry->value = cache->ref(value);
	entry->cost = cost + head + key_size + ENTRY_EXTRA_BYTES;
	return entry;
}

/* Makes room; what had to leave is linked by ->older, to be freed outside of the lock. */
static struct entry *
evict(struct cache *cache, struct shard *shard)
{
	struct entry *gone = NULL;

	while (shard->bytes > cache->shard_bytes_max) {
		struct entry *oldest = shard->oldest;

		take_out(shard, oldest);
		shard->evictions++;
		oldest->older = gone;
		gone = oldest;
	}
	return gone;
}

void
cache_put(struct cache *cache, const char *key, gpointer value, gsize cost, gint64 expires,
	  const change_tag *tags, gsize n_tags, struct cache_moment began)
{
	struct shard *shard = shard_of(cache, key);

	/* Without a change log nothing would ever make it stale. */
	if (cache->changelog == NULL && n_tags > 0)
		return;
	struct entry *entry = entry_new(cache, key, value, cost, tags, n_tags);
	entry->expires = expires;
	entry->began = began;
	if (!is_good(cache, entry) || entry->cost > cache->shard_bytes_max) {
		entry_free(cache, entry);
		return;
	}
	g_mutex_lock(&shard->lock);
	struct entry *former = g_hash_table_lookup(shard->entries, key);
	if (former != NULL)
		take_out(shard, former);
	g_hash_table_insert(shard->entries, (gpointer)entry->key, entry);
	link_newest(shard, entry);
	shard->bytes += entry->cost;
	struct entry *gone = evict(cache, shard);
	g_mutex_unlock(&shard->lock);
	entry_free(cache, former);
	while (gone != NULL) {
		struct entry *next = gone->older;
		entry_free(cache, gone);
		gone = next;
	}
}

void
cache_drop(struct cache *cache, const char *key)
{
	struct shard *shard = shard_of(cache, key);

	g_mutex_lock(&shard->lock);
	struct entry *entry = g_hash_table_lookup(shard->entries, key);
	if (entry != NULL)
		take_out(shard, entry);
	g_mutex_unlock(&shard->lock);
	entry_free(cache, entry);
}

void
cache_stats(struct cache *cache, struct cache_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->bytes_max = cache->shard_bytes_max * cache->shard_count;
	for (guint i = 0; i < cache->shard_count; i++) {
		struct shard *shard = &cache->shards[i];

		g_mutex_lock(&shard->lock);
		stats->hits += shard->hits;
		stats->misses += shard->misses;
		stats->evictions += shard->evictions;
		stats->entries += g_hash_table_size(shard->entries);
		stats->bytes += shard->bytes;
		g_mutex_unlock(&shard->lock);
	}
}
