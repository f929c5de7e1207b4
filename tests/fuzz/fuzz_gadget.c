/*
 * fuzz_gadget - any bytes as content that nothing vouches for: what is called clean has no control
 * characters outside of data, and no octet above 127 where none is announced.
 */
#include <stdint.h>
#include <string.h>

#include "milter/mime/gadget.h"
#include "milter/mime/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gboolean
announces_more(const char *text)
{
	return g_strstr_len(text, -1, "8bit") != NULL || g_strstr_len(text, -1, "binary") != NULL ||
	       g_strstr_len(text, -1, "iso-2022-") != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(16 << 20);
	CLEANUP(spool) struct spool *spool = spool_from_bytes(area, data, size, NULL);
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(entity) struct entity *entity = NULL;
	g_autofree char *lower = NULL;
	GError *error = NULL;
	guint64 body = 0;

	if (spool == NULL || (headers = headers_parse(spool, 0, size, &body, NULL)) == NULL)
		return 0;
	entity = entity_new(headers, spool, 0, body, size);
	if (gadget_find(entity, &error) == NULL && error == NULL && size > 0) {
		g_autofree char *text = g_strndup((const char *)data, size);

		lower = g_ascii_strdown(text, -1);
		for (size_t i = 0; !announces_more(lower) && i < size; i++)
			if (data[i] > 126 || (data[i] < ' ' && strchr("\t\r\n", data[i]) == NULL))
				g_error("octet %zu is not text", i);
	}
	g_clear_error(&error);
	return 0;
}
