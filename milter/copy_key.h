/*
 * copy_key - by which the ledger knows the copy of one recipient of one message again.
 *
 * HMAC-SHA-256 under HKDF(master key, "ledger", generation) over envelope sender, recipient,
 * Message-ID, Date, the author's fields (From, Sender, Reply-To, To, Cc, Subject, Content-Type and
 * -Transfer-Encoding) and the body as it came: what is the same when a client tries a message
 * again, whatever was made of it meanwhile.
 * Trace fields and what other filters add are left out. Where the MTA gave the message its
 * Message-ID (it holds the queue id) that and the Date are left out too: a retry gets others.
 * Threads: any.
 */
#ifndef MILTER_COPY_KEY_H
#define MILTER_COPY_KEY_H

#include <glib.h>

#include "store/ledger.h"

/* Beside the recipients: the notice to the sender. */
#define COPY_KEY_NOTICE "\001notice"

struct keyring;
struct session_message;

/* One for each recipient of the envelope and one for the notice, at the end: recipients + 1; the
 * caller's. NULL with *error. */
struct ledger_copy *copy_keys_make(struct keyring *keyring, const struct session_message *message,
				   const char *queue_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
