/*
 * JWS and JWK against the examples of RFC 7515, RFC 7517, RFC 7638 and RFC 8555.
 */
#include "pki/crypto/jws.h"

#include <glib.h>
#include <openssl/ec.h>
#include <string.h>

#include "pki/crypto/internal.h"

#define HEADER_RS256 "eyJhbGciOiJSUzI1NiJ9"
#define PAYLOAD "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"
#define PAYLOAD_TEXT                                                                               \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0" \
	"cnVlfQ"

/* Private keys of the appendices as PKCS#8. */
static const char rfc7515_a2[] =
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXOjS1lYmM2K5J9"
    "vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxLaYk8wTM/U+3QGbh3hCUv7JFP"
    "5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNnjuygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed"
    "1LnPmt7Ex1sFhSwsD174pcF1A5L5ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAq"
    "H2QbgtPr8jkiGUkftoaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2Bv"
    "niHgVFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88v"
    "LNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/GO+pWJ1O0BkTGoVEn2bKV"
    "RUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M/V51gfpRLI9JYanrC4D4qAdG"
    "copV/0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDV"
    "ZFD9pIuhLhBOneufuBiB4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60im"
    "ZV1URk0KpLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr0AHQ"
    "fD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqElMGAg+C2V0L4oNXn"
    "P7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6kqa0finGG0KgeqlaZPxgCZnFp7Ae"
    "AcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAPrq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l"
    "1OW1EnXUEoEHKl54Xrrz2uNwkgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MA"
    "k3g7/Ls5bkUp5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2"
    "9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/evpitUf+4JYb"
    "LpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcGyoAe9fa65iNqCq+jdw6PVNGo"
    "2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZjOYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLS"
    "Ikx1AoGAIYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScG"
    "Lq2MowX7fhd/QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh"
    "6A5603k2+ZQwVK0JKSHuLFkuQ3U=";
static const char rfc7515_a2_signature[] =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Q"
    "c_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTy"
    "WzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwu"
    "sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5A"
    "XLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
static const char rfc7517_a2[] =
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDS/HtqCh5sZxBK64+Isldmm032"
    "ed2tCZtcSmzZqIAVtaEzvwuFbHhxtt8AC1VPzrPC7VErto8UXG6ENHUvq1Khz8EkQI95tYpFeMFk"
    "KIVXifeiSeOEyy2fri1n/Zb7kmwZjgdzmf3IFcCvCX3eWq3v9E3nDoJ/SHhDJDm/7rlgaNBHT8UN"
    "bZC/OpjfrxBAyJwC1pKrOzwolmCdhv1zt3TOB0BkfO7qoxC9EvmFqOufWf3UJs6lshIPTyo0vKt2"
    "S35sVNaEAji8xAWHpZ5m7R8ziUV3Y1xHCvdc+Swg0dpD4b/EGeIipvDQuzWMXjj5ywUK6v6QSBTx"
    "rBqknMqeoMqDAgMBAAECggEAX4cTteJY/gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH+HLLKD9"
    "M7dx5oo7GURknchnrRweUkC7hT5fJLM0WbFAKNLWY2vv7B6NqXSzUvxT0/YSfqijwp3RTzlBaCxW"
    "p4doFk5N2o8Gy/nHNKroADIkJ46pRUohsXywbReAdYaMwFs9tv8d/cPVY3i07a3t8MN6TNwm0dSa"
    "wm9v47UiCl3Sk5ZiG7xojPLu4sbg1U2jx4IBTNBznbJSzFHK66jT8bgkuqsk0GjskDJk19Z4qwjw"
    "bsnn4j2WBii3RL+Us2lGVkY8fkFzme1z0HbIkfz0Y6mqnOYtqc0X4jfcKoAC8QKBgQDzeL7si8wZ"
    "egxcKyS/vdMqvzrfsWI7tnbvO/yiPqltZRDIs9AFDG09WfAPbRH7rR5MOYPa6Ocy3k+ioyubxF+Y"
    "2FVYO2OMyYIyM6lJeJwUePtc65UhhDKpVaVYSHp03foZVliT3c3wFz29jjXHLwH1HPM4ZVDNe80S"
    "+fs7SdVt+wKBgQDd185H1y5ir7RL6aQUvOAi2AwR8XMHareFZ6Ey4bSgK6qdve+hsvK6aqNVlA7V"
    "0it3CBOcJ2ljMFw59bmvfvQAVeOJZ+380YSKi+ieLOEqmj1VVLvxPMWDGQh2t5xF7Oxn7WRh3+zW"
    "oNvG2QMSB8AhMAb0tScAO6fi8hxvrJ6XGQKBgBuLD15HOmGvcvKCVvfyC4+MbqabtJc4vx+1U5Ev"
    "MY+UnV93KBNKIpmMMSItnpkwLntFDmuXaYBRsgSeHPLUNlReNNl0boCg0z/GpGIRaObQAO+0HvzZ"
    "rbmGXNwt5tyNuBthr0ebEg8VMgDds6vC35/RFJrOq2Nzm/GHoipE4gY9AoGBALPZQB/X4IAbKBUf"
    "DmnNkfxNoMNvNq09pBjgIbyJZRExNXn6wOoblFLzHwXDKZ/Janlur8852GOUkkBe6THQv2oCN5xv"
    "CG6dQVG9CVIq2kTalHy4XEG/3fRheA4e3u+Fm0bKG0aJ7o02DdcQmj+kzutY71q1/i9fLcV8OPeE"
    "P3IJAoGAGyM/p6JrXySiz1toFgKbWV+JdI3jQ4ypu9rbMWx3rQJBfmt0FoYzgUIZEVFEcOqwemRN"
    "81zoDAaa+Bk0KWNGDjJHZDdDmFhW3AN7lI+puxk/mHZGJ11rxyR8O55XLSe3SPmRfKwZI6yU24Zx"
    "vQKFYItdldUKGzO6Ia6zTKhAVRU=";
