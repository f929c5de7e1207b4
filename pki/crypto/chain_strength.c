/*
 * What is asked of a certificate by itself, wherever it stands: usages, key, signature.
 */
#include "pki/crypto/chain.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "pki/crypto/internal.h"

char *
chain_usage_fault(const struct cert *cert, enum chain_purpose purpose)
{
	if (purpose == CHAIN_PURPOSE_ANY)
		return NULL;
	if (!cert_has_email_purpose(cert))
		return g_strdup_printf("extended key usage of '%s' lacks emailProtection",
				       cert_subject(cert));
	if (purpose == CHAIN_PURPOSE_SIGN)
		return cert_may_sign(cert)
			   ? NULL
			   : g_strdup_printf("key usage of '%s' lacks digitalSignature",
					     cert_subject(cert));
	if (cert_may_encrypt(cert))
		return NULL;
	if (cert_key_kind(cert) == KEY_KIND_RSA)
		return g_strdup_printf("key usage of '%s' lacks keyEncipherment",
				       cert_subject(cert));
	if (cert_key_kind(cert) == KEY_KIND_EC)
		return g_strdup_printf("key usage of '%s' lacks keyAgreement", cert_subject(cert));
	return g_strdup_printf("the %s key of '%s' cannot encrypt", cert_key_text(cert),
			       cert_subject(cert));
}

char *
chain_key_fault(const struct cert *cert, gboolean allow_legacy)
{
	unsigned int bits = cert_key_bits(cert);
	const char *weakness = cert_pkey(cert) != NULL ? key_weakness_of(cert_pkey(cert)) : NULL;

	if (weakness != NULL)
		return g_strdup_printf("the %s key of '%s' %s", cert_key_text(cert),
				       cert_subject(cert), weakness);
	if (key_strength_allowed(cert_key_kind(cert), bits) ||
	    cert_key_kind(cert) == KEY_KIND_OTHER || cert_pkey(cert) == NULL)
		return NULL;
	if (allow_legacy && bits >= (cert_key_kind(cert) == KEY_KIND_EC ? 192u : 1024u))
		return NULL;
	return g_strdup_printf("the %s key of '%s' is too short", cert_key_text(cert),
			       cert_subject(cert));
}

static char *
signature_fault(const struct cert *cert, gboolean allow_legacy)
{
	int digest = NID_undef, key = NID_undef;

	if (X509_get_signature_info(cert_x509(cert), &digest, &key, NULL, NULL) != 1) {
		ERR_clear_error();
		return NULL; /* a kind OpenSSL cannot verify: the path says so */
	}
	if (digest == NID_undef) /* Ed25519 and Ed448 hash by themselves */
		return NULL;
	g_autofree char *oid = object_dotted(OBJ_nid2obj(digest));
	enum algorithm algorithm = algorithm_by_oid(oid);
	enum algorithm_standing standing = algorithm_standing(algorithm);
	if (standing == ALGORITHM_MODERN ||
	    (standing == ALGORITHM_LEGACY && allow_legacy && algorithm != ALGORITHM_MD5))
		return NULL;
	return g_strdup_printf("'%s' is signed with %s, which is too weak", cert_subject(cert),
			       OBJ_nid2sn(digest));
}

char *
chain_strength_fault(const struct cert *cert, gboolean allow_legacy)
{
	char *fault = chain_key_fault(cert, allow_legacy);

	return fault != NULL ? fault : signature_fault(cert, allow_legacy);
}
