/*
 * process - the walk of one message; see process.h.
 */
#include "milter/process.h"

#include "milter/acme_mail.h"
#include "milter/apart.h"
#include "milter/copies.h"
#include "milter/envelope.h"
#include "milter/foreign.h"
#include "milter/gateway.h"
#include "milter/harvesting.h"
#include "milter/learning.h"
#include "milter/in_place.h"
#include "milter/marker.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mta.h"
#include "milter/policy/ruling.h"
#include "milter/reading.h"
#include "milter/report.h"
#include "milter/structure.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/config/settings.h"

/* One message on its walk. */
struct walk {
	const struct process *process;
	struct spool_area *area;
	const struct session_message *message;
	struct mta *mta;
	struct structure *structure;
	struct ruling *ruling;
	GPtrArray *copies;         /* of struct copy *; NULL: it did not come that far */
	const struct apart *apart; /* what was injected; NULL: nothing yet */
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
	case PS_ERROR_USAGE:
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
		.injected = walk->apart != NULL ? walk->apart->report.injected : 0,
		.queue_ids = walk->apart != NULL ? walk->apart->report.queue_ids : NULL,
		.skipped = walk->apart != NULL ? walk->apart->report.skipped : 0,
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
		.copies = walk->copies,
		.injected = walk->apart != NULL ? walk->apart->report.injected : 0,
		.queue_ids = walk->apart != NULL ? walk->apart->report.queue_ids : NULL,
		.skipped = walk->apart != NULL ? walk->apart->report.skipped : 0,
		.refused = walk->apart != NULL ? walk->apart->refused : 0,
		.reason = walk->reason,
		.size_in = walk->size_in,
		.size_out = walk->size_out,
		.detail = walk->detail,
	};

	report_message(walk->process->report, &entry);
	return SESSION_CONTINUE;
}

/* ---- the walk ------------------------------------------------------------------------------- */

static const struct copy *
copy_in_place(const struct walk *walk)
{
	return g_ptr_array_index(walk->copies, walk->ruling->groups->in_place);
}

/* FALSE: answered, with *answer. */
static gboolean
make_copies(struct walk *walk, gint64 size_max_bytes, enum session_answer *answer)
{
	const struct copies_request request = {
		.gateway = walk->process->gateway,
		.outbound = walk->process->outbound,
		.message = walk->message,
		.ruling = walk->ruling,
		.structure = walk->structure,
		.area = walk->area,
		.mta = walk->mta,
	};
	g_autoptr(GError) error = NULL;

	walk->copies = copies_make(&request, &error);
	if (walk->copies == NULL) {
		*answer = answer_reason(walk, reason_of_failure(error), error);
		return FALSE;
	}
	walk->size_out = copy_in_place(walk)->size;
	if (copies_too_large(walk->copies, size_max_bytes) == NULL)
		return TRUE;
	*answer = answer_reason(walk, REASON_REFUSED_SIZE, NULL);
	return FALSE;
}

/* Of struct split_copy *: all but the one in place. */
static GPtrArray *
copies_apart(const struct walk *walk)
{
	GPtrArray *others = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < walk->copies->len; i++) {
		const struct copy *copy = g_ptr_array_index(walk->copies, i);
		struct split_copy *other;

		if (copy == copy_in_place(walk))
			continue;
		other = g_new0(struct split_copy, 1);
		other->group = copy->group;
		other->edits = copy->edits;
		other->decrypted = copy->group->plan.headers_only;
		g_ptr_array_add(others, other);
	}
	return others;
}

static enum session_answer
answer_apart(struct walk *walk, const struct apart *apart)
{
	g_free(walk->detail);
	walk->detail = g_strdup(apart->report.detail);
	if (apart->outcome == SPLIT_REPLY && apart->reply != NULL)
		return answer_reply(walk, apart->reason, apart->reply);
	return answer_reason(walk, apart->reason, NULL);
}

