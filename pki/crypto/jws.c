/*
 * jws - JSON Web Signatures and keys.
 */
#include "pki/crypto/jws.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <string.h>

#include "pki/crypto/internal.h"

#define DECODE_MAX_BYTES (1024 * 1024)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ECDSA_SIG, ECDSA_SIG_free)

/* ---- base64url ------------------------------------------------------------------------------- */

char *
jws_base64url(gconstpointer bytes, gsize length)
{
	char *text = g_base64_encode(bytes, length);

	for (char *p = text; *p != '\0'; p++) {
		if (*p == '+') {
			*p = '-';
		} else if (*p == '/') {
			*p = '_';
		} else if (*p == '=') {
			*p = '\0';
			break;
		}
	}
	return text;
}

static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

/* out has room for length * 3 / 4 bytes. */
static gboolean
decode(const char *text, gsize length, guint8 *out, gsize *written)
{
	guint32 bits = 0;
	guint count = 0;
	gsize n = 0;

	while (length > 0 && text[length - 1] == '=')
		length--;
	if (length % 4 == 1)
		return FALSE;
	for (gsize i = 0; i < length; i++) {
		int value = digit_value(text[i]);
		if (value < 0)
			return FALSE;
		bits = (bits << 6 | (guint32)value) & 0xffffff;
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[n++] = (guint8)(bits >> count);
		}
	}
	*written = n;
	return TRUE;
}

GBytes *
jws_base64url_decode(const char *text, GError **error)
{
	gsize length = strlen(text), written = 0;

	if (length > DECODE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a base64url text of %zu bytes is too large",
			    length);
	guint8 *out = g_malloc(length + 1);
	if (!decode(text, length, out, &written)) {
		g_free(out);
		return fail(error, PS_ERROR_INVALID, "not base64url");
	}
	return g_bytes_new_take(out, written);
}

struct secret *
jws_secret_decode(const struct secret *text, GError **error)
{
	guint8 out[1024];
	gsize written = 0;
	struct secret *decoded = NULL;

	if (secret_length(text) <= sizeof out &&
	    decode(secret_text(text), secret_length(text), out, &written) && written > 0)
		decoded = secret_new(out, written);
	wipe(out, sizeof out);
	if (decoded == NULL)
		return fail(error, PS_ERROR_INVALID, "the key is not base64url");
	return decoded;
}

char *
jws_digest(const char *text)
{
	guint8 digest[32];
	gsize length = sizeof digest;
	GChecksum *checksum = g_checksum_new(G_CHECKSUM_SHA256);

	g_checksum_update(checksum, (const guchar *)text, (gssize)strlen(text));
	g_checksum_get_digest(checksum, digest, &length);
	g_checksum_free(checksum);
	return jws_base64url(digest, length);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static const struct curve {
	unsigned int bits;
	const char *curve, *algorithm, *digest;
	int coordinate; /* bytes */
} curves[] = {
	{ 256, "P-256", "ES256", "SHA256", 32 },
	{ 384, "P-384", "ES384", "SHA384", 48 },
	{ 521, "P-521", "ES512", "SHA512", 66 },
};

static const struct curve *
curve_of(const struct key *key)
{
	for (gsize i = 0; key_kind(key) == KEY_KIND_EC && i < G_N_ELEMENTS(curves); i++)
		if (curves[i].bits == key_bits(key))
			return &curves[i];
	return NULL;
}

const char *
jws_algorithm(const struct key *key)
{
	const struct curve *curve = curve_of(key);

	if (curve != NULL)
		return curve->algorithm;
	return key_kind(key) == KEY_KIND_RSA ? "RS256" : NULL;
}

/* length 0: as short as the number is. */
static char *
number_text(const struct key *key, const char *parameter, int length)
{
	g_autoptr(BIGNUM) number = NULL;

	if (EVP_PKEY_get_bn_param(key_pkey(key), parameter, &number) != 1) {
		ERR_clear_error();
		return NULL;
	}
	if (length == 0)
		length = BN_num_bytes(number);
	g_autofree guint8 *bytes = g_malloc0((gsize)length + 1);
	if (BN_bn2binpad(number, bytes, length) != length)
		return NULL;
	return jws_base64url(bytes, (gsize)length);
}

char *
jws_jwk(const struct key *key, GError **error)
{
	const struct curve *curve = curve_of(key);

	if (curve != NULL) {
		g_autofree char *x = number_text(key, OSSL_PKEY_PARAM_EC_PUB_X, curve->coordinate);
		g_autofree char *y = number_text(key, OSSL_PKEY_PARAM_EC_PUB_Y, curve->coordinate);
		if (x != NULL && y != NULL)
			return g_strdup_printf(
			    "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
			    curve->curve, x, y);
	} else if (key_kind(key) == KEY_KIND_RSA) {
		g_autofree char *n = number_text(key, OSSL_PKEY_PARAM_RSA_N, 0);
		g_autofree char *e = number_text(key, OSSL_PKEY_PARAM_RSA_E, 0);
		if (n != NULL && e != NULL)
			return g_strdup_printf("{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", e, n);
	}
	return fail(error, PS_ERROR_INVALID, "a key of kind %s cannot sign JSON", key_text(key));
}

char *
jws_thumbprint(const struct key *key, GError **error)
{
	g_autofree char *jwk = jws_jwk(key, error);

	return jwk != NULL ? jws_digest(jwk) : NULL;
}

/* ---- signatures ------------------------------------------------------------------------------ */

/* ECDSA's DER to r || s (RFC 7518 section 3.4). */
static char *
raw_signature(const guint8 *der, gsize length, int coordinate)
{
	const unsigned char *p = der;
	guint8 raw[2 * 66];
	g_autoptr(ECDSA_SIG) signature = d2i_ECDSA_SIG(NULL, &p, (long)length);

	if (signature == NULL ||
	    BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, coordinate) != coordinate ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + coordinate, coordinate) != coordinate)
		return NULL;
	return jws_base64url(raw, 2 * (gsize)coordinate);
}

