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

char *
hex_from_spelling(const char *text)
{
	g_autofree char *plain = g_strstrip(g_ascii_strdown(text, -1));
	g_autoptr(GString) out = g_string_new(NULL);

	for (const char *p = g_str_has_prefix(plain, "0x") ? plain + 2 : plain; *p != '\0'; p++) {
		if (g_ascii_isxdigit(*p))
			g_string_append_c(out, *p);
		else if (strchr(": -", *p) == NULL)
			return NULL;
	}
	return out->len > 0 ? g_strdup(out->str) : NULL;
}
