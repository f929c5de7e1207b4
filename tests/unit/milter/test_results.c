/*
 * Result fields: the words of RFC 8601, nothing foreign that could end them early, lines that fit.
 */
#include "milter/results.h"

#include <string.h>

#include "milter/message/edits.h"
#include "milter/mime/ours.h"
#include "milter/reading.h"
#include "store/base/clock.h"

static struct reading reading;

static void
make_reading(enum mail_verdict verdict, const char *reason)
{
	memset(&reading, 0, sizeof reading);
	reading.layers = reading_layers_new();
	reading.signers = reading_signers_new();
	reading.verdict = verdict;
	reading.reason = g_strdup(reason);
}

static void
clear_reading(void)
{
	g_ptr_array_unref(reading.layers);
	g_ptr_array_unref(reading.signers);
	g_free(reading.reason);
}

static const char *
field(struct edits *edits, const char *name)
{
	const char *found = NULL;

	for (guint i = 0; i < edits_count(edits); i++) {
		const struct edit *edit = edits_at(edits, i);

		if (g_ascii_strcasecmp(edit->name, name) != 0)
			continue;
		g_assert_null(found); /* never two */
		found = edit->value;
	}
	return found;
}

static void
test_words(void)
{
	static const struct {
		enum mail_verdict verdict;
		const char *word;
	} rows[] = {
		{ MAIL_VALID, "pass" },       { MAIL_MISMATCH, "policy" },
		{ MAIL_UNTRUSTED, "policy" }, { MAIL_PARTIAL, "policy" },
		{ MAIL_BAD, "fail" },         { MAIL_MALFORMED, "neutral" },
		{ MAIL_UNSIGNED, "none" },    { MAIL_UNDECRYPTABLE, "neutral" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		make_reading(rows[i].verdict, "why");
		g_assert_cmpstr(results_word(&reading), ==, rows[i].word);
		reading.unknown = TRUE;
		g_assert_cmpstr(results_word(&reading), ==, "temperror");
		clear_reading();
	}
	g_assert_cmpstr(results_word(NULL), ==, "neutral");
}

static void
test_closed(void)
{
	CLEANUP(edits) struct edits *edits = edits_new();
	const struct results_request request = { .authserv_id = "mx.example" };

	results_add(&request, edits);
	g_assert_cmpstr(field(edits, "Authentication-Results"), ==,
			" mx.example; smime=neutral (undecryptable)");
	g_assert_cmpstr(field(edits, "X-Postseal-Verdict"), ==, " undecryptable");
	g_assert_cmpuint(edits_count(edits), ==, 2);
}

static void
check_lines(const char *name, const char *value)
{
	g_auto(GStrv) lines = g_strsplit(value, "\n", -1);

	for (guint i = 0; lines[i] != NULL; i++) {
		gsize length = strlen(lines[i]) + (i == 0 ? strlen(name) + 1 : 0);

		g_assert_cmpuint(length, <=, 77);
		g_assert_true(lines[i][0] == ' ');
		g_assert_true(i == 0 || strspn(lines[i], " ") < strlen(lines[i]));
		for (const char *at = lines[i]; *at != '\0'; at++)
			g_assert_true((guchar)*at >= 32 && (guchar)*at < 127);
	}
}

/* Text of a certificate that would like to be a result of its own. */
static void
test_foreign(void)
{
	static const char *const nasty[] = {
		"a) ; smime=pass (b",
		"x\"; smime=pass body.smime-identifier=\"ceo@corp.example",
		"line\r\nX-Postseal-Verdict: valid",
		"\xe2\x80\xae gro.elpmaxe \xd0\xb0",
		"back\\slash\\",
		"words words words words words words words words words words words words words "
		"words",
	};
	static const char *const ids[] = { "mx.example", NULL };

	for (guint i = 0; i < G_N_ELEMENTS(nasty); i++) {
		CLEANUP(edits) struct edits *edits = edits_new();
		const struct results_request request = { .authserv_id = "mx.example",
							 .reading = &reading };
		struct reading_signer *signer = g_new0(struct reading_signer, 1);
		const char *value;

		make_reading(MAIL_BAD, nasty[i]);
		signer->emails = g_ptr_array_new_with_free_func(g_free);
		g_ptr_array_add(signer->emails, g_strdup(nasty[i]));
		signer->subject = g_strdup(nasty[i]);
		signer->reason = g_strdup(nasty[i]);
		signer->signing_time = CLOCK_NEVER;
		g_ptr_array_add(reading.signers, signer);
		results_add(&request, edits);
		for (guint k = 0; k < edits_count(edits); k++)
			check_lines(edits_at(edits, k)->name, edits_at(edits, k)->value);
		value = field(edits, "Authentication-Results");
		g_test_message("%s", value);
		g_assert_null(strstr(value, "smime=pass"));
		g_assert_true(ours_is_smime_result(value, strlen(value), ids));
		g_assert_true(g_str_has_prefix(value, " mx.example; smime=fail (bad:"));
		g_assert_true(strchr(value, '(') == strrchr(value, '('));
		g_assert_true(strchr(value, ')') == strrchr(value, ')'));
		g_assert_cmpstr(field(edits, "X-Postseal-Verdict"), ==, " bad");
		clear_reading();
	}
}

static void
test_odd_id(void)
{
	CLEANUP(edits) struct edits *edits = edits_new();
	const struct results_request request = { .authserv_id = "our mx \"1\"" };

	results_add(&request, edits);
	g_assert_cmpstr(field(edits, "Authentication-Results"), ==,
			" \"our mx \\\"1\\\"\"; smime=neutral (undecryptable)");
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/results/words", test_words);
	g_test_add_func("/results/closed", test_closed);
	g_test_add_func("/results/foreign", test_foreign);
	g_test_add_func("/results/odd-id", test_odd_id);
	return g_test_run();
}
