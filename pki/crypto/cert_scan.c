/*
 * cert_scan - RFC 5280 section 4.1 from top to bottom; the first thing out of the ordinary ends it.
 *
 * Where OpenSSL gives an answer only if all extensions that it knows are well-formed (the key
 * identifiers), these are read here to the same depth, or left to OpenSSL by giving up.
 */
#include "pki/crypto/cert_scan.h"

#include <openssl/ec.h>
#include <string.h>

#include "pki/crypto/cert_scan_internal.h"
#include "pki/crypto/der.h"
#include "store/base/hex.h"

#define NAMES_MAX 512
#define EXTENSIONS_MAX 64
#define EMAILS_MAX 200
#define OID_IS(oid, text) tlv_is(oid, text, sizeof(text) - 1)

#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define OID_EC "\x2a\x86\x48\xce\x3d\x02\x01"
#define OID_SMTP_UTF8_MAILBOX "\x2b\x06\x01\x05\x05\x07\x08\x09"

static const struct {
	const char *oid;
	gsize oid_length; /* there are zeros in it */
	int nid;
	int bits;
	gsize point_length;
} curves[] = {
	{ "\x2a\x86\x48\xce\x3d\x03\x01\x07", 8, NID_X9_62_prime256v1, 256, 65 },
	{ "\x2b\x81\x04\x00\x22", 5, NID_secp384r1, 384, 97 },
	{ "\x2b\x81\x04\x00\x23", 5, NID_secp521r1, 521, 133 },
};

struct cert_scanner {
	EVP_MD *sha256, *sha512;
	EC_GROUP *groups[G_N_ELEMENTS(curves)];
	EC_POINT *points[G_N_ELEMENTS(curves)];
	BN_CTX *numbers;
	GHashTable *issuers; /* GBytes of the Name -> struct scan_name */
};

/* What is read besides the row's own members. */
struct scan {
	struct cert_scanner *scanner;
	struct cert_row *row;
	GStrvBuilder *keys;
	GHashTable *seen; /* keys of addresses, made for the second one; or NULL */
	char *first_key;
	guint addresses;
	guint extensions_seen; /* mask of those that may come once */
};

static void
name_free(gpointer p)
{
	scan_name_clear(p);
	g_free(p);
}

struct cert_scanner *
cert_scanner_new(void)
{
	struct cert_scanner *scanner = g_new0(struct cert_scanner, 1);

	scanner->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	scanner->sha512 = EVP_MD_fetch(NULL, "SHA512", NULL);
	scanner->numbers = BN_CTX_new();
	for (gsize i = 0; i < G_N_ELEMENTS(curves); i++) {
		scanner->groups[i] = EC_GROUP_new_by_curve_name(curves[i].nid);
		scanner->points[i] =
		    scanner->groups[i] != NULL ? EC_POINT_new(scanner->groups[i]) : NULL;
	}
	if (scanner->sha256 == NULL || scanner->sha512 == NULL || scanner->numbers == NULL)
		g_error("OpenSSL has no SHA-2");
	scanner->issuers = g_hash_table_new_full(g_bytes_hash, g_bytes_equal,
						 (GDestroyNotify)g_bytes_unref, name_free);
	return scanner;
}

void
cert_scanner_free(struct cert_scanner *scanner)
{
	if (scanner == NULL)
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(curves); i++) {
		EC_POINT_free(scanner->points[i]);
		EC_GROUP_free(scanner->groups[i]);
	}
	BN_CTX_free(scanner->numbers);
	EVP_MD_free(scanner->sha256);
	EVP_MD_free(scanner->sha512);
	g_hash_table_unref(scanner->issuers);
	g_free(scanner);
}

static char *
digest_of(const EVP_MD *digest, const struct tlv *bytes)
{
	guint8 value[EVP_MAX_MD_SIZE];
	unsigned int length = 0;

	if (EVP_Digest(bytes->bytes, bytes->length, value, &length, digest, NULL) != 1)
		g_error("OpenSSL cannot compute a digest");
	return hex_encode(value, length);
}

/* --- elements --- */

