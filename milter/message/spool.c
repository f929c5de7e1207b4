/*
 * spool - a list of ranges of stores, its own and those it shares.
 */
#include "milter/message/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "milter/message/spool_store.h"
#include "store/base/error.h"

struct segment {
	struct store *store;
	guint64 offset, length;
};

struct spool {
	struct sink sink; /* first */
	gint refs;
	struct spool_area *area;
	struct store *own; /* NULL until the first own byte */
	GArray *segments;
	guint64 size;
	gboolean sealed;
};

struct spool_reader {
	struct source source; /* first */
	struct spool *spool;
	guint segment;
	guint64 offset; /* in the segment */
	guint64 left;
	guint8 *buffer;     /* of files */
	const guint8 *rest; /* of spool_reader_fill */
	gsize rest_length;
};

static gboolean
sink_append(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	return spool_append((struct spool *)self, bytes, length, error);
}

static void
segment_clear(gpointer segment)
{
	store_unref(((struct segment *)segment)->store);
}

struct spool *
spool_new(struct spool_area *area)
{
	struct spool *spool = g_new0(struct spool, 1);

	spool->sink.write = sink_append;
	spool->refs = 1;
	spool->area = spool_area_ref(area);
	spool->segments = g_array_sized_new(FALSE, FALSE, sizeof(struct segment), 2);
	g_array_set_clear_func(spool->segments, segment_clear);
	return spool;
}

struct spool *
spool_ref(struct spool *spool)
{
	g_atomic_int_inc(&spool->refs);
	return spool;
}

void
spool_unref(struct spool *spool)
{
	if (spool == NULL || !g_atomic_int_dec_and_test(&spool->refs))
		return;
	g_array_unref(spool->segments);
	store_unref(spool->own);
	spool_area_unref(spool->area);
	g_free(spool);
}

static struct segment *
segment_at(const struct spool *spool, guint index)
{
	return &g_array_index(spool->segments, struct segment, index);
}

/* Longer ranges of the same store are one segment. */
static void
add_segment(struct spool *spool, struct store *store, guint64 offset, guint64 length)
{
	struct segment added = { store, offset, length };

	spool->size += length;
	if (spool->segments->len > 0) {
		struct segment *last = segment_at(spool, spool->segments->len - 1);

		if (last->store == store && last->offset + last->length == offset) {
			last->length += length;
			return;
		}
	}
	store_ref(store);
	g_array_append_val(spool->segments, added);
}

gboolean
spool_append(struct spool *spool, gconstpointer bytes, gsize length, GError **error)
{
	guint64 offset;

	if (spool->sealed)
		return fail_false(error, PS_ERROR_BUG, "spool: appended to after it was sealed");
	if (length == 0)
		return TRUE;
	if (spool->own == NULL)
		spool->own = store_new(spool->area);
	offset = store_length(spool->own);
	if (!store_append(spool->own, bytes, length, error))
		return FALSE;
	add_segment(spool, spool->own, offset, length);
	return TRUE;
}

gboolean
spool_append_text(struct spool *spool, const char *text, GError **error)
{
	return spool_append(spool, text, strlen(text), error);
}

gboolean
spool_append_range(struct spool *spool, struct spool *sealed, guint64 start, guint64 end,
		   GError **error)
{
	guint64 at = 0;

	if (spool->sealed || !sealed->sealed || start > end || end > sealed->size)
		return fail_false(error, PS_ERROR_BUG, "spool: wrong range or not sealed");
	for (guint i = 0; i < sealed->segments->len && at < end; i++) {
		const struct segment *from = segment_at(sealed, i);
		guint64 low = MAX(start, at);
		guint64 high = MIN(end, at + from->length);

		if (low < high)
			add_segment(spool, from->store, from->offset + (low - at), high - low);
		at += from->length;
	}
	return TRUE;
}

struct sink *
spool_sink(struct spool *spool)
{
	return &spool->sink;
}

gboolean
spool_seal(struct spool *spool, GError **error)
{
	if (spool->sealed)
		return TRUE;
	if (spool->own != NULL && !store_seal(spool->own, error))
		return FALSE;
	spool->sealed = TRUE;
	return TRUE;
}

guint64
spool_size(const struct spool *spool)
{
	return spool->size;
}

/* --- reading --- */

static gboolean
source_read(struct source *self, const guint8 **bytes, gsize *length, GError **error)
{
	gssize n = spool_reader_next((struct spool_reader *)self, bytes, error);

	*length = n > 0 ? (gsize)n : 0;
	return n >= 0;
}

struct source *
spool_reader_source(struct spool_reader *reader)
{
	return &reader->source;
}

