/*
 * defuse_text - one pass over the text, one over what character references and escapes hide.
 */
#include "milter/mime/defuse_text.h"

#include <string.h>

#define BLANKS " \t\r\n\f"
#define CSS_DIGITS_MAX 6
#define CHARSET_MAX_BYTES 40

struct text {
	char *bytes;
	gsize length;
	gboolean hrefs; /* every href is fetched */
	gboolean changed;
};

/* Attributes. What they may point to inside of the message stays, unless never. */
struct word {
	const char *name;
	gboolean never;
};

static const struct word attributes[] = {
	{ "src", FALSE },        { "background", FALSE }, { "data", FALSE },
	{ "poster", FALSE },     { "lowsrc", FALSE },     { "dynsrc", FALSE },
	{ "archive", FALSE },    { "manifest", FALSE },   { "classid", FALSE },
	{ "codebase", TRUE },    { "srcset", TRUE },      { "imagesrcset", TRUE },
	{ "imagesrc", FALSE },   { "srcdoc", TRUE },      { "ping", TRUE },
	{ "http-equiv", FALSE },
};

/* Elements that fetch by an attribute which links have too. */
static const char *const elements[] = { "link", "base", "image", "use", "feimage" };

static const char *const css_words[] = { "url", "image-set",  "image",
					 "src", "cross-fade", "alphaimageloader" };

static const char *const charsets[] = {
	"us-ascii", "ascii",     "utf-8",     "utf8",        "iso-8859-",
	"iso8859-", "iso_8859-", "latin1",    "windows-125", "windows-874",
	"cp125",    "koi8-",     "tis-620",   "gb2312",      "gbk",
	"gb18030",  "big5",      "shift_jis", "euc-",        "ks_c_5601",
};

/* --- looking --- */

static char
at(const struct text *text, gsize i)
{
	return i < text->length ? text->bytes[i] : '\0';
}

static gboolean
is_name(char c)
{
	return g_ascii_isalnum(c) || c == '-' || c == '_';
}

/* word in lower case */
static gboolean
word_at(const struct text *text, gsize i, const char *word)
{
	gsize length;

	if (g_ascii_tolower(at(text, i)) != word[0])
		return FALSE;
	length = strlen(word);
	return length <= text->length - i &&
	       g_ascii_strncasecmp(text->bytes + i, word, length) == 0;
}

static gsize
skip_blanks(const struct text *text, gsize i)
{
	while (i < text->length && text->bytes[i] != '\0' && strchr(BLANKS, text->bytes[i]) != NULL)
		i++;
	return i;
}

/* Does the reference that begins here stay within the message? */
static gboolean
is_inside(const struct text *text, gsize i)
{
	static const char *const pictures[] = { "data:image/png;", "data:image/gif;",
						"data:image/jpeg;", "data:image/jpg;",
						"data:image/webp;" };

	i = skip_blanks(text, i);
	if (at(text, i) == '"' || at(text, i) == '\'')
		i = skip_blanks(text, i + 1);
	if (word_at(text, i, "cid:") || at(text, i) == '#')
		return TRUE;
	for (gsize p = 0; p < G_N_ELEMENTS(pictures); p++)
		if (word_at(text, i, pictures[p]))
			return TRUE;
	return FALSE;
}

static gboolean
is_content_type(const struct text *text, gsize i)
{
	i = skip_blanks(text, i);
	if (at(text, i) == '"' || at(text, i) == '\'')
		i = skip_blanks(text, i + 1);
	return word_at(text, i, "content-type");
}

static void
mark(struct text *text, gsize i)
{
	text->bytes[i] = 'x';
	text->changed = TRUE;
}

/* --- attributes, elements, CSS --- */

/* At the first letter of a name; 0: no attribute is set here. Else where its value begins. */
static gsize
value_of(const struct text *text, gsize i, const char *name)
{
	gsize end = i + strlen(name);

	if (!word_at(text, i, name) || is_name(at(text, end)))
		return 0;
	end = skip_blanks(text, end);
	return at(text, end) == '=' ? end + 1 : 0;
}

static void
look_for_attribute(struct text *text, gsize i)
{
	gboolean prefixed = i > 0 && text->bytes[i - 1] == ':';
	gsize value;

	if (i > 0 && is_name(text->bytes[i - 1]))
		return;
	for (gsize w = 0; w < G_N_ELEMENTS(attributes); w++) {
		const struct word *word = &attributes[w];

		value = value_of(text, i, word->name);
		if (value == 0)
			continue;
		if (strcmp(word->name, "http-equiv") == 0 ? !is_content_type(text, value)
							  : word->never || !is_inside(text, value))
			mark(text, i);
		return;
	}
	value = value_of(text, i, "href");
	if (value != 0 && (prefixed || text->hrefs) && !is_inside(text, value))
		mark(text, i);
}

