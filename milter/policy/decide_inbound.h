/*
 * decide_inbound - the inbound half of decide.c, and of it alone. PURE.
 *
 * Where a key of the recipient is named nothing is refused any more: whatever came of it, the
 * answer to the sender is the same (decision 0051).
 */
#ifndef MILTER_POLICY_DECIDE_INBOUND_H
#define MILTER_POLICY_DECIDE_INBOUND_H

#include "milter/policy/decide.h"

/* Outcome and row. */
void decide_inbound(struct plan *plan, const struct message_facts *message,
		    const struct recipient_facts *recipient);
/* What shapes the copy of a plan that is not observed. */
void decide_inbound_shape(struct plan *plan, const struct recipient_facts *recipient);

#endif
