/* base64: equal to GLib's, in pieces of any size; tolerant where mail is sloppy. */
#include <glib.h>
#include <string.h>

#include "pki/crypto/base64.h"
#include "store/base/buffer.h"

static GByteArray *
encode(const guint8 *bytes, gsize length, gsize piece)
{
	struct base64_encoder encoder;
	struct buffer_sink out;

	buffer_sink_init(&out, G_MAXINT);
	base64_encoder_init(&encoder, &out.sink);
	for (gsize at = 0; at < length; at += piece)
		g_assert_true(sink_write(&encoder.sink, bytes + at, MIN(piece, length - at), NULL));
	g_assert_true(base64_encoder_finish(&encoder, NULL));
	return out.bytes;
}

static GByteArray *
decode(const char *text, gsize length, gsize piece, gboolean *skipped)
{
	struct base64_decoder decoder;
	struct buffer_source in;
	struct buffer_sink out;

	buffer_source_init(&in, text, length);
	in.piece_max = piece;
	buffer_sink_init(&out, G_MAXINT);
	base64_decoder_init(&decoder, &in.source);
	g_assert_true(source_copy(&decoder.source, &out.sink, NULL));
	*skipped = decoder.skipped;
	return out.bytes;
}

static void
test_round_trip(void)
{
	guint8 bytes[1000];

	for (gsize i = 0; i < sizeof bytes; i++)
		bytes[i] = (guint8)(i * 7 + i / 256);
	for (gsize length = 0; length <= sizeof bytes; length += length < 200 ? 1 : 61) {
		for (gsize piece = 1; piece <= 120; piece += 17) {
			g_autoptr(GByteArray) text = encode(bytes, length, piece);
			g_autofree char *plain =
			    g_strndup(text->len > 0 ? (char *)text->data : "", text->len);
			gsize expected;
			g_autofree guchar *same = g_base64_decode(plain, &expected);
			gboolean skipped;
			g_autoptr(GByteArray) back =
			    decode((char *)text->data, text->len, piece, &skipped);

			g_assert_cmpmem(same, expected, bytes, length);
			g_assert_cmpmem(back->data, back->len, bytes, length);
			g_assert_false(skipped);
		}
	}
}

static void
test_lines(void)
{
	guint8 zeros[57 * 3 + 1] = { 0 };
	g_autoptr(GByteArray) text = encode(zeros, sizeof zeros, sizeof zeros);

	g_assert_cmpuint(text->len, ==, 3 * 78 + 6);
	g_assert_cmpmem(text->data + 76, 2, "\r\n", 2);
	g_assert_cmpmem(text->data + 3 * 78, 6, "AA==\r\n", 6);
}

struct sloppy {
	const char *name;
	const char *text;
	const char *plain;
	gboolean skipped;
};

static const struct sloppy sloppy_rows[] = {
	{ "no line ends", "aGVsbG8gd29ybGQ=", "hello world", FALSE },
	{ "LF", "aGVs\nbG8g\nd29ybGQ=\n", "hello world", FALSE },
	{ "lines that cut groups", "aGVsb\r\nG8gd29\r\nybGQ=\r\n", "hello world", FALSE },
	{ "blanks around", "  aGVsbG8g \t\r\n d29ybGQ=  ", "hello world", FALSE },
	{ "no padding", "aGVsbG8gd29ybGQ", "hello world", FALSE },
	{ "text after the padding is not read", "aGVsbG8=aGVsbG8=", "hello", FALSE },
	{ "characters of no alphabet are skipped", "aG!Vs-bG8=", "hello", TRUE },
	{ "NUL and 8-bit too",
	  "aGVs\xe4\xb8\xad"
	  "bG8=",
	  "hello", TRUE },
	{ "a single last character is dropped", "aGVsbG8gA", "hello ", FALSE },
	{ "nothing", "", "", FALSE },
	{ "padding alone", "====", "", FALSE },
};

static void
test_sloppy(gconstpointer data)
{
	const struct sloppy *row = data;

	for (gsize piece = 0; piece < 9; piece++) {
		gboolean skipped;
		g_autoptr(GByteArray) plain = decode(row->text, strlen(row->text), piece, &skipped);

		g_assert_cmpmem(plain->data, plain->len, row->plain, strlen(row->plain));
		g_assert_cmpint(skipped, ==, row->skipped);
	}
}

static void
test_large(void)
{
	g_autofree guint8 *bytes = g_malloc(300001);
	gboolean skipped;

	for (gsize i = 0; i < 300001; i++)
		bytes[i] = (guint8)(i ^ (i >> 8) ^ (i >> 13));
	for (gsize piece = 4097; piece < 70000; piece += 30011) {
		g_autoptr(GByteArray) text = encode(bytes, 300001, piece);
		g_autoptr(GByteArray) back = decode((char *)text->data, text->len, piece, &skipped);

		g_assert_cmpmem(back->data, back->len, bytes, 300001);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base64/round trip in pieces of every size", test_round_trip);
	g_test_add_func("/base64/lines of 76 with CRLF", test_lines);
	g_test_add_func("/base64/large", test_large);
	for (guint i = 0; i < G_N_ELEMENTS(sloppy_rows); i++) {
		g_autofree char *name = g_strdup_printf("/base64/sloppy/%s", sloppy_rows[i].name);

		g_test_add_data_func(name, &sloppy_rows[i], test_sloppy);
	}
	return g_test_run();
}
