/*
 * spool_store - the bytes of one spool: memory first, then an unlinked file of blocks.
 *
 * In a file, bytes go in blocks of STORE_BLOCK_BYTES. Encrypted, each block has its own slot with
 * a tag and is written once, when it is full or at the seal, so that no nonce is used twice.
 */
#include "milter/message/spool_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "pki/crypto/spool_cipher.h"
#include "store/base/error.h"

#define BLOCK_BYTES ((gsize)65536)
#define SLOT_BYTES (BLOCK_BYTES + SPOOL_CIPHER_TAG_BYTES)
#define MEMORY_FIRST_BYTES 4096

G_STATIC_ASSERT(STORE_BUFFER_BYTES >= SLOT_BYTES);

struct spool_area {
	gint refs;
	char *dir; /* NULL: memory alone */
	gsize memory_max_bytes;
	guint64 total_max_bytes;
	guint64 used;                /* atomic */
	guint64 next_file;           /* atomic */
	struct spool_cipher *cipher; /* NULL: files are on tmpfs */
};

struct store {
	gint refs;
	struct spool_area *area;
	int fd;         /* -1: all in memory */
	guint64 number; /* of the file, for the cipher */
	guint64 on_file;
	guint64 counted; /* bytes that the area counts */
	guint8 *memory;  /* all bytes; with a file: the block that is being filled */
	gsize used, room;
};

static struct spool_area *
area_new(gsize memory_max_bytes, guint64 total_max_bytes)
{
	struct spool_area *area = g_new0(struct spool_area, 1);

	area->refs = 1;
	area->memory_max_bytes = memory_max_bytes;
	area->total_max_bytes = total_max_bytes;
	return area;
}

static gboolean
is_memory_file_system(int fd)
{
	struct statfs facts;

	return fstatfs(fd, &facts) == 0 &&
	       (facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC);
}

static int
open_unlinked(const char *dir)
{
	g_autofree char *path = NULL;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	path = g_build_filename(dir, "postseal-spool-XXXXXX", NULL);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd;
}

struct spool_area *
spool_area_new(const char *dir, gsize memory_max_bytes, guint64 total_max_bytes, GError **error)
{
	CLEANUP(spool_area)
	struct spool_area *area = area_new(memory_max_bytes, total_max_bytes);
	gboolean in_memory;
	int fd = open_unlinked(dir);

	if (fd < 0)
		return fail(error, PS_ERROR_INVALID, "spool_dir %s: cannot create files there: %s",
			    dir, g_strerror(errno));
	in_memory = is_memory_file_system(fd);
	close(fd);
	area->dir = g_strdup(dir);
	if (!in_memory) {
		area->cipher = spool_cipher_new(error);
		if (area->cipher == NULL)
			return NULL;
	}
	return g_steal_pointer(&area);
}

struct spool_area *
spool_area_new_memory(guint64 total_max_bytes)
{
	return area_new(G_MAXSIZE, total_max_bytes);
}

struct spool_area *
spool_area_ref(struct spool_area *area)
{
	g_atomic_int_inc(&area->refs);
	return area;
}

void
spool_area_unref(struct spool_area *area)
{
	if (area == NULL || !g_atomic_int_dec_and_test(&area->refs))
		return;
	spool_cipher_free(area->cipher);
	g_free(area->dir);
	g_free(area);
}

guint64
spool_area_used(const struct spool_area *area)
{
	return __atomic_load_n(&area->used, __ATOMIC_RELAXED);
}

static gboolean
area_take(struct spool_area *area, gsize length, GError **error)
{
	guint64 now = __atomic_add_fetch(&area->used, length, __ATOMIC_RELAXED);

	if (now <= area->total_max_bytes)
		return TRUE;
	__atomic_sub_fetch(&area->used, length, __ATOMIC_RELAXED);
	return fail_false(error, PS_ERROR_FULL,
			  "spool full: all messages together exceed %" G_GUINT64_FORMAT
			  " bytes (spool_max)",
			  area->total_max_bytes);
}

struct store *
store_new(struct spool_area *area)
{
	struct store *store = g_new0(struct store, 1);

	store->refs = 1;
	store->area = spool_area_ref(area);
	store->fd = -1;
	return store;
}

struct store *
store_ref(struct store *store)
{
	g_atomic_int_inc(&store->refs);
	return store;
}

void
store_unref(struct store *store)
{
	if (store == NULL || !g_atomic_int_dec_and_test(&store->refs))
		return;
	__atomic_sub_fetch(&store->area->used, store->counted, __ATOMIC_RELAXED);
	if (store->fd >= 0)
		close(store->fd);
	free(store->memory);
	spool_area_unref(store->area);
	g_free(store);
}

static gboolean
store_make_room(struct store *store, gsize room, GError **error)
{
	guint8 *memory;

	if (room <= store->room)
		return TRUE;
	memory = realloc(store->memory, room);
	if (memory == NULL)
		return fail_false(error, PS_ERROR_FULL, "spool full: no memory for %zu bytes",
				  room);
	store->memory = memory;
	store->room = room;
	return TRUE;
}

static gboolean
write_at(int fd, const guint8 *bytes, gsize length, guint64 offset, GError **error)
{
	while (length > 0) {
		ssize_t n = pwrite(fd, bytes, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int why = n < 0 ? errno : ENOSPC;

			return fail_false(
			    error,
			    why == ENOSPC || why == EDQUOT ? PS_ERROR_FULL : PS_ERROR_TEMPORARY,
			    "spool full: cannot write to spool_dir: %s", g_strerror(why));
		}
		bytes += n;
		length -= (gsize)n;
		offset += (guint64)n;
	}
	return TRUE;
}

