/*
 * entity - references to what it lies in.
 */
#include "milter/mime/entity.h"

struct entity *
entity_new(struct headers *headers, struct spool *spool, guint64 start, guint64 body_start,
	   guint64 end)
{
	struct entity *entity = g_new0(struct entity, 1);

	entity->headers = headers_ref(headers);
	entity->spool = spool_ref(spool);
	entity->start = start;
	entity->body_start = body_start;
	entity->end = end;
	return entity;
}

struct entity *
entity_copy(const struct entity *entity)
{
	return entity_new(entity->headers, entity->spool, entity->start, entity->body_start,
			  entity->end);
}

void
entity_free(struct entity *entity)
{
	if (entity == NULL)
		return;
	headers_unref(entity->headers);
	spool_unref(entity->spool);
	g_free(entity);
}

struct spool *
entity_bytes(const struct entity *entity, struct spool_area *area, GError **error)
{
	CLEANUP(spool) struct spool *bytes = spool_new(area);

	if (!spool_append_range(bytes, entity->spool, entity->start, entity->end, error) ||
	    !spool_seal(bytes, error))
		return NULL;
	return g_steal_pointer(&bytes);
}
