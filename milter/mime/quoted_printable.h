/*
 * quoted_printable - an encoding sink (RFC 2045 section 6.7).
 *
 * CRLF in the input is a line end; everything else that is not printable is encoded. A line that
 * begins with "From " is encoded too, for mailboxes in mbox format. In repair mode the input is
 * quoted-printable already and only what may not stand in it is changed.
 */
#ifndef MILTER_MIME_QUOTED_PRINTABLE_H
#define MILTER_MIME_QUOTED_PRINTABLE_H

#include "store/base/sink.h"

struct qp_encoder {
	struct sink sink; /* first */
	struct sink *out;
	gboolean repair;
	gboolean held_cr;
	guint8 held_blank; /* 0: none */
	guint column;
	gsize used;
	guint8 buffer[4096];
};

void qp_encoder_init(struct qp_encoder *encoder, struct sink *out, gboolean repair);
gboolean qp_encoder_finish(struct qp_encoder *encoder, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
