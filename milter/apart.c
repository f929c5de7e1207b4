/* apart - see apart.h. */
#include "milter/apart.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/notice.h"
#include "milter/policy/ruling.h"
#include "milter/session.h"
#include "store/base/error.h"

/* ---- who is gone ---------------------------------------------------------------------------- */

static void
mark(gboolean *gone, const GArray *indices)
{
	for (guint i = 0; indices != NULL && i < indices->len; i++)
		gone[g_array_index(indices, guint, i)] = TRUE;
}

static void
list_gone(const struct apart_request *request, struct apart *apart)
{
	const struct ruling *ruling = request->message->ruling;
	g_autofree gboolean *gone = g_new0(gboolean, ruling->count);

	mark(gone, ruling->groups->refused);
	mark(gone, apart->report.served);
	for (guint i = 0; i < request->message->copies->len; i++) {
		const struct split_copy *copy = g_ptr_array_index(request->message->copies, i);

		mark(gone, copy->group->members);
	}
	for (guint i = 0; i < ruling->count; i++) {
		if (gone[i])
			g_array_append_val(apart->gone, i);
	}
	apart->nobody = apart->gone->len == ruling->count;
}

/* ---- the notice ----------------------------------------------------------------------------- */

static void
add_by_policy(const struct ruling *ruling, GArray *told)
{
	for (guint i = 0; i < ruling->groups->refused->len; i++) {
		guint index = g_array_index(ruling->groups->refused, guint, i);
		enum reason reason = ruling->plans[index].reason;
		const char *reply = reason_reply(reason);
		const struct notice_recipient recipient = {
			.recipient = index,
			.status = reply != NULL && strlen(reply) > 4 ? reply + 4 : "5.7.1",
			.text = reason_sentence(reason),
		};

		g_array_append_val(told, recipient);
	}
}

static void
add_by_server(const struct apart *apart, GArray *told)
{
	for (guint i = 0; apart->report.refused != NULL && i < apart->report.refused->len; i++) {
		const struct split_refused *refused =
		    &g_array_index(apart->report.refused, struct split_refused, i);
		const struct notice_recipient recipient = {
			.recipient = refused->recipient,
			.status = refused->status,
			.text = refused->answer,
			.by_server = TRUE,
		};

		g_array_append_val(told, recipient);
	}
}

/* Somebody has his copy already, so the message as a whole cannot be refused any more; where its
 * sender cannot be told by a notice he is told by an answer that says too much. */
static gboolean
tell(const struct apart_request *request, struct apart *apart, GError **error)
{
	const struct split_request *message = request->message;
	g_autoptr(GArray) told = g_array_new(FALSE, TRUE, sizeof(struct notice_recipient));
	struct notice notice = { .message = message->message,
				 .host = request->host,
				 .now = request->now };

	add_by_policy(message->ruling, told);
	add_by_server(apart, told);
	if (told->len == 0)
		return TRUE;
	if (!message->ruling->gathered->sender_told) {
		apart->outcome = SPLIT_REPLY;
		apart->reason = REASON_REFUSED_COPY;
		return TRUE;
	}
	notice.recipients = (const struct notice_recipient *)(gpointer)told->data;
	notice.count = told->len;
	apart->reason = REASON_DEFERRED_LISTENER;
	if (!split_notify(request->split, message, &notice, error))
		return FALSE;
	apart->refused = told->len;
	apart->noted = TRUE;
	return TRUE;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static gboolean
send_copies(const struct apart_request *request, struct apart *apart, GError **error)
{
	gboolean worked = split_send(request->split, request->message, &apart->report, error);

	apart->noted = TRUE;
	apart->outcome = apart->report.outcome;
	apart->reason = apart->report.reason;
	apart->reply = apart->report.reply;
	return worked;
}

/* Those who had theirs when the message was tried before, and had other copies. */
static gboolean
find_served(const struct apart_request *request, struct apart *apart, GError **error)
{
	apart->report.served = g_array_new(FALSE, FALSE, sizeof(guint));
	apart->reason = REASON_DEFERRED_STORE;
	if (!split_served(request->split, request->message, apart->report.served, error))
		return FALSE;
	apart->noted = apart->report.served->len > 0;
	return TRUE;
}

gboolean
apart_deal(const struct apart_request *request, struct apart *apart, GError **error)
{
	const struct ruling *ruling = request->message->ruling;
	gboolean several = request->message->copies->len > 0;

	memset(apart, 0, sizeof *apart);
	apart->gone = g_array_new(FALSE, FALSE, sizeof(guint));
	apart->outcome = SPLIT_DONE;
	if (request->split == NULL && (several || ruling->groups->refused->len > 0)) {
		apart->outcome = SPLIT_DEFER;
		apart->reason = REASON_DEFERRED_DIFFERENT;
		return TRUE;
	}
	if (several && !send_copies(request, apart, error))
		return FALSE;
	if (!several && request->split != NULL && !find_served(request, apart, error))
		return FALSE;
	if (apart->outcome != SPLIT_DONE)
		return TRUE;
	list_gone(request, apart);
	return tell(request, apart, error);
}

gboolean
apart_accepted(const struct apart_request *request, const struct apart *apart, GError **error)
{
	return !apart->noted || split_accepted(request->split, request->message, error);
}

void
apart_clear(struct apart *apart)
{
	split_report_clear(&apart->report);
	g_clear_pointer(&apart->gone, g_array_unref);
}
