/*
 * fuzz_subject - any text as a Subject: decoded to valid UTF-8; what was cut does not match any
 * more; what is written is ASCII in lines that fit.
 */
#include <stdint.h>
#include <string.h>

#include "milter/mime/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_written(const char *value)
{
	for (const char *at = value; *at != '\0'; at++)
		if ((guchar)*at > 126 || (*at == '\n' && at[1] != ' ' && at[1] != '\t'))
			g_error("a value that is no header value");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct words *words;
	g_autofree char *raw = size > 0 ? g_strndup((const char *)data, size) : g_strdup("");
	g_autofree char *decoded = subject_decode(raw);
	g_autofree char *encoded = subject_encode(decoded);
	g_autofree char *cut = NULL;

	if (words == NULL) {
		words = words_new();
		if (!words_add_regex(words, "\\[encrypt\\]", NULL) ||
		    !words_add_text(words, "[signed by: %]", NULL))
			g_error("words do not compile");
	}
	if (!g_utf8_validate(decoded, -1, NULL))
		g_error("decoded to something else than UTF-8");
	check_written(encoded);
	cut = subject_cut(raw, words);
	if (cut != NULL) {
		check_written(cut);
		if (strlen(cut) < SUBJECT_MATCH_MAX_BYTES && subject_match(cut, words) == SUBJECT_MATCH_YES)
			g_error("still matches");
	}
	return 0;
}
