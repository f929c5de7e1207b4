/*
 * cms_password - PBKDF2 and the double CBC of RFC 3211.
 */
#include "pki/crypto/cms_password.h"

#include <openssl/rand.h>
#include <string.h>

#include "pki/crypto/cms_oid.h"
#include "pki/crypto/internal.h"
#include "pki/crypto/tlv.h"

#define TAG_PASSWORD TLV_CONTEXT_CONSTRUCTED(3)
#define TAG_DERIVATION TLV_CONTEXT_CONSTRUCTED(0)
#define SALT_BYTES 16
#define SALT_MAX_BYTES 64
#define KEK_BYTES 32
#define BLOCK 16
#define CHECK_BYTES 4 /* length, and three bytes of the key inverted */
#define WRAPPED_MAX_BYTES 64

static const guint8 pbkdf2_bytes[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c };
static const guint8 hmac_sha1_bytes[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07 };
static const guint8 hmac_sha256_bytes[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09 };
static const guint8 pwri_kek_bytes[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
					 0x01, 0x09, 0x10, 0x03, 0x09 };

struct derivation {
	struct tlv salt;
	guint64 iterations;
	const EVP_MD *digest;
	struct tlv iv;
	const EVP_CIPHER *cipher;
	struct tlv wrapped;
};

static gboolean
derive(const struct secret *password, const struct derivation *derivation, guint8 *kek)
{
	int kek_length = EVP_CIPHER_get_key_length(derivation->cipher);

	return PKCS5_PBKDF2_HMAC(secret_text(password), (int)secret_length(password),
				 derivation->salt.bytes, (int)derivation->salt.length,
				 (int)derivation->iterations, derivation->digest, kek_length,
				 kek) > 0;
}

/* CBC over whole blocks, without padding; in may be out. */
static gboolean
cbc(gboolean encrypt, const EVP_CIPHER *cipher, const guint8 *kek, const guint8 *iv,
    const guint8 *in, gsize length, guint8 *out)
{
	g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
	int made;

	return context != NULL &&
	       EVP_CipherInit_ex(context, cipher, NULL, kek, iv, encrypt ? 1 : 0) > 0 &&
	       EVP_CIPHER_CTX_set_padding(context, 0) > 0 &&
	       EVP_CipherUpdate(context, out, &made, in, (int)length) > 0 && made == (int)length;
}

/* --- writing --- */

/* RFC 3211 section 2.3.1: encrypted twice, the second time with the last block as IV. */
static gboolean
wrap(const guint8 *kek, const guint8 *iv, const guint8 *key, gsize key_length, guint8 *out,
     gsize length)
{
	out[0] = (guint8)key_length;
	for (gsize i = 0; i < 3; i++)
		out[1 + i] = (guint8)~key[i];
	memcpy(out + CHECK_BYTES, key, key_length);
	if (RAND_bytes(out + CHECK_BYTES + key_length, (int)(length - CHECK_BYTES - key_length)) <=
	    0)
		return FALSE;
	if (!cbc(TRUE, EVP_aes_256_cbc(), kek, iv, out, length, out))
		return FALSE;
	guint8 last[BLOCK];
	memcpy(last, out + length - BLOCK, BLOCK);
	return cbc(TRUE, EVP_aes_256_cbc(), kek, last, out, length, out);
}

static void
put_derivation(GByteArray *out, const guint8 *salt)
{
	guint place = tlv_open(out);
	guint parameters;
	guint prf;
	const guint8 iterations[] = { CMS_PASSWORD_ITERATIONS >> 16,
				      (CMS_PASSWORD_ITERATIONS >> 8) & 0xff,
				      CMS_PASSWORD_ITERATIONS & 0xff };

	tlv_put(out, TLV_OID, pbkdf2_bytes, sizeof pbkdf2_bytes);
	parameters = tlv_open(out);
	tlv_put(out, TLV_OCTET_STRING, salt, SALT_BYTES);
	tlv_put(out, TLV_INTEGER, iterations, sizeof iterations);
	prf = tlv_open(out);
	tlv_put(out, TLV_OID, hmac_sha256_bytes, sizeof hmac_sha256_bytes);
	tlv_put(out, TLV_NULL, NULL, 0);
	tlv_close(out, prf, TLV_SEQUENCE);
	tlv_close(out, parameters, TLV_SEQUENCE);
	tlv_close(out, place, TAG_DERIVATION);
}

