/* protect - see protect.h. */
#include "milter/mime/protect.h"

struct spool *
protect_entity(struct spool *entity, const struct protect_request *request, gboolean *needs_opaque,
	       GError **error)
{
	(void)request, (void)needs_opaque, (void)error;
	return spool_ref(entity);
}

void
protect_hide(const struct headers *headers, struct edits *edits)
{
	edits_delete_all(edits, headers, "Comments");
	edits_delete_all(edits, headers, "Keywords");
}

guint64
protect_growth(gsize headers_bytes)
{
	return 3 * (guint64)headers_bytes + 4096;
}
