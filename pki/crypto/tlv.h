/*
 * tlv - writing DER into a byte array, and reading it from memory in slices.
 *
 * The reader never allocates and never looks beyond its slice; a tag is its first octet (tag
 * numbers above 30 keep 0x1f in the low bits and cannot be told apart). Lengths are definite;
 * tlv_normalise makes them so. Threads: any.
 */
#ifndef PKI_CRYPTO_TLV_H
#define PKI_CRYPTO_TLV_H

#include <glib.h>

#define TLV_BOOLEAN 0x01
#define TLV_INTEGER 0x02
#define TLV_BIT_STRING 0x03
#define TLV_OCTET_STRING 0x04
#define TLV_NULL 0x05
#define TLV_OID 0x06
#define TLV_UTC_TIME 0x17
#define TLV_GENERALIZED_TIME 0x18
#define TLV_SEQUENCE 0x30
#define TLV_SET 0x31
#define TLV_CONSTRUCTED 0x20
#define TLV_CONTEXT(n) (0x80 | (n)) /* primitive, IMPLICIT */
#define TLV_CONTEXT_CONSTRUCTED(n) (0xa0 | (n))

struct tlv {
	const guint8 *bytes;
	gsize length;
};

#define TLV_INIT(array)                                                                            \
	{                                                                                          \
		(array), sizeof(array)                                                             \
	}

static inline struct tlv
tlv_of_bytes(GBytes *bytes)
{
	struct tlv all;

	all.bytes = g_bytes_get_data(bytes, &all.length);
	return all;
}

/* Takes the next element off `in`; FALSE when there is none that is whole. whole may be NULL. */
gboolean tlv_next(struct tlv *in, guint8 *tag, struct tlv *content, struct tlv *whole);
/* The same when it has that tag; else FALSE and `in` stays. */
gboolean tlv_take(struct tlv *in, guint8 tag, struct tlv *content);
gboolean tlv_take_whole(struct tlv *in, guint8 tag, struct tlv *whole);
guint8 tlv_tag(const struct tlv *in); /* of the next element, 0 at the end */
gboolean tlv_equal(const struct tlv *a, const struct tlv *b);
gboolean tlv_is(const struct tlv *a, gconstpointer bytes, gsize length);

/* Writing. */
guint tlv_header_size(guint64 content_length);
void tlv_put_header(GByteArray *out, guint8 tag, guint64 content_length);
void tlv_put(GByteArray *out, guint8 tag, gconstpointer content, gsize length);
void tlv_put_raw(GByteArray *out, gconstpointer bytes, gsize length);
guint tlv_open(GByteArray *out);                          /* a place for a header … */
void tlv_close(GByteArray *out, guint place, guint8 tag); /* … which covers what came since */
/* SET OF: sorts the elements that stand since place (X.690 section 11.6) and closes it. */
void tlv_close_set_of(GByteArray *out, guint place, guint8 tag);

/* One BER element in memory as definite-length encoding: indefinite lengths are filled in and
 * constructed strings joined, everything else is left as it is. Returns NULL when malformed or
 * deeper than depth_max; the same bytes when nothing was to do. */
GBytes *tlv_normalise(GBytes *ber, guint depth_max) G_GNUC_WARN_UNUSED_RESULT;

/* "2.16.840.1.101.3.4.2.1"; NULL when malformed. Owned by the caller. */
char *tlv_oid_text(const struct tlv *oid_content);

#endif
