/*
 * cert_fields - RFC 5280 section 4.1 from top to bottom; the first thing out of the ordinary ends
 * it.
 */
#include "pki/crypto/cert_fields.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/cert_scan_internal.h"
#include "pki/crypto/der.h"

#define OID_IS(oid, text) tlv_is(oid, text, sizeof(text) - 1)

#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define OID_EC "\x2a\x86\x48\xce\x3d\x02\x01"
#define OID_SMTP_UTF8_MAILBOX "\x2b\x06\x01\x05\x05\x07\x08\x09"
#define OID_EMAIL_PROTECTION "\x2b\x06\x01\x05\x05\x07\x03\x04"
#define OID_ANY_USAGE "\x55\x1d\x25\x00"

static const struct {
	const char *oid;
	gsize oid_length; /* there are zeros in it */
	int nid;
	unsigned int bits;
	gsize point_length;
	const char *name;
} curves[] = {
	{ "\x2a\x86\x48\xce\x3d\x03\x01\x07", 8, NID_X9_62_prime256v1, 256, 65, "prime256v1" },
	{ "\x2b\x81\x04\x00\x22", 5, NID_secp384r1, 384, 97, "secp384r1" },
	{ "\x2b\x81\x04\x00\x23", 5, NID_secp521r1, 521, 133, "secp521r1" },
};

/* Made once: a group takes longer to make than a certificate to read. Only read afterwards. */
static const EC_GROUP *
group_of(gsize curve)
{
	static EC_GROUP *groups[G_N_ELEMENTS(curves)];
	static gsize ready;

	if (g_once_init_enter(&ready)) {
		for (gsize i = 0; i < G_N_ELEMENTS(curves); i++)
			groups[i] = EC_GROUP_new_by_curve_name(curves[i].nid);
		g_once_init_leave(&ready, 1);
	}
	return groups[curve];
}

/* --- elements --- */

/* Positive or zero, in as few octets as it takes. */
static gboolean
is_natural(const struct tlv *integer)
{
	return integer->length > 0 && integer->bytes[0] < 0x80 &&
	       (integer->length == 1 || integer->bytes[0] != 0 || integer->bytes[1] >= 0x80);
}

static gboolean
take_natural(struct tlv *in, struct tlv *integer)
{
	return scan_take(in, TLV_INTEGER, integer) && is_natural(integer);
}

/* A BIT STRING of whole octets, without its first. */
static gboolean
take_octets(struct tlv *in, struct tlv *octets)
{
	if (!scan_take(in, TLV_BIT_STRING, octets) || octets->length < 2 || octets->bytes[0] != 0)
		return FALSE;
	octets->bytes++;
	octets->length--;
	return TRUE;
}

static guint
natural_bits(const struct tlv *integer)
{
	gsize at = integer->bytes[0] == 0 && integer->length > 1 ? 1 : 0;
	guint bits = (guint)(integer->length - at - 1) * 8;

	return bits + g_bit_storage(integer->bytes[at]);
}

/* AlgorithmIdentifier with parameters absent or NULL. */
static gboolean
take_algorithm(struct tlv *in, struct tlv *oid, struct tlv *whole)
{
	struct tlv algorithm, null;
	const guint8 *start = in->bytes;

	if (!scan_take(in, TLV_SEQUENCE, &algorithm) || !scan_take(&algorithm, TLV_OID, oid) ||
	    !scan_is_oid(oid))
		return FALSE;
	whole->bytes = start;
	whole->length = (gsize)(in->bytes - start);
	if (algorithm.length > 0 && (!scan_take(&algorithm, TLV_NULL, &null) || null.length > 0))
		return FALSE;
	return algorithm.length == 0;
}

static gboolean
take_time(struct tlv *in, gint64 *seconds)
{
	static const guint8 days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct tlv whole;
	struct der_element element;

	if (!scan_take_whole(in, tlv_tag(in), &whole))
		return FALSE;
	struct der der = der_of(whole.bytes, whole.length);
	if (!der_next(&der, &element) || !der_time(&element, seconds))
		return FALSE;
	/* der_time has seen that they are digits. The 29th of February is left to OpenSSL. */
	const guint8 *date = element.value + (element.tag == DER_GENERALIZED_TIME ? 4 : 2);
	guint month = (guint)(date[0] - '0') * 10 + (guint)(date[1] - '0');
	guint day = (guint)(date[2] - '0') * 10 + (guint)(date[3] - '0');
	guint second = (guint)(date[8] - '0') * 10 + (guint)(date[9] - '0');
	return day <= days[month - 1] && second < 60;
}

/* --- addresses --- */

