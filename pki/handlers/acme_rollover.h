/*
 * acme_rollover - a new key for our account (RFC 8555 section 7.3.5).
 *
 * The new key is kept, with the time, before the server is asked to change to it. Whoever finds one
 * that was asked about asks the server which key the account has, and goes on with that one; so a
 * program that dies in between loses neither key. Threads: one at a time; several programs at once
 * change to the same key.
 */
#ifndef PKI_HANDLERS_ACME_ROLLOVER_H
#define PKI_HANDLERS_ACME_ROLLOVER_H

#include "pki/handlers/acme_wire.h"

/* The answer is then ISSUED: the account has a new key. */
void acme_rollover(struct acme *acme);
/* Which key has the account? Needs key and kid, and may change the key; *changed (may be NULL): it
 * did. FALSE ends the conversation: it cannot be told. */
gboolean acme_rollover_settle(struct acme *acme, gboolean *changed);
/* TRUE: the account's key is being changed, or is another than this conversation's. */
gboolean acme_rollover_is_under_way(struct acme *acme);

#endif
