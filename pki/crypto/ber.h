/*
 * ber - a BER object read as a stream, within limits, container by container.
 *
 * Everything but the content of streamed octet strings counts against head_bytes, so that a
 * hostile object cannot make us take memory. Definite and indefinite lengths mix freely.
 * Errors: INVALID with the place ("DER: element is cut off at byte 17"), or the source's own.
 * Threads: one at a time.
 */
#ifndef PKI_CRYPTO_BER_H
#define PKI_CRYPTO_BER_H

#include <glib.h>

#include "store/base/sink.h"
#include "store/base/source.h"

#define BER_DEPTH_MAX 64

struct ber_head {
	guint8 tag; /* first octet; 0 at the end of the container */
	gboolean indefinite;
	guint64 length;
	guint8 raw[16];
	guint raw_length;
};

struct ber {
	struct source *source;
	const guint8 *piece;
	gsize left;
	guint64 position;
	gsize head_left;
	guint depth_max;
	gboolean peeked;
	struct ber_head head;
	guint depth;
	guint64 ends[BER_DEPTH_MAX]; /* CMS_SIZE_UNKNOWN for indefinite */
};

void ber_init(struct ber *ber, struct source *source, gsize head_bytes, guint depth_max);

/* The next element of the open container, which stays the next one. */
gboolean ber_peek(struct ber *ber, guint8 *tag, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Opens the next element, which must have that tag; ber_leave wants it read to its end. */
gboolean ber_enter(struct ber *ber, guint8 tag, const char *what,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ber_leave(struct ber *ber, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The next element as a whole with definite lengths (tlv_normalise), whatever its tag. */
GBytes *ber_element(struct ber *ber, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same; it must have that tag. */
GBytes *ber_take(struct ber *ber, guint8 tag, const char *what,
		 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The content of an octet string, in one piece or cut, to sink (NULL: nowhere). tag is that of
 * the primitive form: OCTET STRING or an implicit one. size counts up. */
gboolean ber_stream(struct ber *ber, guint8 tag, struct sink *sink, guint64 *size,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Reads over the next element without keeping it; it does not count against head_bytes. */
gboolean ber_skip(struct ber *ber, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* After the outermost element nothing may follow but NUL, CR and LF. */
gboolean ber_finish(struct ber *ber, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
