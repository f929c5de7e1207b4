/*
 * fuzz_cms_decrypt - any bytes as an encrypted or compressed object, read with keys that the
 * seeds are for: no crash, memory within limits, a reason for every outcome.
 */
#include <stdint.h>

#include "pki/crypto/cms_decrypt.h"
#include "pki/crypto/cms_inspect.h"
#include "store/base/buffer.h"
#include "tests/unit/pki/cms_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct identity *rsa = fixture_identity("rsa1"), *ec = fixture_identity("ec256");
	struct cms_decrypt_key keys[2] = { { rsa->cert, rsa->key }, { ec->cert, ec->key } };
	struct cms_decrypt_options options = { .legacy_ciphers = TRUE };
	CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;
	struct buffer_source in;
	struct buffer_sink out;

	buffer_source_init(&in, data, size);
	buffer_sink_init(&out, 1 << 20);
	report = cms_decrypt(&in.source, keys, 2, &options, &out.sink, NULL);
	if (report != NULL && report->reason == NULL)
		g_error("an outcome without a reason");
	buffer_sink_clear(&out);
	buffer_source_init(&in, data, size);
	buffer_sink_init(&out, 1 << 20);
	(void)!cms_inflate(&in.source, &out.sink, NULL, NULL, NULL);
	buffer_sink_clear(&out);
	return 0;
}
