/*
 * fuzz_crl - any bytes as a revocation list; each entry that is walked over is found again.
 */
#include <stdint.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gboolean
find_again(const struct crl_item *item, gpointer data)
{
	const struct crl *crl = data;
	struct crl_item found;

	if (!crl_find(crl, item->issuer_key, item->serial_hex, &found))
		g_error("an entry that cannot be found: %s", item->serial_hex);
	return TRUE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	CLEANUP(crl) struct crl *crl = crl_parse(bytes, &error);

	if ((crl == NULL) != (error != NULL))
		g_error("neither a list nor an error, or both");
	if (crl == NULL)
		return 0;
	crl_foreach(crl, find_again, crl);
	g_autoptr(GPtrArray) facts = crl_facts(crl);
	return 0;
}