static gboolean
take_whole(struct tlv *in, guint8 tag, struct tlv *whole)
{
	const guint8 *start = in->bytes;
	struct tlv content;

	if (!scan_take(in, tag, &content))
		return FALSE;
	whole->bytes = start;
	whole->length = (gsize)(in->bytes - start);
	return TRUE;
}

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
take_algorithm(struct tlv *in)
{
	struct tlv algorithm, oid, null;

	if (!scan_take(in, TLV_SEQUENCE, &algorithm) || !scan_take(&algorithm, TLV_OID, &oid) ||
	    !scan_is_oid(&oid))
		return FALSE;
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

	if (!take_whole(in, tlv_tag(in), &whole))
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

static gboolean
add_address(struct scan *scan, const char *text)
{
	CLEANUP(mailaddr) struct mailaddr *address = NULL;

	if (++scan->addresses > EMAILS_MAX)
		return FALSE;
	address = mailaddr_parse(text, NULL);
	if (address == NULL)
		return TRUE; /* as cert_parse: no address */
	const char *key = mailaddr_key(address);
	if (scan->first_key == NULL) {
		scan->first_key = g_strdup(key);
	} else if (strcmp(scan->first_key, key) == 0) {
		return TRUE;
	} else {
		if (scan->seen == NULL)
			scan->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
		if (!g_hash_table_add(scan->seen, g_strdup(key)))
			return TRUE;
	}
	g_strv_builder_add(scan->keys, key);
	return TRUE;
}

static gboolean
add_address_bytes(struct scan *scan, const struct tlv *text)
{
	if (text->length > 0 && memchr(text->bytes, 0, text->length) != NULL)
		return FALSE;
	g_autofree char *copy = g_strndup((const char *)text->bytes, text->length);
	return add_address(scan, copy);
}

/* otherName with a text in it; of another kind than a mailbox it is passed over. */
static gboolean
read_other_name(struct scan *scan, struct tlv name)
{
	struct tlv oid, wrapper, value;
	guint8 tag;

	if (!scan_take(&name, TLV_OID, &oid) || !scan_is_oid(&oid) ||
	    !scan_take(&name, TLV_CONTEXT_CONSTRUCTED(0), &wrapper) || name.length > 0)
		return FALSE;
	tag = tlv_tag(&wrapper);
	if ((tag != 0x0c && tag != 0x13 && tag != 0x16) || !scan_take(&wrapper, tag, &value) ||
	    wrapper.length > 0)
		return FALSE;
	if (!OID_IS(&oid, OID_SMTP_UTF8_MAILBOX) || tag != 0x0c)
		return TRUE;
	return add_address_bytes(scan, &value);
}

/* --- extensions: each gets the content of its OCTET STRING --- */

static gboolean
read_alternative_names(struct scan *scan, struct tlv in)
{
	struct tlv names, name;

	if (!scan_take(&in, TLV_SEQUENCE, &names) || in.length > 0 || names.length == 0)
		return FALSE;
	while (names.length > 0) {
		guint8 tag = tlv_tag(&names);

		if (!scan_take(&names, tag, &name))
			return FALSE;
		if (tag == TLV_CONTEXT(1) && !add_address_bytes(scan, &name))
			return FALSE;
		if (tag == TLV_CONTEXT_CONSTRUCTED(0) && !read_other_name(scan, name))
			return FALSE;
		if (tag != TLV_CONTEXT(1) && tag != TLV_CONTEXT(2) && tag != TLV_CONTEXT(6) &&
		    tag != TLV_CONTEXT_CONSTRUCTED(0))
			return FALSE;
	}
	return TRUE;
}

static gboolean
read_basic_constraints(struct scan *scan, struct tlv in)
{
	struct tlv all, part;

	if (!scan_take(&in, TLV_SEQUENCE, &all) || in.length > 0)
		return FALSE;
	if (tlv_tag(&all) == TLV_BOOLEAN) {
		if (!scan_take(&all, TLV_BOOLEAN, &part) || part.length != 1 ||
		    (part.bytes[0] != 0 && part.bytes[0] != 0xff))
			return FALSE;
		scan->row->is_ca = part.bytes[0] != 0;
	}
	if (all.length > 0 && (!take_natural(&all, &part) || part.length > 2))
		return FALSE;
	return all.length == 0;
}

static gboolean
read_key_usage(struct scan *scan, struct tlv in)
{
	struct tlv bits;

	(void)scan;
	if (!scan_take(&in, TLV_BIT_STRING, &bits) || in.length > 0 || bits.length < 2 ||
	    bits.length > 3 || bits.bytes[0] > 7)
		return FALSE;
	/* Without any bit it is invalid; one in the unused part is none. */
	guint8 last = (guint8)(bits.bytes[bits.length - 1] & (0xff << bits.bytes[0]));
	return last != 0;
}

static gboolean
read_extended_usage(struct scan *scan, struct tlv in)
{
	struct tlv all, oid;

	(void)scan;
	if (!scan_take(&in, TLV_SEQUENCE, &all) || in.length > 0 || all.length == 0)
		return FALSE;
	while (all.length > 0)
		if (!scan_take(&all, TLV_OID, &oid) || !scan_is_oid(&oid))
			return FALSE;
	return TRUE;
}

static gboolean
read_subject_key_id(struct scan *scan, struct tlv in)
{
	struct tlv id;

	if (!scan_take(&in, TLV_OCTET_STRING, &id) || in.length > 0 || id.length == 0)
		return FALSE;
	scan->row->ski = hex_encode(id.bytes, id.length);
	return TRUE;
}

static gboolean
read_authority_key_id(struct scan *scan, struct tlv in)
{
	struct tlv all, id;

	if (!scan_take(&in, TLV_SEQUENCE, &all) || in.length > 0 ||
	    !scan_take(&all, TLV_CONTEXT(0), &id) || all.length > 0 || id.length == 0)
		return FALSE;
	scan->row->aki = hex_encode(id.bytes, id.length);
	return TRUE;
}

/* Points that name URLs and nothing else. */
static gboolean
read_distribution_points(struct scan *scan, struct tlv in)
{
	struct tlv all, point, name, full, url;

	(void)scan;
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
	gboolean (*read)(struct scan *scan, struct tlv in);
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
read_extension(struct scan *scan, struct tlv in)
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
		if (known[i].read == NULL || (scan->extensions_seen & 1U << i) != 0)
			return FALSE;
		scan->extensions_seen |= 1U << i;
		return known[i].read(scan, value);
	}
	return TRUE;
}

