/* gather_author - what is known of the author from earlier messages; see gathering.h. */
#include "milter/policy/gathering.h"

#include <string.h>

#include "milter/answering.h"
#include "milter/envelope.h"
#include "milter/gateway.h"
#include "milter/message/headers.h"
#include "milter/policy/decide.h"
#include "store/answers.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"

/* Names by which he may have been the recipient of what he answers. */
#define NAMES_MAX 16

gboolean
gather_is_automatic(const struct headers *headers)
{
	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *header = headers_at(headers, i);
		g_autofree char *word = NULL;

		if (!header_is(header, "Auto-Submitted"))
			continue;
		word = g_strstrip(g_strdup(header->value));
		word[strcspn(word, "; \t\n(")] = '\0';
		if (g_ascii_strcasecmp(word, "no") != 0)
			return TRUE;
	}
	return FALSE;
}

/* ---- reply_encrypt -------------------------------------------------------------------------- */

/* Asks the decision itself: would it make a difference to anybody? */
static gboolean
answer_matters(const struct gathering *g)
{
	struct message_facts message = g->found->facts;

	message.null_sender = FALSE;
	message.answer = ABLE_UNKNOWN;
	for (guint i = 0; i < g->found->recipients->len; i++) {
		const struct gathered_recipient *recipient =
		    g_ptr_array_index(g->found->recipients, i);
		struct recipient_facts facts = recipient->facts;
		struct plan plan;

		facts.certificate = ABLE_YES;
		decide(&message, &facts, &plan);
		if (plan.encrypt_row == ROW_ENCRYPT_ANSWER_UNKNOWN)
			return TRUE;
	}
	return FALSE;
}

static void
add_name(GPtrArray *names, const char *key)
{
	if (key != NULL && names->len < NAMES_MAX)
		g_ptr_array_add(names, g_strdup(key));
}

static void
add_address(GPtrArray *names, const struct mailaddr *address, char delimiter)
{
	g_autofree char *untagged =
	    delimiter != '\0' ? mailaddr_key_without_tag(address, delimiter) : NULL;

	add_name(names, mailaddr_key(address));
	add_name(names, untagged);
}

/* The author and his aliases, and an internal envelope sender. */
static GPtrArray *
names_of(const struct gathering *g)
{
	const struct gathered *found = g->found;
	char delimiter = *g->settings->recipient_delimiter;
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

	if (g->sender_internal && found->sender != NULL)
		add_address(names, found->sender, delimiter);
	if (g->author_internal) {
		const char *const *aliases = preference_list(found->side.sets[0], PREF_ALIASES);
		CLEANUP(mailaddr)
		struct mailaddr *owner = side_alias_owner(found->side.sets[0]);

		add_address(names, found->author, delimiter);
		if (owner != NULL)
			add_address(names, owner, '\0');
		for (guint i = 0; aliases[i] != NULL; i++)
			add_name(names, aliases[i]);
	}
	return names;
}

void
gather_answer(struct gathering *g)
{
	g_autoptr(GPtrArray) names = NULL;

	g->found->facts.answer = ABLE_NO;
	if (!answer_matters(g))
		return;
	names = names_of(g);
	g->found->facts.answer = answering_find(g->gateway, g->source->headers,
						(const char *const *)names->pdata, names->len);
}

/* ---- auto_request --------------------------------------------------------------------------- */

/* What nobody wrote, and what a program answers with, starts nothing. */
static gboolean
is_requested(const struct gathering *g)
{
	const struct message_facts *m = &g->found->facts;

	return m->signer == ABLE_NO && m->author == AUTHOR_CONFIRMED && g->found->signer_asked &&
	       *g->source->envelope->sender != '\0' && !m->null_sender &&
	       strcmp(preference_text(g->found->side.sets[0], PREF_AUTO_REQUEST), "off") != 0 &&
	       !gather_is_automatic(g->source->headers);
}

void
gather_request(struct gathering *g)
{
	struct message_facts *m = &g->found->facts;
	gint64 now = clock_now(g->gateway->clock);
	gint64 asked = CLOCK_NEVER;
	g_autoptr(GError) error = NULL;

	m->request = REQUEST_OFF;
	if (!is_requested(g))
		return;
	m->request = REQUEST_MADE;
	if (!preference_on(g->found->side.sets[0], PREF_AUTO_REQUEST_WAIT))
		return;
	if (!auto_requests_find(g->gateway->db, mailaddr_key(g->found->author), &asked, &error)) {
		g_free(g->found->signer_note);
		g->found->signer_note = g_strdup(error->message);
		m->signer = ABLE_UNKNOWN;
		return;
	}
	if (g->settings->auto_request_wait_max > 0 &&
	    (asked == CLOCK_NEVER || now - asked < g->settings->auto_request_wait_max))
		m->request = REQUEST_AWAITED;
}
