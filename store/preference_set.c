/*
 * preference_set - the values of all preferences for one address, with where each came from.
 */
#include "store/preferences.h"

#include <string.h>

#include "store/preference_internal.h"

struct preference_set {
	gint references;
	char *values[PREF_COUNT];
	char *scopes[PREF_COUNT];
	enum preference_value choices[PREF_COUNT];
	gint64 sizes[PREF_COUNT];
	GRegex *patterns[PREF_COUNT]; /* of patterns and header triggers */
	char *headers[PREF_COUNT];
	GStrv lists[PREF_COUNT];
	char *fingerprint;
};

struct preference_set *
preference_set_ref(struct preference_set *set)
{
	g_atomic_int_inc(&set->references);
	return set;
}

void
preference_set_unref(struct preference_set *set)
{
	if (set == NULL || !g_atomic_int_dec_and_test(&set->references))
		return;
	for (guint p = 0; p < PREF_COUNT; p++) {
		g_free(set->values[p]);
		g_free(set->scopes[p]);
		g_free(set->headers[p]);
		g_strfreev(set->lists[p]);
		if (set->patterns[p] != NULL)
			g_regex_unref(set->patterns[p]);
	}
	g_free(set->fingerprint);
	g_free(set);
}

/* What a value means, worked out once. FALSE when it means nothing: then the next scope decides. */
static gboolean
compile(struct preference_set *set, enum preference p, const char *text)
{
	switch (preference_type(p)) {
	case PREF_CHOICE:
		/* A value of a newer program: its meaning is unknown, so the strictest is taken;
		 * of mode that is the one in which everything is done. */
		if (!value_find(p, text, &set->choices[p]))
			set->choices[p] = p == PREF_MODE ? VALUE_MODE_ACTIVE : value_strictest(p);
		return TRUE;
	case PREF_SIZE:
		set->sizes[p] = g_ascii_strtoll(text, NULL, 10);
		return TRUE;
	case PREF_PATTERN:
		if (strcmp(text, "off") == 0)
			return TRUE;
		set->patterns[p] = pattern_compile(text, NULL);
		return set->patterns[p] != NULL;
	case PREF_HEADER: {
		const char *colon = strchr(text, ':');
		if (strcmp(text, "off") == 0)
			return TRUE;
		if (colon == NULL)
			return FALSE;
		set->patterns[p] = pattern_compile(colon + 1 + strspn(colon + 1, " "), NULL);
		if (set->patterns[p] != NULL)
			set->headers[p] = g_strndup(text, (gsize)(colon - text));
		return set->patterns[p] != NULL;
	}
	case PREF_ADDRESSES:
		set->lists[p] = g_strsplit(text, " ", -1);
		return TRUE;
	case PREF_PHONE:
	case PREF_SECRET:
	case PREF_CERTIFICATE:
	case PREF_NAME:
	case PREF_TEXT:
		return TRUE;
	}
	return FALSE;
}

/* not: a preference that these rows do not speak for, or PREF_COUNT. */
static void
take_rows(struct preference_set *set, const GPtrArray *rows, const struct scope *scope,
	  enum preference not )
{
	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct preference_row *row = g_ptr_array_index(rows, i);
		enum preference p = row->preference;
		if (p == not || set->values[p] != NULL || !compile(set, p, row->value))
			continue;
		set->values[p] = g_strdup(row->value);
		set->scopes[p] = scope_text(scope);
	}
}

static const GPtrArray *
rows_of(GHashTable *table, const struct scope *scope)
{
	g_autofree char *key = scope_key(scope);

	return g_hash_table_lookup(table, key);
}

/* Is it internal by the scopes of the address as it is written? */
static gboolean
is_internal(const GPtrArray *scopes, GHashTable *table)
{
	for (guint s = 0; s < scopes->len; s++) {
		const GPtrArray *rows = rows_of(table, g_ptr_array_index(scopes, s));
		for (guint i = 0; rows != NULL && i < rows->len; i++) {
			const struct preference_row *row = g_ptr_array_index(rows, i);
			enum preference_value value;
			if (row->preference == PREF_LOCALITY &&
			    value_find(PREF_LOCALITY, row->value, &value))
				return value == VALUE_LOCALITY_INTERNAL;
		}
	}
	return strcmp(preference_default(PREF_LOCALITY), "internal") == 0;
}

static GPtrArray *
scopes_of(const char *address_key, char delimiter, GHashTable *table)
{
	g_autoptr(GPtrArray) scopes = scope_list(address_key, NULL);
	g_autofree char *untagged =
	    address_key != NULL ? scope_untagged(address_key, delimiter) : NULL;

	if (untagged == NULL || !is_internal(scopes, table))
		return g_steal_pointer(&scopes);
	return scope_list(address_key, untagged);
}

/* Users who have this address among their aliases lend it what is their own. Whether it is internal
 * stays the address's own business: an alias outside does not come inside. */
static void
take_alias_rows(struct preference_set *set, GHashTable *table, const struct scope *scope)
{
	g_autofree char *key = preference_alias_key(scope->name);
	const GPtrArray *owners = g_hash_table_lookup(table, key);

	for (guint i = 0; owners != NULL && i < owners->len; i++) {
		const struct preference_row *owner = g_ptr_array_index(owners, i);
		take_rows(set, rows_of(table, owner->scope), owner->scope, PREF_LOCALITY);
	}
}

