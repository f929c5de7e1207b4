/*
 * defuse - leaves without HTML pass; HTML is refused until it can be told reliably.
 */
#include "milter/mime/defuse.h"

#include "milter/mime/scan.h"
#include "store/base/error.h"

static gboolean
has_html(const struct part *part)
{
	gboolean found = part->kind == PART_LEAF && !part_is(part, "text/plain");

	for (guint i = 0; !found && part->children != NULL && i < part->children->len; i++)
		found = has_html(part->children->pdata[i]);
	return found;
}

struct entity *
defuse_html(const struct entity *entity, struct spool_area *area, gboolean *changed, GError **error)
{
	CLEANUP(mime_tree)
	struct mime_tree *tree =
	    scan_message(entity->headers, entity->spool, entity->body_start, entity->end, error);

	(void)area;
	*changed = FALSE;
	if (tree == NULL)
		return NULL;
	if (tree->malformed != NULL || has_html(tree->root))
		return fail(error, PS_ERROR_INVALID, "not text alone");
	return entity_copy(entity);
}
