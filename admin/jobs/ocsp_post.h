/*
 * ocsp_post - the network of pki/ocsp_ask.h: one POST under the settings fetch_*.
 *
 * Threads: one at a time.
 */
#ifndef ADMIN_JOBS_OCSP_POST_H
#define ADMIN_JOBS_OCSP_POST_H

#include <glib.h>

#include "store/base/cleanup.h"

struct job_context;
struct ocsp_post;
struct settings;

/* context: of the job, whose lease is kept and whose end ends a request; NULL for none. */
struct ocsp_post *ocsp_post_new(const struct settings *settings, const struct job_context *context);
void ocsp_post_free(struct ocsp_post *post);
/* As struct ocsp_ask has it; data is the struct ocsp_post. */
GBytes *ocsp_post(gpointer data, const char *url, GBytes *request, gint64 *retry_after,
		  GError **error);

DEFINE_CLEANUP(ocsp_post, ocsp_post_free)

#endif
