/*
 * ruling - what is to be done with one message: gathered, decided, grouped. The one function that
 * the mail path and explain share.
 *
 * Failure: NULL with *error where nothing could be known (store away): the caller defers.
 * Threads: any; a result belongs to its caller.
 */
#ifndef MILTER_POLICY_RULING_H
#define MILTER_POLICY_RULING_H

#include "milter/policy/gather.h"
#include "milter/policy/groups.h"
#include "milter/policy/reply.h"

struct edits;
struct words;

struct ruling {
	struct gathered *gathered;
	struct plan *plans; /* one a recipient, in the envelope's order */
	guint count;
	struct groups *groups; /* copies carry signer and certificates */
	struct reply *reply;   /* NULL: accepted */
	gboolean observed;     /* every recipient is observed: not one byte may change */
};

struct ruling *ruling_make(struct gateway *gateway, const struct message_source *source,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ruling_free(struct ruling *ruling); /* NULL is fine */

/* The edits that every message of foreign origin gets, whatever its direction: result fields and
 * tags of ours that it brought are removed, and the trigger texts if trigger_remove is on.
 * Nothing when observed or reinjected. */
void ruling_clean_header(struct gateway *gateway, const struct ruling *ruling,
			 const struct headers *headers, struct edits *edits);

/* What ruling_clean_header cuts from a Subject; for others that write one. NULL with *error only; a
 * reference of the caller's. */
struct words *ruling_words(struct gateway *gateway, const struct ruling *ruling,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Canonical JSON of the whole ruling: equal rulings give equal bytes. Appends to out. */
void ruling_describe(const struct ruling *ruling, GString *out);

DEFINE_CLEANUP(ruling, ruling_free)

#endif
