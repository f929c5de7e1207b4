#include "pki/crypto/base64.h"

#include <string.h>

#define LINE_BYTES 57
#define LINE_CHARS 76
#define LINES_A_PIECE 128

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Two characters for each 12 bits, the first in the low byte: two look-ups for three bytes.
 * Filled once. */
static guint16 pairs[4096];

/* Four tables, one for each place of a group, with the bits where they belong; BAD where the
 * character is not of the alphabet, so that one test covers four characters. */
#define BAD 0x80000000u
static guint32 places[4][256];

/* The alphabet and white space. */
static gboolean spanned[256];

static void
tables_fill(void)
{
	for (guint i = 0; i < 4096; i++)
		pairs[i] = (guint16)((guchar)alphabet[i >> 6] | (guchar)alphabet[i & 63] << 8);
	for (guint place = 0; place < 4; place++)
		for (guint i = 0; i < 256; i++)
			places[place][i] = BAD;
	for (const char *blank = " \t\r\n"; *blank != '\0'; blank++)
		spanned[(guchar)*blank] = TRUE;
	for (guint32 value = 0; value < 64; value++)
		spanned[(guchar)alphabet[value]] = TRUE;
	for (guint32 value = 0; value < 64; value++)
		for (guint place = 0; place < 4; place++)
			places[place][(guchar)alphabet[value]] = value << (18 - 6 * place);
}

static void
tables_init(void)
{
	static gsize ready;

	if (g_once_init_enter(&ready)) {
		tables_fill();
		g_once_init_leave(&ready, 1);
	}
}

static char *
encode_triples(char *out, const guint8 *in, gsize n_triples)
{
	for (gsize i = 0; i < n_triples; i++, in += 3, out += 4) {
		guint32 bits = (guint32)in[0] << 16 | (guint32)in[1] << 8 | in[2];
		guint32 text =
		    GUINT32_TO_LE((guint32)pairs[bits >> 12] | (guint32)pairs[bits & 4095] << 16);

		memcpy(out, &text, sizeof text);
	}
	return out;
}

/* Six bytes at a time: one load of eight, four look-ups, one store; put together in a register,
 * since a load of what four short stores have just written would wait for each of them. */
static char *
encode_line(char *out, const guint8 *in)
{
	for (guint i = 0; i < LINE_BYTES / 6; i++, in += 6, out += 8) {
		guint64 bits;
		guint64 text;

		memcpy(&bits, in, sizeof bits);
		bits = GUINT64_FROM_BE(bits);
		text = (guint64)pairs[bits >> 52] | (guint64)pairs[bits >> 40 & 4095] << 16 |
		       (guint64)pairs[bits >> 28 & 4095] << 32 |
		       (guint64)pairs[bits >> 16 & 4095] << 48;
		text = GUINT64_TO_LE(text);
		memcpy(out, &text, sizeof text);
	}
	out = encode_triples(out, in, 1);
	*out++ = '\r';
	*out++ = '\n';
	return out;
}

static gboolean
encoder_lines(struct base64_encoder *encoder, const guint8 **in, gsize *length, GError **error)
{
	char text[LINES_A_PIECE * (LINE_CHARS + 2)];

	while (*length >= LINE_BYTES) {
		gsize lines = MIN(*length / LINE_BYTES, LINES_A_PIECE);
		char *end = text;

		for (gsize i = 0; i < lines; i++, *in += LINE_BYTES)
			end = encode_line(end, *in);
		*length -= lines * LINE_BYTES;
		if (!sink_write(encoder->out, text, (gsize)(end - text), error))
			return FALSE;
	}
	return TRUE;
}

static gboolean
encoder_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct base64_encoder *encoder = (struct base64_encoder *)self;
	const guint8 *in = bytes;

	if (encoder->held_length > 0) {
		const guint8 *line = encoder->held;
		gsize line_length = LINE_BYTES;
		guint n = (guint)MIN(length, LINE_BYTES - encoder->held_length);

		memcpy(encoder->held + encoder->held_length, in, n);
		encoder->held_length += n;
		in += n;
		length -= n;
		if (encoder->held_length < LINE_BYTES)
			return TRUE;
		encoder->held_length = 0;
		if (!encoder_lines(encoder, &line, &line_length, error))
			return FALSE;
	}
	if (!encoder_lines(encoder, &in, &length, error))
		return FALSE;
	if (length > 0)
		memcpy(encoder->held, in, length);
	encoder->held_length = (guint)length;
	return TRUE;
}