/* After "<"; the name may have a prefix. */
static void
look_for_element(struct text *text, gsize i)
{
	gsize colon = i;

	while (is_name(at(text, colon)) || at(text, colon) == '.')
		colon++;
	if (at(text, colon) == ':')
		i = colon + 1;
	for (gsize e = 0; e < G_N_ELEMENTS(elements); e++)
		if (word_at(text, i, elements[e]) && !is_name(at(text, i + strlen(elements[e]))))
			mark(text, i);
}

/* A function that fetches begins here: where its argument does; else 0. */
static gsize
css_function(const struct text *text, gsize i)
{
	for (gsize w = 0; w < G_N_ELEMENTS(css_words); w++) {
		gsize end = i + strlen(css_words[w]);

		if (!word_at(text, i, css_words[w]))
			continue;
		if (w == 0) /* an old program takes blanks before the bracket */
			end = skip_blanks(text, end);
		if (at(text, end) == '(')
			return end + 1;
	}
	return 0;
}

static void
look_for_css(struct text *text, gsize i)
{
	gsize argument;

	if (text->bytes[i] == '@') {
		if (word_at(text, i, "@import"))
			mark(text, i + 1);
		return;
	}
	argument = css_function(text, i);
	if (argument != 0 && !is_inside(text, argument))
		mark(text, i);
}

static void
look_everywhere(struct text *text)
{
	gboolean tag = FALSE; /* after ">" and before "<" or a quote no parser sees attributes */

	for (gsize i = 0; i < text->length; i++) {
		char c = text->bytes[i];

		if (c == '<' || c == '"' || c == '\'' || c == '`')
			tag = TRUE;
		else if (c == '>')
			tag = FALSE;
		if (c == '<')
			look_for_element(text, i + 1);
		if (g_ascii_isalpha(c) && tag)
			look_for_attribute(text, i);
		if (g_ascii_isalpha(c) || c == '@')
			look_for_css(text, i);
	}
}

/* --- what is hidden --- */

/* The text as it is meant, no longer than it was, and which characters were written in another
 * way. */
struct plain {
	struct text text;
	guint8 *hidden;
};

static void
plain_init(struct plain *plain, gsize length_max)
{
	plain->text = (struct text){ g_malloc(length_max + 1), 0, FALSE, FALSE };
	plain->hidden = g_malloc(length_max + 1);
}

static void
plain_clear(struct plain *plain)
{
	g_free(plain->text.bytes);
	g_free(plain->hidden);
}

static void
plain_add(struct plain *plain, gunichar c, gboolean hidden)
{
	plain->hidden[plain->text.length] = hidden ? 1 : 0;
	plain->text.bytes[plain->text.length++] = c != 0 && c < 0x80 ? (char)c : '?';
}

/* "&#117;", "&#x75;" and the punctuation that has a name. 0: none; else its length. */
static gsize
reference_at(const struct text *text, gsize i, gunichar *c)
{
	static const struct {
		const char *name;
		char c;
	} names[] = { { "&lpar;", '(' }, { "&commat;", '@' }, { "&bsol;", '\\' } };
	gsize start = i + 2, base = 10, digits = 0;

	for (gsize n = 0; n < G_N_ELEMENTS(names); n++) {
		if (word_at(text, i, names[n].name)) {
			*c = (gunichar)names[n].c;
			return strlen(names[n].name);
		}
	}
	if (at(text, i + 1) != '#')
		return 0;
	if (at(text, start) == 'x' || at(text, start) == 'X') {
		base = 16;
		start++;
	}
	*c = 0;
	for (;; digits++) {
		int digit = base == 16 ? g_ascii_xdigit_value(at(text, start + digits))
				       : g_ascii_digit_value(at(text, start + digits));

		if (digit < 0)
			break;
		if (*c < 0x110000)
			*c = *c * (gunichar)base + (gunichar)digit;
	}
	if (digits == 0)
		return 0;
	return start + digits - i + (at(text, start + digits) == ';' ? 1 : 0);
}

/* A backslash of CSS: hexadecimal digits and a blank, or the character itself. */
static gsize
escape_at(const struct text *text, gsize i, gunichar *c)
{
	gsize digits = 0;

	*c = 0;
	while (digits < CSS_DIGITS_MAX && g_ascii_isxdigit(at(text, i + 1 + digits))) {
		*c = *c * 16 + (gunichar)g_ascii_xdigit_value(at(text, i + 1 + digits));
		digits++;
	}
	if (digits == 0) {
		*c = (guint8)at(text, i + 1);
		return 2;
	}
	if (at(text, i + 1 + digits) == '\r' && at(text, i + 2 + digits) == '\n')
		return digits + 3;
	if (skip_blanks(text, i + 1 + digits) > i + 1 + digits)
		return digits + 2;
	return digits + 1;
}