static gboolean
read_extensions(struct scan *scan, struct tlv in)
{
	struct tlv all, one;

	if (!scan_take(&in, TLV_SEQUENCE, &all) || in.length > 0 || all.length == 0)
		return FALSE;
	for (guint count = 0; all.length > 0; count++)
		if (count >= EXTENSIONS_MAX || !scan_take(&all, TLV_SEQUENCE, &one) ||
		    !read_extension(scan, one))
			return FALSE;
	return TRUE;
}

/* --- the key --- */

static gboolean
read_rsa(struct scan *scan, struct tlv parameters, struct tlv key)
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
	scan->row->key_kind = g_strdup(key_kind_name(KEY_KIND_RSA));
	scan->row->key_bits = (gint)bits;
	return TRUE;
}

/* A point that is not on its curve is a key that cannot be read: that is for OpenSSL to say. */
static gboolean
read_ec(struct scan *scan, struct tlv parameters, struct tlv key)
{
	struct cert_scanner *scanner = scan->scanner;
	struct tlv curve;

	if (!scan_take(&parameters, TLV_OID, &curve) || parameters.length > 0)
		return FALSE;
	for (gsize i = 0; i < G_N_ELEMENTS(curves); i++) {
		if (!tlv_is(&curve, curves[i].oid, curves[i].oid_length) ||
		    scanner->points[i] == NULL || key.length != curves[i].point_length ||
		    key.bytes[0] != POINT_CONVERSION_UNCOMPRESSED)
			continue;
		if (EC_POINT_oct2point(scanner->groups[i], scanner->points[i], key.bytes,
				       key.length, scanner->numbers) != 1)
			return FALSE;
		scan->row->key_kind = g_strdup(key_kind_name(KEY_KIND_EC));
		scan->row->key_bits = curves[i].bits;
		return TRUE;
	}
	return FALSE;
}

static gboolean
read_key(struct scan *scan, const struct tlv *whole)
{
	struct tlv in = *whole, spki, algorithm, oid, key;

	if (!scan_take(&in, TLV_SEQUENCE, &spki) || !scan_take(&spki, TLV_SEQUENCE, &algorithm) ||
	    !scan_take(&algorithm, TLV_OID, &oid) || !take_octets(&spki, &key) || spki.length > 0)
		return FALSE;
	scan->row->spki_sha256 = digest_of(scan->scanner->sha256, whole);
	if (OID_IS(&oid, OID_RSA))
		return read_rsa(scan, algorithm, key);
	if (OID_IS(&oid, OID_EC))
		return read_ec(scan, algorithm, key);
	return FALSE;
}

/* --- names --- */

