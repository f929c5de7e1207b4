/* CompressedData (RFC 3274): zlib, within limits. */
#include <gio/gio.h>

#include "pki/crypto/cms_inspect.h"
#include "pki/crypto/cms_oid.h"
#include "pki/crypto/cms_signed.h"
#include "store/base/error.h"

#define PIECE_BYTES (32 * 1024)

struct inflate_sink {
	struct sink sink;
	GConverter *converter;
	const struct cms_limits *limits;
	struct sink *out;
	guint64 read;
	guint64 written;
	gboolean ended;
	guint8 piece[PIECE_BYTES];
};

static gboolean
inflated_put(struct inflate_sink *inflate, gsize length, GError **error)
{
	inflate->written += length;
	if (inflate->written > inflate->limits->inflate_bytes)
		return fail_false(error, PS_ERROR_INVALID,
				  "compressed content grows beyond %" G_GUINT64_FORMAT " bytes",
				  inflate->limits->inflate_bytes);
	/* Small content may well be repetitive: the factor counts from one piece on. */
	if (inflate->written > PIECE_BYTES &&
	    inflate->written / inflate->limits->inflate_factor > inflate->read)
		return fail_false(error, PS_ERROR_INVALID,
				  "compressed content grows more than %u times",
				  inflate->limits->inflate_factor);
	return length == 0 || sink_write(inflate->out, inflate->piece, length, error);
}

static gboolean
inflate_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct inflate_sink *inflate = (struct inflate_sink *)self;
	const guint8 *in = bytes;

	inflate->read += length;
	while (length > 0) {
		g_autoptr(GError) why = NULL;
		gsize taken = 0, made = 0;
		GConverterResult result;

		if (inflate->ended)
			return fail_false(error, PS_ERROR_INVALID,
					  "bytes follow the compressed content");
		result =
		    g_converter_convert(inflate->converter, in, length, inflate->piece, PIECE_BYTES,
					G_CONVERTER_NO_FLAGS, &taken, &made, &why);
		if (result == G_CONVERTER_ERROR &&
		    g_error_matches(why, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT))
			return TRUE;
		if (result == G_CONVERTER_ERROR)
			return fail_false(error, PS_ERROR_INVALID, "compressed content is damaged");
		inflate->ended = result == G_CONVERTER_FINISHED;
		in += taken;
		length -= taken;
		if (!inflated_put(inflate, made, error))
			return FALSE;
	}
	return TRUE;
}

/* What the converter still holds. */
static gboolean
inflate_finish(struct inflate_sink *inflate, GError **error)
{
	while (!inflate->ended) {
		gsize taken = 0, made = 0;
		GConverterResult result =
		    g_converter_convert(inflate->converter, "", 0, inflate->piece, PIECE_BYTES,
					G_CONVERTER_INPUT_AT_END, &taken, &made, NULL);

		if (result == G_CONVERTER_ERROR || (result != G_CONVERTER_FINISHED && made == 0))
			return fail_false(error, PS_ERROR_INVALID, "compressed content is cut off");
		inflate->ended = result == G_CONVERTER_FINISHED;
		if (!inflated_put(inflate, made, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean
compressed_head(struct ber *ber, char **content_type, GError **error)
{
	g_autoptr(GBytes) type = cms_content_info_open(ber, error);
	g_autoptr(GBytes) version = NULL;
	g_autoptr(GBytes) algorithm = NULL;
	g_autoptr(GBytes) inner = NULL;
	struct tlv oid, params, in;

	if (type == NULL)
		return FALSE;
	if (!cms_oid_is(type, &oid_compressed_data))
		return fail_false(error, PS_ERROR_INVALID, "not a CompressedData object");
	if (!ber_enter(ber, TLV_SEQUENCE, "CompressedData", error))
		return FALSE;
	version = ber_take(ber, TLV_INTEGER, "the version", error);
	if (version == NULL)
		return FALSE;
	algorithm = ber_take(ber, TLV_SEQUENCE, "the compression algorithm", error);
	if (algorithm == NULL)
		return FALSE;
	if (!cms_algorithm_read(algorithm, &oid, &params) || !tlv_equal(&oid, &oid_zlib))
		return fail_false(error, PS_ERROR_INVALID, "compression is not zlib");
	if (!ber_enter(ber, TLV_SEQUENCE, "the compressed content", error))
		return FALSE;
	inner = ber_take(ber, TLV_OID, "the type of the content", error);
	if (inner == NULL)
		return FALSE;
	in = tlv_of_bytes(inner);
	if (content_type != NULL && tlv_take(&in, TLV_OID, &oid))
		*content_type = tlv_oid_text(&oid);
	return ber_enter(ber, TLV_CONTEXT_CONSTRUCTED(0), "the compressed content", error);
}

gboolean
cms_inflate(struct source *object, struct sink *content_out, const struct cms_limits *limits,
	    char **content_type, GError **error)
{
	g_autofree struct inflate_sink *inflate = g_new(struct inflate_sink, 1);
	g_autoptr(GZlibDecompressor) zlib = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB);
	struct ber ber;
	guint64 size = 0;
	gboolean ok;

	if (limits == NULL)
		limits = &cms_limits_default;
	if (content_type != NULL)
		*content_type = NULL;
	inflate->sink.write = inflate_write;
	inflate->converter = G_CONVERTER(zlib);
	inflate->limits = limits;
	inflate->out = content_out;
	inflate->read = inflate->written = 0;
	inflate->ended = FALSE;
	ber_init(&ber, object, limits->head_bytes, limits->depth);
	ok = compressed_head(&ber, content_type, error) &&
	     ber_stream(&ber, TLV_OCTET_STRING, &inflate->sink, &size, error) &&
	     inflate_finish(inflate, error) && ber_leave(&ber, error) && ber_leave(&ber, error) &&
	     ber_leave(&ber, error) && ber_leave(&ber, error) && ber_leave(&ber, error) &&
	     ber_finish(&ber, error);
	if (!ok && content_type != NULL)
		g_clear_pointer(content_type, g_free);
	return ok;
}
