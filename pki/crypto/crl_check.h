/*
 * crl_check - is a certificate of a path revoked (RFC 5280 section 6.3).
 *
 * Scopes (distribution points, reasons, indirect and delta lists) are matched here and not by
 * OpenSSL, which would parse and verify a list again for each path. A list is believed when its
 * signer has a path of its own to the same anchor. Threads: any.
 */
#ifndef PKI_CRYPTO_CRL_CHECK_H
#define PKI_CRYPTO_CRL_CHECK_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"

#define CRL_STEPS_MAX 100000

/* What a list is to be believed: that somebody is revoked, or that the others are not. */
enum crl_word { CRL_WORD_GOOD, CRL_WORD_REVOKED };

enum crl_answer { CRL_ANSWER_GOOD, CRL_ANSWER_REVOKED, CRL_ANSWER_UNKNOWN };

struct crl_check {
	GPtrArray *crls;    /* struct crl, or NULL */
	GPtrArray *signers; /* struct cert that may sign lists, besides the issuer */
	gint64 at;
	gint64 grace; /* seconds that a list counts past its nextUpdate */
	/* Seconds that a list counts before its thisUpdate: at is the present, by a clock that may
	 * be behind, and what any list names is revoked. 0: at is a moment to be looked back on, of
	 * which later lists say nothing. */
	gint64 early;
	/* Has the signer a path to this anchor, revocation aside? It is checked here. The path
	 * (struct cert, signer first) or NULL; owned by the caller. One that has expired since
	 * is asked about for what its list revokes. */
	GPtrArray *(*signer_path)(struct cert *signer, const struct cert *anchor,
				  enum crl_word word, gpointer data);
	gpointer data;
	guint *steps;           /* grows; past CRL_STEPS_MAX all is unknown; NULL: no limit */
	guint depth;            /* of signers of signers; callers leave it 0 */
	GPtrArray *in_progress; /* signers being judged; callers leave it NULL */
};

struct crl_finding {
	gint64 revoked_at;
	enum crl_reason reason;
	gint64 valid_until;      /* the earliest nextUpdate (with grace) that the answer rests on */
	const struct crl *list;  /* GOOD, REVOKED: one that says so; borrowed */
	const char *list_issuer; /* REVOKED: whose list says so; borrowed from the list */
	char *why;               /* UNKNOWN: what is missing, for the reason; owned, may be NULL */
	const char *remedy;      /* what would mend that */
};

/* path: struct cert from an end certificate to its anchor; index: the one that is asked about. */
enum crl_answer crl_check_cert(const struct crl_check *check, GPtrArray *path, guint index,
			       struct crl_finding *finding);

/* Adds the keys of all names under which a list for this certificate may be issued: its issuer,
 * and the cRLIssuer of its distribution points. keys owns its texts. */
void crl_check_issuer_keys(const struct cert *cert, GHashTable *keys);

#endif
