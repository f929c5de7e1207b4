#include "pki/crypto/ber.h"

#include "pki/crypto/tlv.h"
#include "store/base/error.h"

#define UNKNOWN G_MAXUINT64

static gboolean
fail_at(const struct ber *ber, GError **error, const char *what)
{
	return fail_false(error, PS_ERROR_INVALID, "%s at byte %" G_GUINT64_FORMAT, what,
			  ber->position);
}

void
ber_init(struct ber *ber, struct source *source, gsize head_bytes, guint depth_max)
{
	*ber = (struct ber){ .source = source,
			     .head_left = head_bytes,
			     .depth_max = MIN(depth_max, BER_DEPTH_MAX) };
}

/* At least one byte in piece; FALSE without *error at the end of the source. */
static gboolean
piece_fill(struct ber *ber, GError **error)
{
	return ber->left > 0 ||
	       (source_next(ber->source, &ber->piece, &ber->left, error) && ber->left > 0);
}

static gboolean
piece_need(struct ber *ber, GError **error)
{
	GError *why = NULL;

	if (piece_fill(ber, &why))
		return TRUE;
	if (why == NULL)
		return fail_at(ber, error, "object is cut off");
	g_propagate_error(error, why);
	return FALSE;
}

static gboolean
head_spend(struct ber *ber, guint64 n, GError **error)
{
	if (n > ber->head_left)
		return fail_at(ber, error, "more than the limit of bytes around the content");
	ber->head_left -= (gsize)n;
	return TRUE;
}

static gboolean
head_byte(struct ber *ber, GError **error)
{
	struct ber_head *head = &ber->head;

	if (head->raw_length == sizeof head->raw)
		return fail_at(ber, error, "header too long");
	if (!piece_need(ber, error))
		return FALSE;
	head->raw[head->raw_length++] = *ber->piece++;
	ber->left--;
	ber->position++;
	return TRUE;
}

static gboolean
head_length(struct ber *ber, GError **error)
{
	struct ber_head *head = &ber->head;
	guint8 first;

	if (!head_byte(ber, error))
		return FALSE;
	first = head->raw[head->raw_length - 1];
	head->indefinite = first == 0x80;
	head->length = first < 0x80 ? first : 0;
	if (first <= 0x80)
		return TRUE;
	if ((first & 0x7f) > 8)
		return fail_at(ber, error, "length of an element too long");
	for (guint i = 0; i < (first & 0x7f); i++) {
		if (!head_byte(ber, error))
			return FALSE;
		head->length = head->length << 8 | head->raw[head->raw_length - 1];
	}
	return TRUE;
}

static guint64
container_end(const struct ber *ber)
{
	return ber->depth > 0 ? ber->ends[ber->depth - 1] : UNKNOWN;
}

/* The nearest definite end around us bounds what is inside of indefinite ones too. */
static gboolean
fits(const struct ber *ber, guint64 length)
{
	for (guint i = ber->depth; i-- > 0;)
		if (ber->ends[i] != UNKNOWN)
			return ber->position <= ber->ends[i] &&
			       length <= ber->ends[i] - ber->position;
	return TRUE;
}

static gboolean
head_read(struct ber *ber, GError **error)
{
	struct ber_head *head = &ber->head;

	*head = (struct ber_head){ 0 };
	if (container_end(ber) == ber->position)
		return TRUE;
	if (!head_byte(ber, error))
		return FALSE;
	if ((head->raw[0] & 0x1f) == 0x1f) {
		do {
			if (!head_byte(ber, error))
				return FALSE;
		} while (head->raw[head->raw_length - 1] & 0x80 && head->raw_length < 7);
	}
	if (!head_length(ber, error))
		return FALSE;
	head->tag = head->raw[0];
	if (head->tag == 0) {
		if (head->length != 0 || head->indefinite || ber->depth == 0 ||
		    container_end(ber) != UNKNOWN)
			return fail_at(ber, error, "unexpected end-of-contents");
		return TRUE;
	}
	if (head->indefinite && !(head->tag & TLV_CONSTRUCTED))
		return fail_at(ber, error, "primitive element of indefinite length");
	if (!fits(ber, head->length))
		return fail_at(ber, error, "element longer than what holds it");
	return TRUE;
}

gboolean
ber_peek(struct ber *ber, guint8 *tag, GError **error)
{
	if (!ber->peeked) {
		if (!head_read(ber, error))
			return FALSE;
		ber->peeked = TRUE;
	}
	*tag = ber->head.tag;
	return TRUE;
}

