/*
 * cmp_failure - what the bits of PKIFailureInfo (RFC 4210 section 5.2.3) mean for a request.
 *
 * Pure. Threads: any.
 */
#ifndef PKI_HANDLERS_CMP_FAILURE_H
#define PKI_HANDLERS_CMP_FAILURE_H

#include <glib.h>

#include "pki/crypto/cmp.h"
#include "pki/handlers/handler.h"

/* Of several bits the one that asks for the most care decides: look first, then an administrator,
 * then another request, then time. NULL for its name: none is set, the request is refused. */
enum handler_error_class cmp_failure_class(guint32 bits, const char **name);
/* The answer to a request that was refused. */
void cmp_failure_answer(const struct cmp_result *result, struct handler_answer *answer);
/* Refused by a CA that lost the transaction, not by one that judged the request? */
gboolean cmp_failure_forgotten(const struct cmp_result *result);

#endif
