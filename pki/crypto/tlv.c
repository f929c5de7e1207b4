#include "pki/crypto/tlv.h"

#include <string.h>

#define OID_MAX_BYTES 64

/* Header at the start of in: its size, 0 when there is no whole one. */
static gsize
header_read(const struct tlv *in, guint64 *length, gboolean *indefinite)
{
	gsize at = 1;
	guint8 first;

	*indefinite = FALSE;
	if (in->length < 2)
		return 0;
	if ((in->bytes[0] & 0x1f) == 0x1f) {
		while (at < in->length && at < 6 && (in->bytes[at] & 0x80))
			at++;
		at++;
	}
	if (at >= in->length)
		return 0;
	first = in->bytes[at++];
	if (first < 0x80) {
		*length = first;
		return at;
	}
	if (first == 0x80) {
		*indefinite = TRUE;
		*length = 0;
		return in->bytes[0] & TLV_CONSTRUCTED ? at : 0;
	}
	*length = 0;
	if ((first & 0x7f) > 8 || in->length - at < (first & 0x7f))
		return 0;
	for (guint i = 0; i < (first & 0x7f); i++)
		*length = *length << 8 | in->bytes[at++];
	return at;
}

gboolean
tlv_next(struct tlv *in, guint8 *tag, struct tlv *content, struct tlv *whole)
{
	guint64 length;
	gboolean indefinite;
	gsize header = header_read(in, &length, &indefinite);

	if (header == 0 || indefinite || length > in->length - header)
		return FALSE;
	*tag = in->bytes[0];
	content->bytes = in->bytes + header;
	content->length = (gsize)length;
	if (whole != NULL) {
		whole->bytes = in->bytes;
		whole->length = header + (gsize)length;
	}
	in->bytes += header + length;
	in->length -= header + (gsize)length;
	return TRUE;
}

gboolean
tlv_take(struct tlv *in, guint8 tag, struct tlv *content)
{
	guint8 found;

	return tlv_tag(in) == tag && tlv_next(in, &found, content, NULL);
}

gboolean
tlv_take_whole(struct tlv *in, guint8 tag, struct tlv *whole)
{
	guint8 found;
	struct tlv content;

	return tlv_tag(in) == tag && tlv_next(in, &found, &content, whole);
}

guint8
tlv_tag(const struct tlv *in)
{
	return in->length > 0 ? in->bytes[0] : 0;
}

gboolean
tlv_equal(const struct tlv *a, const struct tlv *b)
{
	return tlv_is(a, b->bytes, b->length);
}

gboolean
tlv_is(const struct tlv *a, gconstpointer bytes, gsize length)
{
	return a->length == length && (length == 0 || memcmp(a->bytes, bytes, length) == 0);
}

static guint
header_make(guint8 header[10], guint8 tag, guint64 length)
{
	guint n = 0;

	header[0] = tag;
	if (length < 0x80) {
		header[1] = (guint8)length;
		return 2;
	}
	while (n < 8 && length >> (8 * n) != 0)
		n++;
	header[1] = (guint8)(0x80 | n);
	for (guint i = 0; i < n; i++)
		header[2 + i] = (guint8)(length >> (8 * (n - 1 - i)));
	return 2 + n;
}

guint
tlv_header_size(guint64 content_length)
{
	guint8 header[10];

	return header_make(header, 0, content_length);
}

void
tlv_put_header(GByteArray *out, guint8 tag, guint64 content_length)
{
	guint8 header[10];

	g_byte_array_append(out, header, header_make(header, tag, content_length));
}

void
tlv_put(GByteArray *out, guint8 tag, gconstpointer content, gsize length)
{
	tlv_put_header(out, tag, length);
	tlv_put_raw(out, content, length);
}

void
tlv_put_raw(GByteArray *out, gconstpointer bytes, gsize length)
{
	if (length > 0)
		g_byte_array_append(out, bytes, (guint)length);
}

guint
tlv_open(GByteArray *out)
{
	return out->len;
}

void
tlv_close(GByteArray *out, guint place, guint8 tag)
{
	guint8 header[10];
	guint content = out->len - place;
	guint n = header_make(header, tag, content);

	g_byte_array_set_size(out, out->len + n);
	memmove(out->data + place + n, out->data + place, content);
	memcpy(out->data + place, header, n);
}

static int
element_compare(gconstpointer a, gconstpointer b)
{
	const struct tlv *left = a, *right = b;
	int order = memcmp(left->bytes, right->bytes, MIN(left->length, right->length));

	if (order != 0)
		return order;
	return (left->length > right->length) - (left->length < right->length);
}

void
tlv_close_set_of(GByteArray *out, guint place, guint8 tag)
{
	g_autoptr(GArray) elements = g_array_new(FALSE, FALSE, sizeof(struct tlv));
	g_autoptr(GByteArray) sorted = g_byte_array_new();
	struct tlv in = { out->data + place, out->len - place };
	struct tlv content, whole;
	guint8 found;

	while (tlv_next(&in, &found, &content, &whole))
		g_array_append_val(elements, whole);
	g_array_sort(elements, element_compare);
	for (guint i = 0; i < elements->len; i++) {
		const struct tlv *element = &g_array_index(elements, struct tlv, i);

		tlv_put_raw(sorted, element->bytes, element->length);
	}
	g_byte_array_set_size(out, place);
	tlv_put(out, tag, sorted->data, sorted->len);
}

