/*
 * author_check - may this message be signed for the mailbox in its From?
 *
 * Asked only for a trusted origin: the MTA vouches for the login or, without one, for the host;
 * what the login or the envelope sender may write as is the author's own preference.
 * PURE apart from its arguments. Threads: any.
 */
#ifndef MILTER_POLICY_AUTHOR_CHECK_H
#define MILTER_POLICY_AUTHOR_CHECK_H

#include <glib.h>

#include "milter/policy/facts.h"
#include "store/preferences.h"

struct mailaddr;

struct author_question {
	const struct mailaddr *author;            /* NULL: none */
	const struct preference_set *preferences; /* the author's */
	enum preference_value check;              /* author_check, combined */
	gboolean author_internal;
	gboolean resent;
	const char *login;                     /* NULL: not logged in */
	const char *sender;                    /* as written; "" is the null sender */
	const struct mailaddr *sender_address; /* NULL: null sender, or not an address */
	gboolean sender_internal;
	char delimiter; /* of +tag, 0: none */
};

enum author_state author_check(const struct author_question *question);

#endif
