/*
 * fuzz_base64 - any text decodes; what was decoded and encoded again decodes to the same.
 */
#include <stdint.h>
#include <string.h>

#include "pki/crypto/base64.h"
#include "store/base/buffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static GByteArray *
decode(gconstpointer text, gsize length, gsize piece_max)
{
	struct base64_decoder decoder;
	struct buffer_source in;
	struct buffer_sink out;

	buffer_source_init(&in, text, length);
	in.piece_max = piece_max;
	buffer_sink_init(&out, G_MAXINT);
	base64_decoder_init(&decoder, &in.source);
	if (!source_copy(&decoder.source, &out.sink, NULL))
		g_error("decoding failed");
	return out.bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GByteArray) whole = decode(data, size, 0);
	g_autoptr(GByteArray) pieces = decode(data, size, 3);
	g_autoptr(GByteArray) again = NULL;
	struct base64_encoder encoder;
	struct buffer_sink text;

	buffer_sink_init(&text, G_MAXINT);
	base64_encoder_init(&encoder, &text.sink);
	if (!sink_write(&encoder.sink, whole->data, whole->len, NULL) ||
	    !base64_encoder_finish(&encoder, NULL))
		g_error("encoding failed");
	again = decode(text.bytes->data, text.bytes->len, 0);
	if (whole->len != pieces->len || whole->len != again->len ||
	    (whole->len > 0 && (memcmp(whole->data, pieces->data, whole->len) != 0 ||
				memcmp(whole->data, again->data, whole->len) != 0)))
		g_error("not the same");
	buffer_sink_clear(&text);
	return 0;
}
