/*
 * csr - PKCS#10 certificate requests: made, parsed, checked (RFC 2986).
 *
 * Threads: any; results belong to the caller.
 */
#ifndef PKI_CRYPTO_CSR_H
#define PKI_CRYPTO_CSR_H

#include <glib.h>

#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"
#include "store/base/cleanup.h"

#define CSR_SIZE_MAX_BYTES (64 * 1024)

struct csr;

/* Subject and SAN of the names, signed with the key; DER. hash UNKNOWN picks the key's own. */
GBytes *csr_make(const struct key *key, const struct issue_names *names, enum algorithm hash,
		 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same, which also asks for usages: a mask of enum key_usage (0: no word about it), and
 * OpenSSL's names of extended ones ("emailProtection"; NULL: no word). One that asks for keyCertSign
 * asks to be a CA, with none below it. */
GBytes *csr_make_for(const struct key *key, const struct issue_names *names, unsigned int key_usage,
		     const char *extended_usages, enum algorithm hash,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With subject and SAN of a certificate that is renewed. */
GBytes *csr_make_like(const struct key *key, const struct cert *cert,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *csr_to_pem(GBytes *der);
/* DER or PEM; the signature is checked: who signs holds the key. */
struct csr *csr_parse(GBytes *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void csr_free(struct csr *csr);
GBytes *csr_der(const struct csr *csr);
GBytes *csr_spki(const struct csr *csr); /* SubjectPublicKeyInfo in DER; borrowed */
const char *csr_spki_sha256(const struct csr *csr);
const char *csr_subject(const struct csr *csr);
const char *csr_subject_key(const struct csr *csr); /* as cert_subject_key */
const char *csr_key_text(const struct csr *csr);
enum key_kind csr_key_kind(const struct csr *csr);
unsigned int csr_key_bits(const struct csr *csr);
GPtrArray *csr_emails(const struct csr *csr); /* struct mailaddr; borrowed */

DEFINE_CLEANUP(csr, csr_free)

#endif
