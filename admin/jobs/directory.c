/*
 * directory - a filter wants to know what the directories have for an address.
 */
#include "admin/jobs/runners.h"

#include "milter/gateway.h"
#include "pki/directory.h"
#include "store/base/clock.h"
#include "store/jobs.h"

/* Several filters ask one after the other: what is still good needs no second question. */
static gboolean
is_answered(const struct job_context *context, const struct mailaddr *address, gboolean *answered,
	    GError **error)
{
	const char *const keys[] = { mailaddr_key(address) };
	struct gateway *gateway = context->gateway;
	g_autoptr(GPtrArray) answers = directories_answers(gateway->db, keys, 1, error);

	if (answers == NULL)
		return FALSE;
	*answered = FALSE;
	if (answers->len > 0) {
		const struct directory_answer_row *answer = answers->pdata[0];

		*answered = answer->good_until > clock_now(gateway->clock);
	}
	return TRUE;
}

enum job_result
job_directory(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	const struct directory directory = {
		.db = gateway->db,
		.clock = gateway->clock,
		.keyring = gateway->keyring,
		.trust = gateway->trust,
		.preferences = gateway->preferences,
		.settings = gateway_settings(gateway),
	};
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(context->job->key, NULL);
	CLEANUP(directory_answer_row) struct directory_answer_row *answer = NULL;
	gboolean answered = FALSE;

	if (address == NULL)
		return JOB_RESULT_DONE; /* a filter wrote it, and asks for no such thing */
	if (!is_answered(context, address, &answered, error))
		return JOB_RESULT_FAILED;
	if (answered)
		return JOB_RESULT_DONE;
	return directory_ask(&directory, address, &answer, error) ? JOB_RESULT_DONE
								  : JOB_RESULT_FAILED;
}
