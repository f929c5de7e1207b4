/*
 * fetch_wait - `crl update`: waits for the URLs that were asked for, and shows how it goes.
 */
#ifndef ADMIN_CLI_FETCH_WAIT_H
#define ADMIN_CLI_FETCH_WAIT_H

#include "admin/cli/client.h"

/* begun: the answer of crl update, which is replaced by that of crl urls once nothing is open any
 * more, or after ten minutes. The exit status is 1 when something failed. */
void fetch_wait(struct client *client, struct client_answer *begun);

#endif
