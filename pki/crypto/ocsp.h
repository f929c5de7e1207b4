/*
 * ocsp - questions to OCSP responders and what they answer (RFC 6960, RFC 5019, RFC 8954).
 *
 * An answer is believed when it is signed by the issuer itself, or by a responder whose certificate
 * that issuer signed directly and gave the usage OCSPSigning; when it names the certificate by
 * serial and both hashes of its issuer; when its times fit the clock; and when it repeats the
 * nonce, if it has one. All else is an error, and no answer: nothing is found out by it.
 * Size before anything is parsed; trailing bytes and critical extensions that are not known are
 * an error. Threads: any.
 */
#ifndef PKI_CRYPTO_OCSP_H
#define PKI_CRYPTO_OCSP_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "store/base/cleanup.h"

#define OCSP_ANSWER_MAX_BYTES (64 * 1024)
#define OCSP_SINGLES_MAX 64
#define OCSP_CERTS_MAX 8
#define OCSP_SKEW_SECONDS 300            /* between our clock and the responder's */
#define OCSP_UNDATED_SECONDS (24 * 3600) /* an answer without nextUpdate counts so long */
#define OCSP_NONCE_BYTES 32

enum ocsp_status { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN };

struct ocsp_question {
	const struct cert *cert;
	const struct cert *issuer; /* cert_is_issued_by() it; the caller has seen to that */
	GBytes *nonce;             /* 1 to 32 bytes, NULL: none */
	gint64 at;
};

struct ocsp_finding {
	enum ocsp_status status;
	gint64 produced_at, this_update;
	gint64 next_update; /* as it says, or thisUpdate and OCSP_UNDATED_SECONDS */
	gint64 revoked_at;  /* of OCSP_REVOKED */
	enum crl_reason reason;
	struct cert *signer; /* the issuer, or its responder */
	/* A responder that may itself be revoked: it lacks id-pkix-ocsp-nocheck. The finding counts
	 * only when the caller has found the responder good. */
	gboolean signer_unchecked;
};

/* The request, with a SHA-1 CertID, which is what every responder knows; it identifies and protects
 * nothing. The same question gives the same bytes. */
GBytes *ocsp_request(const struct ocsp_question *question,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* INVALID: not to be believed, with the reason; TEMPORARY: the responder says try later. */
struct ocsp_finding *ocsp_read(GBytes *answer, const struct ocsp_question *question,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ocsp_finding_free(struct ocsp_finding *finding);
const char *ocsp_status_name(enum ocsp_status status); /* "good" … */

DEFINE_CLEANUP(ocsp_finding, ocsp_finding_free)

#endif
