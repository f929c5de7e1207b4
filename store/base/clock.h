/*
 * clock - the one clock; an argument, so that tests set it.
 *
 * Times are seconds since the epoch, UTC (gint64), as certificates and the database have them.
 * Threads: any; a test clock is set atomically.
 */
#ifndef STORE_BASE_CLOCK_H
#define STORE_BASE_CLOCK_H

#include <glib.h>

#include "store/base/cleanup.h"

#define CLOCK_NEVER G_MAXINT64

struct clock; /* reads the time; shared, lives as long as the program */

struct clock *clock_system(void);              /* static, not freed */
struct clock *clock_new_fixed(gint64 seconds); /* for tests and --at; clock_free */
void clock_set(struct clock *clock, gint64 seconds);
void clock_free(struct clock *clock);
gint64 clock_now(struct clock *clock);
gint64 clock_monotonic_us(void); /* for measuring and time-outs only */

/* RFC 3339 in UTC ("2026-11-21T19:00:00Z"); owned by the caller. */
char *clock_format(gint64 seconds);
/* Takes RFC 3339 with any offset, or a bare date. FALSE with *error on anything else. */
gboolean clock_parse(const char *text, gint64 *seconds, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(clock, clock_free)

#endif