/* otherName with a text in it; of another kind than a mailbox text is empty. */
static gboolean
read_other_name(struct tlv name, struct tlv *text)
{
	struct tlv oid, wrapper, value;
	guint8 tag;

	text->length = 0;
	if (!scan_take(&name, TLV_OID, &oid) || !scan_is_oid(&oid) ||
	    !scan_take(&name, TLV_CONTEXT_CONSTRUCTED(0), &wrapper) || name.length > 0)
		return FALSE;
	tag = tlv_tag(&wrapper);
	if ((tag != 0x0c && tag != 0x13 && tag != 0x16) || !scan_take(&wrapper, tag, &value) ||
	    wrapper.length > 0)
		return FALSE;
	if (OID_IS(&oid, OID_SMTP_UTF8_MAILBOX) && tag == 0x0c)
		*text = value;
	return TRUE;
}

/* The next of GeneralNames; text: its address, or empty. FALSE: not of the usual forms. */
static gboolean
next_name(struct tlv *names, struct tlv *text)
{
	guint8 tag = tlv_tag(names);
	struct tlv name;

	text->bytes = NULL;
	text->length = 0;
	if (!scan_take(names, tag, &name))
		return FALSE;
	switch (tag) {
	case TLV_CONTEXT(1):
		*text = name;
		return TRUE;
	case TLV_CONTEXT(2):
	case TLV_CONTEXT(6):
		return TRUE;
	case TLV_CONTEXT_CONSTRUCTED(0):
		return read_other_name(name, text);
	default:
		return FALSE;
	}
}

gboolean
cert_fields_addresses(const struct cert_fields *fields, cert_fields_address_func add, gpointer data)
{
	struct tlv names = fields->alternative_names, text;

	while (names.length > 0)
		if (!next_name(&names, &text) || (text.length > 0 && !add(data, &text)))
			return FALSE;
	return TRUE;
}

/* --- extensions: each gets the content of its OCTET STRING --- */

static gboolean
read_alternative_names(struct cert_fields *fields, struct tlv in)
{
	struct tlv names, text;

	if (!scan_take(&in, TLV_SEQUENCE, &names) || in.length > 0 || names.length == 0)
		return FALSE;
	fields->alternative_names = names;
	/* A text with a NUL inside is how one name is made to look like another: for OpenSSL's way
	 * to refuse. */
	while (names.length > 0)
		if (!next_name(&names, &text) ||
		    (text.length > 0 && memchr(text.bytes, 0, text.length) != NULL))
			return FALSE;
	return TRUE;
}

static gboolean
read_basic_constraints(struct cert_fields *fields, struct tlv in)
{
	struct tlv all, part;

	if (!scan_take(&in, TLV_SEQUENCE, &all) || in.length > 0)
		return FALSE;
	fields->has_basic_constraints = TRUE;
	if (tlv_tag(&all) == TLV_BOOLEAN) {
		if (!scan_take(&all, TLV_BOOLEAN, &part) || part.length != 1 ||
		    (part.bytes[0] != 0 && part.bytes[0] != 0xff))
			return FALSE;
		fields->is_ca = part.bytes[0] != 0;
	}
	if (all.length > 0) {
		if (!take_natural(&all, &part) || part.length > 2)
			return FALSE;
		/* Of who is no CA nobody asks. */
		if (fields->is_ca)
			fields->path_length =
			    part.length == 1 ? part.bytes[0] : part.bytes[0] << 8 | part.bytes[1];
	}
	return all.length == 0;
}

static gboolean
read_key_usage(struct cert_fields *fields, struct tlv in)
{
	struct tlv bits;

	if (!scan_take(&in, TLV_BIT_STRING, &bits) || in.length > 0 || bits.length < 2 ||
	    bits.length > 3 || bits.bytes[0] > 7)
		return FALSE;
	/* Without any bit it is invalid; one in the unused part is none. */
	guint8 last = (guint8)(bits.bytes[bits.length - 1] & (0xff << bits.bytes[0]));
	fields->key_usage = bits.length == 2 ? last : bits.bytes[1] | (unsigned int)last << 8;
	fields->key_usage &= KEY_USAGE_ALL;
	return last != 0;
}

static gboolean
read_extended_usage(struct cert_fields *fields, struct tlv in)
{
	struct tlv all, oid;

	if (!scan_take(&in, TLV_SEQUENCE, &all) || in.length > 0 || all.length == 0)
		return FALSE;
	fields->email_purpose = FALSE;
	while (all.length > 0) {
		if (!scan_take(&all, TLV_OID, &oid) || !scan_is_oid(&oid))
			return FALSE;
		fields->email_purpose |=
		    OID_IS(&oid, OID_EMAIL_PROTECTION) || OID_IS(&oid, OID_ANY_USAGE);
	}
	return TRUE;
}