char *
preference_alias_key(const char *address_key)
{
	return g_strconcat("alias of ", address_key, NULL);
}

static struct preference_row *
row_copy(const struct preference_row *row)
{
	struct preference_row *copy = g_new0(struct preference_row, 1);

	copy->scope = scope_new(row->scope->kind, row->scope->name);
	copy->preference = row->preference;
	copy->value = g_strdup(row->value);
	copy->changed = row->changed;
	return copy;
}

static void
table_append(GHashTable *table, char *key, struct preference_row *row)
{
	GPtrArray *own = g_hash_table_lookup(table, key);

	if (own == NULL) {
		own = g_ptr_array_new_with_free_func((GDestroyNotify)preference_row_free);
		g_hash_table_insert(table, g_strdup(key), own);
	}
	g_ptr_array_add(own, row);
	g_free(key);
}

void
preference_table_add_aliases(GHashTable *table, const struct preference_row *row)
{
	g_auto(GStrv) aliases = g_strsplit(row->value, " ", -1);

	for (char **alias = aliases; *alias != NULL; alias++)
		table_append(table, preference_alias_key(*alias), row_copy(row));
}

void
preference_table_add(GHashTable *table, struct preference_row *row)
{
	if (row->preference == PREF_ALIASES)
		preference_table_add_aliases(table, row);
	table_append(table, scope_key(row->scope), row);
}

struct preference_set *
preference_set_build_table(const char *address_key, char delimiter, GHashTable *table)
{
	struct preference_set *set = g_new0(struct preference_set, 1);
	g_autoptr(GPtrArray) scopes = scopes_of(address_key, delimiter, table);
	g_autoptr(GString) fingerprint = g_string_new(NULL);

	set->references = 1;
	for (guint s = 0; s < scopes->len; s++) {
		const struct scope *scope = g_ptr_array_index(scopes, s);
		take_rows(set, rows_of(table, scope), scope, PREF_COUNT);
		if (scope->kind == SCOPE_USER)
			take_alias_rows(set, table, scope);
	}
	for (guint p = 0; p < PREF_COUNT; p++) {
		if (set->values[p] == NULL) {
			set->values[p] = g_strdup(preference_default((enum preference)p));
			(void)compile(set, (enum preference)p, set->values[p]);
		} else {
			g_string_append_printf(fingerprint, "%u\x1f%s\x1f%s\x1e", p, set->scopes[p],
					       set->values[p]);
		}
	}
	set->fingerprint = g_string_free(g_steal_pointer(&fingerprint), FALSE);
	return set;
}

struct preference_set *
preference_set_build(const char *address_key, char delimiter, const GPtrArray *rows)
{
	g_autoptr(GHashTable) table = preference_table_new();

	for (guint i = 0; i < rows->len; i++) {
		const struct preference_row *row = g_ptr_array_index(rows, i);
		preference_table_add(table, row_copy(row));
	}
	return preference_set_build_table(address_key, delimiter, table);
}

const char *
preference_set_fingerprint(const struct preference_set *set)
{
	return set->fingerprint;
}

/* malloc's own of a small text; a compiled pattern with its program. */
#define TEXT_BYTES 24
#define PATTERN_BYTES 6144

gsize
preference_set_memory(const struct preference_set *set)
{
	gsize bytes = sizeof(*set) + TEXT_BYTES + strlen(set->fingerprint);

	for (guint p = 0; p < PREF_COUNT; p++) {
		bytes += TEXT_BYTES + 2 * strlen(set->values[p]);
		bytes += set->scopes[p] != NULL ? TEXT_BYTES + strlen(set->scopes[p]) : 0;
		bytes += set->patterns[p] != NULL ? PATTERN_BYTES : 0;
		bytes += set->lists[p] != NULL ? g_strv_length(set->lists[p]) * TEXT_BYTES : 0;
	}
	return bytes;
}

const char *
preference_text(const struct preference_set *set, enum preference preference)
{
	return set->values[preference];
}

enum preference_value
preference_choice(const struct preference_set *set, enum preference p)
{
	return set->choices[p];
}

gboolean
preference_on(const struct preference_set *set, enum preference preference)
{
	return value_is_on(set->choices[preference]);
}

gint64
preference_size(const struct preference_set *set, enum preference preference)
{
	return set->sizes[preference];
}

const GRegex *
preference_pattern(const struct preference_set *set, enum preference preference)
{
	return set->patterns[preference];
}

const char *
preference_header(const struct preference_set *set, enum preference preference)
{
	return set->headers[preference];
}

const char *const *
preference_list(const struct preference_set *set, enum preference preference)
{
	static const char *const empty[] = { NULL };

	/* "" splits to no element at all. */
	return set->lists[preference] != NULL ? (const char *const *)set->lists[preference] : empty;
}

const char *
preference_scope(const struct preference_set *set, enum preference preference)
{
	return set->scopes[preference] != NULL ? set->scopes[preference] : "default";
}
