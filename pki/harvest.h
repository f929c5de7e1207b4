/*
 * harvest - certificates out of validly signed inbound mail into the store (T7).
 *
 * Who calls has verified the signature; what is taken is decided here, and what is taken is never
 * trusted for that. Offers and notes of use wait in a bounded queue, the newest give way, and one
 * thread writes them, so that no mail waits. With a database that is away or read-only they
 * are dropped and counted: the same sender writes again. Threads: any.
 */
#ifndef PKI_HARVEST_H
#define PKI_HARVEST_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/mailaddr.h"

struct cert;
struct harvest;
struct pending_judge;

#define HARVEST_DER_MAX_BYTES 16384
#define HARVEST_EMAILS_MAX 20
#define HARVEST_RSA_MAX_BITS 8192

struct harvest_stats {
	guint64 taken;   /* new in the store */
	guint64 known;   /* were there already */
	guint64 limited; /* more than a sender may bring */
	guint64 dropped; /* no room in the queue, or no database */
};

/* What judge names stays the caller's and lives longer. */
struct harvest *harvest_start(const struct pending_judge *judge,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
void harvest_stop(struct harvest *harvest); /* drops what waits; NULL is fine */

/* Why a certificate that came with this sender's mail is not taken; NULL: it is. Static text. */
const char *harvest_fault(const struct cert *cert, const struct mailaddr *sender);
/* Takes it when harvest_fault has nothing against it. */
void harvest_offer(struct harvest *harvest, struct cert *cert, const struct mailaddr *sender);
/* Mail was encrypted to it. Written once a day and certificate. */
void harvest_used(struct harvest *harvest, const struct cert *cert);
void harvest_stats(struct harvest *harvest, struct harvest_stats *stats);
/* Waits until what was offered is written; FALSE after timeout_ms. */
gboolean harvest_flush(struct harvest *harvest, guint timeout_ms);

DEFINE_CLEANUP(harvest, harvest_stop)

#endif
