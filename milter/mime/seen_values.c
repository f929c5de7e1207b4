/*
 * seen_values - one set of keys: how a value is written, and how it reads.
 */
#include "milter/mime/seen_values.h"

#include <string.h>

#include "milter/message/headers.h"
#include "milter/mime/subject.h"

struct seen_values {
	GHashTable *keys; /* "w", "e" or "p", name, LF, text */
};

struct seen_values *
seen_values_new(void)
{
	struct seen_values *seen = g_new0(struct seen_values, 1);

	seen->keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return seen;
}

void
seen_values_free(struct seen_values *seen)
{
	if (seen == NULL)
		return;
	g_hash_table_unref(seen->keys);
	g_free(seen);
}

static char *
key_of(char kind, const char *name, const char *text)
{
	g_autofree char *lower = g_ascii_strdown(name, -1);

	return g_strdup_printf("%c%s\n%s", kind, lower, text);
}

static gboolean
has(const struct seen_values *seen, char kind, const char *name, const char *text)
{
	g_autofree char *key = key_of(kind, name, text);

	return g_hash_table_contains(seen->keys, key);
}

void
seen_values_add(struct seen_values *seen, const char *name, gsize name_length,
		const char *raw_value)
{
	g_autofree char *own_name = g_strndup(name, name_length);
	g_autofree char *written = header_unfolded(raw_value);
	g_autofree char *text = subject_decode(raw_value);
	gboolean encoded = strstr(written, "=?") != NULL;

	g_hash_table_add(seen->keys, key_of('w', own_name, written));
	g_hash_table_add(seen->keys, key_of(encoded ? 'e' : 'p', own_name, text));
}

gboolean
seen_values_has(const struct seen_values *seen, const char *name, const char *raw_value)
{
	g_autofree char *written = header_unfolded(raw_value);
	g_autofree char *text = NULL;

	if (has(seen, 'w', name, written))
		return TRUE;
	text = subject_decode(raw_value);
	return has(seen, 'e', name, text) ||
	       (strstr(written, "=?") != NULL && has(seen, 'p', name, text));
}
