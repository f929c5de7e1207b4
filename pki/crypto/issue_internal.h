/*
 * issue_internal - what issuing certificates, CRLs and requests share.
 */
#ifndef PKI_CRYPTO_ISSUE_INTERNAL_H
#define PKI_CRYPTO_ISSUE_INTERNAL_H

#include <openssl/x509v3.h>

#include "pki/crypto/internal.h"
#include "pki/crypto/issue.h"

/* The subject of these names; lengths and characters are checked. */
X509_NAME *issue_subject(const struct issue_names *names, GError **error);
/* The subjectAltName; *none is set when there is nothing to put into it. */
GENERAL_NAMES *issue_alt_names(const struct issue_names *names, gboolean *none, GError **error);
/* INVALID for what is reserved, unknown or unreadable; conf (may be NULL) has the sections. */
X509_EXTENSION *issue_extension_make(CONF *conf, const struct issue_extension *extension,
				     GError **error);
/* INVALID for what is no URL. */
GENERAL_NAME *issue_uri_name(const char *uri, GError **error);
/* A context ready for X509_sign_ctx and the like. The hash must be SHA-256, -384 or -512;
 * UNKNOWN picks what fits the key. */
EVP_MD_CTX *issue_signer(const struct key *key, enum algorithm hash, gboolean pss, GError **error);

#endif