/* What is not in place first; a failure after it costs a second try and no second copy. */
static enum session_answer
hand_over(struct walk *walk, const struct apart_request *request, struct apart *apart)
{
	g_autoptr(GError) error = NULL;
	gboolean dealt = apart_deal(request, apart, &error);

	walk->apart = apart;
	if (!dealt) {
		enum reason reason = reason_of_failure(error);

		return answer_reason(
		    walk, reason == REASON_DEFERRED_INTERNAL ? apart->reason : reason, error);
	}
	if (apart->outcome != SPLIT_DONE)
		return answer_apart(walk, apart);
	if (!apart->nobody && !in_place_hand_over(walk->mta, walk->message->envelope, apart->gone,
						  copy_in_place(walk), &error))
		return answer_reason(walk, reason_of_failure(error), error);
	if (!apart_accepted(request, apart, &error))
		return answer_reason(walk, REASON_DEFERRED_STORE, error);
	return apart->nobody ? SESSION_DISCARD : SESSION_CONTINUE;
}

static enum session_answer
follow_ruling(struct walk *walk)
{
	const struct ruling *ruling = walk->ruling;
	const struct settings *settings = gateway_settings(walk->process->gateway);
	g_autoptr(GPtrArray) others = NULL;
	struct split_request message = {
		.message = walk->message, .ruling = ruling, .mta = walk->mta, .area = walk->area
	};
	struct apart_request request = { .split = walk->process->split,
					 .message = &message,
					 .host = report_host(walk->process->report),
					 .now = clock_now(walk->process->gateway->clock) };
	struct apart apart;
	enum session_answer answer;

	walk->reason = ruling->groups->reason;
	if (ruling->reply != NULL)
		return answer_reply(walk, ruling->groups->reason, ruling->reply);
	if (ruling->count == 0)
		return answer_accept(walk);
	if (!make_copies(walk, settings->message_size_max, &answer))
		return answer;
	others = copies_apart(walk);
	message.copies = others;
	answer = hand_over(walk, &request, &apart);
	if (answer == SESSION_CONTINUE || answer == SESSION_DISCARD)
		(void)answer_accept(walk);
	walk->apart = NULL;
	apart_clear(&apart);
	return answer;
}

/* ---- our own copy that comes back ----------------------------------------------------------- */

static enum marker_check
check_marker(const struct walk *walk, GError **error)
{
	struct gateway *gateway = walk->process->gateway;
	const struct envelope *envelope = walk->message->envelope;
	g_autofree const char **recipients = g_new0(const char *, envelope->recipients->len);
	const struct marker_subject subject = {
		.sender = envelope->sender,
		.recipients = recipients,
		.count = envelope->recipients->len,
		.body = walk->message->body,
	};

	for (guint i = 0; i < subject.count; i++)
		recipients[i] =
		    ((struct envelope_recipient *)envelope->recipients->pdata[i])->address;
	return marker_verify(gateway->keyring, gateway->db, gateway_settings(gateway),
			     walk->message->headers, envelope->client_address, &subject,
			     clock_now(gateway->clock), error);
}

/* FALSE with *error: it could not be found out. A marker that does not count is one of a stranger:
 * it is deleted, and the message is like any other. */
static gboolean
is_ours(const struct walk *walk, gboolean *ours, GError **error)
{
	enum marker_check check = check_marker(walk, error);

	*ours = check == MARKER_GOOD;
	if (check != MARKER_NONE && check != MARKER_GOOD && check != MARKER_UNKNOWN)
		log_warning("a marker that does not count", "queue_id",
			    walk->message->envelope->queue_id, "why", marker_check_text(check));
	return check != MARKER_UNKNOWN;
}

/* ---- a challenge of an ACME server that an order of ours waits for --------------------------- */

