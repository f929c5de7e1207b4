/*
 * bundle_pem - PEM blocks, one after the other; a broken one does not stop the next.
 */
#include "pki/crypto/bundle_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "pki/crypto/der.h"
#include "store/base/printable.h"

static int
pem_password(char *buffer, int size, int writing, void *data)
{
	const struct bundle_reader *reader = data;
	gsize length = reader->password != NULL ? secret_length(reader->password) : 0;

	(void)writing;
	if (reader->password == NULL || length > (gsize)size)
		return -1;
	memcpy(buffer, secret_bytes(reader->password), length);
	return (int)length;
}

static gboolean
is_traditional_key(const char *label)
{
	return strcmp(label, PEM_STRING_RSA) == 0 || strcmp(label, PEM_STRING_ECPRIVATEKEY) == 0 ||
	       strcmp(label, PEM_STRING_DSA) == 0;
}

/* RFC 1421's Proc-Type and DEK-Info, as OpenSSL's traditional format has them. */
static void
add_traditional_key(struct bundle_reader *reader, char *header, unsigned char *data, long length)
{
	EVP_CIPHER_INFO cipher;
	gboolean encrypted = strstr(header, "ENCRYPTED") != NULL;

	if (!encrypted) {
		bundle_add_key_der(reader, data, (gsize)length);
		return;
	}
	if (reader->password == NULL) {
		if (bundle_count_object(reader))
			bundle_reject(reader, "private key", "a password is needed");
		return;
	}
	OSSL_LIB_CTX *previous = legacy_enter();
	gboolean known = PEM_get_EVP_CIPHER_INFO(header, &cipher) == 1;
	gboolean opened = known && PEM_do_header(&cipher, data, &length, pem_password, reader) == 1;
	legacy_leave(previous);
	const unsigned char *p = data;
	EVP_PKEY *pkey = opened ? d2i_AutoPrivateKey(NULL, &p, length) : NULL;
	ERR_clear_error();
	if (pkey == NULL) {
		if (bundle_count_object(reader))
			bundle_reject(reader, "private key", "%s",
				      known ? "wrong password" : "its encryption is not supported");
		return;
	}
	bundle_add_pkey(reader, pkey);
}

/* A TRUSTED CERTIFICATE of OpenSSL's has its own data behind the certificate: cut off. */
static void
add_trusted_cert(struct bundle_reader *reader, const unsigned char *data, long length)
{
	struct der all = der_of(data, (gsize)length);
	struct der_element element;

	if (der_take(&all, DER_SEQUENCE, &element))
		bundle_add_cert_der(reader, element.start, (gsize)(element.end - element.start));
	else
		bundle_add_cert_der(reader, data, (gsize)length);
}

/* PKCS#12 in PEM's lines: no program writes it, drafts and mail do. */
static void
add_pkcs12(struct bundle_reader *reader, const unsigned char *data, long length)
{
	g_autoptr(GError) why = NULL;

	if (!bundle_read_pkcs12(reader, data, (gsize)length, "PKCS12", &why) &&
	    bundle_count_object(reader))
		bundle_reject(reader, "PKCS12", "%s", why->message);
}

static void
add_pem_object(struct bundle_reader *reader, const char *label, char *header, unsigned char *data,
	       long length)
{
	static const char *const cms_labels[] = { PEM_STRING_PKCS7, PEM_STRING_PKCS7_SIGNED,
						  PEM_STRING_CMS };

	if (strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0) {
		bundle_add_cert_der(reader, data, (gsize)length);
		return;
	}
	if (strcmp(label, PEM_STRING_X509_TRUSTED) == 0) {
		add_trusted_cert(reader, data, length);
		return;
	}
	if (strcmp(label, PEM_STRING_X509_CRL) == 0) {
		bundle_add_crl_der(reader, data, (gsize)length);
		return;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(cms_labels); i++)
		if (strcmp(label, cms_labels[i]) == 0) {
			bundle_add_cms_der(reader, data, (gsize)length);
			return;
		}
	if (strcmp(label, PEM_STRING_PKCS8) == 0)
		bundle_add_encrypted_key_der(reader, data, (gsize)length);
	else if (strcmp(label, PEM_STRING_PKCS8INF) == 0)
		bundle_add_key_der(reader, data, (gsize)length);
	else if (strcmp(label, "PKCS12") == 0)
		add_pkcs12(reader, data, length);
	else if (is_traditional_key(label))
		add_traditional_key(reader, header, data, length);
	else if (strcmp(label, PEM_STRING_ECPARAMETERS) != 0 && bundle_count_object(reader)) {
		g_autofree char *shown = printable(label);
		bundle_reject(reader, shown, "neither a certificate nor a key nor a CRL");
	}
}

void
bundle_read_pem(struct bundle_reader *reader, gconstpointer bytes, gsize length)
{
	g_autoptr(BIO) in = BIO_new_mem_buf(bytes, (int)length);

	while (in != NULL && !reader->full) {
		char *label = NULL, *header = NULL;
		unsigned char *data = NULL;
		long size = 0;

		if (PEM_read_bio(in, &label, &header, &data, &size) == 1) {
			add_pem_object(reader, label, header, data, size);
			OPENSSL_free(label);
			OPENSSL_free(header);
			OPENSSL_clear_free(data, (gsize)size);
			continue;
		}
		gboolean end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
		ERR_clear_error();
		if (end)
			break;
		if (bundle_count_object(reader))
			bundle_reject(reader, "PEM block", "its base64 or its END line is broken");
	}
}
