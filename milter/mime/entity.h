/*
 * entity - header fields and body of something that came out of a message, as ranges of a spool.
 *
 * Immutable; keeps headers and spool. Threads: any.
 */
#ifndef MILTER_MIME_ENTITY_H
#define MILTER_MIME_ENTITY_H

#include "milter/message/headers.h"

struct entity {
	struct headers *headers;
	struct spool *spool;
	guint64 start; /* of its header block */
	guint64 body_start;
	guint64 end;
};

struct entity *entity_new(struct headers *headers, struct spool *spool, guint64 start,
			  guint64 body_start, guint64 end);
struct entity *entity_copy(const struct entity *entity);
void entity_free(struct entity *entity); /* NULL is fine */
/* All of it, header block included, as it is, sealed. */
struct spool *entity_bytes(const struct entity *entity, struct spool_area *area,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(entity, entity_free)

#endif
