/*
 * triggers - words in the subject and header fields by which an author asks for protection, and
 * what of them and of our tags is cut again.
 *
 * Patterns are compiled once for each wording that the preferences have and kept, bounded.
 * Threads: any.
 */
#ifndef MILTER_POLICY_TRIGGERS_H
#define MILTER_POLICY_TRIGGERS_H

#include <glib.h>

#include "milter/policy/side.h"
#include "store/base/cleanup.h"

struct edits;
struct headers;
struct trigger_cache;
struct words;

struct trigger_cache *trigger_cache_new(void);
void trigger_cache_free(struct trigger_cache *cache); /* NULL is fine */

struct triggers_found {
	gboolean encrypt;
	gboolean sign;
	gboolean plain;
};

/* A pattern that cannot be decided (limits of PCRE) counts as found to encrypt and to sign, and as
 * not found to send plain. INVALID: a stored pattern does not compile. */
gboolean triggers_find(struct trigger_cache *cache, const struct side *side,
		       const struct headers *headers, struct triggers_found *found,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What is to be cut from the Subject: tags of these sets and, with remove, the side's triggers.
 * NULL with *error only; a reference of the caller's. */
struct words *triggers_to_cut(struct trigger_cache *cache, const struct side *side,
			      const GPtrArray *tag_sets, gboolean remove,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Cuts the words from every Subject field; fields without a match stay as they are. */
void triggers_cut(const struct headers *headers, const struct words *words, struct edits *edits);

DEFINE_CLEANUP(trigger_cache, trigger_cache_free)

#endif
