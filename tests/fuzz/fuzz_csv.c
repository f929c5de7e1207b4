/*
 * fuzz_csv - any bytes as a file of requests: rows within the limits, UTF-8, lines that rise.
 */
#include <stdint.h>
#include <string.h>

#include "pki/bulk_file.h"
#include "pki/csv.h"
#include "store/bulk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_rows(GBytes *bytes, const char *encoding, const struct csv_limits *limits)
{
	g_autoptr(GPtrArray) rows = csv_read(bytes, encoding, limits, NULL);
	guint line = 0;

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct csv_row *row = g_ptr_array_index(rows, i);

		if (row->line <= line)
			g_error("a line that does not rise");
		line = row->line;
		for (guint k = 0; k < row->values->len; k++) {
			const char *value = g_ptr_array_index(row->values, k);

			if (!g_utf8_validate(value, -1, NULL))
				g_error("a value that is not UTF-8");
			if (row->why == NULL &&
			    g_utf8_strlen(value, -1) > (glong)limits->characters)
				g_error("a value that is too long");
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct csv_limits limits = { .bytes = 1 << 16, .rows = 100, .characters = 32 };
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(GPtrArray) rows = bulk_file_read(bytes, NULL, &limits, NULL);

	check_rows(bytes, NULL, &limits);
	check_rows(bytes, "ISO-8859-1", &limits);
	check_rows(bytes, "UTF-16LE", &limits);
	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct bulk_row *row = g_ptr_array_index(rows, i);

		if (row->state == BULK_ROW_WAITING &&
		    (row->email == NULL || row->common_name == NULL))
			g_error("a good row without address or name");
		if ((row->state == BULK_ROW_WAITING) != (row->why == NULL))
			g_error("a row that is not good and nobody knows why");
	}
	return 0;
}
