/*
 * fuzz_reading - any bytes as a message, read with keys that the seeds are for: no crash, and what
 * the reading promises to those who deliver holds.
 */
#include <stdint.h>
#include <string.h>

#include "milter/mime/defuse.h"
#include "milter/reading.h"
#include "pki/crypto/cert.h"
#include "tests/unit/pki/cms_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gboolean
judge(gpointer data, const struct cms_verify_report *object, const struct cms_signer_report *signer,
      struct signer_judgement *out, GError **error)
{
	(void)data;
	(void)object;
	(void)signer;
	(void)error;
	out->trust = SIGNER_VALID;
	return TRUE;
}

static GArray *
keys(gpointer data, const struct cms_info *info, GError **error)
{
	const struct identity *rsa = fixture_identity("rsa1"), *ec = fixture_identity("ec256");
	const struct cms_decrypt_key both[2] = { { rsa->cert, rsa->key }, { ec->cert, ec->key } };
	GArray *array = g_array_new(FALSE, FALSE, sizeof *both);

	(void)data;
	(void)info;
	(void)error;
	return g_array_append_vals(array, both, 2);
}

static void
check(const struct reading *reading, struct spool_area *area)
{
	CLEANUP(entity) struct entity *safe = NULL;
	gboolean changed;

	if (reading->reason == NULL)
		g_error("a verdict without a reason");
	if (reading->decrypted != (reading->opened != NULL))
		g_error("decrypted, or not");
	if (reading->closed != READING_OPEN && reading->opened != NULL)
		g_error("closed, but opened");
	if (reading->closed == READING_FAILED &&
	    (reading->verdict == MAIL_VALID || reading->detail == NULL))
		g_error("a failure that says too much or too little");
	if (reading->unauthenticated && reading->opened == NULL)
		g_error("nothing vouches for nothing");
	if (!reading->is_encrypted && reading->opened != NULL)
		g_error("opened without an encryption");
	if (reading->unauthenticated)
		safe = defuse_html(reading->opened, area, &changed, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(64 << 20);
	CLEANUP(spool) struct spool *spool = spool_from_bytes(area, data, size, NULL);
	const struct reading_options options = {
		.area = area, .judge = judge, .keys = keys, .legacy = TRUE
	};
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(reading) struct reading *reading = NULL;
	guint64 body = 0;

	if (spool == NULL)
		return 0;
	headers = headers_parse(spool, 0, size, &body, NULL);
	if (headers == NULL)
		return 0;
	reading = reading_message(headers, spool, body, size, &options, NULL);
	if (reading != NULL)
		check(reading, area);
	return 0;
}
