/*
 * shown - the raw field is decoded as a whole, quoted strings and comments included: whatever
 * looks like an address anywhere in it may be what is read.
 */
#include "milter/mime/shown.h"

#include <string.h>

#include <gmime/gmime.h>

#include "milter/mime/content_type.h"
#include "milter/mime/encoded_word.h"
#include "milter/mime/subject.h"
#include "store/base/clock.h"

#define FORCED_LEFT 0x202d /* directions that override each letter's own */
#define FORCED_RIGHT 0x202e
#define BRAILLE_BLANK 0x2800
#define ADDRESSES_MAX 50

/* --- From --- */

static gboolean
is_local(gunichar c)
{
	return c >= 0x80
		   ? g_unichar_isalnum(c)
		   : g_ascii_isalnum((char)c) || (c != 0 && strchr("!#$%&*+-/=?^_{|}~.'", (int)c));
}

static gboolean
is_domain(gunichar c)
{
	return c >= 0x80 ? g_unichar_isalnum(c)
			 : g_ascii_isalnum((char)c) || c == '-' || c == '.' || c == '_';
}

/* What looks like an address around the "@" at at; NULL when it looks like none. */
static char *
address_around(const char *text, const char *at)
{
	const char *start = at;
	const char *end = at + 1;
	g_autofree char *domain = NULL;

	while (start > text && is_local(g_utf8_get_char(g_utf8_prev_char(start))))
		start = g_utf8_prev_char(start);
	while (*start == '\'')
		start++;
	while (*end != '\0' && is_domain(g_utf8_get_char(end)))
		end = g_utf8_next_char(end);
	while (end > at + 1 && end[-1] == '.')
		end--;
	domain = g_strndup(at + 1, (gsize)(end - at - 1));
	if (start == at || strchr(domain, '.') == NULL)
		return NULL;
	return g_strndup(start, (gsize)(end - start));
}

static gboolean
shows_another(const char *text, const struct mailaddr *author)
{
	guint looked_at = 0;

	for (const char *at = strchr(text, '@'); at != NULL; at = strchr(at + 1, '@')) {
		g_autofree char *found = address_around(text, at);
		CLEANUP(mailaddr) struct mailaddr *address = NULL;

		if (found == NULL)
			continue;
		if (++looked_at > ADDRESSES_MAX)
			return TRUE; /* whoever writes so many has something to hide */
		address = mailaddr_parse(found, NULL);
		if (address == NULL || !mailaddr_equal(address, author))
			return TRUE;
	}
	return FALSE;
}

/* For a person who reads it as an address: without escapes, without blanks that only look like
 * some, and with "@" as if nothing stood around it. */
static char *
as_read(const char *decoded)
{
	g_autoptr(GString) plain = g_string_new(NULL);
	g_autofree char *normal = NULL;
	GString *out = g_string_new(NULL);
	gboolean behind_at = FALSE;

	for (; *decoded != '\0'; decoded = g_utf8_next_char(decoded)) {
		gunichar c = g_utf8_get_char(decoded);
		gboolean blank = c > 0x7f && g_unichar_type(c) == G_UNICODE_SPACE_SEPARATOR;

		if (c == 0x3002 ||
		    c == 0xff61) /* full stops between labels, RFC 3490 section 3.1 */
			g_string_append_c(plain, '.');
		else if (c != '\\' && c != BRAILLE_BLANK && !blank)
			g_string_append_unichar(plain, c);
	}
	normal = subject_normalise(plain->str);
	for (const char *at = normal; *at != '\0'; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);

		if (behind_at && (c == ' ' || g_unichar_ismark(c)))
			continue;
		behind_at = c == '@';
		while (behind_at && out->len > 0 && out->str[out->len - 1] == ' ')
			g_string_truncate(out, out->len - 1);
		g_string_append_unichar(out, c);
	}
	return g_string_free(out, FALSE);
}

/* Some programs decode what they have decoded. */
static gboolean
reads_as_another(const char *decoded, const struct mailaddr *author)
{
	g_autofree char *again = subject_decode(decoded);
	g_autofree char *normal = subject_normalise(decoded);
	g_autofree char *read = as_read(decoded);
	g_autofree char *read_again = as_read(again);

	return shows_another(normal, author) || shows_another(read, author) ||
	       shows_another(read_again, author);
}

static gboolean
is_turned_around(const char *text)
{
	for (; *text != '\0'; text = g_utf8_next_char(text)) {
		gunichar c = g_utf8_get_char(text);

		if (c == FORCED_LEFT || c == FORCED_RIGHT)
			return TRUE;
	}
	return FALSE;
}

/* Outside of quoted strings and comments: at most one pair of brackets, no group. Commas have been
 * looked at by author_find(). */
static gboolean
is_one_mailbox(const char *text)
{
	gboolean quoted = FALSE;
	guint comments = 0;
	guint opened = 0;
	guint closed = 0;

	for (; *text != '\0'; text++) {
		if (*text == '\\' && text[1] != '\0' && (quoted || comments > 0))
			text++;
		else if (*text == '"' && comments == 0)
			quoted = !quoted;
		else if (*text == '(' && !quoted)
			comments++;
		else if (*text == ')' && !quoted && comments > 0)
			comments--;
		else if (quoted || comments > 0)
			continue;
		else if (*text == '<')
			opened++;
		else if (*text == '>')
			closed++;
		else if ((*text == ':' || *text == ';') && opened == closed)
			return FALSE;
	}
	return !quoted && comments == 0 && opened == closed && opened <= 1;
}

const char *
shown_from_doubt(const char *raw_value, const struct mailaddr *author)
{
	g_autofree char *decoded = NULL;

	if (!is_one_mailbox(raw_value))
		return "From is not one plain mailbox";
	decoded = subject_decode(raw_value);
	if (is_turned_around(decoded))
		return "From shows letters in another order than they have";
	if (reads_as_another(decoded, author))
		return "From shows another address beside the mailbox";
	return NULL;
}

const char *
shown_author_doubt(const struct headers *headers, const struct mailaddr *author)
{
	const struct header *from = headers_find(headers, "From", 1);

	return from != NULL && author != NULL ? shown_from_doubt(from->value, author) : NULL;
}

/* --- Date --- */

gint64
shown_date(const struct headers *headers, const char **why)
{
	const struct header *field = headers_find(headers, "Date", 1);
	g_autofree char *text = NULL;
	GDateTime *date;
	gint64 seconds = CLOCK_NEVER;
	const char *comment;

	*why = NULL;
	if (field == NULL)
		return CLOCK_NEVER;
	text = g_strstrip(g_strdelimit(g_strdup(field->value), "\r\n\t", ' '));
	comment = strchr(text, '(');
	*why = "Date cannot be read, or stands there twice";
	if (headers_count_of(headers, "Date") > 1 ||
	    (comment != NULL && strpbrk(comment, "0123456789") != NULL && comment == text))
		return CLOCK_NEVER;
	gmime_once();
	date = g_mime_utils_header_decode_date(text);
	if (date != NULL) {
		seconds = g_date_time_to_unix(date);
		g_date_time_unref(date);
		*why = NULL;
	}
	return seconds;
}
