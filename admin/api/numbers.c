/* numbers - see numbers.h. */
#include "admin/api/numbers.h"

#include "store/base/error.h"
#include "store/base/printable.h"

static gboolean
is_among(const GArray *numbers, gint64 number)
{
	for (guint i = 0; i < numbers->len; i++)
		if (g_array_index(numbers, gint64, i) == number)
			return TRUE;
	return FALSE;
}

GArray *
numbers_of(const struct call *call, const char *argument, const char *what, GError **error)
{
	g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(gint64));
	g_auto(GStrv) texts = call_list(call, argument);

	for (char **text = texts; *text != NULL; text++) {
		gint64 number;

		if (!g_ascii_string_to_signed(*text, 10, 1, G_MAXINT64, &number, NULL)) {
			g_autofree char *shown = printable(*text);

			return fail(error, PS_ERROR_INVALID, "'%s' is no number of a %s", shown,
				    what);
		}
		if (!is_among(numbers, number))
			g_array_append_val(numbers, number);
	}
	return g_steal_pointer(&numbers);
}

char *
numbers_text(const char *what, const GArray *numbers)
{
	GString *text = g_string_new(what);

	for (guint i = 0; i < numbers->len; i++)
		g_string_append_printf(text, " %" G_GINT64_FORMAT,
				       g_array_index(numbers, gint64, i));
	return g_string_free(text, FALSE);
}
