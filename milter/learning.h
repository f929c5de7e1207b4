/*
 * learning - what a message that was let through leaves behind for later ones.
 *
 * Ciphers that a partner announced, mail that was decrypted for somebody, authors who need a
 * certificate. Notes wait in a bounded queue and one thread writes them, so that no mail waits;
 * what cannot be written is dropped and counted. Nothing here changes the message. Threads: any.
 * learning NULL: nothing is done.
 */
#ifndef MILTER_LEARNING_H
#define MILTER_LEARNING_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/mailaddr.h"

struct gateway;
struct headers;
struct learning;
struct reading;

struct learning_stats {
	guint64 written;
	guint64 dropped; /* no room in the queue, or no database */
};

/* gateway stays the caller's and lives longer. */
struct learning *learning_start(struct gateway *gateway, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void learning_stop(struct learning *learning); /* drops what waits; NULL is fine */

/* This message is delivered decrypted to this recipient (as in the envelope): his answers to it
 * are known as such from now on. Once a recipient, after the MTA has been told. */
void learning_decrypted(struct learning *learning, const struct headers *headers,
			const struct mailaddr *recipient);
/* What the author announced in a message whose verdict is valid. The newest of his signatures
 * counts; one without a signingTime cannot be put in order, and teaches nothing. */
void learning_reading(struct learning *learning, const struct reading *reading);
/* The same for one announcement. Masks as in pki/crypto/capabilities.h. */
void learning_announced(struct learning *learning, const struct mailaddr *author, guint ciphers,
			guint transports, gint64 signing_time);
/* This author needs a certificate (auto_request): asked for once, however often it is said. */
void learning_requests(struct learning *learning, const struct mailaddr *author);

void learning_stats(struct learning *learning, struct learning_stats *stats);
/* Waits until what was noted is written; FALSE after timeout_ms. */
gboolean learning_flush(struct learning *learning, guint timeout_ms);

DEFINE_CLEANUP(learning, learning_stop)

#endif
