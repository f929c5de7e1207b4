/*
 * ocsp_delegate - certificates by which the responder speaks for a CA (RFC 6960 section 4.2.2.2).
 *
 * One for each issuer, issued by that issuer itself, with id-kp-OCSPSigning and
 * id-pkix-ocsp-nocheck, of short validity since it cannot be revoked for those who take that at its
 * word. The key is in the keyring and is made with each certificate. Threads: any.
 */
#ifndef PKI_OCSP_DELEGATE_H
#define PKI_OCSP_DELEGATE_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "store/base/cleanup.h"

struct clock;
struct db;
struct keyring;
struct ocsp_issuer;

struct ocsp_delegate {
	struct cert *cert;
	struct key *key;
};

/* The present one, which covers an answer of that validity made now, or a new one. NOT_FOUND: the
 * key of the issuer is not here; an older one that still covers something is given then. */
struct ocsp_delegate *ocsp_delegate_get(struct db *db, struct keyring *keyring, struct clock *clock,
					const struct ocsp_issuer *issuer, gint64 validity_seconds,
					GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ocsp_delegate_free(struct ocsp_delegate *delegate);
/* Takes away those that ended a month ago, with their keys. */
gboolean ocsp_delegates_forget(struct db *db, struct keyring *keyring, gint64 now,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(ocsp_delegate, ocsp_delegate_free)

#endif
