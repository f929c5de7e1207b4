/*
 * fuzz_headers - any bytes as a header: parsed or refused; what was parsed is written, and read
 * back it is the same; its mailboxes, author and our fields are looked for.
 */
#include <stdint.h>

#include "milter/mime/author.h"
#include "milter/mime/ours.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_for(const struct headers *headers)
{
	static const char *const ids[] = { "mx.example.com", NULL };
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(mailaddr) struct mailaddr *author = author_find(headers, NULL);
	g_autoptr(GPtrArray) to = author_mailboxes(headers, "To");

	(void)ours_remove(headers, ids, edits);
	(void)to;
	(void)author;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(100000000);
	CLEANUP(spool) struct spool *spool = spool_from_bytes(area, data, size, NULL);
	CLEANUP(spool) struct spool *written = spool_new(area);
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(headers) struct headers *again = NULL;
	guint64 body = 0;

	headers = headers_parse(spool, 0, size, &body, NULL);
	if (headers == NULL)
		return 0;
	if (body > size)
		g_error("the body starts behind the end");
	look_for(headers);
	if (!headers_write(headers, spool_sink(written), NULL) || !spool_seal(written, NULL))
		g_error("cannot write what was parsed");
	again = headers_parse(written, 0, spool_size(written), &body, NULL);
	if (again == NULL || headers_count(again) != headers_count(headers))
		g_error("what was written is not what was parsed");
	return 0;
}
