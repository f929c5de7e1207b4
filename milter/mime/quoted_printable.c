/*
 * quoted_printable - one octet of look-back for blanks and CR at the end of a line.
 */
#include "milter/mime/quoted_printable.h"

#include <string.h>

#define COLUMNS_MAX 75         /* and "=" */
#define REPAIR_COLUMNS_MAX 900 /* lines of others stay as long as they are */
#define LONGEST_STEP 16        /* octets that one input octet can give */

static void
put(struct qp_encoder *encoder, const char *text, guint length)
{
	guint limit = encoder->repair ? REPAIR_COLUMNS_MAX : COLUMNS_MAX;
	guint room = encoder->repair && text[0] == '=' ? 3 : length;

	if (encoder->column + room > limit) {
		memcpy(encoder->buffer + encoder->used, "=\r\n", 3);
		encoder->used += 3;
		encoder->column = 0;
	}
	memcpy(encoder->buffer + encoder->used, text, length);
	encoder->used += length;
	encoder->column += length;
}

static void
put_encoded(struct qp_encoder *encoder, guint8 octet)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[3] = { '=', digits[octet >> 4], digits[octet & 15] };

	put(encoder, text, 3);
}

static void
put_held_blank(struct qp_encoder *encoder, gboolean at_line_end)
{
	char blank = (char)encoder->held_blank;

	if (blank == 0)
		return;
	encoder->held_blank = 0;
	if (at_line_end && !encoder->repair)
		put_encoded(encoder, (guint8)blank);
	else
		put(encoder, &blank, 1);
}

static void
end_line(struct qp_encoder *encoder)
{
	put_held_blank(encoder, TRUE);
	memcpy(encoder->buffer + encoder->used, "\r\n", 2);
	encoder->used += 2;
	encoder->column = 0;
	encoder->held_cr = FALSE;
}

static void
take(struct qp_encoder *encoder, guint8 octet, gboolean encode_anyway)
{
	char literal = (char)octet;

	if (encoder->held_cr) {
		if (octet == '\n') {
			end_line(encoder);
			return;
		}
		encoder->held_cr = FALSE;
		put_held_blank(encoder, FALSE);
		put_encoded(encoder, '\r');
	}
	if (octet == '\r') {
		encoder->held_cr = TRUE;
		return;
	}
	put_held_blank(encoder, FALSE);
	if (octet == ' ' || octet == '\t')
		encoder->held_blank = octet;
	else if (octet > 32 && octet < 127 && (octet != '=' || encoder->repair) && !encode_anyway)
		put(encoder, &literal, 1);
	else
		put_encoded(encoder, octet);
}

static gboolean
flush(struct qp_encoder *encoder, GError **error)
{
	gsize used = encoder->used;

	encoder->used = 0;
	return used == 0 || sink_write(encoder->out, encoder->buffer, used, error);
}

static gboolean
qp_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct qp_encoder *encoder = (struct qp_encoder *)self;
	const guint8 *octets = bytes;

	for (gsize i = 0; i < length; i++) {
		gboolean line_start = encoder->column == 0 && encoder->held_blank == 0;
		gsize rest = MIN(length - i, 5);
		gboolean from = line_start && octets[i] == 'F' && !encoder->repair &&
				memcmp(octets + i, "From ", rest) == 0;

		if (encoder->used > sizeof encoder->buffer - 2 * LONGEST_STEP &&
		    !flush(encoder, error))
			return FALSE;
		take(encoder, octets[i], from);
	}
	return TRUE;
}

void
qp_encoder_init(struct qp_encoder *encoder, struct sink *out, gboolean repair)
{
	memset(encoder, 0, sizeof *encoder);
	encoder->sink.write = qp_write;
	encoder->out = out;
	encoder->repair = repair;
}

gboolean
qp_encoder_finish(struct qp_encoder *encoder, GError **error)
{
	put_held_blank(encoder, !encoder->held_cr);
	if (encoder->held_cr)
		put_encoded(encoder, '\r');
	encoder->held_cr = FALSE;
	return flush(encoder, error);
}
