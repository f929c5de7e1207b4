/*
 * paging - --limit and --after of lists: pages by the last id seen, so that a page costs the same
 * wherever it is.
 */
#ifndef ADMIN_API_PAGING_H
#define ADMIN_API_PAGING_H

#include "admin/api/call.h"

struct page {
	gint limit;
	gint64 after; /* 0: from the start */
	gint64 last;
	gint count;
};

/* For lists whose cursor is no number: --limit alone is read. */
gboolean page_limit_of(const struct call *call, struct page *page,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean page_of(const struct call *call, struct page *page,
		 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void page_seen(struct page *page, gint64 id);
/* Takes the items; says where to go on when the page is full. */
json_t *page_answer(const struct page *page, json_t *items);

#endif
