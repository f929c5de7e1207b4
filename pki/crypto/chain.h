/*
 * chain - path validation of one certificate (RFC 5280 section 6), with a reason.
 *
 * Everything is an argument: anchors, candidate intermediates, CRLs, the time. No cache, no
 * database: trust and the file commands bring what they have. A finding is in the report; an
 * error means that we could not find out. Threads: any.
 */
#ifndef PKI_CRYPTO_CHAIN_H
#define PKI_CRYPTO_CHAIN_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/chain_status.h"
#include "pki/crypto/crl.h"
#include "store/base/cleanup.h"

#define CHAIN_DEPTH_MAX 16
#define CHAIN_CANDIDATES_MAX 256
#define CHAIN_POLICIES_MAX 64
#define CHAIN_PATHS_MAX 64    /* complete paths that are judged */
#define CHAIN_STEPS_MAX 20000 /* certificates looked at on all paths, names compared apart */
#define CHAIN_EFFORT_MAX 4096 /* of signatures; one with RSA 2048 is 1, with P-256 it is 4 */

enum chain_purpose { CHAIN_PURPOSE_ANY, CHAIN_PURPOSE_SIGN, CHAIN_PURPOSE_ENCRYPT };
enum chain_revocation {
	CHAIN_REVOCATION_OFF,
	CHAIN_REVOCATION_IF_AVAILABLE,
	CHAIN_REVOCATION_REQUIRED,
};
enum chain_verdict { CHAIN_INVALID, CHAIN_VALID, CHAIN_REVOKED };
/* What was found, in the order of judgement (T4): the first one gives verdict and reason. */
enum chain_fault {
	CHAIN_FAULT_REVOKED,
	CHAIN_FAULT_USAGE,      /* key usage, extended usage, address */
	CHAIN_FAULT_ALGORITHM,  /* too weak or unknown */
	CHAIN_FAULT_OTHER,      /* an extension of its own that is broken or not known */
	CHAIN_FAULT_EXPIRED,    /* of the end certificate itself; or not yet valid */
	CHAIN_FAULT_PATH,       /* no path to an anchor, or one that breaks a rule */
	CHAIN_FAULT_REVOCATION, /* could not be found out, and was required */
	CHAIN_FAULTS,
};

struct chain_options {
	GPtrArray *anchors;   /* struct cert; trusted, self-signed or not */
	GPtrArray *untrusted; /* struct cert, or NULL */
	GPtrArray *crls;      /* struct crl, or NULL */
	GPtrArray *statuses;  /* struct chain_status, or NULL; in any order */
	enum chain_status_use status_use;
	gint64 at;
	enum chain_purpose purpose;
	enum chain_revocation revocation;
	/* Thumbprints of issuers whose certificates need REQUIRED all the same, or NULL. */
	GHashTable *strict_issuers;
	gint64 crl_grace; /* IF_AVAILABLE: seconds that a CRL counts past nextUpdate */
	gint64 crl_early; /* seconds that it counts before thisUpdate, see crl_check; 0: looking
			     back */
	const char *const *policies; /* user-initial-policy-set as OIDs; NULL is anyPolicy */
	gboolean explicit_policy;
	gboolean inhibit_policy_mapping;
	gboolean inhibit_any_policy;
	const struct mailaddr *email; /* must be an address of the certificate, or NULL */
	gboolean allow_legacy;        /* accept SHA-1 and short keys, for old mail */
	const char *where;            /* ends "issuer 'X' is not …"; NULL: "in the store" */
};

/* What a judgement cost, for tests and for the limits. */
struct chain_work {
	guint steps;
	guint effort;
	guint paths;
	guint list_steps;   /* revocation lists that were held against a certificate */
	gboolean exhausted; /* a limit ended the search: an answer of "invalid" says so */
};

struct chain_report {
	enum chain_verdict verdict;
	/* K2: what is wrong, naming the certificate, and what would mend it; "" when valid. */
	char *reason;
	char *faults[CHAIN_FAULTS];         /* a sentence for each fault found, else NULL */
	const char *remedies[CHAIN_FAULTS]; /* what would mend it; "" when nothing does */
	GPtrArray *path; /* struct cert from the end certificate to the anchor, as far as found */
	GStrv policies;  /* the user-constrained policy set, sorted; empty when there is none */
	gint64 valid_until; /* the earliest moment at which the answer may change */
	gboolean unchecked; /* revocation could not be checked for some of it (if-available) */
	char *revocation;   /* what says so of the end certificate: "CRL of 'X' of DATE", or NULL */
	char *unchecked_why; /* "CRL of 'X' is missing", of a path that holds; or NULL */
	/* Bit i: a status of path[i] would count. 0 where the path leads to no anchor. */
	guint32 status_wanted;
	gboolean incomplete; /* the path fails as an issuer or root is not there */
	struct chain_work work;
};

struct chain_report *chain_check(struct cert *cert, const struct chain_options *options,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void chain_report_free(struct chain_report *report);
/* A fault that was found with what would mend it; the caller's to free. */
char *chain_fault_sentence(const struct chain_report *report, enum chain_fault fault);
const char *chain_verdict_name(enum chain_verdict verdict); /* "valid" … */

/* Every certificate of the pools that can stand above this one on some path, nearest first: named
 * as issuer and with a key that verifies. At most CHAIN_CANDIDATES_MAX. */
GPtrArray *chain_candidates(const struct cert *cert, GPtrArray *const *pools, gsize count);

/* A DSA key may have its parameters from the key of its issuer (RFC 3279 section 2.3.2): such
 * certificates of the array, which owns them, are replaced by complete ones where the issuer is
 * above or an anchor. */
void chain_complete_keys(GPtrArray *certs, GPtrArray *above, GPtrArray *anchors);

/* K3, K4 and strength of the one certificate: NULL when it fits, else the sentence (owned), and
 * what would mend it (may be NULL). */
char *chain_usage_fault(const struct cert *cert, enum chain_purpose purpose, const char **remedy);
char *chain_strength_fault(const struct cert *cert, gboolean allow_legacy, const char **remedy);
/* Of its key alone: nobody relies on the signature of an anchor. */
char *chain_key_fault(const struct cert *cert, gboolean allow_legacy, const char **remedy);

DEFINE_CLEANUP(chain_report, chain_report_free)

#endif
