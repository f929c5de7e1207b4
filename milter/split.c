/*
 * split - the ledger's side of handing copies over; see split.h. The other side is delivery.c.
 *
 * What the mail server has taken and the database did not write down is kept in memory, so that a
 * database that goes away after the server's 250 costs no second copy while this process lives.
 */
#include "milter/split.h"

#include "milter/envelope.h"
#include "milter/gateway.h"
#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/notice.h"
#include "milter/policy/origin.h"
#include "milter/policy/reply.h"
#include "milter/policy/ruling.h"
#include "milter/session.h"
#include "milter/split_journey.h"
#include "milter/split_report.h"
#include "store/base/error.h"
#include "store/config/settings.h"

struct split *
split_new(struct gateway *gateway)
{
	struct split *split = g_new0(struct split, 1);

	split->gateway = gateway;
	split->memory = split_memory_new(gateway->db);
	return split;
}

void
split_free(struct split *split)
{
	if (split == NULL)
		return;
	split_memory_free(split->memory);
	g_free(split);
}

gboolean
split_settings_check(const struct settings *settings, GError **error)
{
	if (*settings->reinject_address != '\0' &&
	    !smtp_address_check(settings->reinject_address, error)) {
		g_prefix_error(error, "reinject_address: ");
		return FALSE;
	}
	return origin_networks_check("reinject_networks",
				     (const char *const *)settings->reinject_networks, error);
}

/* ---- copies --------------------------------------------------------------------------------- */

static enum origin
origin_of(const struct split_request *request)
{
	return request->ruling != NULL ? request->ruling->gathered->facts.origin : ORIGIN_UNTRUSTED;
}

/* FALSE: the outcome is decided. */
static gboolean
stop_defer(struct journey *journey, enum reason reason, const char *detail)
{
	journey->report->outcome = SPLIT_DEFER;
	journey->report->reason = reason;
	split_report_detail(journey->report, detail);
	return FALSE;
}

/* index G_MAXUINT: all of them. */
static gboolean
stop_reply(struct journey *journey, guint index, const struct smtp_reply *answer)
{
	const struct envelope *envelope = journey->request->message->envelope;
	const struct envelope_recipient *recipient =
	    index < journey->count ? g_ptr_array_index(envelope->recipients, index) : NULL;
	g_autofree char *text = smtp_reply_text(answer);

	journey->report->outcome = SPLIT_REPLY;
	journey->report->reason = REASON_REFUSED_COPY;
	journey->report->reply = split_report_reply(
	    answer, recipient != NULL ? recipient->address : NULL, origin_of(journey->request));
	split_report_detail(journey->report, text);
	return FALSE;
}

/* Recipients of copies by their state. FALSE: decided. */
static gboolean
sort_states(struct journey *journey, const GArray *targets)
{
	for (guint i = 0; i < targets->len; i++) {
		guint index = g_array_index(targets, guint, i);

		switch (journey->keys[index].state) {
		case LEDGER_NEW:
			break;
		case LEDGER_REPEATED:
			journey->gone = TRUE;
			break;
		case LEDGER_COMPLETED:
			journey->gone = TRUE;
			journey->report->skipped++;
			break;
		case LEDGER_HELD:
			return stop_defer(journey, REASON_DEFERRED_UNDER_WAY, NULL);
		}
	}
	return TRUE;
}

static gboolean
claim_copies(struct journey *journey, GError **error)
{
	g_autofree gboolean *is_target = g_new0(gboolean, journey->count + 1);
	g_autoptr(GArray) targets = g_array_new(FALSE, FALSE, sizeof(guint));

	for (guint c = 0; c < journey->request->copies->len; c++) {
		const struct split_copy *copy = g_ptr_array_index(journey->request->copies, c);

		for (guint m = 0; m < copy->group->members->len; m++) {
			guint index = g_array_index(copy->group->members, guint, m);

			is_target[index] = TRUE;
			g_array_append_val(targets, index);
		}
	}
	journey->report->reason = REASON_DEFERRED_STORE;
	return journey_claim(journey, targets, error) && sort_states(journey, targets) &&
	       journey_look(journey, is_target, journey->report->served, error);
}

static gboolean
make_parcels(struct journey *journey, GError **error)
{
	const struct session_message *message = journey->request->message;

	for (guint c = 0; c < journey->request->copies->len; c++) {
		const struct split_copy *copy = g_ptr_array_index(journey->request->copies, c);
		g_autoptr(GArray) members = g_array_new(FALSE, FALSE, sizeof(guint));

		for (guint m = 0; m < copy->group->members->len; m++) {
			guint index = g_array_index(copy->group->members, guint, m);

			if (journey->claimed[index])
				g_array_append_val(members, index);
		}
		if (members->len == 0)
			continue;
		struct parcel *parcel =
		    parcel_new(copy->edits, message->headers, message->body, error);
		if (parcel == NULL)
			return FALSE;
		parcel->headers_only = copy->decrypted;
		parcel_address(parcel, message->envelope, members);
		g_ptr_array_add(journey->parcels, parcel);
	}
	return TRUE;
}

