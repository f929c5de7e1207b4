/*
 * milter_status - asks the filter of this host for its figures, and keeps the daemon's start time.
 *
 * Bounded in size and time. Failure: TEMPORARY when no filter answers.
 */
#ifndef ADMIN_API_MILTER_STATUS_H
#define ADMIN_API_MILTER_STATUS_H

#include <glib.h>

/* what: "json" or "prometheus". Owned by the caller. */
char *milter_status_ask(const char *run_dir, const char *what,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
void status_daemon_started(void);

#endif
