/*
 * subject: what matches, what is cut, and that nothing else is touched.
 */
#include <glib.h>
#include <string.h>

#include "milter/mime/subject.h"
#include "store/base/error.h"

struct decode_row {
	const char *name, *raw, *decoded;
};

static const struct decode_row decode_rows[] = {
	{ "plain", " hello world", "hello world" },
	{ "a fold is a blank", " hello\n world", "hello world" },
	{ "encoded word", " =?utf-8?Q?=C3=BCber?=", "\303\274ber" },
	{ "adjacent words join", " =?utf-8?B?w7w=?=\n =?utf-8?B?w7w=?=", "\303\274\303\274" },
	{ "a character split over two words", " =?utf-8?B?ww==?= =?utf-8?B?vA==?=", "\303\274" },
	{ "padded words", " =?utf-8?B?eA==?= =?utf-8?B?eA==?=", "xx" },
	{ "two charsets", " =?utf-8?Q?=C3=BC?= =?iso-8859-1?Q?=FC?=", "\303\274\303\274" },
	{ "language", " =?utf-8*de?Q?x?=", "x" },
	{ "inside of text", " a=?utf-8?Q?x?=b", "axb" },
	{ "unknown charset", " =?x-none?Q?x?=", "x" },
	{ "NUL hides nothing", " =?utf-8?Q?a=00b?=", "a\001b" },
	{ "not finished", " =?utf-8?Q?x", "=?utf-8?Q?x" },
	{ "latin-1", " =?iso-8859-1?Q?=FC?= x", "\303\274 x" },
	{ "blanks inside of a word", " =?utf-8?Q?a b?=", "a b" },
	{ "raw UTF-8", " \303\274", "\303\274" },
	{ "empty", "", "" },
};

static void
test_decode(gconstpointer data)
{
	const struct decode_row *row = data;
	g_autofree char *decoded = subject_decode(row->raw);

	g_assert_cmpstr(decoded, ==, row->decoded);
}

struct cut_row {
	const char *name;
	const char *raw;
	const char *result; /* NULL: no match */
};

static const struct cut_row cut_rows[] = {
	{ "no match is not touched", " Hello =?utf-8?Q?=41?=", NULL },
	{ "at the start", " [encrypt] Hello", " Hello" },
	{ "at the end", " Hello [encrypt]", " Hello" },
	{ "in the middle", " Hello [encrypt] world", " Hello world" },
	{ "case does not count", " [EncRypt] Hello", " Hello" },
	{ "twice", " [encrypt] a [encrypt] b", " a b" },
	{ "one inside of the other", " [encr[encrypt]ypt] a", " a" },
	{ "nothing is left", " [encrypt]", " " },
	{ "encoded", " =?utf-8?Q?=5Bencrypt=5D_Hello?=", " Hello" },
	{ "encoded letter by letter", " =?utf-8?Q?=5Be?= =?utf-8?B?bmNyeXB0XQ==?= Hello",
	  " Hello" },
	{ "full width", " \357\274\273\357\275\205ncrypt] Hello", " Hello" },
	{ "zero width space inside", " [en\342\200\213crypt] Hello", " Hello" },
	{ "soft hyphen and bidi mark inside", " [en\302\255cr\342\200\216ypt] Hello", " Hello" },
	{ "control inside", " [en\001crypt] Hello", " Hello" },
	{ "fold inside", " [signed by:\n  a@b] Hello", " Hello" },
	{ "tag with a name", " [signed by: bob@example.com] Hello", " Hello" },
	{ "variation selector", " [encrypt\357\270\217] x", " x" },
	{ "what is around stays as it was decoded", " [encrypt] \357\254\201x",
	  " =?UTF-8?B?76yBeA==?=" },
	{ "Cyrillic look-alike stays", " [\320\265ncrypt] Hello", NULL },
};

