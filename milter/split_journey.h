/*
 * split_journey - one try of one message: what the ledger holds of it, and the conversation with
 * the listener; for split.c alone.
 *
 * Threads: that of the message.
 */
#ifndef MILTER_SPLIT_JOURNEY_H
#define MILTER_SPLIT_JOURNEY_H

#include "milter/delivery.h"
#include "milter/split.h"
#include "milter/split_memory.h"
#include "store/ledger.h"

struct split {
	struct gateway *gateway;
	struct split_memory *memory;
};

/* One message on its way. keys: of each recipient, then of the notice. */
struct journey {
	struct split *split;
	const struct split_request *request;
	const struct settings *settings;
	struct split_report *report;
	struct ledger_copy *keys;
	guint count; /* of recipients */
	guint8 holder[LEDGER_HOLDER_BYTES];
	gboolean *claimed;   /* of each key: by us, and not completed */
	gboolean *uncertain; /* it may have been sent */
	gboolean gone;       /* something has gone out, now or in an earlier try */
	char *host;
	GPtrArray *parcels;
	struct delivery *delivery;
};

/* journey_clear in any case. */
gboolean journey_begin(struct journey *journey, struct split *split,
		       const struct split_request *request,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void journey_clear(struct journey *journey);
gboolean journey_connect(struct journey *journey, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Claims the keys of these indices; their states are in journey->keys. */
gboolean journey_claim(struct journey *journey, const GArray *indices,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The server has taken them; what it calls them is in its answer. */
gboolean journey_complete(struct journey *journey, const GArray *indices,
			  const struct smtp_reply *answer,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Gives up what was claimed and did not go out. Should that fail the lease ends by itself. */
void journey_release(struct journey *journey);
/* Appends all recipients but those excluded (one flag a recipient, or NULL) whose copy went out in
 * an earlier try. */
gboolean journey_look(struct journey *journey, const gboolean *excluded, GArray *served,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