static gboolean
read_subject_key_id(struct cert_fields *fields, struct tlv in)
{
	return scan_take(&in, TLV_OCTET_STRING, &fields->subject_key_id) && in.length == 0 &&
	       fields->subject_key_id.length > 0;
}

static gboolean
read_authority_key_id(struct cert_fields *fields, struct tlv in)
{
	struct tlv all;

	return scan_take(&in, TLV_SEQUENCE, &all) && in.length == 0 &&
	       scan_take(&all, TLV_CONTEXT(0), &fields->authority_key_id) && all.length == 0 &&
	       fields->authority_key_id.length > 0;
}

/* Points that name URLs and nothing else. */
static gboolean
read_distribution_points(struct cert_fields *fields, struct tlv in)
{
	struct tlv all, point, name, full, url;

	(void)fields;
	if (!scan_take(&in, TLV_SEQUENCE, &all) || in.length > 0 || all.length == 0)
		return FALSE;
	while (all.length > 0) {
		if (!scan_take(&all, TLV_SEQUENCE, &point) ||
		    !scan_take(&point, TLV_CONTEXT_CONSTRUCTED(0), &name) || point.length > 0 ||
		    !scan_take(&name, TLV_CONTEXT_CONSTRUCTED(0), &full) || name.length > 0 ||
		    full.length == 0)
			return FALSE;
		while (full.length > 0)
			if (!scan_take(&full, TLV_CONTEXT(6), &url))
				return FALSE;
	}
	return TRUE;
}

/* NULL: OpenSSL looks into it, and we do not. */
static const struct {
	const char *oid;
	gboolean (*read)(struct cert_fields *fields, struct tlv in);
} known[] = {
	{ "\x55\x1d\x11", read_alternative_names },
	{ "\x55\x1d\x13", read_basic_constraints },
	{ "\x55\x1d\x0f", read_key_usage },
	{ "\x55\x1d\x25", read_extended_usage },
	{ "\x55\x1d\x0e", read_subject_key_id },
	{ "\x55\x1d\x23", read_authority_key_id },
	{ "\x55\x1d\x1f", read_distribution_points },
	{ "\x55\x1d\x1e", NULL },                         /* constraints */
	{ "\x2b\x06\x01\x05\x05\x07\x01\x07", NULL },     /* addresses */
	{ "\x2b\x06\x01\x05\x05\x07\x01\x08", NULL },     /* AS numbers */
	{ "\x2b\x06\x01\x05\x05\x07\x01\x0e", NULL },     /* proxy */
	{ "\x60\x86\x48\x01\x86\xf8\x42\x01\x01", NULL }, /* nsCertType */
};

static gboolean
read_extension(struct cert_fields *fields, struct tlv in)
{
	struct tlv oid, critical, value;

	if (!scan_take(&in, TLV_OID, &oid) || !scan_is_oid(&oid))
		return FALSE;
	if (tlv_tag(&in) == TLV_BOOLEAN &&
	    (!scan_take(&in, TLV_BOOLEAN, &critical) || critical.length != 1 ||
	     (critical.bytes[0] != 0xff && critical.bytes[0] != 0)))
		return FALSE;
	if (!scan_take(&in, TLV_OCTET_STRING, &value) || in.length > 0)
		return FALSE;
	for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
		if (!tlv_is(&oid, known[i].oid, strlen(known[i].oid)))
			continue;
		if (known[i].read == NULL || (fields->known & 1U << i) != 0)
			return FALSE;
		fields->known |= 1U << i;
		return known[i].read(fields, value);
	}
	return TRUE;
}

static gboolean
read_extensions(struct cert_fields *fields, struct tlv in)
{
	struct tlv all, one;

	if (!scan_take(&in, TLV_SEQUENCE, &all) || in.length > 0 || all.length == 0)
		return FALSE;
	for (guint count = 0; all.length > 0; count++)
		if (count >= CERT_EXTENSIONS_MAX || !scan_take(&all, TLV_SEQUENCE, &one) ||
		    !read_extension(fields, one))
			return FALSE;
	return TRUE;
}

/* --- the key --- */

static gboolean
read_rsa(struct cert_fields *fields, struct tlv parameters, struct tlv key)
{
	struct tlv null, both, modulus, exponent;

	if (!scan_take(&parameters, TLV_NULL, &null) || null.length > 0 || parameters.length > 0 ||
	    !scan_take(&key, TLV_SEQUENCE, &both) || key.length > 0 ||
	    !take_natural(&both, &modulus) || !take_natural(&both, &exponent) || both.length > 0)
		return FALSE;
	guint bits = natural_bits(&modulus);
	if (bits < 512 || bits > 16384 || (modulus.bytes[modulus.length - 1] & 1) == 0 ||
	    exponent.length > 8 || (exponent.bytes[exponent.length - 1] & 1) == 0 ||
	    natural_bits(&exponent) < 2)
		return FALSE;
	fields->modulus = modulus;
	fields->exponent = exponent;
	fields->key_kind = KEY_KIND_RSA;
	fields->key_bits = bits;
	return TRUE;
}

