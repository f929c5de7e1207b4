/* triggers - see triggers.h. */
#include "milter/policy/triggers.h"

#include <string.h>

#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/mime/subject.h"

#define CACHE_WORDINGS_MAX 512
#define HEADER_VALUE_MAX_BYTES 1000

struct trigger_cache {
	GMutex lock;
	GHashTable *words; /* wording -> struct words *; wording as words_key() writes it */
};

struct trigger_cache *
trigger_cache_new(void)
{
	struct trigger_cache *cache = g_new0(struct trigger_cache, 1);

	g_mutex_init(&cache->lock);
	cache->words =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)words_unref);
	return cache;
}

void
trigger_cache_free(struct trigger_cache *cache)
{
	if (cache == NULL)
		return;
	g_hash_table_unref(cache->words);
	g_mutex_clear(&cache->lock);
	g_free(cache);
}

/* A wording is lines, each between line ends, of "r" + regular expression or "t" + text; neither
 * can hold a line end. */
static void
wording_add(GString *wording, char kind, const char *text)
{
	g_autofree char *line = NULL;

	if (text == NULL || *text == '\0' || strchr(text, '\n') != NULL)
		return;
	line = g_strdup_printf("\n%c%s\n", kind, text);
	if (strstr(wording->str, line) == NULL)
		g_string_append(wording, line);
}

static void
wording_add_pattern(GString *wording, const struct preference_set *set, enum preference preference)
{
	const GRegex *regex = preference_pattern(set, preference);

	if (regex != NULL)
		wording_add(wording, 'r', g_regex_get_pattern(regex));
}

static struct words *
words_compile(const char *wording, GError **error)
{
	g_auto(GStrv) lines = g_strsplit(wording, "\n", -1);
	CLEANUP(words) struct words *words = words_new();

	for (guint i = 0; lines[i] != NULL; i++) {
		const char *line = lines[i];

		if (*line == 'r' && !words_add_regex(words, line + 1, error))
			return NULL;
		if (*line == 't' && !words_add_text(words, line + 1, error))
			return NULL;
	}
	return g_steal_pointer(&words);
}

/* A reference of the caller's. Compiled outside of the lock: the same twice does no harm. */
static struct words *
words_of(struct trigger_cache *cache, const GString *wording, GError **error)
{
	struct words *words;

	g_mutex_lock(&cache->lock);
	words = g_hash_table_lookup(cache->words, wording->str);
	if (words != NULL)
		words_ref(words);
	g_mutex_unlock(&cache->lock);
	if (words != NULL)
		return words;
	words = words_compile(wording->str, error);
	if (words == NULL)
		return NULL;
	g_mutex_lock(&cache->lock);
	if (g_hash_table_size(cache->words) >= CACHE_WORDINGS_MAX)
		g_hash_table_remove_all(cache->words);
	g_hash_table_replace(cache->words, g_strdup(wording->str), words_ref(words));
	g_mutex_unlock(&cache->lock);
	return words;
}

/* TRUE in *found when a Subject field holds the side's trigger of this kind. */
static gboolean
subject_has(struct trigger_cache *cache, const struct side *side, enum preference preference,
	    const struct headers *headers, gboolean *found, GError **error)
{
	g_autoptr(GString) wording = g_string_new(NULL);
	CLEANUP(words) struct words *words = NULL;
	const struct header *field;

	for (guint i = 0; i < side->count; i++)
		wording_add_pattern(wording, side->sets[i], preference);
	if (wording->len == 0)
		return TRUE;
	words = words_of(cache, wording, error);
	if (words == NULL)
		return FALSE;
	for (guint n = 1; !*found && (field = headers_find(headers, "Subject", n)) != NULL; n++)
		*found = subject_matches(field->value, words);
	return TRUE;
}

/* The value unfolded and without blanks around it, cut to what a trigger can need. */
static char *
header_value(const struct header *field)
{
	char *value = g_strndup(field->value, MIN(field->length, HEADER_VALUE_MAX_BYTES));

	for (char *p = value; *p != '\0'; p++) {
		if (*p == '\n' || *p == '\r' || *p == '\t')
			*p = ' ';
	}
	g_strstrip(value);
	if (!g_utf8_validate(value, -1, NULL)) {
		char *valid = g_utf8_make_valid(value, -1);

		g_free(value);
		return valid;
	}
	return value;
}

