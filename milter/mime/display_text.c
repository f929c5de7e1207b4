/* display_text - see display_text.h. */
#include "milter/mime/display_text.h"

#include <string.h>

#define DISPLAY_CLASS "header-protection-legacy-display"
#define COLUMNS_MAX 76

/* ---- where in HTML -------------------------------------------------------------------------- */

/* Behind a tag that starts at text; NULL: it does not end. */
static const char *
skip_tag(const char *text)
{
	char quote = '\0';

	for (; *text != '\0'; text++) {
		if (quote != '\0')
			quote = *text == quote ? '\0' : quote;
		else if (*text == '"' || *text == '\'')
			quote = *text;
		else if (*text == '>')
			return text + 1;
	}
	return NULL;
}

static gboolean
is_tag(const char *text, const char *name)
{
	gsize length = strlen(name);

	return *text == '<' && g_ascii_strncasecmp(text + 1, name, length) == 0 &&
	       strchr("> \t\r\n/", text[1 + length]) != NULL;
}

/* What is text and not markup for a browser: comments, scripts, styles, the title. */
static const char *
skip_opaque(const char *at)
{
	static const char *const names[] = { "script", "style", "title" };
	const char *end;

	if (strncmp(at, "<!--", 4) == 0) {
		end = strstr(at + 4, "-->");
		return end != NULL ? end + 3 : at + strlen(at);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *close = g_strconcat("/", names[i], NULL);

		if (!is_tag(at, names[i]))
			continue;
		for (end = at + 1; *end != '\0'; end++)
			if (is_tag(end, close))
				return end;
		return end;
	}
	return NULL;
}

/* Where the content begins: behind <body>, else behind the head, the html tag or the doctype. */
gsize
display_html_place(const char *html)
{
	const char *place = html;

	for (const char *at = html; *at != '\0';) {
		const char *opaque = *at == '<' ? skip_opaque(at) : NULL;
		const char *end;

		if (opaque != NULL) {
			at = opaque;
			continue;
		}
		if (*at != '<') {
			at++;
			continue;
		}
		end = skip_tag(at);
		if (end == NULL)
			break;
		if (is_tag(at, "body"))
			return (gsize)(end - html);
		if (is_tag(at, "/head") || is_tag(at, "html") || is_tag(at, "!doctype"))
			place = end;
		at = end;
	}
	return (gsize)(place - html);
}

/* ---- made ----------------------------------------------------------------------------------- */

/* One line of text without controls. */
char *
display_subject(const char *subject)
{
	char *text = g_utf8_make_valid(subject, -1);

	for (char *at = text; *at != '\0'; at++)
		if ((guchar)*at < 32 || *at == 127)
			*at = ' ';
	return g_strstrip(text);
}

/* Lines like those of a header, folded before blanks, and an empty one. */
char *
display_plain(const char *subject)
{
	GString *out = g_string_new("Subject:");
	gsize column = out->len;
	const char *text = subject;

	while (*text != '\0') {
		gsize word = strcspn(text, " ");

		if (column + 1 + word > COLUMNS_MAX && column > strlen("Subject:")) {
			g_string_append(out, "\r\n");
			column = 0;
		}
		g_string_append_c(out, ' ');
		g_string_append_len(out, text, (gssize)word);
		column += 1 + word;
		text += word;
		text += strspn(text, " ");
	}
	g_string_append(out, "\r\n\r\n");
	return g_string_free(out, FALSE);
}

char *
display_html(const char *subject)
{
	GString *out = g_string_new("<div class=\"" DISPLAY_CLASS "\">\r\n<pre>Subject: ");
	gsize line = out->len;

	for (const char *at = subject; *at != '\0'; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);

		if (c > 126 || strchr("<>&\"'=", (int)c) != NULL)
			g_string_append_printf(out, "&#%u;", (guint)c);
		else
			g_string_append_c(out, (char)c);
		if (c == ' ' && out->len - line > COLUMNS_MAX * 4) {
			g_string_append(out, "\r\n ");
			line = out->len;
		}
	}
	g_string_append(out, "</pre>\r\n</div>\r\n");
	return g_string_free(out, FALSE);
}

/* ---- found ---------------------------------------------------------------------------------- */

/* Lines that look like those of a header, up to and with the first blank one; 0: they do not. */
gsize
display_plain_end(const char *text)
{
	const char *at = text;

	while (*at != '\0' && (gsize)(at - text) <= DISPLAY_MAX_BYTES) {
		gsize length = strcspn(at, "\r\n");
		gsize name = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");
		const char *next = at + length;

		next += *next == '\r';
		next += *next == '\n';
		if (length == 0)
			return at > text ? (gsize)(next - text) : 0;
		if (at[0] == ' ' || at[0] == '\t' ? at == text : name == 0 || at[name] != ':')
			return 0;
		at = next;
	}
	return 0;
}

/* Has the div's tag the class, as one of its words? */
static gboolean
has_class(const char *tag, const char *end)
{
	g_autofree char *text = g_strndup(tag, (gsize)(end - tag));

	return strstr(text, "\"" DISPLAY_CLASS "\"") != NULL ||
	       strstr(text, "'" DISPLAY_CLASS "'") != NULL ||
	       strstr(text, "=" DISPLAY_CLASS ">") != NULL;
}

/* Behind the </div> that belongs to the <div> at html; NULL: there is none. */
static const char *
div_end(const char *html)
{
	guint depth = 0;

	for (const char *at = html; *at != '\0' && at - html <= DISPLAY_MAX_BYTES;) {
		const char *end = *at == '<' ? skip_tag(at) : at + 1;

		if (end == NULL)
			return NULL;
		if (is_tag(at, "div"))
			depth++;
		else if (is_tag(at, "/div") && --depth == 0)
			return end;
		at = end;
	}
	return NULL;
}

/* The first thing in the body, if it is the div. */
gboolean
display_html_range(const char *html, gsize *start, gsize *end)
{
	const char *at = html + display_html_place(html);
	const char *tag_end, *behind;

	at += strspn(at, " \t\r\n");
	if (!is_tag(at, "div"))
		return FALSE;
	tag_end = skip_tag(at);
	if (tag_end == NULL || !has_class(at, tag_end))
		return FALSE;
	behind = div_end(at);
	if (behind == NULL)
		return FALSE;
	behind += strspn(behind, "\r");
	behind += *behind == '\n';
	*start = (gsize)(at - html);
	*end = (gsize)(behind - html);
	return TRUE;
}
