/*
 * output_cell - single values as text.
 */
#include "admin/cli/output_cell.h"

#include <string.h>

#include "admin/api/json_memory.h"

static const struct {
	const char *word;
	const char *colour;
} coloured_words[] = {
	{ "valid", "32" },
	{ "good", "32" },
	{ "ok", "32" },
	{ "new", "32" },
	{ "done", "32" },
	{ "issued", "32" },
	{ "invalid", "31" },
	{ "revoked", "31" },
	{ "bad", "31" },
	{ "failed", "31" },
	{ "rejected", "31" },
	{ "deny", "31" },
	{ "unknown", "33" },
	{ "untrusted", "33" },
	{ "warning", "33" },
	{ "pending", "33" },
	{ "partial", "33" },
	{ "mismatch", "33" },
	{ "allow", "33" },
	{ "allow also expired", "33" },
	{ "denied through ", "31" },
};

static char *
array_text(const json_t *array)
{
	GString *out = g_string_new(NULL);

	for (gsize i = 0; i < json_array_size(array); i++) {
		g_autofree char *item = output_cell_text(json_array_get(array, i));

		g_string_append_printf(out, "%s%s", i > 0 ? ", " : "", item);
	}
	return g_string_free(out, FALSE);
}

char *
output_cell_text(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return g_strdup(json_string_value(value));
	case JSON_INTEGER:
		return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_REAL:
		return g_strdup_printf("%.3f", json_real_value(value));
	case JSON_TRUE:
		return g_strdup("yes");
	case JSON_FALSE:
		return g_strdup("no");
	case JSON_ARRAY:
		return array_text(value);
	case JSON_NULL:
		return g_strdup("");
	case JSON_OBJECT:
		break;
	}
	if (json_object_size(value) == 0)
		return g_strdup("none");
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	char *copy = g_strdup(text);

	json_memory_free(text);
	return copy;
}

/* One that ends in a blank goes on with a name. */
static gboolean
is_word(const char *word, const char *text)
{
	return g_str_has_suffix(word, " ") ? g_str_has_prefix(text, word) : strcmp(word, text) == 0;
}

void
output_cell_coloured(GString *out, const char *text, enum output_colour colour)
{
	if (colour == OUTPUT_COLOURED) {
		for (gsize i = 0; i < G_N_ELEMENTS(coloured_words); i++) {
			if (is_word(coloured_words[i].word, text)) {
				g_string_append_printf(out, "\033[%sm%s\033[0m",
						       coloured_words[i].colour, text);
				return;
			}
		}
	}
	g_string_append(out, text);
}

void
output_cell_blanks(GString *out, gsize count)
{
	for (gsize i = 0; i < count; i++)
		g_string_append_c(out, ' ');
}

gsize
output_cell_width(const char *text)
{
	gsize width = 0;

	for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		width += g_unichar_iswide(c) ? 2 : g_unichar_iszerowidth(c) ? 0 : 1;
	}
	return width;
}
