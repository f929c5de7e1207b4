/*
 * fuzz_cert - any bytes as a certificate: parsed with all that is worked out of it, or refused
 * with one printable line.
 */
#include <stdint.h>
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	CLEANUP(cert) struct cert *cert = cert_parse(bytes, &error);

	if ((cert == NULL) != (error != NULL))
		g_error("neither a certificate nor an error, or both");
	if (error != NULL && !g_utf8_validate(error->message, -1, NULL))
		g_error("an error text that is not UTF-8");
	if (cert == NULL)
		return 0;
	g_autoptr(GPtrArray) facts = cert_facts(cert);
	for (guint i = 0; i < facts->len; i++) {
		const struct fact *fact = facts->pdata[i];
		if (!g_utf8_validate(fact->value, -1, NULL) || strpbrk(fact->value, "\r\n") != NULL)
			g_error("a fact that cannot be shown");
	}
	/* Its own anchor and its own candidate: the whole of path validation runs. */
	g_autoptr(GPtrArray) pool = g_ptr_array_new();
	g_ptr_array_add(pool, cert);
	struct chain_options options = {
		.anchors = pool,
		.untrusted = pool,
		.at = cert_not_before(cert),
		.purpose = CHAIN_PURPOSE_SIGN,
		.revocation = CHAIN_REVOCATION_REQUIRED,
	};
	CLEANUP(chain_report) struct chain_report *report = chain_check(cert, &options, NULL);
	return 0;
}
