/*
 * subject - decoded once, brought into a form in which look-alikes fall together, with a map
 * back, so that what is cut is cut from the decoded text.
 */
#include "milter/mime/subject.h"

#include <string.h>

#include "milter/message/headers.h"
#include "milter/mime/encoded_word.h"
#include "store/base/error.h"

#define WORDS_MAX 100
#define ENCODED_WORD_MAX 75
#define COLUMNS_MAX 76
#define CUT_PASSES_MAX 64 /* of tags inside of tags; a Subject that needs more is dropped */

struct words {
	gint refs;
	GPtrArray *patterns; /* GRegex * */
};

/* The form that is matched, and for each of its octets where it comes from. */
struct normal {
	GString *text;
	GArray *from; /* gsize: offset in the decoded text; one more at the end */
};

struct words *
words_new(void)
{
	struct words *words = g_new0(struct words, 1);

	words->refs = 1;
	words->patterns = g_ptr_array_new_with_free_func((GDestroyNotify)g_regex_unref);
	return words;
}

struct words *
words_ref(struct words *words)
{
	g_atomic_int_inc(&words->refs);
	return words;
}

void
words_unref(struct words *words)
{
	if (words == NULL || !g_atomic_int_dec_and_test(&words->refs))
		return;
	g_ptr_array_unref(words->patterns);
	g_free(words);
}

gboolean
words_empty(const struct words *words)
{
	return words->patterns->len == 0;
}

gboolean
words_add_regex(struct words *words, const char *regex, GError **error)
{
	g_autoptr(GError) why = NULL;
	g_autoptr(GRegex) compiled =
	    g_regex_new(regex, G_REGEX_CASELESS | G_REGEX_OPTIMIZE, 0, &why);

	if (compiled == NULL)
		return fail_false(error, PS_ERROR_INVALID, "regular expression '%s': %s", regex,
				  why->message);
	if (g_regex_match(compiled, "", 0, NULL))
		return fail_false(error, PS_ERROR_INVALID,
				  "regular expression '%s' matches the empty text", regex);
	if (words->patterns->len >= WORDS_MAX)
		return fail_false(error, PS_ERROR_INVALID, "more than %d tags and trigger words",
				  WORDS_MAX);
	g_ptr_array_add(words->patterns, g_steal_pointer(&compiled));
	return TRUE;
}

gboolean
words_add_text(struct words *words, const char *text, GError **error)
{
	g_autofree char *normal = subject_normalise(text);
	g_autoptr(GString) regex = g_string_new(NULL);
	g_auto(GStrv) pieces = g_strsplit(normal, "%", -1);

	for (guint i = 0; pieces[i] != NULL; i++) {
		g_autofree char *escaped = g_regex_escape_string(pieces[i], -1);

		if (i > 0)
			g_string_append(regex, "[^][]*?");
		g_string_append(regex, escaped);
	}
	return words_add_regex(words, regex->str, error);
}

/* --- decoding --- */

char *
subject_decode(const char *raw_value)
{
	g_autofree char *unfolded = header_unfolded(raw_value);
	char *decoded = encoded_words_decode(unfolded);

	return g_strdelimit(decoded, "\r\n", ' ');
}

/* --- the form that is matched --- */

static gboolean
is_invisible(gunichar c)
{
	GUnicodeType type = g_unichar_type(c);

	if (c == 0x115f || c == 0x1160 || c == 0x3164 || c == 0xffa0 || c == 0x034f)
		return TRUE; /* fillers and the joiner, default-ignorable though letters */
	if ((c >= 0x17b4 && c <= 0x17b5) || (c >= 0x180b && c <= 0x180f) ||
	    (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0000 && c <= 0xe0fff) ||
	    (c >= 0xfff0 && c <= 0xfff8))
		return TRUE;
	return type == G_UNICODE_FORMAT || type == G_UNICODE_CONTROL || type == G_UNICODE_SURROGATE;
}

static gboolean
is_blank(gunichar c)
{
	return c == ' ' || c == '\t' || g_unichar_type(c) == G_UNICODE_SPACE_SEPARATOR ||
	       g_unichar_type(c) == G_UNICODE_LINE_SEPARATOR ||
	       g_unichar_type(c) == G_UNICODE_PARAGRAPH_SEPARATOR;
}

