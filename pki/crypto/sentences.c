/*
 * sentences - filling in the rows of the table.
 */
#include "pki/crypto/sentences.h"

#include <stdarg.h>

static const struct {
	const char *text, *remedy;
} rows[SENTENCE_COUNT] = {
#define SENTENCE(id, text_, remedy_) [SENTENCE_##id] = { text_, remedy_ },
#include "pki/crypto/sentences.def"
#undef SENTENCE
};

const char *
sentence_text(enum sentence sentence)
{
	return rows[sentence].text;
}

const char *
sentence_remedy(enum sentence sentence)
{
	return rows[sentence].remedy;
}

/* An argument is never looked at again: braces in a name stay what they are. */
static GString *
fill(enum sentence sentence, va_list list)
{
	const char *arguments[SENTENCE_ARGUMENTS_MAX] = { "", "", "", "" };
	GString *out = g_string_new(NULL);
	const char *text = rows[sentence].text;
	const char *argument;

	for (gsize i = 0; (argument = va_arg(list, const char *)) != NULL; i++)
		if (i < SENTENCE_ARGUMENTS_MAX)
			arguments[i] = argument;
	for (const char *p = text; *p != '\0'; p++) {
		if (p[0] == '{' && p[1] >= '1' && p[1] <= '0' + SENTENCE_ARGUMENTS_MAX &&
		    p[2] == '}') {
			g_string_append(out, arguments[p[1] - '1']);
			p += 2;
		} else {
			g_string_append_c(out, *p);
		}
	}
	return out;
}

char *
sentence_make(enum sentence sentence, ...)
{
	va_list list;

	va_start(list, sentence);
	GString *out = fill(sentence, list);
	va_end(list);
	return g_string_free(out, FALSE);
}

char *
sentence_with_remedy(enum sentence sentence, ...)
{
	va_list list;

	va_start(list, sentence);
	GString *out = fill(sentence, list);
	va_end(list);
	if (*rows[sentence].remedy != '\0')
		g_string_append_printf(out, "; %s", rows[sentence].remedy);
	return g_string_free(out, FALSE);
}