/* TRUE: it is one, and is answered with *answer. */
static gboolean
is_challenge(struct walk *walk, enum session_answer *answer)
{
	const char *why;
	enum acme_mail found = acme_mail_look(walk->process->gateway, walk->message, &why);

	if (why != NULL) {
		g_free(walk->detail);
		walk->detail = g_strdup(why);
	}
	switch (found) {
	case ACME_MAIL_NOT:
		if (why != NULL)
			log_warning("looks like a challenge of ACME, and is delivered", "queue_id",
				    walk->message->envelope->queue_id, "why", why);
		return FALSE;
	case ACME_MAIL_TAKEN:
		walk->reason = REASON_ANSWERED_ACME;
		(void)answer_accept(walk);
		*answer = SESSION_DISCARD;
		return TRUE;
	case ACME_MAIL_EARLY:
	case ACME_MAIL_UNKNOWN:
		break;
	}
	*answer = answer_reason(walk, REASON_DEFERRED_ACME, NULL);
	return TRUE;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static enum session_answer
walk_message(struct walk *walk)
{
	const struct session_message *message = walk->message;
	struct message_source source = {
		.envelope = message->envelope,
		.headers = message->headers,
		.body = message->body,
		.area = walk->area,
		.failures = walk->process->failures,
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
	if (!is_ours(walk, &source.reinjected, &error))
		return answer_reason(walk, REASON_DEFERRED_STORE, error);
	enum session_answer answer;
	if (!source.reinjected && is_challenge(walk, &answer))
		return answer;
	walk->ruling = ruling_make(walk->process->gateway, &source, &error);
	if (walk->ruling == NULL)
		return answer_reason(walk,
				     error->code == PS_ERROR_TEMPORARY ? REASON_DEFERRED_STORE
								       : reason_of_failure(error),
				     error);
	return follow_ruling(walk);
}

/* The author needs a certificate, whether or not the message goes without. */
static void
request(const struct walk *walk)
{
	const struct ruling *ruling = walk->ruling;
	gboolean wanted = FALSE;

	for (guint i = 0; ruling != NULL && i < ruling->count; i++)
		wanted |= ruling->plans[i].request;
	if (wanted)
		learning_requests(walk->process->learning, ruling->gathered->author);
}

/* The message is through: what it tells about certificates is kept. */
static void
learn(const struct walk *walk)
{
	struct harvest *harvest = walk->process->harvest;
	struct gateway *gateway = walk->process->gateway;
	const GPtrArray *openings;
	gboolean protects = FALSE;

	if (harvest == NULL)
		return;
	for (guint i = 0; walk->copies != NULL && i < walk->copies->len; i++) {
		const struct copy *copy = g_ptr_array_index(walk->copies, i);

		protects |= copy->group->plan.outcome == OUTCOME_DO;
		if (copy->made)
			harvesting_outbound(harvest, copy->group);
	}
	if (protects || walk->ruling == NULL || walk->structure == NULL)
		return;
	openings = walk->ruling->gathered->openings;
	for (guint i = 0; i < openings->len; i++) {
		const struct opening *opening = g_ptr_array_index(openings, i);

		harvesting_reading(harvest, gateway, walk->ruling, opening->reading);
	}
	if (openings->len == 0)
		harvesting_inbound(harvest, gateway, walk->ruling, walk->structure);
}

/* What it tells about its author's programs, and whose answers will carry what was decrypted. */
static void
remember(const struct walk *walk)
{
	struct learning *learning = walk->process->learning;
	const struct ruling *ruling = walk->ruling;

	for (guint i = 0; ruling != NULL && i < ruling->gathered->openings->len; i++) {
		const struct opening *opening = ruling->gathered->openings->pdata[i];

		if (ruling->gathered->facts.origin != ORIGIN_REINJECTED)
			learning_reading(learning, opening->reading);
	}
	for (guint i = 0; ruling != NULL && i < ruling->count; i++) {
		const struct gathered_recipient *recipient = ruling->gathered->recipients->pdata[i];

		if (ruling->plans[i].open && recipient->address != NULL)
			learning_decrypted(learning, walk->message->headers, recipient->address);
	}
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

	if (answer == SESSION_CONTINUE || answer == SESSION_DISCARD) {
		learn(&walk);
		remember(&walk);
	}
	request(&walk);
	if (walk.copies != NULL)
		g_ptr_array_unref(walk.copies);
	ruling_free(walk.ruling);
	structure_free(walk.structure);
	g_free(walk.detail);
	return answer;
}
