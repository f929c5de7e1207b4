/*
 * base64 - RFC 2045 base64 as streams, table driven.
 *
 * The encoder is a sink that writes lines of 76 columns with CRLF; the decoder is a source over
 * another source. It is tolerant as mail needs it: everything outside of the alphabet is skipped,
 * the text ends at the first padding; a last group of one character is dropped.
 * Both are embedded or on the stack. Threads: one at a time.
 */
#ifndef PKI_CRYPTO_BASE64_H
#define PKI_CRYPTO_BASE64_H

#include <glib.h>

#include "store/base/sink.h"
#include "store/base/source.h"

struct base64_encoder {
	struct sink sink;
	struct sink *out; /* borrowed */
	guint8 held[57];  /* bytes of the line that is not full yet */
	guint held_length;
};

void base64_encoder_init(struct base64_encoder *encoder, struct sink *out);
/* The last line with its CRLF; nothing for no bytes. */
gboolean base64_encoder_finish(struct base64_encoder *encoder,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;

#define BASE64_PIECE_BYTES 24576

struct base64_decoder {
	struct source source;
	struct source *in; /* borrowed */
	const guint8 *text;
	gsize text_length;
	guint32 group;    /* bits of a group that is not full yet */
	guint group_size; /* its characters */
	gboolean ended;
	gboolean skipped; /* a character outside of alphabet, blanks and line ends was met */
	guint8 piece[BASE64_PIECE_BYTES];
};

/* How many of these bytes, from the first on, are of the alphabet (without padding) or white space.
 */
gsize base64_span(const guint8 *bytes, gsize length);
void base64_decoder_init(struct base64_decoder *decoder, struct source *in);

#endif
