/*
 * store_sample - DER written by hand, so that a million takes half a minute.
 */
#include "tests/bench/store_sample.h"

#include <openssl/rand.h>
#include <string.h>

#include "pki/crypto/internal.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/tlv.h"

#define POOL 256
#define YEAR (365 * 86400)

struct ca {
	struct cert *cert;
	struct key *key;
	GBytes *name; /* Name, DER */
	GBytes *id;   /* its key identifier */
};

struct store_sample {
	guint addresses;
	gint64 now;
	struct cert *root;
	struct key *root_key;
	struct ca cas[SAMPLE_CAS];
	GBytes *spkis[POOL];
};

static struct cert *
make_ca(const char *name, const struct key *key, const struct cert *issuer,
	const struct key *issuer_key, gint64 now)
{
	g_autoptr(GError) error = NULL;
	struct issue_spec spec = {
		.names = { .common_name = name, .organisation = "Sample" },
		.spki = key_spki(key),
		.not_before = now - (issuer == NULL ? 3 : 2) * YEAR,
		.not_after = now + (issuer == NULL ? 9 : 8) * YEAR,
		.ca = TRUE,
		.path_length = issuer == NULL ? 1 : 0,
		.key_usage = KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN,
	};
	struct cert *cert = issue_cert(&spec, issuer, issuer_key, &error);

	if (cert == NULL)
		g_error("%s: %s", name, error->message);
	return cert;
}

static struct key *
make_key(void)
{
	g_autoptr(GError) error = NULL;
	struct key *key = key_generate(KEY_KIND_EC, 256, &error);

	if (key == NULL)
		g_error("%s", error->message);
	return key;
}

static GBytes *
subject_of(const struct cert *cert)
{
	unsigned char *der = NULL;
	int length = i2d_X509_NAME(X509_get_subject_name(cert_x509(cert)), &der);

	return bytes_take_openssl(der, length);
}

static GBytes *
key_id_of(const struct cert *cert)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(cert_x509(cert));

	return g_bytes_new(ASN1_STRING_get0_data(id), (gsize)ASN1_STRING_length(id));
}

struct store_sample *
store_sample_new(guint addresses)
{
	struct store_sample *sample = g_new0(struct store_sample, 1);

	sample->addresses = addresses;
	sample->now = g_get_real_time() / G_USEC_PER_SEC;
	sample->root_key = make_key();
	sample->root =
	    make_ca("Sample Root", sample->root_key, NULL, sample->root_key, sample->now);
	for (guint i = 0; i < SAMPLE_CAS; i++) {
		struct ca *ca = &sample->cas[i];
		g_autofree char *name = g_strdup_printf("Sample CA %u", i);

		ca->key = make_key();
		ca->cert = make_ca(name, ca->key, sample->root, sample->root_key, sample->now);
		ca->name = subject_of(ca->cert);
		ca->id = key_id_of(ca->cert);
	}
	for (guint i = 0; i < POOL; i++) {
		CLEANUP(key) struct key *key = make_key();

		sample->spkis[i] = g_bytes_ref(key_spki(key));
	}
	return sample;
}

void
store_sample_free(struct store_sample *sample)
{
	if (sample == NULL)
		return;
	for (guint i = 0; i < SAMPLE_CAS; i++) {
		cert_unref(sample->cas[i].cert);
		key_unref(sample->cas[i].key);
		g_bytes_unref(sample->cas[i].name);
		g_bytes_unref(sample->cas[i].id);
	}
	for (guint i = 0; i < POOL; i++)
		g_bytes_unref(sample->spkis[i]);
	cert_unref(sample->root);
	key_unref(sample->root_key);
	g_free(sample);
}

const struct cert *
store_sample_root(const struct store_sample *sample)
{
	return sample->root;
}

const struct cert *
store_sample_ca(const struct store_sample *sample, guint ca)
{
	return sample->cas[ca].cert;
}

const struct key *
store_sample_ca_key(const struct store_sample *sample, guint ca)
{
	return sample->cas[ca].key;
}

char *
store_sample_address(guint address)
{
	return g_strdup_printf("user%u@partner%u.example", address, address % 1000);
}

/* All certificates of a person are of one CA: a new key of another's would have to wait. */
guint
store_sample_ca_of(guint number)
{
	return number / SAMPLE_ISSUED_EVERY % SAMPLE_CAS;
}

/* --- DER --- */

#define OID_ECDSA_SHA256 "\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define OID_RSA_SHA256 "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define PUT_OID(out, oid) tlv_put(out, TLV_OID, oid, sizeof(oid) - 1)

static void
put_text(GByteArray *out, guint8 tag, const char *text)
{
	tlv_put(out, tag, text, strlen(text));
}

