/*
 * path_revocation - was a certificate of this path revoked: lists and OCSP answers weighed
 * together.
 *
 * Revoked by either is revoked; good needs one that says so, or the preference that lets it be.
 * What is not known may fail a path (RFC 5280 section 6.3, RFC 6960 section 2.2), as the options
 * say. One judgement has one of these: paths of signers are looked for once. One thread at a time.
 */
#ifndef PKI_CRYPTO_PATH_REVOCATION_H
#define PKI_CRYPTO_PATH_REVOCATION_H

#include <glib.h>

#include "pki/crypto/chain.h"
#include "store/base/cleanup.h"

struct path_revocation;
struct chain_search;

/* All borrowed; what is found goes into the report, why a path fails into the search. */
struct path_revocation *path_revocation_new(const struct chain_options *options,
					    struct chain_search *search,
					    struct chain_report *report);
void path_revocation_free(struct path_revocation *revocation);

/* All of a complete path (struct cert, anchor last). FALSE: it fails, and the search knows why.
 * TRUE for a certificate that is revoked itself: the report says so. */
gboolean path_revocation_check(struct path_revocation *revocation, GPtrArray *path);
/* After a search that took no path: is the certificate, or one on the best attempt, revoked? */
void path_revocation_check_issuers(struct path_revocation *revocation);
/* Last: the source and what a responder should be asked about, of the path in the report. */
void path_revocation_report(struct path_revocation *revocation);

DEFINE_CLEANUP(path_revocation, path_revocation_free)

#endif
