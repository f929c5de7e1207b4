/*
 * der - the element reader.
 */
#include "pki/crypto/der.h"

gboolean
der_next(struct der *der, struct der_element *element)
{
	const guint8 *p = der->p;
	gsize left = (gsize)(der->end - p);
	gsize length = 0;

	if (left < 2 || (p[0] & 0x1f) == 0x1f)
		return FALSE;
	element->start = p;
	element->tag = p[0];
	guint8 first = p[1];
	p += 2;
	left -= 2;
	if (first < 0x80) {
		length = first;
	} else {
		gsize octets = first & 0x7f;

		if (octets == 0 || octets > 4 || octets > left)
			return FALSE;
		for (gsize i = 0; i < octets; i++)
			length = length << 8 | p[i];
		p += octets;
		left -= octets;
	}
	if (length > left)
		return FALSE;
	element->value = p;
	element->end = p + length;
	der->p = element->end;
	return TRUE;
}

unsigned int
der_peek(const struct der *der)
{
	return der->p < der->end ? *der->p : 0;
}

gboolean
der_take(struct der *der, unsigned int tag, struct der_element *element)
{
	return der_peek(der) == tag && der_next(der, element);
}

static gboolean
two_digits(const guint8 *p, int *value)
{
	if (!g_ascii_isdigit(p[0]) || !g_ascii_isdigit(p[1]))
		return FALSE;
	*value = (p[0] - '0') * 10 + (p[1] - '0');
	return TRUE;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar. */
static gint64
days_of(gint64 year, int month, int day)
{
	gint64 y = month <= 2 ? year - 1 : year;
	gint64 era = (y >= 0 ? y : y - 399) / 400;
	gint64 year_of_era = y - era * 400;
	gint64 day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

gboolean
der_time(const struct der_element *element, gint64 *seconds)
{
	const guint8 *p = element->value;
	gsize length = der_length(element);
	int part[5], century = 0, year = 0;

	if (element->tag == DER_GENERALIZED_TIME && length == 15) {
		if (!two_digits(p, &century))
			return FALSE;
		p += 2;
	} else if (element->tag != DER_UTC_TIME || length != 13) {
		return FALSE;
	}
	if (!two_digits(p, &year) || p[12] != 'Z')
		return FALSE;
	for (int i = 0; i < 5; i++)
		if (!two_digits(p + 2 + i * 2, &part[i]))
			return FALSE;
	if (element->tag == DER_UTC_TIME)
		century = year >= 50 ? 19 : 20;
	if (part[0] < 1 || part[0] > 12 || part[1] < 1 || part[1] > 31 || part[2] > 23 ||
	    part[3] > 59 || part[4] > 60)
		return FALSE;
	*seconds = days_of(century * 100 + year, part[0], part[1]) * 86400 + part[2] * 3600 +
		   part[3] * 60 + part[4];
	return TRUE;
}
