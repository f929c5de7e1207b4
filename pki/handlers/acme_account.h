/*
 * acme_account - our account with a server: its key is made and kept before the server hears of it,
 * so that it is the same account whatever is interrupted (RFC 8555 section 7.3).
 *
 * One for each configuration and directory. The key is sealed (K10). Threads: one at a time; of
 * several programs the first one's key stays.
 */
#ifndef PKI_HANDLERS_ACME_ACCOUNT_H
#define PKI_HANDLERS_ACME_ACCOUNT_H

#include "pki/handlers/acme_wire.h"

/* Loads it, makes and registers it where needed: acme->key, kid and thumbprint are set. */
gboolean acme_account_ready(struct acme *acme);
/* Loads what there is and makes nothing; kid NULL: not registered yet. A change of its key that was
 * interrupted is brought to its end; *rolled (may be NULL): there was one, and it is done. */
gboolean acme_account_look(struct acme *acme, gboolean *rolled);
/* Asks for its status: FALSE ends the conversation when it is not good. Needs kid. */
gboolean acme_account_check(struct acme *acme);
/* URL of its list of orders; NULL: the server tells none, or the conversation has ended. */
char *acme_account_orders(struct acme *acme);
/* The server says that it does not know the account: registered anew at the next act. */
gboolean acme_account_lost(struct acme *acme);

#endif