static void
add_normal(struct normal *normal, gunichar c, gsize from)
{
	char octets[6];
	int length;

	if (c == '\t' || is_blank(c)) {
		if (normal->text->len > 0 && normal->text->str[normal->text->len - 1] == ' ')
			return;
		c = ' ';
	} else if (is_invisible(c)) {
		return;
	}
	length = g_unichar_to_utf8(c, octets);
	g_string_append_len(normal->text, octets, length);
	for (int i = 0; i < length; i++)
		g_array_append_val(normal->from, from);
}

static void
normal_init(struct normal *normal, const char *decoded)
{
	const char *at = decoded;
	const char *stop = decoded + strnlen(decoded, SUBJECT_MATCH_MAX_BYTES);
	gsize end;

	normal->text = g_string_new(NULL);
	normal->from = g_array_new(FALSE, FALSE, sizeof(gsize));
	while (at < stop && *at != '\0') { /* one base character with its marks at a time */
		const char *next = g_utf8_next_char(at);
		g_autofree char *piece = NULL;

		if ((guchar)*at < 128 && (guchar)*next < 128) {
			add_normal(normal, (gunichar)*at, (gsize)(at - decoded));
			at = next;
			continue;
		}
		while (*next != '\0' && next < stop && g_unichar_ismark(g_utf8_get_char(next)) &&
		       !is_invisible(g_utf8_get_char(next)))
			next = g_utf8_next_char(next);
		piece = g_utf8_normalize(at, next - at, G_NORMALIZE_NFKC);
		for (const char *c = piece; c != NULL && *c != '\0'; c = g_utf8_next_char(c))
			add_normal(normal, g_utf8_get_char(c), (gsize)(at - decoded));
		at = next;
	}
	end = (gsize)(at - decoded);
	g_array_append_val(normal->from, end);
}

static void
normal_clear(struct normal *normal)
{
	g_string_free(normal->text, TRUE);
	g_array_unref(normal->from);
}

char *
subject_normalise(const char *decoded)
{
	struct normal normal;
	char *text;

	normal_init(&normal, decoded);
	text = g_strdup(normal.text->str);
	normal_clear(&normal);
	return g_strstrip(text);
}

/* --- cutting --- */

/* The first match of any pattern at or after from. */
static enum subject_match
find_match(const struct words *words, const GString *text, gsize from, gsize *start, gsize *end)
{
	gboolean found = FALSE, gave_up = FALSE;

	for (guint i = 0; i < words->patterns->len; i++) {
		g_autoptr(GMatchInfo) match = NULL;
		g_autoptr(GError) error = NULL;
		int low, high;

		if (!g_regex_match_full(words->patterns->pdata[i], text->str, (gssize)text->len,
					(gint)from, 0, &match, &error)) {
			gave_up |= error != NULL;
			continue;
		}
		if (!g_match_info_fetch_pos(match, 0, &low, &high) || high <= low)
			continue;
		if (!found || (gsize)low < *start) {
			*start = (gsize)low;
			*end = (gsize)high;
		}
		found = TRUE;
	}
	if (found)
		return SUBJECT_MATCH_YES;
	return gave_up ? SUBJECT_MATCH_UNKNOWN : SUBJECT_MATCH_NO;
}

/* Where the decoded text goes on behind a match that ends at end: a character that is half in
 * the match (a ligature, a letter with its marks) goes whole. */
static gsize
cut_end(const struct normal *normal, gsize end)
{
	gsize last = g_array_index(normal->from, gsize, end - 1);

	while (end + 1 < normal->from->len && g_array_index(normal->from, gsize, end) == last)
		end++;
	return g_array_index(normal->from, gsize, end);
}

/* Cuts what matches now out of *decoded; FALSE when nothing does. */
static gboolean
cut_pass(char **decoded, const struct words *words)
{
	struct normal normal;
	GString *rest = g_string_new(NULL);
	gsize start, end;
	gsize at = 0;     /* in the normal form */
	gsize copied = 0; /* of the decoded text */
	gboolean any = FALSE;

	normal_init(&normal, *decoded);
	while (find_match(words, normal.text, at, &start, &end) == SUBJECT_MATCH_YES) {
		gsize from = MAX(copied, g_array_index(normal.from, gsize, start));

		g_string_append_len(rest, *decoded + copied, (gssize)(from - copied));
		copied = MAX(from, cut_end(&normal, end));
		while ((*decoded)[copied] == ' ' &&
		       (rest->len == 0 || rest->str[rest->len - 1] == ' '))
			copied++;
		at = end;
		any = TRUE;
	}
	g_string_append(rest, *decoded + copied);
	normal_clear(&normal);
	g_free(*decoded);
	*decoded = g_string_free(rest, FALSE);
	return any;
}

