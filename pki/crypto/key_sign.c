/*
 * key_sign - EVP_DigestSign with the default padding.
 */
#include "pki/crypto/key_sign.h"

#include "pki/crypto/internal.h"

GBytes *
key_sign_sha256(const struct key *key, GBytes *bytes, GError **error)
{
	g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
	gsize length;
	const unsigned char *in = g_bytes_get_data(bytes, &length);
	size_t size = 0;

	if (context == NULL ||
	    EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key_pkey(key)) != 1 ||
	    EVP_DigestSign(context, NULL, &size, in, length) != 1)
		return fail_openssl(error, PS_ERROR_INVALID, "a %s key cannot sign this",
				    key_text(key));
	g_autofree guint8 *out = g_malloc(size);
	if (EVP_DigestSign(context, out, &size, in, length) != 1)
		return fail_openssl(error, PS_ERROR_INVALID, "a %s key cannot sign this",
				    key_text(key));
	return g_bytes_new(out, size);
}
