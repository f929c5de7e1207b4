/*
 * fuzz_cms_verify - any bytes as a signature, opaque and detached, and as an object to look at:
 * no crash, and never a good signature without a certificate that made it.
 */
#include <stdint.h>

#include "pki/crypto/cms_inspect.h"
#include "pki/crypto/cms_verify.h"
#include "store/base/buffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(struct cms_verify_report *report)
{
	for (guint i = 0; report != NULL && i < report->signers->len; i++) {
		const struct cms_signer_report *one = g_ptr_array_index(report->signers, i);

		if (one->reason == NULL || one->digest == NULL || one->algorithm == NULL)
			g_error("a report without names");
		if (one->signature == CMS_SIGNATURE_GOOD && one->cert == NULL)
			g_error("good by nobody");
	}
	cms_verify_report_free(report);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer_source in, content;

	buffer_source_init(&in, data, size);
	check(cms_verify(&in.source, NULL, NULL, NULL));
	buffer_source_init(&in, data, size);
	in.piece_max = 5;
	buffer_source_init(&content, "text\r\n", 6);
	check(cms_verify_detached(&in.source, &content.source, NULL, NULL));
	buffer_source_init(&in, data, size);
	cms_info_free(cms_inspect(&in.source, CMS_INSPECT_ALL, NULL, NULL));
	return 0;
}
