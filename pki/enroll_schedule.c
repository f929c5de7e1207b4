/*
 * enroll_schedule - pauses between tries.
 */
#include "pki/enroll_schedule.h"

#include "store/base/clock.h"

#define WINDOW_TRIES 10 /* about ten minutes in all */
#define WINDOW_PAUSE_MAX 300
#define LATE_PAUSE_MIN 900
#define LATE_PAUSE_MAX 3600
#define PAUSE_MAX 86400
/* A peer that always wants to be asked at once is not believed for ever. */
#define EAGER_TRIES 60
#define EAGER_PAUSE 60

static gint64
doubled(gint64 first, gint times, gint64 most)
{
	for (; times > 0 && first < most; times--)
		first *= 2;
	return MIN(first, most);
}

gint64
enroll_pause(gint tries, guint32 chance)
{
	gboolean late = tries > WINDOW_TRIES;
	gint64 pause = late ? doubled(LATE_PAUSE_MIN, tries - WINDOW_TRIES - 1, LATE_PAUSE_MAX)
			    : doubled(1, tries - 1, WINDOW_PAUSE_MAX);

	pause = pause - pause / 4 + (gint64)chance % (pause / 2 + 1);
	return late ? CLAMP(pause, LATE_PAUSE_MIN, LATE_PAUSE_MAX)
		    : CLAMP(pause, 1, WINDOW_PAUSE_MAX);
}

gint64
enroll_next_try(gint64 now, gint tries, guint32 chance, gint64 not_before)
{
	if (not_before == CLOCK_NEVER)
		return CLOCK_NEVER;
	if (not_before == 0)
		return now + enroll_pause(tries, chance);
	gint64 least = tries > EAGER_TRIES ? EAGER_PAUSE : 1;
	return CLAMP(not_before, now + least, now + PAUSE_MAX);
}
