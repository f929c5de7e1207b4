/*
 * key - private keys: made, read, written, compared.
 */
#include "pki/crypto/key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/internal.h"
#include "pki/crypto/key_ec.h"

#define RSA_EXPONENT_MAX_BITS 64

struct key {
	gint references;
	EVP_PKEY *pkey;
	GBytes *spki;
	char *spki_sha256;
	enum key_kind kind;
	unsigned int bits;
	char *text;
	const struct ec_curve *curve; /* of one that was made here; else NULL */
};

static const struct {
	const char *name;
	const char *shown;
} curves[] = {
	{ "prime256v1", "P-256" }, { "P-256", "P-256" },     { "secp384r1", "P-384" },
	{ "P-384", "P-384" },      { "secp521r1", "P-521" }, { "P-521", "P-521" },
};

enum key_kind
key_kind_of(const EVP_PKEY *pkey, unsigned int *bits)
{
	static const struct {
		int id;
		enum key_kind kind;
	} ids[] = {
		{ EVP_PKEY_RSA, KEY_KIND_RSA },     { EVP_PKEY_RSA_PSS, KEY_KIND_RSA_PSS },
		{ EVP_PKEY_EC, KEY_KIND_EC },       { EVP_PKEY_ED25519, KEY_KIND_ED25519 },
		{ EVP_PKEY_ED448, KEY_KIND_ED448 }, { EVP_PKEY_X25519, KEY_KIND_X25519 },
		{ EVP_PKEY_X448, KEY_KIND_X448 },   { EVP_PKEY_DSA, KEY_KIND_DSA },
	};
	int size = EVP_PKEY_get_bits(pkey);

	*bits = size > 0 ? (unsigned int)size : 0;
	for (gsize i = 0; i < G_N_ELEMENTS(ids); i++)
		if (EVP_PKEY_get_base_id(pkey) == ids[i].id)
			return ids[i].kind;
	return KEY_KIND_OTHER;
}

/* With the exponent 1 a cipher text is its plain text, and everybody signs; a large one is work for
 * us. Curves of the owner's own making may be chosen so that anybody can solve them. */
const char *
key_weakness_of(const EVP_PKEY *pkey)
{
	unsigned int bits;
	enum key_kind kind = key_kind_of(pkey, &bits);
	g_autoptr(BIGNUM) e = NULL;
	char group[64];
	gsize length = 0;
	const char *weakness = NULL;
	int explicit_curve = 0;

	/* RFC 5480 section 2.1.1: named curves alone, also where the parameters are those of one.
	 */
	if (kind == KEY_KIND_EC)
		(void)EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
					     &explicit_curve);
	if (kind == KEY_KIND_EC &&
	    (explicit_curve != 0 ||
	     EVP_PKEY_get_group_name(pkey, group, sizeof group, &length) != 1))
		weakness = "has a curve without name";
	else if ((kind == KEY_KIND_RSA || kind == KEY_KIND_RSA_PSS) &&
		 (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1 || !BN_is_odd(e) ||
		  BN_num_bits(e) < 2 || BN_num_bits(e) > RSA_EXPONENT_MAX_BITS))
		weakness = "has an exponent that is not safe";
	ERR_clear_error();
	return weakness;
}

char *
key_text_of(const EVP_PKEY *pkey)
{
	unsigned int bits;
	enum key_kind kind = key_kind_of(pkey, &bits);
	char group[64] = "";
	gsize length = 0;

	switch (kind) {
	case KEY_KIND_EC:
		if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), &length) != 1) {
			ERR_clear_error();
			return g_strdup_printf("EC %u with explicit parameters", bits);
		}
		for (gsize i = 0; i < G_N_ELEMENTS(curves); i++)
			if (strcmp(curves[i].name, group) == 0)
				return g_strdup_printf("EC %s", curves[i].shown);
		return g_strdup_printf("EC %s", group);
	case KEY_KIND_RSA:
	case KEY_KIND_RSA_PSS:
	case KEY_KIND_DSA:
		return g_strdup_printf("%s %u", key_kind_name(kind), bits);
	case KEY_KIND_ED25519:
	case KEY_KIND_ED448:
	case KEY_KIND_X25519:
	case KEY_KIND_X448:
	case KEY_KIND_OTHER:
		return g_strdup(key_kind_name(kind));
	}
	return g_strdup("unknown");
}

/* Takes over both. */
static struct key *
key_of(EVP_PKEY *pkey, GBytes *spki)
{
	struct key *key = g_new0(struct key, 1);
	gsize length;
	gconstpointer bytes = g_bytes_get_data(spki, &length);

	key->references = 1;
	key->pkey = pkey;
	key->spki = spki;
	key->spki_sha256 = digest_hex("SHA256", bytes, length);
	key->kind = key_kind_of(pkey, &key->bits);
	key->text = key_text_of(pkey);
	return key;
}