void
base64_encoder_init(struct base64_encoder *encoder, struct sink *out)
{
	tables_init();
	encoder->sink.write = encoder_write;
	encoder->out = out;
	encoder->held_length = 0;
}

gboolean
base64_encoder_finish(struct base64_encoder *encoder, GError **error)
{
	char text[LINE_CHARS + 2];
	guint rest = encoder->held_length % 3;
	guint8 last[3] = { 0, 0, 0 };
	char *end;

	if (encoder->held_length == 0)
		return TRUE;
	end = encode_triples(text, encoder->held, encoder->held_length / 3);
	if (rest > 0) {
		memcpy(last, encoder->held + encoder->held_length - rest, rest);
		end = encode_triples(end, last, 1);
		memset(end - (3 - rest), '=', 3 - rest);
	}
	*end++ = '\r';
	*end++ = '\n';
	encoder->held_length = 0;
	return sink_write(encoder->out, text, (gsize)(end - text), error);
}

static guint8 *
decode_fast(struct base64_decoder *decoder, guint8 *out, const guint8 *out_end)
{
	const guint8 *in = decoder->text;
	const guint8 *end = in + decoder->text_length;

	while (end - in >= 4 && out_end - out >= 3) {
		guint32 bits =
		    places[0][in[0]] | places[1][in[1]] | places[2][in[2]] | places[3][in[3]];

		if (bits & BAD)
			break;
		out[0] = (guint8)(bits >> 16);
		out[1] = (guint8)(bits >> 8);
		out[2] = (guint8)bits;
		out += 3;
		in += 4;
	}
	decoder->text_length = (gsize)(end - in);
	decoder->text = in;
	return out;
}

/* One character: line ends, padding, and what does not belong. */
static guint8 *
decode_char(struct base64_decoder *decoder, guint8 *out)
{
	guint8 c = *decoder->text++;
	guint32 value = places[3][c];

	decoder->text_length--;
	if (c == '=') {
		decoder->ended = TRUE;
		return out;
	}
	if (value & BAD) {
		if (c != '\r' && c != '\n' && c != ' ' && c != '\t')
			decoder->skipped = TRUE;
		return out;
	}
	decoder->group = decoder->group << 6 | value;
	if (++decoder->group_size < 4)
		return out;
	*out++ = (guint8)(decoder->group >> 16);
	*out++ = (guint8)(decoder->group >> 8);
	*out++ = (guint8)decoder->group;
	decoder->group = 0;
	decoder->group_size = 0;
	return out;
}

static guint8 *
decode_rest(struct base64_decoder *decoder, guint8 *out)
{
	if (decoder->group_size >= 2)
		*out++ = (guint8)(decoder->group >> (decoder->group_size == 2 ? 4 : 10));
	if (decoder->group_size == 3)
		*out++ = (guint8)(decoder->group >> 2);
	decoder->group_size = 0;
	return out;
}

static gboolean
decoder_next(struct source *self, const guint8 **bytes, gsize *length, GError **error)
{
	struct base64_decoder *decoder = (struct base64_decoder *)self;
	guint8 *out = decoder->piece;
	const guint8 *out_end = decoder->piece + sizeof decoder->piece;

	while (!decoder->ended && out_end - out >= 3) {
		if (decoder->text_length == 0) {
			if (!source_next(decoder->in, &decoder->text, &decoder->text_length, error))
				return FALSE;
			if (decoder->text_length == 0)
				decoder->ended = TRUE;
			continue;
		}
		if (decoder->group_size == 0)
			out = decode_fast(decoder, out, out_end);
		if (decoder->text_length > 0 && out_end - out >= 3)
			out = decode_char(decoder, out);
	}
	if (decoder->ended && out_end - out >= 2)
		out = decode_rest(decoder, out);
	*bytes = decoder->piece;
	*length = (gsize)(out - decoder->piece);
	return TRUE;
}

void
base64_decoder_init(struct base64_decoder *decoder, struct source *in)
{
	tables_init();
	memset(decoder, 0, G_STRUCT_OFFSET(struct base64_decoder, piece));
	decoder->source.next = decoder_next;
	decoder->in = in;
}

gsize
base64_span(const guint8 *bytes, gsize length)
{
	gsize i;

	tables_init();
	for (i = 0; i < length && spanned[bytes[i]]; i++)
		;
	return i;
}
