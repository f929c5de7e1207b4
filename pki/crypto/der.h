/*
 * der - reads DER (X.690) element by element, without OpenSSL and without copying.
 *
 * For what must be seen before a parser may spend memory on it: what a file is, where its
 * objects begin, the entries of a CRL. Definite lengths only; a length that passes the end
 * ends the reading. Threads: any; a struct der is a view into the caller's bytes.
 */
#ifndef PKI_CRYPTO_DER_H
#define PKI_CRYPTO_DER_H

#include <glib.h>

enum der_tag {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0a,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT_0 = 0xa0,
	DER_CONTEXT_1 = 0xa1,
};

struct der {
	const guint8 *p;
	const guint8 *end;
};

struct der_element {
	unsigned int tag;    /* the identifier octet; high tag numbers are not read */
	const guint8 *start; /* of the header */
	const guint8 *value;
	const guint8 *end;
};

static inline struct der
der_of(gconstpointer bytes, gsize length)
{
	/* An empty GBytes has no address to add to. */
	struct der der = { bytes, bytes != NULL ? (const guint8 *)bytes + length : NULL };
	return der;
}

static inline struct der
der_inside(const struct der_element *element)
{
	struct der der = { element->value, element->end };
	return der;
}

static inline gsize
der_length(const struct der_element *element)
{
	return (gsize)(element->end - element->value);
}

/* Takes the next element off; FALSE at the end and where it is no DER. */
gboolean der_next(struct der *der, struct der_element *element);
/* Takes the next element off if it has this tag; else leaves it there. */
gboolean der_take(struct der *der, unsigned int tag, struct der_element *element);
unsigned int der_peek(const struct der *der); /* 0 at the end */
/* UTCTime or GeneralizedTime in the forms of RFC 5280 section 4.1.2.5; FALSE otherwise. */
gboolean der_time(const struct der_element *element, gint64 *seconds);

#endif