static gboolean
fail_tag(struct ber *ber, const char *what, guint8 tag, GError **error)
{
	if (tag == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s is missing at byte %" G_GUINT64_FORMAT, what, ber->position);
	return fail_false(error, PS_ERROR_INVALID,
			  "tag %02x where %s belongs, at byte %" G_GUINT64_FORMAT, tag, what,
			  ber->position);
}

static gboolean
container_open(struct ber *ber, GError **error)
{
	if (ber->depth >= ber->depth_max)
		return fail_at(ber, error, "nested too deeply");
	if (!head_spend(ber, ber->head.raw_length, error))
		return FALSE;
	ber->peeked = FALSE;
	ber->ends[ber->depth++] = ber->head.indefinite ? UNKNOWN : ber->position + ber->head.length;
	return TRUE;
}

gboolean
ber_enter(struct ber *ber, guint8 tag, const char *what, GError **error)
{
	guint8 found;

	if (!ber_peek(ber, &found, error))
		return FALSE;
	if (found != tag)
		return fail_tag(ber, what, found, error);
	return container_open(ber, error);
}

gboolean
ber_leave(struct ber *ber, GError **error)
{
	guint8 tag;

	if (!ber_peek(ber, &tag, error))
		return FALSE;
	if (tag != 0)
		return fail_at(ber, error, "unexpected element");
	ber->peeked = FALSE;
	ber->depth--;
	return TRUE;
}

/* length bytes of content, in pieces, to sink or array or nowhere. */
static gboolean
content_read(struct ber *ber, guint64 length, struct sink *sink, GByteArray *array, GError **error)
{
	while (length > 0) {
		gsize n;

		if (!piece_need(ber, error))
			return FALSE;
		n = (gsize)MIN(length, ber->left);
		if (array != NULL)
			g_byte_array_append(array, ber->piece, (guint)n);
		if (sink != NULL && !sink_write(sink, ber->piece, n, error))
			return FALSE;
		ber->piece += n;
		ber->left -= n;
		ber->position += n;
		length -= n;
	}
	return TRUE;
}

/* The peeked element, raw, into array (NULL: nowhere). */
static gboolean
element_read(struct ber *ber, GByteArray *array, GError **error)
{
	guint base = ber->depth;
	guint8 tag;

	do {
		if (!ber_peek(ber, &tag, error))
			return FALSE;
		if (array != NULL && !head_spend(ber, ber->head.raw_length, error))
			return FALSE;
		if (array != NULL)
			g_byte_array_append(array, ber->head.raw, ber->head.raw_length);
		ber->peeked = FALSE;
		if (tag == 0) {
			ber->depth--;
			continue;
		}
		if (ber->head.indefinite) {
			if (ber->depth >= ber->depth_max)
				return fail_at(ber, error, "nested too deeply");
			ber->ends[ber->depth++] = UNKNOWN;
			continue;
		}
		if (array != NULL && !head_spend(ber, ber->head.length, error))
			return FALSE;
		if (!content_read(ber, ber->head.length, NULL, array, error))
			return FALSE;
	} while (ber->depth > base);
	return TRUE;
}

GBytes *
ber_element(struct ber *ber, GError **error)
{
	g_autoptr(GByteArray) raw = g_byte_array_new();
	g_autoptr(GBytes) bytes = NULL;
	GBytes *normal;
	guint8 tag;

	if (!ber_peek(ber, &tag, error))
		return NULL;
	if (tag == 0)
		return fail_tag(ber, "an element", tag, error), NULL;
	if (!element_read(ber, raw, error))
		return NULL;
	bytes = g_byte_array_free_to_bytes(g_steal_pointer(&raw));
	normal = tlv_normalise(bytes, ber->depth_max - MIN(ber->depth, ber->depth_max));
	if (normal == NULL)
		fail_at(ber, error, "malformed element before the place");
	return normal;
}

GBytes *
ber_take(struct ber *ber, guint8 tag, const char *what, GError **error)
{
	guint8 found;

	if (!ber_peek(ber, &found, error))
		return NULL;
	if (found != tag)
		return fail_tag(ber, what, found, error), NULL;
	return ber_element(ber, error);
}

gboolean
ber_skip(struct ber *ber, GError **error)
{
	guint8 tag;

	if (!ber_peek(ber, &tag, error))
		return FALSE;
	if (tag == 0)
		return fail_tag(ber, "an element", tag, error);
	return element_read(ber, NULL, error);
}

/* Pieces of a cut octet string until the container that was opened at `base` is at its end. */
static gboolean
pieces_stream(struct ber *ber, guint base, struct sink *sink, guint64 *size, GError **error)
{
	while (ber->depth > base) {
		guint8 tag;

		if (!ber_peek(ber, &tag, error))
			return FALSE;
		ber->peeked = FALSE;
		if (tag == 0) {
			ber->depth--;
		} else if (tag == (TLV_OCTET_STRING | TLV_CONSTRUCTED)) {
			if (!container_open(ber, error))
				return FALSE;
		} else if (tag == TLV_OCTET_STRING) {
			*size += ber->head.length;
			if (!content_read(ber, ber->head.length, sink, NULL, error))
				return FALSE;
		} else {
			return fail_tag(ber, "a piece of the content", tag, error);
		}
	}
	return TRUE;
}

gboolean
ber_stream(struct ber *ber, guint8 tag, struct sink *sink, guint64 *size, GError **error)
{
	guint base = ber->depth;
	guint8 found;

	if (!ber_peek(ber, &found, error))
		return FALSE;
	if (found == (tag | TLV_CONSTRUCTED)) {
		if (!container_open(ber, error))
			return FALSE;
		return pieces_stream(ber, base, sink, size, error);
	}
	if (found != tag)
		return fail_tag(ber, "the content", found, error);
	ber->peeked = FALSE;
	*size += ber->head.length;
	return content_read(ber, ber->head.length, sink, NULL, error);
}

gboolean
ber_finish(struct ber *ber, GError **error)
{
	GError *why = NULL;

	while (piece_fill(ber, &why)) {
		for (; ber->left > 0; ber->piece++, ber->left--, ber->position++)
			if (*ber->piece != 0 && *ber->piece != '\r' && *ber->piece != '\n')
				return fail_at(ber, error, "bytes follow the object");
	}
	if (why == NULL)
		return TRUE;
	g_propagate_error(error, why);
	return FALSE;
}
