/*
 * heartbeat - keeps the lease of a job while its runner waits for somebody or something.
 *
 * A thread of its own extends the lease; when the program dies the lease runs out in half a
 * minute, however long the work would have taken. Threads: start and stop in the runner's.
 */
#ifndef ADMIN_JOBS_HEARTBEAT_H
#define ADMIN_JOBS_HEARTBEAT_H

#include "admin/jobs/scheduler.h"

struct enroll;
struct heartbeat;

struct heartbeat *heartbeat_start(const struct job_context *context);
void heartbeat_stop(struct heartbeat *heartbeat); /* NULL is fine */
/* FALSE when the program is about to stop or the lease was lost: the runner leaves.
 * Both take the heartbeat as a pointer of any kind, to be given on as a callback with its data. */
gboolean heartbeat_goes_on(gpointer heartbeat);
gboolean heartbeat_is_over(gpointer heartbeat); /* the contrary */
/* gateway_enroll() that leaves when the heartbeat is over; not longer used than that lives. */
struct enroll heartbeat_enroll(const struct job_context *context, struct heartbeat *heartbeat);

DEFINE_CLEANUP(heartbeat, heartbeat_stop)

#endif
