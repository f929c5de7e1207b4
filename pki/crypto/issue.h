/*
 * issue - builds and signs certificates and CRLs from plain data.
 *
 * It puts in what it is told and refuses what must never be signed (SHA-1, short keys, a
 * validity outside the issuer's, an address that is none); which profile gets what is the CA's
 * business. AKI is the key identifier alone, SKI the SHA-1 of the key (RFC 5280 4.2.1.2).
 * Encodings: RFC 5280, S/MIME Baseline Requirements section 7.1. Threads: any.
 */
#ifndef PKI_CRYPTO_ISSUE_H
#define PKI_CRYPTO_ISSUE_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/key.h"

/* Names of a subject; NULL or "" leaves one out. UTF-8. Lengths are checked (RFC 5280 A.1). */
struct issue_names {
	const char *common_name;
	const char *email_in_subject; /* emailAddress attribute */
	const char *organisation;
	const char *organisation_id; /* its registration, organizationIdentifier */
	const char *organisational_unit;
	const char *given_name;
	const char *surname;
	const char *country; /* two letters */
	const char *const
	    *emails; /* SAN: rfc822Name, or SmtpUTF8Mailbox for a non-ASCII local part */
	const char *const *dns_names; /* SAN dNSName, for TLS profiles */
};

struct issue_extension {
	const char *name;  /* OpenSSL's name or dotted OID */
	const char *value; /* OpenSSL's extension syntax, "critical,…" allowed */
};

struct issue_spec {
	struct issue_names names;
	GBytes *spki; /* SubjectPublicKeyInfo of the subject, DER */
	/* In its place the key itself, where it is here: nothing has to be decoded. Or NULL. */
	const struct key *key;
	gint64 not_before;
	gint64 not_after;
	GBytes *serial;      /* NULL: 16 random bytes, positive */
	enum algorithm hash; /* SHA256, SHA384, SHA512; UNKNOWN picks what fits the issuer's key */
	gboolean pss;        /* RSA-PSS with salt = hash length; RSA issuers only */
	gboolean ca;
	int path_length;                    /* with ca; -1 for none */
	unsigned int key_usage;             /* mask of enum key_usage; 0 leaves it out */
	const char *const *extended_usages; /* OIDs or OpenSSL's names; NULL leaves it out */
	const char *const *policies;        /* OIDs */
	const char *policy_cps;             /* cPSuri of the first policy, or NULL */
	const char *const *crl_urls;
	const char *const *ca_issuer_urls;
	const char *const *ocsp_urls;
	gboolean no_check;                        /* id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2.1) */
	const struct issue_extension *extensions; /* of a site's own; never in place of ours */
	gsize extension_count;
};

/* issuer NULL: self-signed with issuer_key, whose SPKI must be the spec's. */
struct cert *issue_cert(const struct issue_spec *spec, const struct cert *issuer,
			const struct key *issuer_key, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* An address as it stands in a certificate: local part as written, domain in A-labels. */
char *issue_email_value(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Would these stand in a subject? Their lengths and characters; addresses apart. */
gboolean issue_names_check(const struct issue_names *names,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of a host name, which may begin with "*.": lower case, A-labels. */
char *issue_dns_value(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GBytes *issue_random_serial(GError **error) G_GNUC_WARN_UNUSED_RESULT; /* 16 bytes, 127 bits */

struct issue_revoked {
	const char *serial_hex;
	gint64 revoked_at;
	enum crl_reason reason;
};
struct issue_crl_spec {
	gint64 this_update;
	gint64 next_update;
	guint64 number;
	enum algorithm hash; /* UNKNOWN picks what fits */
	gboolean pss;
	const struct issue_revoked *revoked;
	gsize revoked_count;
	/* A critical issuingDistributionPoint with these URLs (RFC 5280 5.2.5); NULL: none.
	 * with_name: and the issuer's name, which is the point of certificates that name none
	 * (6.3.3). */
	const char *const *points;
	gboolean with_name;
};
struct crl *issue_crl(const struct issue_crl_spec *spec, const struct cert *issuer,
		      const struct key *issuer_key, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
