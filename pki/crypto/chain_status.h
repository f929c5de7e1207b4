/*
 * chain_status - OCSP answers as a judgement of a path takes them: plain facts, weighed here.
 *
 * Pure. Threads: any.
 */
#ifndef PKI_CRYPTO_CHAIN_STATUS_H
#define PKI_CRYPTO_CHAIN_STATUS_H

#include <glib.h>

#include "pki/crypto/crl.h"

struct cert;
struct chain_options;

/* What an OCSP responder said of one certificate: a fact, its signature and its signer's right to
 * speak for the issuer verified by who asked (pki/ocsp). All texts stay the caller's. */
enum chain_status_kind {
	CHAIN_STATUS_GOOD,
	CHAIN_STATUS_REVOKED,
	CHAIN_STATUS_UNKNOWN, /* the responder does not know the certificate */
	CHAIN_STATUS_NONE,    /* it was asked and has never answered; times are not set */
};
struct chain_status {
	const char *thumbprint;  /* of the certificate that was asked about */
	const char *issuer_spki; /* cert_spki_sha256 of the issuer that was named in the question */
	enum chain_status_kind kind;
	gint64 this_update;
	gint64 next_update; /* CLOCK_NEVER when absent; never counts past it, but for REVOKED */
	gint64 revoked_at;
	enum crl_reason reason;
	const char *responder; /* its URL, printable; for sentences; may be NULL */
	const char *problem;   /* why the last question failed, printable; NULL: it did not */
};
/* Preference `ocsp`; revoked by either source is revoked in both. */
enum chain_status_use {
	CHAIN_STATUS_OFF,         /* only what says revoked counts */
	CHAIN_STATUS_WHEN_NO_CRL, /* a good answer counts where lists leave it open */
	CHAIN_STATUS_PREFER,      /* a good answer stands in for lists, whatever they lack */
};

/* What answers say of one certificate below this issuer. */
struct chain_status_finding {
	const struct chain_status *status; /* the one that speaks, else the latest; NULL: none */
	gboolean counts;                   /* it is in date, or says revoked, and may be used */
};
struct chain_status_finding chain_status_find(const struct chain_options *options,
					      const struct cert *cert, const struct cert *issuer);
/* Would an answer (this one refreshed, or the first) count? listed: lists that are in date, grace
 * apart, say that it is good. */
gboolean chain_status_wanted(const struct chain_options *options, const struct cert *cert,
			     const struct chain_status_finding *finding, gboolean listed);
/* Why no responder fills in for what lists leave open, behind the sentence on these (taken). */
char *chain_status_explain(const struct chain_options *options, const struct cert *cert,
			   const struct chain_status_finding *finding, char *lists);
/* "OCSP responder 'http://…' of …"; owned by the caller. */
char *chain_status_source(const struct chain_status *status);

#endif
