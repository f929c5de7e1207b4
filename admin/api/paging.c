/*
 * paging - pages of lists.
 */
#include "admin/api/paging.h"

#include <string.h>

#include "store/base/error.h"

#define ROWS 100
#define ROWS_MAX 10000

gboolean
page_limit_of(const struct call *call, struct page *page, GError **error)
{
	gint64 limit = call_int(call, "limit", ROWS);

	memset(page, 0, sizeof *page);
	if (limit < 1)
		return fail_false(error, PS_ERROR_USAGE, "--limit: at least 1");
	page->limit = (gint)MIN(limit, ROWS_MAX);
	return TRUE;
}

gboolean
page_of(const struct call *call, struct page *page, GError **error)
{
	const char *after = call_text(call, "after");

	if (!page_limit_of(call, page, error))
		return FALSE;
	if (after != NULL &&
	    !g_ascii_string_to_signed(after, 10, 0, G_MAXINT64, &page->after, NULL))
		return fail_false(error, PS_ERROR_USAGE, "--after: not a cursor of this list");
	return TRUE;
}

void
page_seen(struct page *page, gint64 id)
{
	page->last = id;
	page->count++;
}

json_t *
page_answer(const struct page *page, json_t *items)
{
	g_autofree char *next =
	    page->count >= page->limit ? g_strdup_printf("%" G_GINT64_FORMAT, page->last) : NULL;

	return answer_list(items, next);
}
