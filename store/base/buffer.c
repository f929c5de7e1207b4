#include "store/base/buffer.h"

#include "store/base/error.h"

static gboolean
buffer_sink_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct buffer_sink *buffer = (struct buffer_sink *)self;

	if (length > buffer->max_bytes - MIN(buffer->bytes->len, buffer->max_bytes) ||
	    length > G_MAXUINT - buffer->bytes->len)
		return fail_false(error, PS_ERROR_INVALID, "more than %" G_GSIZE_FORMAT " bytes",
				  buffer->max_bytes);
	g_byte_array_append(buffer->bytes, bytes, (guint)length);
	return TRUE;
}

void
buffer_sink_init(struct buffer_sink *buffer, gsize max_bytes)
{
	buffer->sink.write = buffer_sink_write;
	buffer->bytes = g_byte_array_new();
	buffer->max_bytes = max_bytes;
}

void
buffer_sink_clear(struct buffer_sink *buffer)
{
	g_clear_pointer(&buffer->bytes, g_byte_array_unref);
}

static gboolean
buffer_source_next(struct source *self, const guint8 **bytes, gsize *length, GError **error)
{
	struct buffer_source *buffer = (struct buffer_source *)self;
	gsize piece = buffer->length;

	(void)error;
	if (buffer->piece_max != 0)
		piece = MIN(piece, buffer->piece_max);
	*bytes = buffer->bytes;
	*length = piece;
	if (piece > 0)
		buffer->bytes += piece;
	buffer->length -= piece;
	return TRUE;
}

void
buffer_source_init(struct buffer_source *buffer, gconstpointer bytes, gsize length)
{
	buffer->source.next = buffer_source_next;
	buffer->bytes = bytes;
	buffer->length = length;
	buffer->piece_max = 0;
}

gboolean
source_copy(struct source *source, struct sink *sink, GError **error)
{
	const guint8 *bytes;
	gsize length;

	for (;;) {
		if (!source_next(source, &bytes, &length, error))
			return FALSE;
		if (length == 0)
			return TRUE;
		if (!sink_write(sink, bytes, length, error))
			return FALSE;
	}
}
