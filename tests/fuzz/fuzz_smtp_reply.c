/*
 * fuzz_smtp_reply - any bytes as answers of a mail server, in pieces as they come.
 *
 * The first byte says in pieces of how many bytes. What is taken holds the limits and is printable;
 * how it was cut into pieces makes no difference.
 */
#include <stdint.h>
#include <string.h>

#include "pki/net/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All answers of the bytes, in words; ends at the first that is none. */
static char *
read_all(const char *bytes, gsize size, gsize piece)
{
	struct smtp_reply reply = { 0 };
	GString *words = g_string_new(NULL);
	gsize at = 0, seen = MIN(piece, size);

	for (;;) {
		gboolean whole = FALSE;
		gsize used = 0;

		if (!smtp_reply_take(&reply, bytes + at, seen - at, &used, &whole, NULL)) {
			g_string_append(words, "!");
			break;
		}
		if (used == 0 && seen == size)
			break;
		if (used == 0)
			seen = MIN(seen + piece, size);
		if (used > seen - at || (reply.lines != NULL && reply.lines->len > SMTP_LINES_MAX))
			g_error("past a limit");
		at += used;
		if (used > 0 && whole) {
			g_autofree char *text = smtp_reply_text(&reply);

			if (!g_str_is_ascii(text) || strpbrk(text, "\r\n\033") != NULL)
				g_error("not printable");
			g_string_append_printf(words, "%u %s %s\n", reply.code, reply.status, text);
			smtp_reply_clear(&reply);
		}
	}
	smtp_reply_clear(&reply);
	return g_string_free(words, FALSE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	g_autofree char *bytes = g_memdup2(data + 1, size - 1);
	g_autofree char *whole = read_all(bytes, size - 1, size - 1);
	g_autofree char *pieces = read_all(bytes, size - 1, (gsize)data[0] % 16 + 1);

	if (strcmp(whole, pieces) != 0)
		g_error("the pieces make a difference");
	return 0;
}
