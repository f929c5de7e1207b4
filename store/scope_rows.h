/*
 * scope_rows - what hangs on a scope (preferences, chosen certificates), cached by scope.
 *
 * Everything that is asked for at once and not yet known is one query, also for scopes that have
 * nothing, which is remembered likewise. Rows are immutable and shared.
 * Threads: any. TEMPORARY when the database is needed and away.
 */
#ifndef STORE_SCOPE_ROWS_H
#define STORE_SCOPE_ROWS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct cache_limits;
struct cache_stats;
struct changelog;
struct db;
struct scope_cache;

struct scope_rows {
	gint references;
	GPtrArray *preferences; /* struct preference_row, by name */
	GPtrArray *selections;  /* struct selection_row, by kind and age */
	GPtrArray *owners; /* scope keys of the users who have this one's address as an alias */
};

/* Arguments stay the caller's and live longer. */
struct scope_cache *scope_cache_new(struct db *db, struct changelog *changelog,
				    const struct cache_limits *limits);
void scope_cache_free(struct scope_cache *cache);
/* The rows of these scope keys, and of the owners of those that are aliases: scope key -> struct
 * scope_rows, owned by the table. */
GHashTable *scope_cache_load(struct scope_cache *cache, const char *const *scope_keys, gsize n,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(scope_cache, scope_cache_free)

#endif
