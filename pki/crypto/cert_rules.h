/*
 * cert_rules - what path validation asks of one certificate; worked out once and kept by it.
 *
 * Extensions that bind what stands below (RFC 5280 sections 4.2.1.4, .5, .9 to .11, .14), the
 * names that constraints are about, the distribution points, and whose key verified it. All of
 * it is borrowed from the certificate and immutable. Threads: any.
 */
#ifndef PKI_CRYPTO_CERT_RULES_H
#define PKI_CRYPTO_CERT_RULES_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/names.h"

#define CERT_POLICIES_MAX 128 /* and as many mappings; more are a broken extension */
#define ANY_POLICY "2.5.29.32.0"

struct policy_mapping {
	char *issuer_policy;
	char *subject_policy;
};

struct cert_rules {
	char *broken;           /* OID of an extension that is unreadable or there twice, or NULL */
	char *unknown_critical; /* OID of one that is critical and not processed, or NULL */
	gboolean has_basic_constraints;
	GPtrArray *policies; /* OIDs without anyPolicy and repeats; NULL: no such extension */
	gboolean any_policy;
	GPtrArray *mappings; /* struct policy_mapping; empty without */
	gboolean maps_any;   /* from or to anyPolicy, which is not allowed */
	int require_explicit, inhibit_mapping, inhibit_any; /* -1 when absent */
	struct name_constraints *constraints;               /* NULL when there are none */
};

const struct cert_rules *cert_rules(const struct cert *cert);
/* struct name; NULL where they cannot be read: nothing is known to pass then. */
const GPtrArray *cert_names(const struct cert *cert);

/* Named as the issuer and with the key that verifies: RFC 5280 6.1.3 (a)(1) and (4). Remembered
 * by the certificate. *effort grows by what a check that had to be made costs. */
gboolean cert_is_signed_by(const struct cert *cert, const struct cert *issuer, guint *effort);

/* For who keeps more with a certificate: made at the first call, freed with it. */
enum cert_slot {
	CERT_SLOT_RULES,
	CERT_SLOT_NAMES,
	CERT_SLOT_POINTS,
	CERT_SLOT_SIGNERS,
	CERT_SLOT_X509,
	CERT_SLOT_KEY,
	CERT_SLOT_EXTENSIONS,
	CERT_SLOT_SHOWN,
	CERT_SLOT_URLS,
	CERT_SLOTS
};
gconstpointer cert_slot(const struct cert *cert, enum cert_slot slot,
			gpointer (*make)(const struct cert *cert), GDestroyNotify free_func);
gpointer *cert_slot_place(const struct cert *cert, enum cert_slot slot);

void cert_rules_free(gpointer rules);
void cert_names_free(gpointer names);
void cert_points_free(gpointer points); /* crl_check */
void cert_signers_free(gpointer signers);
void cert_x509_free(gpointer x509); /* cert_whole */
void cert_key_free(gpointer key);   /* cert_lazy, like those below */
void cert_extensions_free(gpointer extensions);
void cert_shown_free(gpointer shown);
void cert_urls_free(gpointer urls);

#endif
