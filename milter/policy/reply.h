/*
 * reply - the SMTP reply of a message that is refused or deferred. PURE.
 *
 * To a sender of trusted origin up to 5 recipients are named with their reasons, then a count; to
 * anybody else nothing is said beyond the code. Text is printable ASCII. Threads: any.
 */
#ifndef MILTER_POLICY_REPLY_H
#define MILTER_POLICY_REPLY_H

#include <glib.h>

#include "milter/policy/groups.h"

#define REPLY_RECIPIENTS_MAX 5

struct reply {
	char code[4];   /* "550" */
	char status[8]; /* "5.7.5" */
	GStrv lines;    /* 1 to REPLY_RECIPIENTS_MAX + 2, without line ends */
};

/* addresses[i] is recipient i as written. NULL where the message is accepted. */
struct reply *reply_make(const struct groups *groups, const struct plan *plans,
			 const char *const *addresses, guint count, enum origin origin);
/* One line with the reason's own sentence (trusted) or the code's. For failures outside of policy.
 */
struct reply *reply_of_reason(enum reason reason, enum origin origin);
void reply_free(struct reply *reply); /* NULL is fine */

DEFINE_CLEANUP(reply, reply_free)

#endif
