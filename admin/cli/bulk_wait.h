/*
 * bulk_wait - `bulk submit` and `bulk resume`: wait for the batch, and show how it goes.
 */
#ifndef ADMIN_CLI_BULK_WAIT_H
#define ADMIN_CLI_BULK_WAIT_H

#include "admin/cli/client.h"

/* begun: the answer with the batch's id; it is replaced by that of bulk status once the batch is
 * worked through, or no longer goes on. The exit status is 1 when a row failed or it stopped. A
 * daemon that is away for a while is waited for. */
void bulk_wait(struct client *client, struct client_answer *begun);

#endif