static gboolean
header_has(const struct side *side, enum preference preference, const struct headers *headers)
{
	const struct header *field;

	for (guint i = 0; i < side->count; i++) {
		const char *name = preference_header(side->sets[i], preference);
		const GRegex *regex = preference_pattern(side->sets[i], preference);

		if (name == NULL || *name == '\0' || regex == NULL)
			continue;
		for (guint n = 1; (field = headers_find(headers, name, n)) != NULL; n++) {
			g_autofree char *value = header_value(field);

			if (g_regex_match(regex, value, 0, NULL))
				return TRUE;
		}
	}
	return FALSE;
}

/* What office programs write for "confidential" (RFC 2156 section 5.3.4). */
static gboolean
is_confidential(const struct headers *headers)
{
	const struct header *field;

	for (guint n = 1; (field = headers_find(headers, "Sensitivity", n)) != NULL; n++) {
		g_autofree char *value = header_value(field);

		if (g_ascii_strcasecmp(value, "company-confidential") == 0)
			return TRUE;
	}
	return FALSE;
}

gboolean
triggers_find(struct trigger_cache *cache, const struct side *side, const struct headers *headers,
	      struct triggers_found *found, GError **error)
{
	found->encrypt =
	    is_confidential(headers) || header_has(side, PREF_ENCRYPT_TRIGGER_HEADER, headers);
	found->sign = header_has(side, PREF_SIGN_TRIGGER_HEADER, headers);
	found->plain = header_has(side, PREF_PLAIN_TRIGGER_HEADER, headers);
	return subject_has(cache, side, PREF_ENCRYPT_TRIGGER_SUBJECT, headers, &found->encrypt,
			   error) &&
	       subject_has(cache, side, PREF_SIGN_TRIGGER_SUBJECT, headers, &found->sign, error) &&
	       subject_has(cache, side, PREF_PLAIN_TRIGGER_SUBJECT, headers, &found->plain, error);
}

/* Tag texts write what varies as %s; words take a bare %. */
static void
wording_add_tag(GString *wording, const struct preference_set *set, enum preference preference)
{
	g_auto(GStrv) parts = g_strsplit(preference_text(set, preference), "%s", -1);
	g_autofree char *text = g_strjoinv("%", parts);

	wording_add(wording, 't', text);
}

struct words *
triggers_to_cut(struct trigger_cache *cache, const struct side *side, const GPtrArray *tag_sets,
		gboolean remove, GError **error)
{
	g_autoptr(GString) wording = g_string_new(NULL);

	for (guint i = 0; i < tag_sets->len; i++) {
		const struct preference_set *set = g_ptr_array_index(tag_sets, i);

		wording_add_tag(wording, set, PREF_TAG_DECRYPTED);
		wording_add_tag(wording, set, PREF_TAG_SIGNED);
		wording_add_tag(wording, set, PREF_TAG_SIGNED_BY);
		wording_add_tag(wording, set, PREF_TAG_INVALID);
	}
	for (guint i = 0; remove && i < side->count; i++) {
		wording_add_pattern(wording, side->sets[i], PREF_ENCRYPT_TRIGGER_SUBJECT);
		wording_add_pattern(wording, side->sets[i], PREF_SIGN_TRIGGER_SUBJECT);
		wording_add_pattern(wording, side->sets[i], PREF_PLAIN_TRIGGER_SUBJECT);
	}
	return words_of(cache, wording, error);
}

void
triggers_cut(const struct headers *headers, const struct words *words, struct edits *edits)
{
	const struct header *field;

	if (words_empty(words))
		return;
	for (guint n = 1; (field = headers_find(headers, "Subject", n)) != NULL; n++) {
		g_autofree char *cut = subject_cut(field->value, words);

		if (cut != NULL)
			edits_change(edits, "Subject", n, cut);
	}
}
