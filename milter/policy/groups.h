/*
 * groups - plans to copies, and the answer for the whole message. PURE.
 *
 * Recipients whose copies are equal form a group; each recipient is in exactly one, or is one of
 * the refused. A refusal beats a deferral, because it will not go away. Of several copies one
 * stays with the mail server: that whose content does least harm in a stranger's mailbox, since
 * taking the others' recipients out of an envelope gives no answer and can miss. The others are
 * injected; where there is no way to do that, the message is deferred, or, if nobody wrote it,
 * left to all in the one form that harms nobody.
 * Groups keep the order of their first recipients. Threads: any.
 */
#ifndef MILTER_POLICY_GROUPS_H
#define MILTER_POLICY_GROUPS_H

#include <glib.h>

#include "milter/policy/decide.h"
#include "store/base/cleanup.h"

struct cert;
struct key;
struct opening;

struct group {
	struct plan plan;  /* what is done; reasons are those of the first recipient */
	GArray *members;   /* of guint, indices of the recipients, ascending */
	gboolean observed; /* all of them are: not one byte of this copy may change */

	/* Filled by the ruling; borrowed from it. */
	struct cert *signer; /* with plan.sign */
	struct key *signer_key;
	GPtrArray *signer_chain; /* struct cert *, intermediates to go along; may be empty */
	GPtrArray *certificates; /* struct cert *, each once, with plan.encrypt; owned array */
	const struct opening *opening; /* with plan.opening */
	const char *tags;              /* with plan.tag_set */
};

/* What is possible at this site, for this message. */
struct groups_rules {
	gboolean inject; /* copies can be injected into the mail server */
	gboolean notify; /* the refused can be taken out, their sender will be told */
	guint alone_max; /* copies for one recipient alone (bcc_copies_max) */
	/* A key is tried for somebody, and what it opens may take a copy for himself: where copies
	 * cannot be made the answer is the one for several, whatever was found inside. */
	gboolean unlike;
	/* Of each recipient the first with the same address: they share a copy, since the mail
	 * server takes both out of the envelope together. NULL: all differ. */
	const guint *first;
};

struct groups {
	GPtrArray *copies;    /* of struct group *; at least one where somebody is served */
	guint in_place;       /* index of the copy that stays with the mail server */
	enum outcome outcome; /* of the message; with several copies that of the one in place */
	enum reason reason;   /* that decided for the message */
	GArray *decisive;     /* of guint: the recipients for whom it is refused or deferred */
	GArray *refused;      /* of guint: taken out, with a notice, while the others are served */
};

/* Never NULL; count may be 0 (nothing to do: LEAVE). */
struct groups *groups_make(const struct plan *plans, guint count, const struct groups_rules *rules);
void groups_free(struct groups *groups); /* NULL is fine */

DEFINE_CLEANUP(groups, groups_free)

#endif
