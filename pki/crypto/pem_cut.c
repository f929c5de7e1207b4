/*
 * pem_cut - RFC 7468 in its strict form: markers at the start of lines, base64 between them.
 */
#include "pki/crypto/pem_cut.h"

#include <string.h>

#define BEGIN "-----BEGIN "
#define END "-----END "
#define DASHES "-----"

static const char *
find(const char *p, const char *end, const char *text)
{
	return p < end ? memmem(p, (gsize)(end - p), text, strlen(text)) : NULL;
}

/* The marker at the start of a line, from here on. */
static const char *
find_marker(const char *p, const char *start, const char *end, const char *marker)
{
	while ((p = find(p, end, marker)) != NULL) {
		if (p == start || p[-1] == '\n')
			return p;
		p++;
	}
	return NULL;
}

/* Behind the line, which must have nothing more in it; NULL otherwise. */
static const char *
line_end(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	if (p == end)
		return p;
	return *p == '\n' ? p + 1 : NULL;
}

/* "-----END label-----" at p: behind its line; NULL when it is another. */
static const char *
end_line(const char *p, const char *end, const struct pem_block *block)
{
	gsize length = strlen(END) + block->label_length + strlen(DASHES);

	if ((gsize)(end - p) < length ||
	    memcmp(p + strlen(END), block->label, block->label_length) != 0 ||
	    memcmp(p + length - strlen(DASHES), DASHES, strlen(DASHES)) != 0)
		return NULL;
	return line_end(p + length, end);
}

gboolean
pem_cut_next(const char **p, const char *end, struct pem_block *block)
{
	const char *begin = find_marker(*p, *p, end, BEGIN);

	memset(block, 0, sizeof *block);
	if (begin == NULL)
		return FALSE;
	block->start = begin;
	block->label = begin + strlen(BEGIN);
	const char *dashes = find(block->label, MIN(end, block->label + 80), DASHES);
	const char *body = dashes != NULL ? line_end(dashes + strlen(DASHES), end) : NULL;
	if (body == NULL) {
		*p = block->label;
		block->length = strlen(BEGIN);
		return TRUE;
	}
	block->label_length = (gsize)(dashes - block->label);
	/* The next dashes of any kind end it, or show that it has no end. */
	const char *stop = find_marker(body, body, end, DASHES);
	const char *behind = stop != NULL ? end_line(stop, end, block) : NULL;
	*p = behind != NULL ? behind : body;
	block->length = (gsize)(*p - begin);
	if (behind != NULL) {
		block->body = body;
		block->body_length = (gsize)(stop - body);
	}
	return TRUE;
}

gboolean
pem_cut_is(const struct pem_block *block, const char *label)
{
	return block->label_length == strlen(label) &&
	       memcmp(block->label, label, block->label_length) == 0;
}

/* Of a character: its six bits, or one of these. */
#define SKIP 64
#define PADDING 65
#define FOREIGN 66

static guint8
value_of(guint8 c)
{
	if (c >= 'A' && c <= 'Z')
		return (guint8)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (guint8)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (guint8)(c - '0' + 52);
	switch (c) {
	case '+':
		return 62;
	case '/':
		return 63;
	case '=':
		return PADDING;
	case '\r':
	case '\n':
		return SKIP;
	default:
		return FOREIGN;
	}
}

static const guint8 *
values(void)
{
	static guint8 table[256];
	static gsize once;

	if (g_once_init_enter(&once)) {
		for (guint c = 0; c < 256; c++)
			table[c] = value_of((guint8)c);
		g_once_init_leave(&once, 1);
	}
	return table;
}

GBytes *
pem_cut_decode(const struct pem_block *block)
{
	const guint8 *table = values();
	guint8 *out = g_malloc(block->body_length / 4 * 3 + 3);
	gsize length = 0;
	guint32 group = 0;
	guint size = 0, padding = 0;

	for (gsize i = 0; i < block->body_length; i++) {
		guint8 value = table[(guint8)block->body[i]];

		if (value == SKIP)
			continue;
		if (value == PADDING)
			padding++;
		if (value == FOREIGN || padding > 2 || (padding > 0 && value != PADDING)) {
			g_free(out);
			return NULL;
		}
		group = group << 6 | (value & 63);
		if (value == PADDING)
			group &= ~(guint32)63;
		if (++size < 4)
			continue;
		out[length++] = (guint8)(group >> 16);
		out[length++] = (guint8)(group >> 8);
		out[length++] = (guint8)group;
		size = 0;
		group = 0;
	}
	if (size != 0 || length == 0) {
		g_free(out);
		return NULL;
	}
	return g_bytes_new_take(out, length - padding);
}

gsize
pem_cut_whole(const char *text, gsize length)
{
	const char *end = text + length;

	for (gsize back = length; back > 0; back--) {
		const char *p = memrchr(text, '-', back);

		if (p == NULL)
			return 0;
		back = (gsize)(p - text) + 1;
		/* The last marker with its line: the block ends behind it. */
		const char *line = memrchr(text, '\n', back);
		line = line != NULL ? line + 1 : text;
		const char *behind = memchr(p, '\n', (gsize)(end - p));
		if (behind != NULL && g_str_has_prefix(line, END))
			return (gsize)(behind + 1 - text);
		back = (gsize)(line - text) + 1;
	}
	return 0;
}
