/*
 * chain_status - OCSP answers as a judgement of a path takes them: plain facts.
 */
#ifndef PKI_CRYPTO_CHAIN_STATUS_H
#define PKI_CRYPTO_CHAIN_STATUS_H

#include <glib.h>

#include "pki/crypto/crl.h"

/* What an OCSP responder said of one certificate: a fact, its signature and its signer's right to
 * speak for the issuer verified by who asked (pki/ocsp). All texts stay the caller's. */
enum chain_status_kind { CHAIN_STATUS_GOOD, CHAIN_STATUS_REVOKED, CHAIN_STATUS_UNKNOWN };
struct chain_status {
	const char *thumbprint;  /* of the certificate that was asked about */
	const char *issuer_spki; /* cert_spki_sha256 of the issuer that was named in the question */
	enum chain_status_kind kind;
	gint64 this_update;
	gint64 next_update; /* CLOCK_NEVER when absent; never counts past it, but for REVOKED */
	gint64 revoked_at;
	enum crl_reason reason;
	const char *responder; /* its URL, printable; for sentences */
};
/* Preference `ocsp`; revoked by either source is revoked in both. */
enum chain_status_use {
	CHAIN_STATUS_OFF,         /* only what says revoked counts */
	CHAIN_STATUS_WHEN_NO_CRL, /* a good answer counts where lists leave it open */
	CHAIN_STATUS_PREFER,      /* a good answer stands in for lists, whatever they lack */
};

#endif
