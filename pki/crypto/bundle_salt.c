/*
 * bundle_salt - salts that old programs derive the right key from.
 */
#include "pki/crypto/bundle_salt.h"

#include <openssl/pkcs12.h>
#include <openssl/rand.h>

#define BLOCK_BYTES 64 /* v of RFC 7292 B.2 for SHA-1 */
#define DIGEST_BYTES 20
#define TRIES_MAX 100

/* The first octet of block + addend + 1, modulo 2^512. */
static guint8
first_of_sum(const guint8 *block, const guint8 *addend)
{
	guint carry = 1;

	for (int i = BLOCK_BYTES - 1; i >= 0; i--)
		carry = (carry >> 8) + block[i] + addend[i];
	return (guint8)carry;
}

/* Octets again and again until they fill whole blocks (steps 2 and 3); some sum begins with 0? */
static gboolean
sums_are_whole(const guint8 *octets, gsize length, const guint8 *addend)
{
	gsize total = (length + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
	guint8 block[BLOCK_BYTES];
	gboolean whole = TRUE;

	for (gsize at = 0; at < total; at += BLOCK_BYTES) {
		for (gsize i = 0; i < BLOCK_BYTES; i++)
			block[i] = octets[(at + i) % length];
		whole = whole && first_of_sum(block, addend) != 0;
	}
	wipe(block, sizeof(block));
	return whole;
}

gboolean
bundle_salt_fits(const guint8 salt[BUNDLE_SALT_BYTES], const struct secret *password,
		 int iterations)
{
	unsigned char *text = NULL;
	int length = 0;
	guint8 digest[DIGEST_BYTES], addend[BLOCK_BYTES];

	if (OPENSSL_utf82uni(secret_text(password), (int)secret_length(password), &text, &length) ==
	    NULL)
		return FALSE;
	gboolean good =
	    PKCS12_key_gen_uni(text, length, (unsigned char *)salt, BUNDLE_SALT_BYTES,
			       PKCS12_KEY_ID, iterations, DIGEST_BYTES, digest, EVP_sha1()) == 1;
	for (gsize i = 0; i < BLOCK_BYTES; i++)
		addend[i] = digest[i % DIGEST_BYTES];
	good = good && sums_are_whole(salt, BUNDLE_SALT_BYTES, addend) &&
	       sums_are_whole(text, (gsize)length, addend);
	OPENSSL_clear_free(text, (size_t)length);
	wipe(digest, sizeof(digest));
	wipe(addend, sizeof(addend));
	return good;
}

gboolean
bundle_salt_make(guint8 salt[BUNDLE_SALT_BYTES], const struct secret *password, int iterations)
{
	gboolean good = FALSE;

	for (int i = 0; i < TRIES_MAX && !good; i++)
		good = RAND_bytes(salt, BUNDLE_SALT_BYTES) == 1 &&
		       bundle_salt_fits(salt, password, iterations);
	return good;
}
