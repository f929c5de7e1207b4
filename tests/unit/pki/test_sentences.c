/*
 * The reasons of verdicts: each names an object, says what to do, and is in an administrator's
 * words.
 */
#include <glib.h>
#include <string.h>

#include "pki/crypto/sentences.h"

static const char *const jargon[] = {
	"X509",      "OpenSSL", "ASN.1", "NID",  "AKID",  "SKID", "self signed certificate",
	"unable to", "leaf",    "BIO",   "NULL", "error", "DER",  "depth",
};

static guint
arguments_of(const char *text)
{
	guint count = 0;

	while (count < SENTENCE_ARGUMENTS_MAX) {
		g_autofree char *mark = g_strdup_printf("{%u}", count + 1);
		if (strstr(text, mark) == NULL)
			break;
		count++;
	}
	return count;
}

static void
test_form(void)
{
	for (int i = 0; i < SENTENCE_COUNT; i++) {
		enum sentence sentence = (enum sentence)i;
		const char *text = sentence_text(sentence), *remedy = sentence_remedy(sentence);
		/* Goes on where another sentence, which names the object, ended. */
		gboolean goes_on = g_str_has_prefix(text, "{1}, and ");
		guint braces = 0;

		g_test_message("%s; %s", text, remedy);
		g_assert_cmpuint(arguments_of(text), >, 0);
		for (const char *p = text; *p != '\0'; p++)
			braces += *p == '{';
		g_assert_cmpuint(braces, ==, arguments_of(text));
		g_assert_true(goes_on || strstr(text, "'{") != NULL);
		g_assert_null(strchr(text, '\n'));
		g_assert_null(strchr(remedy, '\n'));
		g_assert_cmpuint(strlen(text), <=, 100);
		g_assert_true(goes_on || *remedy != '\0');
		g_assert_cmpuint(strlen(remedy), <=, 100);
		g_assert_false(g_str_has_suffix(text, "."));
		g_assert_false(g_str_has_suffix(remedy, "."));
		g_assert_true(g_ascii_islower(*remedy) || *remedy == '\0');
		for (gsize k = 0; k < G_N_ELEMENTS(jargon); k++) {
			g_assert_null(strstr(text, jargon[k]));
			g_assert_null(strstr(remedy, jargon[k]));
		}
	}
}

/* What a name holds is not looked at again. */
static void
test_braces(void)
{
	g_autofree char *made = sentence_make(SENTENCE_SIGNATURE, "{2}{1}%s", "I", NULL);
	g_autofree char *whole =
	    sentence_with_remedy(SENTENCE_NO_ISSUER, "A", "in the store", NULL);

	g_assert_cmpstr(made, ==, "signature of '{2}{1}%s' does not fit its issuer 'I'");
	g_assert_cmpstr(whole, ==, "issuer 'A' is not in the store; import its certificate");
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/sentences/form", test_form);
	g_test_add_func("/sentences/braces", test_braces);
	return g_test_run();
}
