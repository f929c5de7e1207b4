/*
 * fuzz_zip - any bytes give files within the limits, or a reason.
 */
#include <stdint.h>

#include "pki/zip.h"
#include "store/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) files = zip_read(bytes, &error);
	gsize total = 0;

	if ((files == NULL) != (error != NULL))
		g_error("neither files nor a reason");
	for (guint i = 0; files != NULL && i < files->len; i++) {
		const struct zip_file *file = g_ptr_array_index(files, i);
		total += g_bytes_get_size(file->content);
	}
	if (total > ZIP_TOTAL_MAX_BYTES)
		g_error("too much came out");
	return 0;
}
