/*
 * restored - what a backup holds that was under way, and may have been done since.
 *
 * Whether a mail that was about to leave has left, or a row of a batch has become a certificate,
 * is not known to a database that was set back. Such deliveries and batches wait for a person,
 * visibly, and go on when told to. Threads: any; no daemon runs.
 */
#ifndef STORE_RESTORED_H
#define STORE_RESTORED_H

#include <glib.h>

struct tx;

struct restored_held {
	gint64 batches, deliveries, messages; /* messages: SMS of mail that was sent */
};

gboolean restored_hold(struct tx *tx, struct restored_held *held,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
