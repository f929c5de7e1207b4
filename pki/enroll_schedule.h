/*
 * enroll_schedule - when a request is tried again. Pure.
 *
 * Within the first tries quickly, 1 s to 5 min, doubling; after these every 15 to 60 minutes. A
 * quarter more or less by chance, so that what failed together does not come back together.
 */
#ifndef PKI_ENROLL_SCHEDULE_H
#define PKI_ENROLL_SCHEDULE_H

#include <glib.h>

/* Seconds; chance: any number. */
gint64 enroll_pause(gint tries, guint32 chance);
/* not_before: what the peer said (it wins, within a day), 0: nothing, CLOCK_NEVER: a person will
 * bring what is waited for. */
gint64 enroll_next_try(gint64 now, gint tries, guint32 chance, gint64 not_before);

#endif
