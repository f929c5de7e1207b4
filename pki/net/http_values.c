/*
 * http_values - small readers without a memory of their own.
 */
#include "pki/net/http_values.h"

#include <string.h>

#define DATE_LENGTH 29
#define PARTS_MAX 32

static const char *const day_names[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

char *
http_etag_read(const char *value)
{
	const char *opaque = g_str_has_prefix(value, "W/") ? value + 2 : value;
	gsize length = strlen(opaque);

	if (length < 2 || strlen(value) > HTTP_ETAG_MAX_BYTES || opaque[0] != '"' ||
	    opaque[length - 1] != '"')
		return NULL;
	for (gsize i = 1; i + 1 < length; i++)
		if (opaque[i] <= ' ' || opaque[i] > '~' || opaque[i] == '"')
			return NULL;
	return g_strdup(value);
}

/* Exactly so many digits. */
static gboolean
digits_read(const char *text, guint count, gint *value)
{
	*value = 0;
	for (guint i = 0; i < count; i++) {
		if (!g_ascii_isdigit(text[i]))
			return FALSE;
		*value = *value * 10 + (text[i] - '0');
	}
	return TRUE;
}

static gint
name_find(const char *const *names, gint count, const char *text)
{
	for (gint i = 0; i < count; i++)
		if (strncmp(names[i], text, 3) == 0)
			return i;
	return -1;
}

gint64
http_date_read(const char *value)
{
	gint day, year, hour, minute, second;

	/* 0: "Sun, " 5: "06 " 8: "Nov " 12: "1994 " 17: "08:49:37" 25: " GMT" */
	if (strlen(value) != DATE_LENGTH || name_find(day_names, 7, value) < 0 || value[3] != ',' ||
	    value[4] != ' ' || value[7] != ' ' || value[11] != ' ' || value[16] != ' ' ||
	    value[19] != ':' || value[22] != ':' || strcmp(value + 25, " GMT") != 0)
		return 0;
	gint month = name_find(month_names, 12, value + 8);
	if (month < 0 || !digits_read(value + 5, 2, &day) || !digits_read(value + 12, 4, &year) ||
	    !digits_read(value + 17, 2, &hour) || !digits_read(value + 20, 2, &minute) ||
	    !digits_read(value + 23, 2, &second))
		return 0;
	g_autoptr(GDateTime) time =
	    g_date_time_new_utc(year, month + 1, day, hour, minute, (gdouble)second);
	return time != NULL ? MAX(g_date_time_to_unix(time), 0) : 0;
}

char *
http_date_write(gint64 seconds)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);

	if (time == NULL)
		return NULL;
	return g_strdup_printf(
	    "%s, %02d %s %04d %02d:%02d:%02d GMT", day_names[g_date_time_get_day_of_week(time) - 1],
	    g_date_time_get_day_of_month(time), month_names[g_date_time_get_month(time) - 1],
	    g_date_time_get_year(time), g_date_time_get_hour(time), g_date_time_get_minute(time),
	    g_date_time_get_second(time));
}

/* Digits alone; a number past the ceiling is the ceiling. */
static gint64
seconds_read(const char *text)
{
	gint64 seconds = 0;

	if (*text == '\0')
		return -1;
	for (const char *p = text; *p != '\0'; p++) {
		if (!g_ascii_isdigit(*p))
			return -1;
		seconds = MIN(seconds * 10 + (*p - '0'), HTTP_AGE_MAX_SECONDS);
	}
	return seconds;
}

gint64
http_max_age_read(const char *value)
{
	g_auto(GStrv) parts = g_strsplit(value, ",", PARTS_MAX);
	gint64 age = -1;

	for (char **part = parts; *part != NULL; part++) {
		const char *directive = g_strstrip(*part);

		if (g_ascii_strcasecmp(directive, "no-cache") == 0 ||
		    g_ascii_strcasecmp(directive, "no-store") == 0)
			return 0;
		if (g_ascii_strncasecmp(directive, "max-age=", 8) == 0 && age < 0)
			age = seconds_read(directive + 8);
	}
	return age;
}

gint64
http_retry_after_read(const char *value, const char *date_or_null)
{
	gint64 seconds = seconds_read(value);
	gint64 until = seconds < 0 ? http_date_read(value) : 0;
	gint64 from = date_or_null != NULL ? http_date_read(date_or_null) : 0;

	if (seconds >= 0)
		return seconds;
	if (until == 0 || from == 0)
		return -1;
	return CLAMP(until - from, 0, HTTP_AGE_MAX_SECONDS);
}
