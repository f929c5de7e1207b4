/*
 * preference_tags - sets of preferences for who remembers what is made of them.
 *
 * See store/preferences.h and, for tags, store/db/changelog.h.
 */
#ifndef STORE_PREFERENCE_TAGS_H
#define STORE_PREFERENCE_TAGS_H

#include "store/preferences.h"

struct scope_cache;

/* As preferences_resolve; what the set rests on is joined to these tags (NULL: not wanted). */
struct preference_set *preferences_resolve_tagged(struct preference_cache *cache,
						  const char *address_key, GArray *tags,
						  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The rows behind it all: what else hangs on the scopes of an address. Borrowed. */
struct scope_cache *preference_cache_scopes(struct preference_cache *cache);

#endif
