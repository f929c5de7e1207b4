/*
 * json_memory - allocation with the length in front, so that it can be wiped.
 */
#include "admin/api/json_memory.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/secret.h"

union header {
	size_t length;
	max_align_t alignment;
};

static void *
allocate(size_t length)
{
	union header *header = malloc(sizeof *header + length);

	if (header == NULL)
		return NULL;
	header->length = length;
	return header + 1;
}

static void
release(void *bytes)
{
	if (bytes == NULL)
		return;
	union header *header = (union header *)bytes - 1;
	wipe(bytes, header->length);
	free(header);
}

void
json_memory_start(void)
{
	json_set_alloc_funcs(allocate, release);
}

void
json_memory_free(char *text)
{
	json_free_t free_text;

	if (text == NULL)
		return;
	wipe(text, strlen(text));
	json_get_alloc_funcs(NULL, &free_text);
	free_text(text);
}
