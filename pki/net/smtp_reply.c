/*
 * smtp_reply - one line at a time into an answer; see smtp_reply.h.
 */
#include "pki/net/smtp_reply.h"

#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"

/* The length of "5.7.1 " at the start of text, without its blank, when it is of this code's class
 * (RFC 3463 section 2); 0: there is none. */
static gsize
status_length(guint code, const char *text)
{
	gsize length = 1;

	if (text[0] != (char)('0' + code / 100))
		return 0;
	for (guint part = 0; part < 2; part++) {
		gsize digits = 0;

		if (text[length] != '.')
			return 0;
		length++;
		while (digits < 3 && g_ascii_isdigit(text[length + digits]))
			digits++;
		if (digits == 0)
			return 0;
		length += digits;
	}
	return text[length] == ' ' || text[length] == '\0' ? length : 0;
}

static void
take_text(struct smtp_reply *reply, const char *text)
{
	gsize length = status_length(reply->code, text);

	if (reply->lines == NULL)
		reply->lines = g_ptr_array_new_with_free_func(g_free);
	reply->status[0] = '\0';
	if (length > 0 && length < sizeof reply->status) {
		memcpy(reply->status, text, length);
		reply->status[length] = '\0';
		text += length + (text[length] == ' ');
	}
	g_ptr_array_add(reply->lines, printable_ascii(text));
}

gboolean
smtp_reply_take(struct smtp_reply *reply, const char *bytes, gsize length, gsize *used,
		gboolean *whole, GError **error)
{
	const char *end = memchr(bytes, '\n', MIN(length, SMTP_LINE_MAX_BYTES));
	guint code;
	gsize n;

	*used = 0;
	*whole = FALSE;
	if (end == NULL)
		return length < SMTP_LINE_MAX_BYTES ||
		       fail_false(error, PS_ERROR_INVALID,
				  "a line of the mail server's answer is longer than %d bytes",
				  SMTP_LINE_MAX_BYTES);
	n = (gsize)(end - bytes);
	if (n > 0 && bytes[n - 1] == '\r')
		n--;
	if (n < 3 || bytes[0] < '2' || bytes[0] > '5' || !g_ascii_isdigit(bytes[1]) ||
	    !g_ascii_isdigit(bytes[2]) || (n > 3 && bytes[3] != ' ' && bytes[3] != '-'))
		return fail_false(error, PS_ERROR_INVALID,
				  "the mail server's answer is no SMTP reply");
	code = (guint)(100 * (bytes[0] - '0') + 10 * (bytes[1] - '0') + (bytes[2] - '0'));
	if (reply->code != 0 && reply->code != code)
		return fail_false(error, PS_ERROR_INVALID,
				  "the mail server's answer has the codes %u and %u", reply->code,
				  code);
	if (reply->lines != NULL && reply->lines->len >= SMTP_LINES_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "the mail server's answer has more than %d lines",
				  SMTP_LINES_MAX);
	g_autofree char *text = g_strndup(bytes + 4, n > 4 ? n - 4 : 0);
	reply->code = code;
	take_text(reply, text);
	*used = (gsize)(end - bytes) + 1;
	*whole = n == 3 || bytes[3] == ' ';
	return TRUE;
}

void
smtp_reply_clear(struct smtp_reply *reply)
{
	g_clear_pointer(&reply->lines, g_ptr_array_unref);
	reply->code = 0;
	reply->status[0] = '\0';
}

char *
smtp_reply_text(const struct smtp_reply *reply)
{
	GString *text = g_string_new(NULL);

	g_string_printf(text, "%u", reply->code);
	if (reply->status[0] != '\0')
		g_string_append_printf(text, " %s", reply->status);
	for (guint i = 0; reply->lines != NULL && i < reply->lines->len; i++) {
		if (text->len > PRINTABLE_MAX_BYTES)
			break;
		g_string_append_printf(text, "%s%s", i == 0 ? " " : " / ",
				       (const char *)g_ptr_array_index(reply->lines, i));
	}
	return g_string_free(text, FALSE);
}
