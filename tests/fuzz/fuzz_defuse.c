/*
 * fuzz_defuse - any bytes as HTML, and as content with HTML in it: the length stays, only first
 * letters change, a second pass finds nothing.
 */
#include <stdint.h>
#include <string.h>

#include "milter/mime/defuse.h"
#include "milter/mime/defuse_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
as_text(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_malloc(size + 1);
	gboolean changed, again;

	memcpy(text, data, size);
	text[size] = '\0';
	if (defuse_text(text, size, FALSE, &changed) != NULL)
		return;
	for (size_t i = 0; i < size; i++)
		if (text[i] != (char)data[i] && (text[i] != 'x' || !g_ascii_isalpha(data[i])))
			g_error("octet %zu was changed", i);
	if (changed != (memcmp(text, data, size) != 0))
		g_error("changed, or not");
	if (defuse_text(text, size, FALSE, &again) != NULL || again)
		g_error("not done at once");
}

static void
as_entity(const uint8_t *data, size_t size)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(64 << 20);
	CLEANUP(spool) struct spool *spool = spool_from_bytes(area, data, size, NULL);
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(entity) struct entity *entity = NULL;
	CLEANUP(entity) struct entity *safe = NULL;
	gboolean changed;
	guint64 body = 0;

	if (spool == NULL || (headers = headers_parse(spool, 0, size, &body, NULL)) == NULL)
		return;
	entity = entity_new(headers, spool, 0, body, size);
	safe = defuse_html(entity, area, &changed, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		as_text(data, size);
	as_entity(data, size);
	return 0;
}
