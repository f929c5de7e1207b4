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
#include "store/base/error.h"
#include "store/cas.h"
#include "store/certs.h"
#include "store/db/tx.h"
#include "store/roots.h"

struct due_crl {
	const struct job_context *context;
	const char *name; /* of a CA; thumbprint of a root */
};

static gboolean
issue_crl(struct tx *tx, gpointer data, GError **error)
{
	const struct due_crl *due = data;
	struct gateway *gateway = due->context->gateway;
	const struct ca_crl options = { 0 };
	const struct actor actor = { .name = "postseald", .uid = -1, .from = "job" };
	struct ca_context ca = ca_context_of_gateway(gateway);
	g_autoptr(GBytes) der = ca_make_crl(&ca, due->name, &options, tx, error);

	return der != NULL &&
	       audit_admin(tx, &actor, "ca crl", due->name, "the next one in time", error);
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

/* A CA that has ended keeps its last list: nobody may sign another one. */
static gboolean
has_ended(struct gateway *gateway, const char *thumbprint, gint64 now)
{
	CLEANUP(cert_row) struct cert_row *row = certs_find(gateway->db, thumbprint, NULL);
	CLEANUP(root_row)
	struct root_row *root = row == NULL ? roots_find(gateway->db, thumbprint, NULL) : NULL;

	return row != NULL ? row->not_after < now : root != NULL && root->not_after < now;
}

static gboolean
make_due(const struct job_context *context, const char *name, GError **error)
{
	struct due_crl due = { context, name };

	if (!db_transaction(context->gateway->db, issue_crl, &due, error))
		return FALSE;
	log_info("CRL made", "ca", name);
	return TRUE;
}

/* A root whose key is not here gets its lists by hand; that it is time is said each time. */
static gboolean
make_root_lists(const struct job_context *context, gint64 now, GError **error)
{
	g_autoptr(GPtrArray) roots = ca_roots_list(context->gateway->db, error);

	if (roots == NULL)
		return FALSE;
	for (guint i = 0; i < roots->len; i++) {
		const struct ca_root_row *root = g_ptr_array_index(roots, i);
		g_autoptr(GError) why = NULL;

		if (root->crl_next > now || has_ended(context->gateway, root->thumbprint, now) ||
		    make_due(context, root->thumbprint, &why))
			continue;
		if (!g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
		log_warning("the CRL of a root is due, and its key is not here: import the key and "
			    "make the list with 'postseal ca crl'",
			    "root", root->name != NULL ? root->name : root->thumbprint);
	}
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
		const struct ca_row *ca = g_ptr_array_index(cas, i);

		if (ca->thumbprint == NULL)
			continue;
		if (!warn_of_point(context->gateway, ca, now, error))
			return JOB_RESULT_FAILED;
		if (ca->crl_next > now || has_ended(context->gateway, ca->thumbprint, now))
			continue;
		if (!make_due(context, ca->name, error))
			return JOB_RESULT_FAILED;
	}
	return make_root_lists(context, now, error) ? JOB_RESULT_DONE : JOB_RESULT_FAILED;
}
