/*
 * chain_search - every path from a certificate to an anchor, shortest first, until one is taken.
 *
 * Edges are issuer names with a key that verifies; rules of RFC 5280 section 6.1 that a CA breaks
 * on its own or towards what is below it end a path early. The order depends on the certificates
 * alone, not on the order in which they are given. Loops, depth, signatures and steps are limited
 * (chain.h); a search that ends for that says so in its work. One thread at a time.
 */
#ifndef PKI_CRYPTO_CHAIN_SEARCH_H
#define PKI_CRYPTO_CHAIN_SEARCH_H

#include <glib.h>

#include "pki/crypto/chain.h"
#include "pki/crypto/sentences.h"
#include "store/base/cleanup.h"

struct chain_search;

/* How far a path came before it failed; of several, the one that came farthest is told. */
enum chain_rank {
	CHAIN_RANK_NONE,
	CHAIN_RANK_NO_ISSUER,  /* nobody of that name, or none with that key, or no anchor */
	CHAIN_RANK_ISSUER,     /* an issuer that breaks a rule */
	CHAIN_RANK_POLICY,     /* an anchor was reached */
	CHAIN_RANK_REVOCATION, /* could not be found out */
	CHAIN_RANK_REVOKED,
};

struct chain_attempt {
	enum chain_rank rank;
	GPtrArray *path; /* struct cert, as far as it came */
	enum chain_fault fault;
	char *text;
	const char *remedy;
};

/* A complete path (struct cert, anchor last; borrowed). TRUE: taken, the search is over. */
typedef gboolean (*chain_judge_func)(struct chain_search *search, GPtrArray *path, gpointer data);

/* work counts on from what it holds. All arguments live longer. */
struct chain_search *chain_search_new(struct cert *cert, const struct chain_options *options,
				      struct chain_work *work);
void chain_search_free(struct chain_search *search);
gboolean chain_search_run(struct chain_search *search, chain_judge_func judge, gpointer data);

/* The certificate that is judged, its key completed where it inherits parameters. */
struct cert *chain_search_cert(const struct chain_search *search);
/* Struct cert: whose key verifies the certificate itself. Owned by the caller. */
GPtrArray *chain_search_issuers(struct chain_search *search);
/* For judges: why this path fails. Takes over text. */
void chain_search_fail(struct chain_search *search, enum chain_rank rank, GPtrArray *path,
		       enum chain_fault fault, char *text, const char *remedy);
const struct chain_attempt *chain_search_best(const struct chain_search *search);
/* Lowers *until to the next date at which one of the certificates that were seen begins or ends. */
void chain_search_dates(const struct chain_search *search, gint64 *until);

DEFINE_CLEANUP(chain_search, chain_search_free)

#endif