static void
test_cut(gconstpointer data)
{
	const struct cut_row *row = data;
	CLEANUP(words) struct words *words = words_new();
	g_autofree char *result = NULL;
	GError *error = NULL;

	g_assert_true(words_add_regex(words, "\\[encrypt\\]", &error));
	g_assert_true(words_add_text(words, "[signed by: %]", &error));
	g_assert_true(words_add_text(words, "[decrypted]", &error));
	result = subject_cut(row->raw, words);
	g_assert_cmpstr(result, ==, row->result);
	g_assert_cmpint(subject_match(row->raw, words), ==,
			row->result != NULL ? SUBJECT_MATCH_YES : SUBJECT_MATCH_NO);
	if (result != NULL) {
		g_autofree char *again = subject_cut(result, words);

		g_assert_cmpstr(again, ==, NULL);
	}
}

static void
assert_round_trip(const char *text)
{
	g_autofree char *raw = subject_encode(text);
	g_autofree char *decoded = subject_decode(raw);
	g_auto(GStrv) lines = g_strsplit(raw, "\n", -1);

	g_assert_cmpstr(decoded, ==, text);
	g_assert_cmpint(raw[0], ==, ' ');
	for (guint i = 0; lines[i] != NULL; i++) {
		g_assert_true(g_str_is_ascii(lines[i]));
		g_assert_true(i == 0 || lines[i][0] == ' ');
		g_assert_cmpuint(strlen(lines[i]) + (i == 0 ? 8 : 0), <, 78);
	}
}

static void
test_encode(void)
{
	g_autoptr(GString) text = g_string_new(NULL);

	assert_round_trip("Hello");
	assert_round_trip("one two three four five six seven eight nine ten eleven twelve thirteen "
			  "fourteen fifteen sixteen seventeen");
	assert_round_trip("\303\274ber");
	assert_round_trip("=?utf-8?Q?x?= is not decoded twice");
	for (int i = 0; i < 300; i++) {
		g_string_append(text, i % 3 == 0 ? "\346\227\245" : i % 3 == 1 ? "x" : " ");
		g_string_append(text, "\360\237\230\200");
		assert_round_trip(text->str);
	}
}

static void
test_tagged(void)
{
	g_autofree char *plain = subject_tagged(" Hello", "[signed]");
	g_autofree char *none = subject_tagged(NULL, "[signed]");
	g_autofree char *encoded = subject_tagged(" =?utf-8?Q?=C3=BC?=", "[signed]");
	g_autofree char *decoded = subject_decode(encoded);

	g_assert_cmpstr(plain, ==, " [signed] Hello");
	g_assert_cmpstr(none, ==, " [signed]");
	g_assert_cmpstr(decoded, ==, "[signed] \303\274");
}

static void
test_bad_words(void)
{
	CLEANUP(words) struct words *words = words_new();
	g_autoptr(GError) error = NULL;

	g_assert_false(words_add_regex(words, "[unclosed", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	g_assert_false(words_add_regex(words, "x*", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_true(words_empty(words));
}

/* 256 KiB of tags must not cost minutes. */
static void
test_hostile(void)
{
	CLEANUP(words) struct words *words = words_new();
	g_autoptr(GString) text = g_string_new(" ");
	g_autofree char *result = NULL;
	gint64 start = g_get_monotonic_time();

	g_assert_true(words_add_regex(words, "\\[encrypt\\]", NULL));
	for (int i = 0; i < 14000; i++)
		g_string_append(text, "[en\302\255crypt\303\274]");
	for (int i = 0; i < 4000; i++)
		g_string_prepend(text, " [encr");
	for (int i = 0; i < 4000; i++)
		g_string_append(text, "ypt]");
	result = subject_cut(text->str, words);
	g_assert_cmpint(g_get_monotonic_time() - start, <, 60 * G_USEC_PER_SEC);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(decode_rows); i++) {
		g_autofree char *path = g_strdup_printf("/subject/decode/%s", decode_rows[i].name);

		g_test_add_data_func(path, &decode_rows[i], test_decode);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(cut_rows); i++) {
		g_autofree char *path = g_strdup_printf("/subject/cut/%s", cut_rows[i].name);

		g_test_add_data_func(path, &cut_rows[i], test_cut);
	}
	g_test_add_func("/subject/encode comes back and is folded", test_encode);
	g_test_add_func("/subject/tagged", test_tagged);
	g_test_add_func("/subject/words that match nothing are refused", test_bad_words);
	g_test_add_func("/subject/hostile", test_hostile);
	return g_test_run();
}