enum subject_match
subject_match(const char *raw_value, const struct words *words)
{
	g_autofree char *decoded = subject_decode(raw_value);
	struct normal normal;
	gsize start, end;
	enum subject_match found;

	normal_init(&normal, decoded);
	found = find_match(words, normal.text, 0, &start, &end);
	normal_clear(&normal);
	return found;
}

char *
subject_cut(const char *raw_value, const struct words *words)
{
	g_autofree char *decoded = NULL;
	guint passes = 0;

	if (words_empty(words))
		return NULL;
	decoded = subject_decode(raw_value);
	while (passes <= CUT_PASSES_MAX && cut_pass(&decoded, words)) /* what a cut joined, too */
		passes++;
	if (passes > CUT_PASSES_MAX)
		return g_strdup("");
	return passes > 0 ? subject_encode(g_strstrip(decoded)) : NULL;
}

char *
subject_tagged(const char *raw_value, const char *text)
{
	g_autofree char *decoded = raw_value != NULL ? subject_decode(raw_value) : g_strdup("");
	g_autofree char *joined = g_strconcat(text, decoded[0] != '\0' ? " " : "", decoded, NULL);

	return subject_encode(joined);
}

/* --- encoding --- */

static gboolean
needs_encoding(const char *text)
{
	gsize word = 0;

	for (const char *at = text; *at != '\0'; at++) {
		guchar c = (guchar)*at;

		if (c > 126 || (c < 32 && c != '\t') || strncmp(at, "=?", 2) == 0)
			return TRUE;
		word = c == ' ' || c == '\t' ? 0 : word + 1;
		if (word > 900) /* cannot be folded */
			return TRUE;
	}
	return g_ascii_isspace(text[0]) || (text[0] != '\0' && g_str_has_suffix(text, " "));
}

/* Folds before blanks, so that no line passes column 77 unless a word alone does. */
static char *
fold_plain(const char *text, gsize column)
{
	GString *out = g_string_new(" ");

	column++;
	while (*text != '\0') {
		gsize blanks = strspn(text, " \t");
		gsize word = blanks + strcspn(text + blanks, " \t");

		if (blanks > 0 && column + word > COLUMNS_MAX && column > 1 && word > blanks) {
			g_string_append_c(out, '\n');
			column = 0;
		}
		g_string_append_len(out, text, (gssize)word);
		column += word;
		text += word;
	}
	return g_string_free(out, FALSE);
}

/* RFC 2047 section 2: words of up to 75 octets, whole characters, base64 of UTF-8. */
static char *
encode_words(const char *text, gsize column)
{
	static const char begin[] = "=?UTF-8?B?";
	GString *out = g_string_new(" ");
	gsize room = COLUMNS_MAX - column - 1;

	while (*text != '\0') {
		gsize octets = (MIN(room, ENCODED_WORD_MAX) - (sizeof begin - 1) - 2) / 4 * 3;
		const char *end = text;
		g_autofree char *encoded = NULL;

		while (*end != '\0' && (gsize)(g_utf8_next_char(end) - text) <= octets)
			end = g_utf8_next_char(end);
		/* No padding but in the last word: GMime loses what stands behind one. */
		for (const char *back = end; *end != '\0' && back > text;
		     back = g_utf8_find_prev_char(text, back)) {
			if ((back - text) % 3 == 0) {
				end = back;
				break;
			}
			if (back - text <= 4)
				break;
		}
		encoded = g_base64_encode((const guchar *)text, (gsize)(end - text));
		if (out->len > 1)
			g_string_append(out, "\n ");
		g_string_append_printf(out, "%s%s?=", begin, encoded);
		text = end;
		room = COLUMNS_MAX - 1;
	}
	return g_string_free(out, FALSE);
}

char *
subject_encode(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	const gsize column = sizeof "Content-Description:" - 1; /* the longest that we write */

	g_strdelimit(valid, "\r\n", ' ');
	return needs_encoding(valid) ? encode_words(valid, column) : fold_plain(valid, column);
}