/* find gives the length of what begins at i with the sign and stands for *c, 0 for none. */
static void
uncover(const struct text *text, const guint8 *hidden_before, char sign,
	gsize (*find)(const struct text *text, gsize i, gunichar *c), struct plain *plain)
{
	gsize i = 0;

	while (i < text->length) {
		gunichar c;
		gsize length = text->bytes[i] == sign ? find(text, i, &c) : 0;

		if (length == 0) {
			plain_add(plain, (guint8)text->bytes[i],
				  hidden_before != NULL && hidden_before[i]);
			i++;
		} else {
			plain_add(plain, c, TRUE);
			i += length;
		}
	}
}

/* Is a word that fetches written with at least one of the hidden characters? */
static gboolean
shows_a_word(const struct plain *plain)
{
	const struct text *text = &plain->text;

	for (gsize i = 0; i < text->length; i++) {
		gsize end =
		    word_at(text, i, "@import") ? i + strlen("@import") : css_function(text, i);

		for (gsize k = i; k < end; k++)
			if (plain->hidden[k])
				return TRUE;
	}
	return FALSE;
}

static gboolean
hides_something(const struct text *text)
{
	struct plain first, second;
	gboolean found;

	if (text->length == 0)
		return FALSE;
	if (memchr(text->bytes, '&', text->length) == NULL &&
	    memchr(text->bytes, '\\', text->length) == NULL)
		return FALSE;
	plain_init(&first, text->length);
	plain_init(&second, text->length);
	uncover(text, NULL, '&', reference_at, &first);
	uncover(&first.text, first.hidden, '\\', escape_at, &second);
	found = shows_a_word(&second);
	plain_clear(&first);
	plain_clear(&second);
	return found;
}

/* --- the whole --- */

gboolean
defuse_text_charset(const char *charset)
{
	for (gsize i = 0; i < G_N_ELEMENTS(charsets); i++)
		if (g_ascii_strncasecmp(charset, charsets[i], strlen(charsets[i])) == 0)
			return TRUE;
	return FALSE;
}

/* A charset that the text itself names, which some programs believe more than its header. */
static gboolean
names_odd_charset(const struct text *text, gsize i)
{
	char name[CHARSET_MAX_BYTES + 1];
	gsize value = value_of(text, i, "charset"), length = 0;

	if (word_at(text, i, "+ADw-")) /* "<" in UTF-7 */
		return TRUE;
	if (value == 0)
		return FALSE;
	value = skip_blanks(text, value);
	if (at(text, value) == '"' || at(text, value) == '\'')
		value = skip_blanks(text, value + 1);
	while (length < CHARSET_MAX_BYTES && is_name(at(text, value + length))) {
		name[length] = at(text, value + length);
		length++;
	}
	name[length] = '\0';
	return length > 0 && !defuse_text_charset(name);
}

static const char *
find_doubt(const struct text *text)
{
	for (gsize i = 0; i < text->length; i++) {
		guint8 c = (guint8)text->bytes[i];

		if (c < ' ' && (c == '\0' || strchr(BLANKS, c) == NULL))
			return "HTML with control characters";
		if (c == '<' && (word_at(text, i, "<!entity") || word_at(text, i, "<?xml-style")))
			return "a document that builds itself from elsewhere";
		if (c == '<' && text->hrefs && word_at(text, i, "<!doctype"))
			return "a document that builds itself from elsewhere";
		if ((c == 'c' || c == 'C' || c == '+') && names_odd_charset(text, i))
			return "HTML in a charset of its own";
	}
	if (text->length >= 2 && ((guint8)text->bytes[0] == 0xff || (guint8)text->bytes[0] == 0xfe))
		return "HTML in UTF-16";
	if (hides_something(text))
		return "CSS that hides what it fetches";
	return NULL;
}

static gboolean
has_pictures(const struct text *text)
{
	for (gsize i = 0; i < text->length; i++)
		if (text->bytes[i] == '<' &&
		    (word_at(text, i, "<svg") || word_at(text, i, "<math") ||
		     word_at(text, i, "<?xml")))
			return TRUE;
	return FALSE;
}

const char *
defuse_text(char *bytes, gsize length, gboolean xml, gboolean *changed)
{
	struct text text = { bytes, length, xml, FALSE };
	const char *doubt = find_doubt(&text);

	*changed = FALSE;
	if (doubt != NULL)
		return doubt;
	text.hrefs = xml || has_pictures(&text);
	look_everywhere(&text);
	*changed = text.changed;
	return NULL;
}