static void
put_wrap_algorithm(GByteArray *out, const guint8 *iv)
{
	guint place = tlv_open(out);
	guint cipher;

	tlv_put(out, TLV_OID, pwri_kek_bytes, sizeof pwri_kek_bytes);
	cipher = tlv_open(out);
	tlv_put(out, TLV_OID, oid_aes256_cbc.bytes, oid_aes256_cbc.length);
	tlv_put(out, TLV_OCTET_STRING, iv, BLOCK);
	tlv_close(out, cipher, TLV_SEQUENCE);
	tlv_close(out, place, TLV_SEQUENCE);
}

gboolean
cms_password_put(GByteArray *out, const struct secret *password, const guint8 *key,
		 gsize key_length, GError **error)
{
	gsize length = MAX((CHECK_BYTES + key_length + BLOCK - 1) / BLOCK, 2) * BLOCK;
	guint8 salt[SALT_BYTES], iv[BLOCK], kek[KEK_BYTES], wrapped[WRAPPED_MAX_BYTES];
	const guint8 version = 0;
	struct derivation derivation = { .salt = { salt, sizeof salt },
					 .iterations = CMS_PASSWORD_ITERATIONS,
					 .digest = EVP_sha256(),
					 .cipher = EVP_aes_256_cbc() };
	gboolean good;

	g_assert(length <= WRAPPED_MAX_BYTES && key_length >= 3);
	good = RAND_bytes(salt, sizeof salt) > 0 && RAND_bytes(iv, sizeof iv) > 0 &&
	       derive(password, &derivation, kek) &&
	       wrap(kek, iv, key, key_length, wrapped, length);
	wipe(kek, sizeof kek);
	if (!good)
		return fail_openssl_false(error, PS_ERROR_TEMPORARY,
					  "could not encrypt to a passphrase");
	guint place = tlv_open(out);
	tlv_put(out, TLV_INTEGER, &version, 1);
	put_derivation(out, salt);
	put_wrap_algorithm(out, iv);
	tlv_put(out, TLV_OCTET_STRING, wrapped, length);
	tlv_close(out, place, TAG_PASSWORD);
	return TRUE;
}

/* --- reading --- */

static gboolean
read_number(const struct tlv *content, guint64 *number)
{
	*number = 0;
	if (content->length == 0 || content->length > 5 || content->bytes[0] > 0x7f)
		return FALSE;
	for (gsize i = 0; i < content->length; i++)
		*number = *number << 8 | content->bytes[i];
	return *number > 0 && *number <= CMS_PASSWORD_ITERATIONS_MAX;
}

/* hmacWithSHA1, 256, 384 and 512 differ in their last arc alone. */
static const EVP_MD *
prf_digest(const struct tlv *oid)
{
	gsize arcs = sizeof hmac_sha1_bytes - 1;

	if (oid->length != sizeof hmac_sha1_bytes || memcmp(oid->bytes, hmac_sha1_bytes, arcs) != 0)
		return NULL;
	switch (oid->bytes[arcs]) {
	case 7:
		return EVP_sha1();
	case 9:
		return EVP_sha256();
	case 10:
		return EVP_sha384();
	case 11:
		return EVP_sha512();
	default:
		return NULL;
	}
}

/* PBKDF2-params (RFC 8018 appendix A.2). */
static gboolean
read_derivation(struct tlv in, struct derivation *derivation)
{
	struct tlv oid, parameters, iterations, key_length, prf, prf_oid;

	if (!tlv_take(&in, TLV_OID, &oid) || !tlv_is(&oid, pbkdf2_bytes, sizeof pbkdf2_bytes) ||
	    !tlv_take(&in, TLV_SEQUENCE, &parameters) ||
	    !tlv_take(&parameters, TLV_OCTET_STRING, &derivation->salt) ||
	    derivation->salt.length > SALT_MAX_BYTES ||
	    !tlv_take(&parameters, TLV_INTEGER, &iterations) ||
	    !read_number(&iterations, &derivation->iterations))
		return FALSE;
	(void)tlv_take(&parameters, TLV_INTEGER, &key_length);
	derivation->digest = EVP_sha1(); /* the default of the RFC */
	if (!tlv_take(&parameters, TLV_SEQUENCE, &prf))
		return TRUE;
	if (!tlv_take(&prf, TLV_OID, &prf_oid))
		return FALSE;
	derivation->digest = prf_digest(&prf_oid);
	return derivation->digest != NULL;
}

