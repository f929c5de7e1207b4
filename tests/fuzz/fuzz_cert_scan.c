/*
 * fuzz_cert_scan - any bytes through the light reader of certificates: what it reads is a
 * certificate, and its row is the one that the whole parser gives.
 */
#include <stdint.h>

#include "pki/crypto/cert_scan.h"
#include "tests/support/row_difference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cert_scanner *scanner;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	gboolean scanned;

	if (scanner == NULL)
		scanner = cert_scanner_new();
	g_autofree char *difference = row_scan_difference(scanner, bytes, &scanned);
	if (difference != NULL)
		g_error("%s", difference);
	return 0;
}
