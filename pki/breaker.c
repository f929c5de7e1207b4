/* breaker - see breaker.h. */
#include "pki/breaker.h"

enum breaker_state
breaker_state(const struct breaker *breaker, gint64 now)
{
	if (breaker->open_until == 0)
		return BREAKER_CLOSED;
	return now < breaker->open_until ? BREAKER_OPEN : BREAKER_HALF_OPEN;
}

gboolean
breaker_ask(struct breaker *breaker, gint64 now)
{
	switch (breaker_state(breaker, now)) {
	case BREAKER_CLOSED:
		return TRUE;
	case BREAKER_HALF_OPEN:
		breaker->open_until = now + BREAKER_PROBE_SECONDS;
		return TRUE;
	case BREAKER_OPEN:
		break;
	}
	return FALSE;
}

void
breaker_worked(struct breaker *breaker)
{
	*breaker = (struct breaker){ 0, 0, 0 };
}

static void
open_for(struct breaker *breaker, gint64 now, gint64 seconds)
{
	if (breaker->trips < G_MAXINT)
		breaker->trips++;
	for (gint i = 1; i < breaker->trips && seconds < BREAKER_PAUSE_MAX_SECONDS; i++)
		seconds *= 2;
	breaker->open_until = now + MIN(seconds, BREAKER_PAUSE_MAX_SECONDS);
}

void
breaker_failed(struct breaker *breaker, gint64 now, gint64 pause_seconds)
{
	if (breaker->failures < G_MAXINT)
		breaker->failures++;
	if (breaker->open_until == 0 && breaker->failures >= BREAKER_FAILURES)
		open_for(breaker, now, pause_seconds);
}

void
breaker_probe_failed(struct breaker *breaker, gint64 now, gint64 pause_seconds)
{
	if (breaker->failures < G_MAXINT)
		breaker->failures++;
	open_for(breaker, now, pause_seconds);
}