static guint
member(const struct parcel *parcel, guint i)
{
	return g_array_index(parcel->members, guint, i);
}

/* Before anything has gone out: nothing may be refused later that can be known now. */
static gboolean
check_part(struct journey *journey, const struct parcel *parcel, guint first,
	   const struct delivery_result *result, guint count)
{
	const struct smtp_reply *later = NULL;
	guint kind = result->message.code / 100;

	if (kind == 5)
		return stop_reply(journey, G_MAXUINT, &result->message);
	if (kind != 0)
		later = &result->message;
	for (guint i = 0; later == NULL && i < count; i++) {
		kind = result->recipients[i].code / 100;
		if (kind == 5)
			return stop_reply(journey, member(parcel, first + i),
					  &result->recipients[i]);
	}
	for (guint i = 0; later == NULL && i < count; i++)
		if (result->recipients[i].code / 100 != 2)
			later = &result->recipients[i];
	if (later == NULL)
		return TRUE;
	g_autofree char *text = smtp_reply_text(later);
	return stop_defer(journey, REASON_DEFERRED_LISTENER, text);
}

static gboolean
try_parcels(struct journey *journey, GError **error)
{
	gboolean good = TRUE;

	for (guint p = 0; good && p < journey->parcels->len; p++) {
		const struct parcel *parcel = g_ptr_array_index(journey->parcels, p);
		guint count;

		for (guint first = 0; good && first < parcel->members->len; first += count) {
			struct delivery_result result = { 0 };

			count = MIN(parcel->members->len - first, SMTP_RECIPIENTS_MAX);
			good =
			    delivery_try(journey->delivery, parcel, first, count, &result, error) &&
			    check_part(journey, parcel, first, &result, count);
			delivery_result_clear(&result);
		}
	}
	return good;
}

static gboolean
check_sizes(struct journey *journey)
{
	guint64 limit = delivery_size_max(journey->delivery);

	for (guint p = 0; p < journey->parcels->len; p++) {
		const struct parcel *parcel = g_ptr_array_index(journey->parcels, p);

		if (limit == 0 || parcel->size <= limit || journey->gone)
			continue; /* after something has gone out the server's answer counts */
		journey->report->outcome = SPLIT_REPLY;
		journey->report->reason = REASON_REFUSED_SIZE;
		journey->report->reply =
		    reply_of_reason(REASON_REFUSED_SIZE, origin_of(journey->request));
		return FALSE;
	}
	return TRUE;
}

/* Answers of one transaction. FALSE: decided, or *error. */
static gboolean
take_result(struct journey *journey, const struct parcel *parcel, guint first, guint count,
	    const struct delivery_result *result, GError **error)
{
	g_autoptr(GArray) taken = g_array_new(FALSE, FALSE, sizeof(guint));
	guint kind = result->message.code / 100;

	/* Without a 250 nobody has it; with nothing gone out one refusal is everybody's. */
	if (kind != 2 && !journey->gone && !check_part(journey, parcel, first, result, count))
		return FALSE;
	for (guint i = 0; i < count; i++) {
		const struct smtp_reply *own = &result->recipients[i];
		const struct smtp_reply *answer =
		    own->code / 100 == 2 || own->code == 0 ? &result->message : own;
		guint index = member(parcel, first + i);

		if (answer->code / 100 == 5) {
			split_report_refuse(journey->report, index, answer);
		} else if (answer->code / 100 == 2) {
			journey->report->injected++;
			journey->report->repeated += journey->keys[index].state == LEDGER_REPEATED;
			g_array_append_val(taken, index);
		} else {
			g_autofree char *text = smtp_reply_text(answer);

			return stop_defer(journey, REASON_DEFERRED_LISTENER, text);
		}
	}
	return taken->len == 0 || journey_complete(journey, taken, &result->message, error);
}

static gboolean
send_part(struct journey *journey, struct parcel *parcel, guint first, guint count, GError **error)
{
	struct delivery_result result = { 0 };
	gboolean good =
	    delivery_send(journey->delivery, parcel, first, count, !journey->gone, &result, error);

	if (!good && result.sent)
		for (guint i = 0; i < count; i++)
			journey->uncertain[member(parcel, first + i)] = TRUE;
	good = good && take_result(journey, parcel, first, count, &result, error);
	delivery_result_clear(&result);
	return good;
}

static gboolean
send_parcels(struct journey *journey, GError **error)
{
	for (guint p = 0; p < journey->parcels->len; p++) {
		struct parcel *parcel = g_ptr_array_index(journey->parcels, p);
		guint count;

		for (guint first = 0; first < parcel->members->len; first += count) {
			count = MIN(parcel->members->len - first, SMTP_RECIPIENTS_MAX);
			if (!send_part(journey, parcel, first, count, error))
				return FALSE;
		}
	}
	return TRUE;
}

