/*
 * preferences - settings of the gateway, a domain or a user, with inheritance.
 *
 * One table (preferences.def) has every preference with its type, values from weak to strict,
 * default, scopes and sentence. An address is resolved to a set: for every preference its value
 * and the scope it came from. Sets are immutable, shared (equal ones are one pointer), and cached
 * by address until a row of its scopes changes, so that the mail path makes no round trip. Threads:
 * any. When the database is away and the cache is older than its grace: TEMPORARY.
 */
#ifndef STORE_PREFERENCES_H
#define STORE_PREFERENCES_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/secret.h"
#include "store/scopes.h"

struct db;
struct tx;
struct cache_limits;
struct changelog;

enum preference {
#define PREFERENCE(id, name, type, initial, scopes, sides, sentence) PREF_##id,
#include "store/preferences.def"
	PREF_COUNT
};

/* Values of ordered lists, weak to strict within a preference: VALUE_ENCRYPT_MODE_FORCE ... */
enum preference_value {
#define VALUE(preference, id, text) VALUE_##preference##_##id,
#include "store/preferences.def"
	VALUE_COUNT
};

enum preference_type {
	PREF_CHOICE,
	PREF_PATTERN,
	PREF_HEADER,
	PREF_SIZE,
	PREF_ADDRESSES,
	PREF_PHONE,
	PREF_SECRET,
	PREF_CERTIFICATE,
	PREF_NAME,
	PREF_TEXT
};
enum preference_sides { SIDE_SENDER = 1, SIDE_RECIPIENT = 2, SIDE_BOTH = 3 };
enum preference_scopes { IN_USER = 1, IN_DOMAIN = 2, IN_GLOBAL = 4, IN_ALL = 7 };

const char *preference_name(enum preference preference);
const char *preference_default(enum preference preference);
const char *preference_sentence(enum preference preference);
enum preference_type preference_type(enum preference preference);
enum preference_sides preference_sides(enum preference preference);
guint preference_scopes(enum preference preference); /* of enum preference_scopes */
GStrv preference_values(enum preference preference); /* of a choice, weak to strict; else empty */
/* INVALID offers the nearest name. */
gboolean preference_find(const char *name, enum preference *preference,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Checks and normalises a value; INVALID says what it takes, or offers the nearest. */
char *preference_normalise(enum preference preference, const char *value,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct preference_set; /* immutable, reference-counted */
struct preference_set *preference_set_ref(struct preference_set *set);
void preference_set_unref(struct preference_set *set);
/* Normalised text; secrets are never in a set ("" when unset, "set" when set). */
const char *preference_text(const struct preference_set *set, enum preference preference);
enum preference_value preference_choice(const struct preference_set *set, enum preference p);
gboolean preference_on(const struct preference_set *set, enum preference preference);
gint64 preference_size(const struct preference_set *set, enum preference preference);
/* NULL when off. Compiled once with the set. */
const GRegex *preference_pattern(const struct preference_set *set, enum preference preference);
const char *preference_header(const struct preference_set *set, enum preference preference);
const char *const *preference_list(const struct preference_set *set, enum preference preference);
/* "user bob@x", "domain *.x", "global", "default". */
const char *preference_scope(const struct preference_set *set, enum preference preference);
/* The later of two in its list; ties give a. */
enum preference_value preference_stricter(enum preference_value a, enum preference_value b);

/* What a set is made of: rows of (scope key, name, value). For tests and explain. */
struct preference_row {
	struct scope *scope;
	enum preference preference;
	char *value; /* "set" for a secret */
	gint64 changed;
};
struct preference_set *preference_set_build(const char *address_key, char delimiter,
					    const GPtrArray *rows);

struct preference_cache;
/* changelog and limits may be NULL; both, and db, live longer. delimiter: of +tag, 0 for none. */
struct preference_cache *preference_cache_new(struct db *db, struct changelog *changelog,
					      char delimiter, const struct cache_limits *limits);
void preference_cache_free(struct preference_cache *cache);
/* address_key NULL: the global scope. */
struct preference_set *preferences_resolve(struct preference_cache *cache, const char *address_key,
					   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Loads what the cache lacks of these in one query. */
gboolean preferences_prefetch(struct preference_cache *cache, const char *const *address_keys,
			      gsize n, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writing. value must be normalised. Unset is NOT_FOUND when it was not set. */
gboolean preferences_set(struct tx *tx, const struct scope *scope, enum preference preference,
			 const char *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean preferences_unset(struct tx *tx, const struct scope *scope, enum preference preference,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Own ones of a scope; struct preference_row *. */
GPtrArray *preferences_own(struct db *db, const struct scope *scope,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(preference_set, preference_set_unref)
DEFINE_CLEANUP(preference_cache, preference_cache_free)
void preference_row_free(struct preference_row *row);

#endif
