/*
 * leaf - one of three sources over a range of the spool.
 */
#include "milter/mime/leaf.h"

#include <string.h>

#include "pki/crypto/base64.h"

#define PIECE_BYTES 4096

struct qp_decoder {
	struct source source; /* first */
	struct source *in;
	guint held_length;
	guint8 held[3]; /* begin of an escape */
	const guint8 *bytes;
	gsize length;
	guint8 piece[PIECE_BYTES];
};

struct leaf {
	struct spool_reader *reader;
	struct source *source;
	struct base64_decoder base64;
	struct qp_decoder qp;
};

static int
hex(guint8 c)
{
	return g_ascii_isxdigit((gchar)c) ? g_ascii_xdigit_value((gchar)c) : -1;
}

/* One octet in; what is decided goes to out, up to three octets. */
static gsize
qp_take(struct qp_decoder *decoder, guint8 octet, guint8 *out)
{
	gsize n = 0;

	if (decoder->held_length == 0 && octet != '=') {
		out[0] = octet;
		return 1;
	}
	decoder->held[decoder->held_length++] = octet;
	if (decoder->held_length == 2 && octet == '\n') {
		decoder->held_length = 0; /* "=" LF */
	} else if (decoder->held_length == 3) {
		int high = hex(decoder->held[1]);
		int low = hex(decoder->held[2]);

		decoder->held_length = 0;
		if (high >= 0 && low >= 0) {
			out[n++] = (guint8)(high << 4 | low);
		} else if (decoder->held[1] != '\r' || decoder->held[2] != '\n') {
			memcpy(out, decoder->held, 3);
			n = 3;
		}
	}
	return n;
}

static gboolean
qp_next(struct source *self, const guint8 **bytes, gsize *length, GError **error)
{
	struct qp_decoder *decoder = (struct qp_decoder *)self;
	gsize used = 0;

	*bytes = decoder->piece;
	while (used + 4 < PIECE_BYTES) {
		if (decoder->length == 0) {
			if (!source_next(decoder->in, &decoder->bytes, &decoder->length, error))
				return FALSE;
			if (decoder->length == 0)
				break;
		}
		used += qp_take(decoder, *decoder->bytes++, decoder->piece + used);
		decoder->length--;
	}
	*length = used;
	return TRUE;
}

struct leaf *
leaf_open(const struct mime_tree *tree, const struct part *part, enum leaf_decoding decoding)
{
	struct leaf *leaf = g_new0(struct leaf, 1);

	leaf->reader = spool_reader_new(tree->spool, part->body_start, part->end);
	leaf->source = spool_reader_source(leaf->reader);
	if (decoding == LEAF_BASE64 || strcmp(part->encoding, "base64") == 0) {
		base64_decoder_init(&leaf->base64, leaf->source);
		leaf->source = &leaf->base64.source;
	} else if (strcmp(part->encoding, "quoted-printable") == 0) {
		leaf->qp.source.next = qp_next;
		leaf->qp.in = leaf->source;
		leaf->source = &leaf->qp.source;
	}
	return leaf;
}

struct source *
leaf_source(struct leaf *leaf)
{
	return leaf->source;
}

void
leaf_close(struct leaf *leaf)
{
	if (leaf == NULL)
		return;
	spool_reader_free(leaf->reader);
	g_free(leaf);
}

gboolean
leaf_write(const struct mime_tree *tree, const struct part *part, struct sink *to, GError **error)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, part, LEAF_AS_DECLARED);
	const guint8 *bytes;
	gsize length;

	do {
		if (!source_next(leaf->source, &bytes, &length, error))
			return FALSE;
		if (length > 0 && !sink_write(to, bytes, length, error))
			return FALSE;
	} while (length > 0);
	return TRUE;
}