static void
put_algorithm(GByteArray *out, gboolean rsa)
{
	guint at = tlv_open(out);

	if (rsa) {
		PUT_OID(out, OID_RSA_SHA256);
		tlv_put(out, TLV_NULL, NULL, 0);
	} else {
		PUT_OID(out, OID_ECDSA_SHA256);
	}
	tlv_close(out, at, TLV_SEQUENCE);
}

static void
put_attribute(GByteArray *out, guint8 last, const char *text)
{
	const guint8 oid[] = { 0x55, 0x04, last };
	guint set = tlv_open(out), pair = tlv_open(out);

	tlv_put(out, TLV_OID, oid, sizeof oid);
	put_text(out, 0x0c, text);
	tlv_close(out, pair, TLV_SEQUENCE);
	tlv_close(out, set, TLV_SET);
}

static void
put_name(GByteArray *out, const char *organisation, const char *common_name)
{
	guint at = tlv_open(out);

	put_attribute(out, 0x06, "DE");
	put_attribute(out, 0x0a, organisation);
	put_attribute(out, 0x03, common_name);
	tlv_close(out, at, TLV_SEQUENCE);
}

static void
put_time(GByteArray *out, gint64 seconds)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);
	g_autofree char *text = g_date_time_format(time, "%y%m%d%H%M%SZ");

	put_text(out, TLV_UTC_TIME, text);
}

static void
put_rsa_key(GByteArray *out)
{
	guint8 modulus[257] = { 0 };
	guint spki = tlv_open(out), algorithm = tlv_open(out), bits, key;

	RAND_bytes(modulus + 1, 256);
	modulus[1] |= 0x80;
	modulus[256] |= 1;
	PUT_OID(out, OID_RSA);
	tlv_put(out, TLV_NULL, NULL, 0);
	tlv_close(out, algorithm, TLV_SEQUENCE);
	bits = tlv_open(out);
	tlv_put_raw(out, "", 1);
	key = tlv_open(out);
	tlv_put(out, TLV_INTEGER, modulus, sizeof modulus);
	tlv_put(out, TLV_INTEGER, "\1\0\1", 3);
	tlv_close(out, key, TLV_SEQUENCE);
	tlv_close(out, bits, TLV_BIT_STRING);
	tlv_close(out, spki, TLV_SEQUENCE);
}

/* The content of the OCTET STRING stands since `value`. */
static void
close_extension(GByteArray *out, guint extension, guint value)
{
	tlv_close(out, value, TLV_OCTET_STRING);
	tlv_close(out, extension, TLV_SEQUENCE);
}

static guint
open_extension(GByteArray *out, guint8 last, gboolean critical, guint *value)
{
	const guint8 oid[] = { 0x55, 0x1d, last };
	guint extension = tlv_open(out);

	tlv_put(out, TLV_OID, oid, sizeof oid);
	if (critical)
		tlv_put(out, TLV_BOOLEAN, "\xff", 1);
	*value = tlv_open(out);
	return extension;
}

static void
put_raw_extension(GByteArray *out, guint8 last, gboolean critical, gconstpointer der, gsize length)
{
	guint value, extension = open_extension(out, last, critical, &value);

	tlv_put_raw(out, der, length);
	close_extension(out, extension, value);
}

static void
put_urls(GByteArray *out, const char *crl_url)
{
	static const char access_oid[] = "\x2b\x06\x01\x05\x05\x07\x01\x01";
	static const char ocsp_oid[] = "\x2b\x06\x01\x05\x05\x07\x30\x01";
	guint value, extension = open_extension(out, 0x1f, FALSE, &value);
	guint list = tlv_open(out), point = tlv_open(out), name = tlv_open(out);
	guint full = tlv_open(out);

	put_text(out, TLV_CONTEXT(6), crl_url);
	tlv_close(out, full, TLV_CONTEXT_CONSTRUCTED(0));
	tlv_close(out, name, TLV_CONTEXT_CONSTRUCTED(0));
	tlv_close(out, point, TLV_SEQUENCE);
	tlv_close(out, list, TLV_SEQUENCE);
	close_extension(out, extension, value);
	extension = tlv_open(out);
	PUT_OID(out, access_oid);
	value = tlv_open(out);
	list = tlv_open(out);
	point = tlv_open(out);
	PUT_OID(out, ocsp_oid);
	put_text(out, TLV_CONTEXT(6), "http://ocsp.sample.example/");
	tlv_close(out, point, TLV_SEQUENCE);
	tlv_close(out, list, TLV_SEQUENCE);
	close_extension(out, extension, value);
}

