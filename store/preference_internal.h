/*
 * preference_internal - shared by the files that make up preferences, and scope_rows; nobody
 * else's.
 */
#ifndef STORE_PREFERENCE_INTERNAL_H
#define STORE_PREFERENCE_INTERNAL_H

#include "store/preferences.h"

gboolean value_find(enum preference preference, const char *text, enum preference_value *value);
enum preference_value value_strictest(enum preference preference);
gboolean value_is_on(enum preference_value value);
GRegex *pattern_compile(const char *pattern, GError **error);

/* rows: scope key -> GPtrArray of struct preference_row. */
struct preference_set *preference_set_build_table(const char *address_key, char delimiter,
						  GHashTable *rows);
/* Equal sets have equal fingerprints. */
const char *preference_set_fingerprint(const struct preference_set *set);
/* What it holds in memory, about. */
gsize preference_set_memory(const struct preference_set *set);
struct rows;
/* Columns: scope, name, value, changed. NULL: a name of a newer program, to be left alone. */
struct preference_row *preference_row_read(const struct rows *rows, int r);
GHashTable *preference_table_new(void);
/* Takes the row. One with aliases is found by each of them too, under preference_alias_key(). */
void preference_table_add(GHashTable *table, struct preference_row *row);
/* The latter alone. */
void preference_table_add_aliases(GHashTable *table, const struct preference_row *row);
char *preference_alias_key(const char *address_key);
/* Tells caches that what this scope's aliases inherit from it changes: for who deletes the scope.
 */
gboolean preferences_aliases_changed(struct tx *tx, const struct scope *scope,
				     GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
