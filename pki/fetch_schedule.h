/*
 * fetch_schedule - when a URL is fetched next. Pure.
 *
 * What worked is asked for again after the interval, or a little before the list's nextUpdate, or
 * when the server says that it goes stale, but not within 15 minutes; what failed after 15
 * minutes, then twice as long each time, at most after the interval. A server's Retry-After
 * makes that later, at most by a day. The jitter spreads sites and URLs: it comes from `seed`,
 * the same for the same text. Threads: any.
 */
#ifndef PKI_FETCH_SCHEDULE_H
#define PKI_FETCH_SCHEDULE_H

#include <glib.h>

#define FETCH_PAUSE_SECONDS (15 * 60)

struct fetch_outcome {
	gint64 now;
	gint64 interval;    /* setting crl_update_interval */
	const char *seed;   /* URL and site */
	gint64 next_update; /* of what is there now; CLOCK_NEVER: does not say */
	gint64 max_age;     /* -1: not said */
	gint failures;      /* in a row; 0: it worked */
	gint64 retry_after; /* -1: not said */
};

gint64 fetch_schedule_next(const struct fetch_outcome *outcome);

#endif
