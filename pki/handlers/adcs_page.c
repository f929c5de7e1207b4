/*
 * adcs_page - links, numbers and words.
 */
#include "pki/handlers/adcs_page.h"

#include <string.h>

#define PAGE_MAX_BYTES (256 * 1024)
#define ID_DIGITS_MAX 10
#define ID_DISTANCE_MAX 24 /* between "Id" and the number */
#define RENEWALS_MAX 1000

/* winerror.h, public. */
static const struct {
	guint32 code;
	enum adcs_finding finding;
	enum handler_error_class error_class;
} codes[] = {
	{ 0x80094002, ADCS_ABSENT, HANDLER_ERROR_NONE },    /* CERTSRV_E_NO_REQUEST */
	{ 0x800706ba, ADCS_BUSY, HANDLER_ERROR_TRANSIENT }, /* the CA's service is away */
	{ 0x800706be, ADCS_BUSY, HANDLER_ERROR_CONFLICT },  /* it went away during the call */
	{ 0x8007045b, ADCS_BUSY, HANDLER_ERROR_TRANSIENT }, /* shutting down */
	{ 0x80070005, ADCS_DENIED, HANDLER_ERROR_CONFIG },  /* access denied */
	{ 0x80094011, ADCS_DENIED, HANDLER_ERROR_CONFIG },  /* may not enrol */
	{ 0x80094012, ADCS_DENIED, HANDLER_ERROR_CONFIG },  /* not for this template */
	{ 0x80094800, ADCS_DENIED, HANDLER_ERROR_CONFIG },  /* template not supported by the CA */
	{ 0x80094801, ADCS_DENIED, HANDLER_ERROR_CONFIG },  /* no template named */
	{ 0x80094014, ADCS_DENIED, HANDLER_ERROR_HUMAN },   /* denied by an administrator */
};

/* --- words --- */

/* Without tags, entities and runs of blanks; UTF-16 loses its zero bytes. */
static char *
words_of(const char *bytes, gsize length)
{
	GString *text = g_string_new(NULL);
	gboolean tag = FALSE;

	for (gsize i = 0; i < length; i++) {
		char c = bytes[i];

		if (c == '<')
			tag = TRUE;
		if (c == '\0')
			continue;
		if (tag || g_ascii_isspace(c)) {
			if (text->len > 0 && text->str[text->len - 1] != ' ')
				g_string_append_c(text, ' ');
		} else {
			g_string_append_c(text, c);
		}
		if (c == '>')
			tag = FALSE;
	}
	g_string_replace(text, "&quot;", "\"", 0);
	g_string_replace(text, "&nbsp;", " ", 0);
	g_string_replace(text, "&amp;", "&", 0);
	return g_string_free(text, FALSE);
}

/* strstr that does not mind the case of ASCII. */
static const char *
find(const char *text, const char *what)
{
	gsize length = strlen(what);

	for (const char *p = text; *p != '\0'; p++)
		if (g_ascii_strncasecmp(p, what, length) == 0)
			return p;
	return NULL;
}

/* Digits at p, without more around them than an id has; 0: none. */
static gint64
id_at(const char *p)
{
	gint64 id = 0;
	gsize n = 0;

	for (; g_ascii_isdigit(p[n]) && n <= ID_DIGITS_MAX; n++)
		id = id * 10 + (p[n] - '0');
	return n >= 1 && n <= ID_DIGITS_MAX ? id : 0;
}

/* "Your Request Id is 12." in whatever language writes "Id" as a word. */
static gint64
id_in_words(const char *words)
{
	for (const char *p = words; (p = find(p, "id")) != NULL; p += 2) {
		if ((p > words && g_ascii_isalnum(p[-1])) || g_ascii_isalnum(p[2]))
			continue;
		for (const char *q = p + 2; *q != '\0' && q - p < ID_DISTANCE_MAX; q++)
			if (g_ascii_isdigit(*q) && !g_ascii_isalnum(q[-1]) && id_at(q) > 0)
				return id_at(q);
	}
	return 0;
}

