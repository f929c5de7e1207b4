/*
 * leftovers - rows that have outlived what they were about.
 *
 * What is an object of somebody's (requests, certificates, keys, users, the books of a CA) stays
 * until somebody deletes it; what merely belongs to one, or tells its history, goes here. Threads:
 * any.
 */
#ifndef STORE_LEFTOVERS_H
#define STORE_LEFTOVERS_H

#include <glib.h>

struct tx;

/* history: what happened before then (revocations asked of other CAs, batches, the lines of
 * requests that have ended) goes. idle: what has been of no use since before then (orders and
 * accounts of ACME, notes on renewals, users that left, what was taken away from where it was
 * published). */
gboolean leftovers_forget(struct tx *tx, gint64 history, gint64 idle,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
