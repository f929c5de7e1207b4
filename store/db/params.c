/*
 * params - parameters of a statement, in the shape that libpq takes them.
 *
 * All but bytes go as text, whose type the server infers from the statement.
 */
#include "store/base/hex.h"
#include "store/db/query.h"

#include <string.h>

#include "store/db/internal.h"

#define BYTEA_OID 17
#define FORMAT_TEXT 0
#define FORMAT_BINARY 1

struct params {
	GArray *types;     /* Oid; 0: inferred */
	GPtrArray *values; /* owned; NULL for SQL NULL */
	GArray *lengths;   /* int; of binary values */
	GArray *formats;   /* int */
	gboolean plan_anew;
};

struct params *
params_new(void)
{
	struct params *params = g_new0(struct params, 1);

	params->types = g_array_new(FALSE, FALSE, sizeof(Oid));
	params->values = g_ptr_array_new_with_free_func(g_free);
	params->lengths = g_array_new(FALSE, FALSE, sizeof(int));
	params->formats = g_array_new(FALSE, FALSE, sizeof(int));
	return params;
}

void
params_free(struct params *params)
{
	if (params == NULL)
		return;
	g_array_free(params->types, TRUE);
	g_ptr_array_free(params->values, TRUE);
	g_array_free(params->lengths, TRUE);
	g_array_free(params->formats, TRUE);
	g_free(params);
}

static void
add(struct params *params, Oid type, char *taken, gsize length, int format)
{
	int size = (int)length;

	g_array_append_val(params->types, type);
	g_ptr_array_add(params->values, taken);
	g_array_append_val(params->lengths, size);
	g_array_append_val(params->formats, format);
}

static void
add_text(struct params *params, char *taken)
{
	add(params, 0, taken, 0, FORMAT_TEXT);
}

void
params_text(struct params *params, const char *or_null)
{
	add_text(params, g_strdup(or_null));
}

void
params_int(struct params *params, gint64 value)
{
	add_text(params, g_strdup_printf("%" G_GINT64_FORMAT, value));
}

void
params_null(struct params *params)
{
	add_text(params, NULL);
}

void
params_bool(struct params *params, gboolean value)
{
	add_text(params, g_strdup(value ? "t" : "f"));
}

void
params_time(struct params *params, gint64 seconds)
{
	add_text(params, seconds == CLOCK_NEVER ? NULL : clock_format(seconds));
}

void
params_bytes(struct params *params, GBytes *or_null)
{
	gsize length = 0;
	gconstpointer bytes = or_null != NULL ? g_bytes_get_data(or_null, &length) : NULL;
	/* Never NULL for no bytes at all: that would be SQL NULL. */
	char *copy = or_null != NULL ? g_malloc(length + 1) : NULL;

	g_assert(length <= G_MAXINT32);
	if (length > 0)
		memcpy(copy, bytes, length);
	add(params, BYTEA_OID, copy, length, FORMAT_BINARY);
}

/* PostgreSQL's array literal: every element quoted, so that "NULL" and "" are themselves. */
void
params_text_array(struct params *params, const char *const *values, gsize count)
{
	GString *literal = g_string_new("{");

	for (gsize i = 0; i < count; i++) {
		if (i > 0)
			g_string_append_c(literal, ',');
		if (values[i] == NULL) {
			g_string_append(literal, "NULL");
			continue;
		}
		g_string_append_c(literal, '"');
		for (const char *p = values[i]; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				g_string_append_c(literal, '\\');
			g_string_append_c(literal, *p);
		}
		g_string_append_c(literal, '"');
	}
	g_string_append_c(literal, '}');
	add_text(params, g_string_free(literal, FALSE));
}

void
params_int_array(struct params *params, const gint64 *values, gsize count)
{
	GString *literal = g_string_new("{");

	for (gsize i = 0; i < count; i++)
		g_string_append_printf(literal, "%s%" G_GINT64_FORMAT, i > 0 ? "," : "", values[i]);
	g_string_append_c(literal, '}');
	add_text(params, g_string_free(literal, FALSE));
}

void
params_bytes_array(struct params *params, GBytes *const *values, gsize count)
{
	GString *literal = g_string_new("{");

	for (gsize i = 0; i < count; i++) {
		gsize length = 0;
		const guint8 *bytes;

		if (i > 0)
			g_string_append_c(literal, ',');
		if (values[i] == NULL) {
			g_string_append(literal, "NULL");
			continue;
		}
		bytes = g_bytes_get_data(values[i], &length);
		g_string_append(literal, "\"\\\\x");
		hex_append(literal, bytes, length);
		g_string_append_c(literal, '"');
	}
	g_string_append_c(literal, '}');
	add_text(params, g_string_free(literal, FALSE));
}

void
params_plan_anew(struct params *params)
{
	params->plan_anew = TRUE;
}

void
params_view(const struct params *params, struct params_view *view)
{
	memset(view, 0, sizeof(*view));
	if (params == NULL)
		return;
	view->count = (int)params->values->len;
	view->types = (const Oid *)(gpointer)params->types->data;
	view->values = (const char *const *)(gpointer)params->values->pdata;
	view->lengths = (const int *)(gpointer)params->lengths->data;
	view->formats = (const int *)(gpointer)params->formats->data;
	view->plan_anew = params->plan_anew;
}
