/*
 * ocsp_ahead - OCSP answers that are signed before anybody asks.
 *
 * For certificates in the books of our CAs that have not ended, revoked ones as well, as SHA-1
 * CertIDs name them, since nearly everybody does (RFC 5019 section 2.1.1). What is there and not
 * due is left, whoever signed it, so a round goes on where the last one ended, and daemons that
 * work at the same time at worst sign once too often: the answer of the first stays. Threads: one.
 */
#ifndef PKI_OCSP_AHEAD_H
#define PKI_OCSP_AHEAD_H

#include "pki/ocsp_responder.h"

struct ocsp_ahead; /* how far a round has come */

/* max: for so many certificates of an issuer; those with the lowest serials, so that it is always
 * the same ones. */
struct ocsp_ahead *ocsp_ahead_new(struct ocsp_responder *responder,
				  const struct ocsp_policy *policy, gint64 max);
void ocsp_ahead_free(struct ocsp_ahead *ahead); /* NULL is fine */
/* At most limit answers more. *left: the round is not at its end. */
gboolean ocsp_ahead_go_on(struct ocsp_ahead *ahead, gint limit, gboolean *left,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Of all issuers: certificates that are to have an answer, and those that have one in date. */
gboolean ocsp_ahead_count(struct db *db, gint64 now, gint64 max, gint64 *wanted, gint64 *ready,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(ocsp_ahead, ocsp_ahead_free)

#endif
