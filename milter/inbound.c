/*
 * inbound - content, Subject and result fields of one copy.
 */
#include "milter/inbound.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/message/edits.h"
#include "milter/mta.h"
#include "milter/policy/groups.h"
#include "milter/policy/ruling.h"
#include "milter/results.h"
#include "store/base/error.h"

gboolean
inbound_carry_out(const struct inbound_request *request, struct edits *edits, GError **error)
{
	const struct plan *plan = &request->group->plan;

	(void)edits;
	if (plan->opening != 0 && request->group->opening == NULL)
		return fail_false(error, PS_ERROR_BUG, "a plan that rests on no reading");
	return TRUE;
}

static gboolean
is_parameter(const char *word, const char *name)
{
	return g_ascii_strncasecmp(word, name, strlen(name)) == 0;
}

char *
inbound_sender_parameters(const char *parameters_or_null)
{
	g_auto(GStrv) words =
	    g_strsplit(parameters_or_null != NULL ? parameters_or_null : "", " ", -1);
	GString *out = g_string_new(NULL);

	for (guint i = 0; words[i] != NULL; i++)
		if (*words[i] != '\0' && !is_parameter(words[i], "RET="))
			g_string_append_printf(out, "%s ", words[i]);
	g_string_append(out, "RET=HDRS");
	return g_string_free(out, FALSE);
}

/* An MTA takes these of a changed sender; the others it knows from the MAIL command, and warns of
 * them here (Postfix's cleanup, milter_chgfrom of Sendmail). */
static char *
parameters_to_change(const char *parameters)
{
	g_auto(GStrv) words = g_strsplit(parameters != NULL ? parameters : "", " ", -1);
	GString *out = g_string_new("RET=HDRS");

	for (guint i = 0; words[i] != NULL; i++)
		if (is_parameter(words[i], "ENVID="))
			g_string_append_printf(out, " %s", words[i]);
	return g_string_free(out, FALSE);
}

/* Nothing is ever returned to the null sender. */
static gboolean
limit_bounces(const struct envelope *envelope, struct mta *mta)
{
	g_autofree char *parameters = parameters_to_change(envelope->sender_parameters);
	g_autofree char *bracketed = NULL;
	const char *argument = envelope->sender_argument;

	if (*envelope->sender == '\0')
		return TRUE;
	if (*argument != '<')
		argument = bracketed = g_strdup_printf("<%s>", envelope->sender);
	return mta->ops->change_sender(mta, argument, parameters);
}

gboolean
inbound_hand_over(const struct plan *plan, const struct envelope *envelope, struct mta *mta)
{
	if (plan->headers_only && !limit_bounces(envelope, mta))
		return FALSE;
	return !plan->quarantine || mta->ops->quarantine(mta, "held by the S/MIME gateway");
}
