/*
 * issue_crls - CRLs of our own CAs, in time (C7).
 */
#include "admin/jobs/runners.h"

#include "admin/api/ca_context.h"
#include "milter/gateway.h"
#include "pki/ca_crl.h"
#include "store/audit.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/cas.h"
#include "store/db/tx.h"

struct due_crl {
	const struct job_context *context;
	const struct ca_row *ca;
};

static gboolean
issue_crl(struct tx *tx, gpointer data, GError **error)
{
	const struct due_crl *due = data;
	struct gateway *gateway = due->context->gateway;
	const struct ca_crl options = { 0 };
	const struct actor actor = { .name = "postseald", .uid = -1, .from = "job" };
	struct ca_context ca = ca_context_of_gateway(gateway);
	g_autoptr(GBytes) der = ca_make_crl(&ca, due->ca->name, &options, tx, error);

	return der != NULL &&
	       audit_admin(tx, &actor, "ca crl", due->ca->name, "the next one in time", error);
}

/* Said once for each look at the distribution point (C7). */
static gboolean
warn_of_point(struct gateway *gateway, const struct ca_row *ca, gint64 now, GError **error)
{
	g_autofree char *fault = NULL;
	gint64 looked;

	struct ca_context context = ca_context_of_gateway(gateway);
	if (!ca_point_fault(&context, ca, now, &fault, &looked, error))
		return FALSE;
	if (fault != NULL && looked > now - ISSUE_CRLS_SECONDS)
		log_warning(fault, "ca", ca->name);
	return TRUE;
}

enum job_result
job_issue_crls(const struct job_context *context, GError **error)
{
	gint64 now = clock_now(context->gateway->clock);
	g_autoptr(GPtrArray) cas = cas_list(context->gateway->db, error);

	if (cas == NULL)
		return JOB_RESULT_FAILED;
	for (guint i = 0; i < cas->len; i++) {
		struct due_crl due = { context, g_ptr_array_index(cas, i) };

		if (due.ca->thumbprint == NULL)
			continue;
		if (!warn_of_point(context->gateway, due.ca, now, error))
			return JOB_RESULT_FAILED;
		if (due.ca->crl_next > now)
			continue;
		if (!db_transaction(context->gateway->db, issue_crl, &due, error))
			return JOB_RESULT_FAILED;
		log_info("CRL made", "ca", due.ca->name);
	}
	return JOB_RESULT_DONE;
}
