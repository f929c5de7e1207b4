/*
 * fuzz_ocsp_request - what anybody may send to the OCSP responder.
 *
 * What is read lies within the bytes and within the limits, and one octet less is never a request.
 */
#include <stdint.h>

#include "pki/crypto/ocsp_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_inside(const uint8_t *data, size_t size, const guint8 *part, gsize length)
{
	if (part < data || length > size || part + length > data + size)
		g_error("a view leaves the request");
}

static void
check_id(const uint8_t *data, size_t size, const struct ocsp_id *id)
{
	gsize length = id->hash == ALGORITHM_SHA1 ? 20 : id->hash == ALGORITHM_SHA256 ? 32 : 0;
	g_autofree char *serial = ocsp_id_serial(id);

	check_inside(data, size, id->name_hash, length);
	check_inside(data, size, id->key_hash, length);
	check_inside(data, size, id->serial, id->serial_length);
	if (serial != NULL && (*serial == '0' || *serial == '-' || *serial == '\0'))
		g_error("a serial number that no certificate has");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ocsp_inquiry inquiry;
	g_autoptr(GError) error = NULL;
	gboolean good = ocsp_inquiry_read(data, size, &inquiry, &error);

	if (good != (error == NULL))
		g_error("neither a request nor an error, or both");
	if (!good)
		return 0;
	if (inquiry.count < 1 || inquiry.count > OCSP_ASKED_MAX)
		g_error("too many certificates, or none");
	for (gsize i = 0; i < inquiry.count; i++)
		check_id(data, size, &inquiry.ids[i]);
	if (inquiry.nonce != NULL)
		check_inside(data, size, inquiry.nonce, inquiry.nonce_length);
	if (ocsp_inquiry_read(data, size - 1, &inquiry, NULL))
		g_error("a request without its last octet is one, too");
	return 0;
}
