/* compose - see compose.h. */
#include "milter/mime/compose.h"

#include <string.h>

#include "store/base/hex.h"
#include "store/base/secret.h"

#define COLUMN_MAX 77
#define TEXT_COLUMN_MAX 76
#define HOST_MAX_BYTES 255

char *
compose_date(gint64 seconds)
{
	static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);

	if (time == NULL)
		time = g_date_time_new_from_unix_utc(0);
	return g_strdup_printf(
	    "%s, %d %s %d %02d:%02d:%02d +0000", days[g_date_time_get_day_of_week(time) - 1],
	    g_date_time_get_day_of_month(time), months[g_date_time_get_month(time) - 1],
	    g_date_time_get_year(time), g_date_time_get_hour(time), g_date_time_get_minute(time),
	    g_date_time_get_second(time));
}

static char *
random_hex(gsize bytes, GError **error)
{
	CLEANUP(secret) struct secret *secret = secret_new_random(bytes, error);

	return secret != NULL ? hex_encode(secret_bytes(secret), bytes) : NULL;
}

char *
compose_message_id(const char *host, gint64 seconds, GError **error)
{
	g_autofree char *random = random_hex(12, error);
	g_autofree char *domain = compose_host(host);

	if (random == NULL)
		return NULL;
	return g_strdup_printf("<%" G_GINT64_FORMAT ".%s@%s>", seconds, random, domain);
}

char *
compose_boundary(GError **error)
{
	g_autofree char *random = random_hex(16, error);

	return random != NULL ? g_strdup_printf("=_%s", random) : NULL;
}

/* Words of text, each behind a blank or, where the line is full, behind `fold`. A word that is
 * longer than a line stays whole. */
static void
append_words(GString *out, const char *text, gsize column, gsize column_max, const char *fold)
{
	gboolean first = TRUE;

	while (*text != '\0') {
		gsize length = strcspn(text, " ");

		if (length > 0) {
			if (!first && column + 1 + length > column_max) {
				g_string_append(out, fold);
				column = strlen(fold) - (gsize)(strrchr(fold, '\n') + 1 - fold);
			} else if (!first) {
				g_string_append_c(out, ' ');
				column++;
			}
			g_string_append_len(out, text, (gssize)length);
			column += length;
			first = FALSE;
		}
		text += length + (text[length] == ' ');
	}
}

char *
compose_value(const char *name, const char *value)
{
	GString *out = g_string_new(" ");

	append_words(out, value, strlen(name) + 2, COLUMN_MAX, "\n ");
	return g_string_free(out, FALSE);
}

void
compose_field(GString *out, const char *name, const char *value)
{
	g_string_append_printf(out, "%s: ", name);
	append_words(out, value, strlen(name) + 2, COLUMN_MAX, "\r\n ");
	g_string_append(out, "\r\n");
}

void
compose_text(GString *out, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (guint i = 0; lines[i] != NULL; i++) {
		if (lines[i + 1] == NULL && *lines[i] == '\0')
			break; /* text ended with a line end */
		append_words(out, lines[i], 0, TEXT_COLUMN_MAX, "\r\n");
		g_string_append(out, "\r\n");
	}
}

char *
compose_host(const char *name)
{
	char *host = g_strndup(name != NULL ? name : "", HOST_MAX_BYTES);

	for (char *c = host; *c != '\0'; c++)
		if (!g_ascii_isalnum(*c) && strchr(".-_", *c) == NULL)
			*c = '-';
	if (*host == '\0') {
		g_free(host);
		return g_strdup("localhost");
	}
	return host;
}
