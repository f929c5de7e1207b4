/* gather_directory - what directories know of recipients without a valid certificate. */
#include "milter/gateway.h"
#include "milter/policy/gathering.h"
#include "pki/directory_wait.h"
#include "store/base/error.h"
#include "store/config/settings.h"
#include "store/preferences.h"

/* Nobody is asked about whose certificates the decision does not ask, nor where what comes by
 * itself would not be used. */
static gboolean
is_worth_asking(const struct gathering *g, const struct gathered_recipient *recipient)
{
	return recipient->asked && recipient->address != NULL &&
	       recipient->facts.certificate == ABLE_NO &&
	       g->found->facts.arrived != ARRIVED_ENCRYPTED &&
	       preference_on(recipient->preferences, PREF_AUTO_SELECT_CERTIFICATES);
}

static void
add_note(struct gathered_recipient *recipient, const char *note)
{
	char *both = recipient->note != NULL && note != NULL
			 ? g_strdup_printf("%s; %s", recipient->note, note)
			 : g_strdup(note != NULL ? note : recipient->note);

	g_free(recipient->note);
	recipient->note = both;
}

static void
take_state(struct gathering *g, struct gathered_recipient *recipient,
	   const struct directory_query *query)
{
	switch (query->state) {
	case DIRECTORY_NOT_SERVED:
		return;
	case DIRECTORY_NOTHING:
		break;
	case DIRECTORY_STORED:
		gather_certificates(g, recipient);
		if (recipient->facts.certificate == ABLE_YES)
			return;
		break;
	case DIRECTORY_OPEN:
		recipient->facts.certificate = ABLE_UNKNOWN;
		recipient->facts.directory_open = TRUE;
		break;
	}
	add_note(recipient, query->note);
}

void
gather_directories(struct gathering *g)
{
	GPtrArray *recipients = g->found->recipients;
	g_autofree struct directory_query *queries =
	    g_new0(struct directory_query, recipients->len);
	g_autoptr(GPtrArray) asked = g_ptr_array_new();

	for (guint i = 0; i < recipients->len; i++) {
		struct gathered_recipient *recipient = g_ptr_array_index(recipients, i);

		if (!is_worth_asking(g, recipient))
			continue;
		queries[asked->len].address = recipient->address;
		g_ptr_array_add(asked, recipient);
	}
	if (asked->len == 0)
		return;
	directory_wait_ask(g->gateway->directories, queries, asked->len,
			   g->settings->directory_wait * 1000);
	for (guint i = 0; i < asked->len; i++) {
		take_state(g, g_ptr_array_index(asked, i), &queries[i]);
		g_free(queries[i].note);
	}
}