static gboolean
read_wrap_algorithm(struct tlv in, struct derivation *derivation)
{
	struct tlv oid, cipher, cipher_oid;

	if (!tlv_take(&in, TLV_OID, &oid) || !tlv_is(&oid, pwri_kek_bytes, sizeof pwri_kek_bytes) ||
	    !tlv_take(&in, TLV_SEQUENCE, &cipher) || !tlv_take(&cipher, TLV_OID, &cipher_oid) ||
	    !tlv_take(&cipher, TLV_OCTET_STRING, &derivation->iv) || derivation->iv.length != BLOCK)
		return FALSE;
	if (tlv_equal(&cipher_oid, &oid_aes128_cbc))
		derivation->cipher = EVP_aes_128_cbc();
	else if (tlv_equal(&cipher_oid, &oid_aes192_cbc))
		derivation->cipher = EVP_aes_192_cbc();
	else if (tlv_equal(&cipher_oid, &oid_aes256_cbc))
		derivation->cipher = EVP_aes_256_cbc();
	else
		return FALSE;
	return TRUE;
}

static gboolean
read_info(GBytes *recipient_info, struct derivation *derivation)
{
	struct tlv in = tlv_of_bytes(recipient_info);
	struct tlv info, version, part;

	return tlv_take(&in, TAG_PASSWORD, &info) && tlv_take(&info, TLV_INTEGER, &version) &&
	       tlv_take(&info, TAG_DERIVATION, &part) && read_derivation(part, derivation) &&
	       tlv_take(&info, TLV_SEQUENCE, &part) && read_wrap_algorithm(part, derivation) &&
	       tlv_take(&info, TLV_OCTET_STRING, &derivation->wrapped) &&
	       derivation->wrapped.length >= 2 * BLOCK &&
	       derivation->wrapped.length <= WRAPPED_MAX_BYTES &&
	       derivation->wrapped.length % BLOCK == 0;
}

/* RFC 3211 section 2.3.2: the last block first, it is the IV of the rest. */
static gboolean
unwrap(const struct derivation *derivation, const guint8 *kek, guint8 *out)
{
	gsize length = derivation->wrapped.length;
	const guint8 *in = derivation->wrapped.bytes;
	guint8 last[BLOCK];

	return cbc(FALSE, derivation->cipher, kek, in + length - 2 * BLOCK, in + length - BLOCK,
		   BLOCK, last) &&
	       cbc(FALSE, derivation->cipher, kek, last, in, length, out) &&
	       cbc(FALSE, derivation->cipher, kek, derivation->iv.bytes, out, length, out);
}

static gboolean
looks_right(const guint8 *plain, gsize length, gsize key_length)
{
	guint8 wrong = 0;

	if (plain[0] != key_length || CHECK_BYTES + key_length > length)
		return FALSE;
	for (gsize i = 0; i < 3; i++)
		wrong |= (guint8)(plain[1 + i] ^ plain[CHECK_BYTES + i] ^ 0xff);
	return wrong == 0;
}

gboolean
cms_password_take(GBytes *recipient_info, const struct secret *password, guint8 *key,
		  gsize key_length)
{
	struct derivation derivation;
	guint8 kek[EVP_MAX_KEY_LENGTH], plain[WRAPPED_MAX_BYTES];
	gboolean good;

	if (!read_info(recipient_info, &derivation))
		return FALSE;
	good = derive(password, &derivation, kek) && unwrap(&derivation, kek, plain) &&
	       looks_right(plain, derivation.wrapped.length, key_length);
	if (good)
		memcpy(key, plain + CHECK_BYTES, key_length);
	wipe(kek, sizeof kek);
	wipe(plain, sizeof plain);
	return good;
}

gboolean
cms_password_is(GBytes *recipient_info)
{
	struct tlv in = tlv_of_bytes(recipient_info);

	return tlv_tag(&in) == TAG_PASSWORD;
}
