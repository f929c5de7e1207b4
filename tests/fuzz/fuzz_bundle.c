/*
 * fuzz_bundle - any bytes as a file that is imported: whatever comes out is whole, whatever does
 * not is named. The password is that of the seeds.
 */
#include <stdint.h>

#include "pki/crypto/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	CLEANUP(secret) struct secret *password = secret_new_text("password");
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, "fuzz", password, &error);

	if ((bundle == NULL) != (error != NULL))
		g_error("neither objects nor an error, or both");
	if (error != NULL && !g_utf8_validate(error->message, -1, NULL))
		g_error("an error text that is not UTF-8");
	if (bundle != NULL &&
	    bundle->certs->len + bundle->keys->len + bundle->crls->len + bundle->rejected->len == 0)
		g_error("nothing, and nothing said about it");
	(void)bundle_wants_password(bytes);
	return 0;
}
