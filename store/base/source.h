/*
 * source - where a stream of bytes comes from. Embed it as the first member of the reader's struct.
 *
 * A source lends its pieces, so that a message in memory is read without a copy.
 */
#ifndef STORE_BASE_SOURCE_H
#define STORE_BASE_SOURCE_H

#include <glib.h>

struct source {
	/* The next piece, of any size but 0, good until the next call; *length 0 at the end, then
	 * again at each further call. FALSE with *error set when reading failed. */
	gboolean (*next)(struct source *self, const guint8 **bytes, gsize *length, GError **error);
};

static inline gboolean
source_next(struct source *source, const guint8 **bytes, gsize *length, GError **error)
{
	return source->next(source, bytes, length, error);
}

#endif
