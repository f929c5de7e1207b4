/*
 * fuzz_certs_only - what an EST server answers: base64, and in it certificates or attributes.
 */
#include <stdint.h>

#include "pki/handlers/est_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_der(GBytes *der)
{
	g_autoptr(GError) no_certs = NULL;
	g_autoptr(GError) no_attributes = NULL;
	g_autoptr(GPtrArray) certs = certs_only_read(der, &no_certs);
	CLEANUP(est_attributes)
	struct est_attributes *attributes = est_attributes_read(der, &no_attributes);

	if ((certs == NULL) != (no_certs != NULL) ||
	    (attributes == NULL) != (no_attributes != NULL))
		g_error("neither an answer nor an error, or both");
	if (certs != NULL && (certs->len == 0 || certs->len > EST_CERTS_MAX))
		g_error("so many certificates");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) body = g_bytes_new(data, size);
	g_autoptr(GBytes) der = est_decode(body, NULL);

	read_der(body);
	if (der != NULL)
		read_der(der);
	return 0;
}
