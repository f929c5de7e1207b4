/*
 * sms_command - a program of the site's own; the text comes on its standard input.
 */
#include <sysexits.h>

#include "pki/handlers/program.h"
#include "pki/sms_internal.h"
#include "store/base/error.h"

static gboolean
fill_words(const struct sms *sms, GPtrArray *words, GError **error)
{
	const char *const *templates = handler_config_list(sms->config, "command");

	for (; *templates != NULL; templates++) {
		CLEANUP(secret)
		struct secret *word = sms_fill(sms, *templates, SMS_ESCAPE_NONE, error);

		if (word == NULL)
			return FALSE;
		g_ptr_array_add(words, g_strdup(secret_text(word)));
	}
	g_ptr_array_add(words, NULL);
	return TRUE;
}

static void
judge(int status, struct sms_outcome *outcome)
{
	enum sms_result result = status == 0             ? SMS_SENT
				 : status == EX_TEMPFAIL ? SMS_LATER
							 : SMS_REFUSED;

	sms_decide(outcome, result, "the command ended with status %d", status);
}

/* What it writes is looked at by nobody: it may hold what it was given. */
static void
run(const struct sms *sms, const char *const *argv, struct sms_outcome *outcome)
{
	g_autoptr(GBytes) text =
	    g_bytes_new_static(secret_bytes(sms->text), secret_length(sms->text));
	const struct program program = {
		.argv = argv,
		.input = text,
		.timeout_seconds = (unsigned int)handler_config_seconds(sms->config, "timeout"),
	};
	struct program_result result = { 0 };
	g_autoptr(GError) why = NULL;

	if (program_call(&program, &result, &why))
		judge(result.status, outcome);
	else if (result.started)
		sms_decide(outcome, SMS_UNKNOWN, "%s", why->message);
	else
		sms_decide(outcome,
			   g_error_matches(why, PS_ERROR, PS_ERROR_INVALID) ? SMS_REFUSED
									    : SMS_LATER,
			   "%s", why->message);
	program_result_clear(&result);
}

void
sms_by_command(const struct sms *sms, struct sms_outcome *outcome)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) why = NULL;

	if (fill_words(sms, words, &why))
		run(sms, (const char *const *)words->pdata, outcome);
	else
		sms_decide(outcome, SMS_REFUSED, "%s", why->message);
}
