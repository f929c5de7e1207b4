/*
 * groups - plans to copies, and the answer for the whole message. PURE.
 *
 * Recipients whose copies are equal form a group. A refusal beats a deferral, because it will not
 * go away; with neither, more than one group is a deferral: one message cannot be two copies.
 * Groups keep the order of their first recipients. Threads: any.
 */
#ifndef MILTER_POLICY_GROUPS_H
#define MILTER_POLICY_GROUPS_H

#include <glib.h>

#include "milter/policy/decide.h"
#include "store/base/cleanup.h"

struct cert;
struct key;

struct group {
	struct plan plan; /* what is done; reasons are those of the first recipient */
	GArray *members;  /* of guint, indices of the recipients, ascending */

	/* Filled by the ruling; borrowed from it. */
	struct cert *signer; /* with plan.sign */
	struct key *signer_key;
	GPtrArray *signer_chain; /* struct cert *, intermediates to go along; may be empty */
	GPtrArray *certificates; /* struct cert *, each once, with plan.encrypt; owned array */
};

struct groups {
	GPtrArray *copies;    /* of struct group *; at least one where there is a recipient */
	enum outcome outcome; /* of the message: LEAVE, DO or CUT (one group), DEFER, REFUSE */
	enum reason reason;   /* that decided for the message */
	GArray *decisive;     /* of guint: the recipients refused or deferred; else empty */
};

/* Never NULL; count may be 0 (nothing to do: LEAVE). */
struct groups *groups_make(const struct plan *plans, guint count);
void groups_free(struct groups *groups); /* NULL is fine */

DEFINE_CLEANUP(groups, groups_free)

#endif