static char *
signature_of(const struct key *key, const char *input, GError **error)
{
	const struct curve *curve = curve_of(key);
	const char *digest = curve != NULL ? curve->digest : "SHA256";
	g_autoptr(EVP_MD_CTX) signer = EVP_MD_CTX_new();
	gsize length = 0;

	if (jws_algorithm(key) == NULL)
		return fail(error, PS_ERROR_INVALID, "a key of kind %s cannot sign JSON",
			    key_text(key));
	if (EVP_DigestSignInit_ex(signer, NULL, digest, NULL, NULL, key_pkey(key), NULL) != 1 ||
	    EVP_DigestSign(signer, NULL, &length, (const guint8 *)input, strlen(input)) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "JSON cannot be signed");
	g_autofree guint8 *bytes = g_malloc(length);
	if (EVP_DigestSign(signer, bytes, &length, (const guint8 *)input, strlen(input)) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "JSON cannot be signed");
	char *text = curve != NULL ? raw_signature(bytes, length, curve->coordinate)
				   : jws_base64url(bytes, length);
	if (text == NULL)
		return fail_openssl(error, PS_ERROR_BUG, "JSON cannot be signed");
	return text;
}

static char *
flattened(const char *protected_text, const char *payload_text, const char *signature)
{
	return g_strdup_printf("{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}",
			       protected_text, payload_text, signature);
}

char *
jws_sign(const struct key *key, const char *protected_header, const char *payload, GError **error)
{
	g_autofree char *header = jws_base64url(protected_header, strlen(protected_header));
	g_autofree char *body = jws_base64url(payload, strlen(payload));
	g_autofree char *input = g_strconcat(header, ".", body, NULL);
	g_autofree char *signature = signature_of(key, input, error);

	return signature != NULL ? flattened(header, body, signature) : NULL;
}

char *
jws_sign_hmac(const struct secret *key, const char *protected_header, const char *payload,
	      GError **error)
{
	g_autofree char *header = jws_base64url(protected_header, strlen(protected_header));
	g_autofree char *body = jws_base64url(payload, strlen(payload));
	g_autofree char *input = g_strconcat(header, ".", body, NULL);
	guint8 mac[EVP_MAX_MD_SIZE];
	unsigned int length = sizeof mac;

	if (secret_length(key) == 0 || secret_length(key) > 1024)
		return fail(error, PS_ERROR_INVALID, "the key for HS256 has no proper length");
	if (HMAC(EVP_sha256(), secret_bytes(key), (int)secret_length(key), (const guint8 *)input,
		 strlen(input), mac, &length) == NULL)
		return fail_openssl(error, PS_ERROR_BUG, "JSON cannot be signed");
	g_autofree char *signature = jws_base64url(mac, length);
	return flattened(header, body, signature);
}
