/*
 * decide_inbound - what becomes of mail from outside: see decide_inbound.h.
 */
#include "milter/policy/decide_inbound.h"

static void
plan_row(struct plan *plan, enum outcome outcome, enum decide_row row)
{
	plan->outcome = outcome;
	plan->row = plan->encrypt_row = plan->sign_row = row;
}

/*
 * A refusal is an answer to the sender. Mail that nobody wrote gets none, and leaves its text here;
 * where a key was tried, no answer may tell what came of it: it is held.
 */
static void
plan_refuse(struct plan *plan, const struct message_facts *m, const struct recipient_facts *r,
	    enum decide_row refused, enum decide_row held)
{
	if (r->key_named)
		plan_row(plan, OUTCOME_READ, held);
	else if (m->null_sender)
		plan_row(plan, OUTCOME_CUT, ROW_INBOUND_CUT);
	else
		plan_row(plan, OUTCOME_REFUSE, refused);
}

/* The same where the recipient has said what is to become of it. */
static void
plan_finding(struct plan *plan, const struct message_facts *m, const struct recipient_facts *r,
	     enum on_finding wish, enum decide_row refused, enum decide_row held)
{
	if (wish == ON_FINDING_REJECT && !r->key_named && !m->null_sender)
		plan_row(plan, OUTCOME_REFUSE, refused);
	else
		plan_row(plan, OUTCOME_READ, held);
}

static void
plan_closed(struct plan *plan, const struct message_facts *m, const struct recipient_facts *r)
{
	if (r->decrypt_off)
		plan_row(plan, OUTCOME_LEAVE, ROW_INBOUND_DECRYPT_OFF);
	else if (r->on_undecryptable == ON_FINDING_DELIVER)
		plan_row(plan, OUTCOME_READ, ROW_INBOUND_CLOSED);
	else
		plan_finding(plan, m, r, r->on_undecryptable, ROW_INBOUND_CLOSED_REFUSED,
			     ROW_INBOUND_CLOSED_HELD);
}

/* Read to the end. */
static void
plan_read(struct plan *plan, const struct message_facts *m, const struct recipient_facts *r)
{
	gboolean valid = r->verdict == MAIL_VALID;
	gboolean opened = r->inbound == INBOUND_OPENED;

	if (r->signature_claimed && !valid && r->on_invalid_signature != ON_FINDING_DELIVER)
		plan_finding(plan, m, r, r->on_invalid_signature, ROW_INBOUND_INVALID_REFUSED,
			     ROW_INBOUND_INVALID_HELD);
	else if (r->html != OPENED_HTML_NONE && r->unauthenticated_html == UNAUTHENTICATED_HOLD)
		plan_row(plan, OUTCOME_READ, ROW_INBOUND_HTML_HELD);
	else if (r->html == OPENED_HTML_UNREADABLE &&
		 r->unauthenticated_html == UNAUTHENTICATED_DEFUSE)
		plan_closed(plan, m, r);
	else if (opened)
		plan_row(plan, OUTCOME_READ, ROW_INBOUND_OPENED);
	else if (valid)
		plan_row(plan, OUTCOME_READ, ROW_INBOUND_VALID);
	else
		plan_row(plan, OUTCOME_READ,
			 r->signature_claimed ? ROW_INBOUND_INVALID : ROW_INBOUND_UNSIGNED);
}

static gboolean
is_validly_signed(const struct recipient_facts *r)
{
	return (r->inbound == INBOUND_VERIFIED || r->inbound == INBOUND_OPENED) &&
	       r->verdict == MAIL_VALID;
}

void
decide_inbound(struct plan *plan, const struct message_facts *m, const struct recipient_facts *r)
{
	gboolean spoofed = m->origin != ORIGIN_TRUSTED && m->sender_internal;

	if (spoofed && r->on_spoofed != SPOOFED_INBOUND && !m->null_sender) {
		plan_row(plan, OUTCOME_REFUSE, ROW_SPOOFED_REJECT);
		return;
	}
	if (r->require_encrypted && !r->came_encrypted) {
		plan_refuse(plan, m, r, ROW_REQUIRE_ENCRYPTED, ROW_REQUIRE_HELD);
		return;
	}
	if (r->inbound == INBOUND_UNKNOWN) {
		plan_row(plan, OUTCOME_DEFER, ROW_INBOUND_UNKNOWN);
		return;
	}
	if (r->require_signed && !is_validly_signed(r)) {
		plan_refuse(plan, m, r, ROW_REQUIRE_SIGNED, ROW_REQUIRE_HELD);
		return;
	}
	switch (r->smime ? r->inbound : INBOUND_NOTHING) {
	case INBOUND_NOTHING:
		plan_row(plan, OUTCOME_LEAVE, spoofed ? ROW_SPOOFED : ROW_INBOUND);
		break;
	case INBOUND_CLOSED:
		plan_closed(plan, m, r);
		break;
	case INBOUND_VERIFIED:
	case INBOUND_OPENED:
		plan_read(plan, m, r);
		break;
	case INBOUND_UNKNOWN:
		break;
	}
}

static gboolean
is_held(enum decide_row row)
{
	return row == ROW_REQUIRE_HELD || row == ROW_INBOUND_CLOSED_HELD ||
	       row == ROW_INBOUND_INVALID_HELD || row == ROW_INBOUND_HTML_HELD;
}

static gboolean
is_stripped(const struct recipient_facts *r)
{
	switch (r->keep_signature) {
	case KEEP_SIGNATURE:
		return FALSE;
	case KEEP_REMOVE_VALID:
		return r->signature_removable && r->verdict == MAIL_VALID;
	case KEEP_REMOVE:
		return r->signature_removable;
	}
	return FALSE;
}

void
decide_inbound_shape(struct plan *plan, const struct recipient_facts *r)
{
	if (plan->outcome != OUTCOME_READ)
		return;
	if (is_held(plan->row)) {
		plan->quarantine = TRUE;
		return;
	}
	plan->results = TRUE;
	if (plan->row == ROW_INBOUND_CLOSED) {
		plan->headers_only = TRUE;
		return;
	}
	plan->opening = r->opening;
	plan->tag_set = r->tag_set;
	plan->open = plan->headers_only = r->inbound == INBOUND_OPENED;
	plan->strip = is_stripped(r);
	plan->defuse =
	    r->html != OPENED_HTML_NONE && r->unauthenticated_html == UNAUTHENTICATED_DEFUSE;
}
