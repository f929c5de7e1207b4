/*
 * clock - system time, or a time that a test has set.
 */
#include "store/base/clock.h"

#include <time.h>

#include "store/base/error.h"

struct clock {
	gboolean fixed;
	gint64 seconds; /* when fixed; atomic */
};

static struct clock system_clock;

struct clock *
clock_system(void)
{
	return &system_clock;
}

struct clock *
clock_new_fixed(gint64 seconds)
{
	struct clock *clock = g_new0(struct clock, 1);

	clock->fixed = TRUE;
	clock->seconds = seconds;
	return clock;
}

void
clock_set(struct clock *clock, gint64 seconds)
{
	__atomic_store_n(&clock->seconds, seconds, __ATOMIC_SEQ_CST);
}

void
clock_free(struct clock *clock)
{
	if (clock != NULL && clock->fixed)
		g_free(clock);
}

gint64
clock_now(struct clock *clock)
{
	if (clock->fixed)
		return __atomic_load_n(&clock->seconds, __ATOMIC_SEQ_CST);
	return (gint64)time(NULL);
}

gint64
clock_monotonic_us(void)
{
	return g_get_monotonic_time();
}

char *
clock_format(gint64 seconds)
{
	g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(seconds);

	if (when == NULL)
		return g_strdup("never");
	return g_date_time_format(when, "%Y-%m-%dT%H:%M:%SZ");
}

gboolean
clock_parse(const char *text, gint64 *seconds, GError **error)
{
	g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
	g_autofree char *with_time =
	    strchr(text, 'T') == NULL ? g_strconcat(text, "T00:00:00Z", NULL) : g_strdup(text);
	g_autoptr(GDateTime) when = g_date_time_new_from_iso8601(with_time, utc);

	if (when == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "'%s' is not a time: write it as 2026-11-21T19:00:00Z", text);
	*seconds = g_date_time_to_unix(when);
	return TRUE;
}
