/*
 * check_claims - domain claims of Atlas accounts that wait: once the record is seen in the DNS the
 * peer is asked to look, until the claim is verified or its token is out of date (C12).
 */
#include "admin/jobs/runners.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/handlers/atlas_claims.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/handler_settings.h"

static void
check_claim(const struct handler_context *context, const struct atlas_claim *claim)
{
	const char *place = atlas_claim_place(context, claim);
	g_autoptr(GError) why = NULL;
	gboolean published = FALSE;
	gboolean verified = FALSE;

	if (claim->assert_by != 0 && claim->assert_by < clock_now(context->clock))
		return;
	if (!atlas_claim_published(context, claim, place, &published, &why) ||
	    (published && !atlas_claim_validate(context, claim, place, &verified, &why)))
		log_warning("a domain claim could not be checked", "domain", claim->domain, "error",
			    why->message);
	else if (verified)
		log_info("a domain claim is verified", "domain", claim->domain);
}

/* An account that is not set up, or cannot be reached, is none of the others' business. */
static void
check_config(const struct job_context *job, const struct handler *handler, const char *name)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(handler_config)
	struct handler_config *config =
	    handler_config_load(job->gateway->db, job->gateway->keyring, handler, name, &why);
	struct handler_context context = { .db = job->gateway->db,
					   .keyring = job->gateway->keyring,
					   .clock = job->gateway->clock,
					   .settings = gateway_settings(job->gateway),
					   .config = config };

	if (config == NULL || !handler_is_ready(&context, handler, NULL))
		return;
	g_autoptr(GPtrArray) claims = atlas_claims(&context, "PENDING", &why);
	if (claims == NULL)
		log_warning("domain claims could not be read", "config", name, "error",
			    why->message);
	for (guint i = 0; claims != NULL && i < claims->len && !job->stopping(job); i++) {
		check_claim(&context, g_ptr_array_index(claims, i));
		if (!job->extend(job))
			return;
	}
}

enum job_result
job_check_claims(const struct job_context *job, GError **error)
{
	const struct handler *handler = handler_find("atlas", error);
	g_autoptr(GPtrArray) configs =
	    handler != NULL ? handler_settings_configs(job->gateway->db, error) : NULL;

	if (configs == NULL)
		return JOB_RESULT_FAILED;
	for (guint i = 0; i < configs->len && !job->stopping(job); i++) {
		const struct handler_config_name *name = g_ptr_array_index(configs, i);

		if (strcmp(name->handler, handler->name) == 0)
			check_config(job, handler, name->config);
	}
	return JOB_RESULT_DONE;
}