static gboolean
is_on_curve(gsize curve, const struct tlv *octets)
{
	const EC_GROUP *group = group_of(curve);
	EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
	gboolean good = point != NULL &&
			EC_POINT_oct2point(group, point, octets->bytes, octets->length, NULL) == 1;

	EC_POINT_free(point);
	if (!good)
		ERR_clear_error();
	return good;
}

/* A point that is not on its curve is a key that cannot be read: that is for OpenSSL to say. */
static gboolean
read_ec(struct cert_fields *fields, struct tlv parameters, struct tlv key)
{
	struct tlv curve;

	if (!scan_take(&parameters, TLV_OID, &curve) || parameters.length > 0)
		return FALSE;
	for (gsize i = 0; i < G_N_ELEMENTS(curves); i++) {
		if (!tlv_is(&curve, curves[i].oid, curves[i].oid_length) ||
		    key.length != curves[i].point_length ||
		    key.bytes[0] != POINT_CONVERSION_UNCOMPRESSED)
			continue;
		fields->point = key;
		fields->curve = curves[i].name;
		fields->key_kind = KEY_KIND_EC;
		fields->key_bits = curves[i].bits;
		return is_on_curve(i, &key);
	}
	return FALSE;
}

static gboolean
read_key(struct cert_fields *fields)
{
	struct tlv in = fields->spki, spki, algorithm, oid, key;

	if (!scan_take(&in, TLV_SEQUENCE, &spki) || !scan_take(&spki, TLV_SEQUENCE, &algorithm) ||
	    !scan_take(&algorithm, TLV_OID, &oid) || !take_octets(&spki, &key) || spki.length > 0)
		return FALSE;
	if (OID_IS(&oid, OID_RSA))
		return read_rsa(fields, algorithm, key);
	if (OID_IS(&oid, OID_EC))
		return read_ec(fields, algorithm, key);
	return FALSE;
}

/* --- the whole --- */

static gboolean
read_signed_part(struct cert_fields *fields, struct tlv in, const struct tlv *algorithm)
{
	struct tlv wrapper, version, inner, oid, validity, extensions, list;

	if (!scan_take(&in, TLV_CONTEXT_CONSTRUCTED(0), &wrapper) ||
	    !take_natural(&wrapper, &version) || wrapper.length > 0 || !tlv_is(&version, "\2", 1) ||
	    !take_natural(&in, &fields->serial) || !take_algorithm(&in, &oid, &inner) ||
	    !tlv_equal(&inner, algorithm) || !scan_take_whole(&in, TLV_SEQUENCE, &fields->issuer) ||
	    !scan_take(&in, TLV_SEQUENCE, &validity) ||
	    !take_time(&validity, &fields->not_before) ||
	    !take_time(&validity, &fields->not_after) || validity.length > 0 ||
	    !scan_take_whole(&in, TLV_SEQUENCE, &fields->subject) ||
	    !scan_take_whole(&in, TLV_SEQUENCE, &fields->spki) ||
	    !scan_take(&in, TLV_CONTEXT_CONSTRUCTED(3), &extensions) || in.length > 0)
		return FALSE;
	list = extensions;
	return scan_take_whole(&list, TLV_SEQUENCE, &fields->extensions) && list.length == 0 &&
	       read_extensions(fields, extensions) && read_key(fields);
}

gboolean
cert_fields_read(struct cert_fields *fields, struct tlv der)
{
	struct tlv all, signed_part, algorithm, in;

	*fields = (struct cert_fields){
		.path_length = -1,
		.key_usage = KEY_USAGE_ALL | KEY_USAGE_ABSENT,
		.email_purpose = TRUE,
	};
	if (der.length > CERT_SIZE_MAX_BYTES || !scan_take(&der, TLV_SEQUENCE, &all) ||
	    der.length > 0 || !scan_take_whole(&all, TLV_SEQUENCE, &fields->signed_part) ||
	    !take_algorithm(&all, &fields->signature_oid, &algorithm) ||
	    !take_octets(&all, &fields->signature) || all.length > 0)
		return FALSE;
	in = fields->signed_part;
	return scan_take(&in, TLV_SEQUENCE, &signed_part) &&
	       read_signed_part(fields, signed_part, &algorithm);
}
