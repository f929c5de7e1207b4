/*
 * in_place - the copy that stays with the mail server: its edits, and the envelope without the
 * recipients who have theirs already.
 *
 * The last step before the answer. FALSE with *error (TEMPORARY): the server took not all of it,
 * and the message must be deferred, or others' recipients would get this copy. Threads: any.
 */
#ifndef MILTER_IN_PLACE_H
#define MILTER_IN_PLACE_H

#include <glib.h>

struct envelope;
struct copy;
struct mta;

/* gone: of guint, the recipients to be taken out, each by its argument byte for byte. */
gboolean in_place_hand_over(struct mta *mta, const struct envelope *envelope, const GArray *gone,
			    const struct copy *copy, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
