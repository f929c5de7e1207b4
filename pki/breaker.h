/*
 * breaker - a circuit breaker: who fails again and again is left alone for a while.
 *
 * After BREAKER_FAILURES failures in a row it opens; when its time is over, one question is let
 * through (half open). That one closes it, or opens it again for twice as long. PURE: no clock;
 * whoever keeps the state keeps it where all nodes see it, and holds a lock between reading and
 * writing it.
 */
#ifndef PKI_BREAKER_H
#define PKI_BREAKER_H

#include <glib.h>

#define BREAKER_FAILURES 5
#define BREAKER_PAUSE_MAX_SECONDS 3600
#define BREAKER_PROBE_SECONDS 10 /* nobody else asks while one tries */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
	gint failures;     /* in a row */
	gint trips;        /* openings in a row */
	gint64 open_until; /* 0: closed */
};

enum breaker_state breaker_state(const struct breaker *breaker, gint64 now);
/* May a question be asked? With HALF_OPEN the caller is the one who tries: the next one is let
 * through only when the probe's time is over. */
gboolean breaker_ask(struct breaker *breaker, gint64 now);
void breaker_worked(struct breaker *breaker);
/* pause_seconds: the first one; doubled each time up to BREAKER_PAUSE_MAX_SECONDS. Questions that
 * were under way when it opened do not open it again. */
void breaker_failed(struct breaker *breaker, gint64 now, gint64 pause_seconds);
/* The same for the one that was let through while it was half open. */
void breaker_probe_failed(struct breaker *breaker, gint64 now, gint64 pause_seconds);

#endif
