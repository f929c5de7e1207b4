/*
 * encoded_word - our own decoder: GMime drops what follows a padded word, in which a tag could
 * hide.
 */
#include "milter/mime/encoded_word.h"

#include <string.h>

#define CHARSET_MAX_BYTES 40

struct word {
	const char *charset;
	gsize charset_length;
	char encoding; /* 'b' or 'q' */
	const char *text;
	gsize text_length;
	const char *end; /* behind "?=" */
};

/* "=?charset*language?B?text?=" at the start of text. */
static gboolean
parse_word(const char *text, struct word *word)
{
	const char *at = text + 2;

	if (strncmp(text, "=?", 2) != 0)
		return FALSE;
	word->charset = at;
	word->charset_length = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					  "0123456789-_.:+");
	at += word->charset_length;
	if (*at == '*')
		at += strcspn(at, "? \t");
	if (word->charset_length == 0 || word->charset_length > CHARSET_MAX_BYTES || *at++ != '?')
		return FALSE;
	word->encoding = g_ascii_tolower(*at);
	if ((word->encoding != 'b' && word->encoding != 'q') || at[1] != '?')
		return FALSE;
	word->text = at + 2;
	word->end = strstr(word->text, "?=");
	/* "=?utf-8?Q?=41?=": the first "?=" may be the question mark before an escape */
	if (word->end == NULL || memchr(word->text, '?', (gsize)(word->end - word->text)) != NULL)
		return FALSE;
	word->text_length = (gsize)(word->end - word->text);
	word->end += 2;
	return TRUE;
}

static void
decode_q(const struct word *word, GString *octets)
{
	for (gsize i = 0; i < word->text_length; i++) {
		char c = word->text[i];

		if (c == '=' && i + 2 < word->text_length && g_ascii_isxdigit(word->text[i + 1]) &&
		    g_ascii_isxdigit(word->text[i + 2])) {
			g_string_append_c(octets,
					  (char)(g_ascii_xdigit_value(word->text[i + 1]) << 4 |
						 g_ascii_xdigit_value(word->text[i + 2])));
			i += 2;
		} else {
			g_string_append_c(octets, c == '_' ? ' ' : c);
		}
	}
}

static void
decode_b(const struct word *word, GString *octets)
{
	guint32 bits = 0;
	guint count = 0;

	for (gsize i = 0; i < word->text_length; i++) {
		static const char alphabet[] =
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
		const char *place = word->text[i] != '\0' ? strchr(alphabet, word->text[i]) : NULL;

		if (word->text[i] == '=') { /* a new group begins behind a padding */
			count = 0;
			bits = 0;
			continue;
		}
		if (place == NULL)
			continue;
		bits = bits << 6 | (guint32)(place - alphabet);
		count += 6;
		if (count >= 8) {
			count -= 8;
			g_string_append_c(octets, (char)(bits >> count & 0xff));
		}
	}
}

static void
flush_octets(GString *octets, const char *charset, GString *out)
{
	char *converted = NULL;
	gsize length = 0;

	if (octets->len == 0)
		return;
	if (g_ascii_strcasecmp(charset, "utf-8") != 0 && g_ascii_strcasecmp(charset, "utf8") != 0)
		converted = g_convert(octets->str, (gssize)octets->len, "UTF-8", charset, NULL,
				      &length, NULL);
	if (converted == NULL) {
		length = octets->len;
		converted = g_memdup2(octets->str, length);
	}
	for (gsize i = 0; i < length; i++) /* a NUL would end the text for us alone */
		g_string_append_c(out, converted[i] != '\0' ? converted[i] : '\001');
	g_free(converted);
	g_string_truncate(octets, 0);
}

char *
encoded_words_decode(const char *text)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_autoptr(GString) octets = g_string_new(NULL);
	g_autofree char *charset = g_strdup("");
	const char *plain = text; /* begin of what is not decoded yet */
	gboolean after_word = FALSE;
	struct word word;

	for (const char *at = text; (at = strstr(at, "=?")) != NULL;) {
		gboolean only_blanks;

		if (!parse_word(at, &word)) {
			at += 2;
			continue;
		}
		only_blanks = strspn(plain, " \t\r\n") >= (gsize)(at - plain);
		if (!after_word || !only_blanks || strlen(charset) != word.charset_length ||
		    g_ascii_strncasecmp(charset, word.charset, word.charset_length) != 0)
			flush_octets(octets, charset, out);
		if (!after_word || !only_blanks)
			g_string_append_len(out, plain, at - plain);
		g_free(charset);
		charset = g_strndup(word.charset, word.charset_length);
		if (word.encoding == 'q')
			decode_q(&word, octets);
		else
			decode_b(&word, octets);
		after_word = TRUE;
		plain = at = word.end;
	}
	flush_octets(octets, charset, out);
	g_string_append(out, plain);
	return g_utf8_make_valid(out->str, (gssize)out->len);
}