/* The first HRESULT of a failure: 0x8 and seven more digits. */
static guint32
code_in_words(const char *words)
{
	for (const char *p = words; (p = find(p, "0x8")) != NULL; p += 3) {
		guint32 code = 0;
		gsize n = 0;

		for (; n < 8 && g_ascii_isxdigit(p[2 + n]); n++)
			code = code << 4 | (guint32)g_ascii_xdigit_value(p[2 + n]);
		if (n == 8 && !g_ascii_isxdigit(p[10]))
			return code;
	}
	return 0;
}

/* The disposition message, or the words from the start. */
static char *
text_of(const char *words)
{
	const char *from = find(words, "disposition message");
	const char *start = from != NULL ? from : words;
	const char *quote = from != NULL ? strchr(from, '"') : NULL;
	gsize room = MIN(strlen(start), ADCS_TEXT_MAX_BYTES);

	if (quote != NULL && quote - from < 40) {
		const char *end = strchr(quote + 1, '"');
		start = quote + 1;
		room = MIN(end != NULL ? (gsize)(end - start) : strlen(start), ADCS_TEXT_MAX_BYTES);
	}
	char *text = g_strndup(start, room);
	return g_strstrip(text);
}

/* --- what it is --- */

/* A link to a certificate by its request; "CACert" is the CA's own. */
static gint64
id_in_link(const char *html)
{
	for (const char *p = html; (p = find(p, "certnew.cer?ReqID=")) != NULL;) {
		p += strlen("certnew.cer?ReqID=");
		gint64 id = id_at(p);
		if (id > 0)
			return id;
	}
	return 0;
}

static void
judge(struct adcs_page *page, const char *words)
{
	for (gsize i = 0; i < G_N_ELEMENTS(codes); i++) {
		if (page->code != codes[i].code)
			continue;
		page->finding = codes[i].finding;
		page->error_class = codes[i].error_class;
		return;
	}
	if (page->code != 0 || find(words, "denied") != NULL) {
		page->finding = ADCS_DENIED;
		page->error_class = HANDLER_ERROR_INPUT;
	} else if (find(words, "taken under submission") != NULL ||
		   find(words, "certificate pending") != NULL) {
		page->finding = ADCS_PENDING;
	}
}

struct adcs_page *
adcs_page_read(GBytes *html)
{
	struct adcs_page *page = g_new0(struct adcs_page, 1);
	gsize length;
	const char *bytes = g_bytes_get_data(html, &length);
	GString *plain = g_string_new(NULL);

	length = MIN(length, PAGE_MAX_BYTES);
	for (gsize i = 0; i < length; i++)
		if (bytes[i] != '\0')
			g_string_append_c(plain, bytes[i]);
	g_autofree char *words = words_of(plain->str, plain->len);
	page->finding = ADCS_UNKNOWN;
	page->error_class = HANDLER_ERROR_NONE;
	page->text = text_of(words);
	page->id = id_in_link(plain->str);
	if (page->id > 0) {
		page->finding = ADCS_ISSUED;
	} else {
		page->id = id_in_words(words);
		page->code = code_in_words(words);
		judge(page, words);
	}
	g_string_free(plain, TRUE);
	return page;
}

void
adcs_page_free(struct adcs_page *page)
{
	if (page == NULL)
		return;
	g_free(page->text);
	g_free(page);
}

gint
adcs_renewals_read(GBytes *html)
{
	gsize length;
	const char *bytes = g_bytes_get_data(html, &length);
	GString *plain = g_string_new(NULL);
	gint64 number = -1;

	for (gsize i = 0; i < MIN(length, PAGE_MAX_BYTES); i++)
		if (bytes[i] != '\0')
			g_string_append_c(plain, bytes[i]);
	const char *p = find(plain->str, "nRenewals");
	if (p != NULL) {
		p += strlen("nRenewals");
		p += strspn(p, " \t");
		p += *p == '=';
		p += strspn(p, " \t");
		if (g_ascii_isdigit(*p))
			number = *p == '0' && !g_ascii_isdigit(p[1]) ? 0 : id_at(p);
	}
	g_string_free(plain, TRUE);
	return number >= 0 && number <= RENEWALS_MAX ? (gint)number : -1;
}
