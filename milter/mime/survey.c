/*
 * survey - sixteen bytes at a time; counting CR, LF and CR LF tells bare ones without a search.
 */
#include "milter/mime/survey.h"

#include <string.h>

#include "milter/mime/scan.h"

#define LANES 16
#define ROUNDS_MAX 255 /* a lane counts in one octet */

typedef guint8 lanes __attribute__((vector_size(LANES)));

struct counts {
	gsize cr, lf, crlf;
	guint8 high;
	gboolean nul;
};

static lanes
load(const guint8 *bytes)
{
	lanes value;

	memcpy(&value, bytes, LANES);
	return value;
}

static gsize
sum(lanes value)
{
	gsize total = 0;

	for (int i = 0; i < LANES; i++)
		total += value[i];
	return total;
}

/* Up to ROUNDS_MAX * LANES bytes; the byte after them must be readable. */
static void
count_lanes(const guint8 *bytes, gsize rounds, struct counts *counts)
{
	lanes cr = { 0 };
	lanes lf = { 0 };
	lanes crlf = { 0 };
	lanes high = { 0 };
	lanes nul = { 0 };

	for (gsize i = 0; i < rounds; i++) {
		lanes here = load(bytes + i * LANES);
		lanes next = load(bytes + i * LANES + 1);
		lanes is_cr = (lanes)(here == '\r');

		cr -= is_cr;
		lf -= (lanes)(here == '\n');
		crlf -= is_cr & (lanes)(next == '\n');
		nul |= (lanes)(here == 0);
		high |= here;
	}
	counts->cr += sum(cr);
	counts->lf += sum(lf);
	counts->crlf += sum(crlf);
	for (int i = 0; i < LANES; i++) {
		counts->high |= high[i];
		counts->nul |= nul[i] != 0;
	}
}

guint
survey_bytes(const guint8 *bytes, gsize length)
{
	struct counts counts = { 0 };
	gsize at = 0;
	guint traits = 0;

	while (length - at > LANES) {
		gsize rounds = MIN((length - at - 1) / LANES, ROUNDS_MAX);

		count_lanes(bytes + at, rounds, &counts);
		at += rounds * LANES;
	}
	for (; at < length; at++) {
		counts.high |= bytes[at];
		counts.nul |= bytes[at] == 0;
		counts.lf += bytes[at] == '\n';
		if (bytes[at] == '\r') {
			counts.cr++;
			counts.crlf += at + 1 < length && bytes[at + 1] == '\n';
		}
	}
	if ((counts.high & 0x80) != 0)
		traits |= TRAIT_8BIT;
	if (counts.nul)
		traits |= TRAIT_NUL;
	if (counts.cr != counts.crlf)
		traits |= TRAIT_BARE_CR;
	if (counts.lf != counts.crlf)
		traits |= TRAIT_BARE_LF;
	return traits;
}
