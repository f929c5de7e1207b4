/*
 * inbound_tags - the text in front of the Subject that says what was found. PURE.
 */
#ifndef MILTER_POLICY_INBOUND_TAGS_H
#define MILTER_POLICY_INBOUND_TAGS_H

#include <glib.h>

struct preference_set;
struct reading;

/* By preferences tag_*; a name is the certificate's mail address, in letters that end no tag. NULL:
 * none. Owned by the caller. */
char *inbound_tags(const struct preference_set *preferences, const struct reading *reading,
		   gboolean signature_claimed);

#endif