static const char rfc7515_a3[] =
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIffH1136cspYG6+"
    "0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp7xO6z248e9FURcfxRM0bvZt+"
    "hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt";

static struct key *
key_of(const char *base64)
{
	gsize length;
	g_autofree guint8 *der = g_base64_decode(base64, &length);
	CLEANUP(secret) struct secret *secret = secret_new(der, length);
	g_autoptr(GError) error = NULL;
	struct key *key = key_parse_pkcs8(secret, &error);

	g_assert_no_error(error);
	return key;
}

static void
test_rs256(void)
{
	CLEANUP(key) struct key *key = key_of(rfc7515_a2);
	g_autofree char *jws = jws_sign(key, "{\"alg\":\"RS256\"}", PAYLOAD, NULL);
	g_autofree char *expected =
	    g_strdup_printf("{\"protected\":\"" HEADER_RS256 "\",\"payload\":\"" PAYLOAD_TEXT
			    "\",\"signature\":\"%s\"}",
			    rfc7515_a2_signature);

	g_assert_cmpstr(jws_algorithm(key), ==, "RS256");
	g_assert_cmpstr(jws, ==, expected);
}

static void
test_hs256(void)
{
	CLEANUP(secret)
	struct secret *text = secret_new_text("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
					      "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
	CLEANUP(secret) struct secret *key = jws_secret_decode(text, NULL);
	g_autofree char *jws =
	    jws_sign_hmac(key, "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}", PAYLOAD, NULL);

	g_assert_cmpstr(jws, ==,
			"{\"protected\":\"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\","
			"\"payload\":\"" PAYLOAD_TEXT "\","
			"\"signature\":\"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\"}");
}

/* The signature is r and s side by side; OpenSSL has to find it good as DER. */
static gboolean
es_verifies(const struct key *key, const char *input, const char *signature)
{
	g_autoptr(GBytes) raw = jws_base64url_decode(signature, NULL);
	gsize length, half;
	const guint8 *bytes = g_bytes_get_data(raw, &length);
	ECDSA_SIG *parts = ECDSA_SIG_new();
	unsigned char *der = NULL;
	g_autoptr(EVP_MD_CTX) verifier = EVP_MD_CTX_new();
	const char *digest = length == 64 ? "SHA256" : length == 96 ? "SHA384" : "SHA512";

	half = length / 2;
	ECDSA_SIG_set0(parts, BN_bin2bn(bytes, (int)half, NULL),
		       BN_bin2bn(bytes + half, (int)half, NULL));
	int size = i2d_ECDSA_SIG(parts, &der);
	ECDSA_SIG_free(parts);
	gboolean good =
	    EVP_DigestVerifyInit_ex(verifier, NULL, digest, NULL, NULL, key_pkey(key), NULL) == 1 &&
	    EVP_DigestVerify(verifier, der, (gsize)size, (const guint8 *)input, strlen(input)) == 1;
	OPENSSL_free(der);
	return good;
}

static char *
member(const char *json, const char *name)
{
	g_autofree char *start = g_strdup_printf("\"%s\":\"", name);
	const char *p = strstr(json, start);

	g_assert_nonnull(p);
	p += strlen(start);
	return g_strndup(p, strcspn(p, "\""));
}

static void
check_ec(const struct key *key, const char *algorithm, gsize signature_length)
{
	/* Numbers with leading zeros come up now and then: their width stays. */
	for (int i = 0; i < 300; i++) {
		g_autofree char *payload = g_strdup_printf("%d", i);
		g_autofree char *jws = jws_sign(key, "{}", payload, NULL);
		g_autofree char *header = member(jws, "protected");
		g_autofree char *body = member(jws, "payload");
		g_autofree char *signature = member(jws, "signature");
		g_autofree char *input = g_strconcat(header, ".", body, NULL);

		g_assert_cmpuint(strlen(signature), ==, signature_length);
		g_assert_true(es_verifies(key, input, signature));
	}
	g_assert_cmpstr(jws_algorithm(key), ==, algorithm);
}

static void
test_es256(void)
{
	CLEANUP(key) struct key *key = key_of(rfc7515_a3);
	g_autofree char *jwk = jws_jwk(key, NULL);
	g_autofree char *thumbprint = jws_thumbprint(key, NULL);

	g_assert_cmpstr(jwk, ==,
			"{\"crv\":\"P-256\",\"kty\":\"EC\","
			"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
	g_assert_cmpstr(thumbprint, ==, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
	check_ec(key, "ES256", 86);
	/* RFC 7515 appendix A.3: its own signature is found good by what judges ours. */
	g_assert_true(es_verifies(key, "eyJhbGciOiJFUzI1NiJ9." PAYLOAD_TEXT,
				  "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
				  "pmWQxfKTUJqPP3-Kg6NU1Q"));
}

static void
test_larger_curves(void)
{
	CLEANUP(key) struct key *p384 = key_generate(KEY_KIND_EC, 384, NULL);
	CLEANUP(key) struct key *p521 = key_generate(KEY_KIND_EC, 521, NULL);

	check_ec(p384, "ES384", 128);
	check_ec(p521, "ES512", 176);
}

static void
test_thumbprint(void)
{
	CLEANUP(key) struct key *key = key_of(rfc7517_a2);
	g_autofree char *thumbprint = jws_thumbprint(key, NULL);

	g_assert_cmpstr(thumbprint, ==, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

static void
test_base64url(void)
{
	static const struct {
		const char *says, *text;
		int length; /* -1: refused */
		guint8 bytes[4];
	} rows[] = {
		{ "RFC 7515 appendix C", "A-z_4ME", 5, { 3, 236, 255, 224 } },
		{ "nothing", "", 0, { 0 } },
		{ "one byte", "AQ", 1, { 1 } },
		{ "padding is skipped", "AQ==", 1, { 1 } },
		{ "one character is no byte", "A", -1, { 0 } },
		{ "base64 is another alphabet", "A+z/4ME", -1, { 0 } },
		{ "no blanks", "AQ AQ", -1, { 0 } },
		{ "padding inside", "AQ=AQ", -1, { 0 } },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) bytes = jws_base64url_decode(rows[i].text, &error);

		g_test_message("%s", rows[i].says);
		g_assert_true((bytes != NULL) == (rows[i].length >= 0));
		if (bytes == NULL)
			continue;
		g_assert_cmpint((int)g_bytes_get_size(bytes), ==, rows[i].length);
		g_assert_cmpmem(g_bytes_get_data(bytes, NULL), MIN(rows[i].length, 4),
				rows[i].bytes, (gsize)MIN(rows[i].length, 4));
		g_autofree char *again =
		    jws_base64url(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
		g_assert_true(g_str_has_prefix(rows[i].text, again));
	}
}

static void
test_refused(void)
{
	CLEANUP(secret) struct secret *empty = secret_new_text("");
	CLEANUP(secret) struct secret *wrong = secret_new_text("not base64url!");
	g_autoptr(GError) error = NULL;

	g_assert_null(jws_secret_decode(wrong, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_null(strstr(error->message, "base64url!"));
	g_clear_error(&error);
	g_assert_null(jws_secret_decode(empty, &error));
	g_clear_error(&error);
	g_assert_null(jws_sign_hmac(empty, "{}", "", &error));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/jws/rs256", test_rs256);
	g_test_add_func("/jws/hs256", test_hs256);
	g_test_add_func("/jws/es256", test_es256);
	g_test_add_func("/jws/larger-curves", test_larger_curves);
	g_test_add_func("/jws/thumbprint", test_thumbprint);
	g_test_add_func("/jws/base64url", test_base64url);
	g_test_add_func("/jws/refused", test_refused);
	return g_test_run();
}
