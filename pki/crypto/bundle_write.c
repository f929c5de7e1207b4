/*
 * bundle_write - PEM, PKCS#7 and keys for export. PKCS#12 has a file of its own.
 */
#include "pki/crypto/bundle.h"

#include <openssl/pem.h>
#include <string.h>

#include "pki/crypto/internal.h"

static GBytes *
bio_bytes(BIO *bio)
{
	char *text = NULL;
	long length = BIO_get_mem_data(bio, &text);

	return g_bytes_new(text, length > 0 ? (gsize)length : 0);
}

GBytes *
bundle_write_pem(GPtrArray *certs, GError **error)
{
	g_autoptr(BIO) out = BIO_new(BIO_s_mem());

	for (guint i = 0; i < certs->len; i++) {
		const struct cert *cert = certs->pdata[i];

		BIO_printf(out, "# %s\n", cert_subject(cert));
		if (PEM_write_bio_X509(out, cert_x509(cert)) != 1)
			return fail_openssl(error, PS_ERROR_BUG,
					    "the certificate could not be written");
	}
	return bio_bytes(out);
}

/* A SignedData without signers, as .p7b files are (RFC 5652 section 5). */
GBytes *
bundle_write_pkcs7(GPtrArray *certs, gboolean pem, GError **error)
{
	g_autoptr(PKCS7) p7 = PKCS7_new();
	unsigned char *der = NULL;

	if (PKCS7_set_type(p7, NID_pkcs7_signed) != 1 ||
	    PKCS7_content_new(p7, NID_pkcs7_data) != 1 || PKCS7_set_detached(p7, 1) != 1)
		return fail_openssl(error, PS_ERROR_BUG, "the PKCS#7 file could not be made");
	for (guint i = 0; i < certs->len; i++)
		if (PKCS7_add_certificate(p7, cert_x509(certs->pdata[i])) != 1)
			return fail_openssl(error, PS_ERROR_BUG,
					    "the PKCS#7 file could not be made");
	if (pem) {
		g_autoptr(BIO) out = BIO_new(BIO_s_mem());

		if (PEM_write_bio_PKCS7(out, p7) != 1)
			return fail_openssl(error, PS_ERROR_BUG,
					    "the PKCS#7 file could not be written");
		return bio_bytes(out);
	}
	int length = i2d_PKCS7(p7, &der);
	if (length <= 0)
		return fail_openssl(error, PS_ERROR_BUG, "the PKCS#7 file could not be written");
	return bytes_take_openssl(der, length);
}

struct secret *
bundle_write_key_pem(const struct key *key, const struct secret *password, GError **error)
{
	g_autoptr(BIO) out = BIO_new(BIO_s_secmem());
	g_autoptr(PKCS8_PRIV_KEY_INFO) info = EVP_PKEY2PKCS8(key_pkey(key));
	gboolean good = out != NULL && info != NULL;
	char *text = NULL;

	if (good && password == NULL) {
		good = PEM_write_bio_PKCS8_PRIV_KEY_INFO(out, info) == 1;
	} else if (good) {
		X509_ALGOR *algorithm =
		    PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), BUNDLE_PKCS12_ITERATIONS, NULL, 16, NULL,
				      NID_hmacWithSHA256);
		g_autoptr(X509_SIG) sealed =
		    algorithm == NULL
			? NULL
			: PKCS8_set0_pbe(secret_text(password), (int)secret_length(password), info,
					 algorithm);
		if (algorithm != NULL && sealed == NULL)
			X509_ALGOR_free(algorithm);
		good = sealed != NULL && PEM_write_bio_PKCS8(out, sealed) == 1;
	}
	if (!good)
		return fail_openssl(error, PS_ERROR_BUG, "the private key could not be written");
	long length = BIO_get_mem_data(out, &text);
	return secret_new(text, length > 0 ? (gsize)length : 0);
}
