/*
 * sink - where a stream of bytes goes. Embed it as the first member of the writer's struct.
 */
#ifndef STORE_BASE_SINK_H
#define STORE_BASE_SINK_H

#include <glib.h>

struct sink {
	/* Takes all bytes or fails with *error set; never called again after a failure. */
	gboolean (*write)(struct sink *self, gconstpointer bytes, gsize length, GError **error);
};

static inline gboolean
sink_write(struct sink *sink, gconstpointer bytes, gsize length, GError **error)
{
	return sink->write(sink, bytes, length, error);
}

#endif
