/*
 * bundle_internal - shared by the readers of bundle: what collects the objects of one file.
 */
#ifndef PKI_CRYPTO_BUNDLE_INTERNAL_H
#define PKI_CRYPTO_BUNDLE_INTERNAL_H

#include "pki/crypto/bundle.h"
#include "pki/crypto/internal.h"

struct bundle_reader {
	struct bundle *bundle;
	const struct secret *password; /* or NULL */
	GHashTable *seen;              /* thumbprints and SPKI hashes */
	guint objects;
	guint64 iterations; /* used up so far */
	gboolean full;      /* the limit of objects was met and said */
};

enum bundle_content {
	CONTENT_UNKNOWN,
	CONTENT_CERT,
	CONTENT_CRL,
	CONTENT_REQUEST,
	CONTENT_CMS,
	CONTENT_PKCS12,
	CONTENT_KEY,
	CONTENT_ENCRYPTED_KEY,
};

/* Finds out what DER (or BER) bytes are; see bundle_format.c. */
enum bundle_content bundle_content_of(const guint8 *bytes, gsize length);
void bundle_read_pem(struct bundle_reader *reader, gconstpointer bytes, gsize length);
/* FALSE when the file has too many objects already. */
gboolean bundle_count_object(struct bundle_reader *reader);

/* All count the object; a bad one goes to rejected. They do not take over. */
void bundle_add_cert_der(struct bundle_reader *reader, gconstpointer der, gsize length);
void bundle_add_crl_der(struct bundle_reader *reader, gconstpointer der, gsize length);
void bundle_add_pkey(struct bundle_reader *reader, EVP_PKEY *pkey); /* takes over; may be NULL */
/* Plain PKCS#8, PKCS#1 or SEC1 in DER. */
void bundle_add_key_der(struct bundle_reader *reader, gconstpointer der, gsize length);
/* EncryptedPrivateKeyInfo in DER. */
void bundle_add_encrypted_key_der(struct bundle_reader *reader, gconstpointer der, gsize length);
void bundle_add_cms_der(struct bundle_reader *reader, gconstpointer der, gsize length);
void bundle_reject(struct bundle_reader *reader, const char *what, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Counts the iterations of a password algorithm before it is run. NULL when it may run, else
 * why not (owned): beyond the limit, or an algorithm that is not there, by name. */
char *bundle_password_fault(struct bundle_reader *reader, const X509_ALGOR *algorithm);
gboolean bundle_count_iterations(struct bundle_reader *reader, guint64 iterations);

/* The whole of a PKCS#12 file. FALSE with *error when nothing of it can be had. */
gboolean bundle_read_pkcs12(struct bundle_reader *reader, gconstpointer der, gsize length,
			    const char *name, GError **error);
gboolean bundle_pkcs12_has_password(gconstpointer der, gsize length);

/*
 * Reading old files needs algorithms that OpenSSL keeps apart (RC2, RC4, single DES). They are
 * loaded into a library context of their own, which this thread uses between enter and leave
 * only: nothing else of the program can come to use them.
 */
OSSL_LIB_CTX *legacy_enter(void);
void legacy_leave(OSSL_LIB_CTX *previous);
gboolean legacy_available(void);
EVP_CIPHER *legacy_cipher(const char *name); /* NULL: not there; EVP_CIPHER_free() it */

#endif