static gboolean
walk_copies(struct journey *journey, GError **error)
{
	if (!claim_copies(journey, error))
		return FALSE;
	journey->report->reason = REASON_DEFERRED_LISTENER;
	if (!make_parcels(journey, error))
		return FALSE;
	if (journey->parcels->len == 0)
		return TRUE;
	return journey_connect(journey, error) && check_sizes(journey) &&
	       (journey->gone || try_parcels(journey, error)) && send_parcels(journey, error);
}

gboolean
split_send(struct split *split, const struct split_request *request, struct split_report *report,
	   GError **error)
{
	const struct settings *settings = gateway_settings(split->gateway);
	struct journey journey = { 0 };
	g_autoptr(GError) why = NULL;
	gboolean good;

	split_report_init(report);
	if (*settings->reinject_address == '\0') {
		report->reason = REASON_DEFERRED_DIFFERENT;
		return TRUE;
	}
	if (request->copies->len > (guint64)settings->bcc_copies_max) {
		report->reason = REASON_DEFERRED_COPIES;
		return TRUE;
	}
	good = journey_begin(&journey, split, request, &why);
	journey.report = report;
	good = good && walk_copies(&journey, &why);
	if (journey.keys != NULL)
		journey_release(&journey);
	journey_clear(&journey);
	if (good)
		report->outcome = SPLIT_DONE;
	if (why == NULL)
		return TRUE;
	report->outcome = SPLIT_DEFER;
	split_report_detail(report, why->message);
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

/* ---- the rest of a message's life ----------------------------------------------------------- */

gboolean
split_served(struct split *split, const struct split_request *request, GArray *served,
	     GError **error)
{
	struct journey journey = { 0 };
	gboolean any, good;

	if (*gateway_settings(split->gateway)->reinject_address == '\0')
		return TRUE;
	if (!split_memory_any(split->memory, &any, error)) {
		/* One recipient can have been served only if a client takes a message apart
		 * between two tries: that is no reason to stop all mail with the database. */
		if (request->message->envelope->recipients->len > 1)
			return FALSE;
		g_clear_error(error);
		any = FALSE;
	}
	if (!any)
		return TRUE;
	good = journey_begin(&journey, split, request, error) &&
	       journey_look(&journey, NULL, served, error);
	journey_clear(&journey);
	return good;
}

gboolean
split_accepted(struct split *split, const struct split_request *request, GError **error)
{
	struct journey journey = { 0 };
	gboolean good = journey_begin(&journey, split, request, error) &&
			ledger_forget(split->gateway->db, journey.keys, journey.count + 1, error);

	if (good)
		split_memory_remove(split->memory, journey.keys, journey.count + 1);
	journey_clear(&journey);
	return good;
}

static gboolean
send_notice(struct journey *journey, const struct notice *notice, GError **error)
{
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(spool) struct spool *body = NULL;
	CLEANUP(edits) struct edits *edits = edits_new();
	g_autoptr(GArray) indices = g_array_new(FALSE, FALSE, sizeof(guint));
	struct delivery_result result = { 0 };
	gboolean good;

	g_array_append_val(indices, journey->count);
	if (!journey_claim(journey, indices, error))
		return FALSE;
	if (journey->keys[journey->count].state == LEDGER_COMPLETED)
		return TRUE;
	if (journey->keys[journey->count].state == LEDGER_HELD)
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "another try of this message is under way");
	if (!notice_write(notice, journey->request->area, &headers, &body, error))
		return FALSE;
	CLEANUP(parcel) struct parcel *parcel = parcel_new(edits, headers, body, error);
	if (parcel == NULL || !journey_connect(journey, error))
		return FALSE;
	parcel_address_notice(parcel, journey->request->message->envelope->sender);
	good = delivery_send(journey->delivery, parcel, 0, 1, TRUE, &result, error);
	journey->uncertain[journey->count] = result.sent;
	if (result.message.code / 100 == 2) {
		good = journey_complete(journey, indices, &result.message, error);
	} else if (good) {
		g_autofree char *text = smtp_reply_text(
		    result.message.code != 0 ? &result.message : &result.recipients[0]);

		good = fail_false(error, PS_ERROR_TEMPORARY,
				  "the mail server does not take a notice to the sender: %s", text);
	}
	delivery_result_clear(&result);
	return good;
}

gboolean
split_notify(struct split *split, const struct split_request *request, const struct notice *notice,
	     GError **error)
{
	struct split_report report = { 0 };
	struct journey journey = { 0 };
	gboolean good;

	if (!notice_wanted(notice))
		return TRUE;
	if (*gateway_settings(split->gateway)->reinject_address == '\0')
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "reinject_address is empty: a notice cannot be sent");
	split_report_init(&report);
	good = journey_begin(&journey, split, request, error);
	journey.report = &report;
	good = good && send_notice(&journey, notice, error);
	if (journey.keys != NULL)
		journey_release(&journey);
	journey_clear(&journey);
	split_report_clear(&report);
	return good;
}
