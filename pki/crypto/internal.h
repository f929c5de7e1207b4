/*
 * internal - OpenSSL's types behind ours; for pki/crypto/ (and tests/bench) alone.
 *
 * What the getters give is borrowed and must not be changed: it is shared by threads.
 */
#ifndef PKI_CRYPTO_INTERNAL_H
#define PKI_CRYPTO_INTERNAL_H

#include <glib.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/key.h"
#include "store/base/error.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_CRL, X509_CRL_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_REQ, X509_REQ_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_NAME, X509_NAME_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE, X509_STORE_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE_CTX, X509_STORE_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_EXTENSION, X509_EXTENSION_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_ALGOR, X509_ALGOR_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_SIG, X509_SIG_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIGNUM, BN_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CMS_ContentInfo, CMS_ContentInfo_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PKCS7, PKCS7_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PKCS12, PKCS12_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ASN1_INTEGER, ASN1_INTEGER_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ASN1_OBJECT, ASN1_OBJECT_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GENERAL_NAMES, GENERAL_NAMES_free)

/* Made at the first call, which costs more than all the rest of a certificate: not for the way of
 * a message. */
X509 *cert_x509(const struct cert *cert);
const X509_EXTENSIONS *cert_extensions(const struct cert *cert); /* NULL: none */
/* As X509_get_ext_d2i: of the extension's type, owned by the caller; *critical is -1 for none, -2
 * for more than one. critical may be NULL. */
gpointer cert_extension(const struct cert *cert, int nid, int *critical);
X509_NAME *cert_read_subject(const struct cert *cert); /* these three owned by the caller */
X509_NAME *cert_read_issuer(const struct cert *cert);
ASN1_INTEGER *cert_read_serial(const struct cert *cert);
gboolean cert_has_readable_key(const struct cert *cert);
const char *cert_key_weakness(const struct cert *cert); /* as key_weakness_of; NULL without key */
gboolean cert_verify(const struct cert *cert, EVP_PKEY *pkey); /* its signature, by that key */
/* As X509_get_signature_info: FALSE for a kind that OpenSSL cannot verify. */
gboolean cert_signature_digest(const struct cert *cert, int *nid);
gboolean cert_has_basic_constraints(const struct cert *cert);
gboolean cert_is_broken(const struct cert *cert);   /* EXFLAG_INVALID */
gboolean cert_has_subject(const struct cert *cert); /* not an empty name */
/* Who reads a certificate; for tests, which hold one against the other. */
enum cert_reader { CERT_READER_LIGHT, CERT_READER_OPENSSL };
struct cert *cert_parse_by(GBytes *der, enum cert_reader reader, GError **error);
gboolean cert_is_light(const struct cert *cert);
EVP_PKEY *key_pkey(const struct key *key);
EVP_PKEY *cert_pkey(const struct cert *cert); /* public key; NULL when OpenSSL cannot read it */

/* Through the DER, so that the limits and rules of cert_parse hold. */
struct cert *cert_parse_x509(X509 *x509, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* RFC 5480 has no such thing, but RFC 3279 section 2.3.2 lets a DSA key take its parameters from
 * the key of its issuer. The certificate with its key completed that way, after its signature
 * was checked: same DER, same thumbprint; NULL when issuer is not the one. */
gboolean cert_lacks_parameters(const struct cert *cert);
struct cert *cert_inherit_parameters(const struct cert *cert, const struct cert *issuer);
gboolean cert_has_inherited(const struct cert *cert);
/* Completes such certificates of the array in place, from the top down, out of it and the anchors
 * (or NULL); what cannot be completed stays as it is. */
void certs_inherit_parameters(GPtrArray *certs, GPtrArray *anchors);
/* Takes over pkey in every case. */
struct key *key_new_pkey(EVP_PKEY *pkey, GError **error) G_GNUC_WARN_UNUSED_RESULT;
enum key_kind key_kind_of(const EVP_PKEY *pkey, unsigned int *bits);
char *key_text_of(const EVP_PKEY *pkey);
/* NULL, or why nobody may rely on this public key however long it is. */
const char *key_weakness_of(const EVP_PKEY *pkey);

/* Sets *error to the text and OpenSSL's own reason, empties OpenSSL's queue; gives NULL. */
void *fail_openssl(GError **error, enum ps_error code, const char *format, ...) G_GNUC_PRINTF(3, 4);
gboolean fail_openssl_false(GError **error, enum ps_error code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Bits 1 to 8 of ReasonFlags (RFC 5280 4.2.1.13) as a mask; NULL means all of them. */
unsigned int reason_mask(const ASN1_BIT_STRING *flags);
unsigned int crl_reasons(const struct crl *crl); /* what it speaks of, as reason_mask */
/* The names of a distribution point as texts that compare equal when the names do: the URI, or
 * "DN:" and the name's key; appended to points. issuer completes a relative name. */
void point_names(DIST_POINT_NAME *point, const X509_NAME *issuer, GPtrArray *points);

/* What a certificate names, of the schemes that can be fetched; never NULL. */
GStrv cert_read_crl_urls(const struct cert *cert);
GStrv cert_read_access_urls(const struct cert *cert,
			    int method); /* NID_ad_OCSP, NID_ad_ca_issuers */

/* Shared texts; owned by the caller. */
char *number_hex(gconstpointer bytes, gsize length); /* without leading zeros, "0" for none */
char *digest_hex(const char *digest, gconstpointer bytes, gsize length);
char *name_text(const X509_NAME *name);       /* printable, one line */
char *name_key(const X509_NAME *name);        /* as cert_subject_key */
GPtrArray *name_parts(const X509_NAME *name); /* a text for each RDN, equal as section 7.1 says */
char *serial_hex(const ASN1_INTEGER *serial); /* as cert_serial_hex */
char *object_dotted(const ASN1_OBJECT *object);
gboolean asn1_seconds(const ASN1_TIME *time, gint64 *seconds); /* FALSE when it is none */
enum algorithm algorithm_of(const X509_ALGOR *algorithm);
GBytes *bytes_take_openssl(unsigned char *bytes, int length); /* of an i2d_… call */

#endif
