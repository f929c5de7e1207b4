/*
 * lost - a request whose answer was lost: after a look at the CA, may it be handed in again?
 *
 * Not when it was found, and not while nobody can look. A CA that cannot be looked through is asked
 * again without knowing, a few times; then a person has to look. Threads: any.
 */
#ifndef PKI_HANDLERS_LOST_H
#define PKI_HANDLERS_LOST_H

#include <glib.h>

struct handler_answer;
struct request_row;

/* What a look at the CA for the certificate of our key found. */
enum lost_look {
	LOST_FOUND,  /* it is in the answer */
	LOST_NONE,   /* the request never took effect */
	LOST_BLIND,  /* this CA, or our right there, does not let it be told */
	LOST_FAILED, /* not now: the answer or *error says why */
};

/* times: handed in so often without an outcome. blind: "the CA cannot be searched", remedy: where a
 * person looks. FALSE: not again, and the answer says why. */
gboolean lost_may_repeat(enum lost_look look, const struct request_row *request, gint times,
			 const char *blind, const char *remedy, struct handler_answer *answer);
/* A number as a handle holds it, 0 or more; 0 when it is none. */
gint64 lost_number(const char *text);

#endif
