/*
 * inbound - content, Subject and result fields of one copy.
 */
#include "milter/inbound.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/gateway.h"
#include "milter/message/edits.h"
#include "milter/mime/entity.h"
#include "milter/mime/protected.h"
#include "milter/mime/subject.h"
#include "milter/mime/wrap.h"
#include "milter/mta.h"
#include "milter/policy/groups.h"
#include "milter/policy/ruling.h"
#include "milter/reading.h"
#include "milter/results.h"
#include "store/base/error.h"

/* ---- content -------------------------------------------------------------------------------- */

static void
set_content_fields(const struct entity *entity, const struct headers *headers, struct edits *edits)
{
	wrapped_edit_version(headers, edits);
	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);

		if (header_has_prefix(field, "Content-"))
			edits_delete(edits, field->name, field->occurrence);
	}
	/* Of each name the first: that is the one which was read. */
	for (guint i = 0; i < headers_count(entity->headers); i++) {
		const struct header *field = headers_at(entity->headers, i);

		if (header_has_prefix(field, "Content-") && field->occurrence == 1)
			edits_replace(edits, headers, field->name, field->value);
	}
}

static gboolean
set_content(const struct entity *entity, const struct inbound_request *request, struct edits *edits,
	    GError **error)
{
	CLEANUP(spool) struct spool *body = spool_new(request->area);

	if (!spool_append_range(body, entity->spool, entity->body_start, entity->end, error) ||
	    !spool_seal(body, error))
		return FALSE;
	set_content_fields(entity, request->headers, edits);
	edits_set_body(edits, body);
	return TRUE;
}

/* What is shown instead of the message's own content; NULL: nothing. */
static const struct entity *
shown_entity(const struct plan *plan, const struct opening *opening)
{
	if (plan->strip)
		return plan->defuse && plan->open ? opening->bare_defused : opening->reading->bare;
	if (!plan->open)
		return NULL;
	return plan->defuse ? opening->defused : opening->reading->opened;
}

/* As a program shows it that knows nothing of header protection. */
static gboolean
set_shown_content(const struct entity *entity, const struct inbound_request *request,
		  struct edits *edits, GError **error)
{
	const struct protected_fields *fields = request->group->opening->reading->protected_fields;
	CLEANUP(entity) struct entity *shown = NULL;

	if (fields != NULL && !protected_content(fields, entity, request->area, &shown, error))
		return FALSE;
	return set_content(shown != NULL ? shown : entity, request, edits, error);
}

/* ---- Subject -------------------------------------------------------------------------------- */

static gboolean
show_protected(const struct inbound_request *request, struct edits *edits, GError **error)
{
	const struct protected_fields *fields = request->group->opening->reading->protected_fields;
	CLEANUP(words) struct words *words = NULL;

	if (fields == NULL)
		return TRUE;
	words = ruling_words(request->gateway, request->ruling, error);
	if (words == NULL)
		return FALSE;
	(void)protected_show(fields, request->headers, words, edits);
	return TRUE;
}

/* In front of what the other edits leave of it. */
static void
add_tags(const struct inbound_request *request, struct edits *edits)
{
	const char *subject = edits_current(edits, request->headers, "Subject");
	g_autofree char *tagged = subject_tagged(subject, request->group->tags);

	edits_drop_added(edits, "Subject");
	edits_replace(edits, request->headers, "Subject", tagged);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void
add_results(const struct inbound_request *request, struct edits *edits)
{
	const struct group *group = request->group;
	g_autofree char *id = results_authserv_id(gateway_settings(request->gateway));
	const struct results_request results = {
		.authserv_id = id,
		.reading = group->opening != NULL ? group->opening->reading : NULL,
		.opened = group->plan.open,
		.defused = group->plan.defuse,
		.stripped = group->plan.strip,
	};

	results_add(&results, edits);
}

gboolean
inbound_carry_out(const struct inbound_request *request, struct edits *edits, GError **error)
{
	const struct group *group = request->group;
	const struct plan *plan = &group->plan;
	const struct entity *entity = NULL;

	if (plan->opening != 0 && group->opening == NULL)
		return fail_false(error, PS_ERROR_BUG, "a plan that rests on no reading");
	if (plan->open || plan->strip) {
		entity = shown_entity(plan, group->opening);
		if (entity == NULL)
			return fail_false(error, PS_ERROR_BUG,
					  "a plan that shows what is not there");
		if (!set_shown_content(entity, request, edits, error))
			return FALSE;
	}
	if (plan->open && !show_protected(request, edits, error))
		return FALSE;
	if (plan->tag_set != 0)
		add_tags(request, edits);
	if (plan->results)
		add_results(request, edits);
	return TRUE;
}

/* ---- the envelope --------------------------------------------------------------------------- */

static gboolean
is_parameter(const char *word, const char *name)
{
	return g_ascii_strncasecmp(word, name, strlen(name)) == 0;
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
