/*
 * cache - a hash table and a list by last use in each shard, under the shard's own lock.
 *
 * An entry is one block: itself, its tags, its key. What it costs is what its maker says plus
 * that block and its place in the table; values are let go outside of the lock.
 */
#include "store/cache.h"

#include <string.h>

#define SHARDS_MAX 16
/* The largest entry has to find room in its shard. */
#define SHARD_BYTES_MIN (1024 * 1024)
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
	const struct cache_limits *limits;
	enum cache_part part;
	gpointer (*ref)(gpointer);
	GDestroyNotify unref;
	guint shard_count;
	struct shard shards[SHARDS_MAX];
};

static const struct cache_limits default_limits = { 300, 64 * 1024 * 1024 };

/* Parsed certificates are what a gateway has most of, and what costs most to make again: those of
 * an address are counted with its selection. */
static const guint part_percent[] = {
	[CACHE_CERTIFICATES] = 4, [CACHE_SELECTIONS] = 50, [CACHE_VERDICTS] = 12,
	[CACHE_PREFERENCES] = 4,  [CACHE_ADDRESSES] = 6,   [CACHE_SCOPES] = 4,
	[CACHE_ISSUERS] = 5,      [CACHE_ABOVES] = 5,      [CACHE_KEYS] = 6,
	[CACHE_BROUGHT] = 4,      [CACHE_WHOLE] = 100,
};

void
cache_limits_set(struct cache_limits *limits, gint64 grace_seconds, gsize memory_bytes)
{
	__atomic_store_n(&limits->grace_seconds, grace_seconds, __ATOMIC_RELAXED);
	__atomic_store_n(&limits->memory_bytes, memory_bytes, __ATOMIC_RELAXED);
}

gsize
cache_part_bytes(gsize memory_bytes, enum cache_part part)
{
	return memory_bytes / 100 * part_percent[part] +
	       memory_bytes % 100 * part_percent[part] / 100;
}

static gsize
bytes_max(const struct cache *cache)
{
	return cache_part_bytes(__atomic_load_n(&cache->limits->memory_bytes, __ATOMIC_RELAXED),
				cache->part);
}

static gsize
shard_bytes_max(const struct cache *cache)
{
	return bytes_max(cache) / cache->shard_count;
}

struct cache *
cache_new(const struct changelog *changelog, struct clock *clock, const struct cache_limits *limits,
	  enum cache_part part, gpointer (*ref)(gpointer), GDestroyNotify unref)
{
	struct cache *cache = g_new0(struct cache, 1);

	cache->changelog = changelog;
	cache->clock = clock;
	cache->limits = limits != NULL ? limits : &default_limits;
	cache->part = part;
	cache->ref = ref;
	cache->unref = unref;
	cache->shard_count =
	    (guint)CLAMP(bytes_max(cache) / SHARD_BYTES_MIN, (gsize)1, (gsize)SHARDS_MAX);
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

gboolean
cache_is_fresh(const struct cache *cache)
{
	return changelog_fresh(cache->changelog,
			       __atomic_load_n(&cache->limits->grace_seconds, __ATOMIC_RELAXED));
}

static gboolean
is_good(const struct cache *cache, struct entry *entry)
{
	gint64 present = now(cache);
	guint64 moment = changelog_moment(cache->changelog);

	if (present >= entry->expires || present < entry->began.at - SET_BACK_SECONDS ||
	    !changelog_unchanged(cache->changelog, entry->tags, entry->n_tags, entry->began.since))
		return FALSE;
	/* Next time this much of the history need not be gone through again. */
	entry->began.since = MAX(moment, entry->began.since);
	return TRUE;
}

static void
join_tags(GArray *tags, const struct entry *entry)
{
	for (gsize i = 0; i < entry->n_tags; i++)
		change_tags_add_tag(tags, entry->tags[i]);
}

gpointer
cache_get(struct cache *cache, const char *key)
{
	return cache_get_tagged(cache, key, NULL);
}

gpointer
cache_get_tagged(struct cache *cache, const char *key, GArray *tags)
{
	struct shard *shard = shard_of(cache, key);
	gboolean fresh = cache_is_fresh(cache);
	struct entry *stale = NULL;
	gpointer value = NULL;

	g_mutex_lock(&shard->lock);
	struct entry *entry = fresh ? g_hash_table_lookup(shard->entries, key) : NULL;
	if (entry != NULL && !is_good(cache, entry)) {
		take_out(shard, entry);
		stale = entry;
	} else if (entry != NULL) {
		value = cache->ref(entry->value);
		if (tags != NULL)
			join_tags(tags, entry);
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

/* Linked by ->older. */
static void
free_all(struct cache *cache, struct entry *gone)
{
	while (gone != NULL) {
		struct entry *next = gone->older;
		entry_free(cache, gone);
		gone = next;
	}
}

/* Makes room; what had to leave is linked by ->older, to be freed outside of the lock. */
static struct entry *
evict(struct cache *cache, struct shard *shard)
{
	gsize room = shard_bytes_max(cache);
	struct entry *gone = NULL;

	while (shard->bytes > room) {
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
	if (!is_good(cache, entry) || entry->cost > shard_bytes_max(cache)) {
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
	free_all(cache, gone);
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

static struct entry *
take_stale(struct cache *cache, struct shard *shard)
{
	struct entry *gone = NULL;

	for (struct entry *entry = shard->newest; entry != NULL;) {
		struct entry *older = entry->older;

		if (!is_good(cache, entry)) {
			take_out(shard, entry);
			entry->older = gone;
			gone = entry;
		}
		entry = older;
	}
	return gone;
}

void
cache_sweep(struct cache *cache)
{
	for (guint i = 0; i < cache->shard_count; i++) {
		g_mutex_lock(&cache->shards[i].lock);
		struct entry *gone = take_stale(cache, &cache->shards[i]);
		g_mutex_unlock(&cache->shards[i].lock);
		free_all(cache, gone);
	}
}

void
cache_stats(struct cache *cache, struct cache_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->bytes_max = bytes_max(cache);
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
