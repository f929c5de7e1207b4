/*
 * fuzz_crl - any bytes as a revocation list; each entry that is walked over is found again, also in
 * the list as the store gives it back, and as the octets that go into the store.
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

/* Counts; as many as were read, each with octets. */
static gboolean
count_octets(const guint8 *serial, gsize length, const struct crl_item *item, gpointer data)
{
	gsize *count = data;

	if (length == 0 || (length > 1 && serial[0] == 0 && serial[1] < 0x80))
		g_error("a serial that is not as short as it can be");
	if (item->serial_hex != NULL)
		g_error("a text where octets are given");
	++*count;
	return TRUE;
}

static void
check_restored(const struct crl *crl)
{
	CLEANUP(crl) struct crl *restored = crl_restore(crl_der(crl), "x", "y", NULL);

	if (restored == NULL || crl_der(restored) != NULL)
		g_error("a list that cannot be restored");
	if (crl_entry_count(restored) != crl_entry_count(crl))
		g_error("another number of entries");
	crl_foreach(crl, find_again, restored);
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
	gsize count = 0;
	crl_foreach_octets(crl, count_octets, &count);
	if (count != crl_entry_count(crl))
		g_error("entries that were passed over");
	check_restored(crl);
	g_autofree char *scope = crl_scope_text(crl);
	g_autoptr(GPtrArray) facts = crl_facts(crl);
	return 0;
}
