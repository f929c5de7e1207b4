/*
 * holder - names this process in rows that it holds, so that another on the same host can tell that
 * it is dead, without waiting for a lease to run out.
 *
 * "HOST/PID/BOOT-NAMESPACE-START": a process id says nothing on another host, after a reboot or
 * in another container; there nobody is known to be dead. Threads: any.
 */
#ifndef STORE_BASE_HOLDER_H
#define STORE_BASE_HOLDER_H

#include <glib.h>

const char *holder_name(void); /* static */
/* TRUE: it ran here, and runs no more. FALSE: it runs, or nobody can tell. */
gboolean holder_is_dead(const char *name);
/* Of these the dead ones; owned by the caller. */
GStrv holder_dead_among(const char *const *names);

#endif