/* One block, or many whole ones where nothing is encrypted. */
static gboolean
store_write_block(struct store *store, const guint8 *bytes, gsize length, GError **error)
{
	struct spool_cipher *cipher = store->area->cipher;
	guint64 block = store->on_file / BLOCK_BYTES;

	if (cipher == NULL) {
		if (!write_at(store->fd, bytes, length, store->on_file, error))
			return FALSE;
	} else {
		guint8 *slot = malloc(SLOT_BYTES);
		gboolean done;

		if (slot == NULL)
			return fail_false(error, PS_ERROR_FULL, "spool full: no memory");
		done = block <= G_MAXUINT32 &&
		       spool_cipher_seal(cipher, store->number, (guint32)block, bytes, length, slot,
					 error) &&
		       write_at(store->fd, slot, length + SPOOL_CIPHER_TAG_BYTES,
				block * SLOT_BYTES, error);
		free(slot);
		if (!done)
			return FALSE;
	}
	store->on_file += length;
	return TRUE;
}

static gboolean
store_append_file(struct store *store, const guint8 *bytes, gsize length, GError **error)
{
	while (length > 0) {
		gsize n;

		if (store->used == 0 && length >= BLOCK_BYTES) {
			n = store->area->cipher != NULL ? BLOCK_BYTES
							: length - length % BLOCK_BYTES;
			if (!store_write_block(store, bytes, n, error))
				return FALSE;
		} else {
			n = MIN(length, BLOCK_BYTES - store->used);
			memcpy(store->memory + store->used, bytes, n);
			store->used += n;
			if (store->used == BLOCK_BYTES) {
				if (!store_write_block(store, store->memory, BLOCK_BYTES, error))
					return FALSE;
				store->used = 0;
			}
		}
		bytes += n;
		length -= n;
	}
	return TRUE;
}

static gboolean
store_go_to_file(struct store *store, GError **error)
{
	guint8 *old = store->memory;
	gsize old_used = store->used;
	gboolean done;

	store->fd = open_unlinked(store->area->dir);
	if (store->fd < 0)
		return fail_false(
		    error, errno == ENOSPC || errno == EDQUOT ? PS_ERROR_FULL : PS_ERROR_TEMPORARY,
		    "spool_dir %s: cannot create a file: %s", store->area->dir, g_strerror(errno));
	store->number = __atomic_add_fetch(&store->area->next_file, 1, __ATOMIC_RELAXED);
	store->memory = NULL;
	store->used = store->room = 0;
	done = store_make_room(store, BLOCK_BYTES, error) &&
	       store_append_file(store, old, old_used, error);
	free(old);
	return done;
}

gboolean
store_append(struct store *store, const guint8 *bytes, gsize length, GError **error)
{
	if (!area_take(store->area, length, error))
		return FALSE;
	store->counted += length;
	if (store->fd < 0 && length > store->area->memory_max_bytes - store->used) {
		if (!store_go_to_file(store, error))
			return FALSE;
	}
	if (store->fd >= 0)
		return store_append_file(store, bytes, length, error);
	if (length > store->room - store->used) {
		gsize room = MAX(store->room * 2, MEMORY_FIRST_BYTES);

		if (!store_make_room(store, MAX(room, store->used + length), error))
			return FALSE;
	}
	memcpy(store->memory + store->used, bytes, length);
	store->used += length;
	return TRUE;
}

/* The last block of a file is written, its memory given back. */
gboolean
store_seal(struct store *store, GError **error)
{
	if (store->fd < 0)
		return TRUE;
	if (store->used > 0 && !store_write_block(store, store->memory, store->used, error))
		return FALSE;
	free(store->memory);
	store->memory = NULL;
	store->used = store->room = 0;
	return TRUE;
}

static gboolean
read_at(int fd, guint8 *bytes, gsize length, guint64 offset, GError **error)
{
	while (length > 0) {
		ssize_t n = pread(fd, bytes, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_false(error, PS_ERROR_TEMPORARY, "spool: cannot read back: %s",
					  n < 0 ? g_strerror(errno) : "file is too short");
		bytes += n;
		length -= (gsize)n;
		offset += (guint64)n;
	}
	return TRUE;
}

/* Up to want bytes at offset; *bytes points into memory or into buffer (SLOT_BYTES). */
gssize
store_read(struct store *store, guint64 offset, guint64 want, guint8 *buffer, const guint8 **bytes,
	   GError **error)
{
	guint64 block = offset / BLOCK_BYTES;
	gsize skip = (gsize)(offset % BLOCK_BYTES);
	gsize length = (gsize)MIN(BLOCK_BYTES, store->on_file - block * BLOCK_BYTES);

	if (store->area->cipher == NULL) {
		length = (gsize)MIN((guint64)BLOCK_BYTES, want);
		*bytes = buffer;
		return read_at(store->fd, buffer, length, offset, error) ? (gssize)length : -1;
	}
	if (!read_at(store->fd, buffer, length + SPOOL_CIPHER_TAG_BYTES, block * SLOT_BYTES,
		     error) ||
	    !spool_cipher_open(store->area->cipher, store->number, (guint32)block, buffer, length,
			       buffer, error))
		return -1;
	*bytes = buffer + skip;
	return (gssize)MIN((guint64)(length - skip), want);
}

gboolean
store_in_memory(const struct store *store)
{
	return store->fd < 0;
}

const guint8 *
store_memory(const struct store *store)
{
	return store->memory;
}

guint64
store_length(const struct store *store)
{
	return store->on_file + store->used;
}
