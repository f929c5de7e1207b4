/*
 * fuzz_cert_scan - any bytes through the light reader of certificates: what it reads is a
 * certificate to OpenSSL too; its row and every answer of cert.h are those of OpenSSL's reading.
 */
#include <stdint.h>

#include "pki/crypto/cert_scan.h"
#include "tests/support/cert_difference.h"
#include "tests/support/row_difference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cert_scanner *scanner;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	gboolean scanned, light;

	if (scanner == NULL)
		scanner = cert_scanner_new();
	g_autofree char *difference = row_scan_difference(scanner, bytes, &scanned);
	if (difference != NULL)
		g_error("%s", difference);
	g_autofree char *other = cert_difference(bytes, &light);
	if (other != NULL)
		g_error("%s", other);
	if (light != scanned)
		g_error("one light reader reads it and the other does not");
	return 0;
}
