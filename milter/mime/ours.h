/*
 * ours - header fields that only this gateway may write, arriving from elsewhere.
 *
 * Every X-Postseal-* field and every Authentication-Results field that names an smime result
 * under an authserv-id of ours is to be removed before anything else (RFC 8601 section 5). Fields
 * of ours without an smime result belong to other filters and stay. A field that begins like one
 * of ours and cannot be parsed is removed.
 */
#ifndef MILTER_MIME_OURS_H
#define MILTER_MIME_OURS_H

#include "milter/message/edits.h"

#define OURS_FIELD_PREFIX "X-Postseal-"

/* Adds the deletions to edits; returns their number. ids ends with NULL. */
guint ours_remove(const struct headers *headers, const char *const *ids, struct edits *edits);
/* One Authentication-Results value: must it go? */
gboolean ours_is_smime_result(const char *raw_value, gsize length, const char *const *ids);

#endif
