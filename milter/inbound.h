/*
 * inbound - carries out what was decided for one inbound copy: content, Subject, results.
 *
 * The message's content fields and body are replaced by what was decrypted, or by the same without
 * its signatures, with defused HTML where that is asked for. Tags go in front of the Subject after
 * those that the message brought were cut. What concerns the envelope and not the bytes (a
 * quarantine, RET=HDRS) is asked of the MTA by inbound_hand_over for the copy that stays with it.
 * Threads: any number, one message each. Decision 0051.
 */
#ifndef MILTER_INBOUND_H
#define MILTER_INBOUND_H

#include <glib.h>

struct edits;
struct envelope;
struct gateway;
struct group;
struct headers;
struct mta;
struct plan;
struct ruling;
struct spool_area;

struct inbound_request {
	struct gateway *gateway;
	const struct ruling *ruling;
	const struct group *group; /* OUTCOME_READ */
	const struct headers *headers;
	struct spool_area *area;
};

/* edits may hold changes made before (ruling_clean_header) and get the new body and fields. On
 * failure they are worthless, and the message must be deferred. */
gboolean inbound_carry_out(const struct inbound_request *request, struct edits *edits,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* For the copy in place, after its edits were sent. FALSE: the MTA did not take it. */
gboolean inbound_hand_over(const struct plan *plan, const struct envelope *envelope,
			   struct mta *mta) G_GNUC_WARN_UNUSED_RESULT;

#endif