/* Strings that BER may cut into pieces and DER may not. */
static gboolean
is_cut_string(guint8 tag)
{
	return tag == (TLV_OCTET_STRING | TLV_CONSTRUCTED);
}

static gboolean element_needs_work(struct tlv *in, guint depth_left, gboolean *malformed);

static gboolean
contents_need_work(struct tlv *in, guint depth_left, gboolean *malformed)
{
	while (in->length > 0)
		if (element_needs_work(in, depth_left, malformed))
			return TRUE;
	return FALSE;
}

static gboolean
element_needs_work(struct tlv *in, guint depth_left, gboolean *malformed)
{
	guint64 length;
	gboolean indefinite;
	gsize header = header_read(in, &length, &indefinite);
	struct tlv content;

	if (header == 0 || depth_left == 0 || (!indefinite && length > in->length - header)) {
		*malformed = TRUE;
		return TRUE;
	}
	if (indefinite || is_cut_string(in->bytes[0]))
		return TRUE;
	content = (struct tlv){ in->bytes + header, (gsize)length };
	if (in->bytes[0] & TLV_CONSTRUCTED &&
	    contents_need_work(&content, depth_left - 1, malformed))
		return TRUE;
	in->bytes += header + length;
	in->length -= header + (gsize)length;
	return FALSE;
}

static gboolean is_end(const struct tlv *in);
static gboolean element_copy(struct tlv *in, GByteArray *out, gboolean joining, guint depth_left);

/* Children up to the end of in, or to the end-of-contents octets, which are taken. */
static gboolean
children_copy(struct tlv *in, GByteArray *out, gboolean indefinite, gboolean joining,
	      guint depth_left)
{
	for (;;) {
		if (indefinite && is_end(in)) {
			in->bytes += 2;
			in->length -= 2;
			return TRUE;
		}
		if (in->length == 0)
			return !indefinite;
		if (!element_copy(in, out, joining, depth_left))
			return FALSE;
	}
}

static gboolean
is_end(const struct tlv *in)
{
	return in->length >= 2 && in->bytes[0] == 0 && in->bytes[1] == 0;
}

/* joining: a piece of a cut string, whose content alone is copied. */
static gboolean
element_copy(struct tlv *in, GByteArray *out, gboolean joining, guint depth_left)
{
	guint64 length;
	gboolean indefinite;
	gsize header = header_read(in, &length, &indefinite);
	guint8 tag = tlv_tag(in);
	gboolean cut = is_cut_string(tag);
	guint place = tlv_open(out);
	struct tlv content;

	if (header == 0 || depth_left == 0 || (!indefinite && length > in->length - header))
		return FALSE;
	if (joining && (tag & ~TLV_CONSTRUCTED) != TLV_OCTET_STRING)
		return FALSE;
	if ((tag & 0x1f) == 0x1f && indefinite)
		return FALSE;
	if (!(tag & TLV_CONSTRUCTED)) {
		gsize skip = joining ? header : 0;

		tlv_put_raw(out, in->bytes + skip, header + (gsize)length - skip);
		in->bytes += header + length;
		in->length -= header + (gsize)length;
		return TRUE;
	}
	in->bytes += header;
	in->length -= header;
	if (indefinite) {
		if (!children_copy(in, out, TRUE, cut, depth_left - 1))
			return FALSE;
	} else {
		content = (struct tlv){ in->bytes, (gsize)length };
		in->bytes += length;
		in->length -= (gsize)length;
		if ((tag & 0x1f) == 0x1f) {
			tlv_put_raw(out, content.bytes - header, header + content.length);
			return TRUE;
		}
		if (!children_copy(&content, out, FALSE, cut, depth_left - 1))
			return FALSE;
	}
	if (!joining)
		tlv_close(out, place, cut ? TLV_OCTET_STRING : tag);
	return TRUE;
}

GBytes *
tlv_normalise(GBytes *ber, guint depth_max)
{
	struct tlv in = tlv_of_bytes(ber);
	struct tlv copy = in;
	gboolean malformed = FALSE;
	g_autoptr(GByteArray) out = NULL;

	if (!element_needs_work(&copy, depth_max, &malformed))
		return g_bytes_ref(ber);
	if (malformed)
		return NULL;
	out = g_byte_array_sized_new((guint)MIN(in.length, G_MAXINT));
	if (!element_copy(&in, out, FALSE, depth_max))
		return NULL;
	return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}

static char *
put_number(char *p, guint64 number)
{
	char digits[20];
	gsize n = 0;

	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

char *
tlv_oid_text(const struct tlv *oid_content)
{
	/* Of seven bits come at most three digits and a dot; the first number is two. */
	char text[OID_MAX_BYTES * 4 + 4], *p = text;
	guint64 arc = 0;

	if (oid_content->length == 0 || oid_content->length > OID_MAX_BYTES ||
	    oid_content->bytes[oid_content->length - 1] & 0x80)
		return NULL;
	for (gsize i = 0; i < oid_content->length; i++) {
		if (arc >> 56 != 0)
			return NULL;
		arc = arc << 7 | (oid_content->bytes[i] & 0x7f);
		if (oid_content->bytes[i] & 0x80)
			continue;
		if (p == text) {
			guint64 top = MIN(arc / 40, 2);

			p = put_number(p, top);
			arc -= top * 40;
		}
		*p++ = '.';
		p = put_number(p, arc);
		arc = 0;
	}
	return g_strndup(text, (gsize)(p - text));
}
