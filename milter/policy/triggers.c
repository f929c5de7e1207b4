/* triggers - see triggers.h. */
#include "milter/policy/triggers.h"

#include <string.h>

#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/mime/subject.h"

#define CACHE_ENTRIES_MAX 2048
#define TOPIC_SETS_MAX 8
#define HEADER_VALUE_MAX_BYTES 1000

/* What is compiled for: one trigger of a side, or what is cut. */
enum purpose {
	PURPOSE_CUT = PREF_COUNT,
	PURPOSE_CUT_TAGS,
};

/* A purpose and the sets that speak for it, each once; sets are shared, so that equal ones are one
 * pointer. The cache keeps them alive, so that a pointer means the same as long as it is known. */
struct topic {
	guint purpose; /* enum preference or enum purpose */
	guint count;
	const struct preference_set *sets[TOPIC_SETS_MAX];
};

struct trigger_cache {
	GMutex lock;
	GHashTable *topics; /* struct topic * -> struct words * */
	GHashTable *words;  /* wording, as words_compile() reads it -> struct words * */
};

static guint
topic_hash(gconstpointer data)
{
	const struct topic *topic = data;
	guint hash = topic->purpose;

	for (guint i = 0; i < topic->count; i++)
		hash = hash * 31 + g_direct_hash(topic->sets[i]);
	return hash;
}

static gboolean
topic_equal(gconstpointer a, gconstpointer b)
{
	const struct topic *one = a, *other = b;

	return one->purpose == other->purpose && one->count == other->count &&
	       memcmp(one->sets, other->sets, one->count * sizeof one->sets[0]) == 0;
}

static void
topic_free(gpointer data)
{
	struct topic *topic = data;

	for (guint i = 0; i < topic->count; i++)
		preference_set_unref((struct preference_set *)topic->sets[i]);
	g_free(topic);
}

static struct topic *
topic_keep(const struct topic *topic)
{
	struct topic *kept = g_memdup2(topic, sizeof *topic);

	for (guint i = 0; i < kept->count; i++)
		preference_set_ref((struct preference_set *)kept->sets[i]);
	return kept;
}

/* FALSE when there are more different sets than a topic takes. */
static gboolean
topic_add(struct topic *topic, const struct preference_set *set)
{
	for (guint i = 0; i < topic->count; i++) {
		if (topic->sets[i] == set)
			return TRUE;
	}
	if (topic->count == TOPIC_SETS_MAX)
		return FALSE;
	topic->sets[topic->count++] = set;
	return TRUE;
}

struct trigger_cache *
trigger_cache_new(void)
{
	struct trigger_cache *cache = g_new0(struct trigger_cache, 1);

	g_mutex_init(&cache->lock);
	cache->topics =
	    g_hash_table_new_full(topic_hash, topic_equal, topic_free, (GDestroyNotify)words_unref);
	cache->words =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)words_unref);
	return cache;
}

void
trigger_cache_free(struct trigger_cache *cache)
{
	if (cache == NULL)
		return;
	g_hash_table_unref(cache->topics);
	g_hash_table_unref(cache->words);
	g_mutex_clear(&cache->lock);
	g_free(cache);
}

/* A reference of the caller's, or NULL. */
static struct words *
cache_find(struct trigger_cache *cache, GHashTable *table, gconstpointer key)
{
	struct words *words;

	g_mutex_lock(&cache->lock);
	words = g_hash_table_lookup(table, key);
	if (words != NULL)
		words_ref(words);
	g_mutex_unlock(&cache->lock);
	return words;
}

/* Takes the key. */
static void
cache_keep(struct trigger_cache *cache, GHashTable *table, gpointer key, struct words *words)
{
	g_mutex_lock(&cache->lock);
	if (g_hash_table_size(table) >= CACHE_ENTRIES_MAX)
		g_hash_table_remove_all(table);
	g_hash_table_replace(table, key, words_ref(words));
	g_mutex_unlock(&cache->lock);
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
	struct words *words = cache_find(cache, cache->words, wording->str);

	if (words != NULL)
		return words;
	words = words_compile(wording->str, error);
	if (words != NULL)
		cache_keep(cache, cache->words, g_strdup(wording->str), words);
	return words;
}

static struct words *
words_of_trigger(struct trigger_cache *cache, const struct side *side, enum preference preference,
		 GError **error)
{
	struct topic topic = { .purpose = preference };
	g_autoptr(GString) wording = NULL;
	struct words *words;

	for (guint i = 0; i < side->count; i++)
		(void)topic_add(&topic, side->sets[i]);
	words = cache_find(cache, cache->topics, &topic);
	if (words != NULL)
		return words;
	wording = g_string_new(NULL);
	for (guint i = 0; i < side->count; i++)
		wording_add_pattern(wording, side->sets[i], preference);
	words = words_of(cache, wording, error);
	if (words != NULL)
		cache_keep(cache, cache->topics, topic_keep(&topic), words);
	return words;
}

/* A match that PCRE gave up (its limits of steps and memory) is neither seen nor unseen, and the
 * author chose the text that made it so. Then mail gets the protection that it may have asked for,
 * and no trigger to send it plain is believed. Not deferred: it would never end otherwise. */
static gboolean
seen_when_unknown(enum preference preference)
{
	return preference != PREF_PLAIN_TRIGGER_SUBJECT && preference != PREF_PLAIN_TRIGGER_HEADER;
}

/* TRUE in *found when a Subject field holds the side's trigger of this kind. */
static gboolean
subject_has(struct trigger_cache *cache, const struct side *side, enum preference preference,
	    const struct headers *headers, gboolean *found, GError **error)
{
	CLEANUP(words) struct words *words = words_of_trigger(cache, side, preference, error);
	const struct header *field;

	if (words == NULL)
		return FALSE;
	if (words_empty(words))
		return TRUE;
	for (guint n = 1; !*found && (field = headers_find(headers, "Subject", n)) != NULL; n++) {
		enum subject_match match = subject_match(field->value, words);

		*found = match == SUBJECT_MATCH_YES ||
			 (match == SUBJECT_MATCH_UNKNOWN && seen_when_unknown(preference));
	}
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
			g_autoptr(GError) unknown = NULL;

			if (g_regex_match_full(regex, value, -1, 0, 0, NULL, &unknown) ||
			    (unknown != NULL && seen_when_unknown(preference)))
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

static void
wording_add_cut(GString *wording, const struct side *side, const GPtrArray *tag_sets,
		gboolean remove)
{
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
}

struct words *
triggers_to_cut(struct trigger_cache *cache, const struct side *side, const GPtrArray *tag_sets,
		gboolean remove, GError **error)
{
	struct topic topic = { .purpose = remove ? PURPOSE_CUT : PURPOSE_CUT_TAGS };
	g_autoptr(GString) wording = NULL;
	gboolean fits = TRUE;
	struct words *words;

	/* The side's sets come first and are counted: they give the triggers, the others tags. */
	for (guint i = 0; i < side->count; i++)
		fits &= topic_add(&topic, side->sets[i]);
	topic.purpose = topic.purpose * 4 + topic.count;
	for (guint i = 0; fits && i < tag_sets->len; i++)
		fits &= topic_add(&topic, g_ptr_array_index(tag_sets, i));
	words = fits ? cache_find(cache, cache->topics, &topic) : NULL;
	if (words != NULL)
		return words;
	wording = g_string_new(NULL);
	wording_add_cut(wording, side, tag_sets, remove);
	words = words_of(cache, wording, error);
	if (words != NULL && fits)
		cache_keep(cache, cache->topics, topic_keep(&topic), words);
	return words;
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
