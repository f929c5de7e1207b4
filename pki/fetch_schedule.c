/*
 * fetch_schedule - back-off and refreshing.
 */
#include "pki/fetch_schedule.h"

#include "store/base/clock.h"

#define DAY_SECONDS 86400
#define DOUBLINGS_MAX 16

/* Up to a tenth of the time, at most half an hour. */
static gint64
jitter(const char *seed, gint64 seconds)
{
	gint64 most = MIN(seconds / 10, 1800);

	return most > 0 ? (gint64)(g_str_hash(seed) % (guint)most) : 0;
}

static gint64
after_failure(const struct fetch_outcome *outcome)
{
	gint64 pause = FETCH_PAUSE_SECONDS << MIN(outcome->failures - 1, DOUBLINGS_MAX);

	pause = MIN(pause, outcome->interval);
	pause -= jitter(outcome->seed, pause);
	if (outcome->retry_after > pause)
		pause = MIN(outcome->retry_after, DAY_SECONDS);
	return outcome->now + pause;
}

static gint64
after_success(const struct fetch_outcome *outcome)
{
	gint64 pause = outcome->interval;
	gint64 shortest = MIN(FETCH_PAUSE_SECONDS, outcome->interval);

	if (outcome->max_age > 0)
		pause = MIN(pause, outcome->max_age);
	if (outcome->next_update != CLOCK_NEVER && outcome->next_update > outcome->now)
		pause = MIN(pause, outcome->next_update - outcome->now);
	/* Past its nextUpdate: the next one is overdue and may be there any time. */
	else if (outcome->next_update != CLOCK_NEVER)
		pause = shortest;
	pause -= jitter(outcome->seed, pause);
	return outcome->now + MAX(pause, shortest);
}

gint64
fetch_schedule_next(const struct fetch_outcome *outcome)
{
	return outcome->failures > 0 ? after_failure(outcome) : after_success(outcome);
}
