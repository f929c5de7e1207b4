/* split_memory - see split_memory.h. */
#include "milter/split_memory.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/ledger.h"

#define COPIES_MAX 100000
#define ANY_LIFE_US (5 * G_USEC_PER_SEC)

struct split_memory {
	struct db *db;
	GMutex mutex;
	GHashTable *known; /* digest of LEDGER_DIGEST_BYTES -> queue id */
	GQueue *order;     /* the same digests, oldest first; borrowed */
	gboolean any;
	gint64 looked_us; /* 0: never */
};

static guint
digest_hash(gconstpointer digest)
{
	guint hash;

	memcpy(&hash, digest, sizeof hash);
	return hash;
}

static gboolean
digest_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, LEDGER_DIGEST_BYTES) == 0;
}

struct split_memory *
split_memory_new(struct db *db)
{
	struct split_memory *memory = g_new0(struct split_memory, 1);

	memory->db = db;
	g_mutex_init(&memory->mutex);
	memory->known = g_hash_table_new_full(digest_hash, digest_equal, g_free, g_free);
	memory->order = g_queue_new();
	return memory;
}

void
split_memory_free(struct split_memory *memory)
{
	if (memory == NULL)
		return;
	g_queue_free(memory->order);
	g_hash_table_unref(memory->known);
	g_mutex_clear(&memory->mutex);
	g_free(memory);
}

static gboolean
forget(struct split_memory *memory, const guint8 *digest)
{
	gpointer key;

	if (!g_hash_table_lookup_extended(memory->known, digest, &key, NULL))
		return FALSE;
	g_queue_remove(memory->order, key);
	return g_hash_table_remove(memory->known, digest);
}

void
split_memory_add(struct split_memory *memory, const struct ledger_copy *copies, guint count,
		 const char *queue_id)
{
	g_mutex_lock(&memory->mutex);
	for (guint i = 0; i < count; i++) {
		guint8 *digest = g_memdup2(copies[i].digests[0], LEDGER_DIGEST_BYTES);

		(void)forget(memory, digest);
		if (g_queue_get_length(memory->order) >= COPIES_MAX)
			g_hash_table_remove(memory->known, g_queue_pop_head(memory->order));
		g_hash_table_insert(memory->known, digest, g_strdup(queue_id));
		g_queue_push_tail(memory->order, digest);
	}
	g_mutex_unlock(&memory->mutex);
}

gboolean
split_memory_has(struct split_memory *memory, const struct ledger_copy *copy)
{
	g_autofree char *queue_id = NULL;

	g_mutex_lock(&memory->mutex);
	for (guint g = 0; queue_id == NULL && g < copy->generations; g++)
		queue_id = g_strdup(g_hash_table_lookup(memory->known, copy->digests[g]));
	g_mutex_unlock(&memory->mutex);
	if (queue_id == NULL)
		return FALSE;
	if (ledger_complete(memory->db, copy, 1, queue_id, NULL))
		split_memory_remove(memory, copy, 1);
	return TRUE;
}

void
split_memory_remove(struct split_memory *memory, const struct ledger_copy *copies, guint count)
{
	g_mutex_lock(&memory->mutex);
	for (guint i = 0; i < count; i++)
		for (guint g = 0; g < copies[i].generations; g++)
			(void)forget(memory, copies[i].digests[g]);
	g_mutex_unlock(&memory->mutex);
}

void
split_memory_touch(struct split_memory *memory)
{
	g_mutex_lock(&memory->mutex);
	memory->any = TRUE;
	memory->looked_us = clock_monotonic_us();
	g_mutex_unlock(&memory->mutex);
}

gboolean
split_memory_any(struct split_memory *memory, gboolean *any, GError **error)
{
	gint64 now = clock_monotonic_us();
	gboolean known;

	g_mutex_lock(&memory->mutex);
	*any = memory->any || g_hash_table_size(memory->known) > 0;
	known = g_hash_table_size(memory->known) > 0 ||
		(memory->looked_us != 0 && now - memory->looked_us < ANY_LIFE_US);
	g_mutex_unlock(&memory->mutex);
	if (known)
		return TRUE;
	if (!ledger_any(memory->db, any, error))
		return FALSE;
	g_mutex_lock(&memory->mutex);
	memory->any = *any;
	memory->looked_us = now;
	g_mutex_unlock(&memory->mutex);
	return TRUE;
}
