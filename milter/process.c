/*
 * process - the walk of one message; see process.h.
 */
#include "milter/process.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/gateway.h"
#include "milter/harvesting.h"
#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mta.h"
#include "milter/outbound.h"
#include "milter/policy/ruling.h"
#include "milter/report.h"
#include "milter/structure.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"

/* One message on its walk. */
struct walk {
	const struct process *process;
	struct spool_area *area;
	const struct session_message *message;
	struct mta *mta;
	struct structure *structure;
	struct ruling *ruling;
	struct edits *edits;
	const struct group *copy; /* carried out; NULL: nothing was made */
	enum reason reason;
	char *detail;
	guint64 size_in;
	guint64 size_out;
};

/* ---- answers -------------------------------------------------------------------------------- */

static enum reason
reason_of_failure(const GError *error)
{
	if (error->domain != PS_ERROR)
		return REASON_DEFERRED_INTERNAL;
	switch ((enum ps_error)error->code) {
	case PS_ERROR_FULL:
		return REASON_DEFERRED_SPOOL_FULL;
	case PS_ERROR_TEMPORARY:
	case PS_ERROR_INVALID:
	case PS_ERROR_DENIED:
	case PS_ERROR_NOT_FOUND:
	case PS_ERROR_BUG:
		break;
	}
	return REASON_DEFERRED_INTERNAL;
}

static enum session_answer
answer_reply(struct walk *walk, enum reason reason, const struct reply *reply)
{
	g_autofree char *code = g_strdup_printf("%s %s", reply->code, reply->status);
	struct report_entry entry = {
		.message = walk->message,
		.ruling = walk->ruling,
		.reason = reason,
		.reply = code,
		.size_in = walk->size_in,
		.detail = walk->detail,
	};

	report_message(walk->process->report, &entry);
	if (!walk->mta->ops->set_reply(walk->mta, reply->code, reply->status,
				       (const char *const *)reply->lines))
		return SESSION_TEMPFAIL;
	return SESSION_REPLY;
}

/* The text of the failure is for the log; the reply says what the reason says. */
static enum session_answer
answer_reason(struct walk *walk, enum reason reason, const GError *failure)
{
	enum origin origin =
	    walk->ruling != NULL ? walk->ruling->gathered->facts.origin : ORIGIN_UNTRUSTED;
	CLEANUP(reply) struct reply *reply = reply_of_reason(reason, origin);

	if (failure != NULL) {
		g_free(walk->detail);
		walk->detail = g_strdup(failure->message);
	}
	return answer_reply(walk, reason, reply);
}

static enum session_answer
answer_accept(struct walk *walk)
{
	struct report_entry entry = {
		.message = walk->message,
		.ruling = walk->ruling,
		.copy = walk->copy,
		.reason = walk->reason,
		.size_in = walk->size_in,
		.size_out = walk->size_out,
		.detail = walk->detail,
	};

	report_message(walk->process->report, &entry);
	return SESSION_CONTINUE;
}

/* ---- handing over to the MTA ---------------------------------------------------------------- */

static gboolean
send_edit(struct mta *mta, const struct edit *edit)
{
	switch (edit->kind) {
	case EDIT_CHANGE:
		return mta->ops->change_header(mta, edit->name, edit->occurrence, edit->value);
	case EDIT_DELETE:
		return mta->ops->change_header(mta, edit->name, edit->occurrence, NULL);
	case EDIT_TOP:
		return mta->ops->insert_header(mta, 0, edit->name, edit->value);
	case EDIT_APPEND:
		return mta->ops->append_header(mta, edit->name, edit->value);
	}
	return FALSE;
}

static gboolean
send_body(struct mta *mta, struct spool *body, GError **error)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(body, 0, spool_size(body));
	g_autofree guint8 *piece = g_malloc(MTA_CHUNK_MAX_BYTES);
	gboolean sent = FALSE;

	for (;;) {
		gssize length = spool_reader_fill(reader, piece, MTA_CHUNK_MAX_BYTES, error);

		if (length < 0)
			return FALSE;
		if (length == 0 && sent)
			return TRUE;
		if (!mta->ops->replace_body(mta, piece, (gsize)length))
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "the mail server took no more of the body");
		sent = TRUE;
	}
}

static gboolean
send_edits(struct walk *walk, GError **error)
{
	struct spool *body = edits_body(walk->edits);

	for (guint i = 0; i < edits_count(walk->edits); i++) {
		const struct edit *edit = edits_at(walk->edits, i);

		if (!send_edit(walk->mta, edit))
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "the mail server did not take the change of the field %s",
					  edit->name);
	}
	return body == NULL || send_body(walk->mta, body, error);
}

