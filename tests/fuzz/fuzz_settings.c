/*
 * fuzz_settings - any bytes as a settings file: parsed, or refused with one printable line.
 */
#include <stdint.h>

#include "store/config/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(settings)
	struct settings *settings = settings_parse((const char *)data, size, "fuzz", &error);

	if ((settings == NULL) != (error != NULL))
		g_error("neither settings nor an error, or both");
	if (error != NULL && !g_utf8_validate(error->message, -1, NULL))
		g_error("an error text that is not UTF-8");
	return 0;
}