struct key *
key_new_pkey(EVP_PKEY *pkey, GError **error)
{
	unsigned char *spki = NULL;
	int length = pkey != NULL ? i2d_PUBKEY(pkey, &spki) : -1;

	if (length <= 0) {
		EVP_PKEY_free(pkey);
		return fail_openssl(error, PS_ERROR_INVALID, "not a private key");
	}
	return key_of(pkey, bytes_take_openssl(spki, length));
}

static struct key *
generate_ec(const struct ec_curve *curve, GError **error)
{
	g_autoptr(EVP_PKEY) pkey = ec_generate(curve, error);
	GBytes *spki = pkey != NULL ? ec_spki(curve, pkey, error) : NULL;

	if (spki == NULL)
		return NULL;
	struct key *key = key_of(g_steal_pointer(&pkey), spki);
	key->curve = curve;
	return key;
}

struct key *
key_generate(enum key_kind kind, unsigned int bits, GError **error)
{
	const struct ec_curve *curve = ec_curve_of_bits(bits);

	if (kind == KEY_KIND_EC)
		return curve != NULL ? generate_ec(curve, error)
				     : fail(error, PS_ERROR_INVALID,
					    "EC keys have 256, 384 or 521 bits, not %u", bits);
	if (kind != KEY_KIND_RSA)
		return fail(
		    error, PS_ERROR_INVALID,
		    "%s keys cannot be made: OpenSSL 3.0 has no CMS with them; use RSA or EC",
		    key_kind_name(kind));
	if (bits != 2048 && bits != 3072 && bits != 4096)
		return fail(error, PS_ERROR_INVALID,
			    "RSA keys have 2048, 3072 or 4096 bits, not %u", bits);
	EVP_PKEY *pkey = EVP_RSA_gen(bits);
	if (pkey == NULL)
		return fail_openssl(error, PS_ERROR_TEMPORARY, "could not make a key");
	return key_new_pkey(pkey, error);
}

struct key *
key_parse_pkcs8(const struct secret *der, GError **error)
{
	const unsigned char *p = secret_bytes(der);
	const unsigned char *end = p + secret_length(der);

	if (secret_length(der) > KEY_SIZE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a private key of %zu bytes is too large",
			    secret_length(der));
	g_autoptr(PKCS8_PRIV_KEY_INFO) info =
	    d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)secret_length(der));
	if (info == NULL)
		return fail_openssl(error, PS_ERROR_INVALID, "not a PKCS#8 private key");
	if (p != end)
		return fail(error, PS_ERROR_INVALID, "%td bytes follow the private key", end - p);
	EVP_PKEY *pkey = EVP_PKCS82PKEY(info);
	if (pkey == NULL)
		return fail_openssl(error, PS_ERROR_INVALID, "the private key cannot be read");
	return key_new_pkey(pkey, error);
}

struct secret *
key_to_pkcs8(const struct key *key, GError **error)
{
	if (key->curve != NULL)
		return ec_pkcs8(key->curve, key->pkey, error);
	g_autoptr(PKCS8_PRIV_KEY_INFO) info = EVP_PKEY2PKCS8(key->pkey);
	unsigned char *der = NULL;
	int length = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;

	if (length <= 0)
		return fail_openssl(error, PS_ERROR_BUG, "the private key cannot be written");
	struct secret *secret = secret_new(der, (gsize)length);
	OPENSSL_clear_free(der, (gsize)length);
	return secret;
}

struct key *
key_ref(struct key *key)
{
	g_atomic_int_inc(&key->references);
	return key;
}

void
key_unref(struct key *key)
{
	if (key == NULL || !g_atomic_int_dec_and_test(&key->references))
		return;
	EVP_PKEY_free(key->pkey); /* wipes the private parts */
	g_bytes_unref(key->spki);
	g_free(key->spki_sha256);
	g_free(key->text);
	g_free(key);
}

EVP_PKEY *
key_pkey(const struct key *key)
{
	return key->pkey;
}

const char *
key_spki_sha256(const struct key *key)
{
	return key->spki_sha256;
}

GBytes *
key_spki(const struct key *key)
{
	return key->spki;
}

enum key_kind
key_kind(const struct key *key)
{
	return key->kind;
}

unsigned int
key_bits(const struct key *key)
{
	return key->bits;
}

const char *
key_text(const struct key *key)
{
	return key->text;
}

gboolean
key_fits(const struct key *key, const struct cert *cert)
{
	return strcmp(key->spki_sha256, cert_spki_sha256(cert)) == 0;
}
