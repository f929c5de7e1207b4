/*
 * acme_problem - what an ACME server's error means for a request: one table (RFC 8555 section 6.7).
 *
 * Pure. Threads: any.
 */
#ifndef PKI_HANDLERS_ACME_PROBLEM_H
#define PKI_HANDLERS_ACME_PROBLEM_H

#include "pki/handlers/acme_object.h"
#include "pki/handlers/handler.h"

struct acme_meaning {
	enum handler_status status; /* REJECTED, or RETRY */
	enum handler_error_class error_class;
};

/* Of an answer to a request; what is below a "compound" counts by its worst. */
struct acme_meaning acme_problem_meaning(const struct acme_problem *problem);
/* Of a challenge that failed: what time may heal (the server did not reach us) is RETRY, which
 * takes a new order. problem NULL: the server gave no reason. */
struct acme_meaning acme_problem_of_challenge(const struct acme_problem *problem);
gboolean acme_problem_is(const struct acme_problem *problem, const char *type); /* NULL is none */

#endif