struct spool_reader *
spool_reader_new(struct spool *sealed, guint64 start, guint64 end)
{
	struct spool_reader *reader = g_new0(struct spool_reader, 1);

	g_assert(sealed->sealed);
	reader->source.next = source_read;
	reader->spool = spool_ref(sealed);
	end = MIN(end, sealed->size);
	start = MIN(start, end);
	reader->left = end - start;
	reader->offset = start;
	while (reader->segment < sealed->segments->len &&
	       reader->offset >= segment_at(sealed, reader->segment)->length) {
		reader->offset -= segment_at(sealed, reader->segment)->length;
		reader->segment++;
	}
	return reader;
}

void
spool_reader_free(struct spool_reader *reader)
{
	if (reader == NULL)
		return;
	spool_unref(reader->spool);
	free(reader->buffer);
	g_free(reader);
}

gssize
spool_reader_next(struct spool_reader *reader, const guint8 **bytes, GError **error)
{
	const struct segment *segment;
	guint64 want;
	gssize n;

	*bytes = (const guint8 *)"";
	if (reader->left == 0)
		return 0;
	segment = segment_at(reader->spool, reader->segment);
	want = MIN(segment->length - reader->offset, reader->left);
	if (store_in_memory(segment->store)) {
		*bytes = store_memory(segment->store) + segment->offset + reader->offset;
		n = (gssize)MIN(want, (guint64)G_MAXSSIZE);
	} else {
		if (reader->buffer == NULL &&
		    (reader->buffer = malloc(STORE_BUFFER_BYTES)) == NULL) {
			fail(error, PS_ERROR_FULL, "spool: no memory to read");
			return -1;
		}
		n = store_read(segment->store, segment->offset + reader->offset, want,
			       reader->buffer, bytes, error);
		if (n < 0)
			return -1;
	}
	reader->left -= (guint64)n;
	reader->offset += (guint64)n;
	if (reader->offset == segment->length) {
		reader->segment++;
		reader->offset = 0;
	}
	return n;
}

gssize
spool_reader_fill(struct spool_reader *reader, guint8 *buffer, gsize size, GError **error)
{
	gsize filled = 0;

	while (filled < size) {
		gsize n;

		if (reader->rest_length == 0) {
			gssize got = spool_reader_next(reader, &reader->rest, error);

			if (got < 0)
				return -1;
			if (got == 0)
				break;
			reader->rest_length = (gsize)got;
		}
		n = MIN(size - filled, reader->rest_length);
		memcpy(buffer + filled, reader->rest, n);
		filled += n;
		reader->rest += n;
		reader->rest_length -= n;
	}
	return (gssize)filled;
}

gboolean
spool_write_range(struct spool *spool, guint64 start, guint64 end, struct sink *to, GError **error)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(spool, start, end);
	const guint8 *bytes;
	gssize n;

	while ((n = spool_reader_next(reader, &bytes, error)) > 0)
		if (!sink_write(to, bytes, (gsize)n, error))
			return FALSE;
	return n == 0;
}

gboolean
spool_write(struct spool *spool, struct sink *to, GError **error)
{
	return spool_write_range(spool, 0, spool->size, to, error);
}

GBytes *
spool_bytes(struct spool *spool, guint64 start, guint64 end, gsize max_bytes, GError **error)
{
	CLEANUP(spool_reader) struct spool_reader *reader = NULL;
	guint8 *bytes;
	gsize length;

	end = MIN(end, spool->size);
	start = MIN(start, end);
	if (end - start > max_bytes)
		return fail(error, PS_ERROR_INVALID,
			    "%" G_GUINT64_FORMAT " bytes are more than the limit of %zu",
			    end - start, max_bytes);
	length = (gsize)(end - start);
	bytes = g_try_malloc(length + 1);
	if (bytes == NULL)
		return fail(error, PS_ERROR_FULL, "no memory for %zu bytes", length);
	reader = spool_reader_new(spool, start, end);
	if (spool_reader_fill(reader, bytes, length, error) < 0) {
		g_free(bytes);
		return NULL;
	}
	bytes[length] = '\0'; /* for those who look at it as text */
	return g_bytes_new_take(bytes, length);
}

struct spool *
spool_from_bytes(struct spool_area *area, gconstpointer bytes, gsize length, GError **error)
{
	CLEANUP(spool) struct spool *spool = spool_new(area);

	if (!spool_append(spool, bytes, length, error) || !spool_seal(spool, error))
		return NULL;
	return g_steal_pointer(&spool);
}

struct spool *
spool_from_fd(struct spool_area *area, int fd, guint64 max_bytes, GError **error)
{
	CLEANUP(spool) struct spool *spool = spool_new(area);
	guint8 buffer[16384];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof buffer)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(error, PS_ERROR_TEMPORARY, "cannot read: %s",
				    g_strerror(errno));
		if ((guint64)n > max_bytes - spool->size)
			return fail(error, PS_ERROR_INVALID,
				    "larger than %" G_GUINT64_FORMAT " bytes", max_bytes);
		if (!spool_append(spool, buffer, (gsize)n, error))
			return NULL;
	}
	if (!spool_seal(spool, error))
		return NULL;
	return g_steal_pointer(&spool);
}
