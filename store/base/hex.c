#include "store/base/hex.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

/* Lists of a million serial numbers come through here. */
static void
write_digits(char *out, const guint8 *bytes, gsize length)
{
	for (gsize i = 0; i < length; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
}

char *
hex_encode(gconstpointer bytes, gsize length)
{
	char *out = g_malloc(length * 2 + 1);

	write_digits(out, bytes, length);
	out[length * 2] = '\0';
	return out;
}

void
hex_append(GString *out, gconstpointer bytes, gsize length)
{
	gsize before = out->len;

	g_string_set_size(out, before + length * 2);
	write_digits(out->str + before, bytes, length);
}

gboolean
hex_is(const char *text)
{
	return text[strspn(text, digits)] == '\0';
}

gboolean
hex_is_thumbprint(const char *text)
{
	return strlen(text) == THUMBPRINT_DIGITS && hex_is(text);
}
