/*
 * The tables of reasons and rows hold together.
 */
#include "milter/policy/decide.h"

#include <string.h>

/* The first word is the label of the metric, and says whether there is a reply. */
static void
test_names_and_replies(void)
{
	static const struct {
		const char *word;
		char reply; /* first digit, 0: accepted */
	} words[] = {
		{ "signed", 0 },    { "encrypted", 0 }, { "leave", 0 },
		{ "plain", 0 },     { "refused", '5' }, { "deferred", '4' },
		{ "decrypted", 0 }, { "verified", 0 },  { "quarantined", 0 },
		{ "answered", 0 },
	};

	for (guint i = 0; i < REASON_COUNT; i++) {
		const char *name = reason_name((enum reason)i);
		const char *reply = reason_reply((enum reason)i);
		gsize length = strcspn(name, ".-");
		guint w = 0;

		while (w < G_N_ELEMENTS(words) && (strlen(words[w].word) != length ||
						   strncmp(name, words[w].word, length) != 0))
			w++;
		g_test_message("%s", name);
		g_assert_cmpuint(w, <, G_N_ELEMENTS(words));
		g_assert_cmpint(reply != NULL ? reply[0] : 0, ==, words[w].reply);
		g_assert_false(g_str_has_suffix(reason_sentence((enum reason)i), "."));
	}
}

/* Two rows with one text could not be told apart in a log. */
static void
test_rows_are_distinct(void)
{
	g_autoptr(GHashTable) texts = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < ROW_COUNT; i++)
		g_assert_true(
		    g_hash_table_add(texts, (gpointer)decide_row_text((enum decide_row)i)));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/reasons/names-and-replies", test_names_and_replies);
	g_test_add_func("/reasons/rows-are-distinct", test_rows_are_distinct);
	return g_test_run();
}