static void
put_extensions(GByteArray *out, const char *email, GBytes *issuer_id, const char *crl_url)
{
	static const char email_protection[] = "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x04";
	static const char policy[] = "\x30\x0b\x30\x09\x06\x07\x67\x81\x0c\x01\x05\x01\x02";
	guint outer = tlv_open(out), all = tlv_open(out), value, extension, inner;
	guint8 id[22] = { TLV_OCTET_STRING, 20 };

	extension = open_extension(out, 0x23, FALSE, &value);
	inner = tlv_open(out);
	tlv_put(out, TLV_CONTEXT(0), g_bytes_get_data(issuer_id, NULL),
		g_bytes_get_size(issuer_id));
	tlv_close(out, inner, TLV_SEQUENCE);
	close_extension(out, extension, value);
	RAND_bytes(id + 2, 20);
	put_raw_extension(out, 0x0e, FALSE, id, sizeof id);
	put_raw_extension(out, 0x13, TRUE, "\x30\x00", 2);
	put_raw_extension(out, 0x0f, TRUE, "\x03\x02\x03\xa8", 4);
	put_raw_extension(out, 0x25, FALSE, email_protection, sizeof email_protection - 1);
	put_raw_extension(out, 0x20, FALSE, policy, sizeof policy - 1);
	extension = open_extension(out, 0x11, FALSE, &value);
	inner = tlv_open(out);
	put_text(out, TLV_CONTEXT(1), email);
	tlv_close(out, inner, TLV_SEQUENCE);
	close_extension(out, extension, value);
	put_urls(out, crl_url);
	tlv_close(out, all, TLV_SEQUENCE);
	tlv_close(out, outer, TLV_CONTEXT_CONSTRUCTED(3));
}

/* What differs between the issued and the noise. */
struct parts {
	GBytes *issuer; /* Name */
	GBytes *issuer_id;
	GBytes *spki;     /* NULL: an RSA key of its own */
	EVP_PKEY *signer; /* NULL: random octets */
	const char *organisation, *common_name, *email, *crl_url;
};

static void
put_signature(GByteArray *out, const struct parts *parts, guint start)
{
	guint8 signature[256];
	size_t length = parts->spki == NULL ? 256 : 71;

	if (parts->signer != NULL) {
		g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();

		length = sizeof signature;
		if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, parts->signer) != 1 ||
		    EVP_DigestSign(context, signature, &length, out->data + start,
				   out->len - start) != 1)
			g_error("the sample cannot be signed");
	} else {
		RAND_bytes(signature, (int)length);
	}
	put_algorithm(out, parts->spki == NULL);
	guint bits = tlv_open(out);
	tlv_put_raw(out, "", 1);
	tlv_put_raw(out, signature, length);
	tlv_close(out, bits, TLV_BIT_STRING);
}

static GBytes *
put_together(const struct store_sample *sample, guint number, const struct parts *parts)
{
	GByteArray *out = g_byte_array_sized_new(1600);
	guint all = tlv_open(out), start = tlv_open(out), at;
	guint8 serial[16];

	tlv_put_raw(out, "\xa0\x03\x02\x01\x02", 5);
	RAND_bytes(serial, sizeof serial);
	serial[0] = (guint8)((serial[0] & 0x3f) | 0x40);
	memcpy(serial + 1, &number, sizeof number);
	tlv_put(out, TLV_INTEGER, serial, sizeof serial);
	put_algorithm(out, parts->spki == NULL);
	tlv_put_raw(out, g_bytes_get_data(parts->issuer, NULL), g_bytes_get_size(parts->issuer));
	at = tlv_open(out);
	put_time(out, sample->now - (gint64)(number % 300) * 86400 - 86400);
	put_time(out, sample->now + (gint64)(number % 700) * 86400 + 86400);
	tlv_close(out, at, TLV_SEQUENCE);
	put_name(out, parts->organisation, parts->common_name);
	if (parts->spki != NULL)
		tlv_put_raw(out, g_bytes_get_data(parts->spki, NULL),
			    g_bytes_get_size(parts->spki));
	else
		put_rsa_key(out);
	put_extensions(out, parts->email, parts->issuer_id, parts->crl_url);
	tlv_close(out, start, TLV_SEQUENCE);
	put_signature(out, parts, start);
	tlv_close(out, all, TLV_SEQUENCE);
	return g_byte_array_free_to_bytes(out);
}

