/*
 * side - the preferences of the sending side: those of the author and of an internal envelope
 * sender, combined to the stricter; without author the envelope sender's; with neither the
 * gateway's.
 *
 * Holds references. Threads: any, read-only.
 */
#ifndef MILTER_POLICY_SIDE_H
#define MILTER_POLICY_SIDE_H

#include <glib.h>

#include "store/preferences.h"

struct side {
	struct preference_set *sets[2]; /* at least the first */
	guint count;
};

void side_clear(struct side *side);
enum preference_value side_choice(const struct side *side, enum preference preference);
/* mode = observe of everybody: who may choose his From must not choose to be observed. */
gboolean side_is_observed(const struct side *side);
gboolean side_on(const struct side *side, enum preference preference);
/* The smaller of the limits that are set; 0: none is. */
guint64 side_size_max(const struct side *side, enum preference preference);
/* Modes of a set count as nothing asked where its smime is off. */
enum preference_value side_encrypt_mode(const struct side *side);
enum preference_value side_sign_mode(const struct side *side);
/* Whose aliases these are: the user himself, also when the set is that of an alias. NULL: nobody's.
 * Owned by the caller. */
struct mailaddr *side_alias_owner(const struct preference_set *set);

#endif