static gboolean
too_large(struct walk *walk)
{
	gint64 limit = gateway_settings(walk->process->gateway)->message_size_max;

	walk->size_out =
	    edits_message_size(walk->edits, walk->message->headers, walk->message->body);
	return walk->copy != NULL && limit > 0 && walk->size_out > (guint64)limit;
}

/* ---- the walk ------------------------------------------------------------------------------- */

static const struct cert *
announced_certificate(const struct ruling *ruling, const struct group *group)
{
	const GPtrArray *own = ruling->gathered->own;

	if (own == NULL || own->len == 0 || own->pdata[0] == group->signer)
		return NULL;
	return own->pdata[0];
}

static gboolean
carry_out(struct walk *walk, const struct group *group, GError **error)
{
	struct outbound_request request = {
		.group = group,
		.encryption = announced_certificate(walk->ruling, group),
		.tree = walk->structure->tree,
		.area = walk->area,
		.now = clock_now(walk->process->gateway->clock),
	};

	if (!outbound_carry_out(walk->process->outbound, &request, walk->edits, error))
		return FALSE;
	walk->copy = group;
	return TRUE;
}

static enum session_answer
make_edits(struct walk *walk)
{
	const struct ruling *ruling = walk->ruling;
	const struct group *group = ruling->groups->copies->pdata[0];
	g_autoptr(GError) error = NULL;

	walk->edits = edits_new();
	ruling_clean_header(walk->process->gateway, ruling, walk->message->headers, walk->edits);
	if (ruling->groups->outcome == OUTCOME_LEAVE || carry_out(walk, group, &error))
		return SESSION_CONTINUE;
	return answer_reason(walk, reason_of_failure(error), error);
}

static enum session_answer
follow_ruling(struct walk *walk)
{
	const struct ruling *ruling = walk->ruling;
	g_autoptr(GError) error = NULL;
	enum session_answer answer;

	walk->reason = ruling->groups->reason;
	if (ruling->reply != NULL)
		return answer_reply(walk, ruling->groups->reason, ruling->reply);
	if (ruling->observed || ruling->count == 0)
		return answer_accept(walk);
	/* Whatever the groups say, one message is one copy here. */
	if (ruling->groups->copies->len != 1)
		return answer_reason(walk, REASON_DEFERRED_DIFFERENT, NULL);
	answer = make_edits(walk);
	if (answer != SESSION_CONTINUE)
		return answer;
	if (too_large(walk))
		return answer_reason(walk, REASON_REFUSED_SIZE, NULL);
	if (!send_edits(walk, &error))
		return answer_reason(walk, reason_of_failure(error), error);
	return answer_accept(walk);
}

static enum session_answer
walk_message(struct walk *walk)
{
	const struct session_message *message = walk->message;
	struct message_source source = {
		.envelope = message->envelope,
		.headers = message->headers,
	};
	g_autoptr(GError) error = NULL;

	walk->size_in = headers_size(message->headers) + 2;
	if (message->failure != NULL) {
		/* What is INVALID in collecting is a limit that the message exceeds. */
		gboolean limit = g_error_matches(message->failure, PS_ERROR, PS_ERROR_INVALID);

		return answer_reason(
		    walk, limit ? REASON_REFUSED_LIMIT : reason_of_failure(message->failure),
		    message->failure);
	}
	walk->size_in += spool_size(message->body);
	walk->size_out = walk->size_in;
	walk->structure = structure_read(message->headers, message->body, &error);
	if (walk->structure == NULL)
		return answer_reason(walk, reason_of_failure(error), error);
	source.structure = &walk->structure->facts;
	walk->ruling = ruling_make(walk->process->gateway, &source, &error);
	if (walk->ruling == NULL)
		return answer_reason(walk,
				     error->code == PS_ERROR_TEMPORARY ? REASON_DEFERRED_STORE
								       : reason_of_failure(error),
				     error);
	return follow_ruling(walk);
}

/* The message is through: what it tells about certificates is kept. */
static void
learn(const struct walk *walk)
{
	struct harvest *harvest = walk->process->harvest;

	if (harvest == NULL)
		return;
	if (walk->copy != NULL)
		harvesting_outbound(harvest, walk->copy);
	else if (walk->ruling != NULL && walk->structure != NULL)
		harvesting_inbound(harvest, walk->process->gateway, walk->ruling, walk->structure);
}

enum session_answer
process_message(const struct process *process, struct spool_area *area,
		const struct session_message *message, struct mta *mta)
{
	struct walk walk = {
		.process = process,
		.area = area,
		.message = message,
		.mta = mta,
		.reason = REASON_DEFERRED_INTERNAL,
	};
	enum session_answer answer = walk_message(&walk);

	if (answer == SESSION_CONTINUE)
		learn(&walk);
	if (walk.edits != NULL)
		edits_free(walk.edits);
	ruling_free(walk.ruling);
	structure_free(walk.structure);
	g_free(walk.detail);
	return answer;
}