static GBytes *
noise_cert(const struct store_sample *sample, guint number)
{
	g_autofree char *name = g_strdup_printf("Member %u", number);
	g_autofree char *email =
	    g_strdup_printf("member%u@elsewhere%u.example", number, number % 5000);
	g_autofree char *issuer_name = g_strdup_printf("Unknown CA %u", number % 500);
	g_autofree char *url = g_strdup_printf("http://crl.elsewhere.example/%u.crl", number % 500);
	g_autoptr(GByteArray) issuer = g_byte_array_new();
	guint8 id[20] = { 0 };

	/* A few sign themselves. */
	put_name(issuer, "Elsewhere", number % 100 == 1 ? name : issuer_name);
	memcpy(id, &(guint){ number % 500 }, sizeof(guint));
	g_autoptr(GBytes) issuer_bytes = g_bytes_new(issuer->data, issuer->len);
	g_autoptr(GBytes) issuer_id = g_bytes_new(id, sizeof id);
	struct parts parts = {
		.issuer = issuer_bytes,
		.issuer_id = issuer_id,
		.spki = number % 2 == 0 ? sample->spkis[number / 2 % POOL] : NULL,
		.organisation = "Elsewhere",
		.common_name = name,
		.email = email,
		.crl_url = url,
	};
	return put_together(sample, number, &parts);
}

GBytes *
store_sample_cert(const struct store_sample *sample, guint number)
{
	guint person = number / SAMPLE_ISSUED_EVERY % sample->addresses;
	const struct ca *ca = &sample->cas[store_sample_ca_of(number)];

	if (number % SAMPLE_ISSUED_EVERY != 0)
		return noise_cert(sample, number);
	g_autofree char *name = g_strdup_printf("Person %u", person);
	g_autofree char *email = store_sample_address(person);
	g_autofree char *url =
	    g_strdup_printf("http://crl.sample.example/ca%u.crl", store_sample_ca_of(number));
	struct parts parts = {
		.issuer = ca->name,
		.issuer_id = ca->id,
		.spki = sample->spkis[number / SAMPLE_ISSUED_EVERY % POOL],
		.signer = key_pkey(ca->key),
		.organisation = "Partner",
		.common_name = name,
		.email = email,
		.crl_url = url,
	};
	return put_together(sample, number, &parts);
}

/* --- a revocation list --- */

static void
put_entries(GByteArray *out, gint64 now, GBytes *const serials[3], guint entries)
{
	guint list = tlv_open(out);

	for (guint i = 0; i < entries; i++) {
		guint at = tlv_open(out);
		GBytes *wanted = i == 0             ? serials[0]
				 : i == entries / 2 ? serials[1]
				 : i == entries - 1 ? serials[2]
						    : NULL;
		guint8 serial[16];

		if (wanted != NULL) {
			tlv_put(out, TLV_INTEGER, g_bytes_get_data(wanted, NULL),
				g_bytes_get_size(wanted));
		} else {
			RAND_bytes(serial, sizeof serial);
			serial[0] = (guint8)((serial[0] & 0x3f) | 0x40);
			tlv_put(out, TLV_INTEGER, serial, sizeof serial);
		}
		put_time(out, now - 86400 * (gint64)(1 + i % 300));
		tlv_close(out, at, TLV_SEQUENCE);
	}
	tlv_close(out, list, TLV_SEQUENCE);
}

static void
put_list_extensions(GByteArray *out, GBytes *issuer_id)
{
	guint outer = tlv_open(out), all = tlv_open(out), value;
	guint extension = open_extension(out, 0x23, FALSE, &value), inner = tlv_open(out);

	tlv_put(out, TLV_CONTEXT(0), g_bytes_get_data(issuer_id, NULL),
		g_bytes_get_size(issuer_id));
	tlv_close(out, inner, TLV_SEQUENCE);
	close_extension(out, extension, value);
	put_raw_extension(out, 0x14, FALSE, "\x02\x01\x07", 3);
	tlv_close(out, all, TLV_SEQUENCE);
	tlv_close(out, outer, TLV_CONTEXT_CONSTRUCTED(0));
}

GBytes *
store_sample_crl(const struct store_sample *sample, guint number, GBytes *const serials[3],
		 guint entries)
{
	const struct ca *ca = &sample->cas[number];
	GByteArray *out = g_byte_array_new();
	guint all = tlv_open(out), start = tlv_open(out);
	struct parts parts = { .spki = sample->spkis[0], .signer = key_pkey(ca->key) };

	tlv_put(out, TLV_INTEGER, "\1", 1);
	put_algorithm(out, FALSE);
	tlv_put_raw(out, g_bytes_get_data(ca->name, NULL), g_bytes_get_size(ca->name));
	put_time(out, sample->now - 3600);
	put_time(out, sample->now + 7 * 86400);
	put_entries(out, sample->now, serials, entries);
	put_list_extensions(out, ca->id);
	tlv_close(out, start, TLV_SEQUENCE);
	put_signature(out, &parts, start);
	tlv_close(out, all, TLV_SEQUENCE);
	return g_byte_array_free_to_bytes(out);
}
