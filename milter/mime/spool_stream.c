/*
 * spool_stream - positions are kept by GMimeStream; a reader is opened anew after each seek.
 */
#include "milter/mime/spool_stream.h"

struct spool_stream {
	GMimeStream parent;
	struct spool *spool;
	struct spool_reader *reader; /* NULL: none yet */
	gint64 at;                   /* of the reader */
};

struct spool_stream_class {
	GMimeStreamClass parent;
};

static GObjectClass *parent_class;

static struct spool_stream *
self_of(GMimeStream *stream)
{
	return (struct spool_stream *)(void *)stream;
}

static gint64
end_of(GMimeStream *stream)
{
	return stream->bound_end != -1 ? stream->bound_end
				       : (gint64)spool_size(self_of(stream)->spool);
}

static ssize_t
stream_read(GMimeStream *stream, char *buffer, size_t length)
{
	struct spool_stream *self = self_of(stream);
	gint64 left = end_of(stream) - stream->position;
	gssize n;

	if (left <= 0)
		return 0;
	length = MIN(length, (size_t)left);
	if (self->reader == NULL || self->at != stream->position) {
		g_clear_pointer(&self->reader, spool_reader_free);
		self->reader = spool_reader_new(self->spool, (guint64)stream->position,
						spool_size(self->spool));
		self->at = stream->position;
	}
	n = spool_reader_fill(self->reader, (guint8 *)buffer, length, NULL);
	if (n < 0)
		return -1;
	self->at += n;
	stream->position += n;
	return n;
}

static ssize_t
stream_write(GMimeStream *stream, const char *buffer, size_t length)
{
	(void)stream;
	(void)buffer;
	(void)length;
	return -1;
}

static int
stream_nothing(GMimeStream *stream)
{
	(void)stream;
	return 0;
}

static gboolean
stream_eos(GMimeStream *stream)
{
	return stream->position >= end_of(stream);
}

static int
stream_reset(GMimeStream *stream)
{
	stream->position = stream->bound_start;
	return 0;
}

static gint64
stream_seek(GMimeStream *stream, gint64 offset, GMimeSeekWhence whence)
{
	gint64 base = whence == GMIME_STREAM_SEEK_SET   ? 0
		      : whence == GMIME_STREAM_SEEK_CUR ? stream->position
							: end_of(stream);

	if (base + offset < stream->bound_start || base + offset > end_of(stream))
		return -1;
	stream->position = base + offset;
	return stream->position;
}

static gint64
stream_tell(GMimeStream *stream)
{
	return stream->position;
}

static gint64
stream_length(GMimeStream *stream)
{
	return end_of(stream) - stream->bound_start;
}

static GType spool_stream_get_type(void);

static GMimeStream *
stream_new(struct spool *spool, gint64 start, gint64 end)
{
	struct spool_stream *self = g_object_new(spool_stream_get_type(), NULL);

	self->spool = spool_ref(spool);
	g_mime_stream_construct(&self->parent, start, end);
	self->parent.position = start;
	return &self->parent;
}

static GMimeStream *
stream_substream(GMimeStream *stream, gint64 start, gint64 end)
{
	return stream_new(self_of(stream)->spool, start, end);
}

static void
stream_finalize(GObject *object)
{
	struct spool_stream *self = (struct spool_stream *)(void *)object;

	spool_reader_free(self->reader);
	spool_unref(self->spool);
	parent_class->finalize(object);
}

static void
class_init(gpointer class, gpointer data)
{
	GMimeStreamClass *stream = class;

	(void)data;
	parent_class = g_type_class_peek_parent(class);
	G_OBJECT_CLASS(class)->finalize = stream_finalize;
	stream->read = stream_read;
	stream->write = stream_write;
	stream->flush = stream_nothing;
	stream->close = stream_nothing;
	stream->eos = stream_eos;
	stream->reset = stream_reset;
	stream->seek = stream_seek;
	stream->tell = stream_tell;
	stream->length = stream_length;
	stream->substream = stream_substream;
}

static GType
spool_stream_get_type(void)
{
	static gsize type;

	if (g_once_init_enter(&type)) {
		GType made = g_type_register_static_simple(
		    GMIME_TYPE_STREAM, "PostsealSpoolStream", sizeof(struct spool_stream_class),
		    class_init, sizeof(struct spool_stream), NULL, 0);

		g_once_init_leave(&type, made);
	}
	return type;
}

GMimeStream *
spool_stream_new(struct spool *sealed)
{
	return stream_new(sealed, 0, (gint64)spool_size(sealed));
}
