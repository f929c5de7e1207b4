/*
 * survey - sixteen bytes at a time. In clean text a byte is a CR exactly where the next one is an
 * LF: one comparison of the two masks finds a bare one of either kind.
 */
#include "milter/mime/survey.h"

#include <string.h>

#include "milter/mime/scan.h"

#define LANES 16

typedef guint8 lanes __attribute__((vector_size(LANES)));

static lanes
load(const guint8 *bytes)
{
	lanes value;

	memcpy(&value, bytes, LANES);
	return value;
}

static gboolean
any(lanes value)
{
	guint64 halves[2];

	memcpy(halves, &value, sizeof halves);
	return (halves[0] | halves[1]) != 0;
}

/* Byte by byte from an offset on: exactly what is there. */
static guint
look_closely(const guint8 *bytes, gsize from, gsize length)
{
	guint traits = 0;

	for (gsize i = from; i < length; i++) {
		guint8 octet = bytes[i];

		if (octet >= 32 && octet < 128)
			continue;
		if (octet >= 128)
			traits |= TRAIT_8BIT;
		else if (octet == 0)
			traits |= TRAIT_NUL;
		else if (octet == '\r' && (i + 1 == length || bytes[i + 1] != '\n'))
			traits |= TRAIT_BARE_CR;
		else if (octet == '\n' && (i == 0 || bytes[i - 1] != '\r'))
			traits |= TRAIT_BARE_LF;
	}
	return traits;
}

guint
survey_bytes(const guint8 *bytes, gsize length)
{
	lanes odd = { 0 };
	lanes high = { 0 };
	gsize at = 0;

	if (length <= 2 * LANES)
		return look_closely(bytes, 0, length);
	for (; length - at > LANES; at += LANES) {
		lanes here = load(bytes + at);
		lanes next = load(bytes + at + 1);

		odd |= (lanes)(here == '\r') ^ (lanes)(next == '\n');
		odd |= (lanes)(here == 0);
		high |= here;
	}
	high &= 0x80;
	if (!any(odd | high) && bytes[0] != '\n')
		return look_closely(bytes, at, length);
	return look_closely(bytes, 0, length);
}

const guint8 *
survey_find_dashes(const guint8 *bytes, const guint8 *end)
{
	const guint8 *at = bytes;

	if (end - bytes >= 2 && bytes[0] == '-' && bytes[1] == '-')
		return bytes;
	while (end - at >= LANES + 2) {
		lanes lf = (lanes)(load(at) == '\n');
		lanes dash = (lanes)(load(at + 1) == '-');
		lanes second = (lanes)(load(at + 2) == '-');

		if (any(lf & dash & second))
			break;
		at += LANES;
	}
	for (; end - at >= 3; at++)
		if (at[0] == '\n' && at[1] == '-' && at[2] == '-')
			return at + 1;
	return NULL;
}
