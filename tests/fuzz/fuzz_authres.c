/*
 * fuzz_authres - any bytes as an Authentication-Results field.
 */
#include <stdint.h>
#include <string.h>

#include "milter/mime/ours.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ids[] = { "mx.example.com", NULL };
	g_autofree char *value = g_malloc(size + 1);

	if (size > 0)
		memcpy(value, data, size);
	value[size] = '\0';
	(void)ours_is_smime_result(value, size, ids);
	return 0;
}
