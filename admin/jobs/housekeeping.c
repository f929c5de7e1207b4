/*
 * housekeeping - partitions, old answers, old jobs; what will end soon.
 */
#include "admin/jobs/runners.h"

#include "admin/jobs/additional_watch.h"
#include "milter/gateway.h"
#include "store/answers.h"
#include "store/audit.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/directories.h"
#include "store/harvests.h"
#include "store/jobs.h"
#include "store/ledger.h"
#include "store/leftovers.h"
#include "store/outbox.h"
#include "store/ocsp.h"
#include "store/posts.h"

#define DAY_SECONDS 86400
#define ANSWERS_KEEP_SECONDS DAY_SECONDS
#define OCSP_KEEP_SECONDS (90 * DAY_SECONDS) /* since somebody wanted it */
#define JOBS_KEEP_SECONDS (7 * DAY_SECONDS)
#define IDLE_KEEP_SECONDS (30 * DAY_SECONDS)
#define REQUESTS_KEEP_SECONDS (7 * DAY_SECONDS) /* then an author's next message asks again */

static gboolean
keep_house(struct tx *tx, gpointer data, GError **error)
{
	const struct settings *settings = data;
	gint64 now = tx_now(tx);
	gint64 dropped;

	return audit_keep(tx, now - settings->audit_keep, now - settings->message_keep, error) &&
	       harvests_expire(tx, now - settings->harvest_keep, &dropped, error) &&
	       directories_forget_answers(tx, now - ANSWERS_KEEP_SECONDS, error) &&
	       posts_forget(tx, now - ANSWERS_KEEP_SECONDS, error) &&
	       ocsp_forget(tx, now - OCSP_KEEP_SECONDS, error) &&
	       decrypted_forget(tx, now - settings->reply_keep, error) &&
	       auto_requests_forget(tx, now - REQUESTS_KEEP_SECONDS, error) &&
	       ledger_expire(tx, &dropped, error) &&
	       outbox_forget(tx, now - settings->audit_keep, error) &&
	       leftovers_forget(tx, now - settings->audit_keep, now - IDLE_KEEP_SECONDS, error) &&
	       jobs_forget(tx, now - JOBS_KEEP_SECONDS, error);
}

enum job_result
job_housekeeping(const struct job_context *context, GError **error)
{
	const struct settings *settings = gateway_settings(context->gateway);

	additional_watch(context->gateway);
	return db_transaction(context->gateway->db, keep_house, (gpointer)settings, error)
		   ? JOB_RESULT_DONE
		   : JOB_RESULT_FAILED;
}
