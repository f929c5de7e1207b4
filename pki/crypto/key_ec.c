/*
 * key_ec - fixed octets with a point, and with a number, between them.
 */
#include "pki/crypto/key_ec.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <string.h>

#define FIELD_MAX_BYTES 66
#define POINT_MAX_BYTES (1 + 2 * FIELD_MAX_BYTES)
#define HEAD_MAX_BYTES 40
#define POINT_UNCOMPRESSED 0x04

struct octets {
	gsize length;
	guint8 bytes[HEAD_MAX_BYTES];
};

struct ec_curve {
	unsigned int bits;
	int nid;
	const char *name;
	gsize field_bytes;        /* of a coordinate, and of the private number */
	struct octets spki_head;  /* then the point */
	struct octets pkcs8_head; /* then the number, */
	struct octets point_head; /* and the point */
};

/* id-ecPublicKey, and the curves' names. */
#define EC_KEY 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01
#define P256 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07
#define P384 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22
#define P521 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23

static const struct ec_curve curves[] = {
	{ 256,
	  NID_X9_62_prime256v1,
	  "P-256",
	  32,
	  { 26, { 0x30, 0x59, 0x30, 0x13, EC_KEY, P256, 0x03, 0x42, 0x00 } },
	  { 36,
	    { 0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, EC_KEY, P256, 0x04, 0x6d, 0x30, 0x6b,
	      0x02, 0x01, 0x01, 0x04, 0x20 } },
	  { 5, { 0xa1, 0x44, 0x03, 0x42, 0x00 } } },
	{ 384,
	  NID_secp384r1,
	  "P-384",
	  48,
	  { 23, { 0x30, 0x76, 0x30, 0x10, EC_KEY, P384, 0x03, 0x62, 0x00 } },
	  { 35, { 0x30, 0x81, 0xb6, 0x02, 0x01, 0x00, 0x30, 0x10, EC_KEY, P384, 0x04,
		  0x81, 0x9e, 0x30, 0x81, 0x9b, 0x02, 0x01, 0x01, 0x04,   0x30 } },
	  { 5, { 0xa1, 0x64, 0x03, 0x62, 0x00 } } },
	{ 521,
	  NID_secp521r1,
	  "P-521",
	  66,
	  { 25, { 0x30, 0x81, 0x9b, 0x30, 0x10, EC_KEY, P521, 0x03, 0x81, 0x86, 0x00 } },
	  { 35, { 0x30, 0x81, 0xee, 0x02, 0x01, 0x00, 0x30, 0x10, EC_KEY, P521, 0x04,
		  0x81, 0xd6, 0x30, 0x81, 0xd3, 0x02, 0x01, 0x01, 0x04,   0x42 } },
	  { 7, { 0xa1, 0x81, 0x89, 0x03, 0x81, 0x86, 0x00 } } },
};

const struct ec_curve *
ec_curve_of_bits(unsigned int bits)
{
	for (gsize i = 0; i < G_N_ELEMENTS(curves); i++)
		if (curves[i].bits == bits)
			return &curves[i];
	return NULL;
}

int
ec_curve_nid(const struct ec_curve *curve)
{
	return curve->nid;
}

/* --- making --- */

struct generators {
	EVP_PKEY_CTX *of[G_N_ELEMENTS(curves)];
};

static void
generators_free(gpointer data)
{
	struct generators *generators = data;

	for (gsize i = 0; i < G_N_ELEMENTS(curves); i++)
		EVP_PKEY_CTX_free(generators->of[i]);
	g_free(generators);
}

static GPrivate kept = G_PRIVATE_INIT(generators_free);

/* This thread's; NULL: OpenSSL has none. */
static EVP_PKEY_CTX *
generator_of(const struct ec_curve *curve)
{
	struct generators *generators = g_private_get(&kept);

	if (generators == NULL) {
		generators = g_new0(struct generators, 1);
		g_private_set(&kept, generators);
	}
	EVP_PKEY_CTX **generator = &generators->of[curve - curves];
	if (*generator == NULL) {
		g_autoptr(EVP_PKEY_CTX) made = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);

		if (made != NULL && EVP_PKEY_keygen_init(made) == 1 &&
		    EVP_PKEY_CTX_set_group_name(made, curve->name) == 1)
			*generator = g_steal_pointer(&made);
	}
	return *generator;
}

EVP_PKEY *
ec_generate(const struct ec_curve *curve, GError **error)
{
	EVP_PKEY_CTX *generator = generator_of(curve);
	EVP_PKEY *pkey = NULL;

	if (generator == NULL || EVP_PKEY_generate(generator, &pkey) != 1)
		return fail_openssl(error, PS_ERROR_TEMPORARY, "could not make a key");
	return pkey;
}

/* --- writing --- */

static gsize
point_bytes(const struct ec_curve *curve)
{
	return 1 + 2 * curve->field_bytes;
}

static gboolean
read_point(const struct ec_curve *curve, const EVP_PKEY *pkey, guint8 point[POINT_MAX_BYTES],
	   GError **error)
{
	gsize length = 0;

	if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_MAX_BYTES,
					    &length) != 1 ||
	    length != point_bytes(curve) || point[0] != POINT_UNCOMPRESSED)
		return fail_openssl_false(error, PS_ERROR_BUG, "an EC key cannot be written");
	return TRUE;
}

static void
append(GByteArray *out, const struct octets *octets)
{
	g_byte_array_append(out, octets->bytes, (guint)octets->length);
}

GBytes *
ec_spki(const struct ec_curve *curve, const EVP_PKEY *pkey, GError **error)
{
	guint8 point[POINT_MAX_BYTES];

	if (!read_point(curve, pkey, point, error))
		return NULL;
	GByteArray *out = g_byte_array_sized_new(HEAD_MAX_BYTES + POINT_MAX_BYTES);
	append(out, &curve->spki_head);
	g_byte_array_append(out, point, (guint)point_bytes(curve));
	return g_byte_array_free_to_bytes(out);
}

struct secret *
ec_pkcs8(const struct ec_curve *curve, const EVP_PKEY *pkey, GError **error)
{
	guint8 point[POINT_MAX_BYTES], der[2 * HEAD_MAX_BYTES + FIELD_MAX_BYTES + POINT_MAX_BYTES];
	BIGNUM *number = NULL;
	guint8 *p = der;

	if (!read_point(curve, pkey, point, error))
		return NULL;
	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "an EC key cannot be written");
	p = memcpy(p, curve->pkcs8_head.bytes, curve->pkcs8_head.length);
	p += curve->pkcs8_head.length;
	gboolean fits = BN_bn2binpad(number, p, (int)curve->field_bytes) == (int)curve->field_bytes;
	BN_clear_free(number);
	p += curve->field_bytes;
	memcpy(p, curve->point_head.bytes, curve->point_head.length);
	p += curve->point_head.length;
	memcpy(p, point, point_bytes(curve));
	p += point_bytes(curve);
	struct secret *secret = fits ? secret_new(der, (gsize)(p - der)) : NULL;
	wipe(der, sizeof(der));
	return secret != NULL ? secret
			      : fail_openssl(error, PS_ERROR_BUG, "an EC key cannot be written");
}
