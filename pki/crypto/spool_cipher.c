/*
 * spool_cipher - AES-256-GCM, one nonce a block: 8 octets of file number, 4 of block number.
 *
 * The key is of the process and a pair of file and block is used once, so no nonce repeats.
 */
#include "pki/crypto/spool_cipher.h"

#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

#include "store/base/error.h"
#include "store/base/secret.h"

#define KEY_BYTES 32
#define NONCE_BYTES 12

G_STATIC_ASSERT(SPOOL_CIPHER_TAG_BYTES == 16);

struct spool_cipher {
	EVP_CIPHER *algorithm;
	struct secret *key;
};

struct spool_cipher *
spool_cipher_new(GError **error)
{
	struct spool_cipher *cipher = g_new0(struct spool_cipher, 1);

	cipher->key = secret_new_random(KEY_BYTES, error);
	if (cipher->key == NULL) {
		spool_cipher_free(cipher);
		return NULL;
	}
	cipher->algorithm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (cipher->algorithm == NULL) {
		spool_cipher_free(cipher);
		return fail(error, PS_ERROR_BUG, "spool: OpenSSL has no AES-256-GCM");
	}
	return cipher;
}

void
spool_cipher_free(struct spool_cipher *cipher)
{
	if (cipher == NULL)
		return;
	EVP_CIPHER_free(cipher->algorithm);
	secret_unref(cipher->key);
	g_free(cipher);
}

static void
make_nonce(guint8 nonce[NONCE_BYTES], guint64 file, guint32 block)
{
	guint64 file_be = GUINT64_TO_BE(file);
	guint32 block_be = GUINT32_TO_BE(block);

	memcpy(nonce, &file_be, sizeof file_be);
	memcpy(nonce + sizeof file_be, &block_be, sizeof block_be);
}

gboolean
spool_cipher_seal(struct spool_cipher *cipher, guint64 file, guint32 block, const guint8 *in,
		  gsize length, guint8 *out, GError **error)
{
	guint8 nonce[NONCE_BYTES];
	int written = 0;
	int rest = 0;
	gboolean done;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	make_nonce(nonce, file, block);
	done = context != NULL && length <= INT_MAX &&
	       EVP_EncryptInit_ex2(context, cipher->algorithm, secret_bytes(cipher->key), nonce,
				   NULL) == 1 &&
	       EVP_EncryptUpdate(context, out, &written, in, (int)length) == 1 &&
	       EVP_EncryptFinal_ex(context, out + written, &rest) == 1 &&
	       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, SPOOL_CIPHER_TAG_BYTES,
				   out + length) == 1;
	EVP_CIPHER_CTX_free(context);
	if (!done)
		return fail_false(error, PS_ERROR_BUG, "spool: cannot encrypt a block");
	return TRUE;
}

gboolean
spool_cipher_open(struct spool_cipher *cipher, guint64 file, guint32 block, const guint8 *in,
		  gsize length, guint8 *out, GError **error)
{
	guint8 nonce[NONCE_BYTES];
	guint8 tag[SPOOL_CIPHER_TAG_BYTES];
	int written = 0;
	int rest = 0;
	gboolean done;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	make_nonce(nonce, file, block);
	memcpy(tag, in + length, sizeof tag);
	done =
	    context != NULL && length <= INT_MAX &&
	    EVP_DecryptInit_ex2(context, cipher->algorithm, secret_bytes(cipher->key), nonce,
				NULL) == 1 &&
	    EVP_DecryptUpdate(context, out, &written, in, (int)length) == 1 &&
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, SPOOL_CIPHER_TAG_BYTES, tag) == 1 &&
	    EVP_DecryptFinal_ex(context, out + written, &rest) == 1;
	EVP_CIPHER_CTX_free(context);
	if (!done)
		return fail_false(error, PS_ERROR_BUG,
				  "spool: a block is not what was written: the disk is damaged or "
				  "somebody changed it");
	return TRUE;
}
