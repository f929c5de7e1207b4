/*
 * crl_status - what a list of the store is worth now: its verdict, and why, in one sentence (T5).
 *
 * The one place where these sentences are made: `crl list`, `crl show`, doctor and the log have
 * them from here. A status rests on the row, the clock, and on whether its signer is trusted now.
 * Threads: a judge belongs to one; it reads roots and CA certificates once.
 */
#ifndef PKI_CRL_STATUS_H
#define PKI_CRL_STATUS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct crl_judge;
struct crl_row;
struct db;
struct trust;

struct crl_status {
	gboolean valid; /* it answers for certificates now; else see the reason */
	char *reason;   /* "" when there is nothing to say; a valid list may have one */
};

struct crl_judge *crl_judge_new(struct db *db, struct trust *trust);
void crl_judge_free(struct crl_judge *judge);
/* now: the moment of the question. Never NULL without *error. */
struct crl_status *crl_status_of(struct crl_judge *judge, const struct crl_row *row, gint64 now,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void crl_status_free(struct crl_status *status);

DEFINE_CLEANUP(crl_judge, crl_judge_free)
DEFINE_CLEANUP(crl_status, crl_status_free)

#endif
