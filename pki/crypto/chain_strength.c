/*
 * What is asked of a certificate by itself, wherever it stands: usages, key, signature.
 */
#include "pki/crypto/chain.h"

#include <openssl/objects.h>
#include <openssl/x509.h>

#include "pki/crypto/internal.h"
#include "pki/crypto/sentences.h"

static char *
say(const char **remedy, enum sentence sentence, const char *first, const char *second)
{
	if (remedy != NULL)
		*remedy = sentence_remedy(sentence);
	return sentence_make(sentence, first, second, NULL);
}

char *
chain_usage_fault(const struct cert *cert, enum chain_purpose purpose, const char **remedy)
{
	const char *subject = cert_subject(cert);

	if (purpose == CHAIN_PURPOSE_ANY)
		return NULL;
	if (!cert_has_email_purpose(cert))
		return say(remedy, SENTENCE_PURPOSE, subject, NULL);
	if (purpose == CHAIN_PURPOSE_SIGN)
		return cert_may_sign(cert) ? NULL
					   : say(remedy, SENTENCE_NO_SIGNATURE, subject, NULL);
	if (cert_may_encrypt(cert))
		return NULL;
	if (cert_key_kind(cert) == KEY_KIND_RSA)
		return say(remedy, SENTENCE_NO_ENCIPHERMENT, subject, NULL);
	if (cert_key_kind(cert) == KEY_KIND_EC)
		return say(remedy, SENTENCE_NO_AGREEMENT, subject, NULL);
	return say(remedy, SENTENCE_CANNOT_ENCRYPT, cert_key_text(cert), subject);
}

char *
chain_key_fault(const struct cert *cert, gboolean allow_legacy, const char **remedy)
{
	unsigned int bits = cert_key_bits(cert);
	const char *weakness = cert_key_weakness(cert);

	if (weakness != NULL) {
		if (remedy != NULL)
			*remedy = sentence_remedy(SENTENCE_KEY_WEAK);
		return sentence_make(SENTENCE_KEY_WEAK, cert_key_text(cert), cert_subject(cert),
				     weakness, NULL);
	}
	if (cert_key_kind(cert) == KEY_KIND_OTHER || !cert_has_readable_key(cert) ||
	    key_strength_allowed(cert_key_kind(cert), bits) ||
	    (allow_legacy && key_strength_legacy(cert_key_kind(cert), bits)))
		return NULL;
	return say(remedy, SENTENCE_KEY_SHORT, cert_key_text(cert), cert_subject(cert));
}

static char *
signature_fault(const struct cert *cert, gboolean allow_legacy, const char **remedy)
{
	int digest = NID_undef;

	if (!cert_signature_digest(cert, &digest))
		return NULL;     /* a kind OpenSSL cannot verify: the path says so */
	if (digest == NID_undef) /* Ed25519 and Ed448 hash by themselves */
		return NULL;
	g_autofree char *oid = object_dotted(OBJ_nid2obj(digest));
	enum algorithm algorithm = algorithm_by_oid(oid);
	enum algorithm_standing standing = algorithm_standing(algorithm);
	if (standing == ALGORITHM_MODERN ||
	    (standing == ALGORITHM_LEGACY && allow_legacy && algorithm != ALGORITHM_MD5))
		return NULL;
	return say(remedy, SENTENCE_DIGEST_WEAK, cert_subject(cert), OBJ_nid2sn(digest));
}

char *
chain_strength_fault(const struct cert *cert, gboolean allow_legacy, const char **remedy)
{
	char *fault = chain_key_fault(cert, allow_legacy, remedy);

	return fault != NULL ? fault : signature_fault(cert, allow_legacy, remedy);
}
