/*
 * idle - may work be done ahead of its time?
 */
#ifndef ADMIN_JOBS_IDLE_H
#define ADMIN_JOBS_IDLE_H

#include "admin/jobs/scheduler.h"

/* The machine is idle as key_pool_busy_max says, and no batch runs; looks for a moment. */
gboolean idle_now(const struct job_context *context, gboolean *idle,
		  GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
