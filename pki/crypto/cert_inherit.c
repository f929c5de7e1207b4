/*
 * cert_inherit - DSA keys whose parameters stand in their issuer's (RFC 3279 section 2.3.2).
 */
#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/cert_internal.h"

gboolean
cert_lacks_parameters(const struct cert *cert)
{
	return cert->key_kind == KEY_KIND_DSA && cert_pkey(cert) == NULL;
}

gboolean
cert_has_inherited(const struct cert *cert)
{
	return cert->inherited;
}

/* The child's number in the issuer's group. */
static EVP_PKEY *
complete_key(X509 *child, X509 *issuer)
{
	const unsigned char *bits = NULL;
	int length = 0, type = V_ASN1_UNDEF;
	X509_ALGOR *algorithm = NULL;
	const void *parameters = NULL;
	unsigned char *der = NULL;

	X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm, X509_get_X509_PUBKEY(issuer));
	X509_ALGOR_get0(NULL, &type, &parameters, algorithm);
	X509_PUBKEY_get0_param(NULL, &bits, &length, NULL, X509_get_X509_PUBKEY(child));
	if (type != V_ASN1_SEQUENCE || length <= 0)
		return NULL;
	X509_PUBKEY *complete = X509_PUBKEY_new();
	ASN1_STRING *group = ASN1_STRING_dup(parameters);
	unsigned char *copy = OPENSSL_memdup(bits, (gsize)length);
	if (X509_PUBKEY_set0_param(complete, OBJ_nid2obj(NID_dsa), V_ASN1_SEQUENCE, group, copy,
				   length) != 1) {
		ASN1_STRING_free(group);
		OPENSSL_free(copy);
	}
	int size = i2d_X509_PUBKEY(complete, &der);
	const unsigned char *p = der;
	EVP_PKEY *pkey = size > 0 ? d2i_PUBKEY(NULL, &p, size) : NULL;
	OPENSSL_free(der);
	X509_PUBKEY_free(complete);
	return pkey;
}

struct cert *
cert_inherit_parameters(const struct cert *cert, const struct cert *issuer)
{
	EVP_PKEY *issuer_key = cert_pkey(issuer);
	struct cert *result = NULL;

	if (!cert_lacks_parameters(cert) || issuer_key == NULL ||
	    issuer->key_kind != KEY_KIND_DSA ||
	    strcmp(cert->issuer_key, issuer->subject_key) != 0 || !cert_verify(cert, issuer_key)) {
		ERR_clear_error();
		return NULL;
	}
	g_autoptr(EVP_PKEY) pkey = complete_key(cert_x509(cert), cert_x509(issuer));
	g_autoptr(X509) copy = pkey != NULL ? X509_dup(cert_x509(cert)) : NULL;
	/* The getters' answers are those of the original; only OpenSSL's object is another. */
	if (copy != NULL && X509_set_pubkey(copy, pkey) == 1) {
		result = cert_new(cert->der);
		if (!cert_read_whole(result, g_steal_pointer(&copy), NULL))
			g_clear_pointer(&result, cert_unref);
	}
	if (result != NULL) {
		result->inherited = TRUE;
		result->original = cert_x509(cert);
		(void)X509_up_ref(result->original);
		g_free(result->spki_sha256);
		result->spki_sha256 = g_strdup(cert->spki_sha256);
	}
	ERR_clear_error();
	return result;
}
