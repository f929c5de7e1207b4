/*
 * gadget - every byte of the content belongs to a header block, a leaf or the frame of a
 * multipart, and each of these has a rule.
 */
#include "milter/mime/gadget.h"

#include <errno.h>
#include <string.h>

#include "milter/mime/scan.h"
#include "store/base/error.h"

#define CHARSET_MAX_BYTES 40
#define CARRY_MAX_BYTES 16 /* the longest incomplete sequence of a charset */
#define PIECE_BYTES 4096
#define ESCAPE 0x1b

enum rule {
	RULE_SEVEN_BIT,        /* no control characters but TAB, CR, LF */
	RULE_SEVEN_BIT_ESCAPE, /* and ESC: the charsets of ISO 2022 */
	RULE_BASE64,           /* its alphabet and white space */
	RULE_EIGHT_BIT_TEXT,   /* no control characters either; the charset is looked at beside */
	RULE_EIGHT_BIT,        /* no NUL */
};
#define N_RULES 5

struct check {
	const struct mime_tree *tree;
	const char *wrong;
	GError **error;
	gboolean failed;
};

static gboolean
is_control(guint8 c)
{
	return (c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;
}

static gboolean
octet_fits(enum rule rule, guint8 c)
{
	switch (rule) {
	case RULE_SEVEN_BIT:
		return c < 0x80 && !is_control(c);
	case RULE_SEVEN_BIT_ESCAPE:
		return c < 0x80 && (!is_control(c) || c == ESCAPE);
	case RULE_BASE64:
		return g_ascii_isalnum((gchar)c) || (c != '\0' && strchr("+/= \t\r\n", c) != NULL);
	case RULE_EIGHT_BIT_TEXT:
		return !is_control(c);
	case RULE_EIGHT_BIT:
		return c != '\0';
	}
	return FALSE;
}

/* By octet: a bit for each rule that it fits. */
static const guint8 *
octet_rules(void)
{
	static guint8 rules[256];
	static gsize ready;

	if (g_once_init_enter(&ready)) {
		for (guint octet = 0; octet < 256; octet++)
			for (int rule = 0; rule < N_RULES; rule++)
				if (octet_fits((enum rule)rule, (guint8)octet))
					rules[octet] |= (guint8)(1 << rule);
		g_once_init_leave(&ready, 1);
	}
	return rules;
}

/* FALSE: something is wrong, or could not be read. */
static gboolean
check_octets(struct check *check, guint64 start, guint64 end, enum rule rule, const char *wrong)
{
	CLEANUP(spool_reader) struct spool_reader *reader = NULL;
	const guint8 *rules = octet_rules();
	const guint8 *bytes;
	gssize length;

	if (start >= end)
		return TRUE;
	reader = spool_reader_new(check->tree->spool, start, end);
	while ((length = spool_reader_next(reader, &bytes, check->error)) > 0) {
		for (gssize i = 0; i < length; i++) {
			if ((rules[bytes[i]] & (1 << rule)) != 0)
				continue;
			check->wrong = wrong;
			return FALSE;
		}
	}
	check->failed = length < 0;
	return !check->failed;
}

/* --- charsets --- */

static GIConv
charset_open(const char *charset)
{
	gsize length = strlen(charset);

	if (length == 0 || length > CHARSET_MAX_BYTES ||
	    strspn(charset, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:") !=
		length)
		return (GIConv)-1;
	return g_iconv_open("UTF-8", charset);
}

/* U+0080 to U+009F are control characters, too. */
static gboolean
has_controls(const char *utf8, gsize length)
{
	for (gsize i = 0; i + 1 < length; i++)
		if ((guint8)utf8[i] == 0xc2 && (guint8)utf8[i + 1] < 0xa0)
			return TRUE;
	return FALSE;
}

/* Takes as much as is complete; the rest stays at the front of the buffer. */
static gboolean
charset_take(GIConv converter, char *buffer, gsize *held)
{
	char out[PIECE_BYTES];
	char *in = buffer;

	while (*held > 0) {
		char *to = out;
		gsize room = sizeof out;
		int problem = g_iconv(converter, &in, held, &to, &room) == (gsize)-1 ? errno : 0;

		if ((problem != 0 && problem != EINVAL && problem != E2BIG) ||
		    has_controls(out, sizeof out - room))
			return FALSE;
		if (problem != E2BIG)
			break;
	}
	memmove(buffer, in, *held);
	return *held <= CARRY_MAX_BYTES;
}

static gboolean
range_in_charset(struct check *check, guint64 start, guint64 end, GIConv converter)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(check->tree->spool, start, end);
	char buffer[PIECE_BYTES + CARRY_MAX_BYTES];
	const guint8 *bytes;
	gsize held = 0;
	gssize length;

	while ((length = spool_reader_next(reader, &bytes, check->error)) > 0) {
		while (length > 0) {
			gsize n = MIN((gsize)length, PIECE_BYTES);

			memcpy(buffer + held, bytes, n);
			held += n;
			bytes += n;
			length -= (gssize)n;
			if (!charset_take(converter, buffer, &held))
				return FALSE;
		}
	}
	check->failed = length < 0;
	return !check->failed && held == 0;
}

static const char *
charset_of(const struct part *part)
{
	const char *charset = part_parameter(part, "charset");

	/* Of ASCII nothing would be 8-bit; UTF-8 holds it. */
	if (charset == NULL || g_ascii_strcasecmp(charset, "us-ascii") == 0)
		return "UTF-8";
	return charset;
}

static gboolean
check_charset(struct check *check, const struct part *part)
{
	GIConv converter = charset_open(charset_of(part));
	gboolean valid = FALSE;

	if (converter != (GIConv)-1) {
		valid = range_in_charset(check, part->body_start, part->end, converter);
		g_iconv_close(converter);
	}
	if (!valid && !check->failed)
		check->wrong = "text that is not valid in its charset";
	return valid;
}

/* --- parts --- */

/* What a mail program may show or run as text, whatever its top type. */
static gboolean
is_text(const struct part *part)
{
	static const char *const types[] = { "text/*", "message/*", "multipart/*" };
	static const char *const words[] = { "xml", "html", "script", "json", "pkcs7", "rtf" };

	for (gsize i = 0; i < G_N_ELEMENTS(types); i++)
		if (part_is(part, types[i]))
			return TRUE;
	for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
		if (strstr(part->type, words[i]) != NULL)
			return TRUE;
	return part->broken_type;
}

static gboolean
uses_escapes(const struct part *part)
{
	const char *charset = part_parameter(part, "charset");

	return is_text(part) && charset != NULL &&
	       g_ascii_strncasecmp(charset, "iso-2022-", strlen("iso-2022-")) == 0;
}

static gboolean
check_leaf(struct check *check, const struct part *part)
{
	const char *encoding = part->encoding;
	guint64 start = part->body_start, end = part->end;

	if (strcmp(encoding, "base64") == 0)
		return check_octets(check, start, end, RULE_BASE64,
				    "base64 with characters of another alphabet");
	if (strcmp(encoding, "quoted-printable") == 0)
		return check_octets(check, start, end, RULE_SEVEN_BIT,
				    "quoted-printable that is not printable");
	if (strcmp(encoding, "7bit") == 0 && uses_escapes(part))
		return check_octets(check, start, end, RULE_SEVEN_BIT_ESCAPE,
				    "7bit text with other octets") &&
		       check_charset(check, part);
	if (strcmp(encoding, "7bit") == 0)
		return check_octets(check, start, end, RULE_SEVEN_BIT,
				    "7bit text with other octets");
	if (strcmp(encoding, "8bit") == 0 && is_text(part))
		return check_octets(check, start, end, RULE_EIGHT_BIT_TEXT,
				    "8bit text with control characters") &&
		       check_charset(check, part);
	if (strcmp(encoding, "8bit") == 0)
		return check_octets(check, start, end, RULE_EIGHT_BIT, "8bit data with NUL");
	if (strcmp(encoding, "binary") == 0 && !is_text(part))
		return TRUE;
	check->wrong = strcmp(encoding, "binary") == 0 ? "binary text"
						       : "a transfer encoding that is not known";
	return FALSE;
}

static gboolean
check_frame(struct check *check, guint64 start, guint64 end)
{
	return check_octets(check, start, end, RULE_SEVEN_BIT,
			    "header lines or text between parts with other octets");
}

static gboolean
check_part(struct check *check, const struct part *part)
{
	guint64 at = part->body_start;

	if (part->children == NULL || part->children->len == 0)
		return check_leaf(check, part);
	for (guint i = 0; i < part->children->len; i++) {
		const struct part *child = part->children->pdata[i];

		if (!check_frame(check, at, child->body_start) || !check_part(check, child))
			return FALSE;
		at = child->end;
	}
	return check_frame(check, at, part->end);
}

const char *
gadget_find(const struct entity *entity, GError **error)
{
	CLEANUP(mime_tree)
	struct mime_tree *tree =
	    scan_message(entity->headers, entity->spool, entity->body_start, entity->end, error);
	struct check check = { .tree = tree, .error = error };

	if (tree == NULL || !scan_cross_check(tree, error))
		return NULL;
	if (tree->malformed != NULL)
		return "a structure that cannot be told";
	if (check_frame(&check, entity->start, entity->body_start))
		check_part(&check, tree->root);
	return check.wrong;
}
