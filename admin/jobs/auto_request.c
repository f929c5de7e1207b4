/*
 * auto_request - a certificate for an author who has none (C9): the job's key is his address.
 *
 * The filter's word is not enough: he has to be one of ours whose preferences ask for it, without
 * a certificate to sign with, and without a request that is under way.
 */
#include "admin/jobs/runners.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/enroll.h"
#include "pki/select.h"
#include "store/audit.h"
#include "store/base/log.h"
#include "store/base/mailaddr.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/preferences.h"
#include "store/requests.h"

struct order {
	struct enroll enroll;
	struct enroll_order what;
	gint64 id;
};

/* *why: what speaks against it, static text; NULL: nothing. */
static gboolean
find_reason_against(struct gateway *gateway, const struct mailaddr *author,
		    const struct preference_set *set, const char **why, GError **error)
{
	CLEANUP(selection) struct selection *signing = NULL;
	g_autoptr(GPtrArray) open = NULL;

	*why = NULL;
	if (preference_choice(set, PREF_LOCALITY) != VALUE_LOCALITY_INTERNAL)
		*why = "the address is not internal";
	else if (strcmp(preference_text(set, PREF_AUTO_REQUEST), "off") == 0)
		*why = "auto_request is off";
	if (*why != NULL)
		return TRUE;
	signing = select_signing(gateway->select, author, error);
	if (signing == NULL)
		return FALSE;
	open = requests_open_for(gateway->db, mailaddr_key(author), error);
	if (open == NULL)
		return FALSE;
	if (signing->used->len > 0)
		*why = "there is a certificate by now";
	else if (open->len > 0)
		*why = "a request is under way";
	return TRUE;
}

static gboolean
create(struct tx *tx, gpointer data, GError **error)
{
	const struct actor actor = { .name = "postseald", .uid = -1, .from = "job" };
	struct order *order = data;

	return enroll_create(&order->enroll, tx, &order->what, &order->id, error) &&
	       audit_admin(tx, &actor, "request create", order->what.email,
			   "auto_request: the author has no certificate", error);
}

/* "handler" or "handler/configuration". */
static gboolean
make_request(struct gateway *gateway, const char *email, const char *handler, GError **error)
{
	g_auto(GStrv) names = g_strsplit(handler, "/", 2);
	struct order order = {
		.enroll = gateway_enroll(gateway),
		.what = { .email = email,
			  .common_name = email,
			  .handler = names[0],
			  .handler_config = names[0] != NULL ? names[1] : NULL,
			  .requester = "auto_request" },
	};

	if (!db_transaction(gateway->db, create, &order, error))
		return FALSE;
	log_info("a certificate was requested for an author who has none", "address", email,
		 "handler", handler);
	/* What is left undone here is taken up with the other requests. */
	return enroll_prepare(&order.enroll, order.id, NULL, error);
}

enum job_result
job_auto_request(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	CLEANUP(mailaddr) struct mailaddr *author = mailaddr_parse(context->job->key, NULL);
	CLEANUP(preference_set) struct preference_set *set = NULL;
	const char *why;

	if (author == NULL || strcmp(mailaddr_key(author), context->job->key) != 0) {
		log_warning("a certificate was asked for, for what is no address", "key",
			    context->job->key);
		return JOB_RESULT_DONE;
	}
	set = preferences_resolve(gateway->preferences, mailaddr_key(author), error);
	if (set == NULL || !find_reason_against(gateway, author, set, &why, error))
		return JOB_RESULT_FAILED;
	if (why != NULL) {
		log_info("no certificate is requested", "address", mailaddr_key(author), "reason",
			 why);
		return JOB_RESULT_DONE;
	}
	return make_request(gateway, mailaddr_key(author), preference_text(set, PREF_AUTO_REQUEST),
			    error)
		   ? JOB_RESULT_DONE
		   : JOB_RESULT_FAILED;
}
