/*
 * buffer - memory as the end of a stream: a sink with a ceiling, and a source.
 *
 * Both are embedded or on the stack; the struct is open for that alone. Threads: one at a time.
 */
#ifndef STORE_BASE_BUFFER_H
#define STORE_BASE_BUFFER_H

#include <glib.h>

#include "store/base/sink.h"
#include "store/base/source.h"

struct buffer_sink {
	struct sink sink;
	GByteArray *bytes; /* owned; take it with g_steal_pointer */
	gsize max_bytes;   /* a write beyond fails with PS_ERROR_INVALID */
};

void buffer_sink_init(struct buffer_sink *buffer, gsize max_bytes);
void buffer_sink_clear(struct buffer_sink *buffer);

struct buffer_source {
	struct source source;
	const guint8 *bytes; /* borrowed */
	gsize length;
	gsize piece_max; /* 0: everything in one piece; tests cut it up */
};

void buffer_source_init(struct buffer_source *buffer, gconstpointer bytes, gsize length);

/* Everything from source to sink. */
gboolean source_copy(struct source *source, struct sink *sink,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
