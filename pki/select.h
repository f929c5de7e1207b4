/*
 * select - which certificates to encrypt to, and which one to sign with (S1-S6).
 *
 * Candidates come from the store, verdicts from trust. A certificate that is found but not
 * usable is among the candidates with its reason and never among the used ones. Addresses match
 * as RFC 8550 section 3 says, never by common name. Results are cached by address until a row
 * that they rest on changes or time changes the answer. Threads: any number; results are
 * immutable and shared. Failure: TEMPORARY when the store cannot be asked.
 */
#ifndef PKI_SELECT_H
#define PKI_SELECT_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/trust.h"
#include "store/base/cleanup.h"
#include "store/base/clock.h"
#include "store/base/mailaddr.h"
#include "store/selections.h"

struct db;
struct cache_limits;
struct cache_stats;
struct changelog;
struct preference_cache;
struct select;

enum candidate_origin {
	CANDIDATE_AUTOMATIC,  /* its address matches */
	CANDIDATE_MANUAL,     /* chosen for this user */
	CANDIDATE_INHERITED,  /* chosen for a domain or globally, see scope */
	CANDIDATE_ADDITIONAL, /* S4 */
};

struct candidate {
	struct cert *cert;
	enum candidate_origin origin;
	char *scope; /* "user bob@x", "domain x", "domain *.x", "global"; NULL when automatic */
	struct verdict *verdict;
	gboolean used;
	gboolean has_key;   /* a private key is held */
	gboolean decrypts;  /* it was chosen, and its key may open mail for the whole scope */
	gboolean by_itself; /* out of mail or a directory: nobody here vouches for its addresses */
	char *why;          /* why it is used, or why not; one sentence */
};

struct selection {
	gint references;
	GPtrArray *candidates; /* struct candidate, in order of preference */
	GPtrArray *used;       /* struct cert; for signing at most one */
	guint absent;          /* chosen by hand, and not in the store any more */
	/* For encryption: what the address announced last in a valid signature, else what all of
	 * the used certificates say (RFC 4262). Masks as in pki/crypto/capabilities.h. */
	gboolean announced;
	guint ciphers, transports;
	gint64 expires;
	char *why; /* why nothing is used, for logs and replies; NULL when something is */
};

/* delimiter: of "+tag" in addresses of ours, 0 for none. All arguments stay the caller's. */
struct select *select_new(struct db *db, struct changelog *changelog, struct clock *clock,
			  struct trust *trust, struct preference_cache *preferences, char delimiter,
			  const struct cache_limits *limits);
void select_free(struct select *select);

/* Never NULL without *error: an empty selection is an answer, not a failure. Unref. */
struct selection *select_encryption(struct select *select, const struct mailaddr *recipient,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same with further addresses that count as the recipient's (aliases, without "+tag"). */
struct selection *select_encryption_aliases(struct select *select, const struct mailaddr *recipient,
					    GPtrArray *aliases,
					    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* S3: certificates whose key is held; preference sign_as_domain decides on domain-level ones. */
struct selection *select_signing(struct select *select, const struct mailaddr *author,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* S4: archive, escrow …, of the scopes of this address. */
struct selection *select_additional(struct select *select, const struct mailaddr *address,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Makes ready what is not known yet of all these, with one query for the certificates, so that the
 * questions themselves need none. What fails here fails again, and is told, when it is asked. */
struct select_question {
	const struct mailaddr *address;
	GPtrArray *aliases; /* struct mailaddr, or NULL */
	enum selection_kind kind;
};
void select_prefetch(struct select *select, const struct select_question *questions, gsize n);
/* S8: what would make a certificate valid, for one that is chosen and is not; NULL when it is
 * valid. Owned by the caller. */
char *select_advice(const struct verdict *verdict, const struct cert *cert);

void select_stats(struct select *select, struct cache_stats *stats);

struct selection *selection_ref(struct selection *selection);
void selection_unref(struct selection *selection);
const char *candidate_origin_name(enum candidate_origin origin); /* "automatic" … */

DEFINE_CLEANUP(select, select_free)
DEFINE_CLEANUP(selection, selection_unref)

#endif
