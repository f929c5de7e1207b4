/*
 * runners - the kinds of jobs: one file each, one row each in runners.c.
 *
 * A runner finds its work half or wholly done without harm; see admin/jobs/scheduler.h.
 */
#ifndef ADMIN_JOBS_RUNNERS_H
#define ADMIN_JOBS_RUNNERS_H

#include "admin/jobs/scheduler.h"

#define ISSUE_CRLS_SECONDS 600
#define RENEW_SECONDS 3600

enum job_result job_rewrap(const struct job_context *context, GError **error);
enum job_result job_housekeeping(const struct job_context *context, GError **error);
enum job_result job_work_requests(const struct job_context *context, GError **error);
enum job_result job_auto_request(const struct job_context *context, GError **error);
enum job_result job_renew(const struct job_context *context, GError **error);
enum job_result job_issue_crls(const struct job_context *context, GError **error);
enum job_result job_check_crls(const struct job_context *context, GError **error);
enum job_result job_directory(const struct job_context *context, GError **error);
enum job_result job_ocsp(const struct job_context *context, GError **error);
enum job_result job_collect_points(const struct job_context *context, GError **error);
enum job_result job_schedule_fetches(const struct job_context *context, GError **error);
enum job_result job_fetch_url(const struct job_context *context, GError **error);
enum job_result job_deliver(const struct job_context *context, GError **error);

enum job_result job_key_pool(const struct job_context *context, GError **error);
enum job_result job_acme_reply(const struct job_context *context, GError **error);
enum job_result job_bulk(const struct job_context *context, GError **error);
enum job_result job_ocsp_answers(const struct job_context *context, GError **error);
enum job_result job_renewal_advice(const struct job_context *context, GError **error);
enum job_result job_ocsp_presign(const struct job_context *context, GError **error);
enum job_result job_csr_mail(const struct job_context *context, GError **error);
enum job_result job_revoke_at_ca(const struct job_context *context, GError **error);
enum job_result job_publish(const struct job_context *context, GError **error);

enum job_result job_check_claims(const struct job_context *context, GError **error);

#endif
