/*
 * preference_internal - shared by the four files that make up preferences; nobody else's.
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
/* Rows of these scope keys; one query. Adds to the table. */
gboolean preference_rows_load(struct db *db, const GPtrArray *scope_keys, GHashTable *rows,
			      GError **error);
GHashTable *preference_table_new(void);
/* Takes the row. One with aliases is found by each of them too, under preference_alias_key(). */
void preference_table_add(GHashTable *table, struct preference_row *row);
char *preference_alias_key(const char *address_key);

#endif