/* Issuers repeat: few of them sign many. */
static const struct scan_name *
issuer_name(struct cert_scanner *scanner, const struct tlv *whole)
{
	g_autoptr(GBytes) view = g_bytes_new_static(whole->bytes, whole->length);
	struct scan_name *name = g_hash_table_lookup(scanner->issuers, view);

	if (name != NULL)
		return name;
	name = g_new0(struct scan_name, 1);
	if (!scan_name_read(name, whole, scanner->sha256)) {
		name_free(name);
		return NULL;
	}
	if (g_hash_table_size(scanner->issuers) >= NAMES_MAX)
		g_hash_table_remove_all(scanner->issuers);
	g_hash_table_insert(scanner->issuers, g_bytes_new(whole->bytes, whole->length), name);
	return name;
}

static gboolean
read_names(struct scan *scan, const struct tlv *issuer_whole, const struct tlv *subject_whole,
	   GStrv *emails)
{
	const struct scan_name *issuer = issuer_name(scan->scanner, issuer_whole);
	struct scan_name subject;

	if (issuer == NULL || !scan_name_read(&subject, subject_whole, scan->scanner->sha256))
		return FALSE;
	scan->row->issuer = g_strdup(issuer->text);
	scan->row->issuer_key = g_strdup(issuer->key);
	scan->row->subject = g_steal_pointer(&subject.text);
	scan->row->subject_key = g_steal_pointer(&subject.key);
	*emails = g_steal_pointer(&subject.emails);
	scan_name_clear(&subject);
	/* Whether it is self-signed only its signature says. */
	return strcmp(scan->row->subject_key, scan->row->issuer_key) != 0;
}

/* --- the whole --- */

static gboolean
read_signed_part(struct scan *scan, struct tlv in)
{
	struct tlv wrapper, version, serial, issuer, validity, subject, spki, extensions;
	g_auto(GStrv) emails = NULL;
	struct cert_row *row = scan->row;

	if (!scan_take(&in, TLV_CONTEXT_CONSTRUCTED(0), &wrapper) ||
	    !take_natural(&wrapper, &version) || wrapper.length > 0 || !tlv_is(&version, "\2", 1) ||
	    !take_natural(&in, &serial) || !take_algorithm(&in) ||
	    !take_whole(&in, TLV_SEQUENCE, &issuer) || !scan_take(&in, TLV_SEQUENCE, &validity) ||
	    !take_time(&validity, &row->not_before) || !take_time(&validity, &row->not_after) ||
	    validity.length > 0 || !take_whole(&in, TLV_SEQUENCE, &subject) ||
	    !take_whole(&in, TLV_SEQUENCE, &spki) ||
	    !scan_take(&in, TLV_CONTEXT_CONSTRUCTED(3), &extensions) || in.length > 0)
		return FALSE;
	row->serial = number_hex(serial.bytes, serial.length);
	if (!read_names(scan, &issuer, &subject, &emails) || !read_key(scan, &spki) ||
	    !read_extensions(scan, extensions))
		return FALSE;
	for (char **email = emails; email != NULL && *email != NULL; email++)
		if (!add_address(scan, *email))
			return FALSE;
	return TRUE;
}

static gboolean
read_certificate(struct scan *scan, struct tlv in)
{
	struct tlv all, signed_part, signature;

	return scan_take(&in, TLV_SEQUENCE, &all) && in.length == 0 &&
	       scan_take(&all, TLV_SEQUENCE, &signed_part) && take_algorithm(&all) &&
	       take_octets(&all, &signature) && all.length == 0 &&
	       read_signed_part(scan, signed_part);
}

struct cert_row *
cert_scan(struct cert_scanner *scanner, GBytes *der)
{
	CLEANUP(cert_row) struct cert_row *row = g_new0(struct cert_row, 1);
	g_autoptr(GStrvBuilder) keys = g_strv_builder_new();
	struct scan scan = { .scanner = scanner, .row = row, .keys = keys };
	struct tlv in = tlv_of_bytes(der);

	if (in.length > CERT_SIZE_MAX_BYTES)
		return NULL;
	gboolean good = read_certificate(&scan, in);
	g_free(scan.first_key);
	if (scan.seen != NULL)
		g_hash_table_unref(scan.seen);
	if (!good)
		return NULL;
	row->thumbprint = digest_of(scanner->sha512, &in);
	row->der = g_bytes_ref(der);
	row->emails = g_strv_builder_end(keys);
	row->origin = g_strdup("import");
	return g_steal_pointer(&row);
}
