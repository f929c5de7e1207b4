/*
 * deliver_one - one step of a delivery that is held: its mail, or its SMS.
 *
 * The message is made once and kept sealed, so that every try sends the same bytes. What happened
 * is saved before this returns, as long as the lease lasts. Threads: any, a delivery each.
 */
#ifndef ADMIN_JOBS_DELIVER_ONE_H
#define ADMIN_JOBS_DELIVER_ONE_H

#include <glib.h>

struct gateway;
struct outbox_row;

/* How long one step may take, and so a lease. */
gint64 deliver_lease_seconds(struct gateway *gateway);
void deliver_one(struct gateway *gateway, struct outbox_row *row);

#endif
