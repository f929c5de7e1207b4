/* decide - see decide.h. */
#include "milter/policy/decide.h"

#include <string.h>

#include "milter/policy/decide_inbound.h"

/* One half of a plan, encryption or signature, before size and the other half are looked at. */
struct half {
	enum need need;
	enum outcome outcome;
	enum decide_row row;
};

static const struct {
	enum reason reason;
	const char *text;
} rows[] = {
#define ROW(id, reason, text) { REASON_##reason, text },
#include "milter/policy/rows.def"
#undef ROW
};

static struct half
half_of(enum need need, enum outcome outcome, enum decide_row row)
{
	return (struct half){ need, outcome, row };
}

/* Mail that nobody wrote is never refused nor deferred by policy: its text is cut instead... */
static struct half
encrypt_softened(const struct message_facts *m, struct half half)
{
	if (!m->null_sender || half.outcome <= OUTCOME_DO)
		return half;
	return half_of(half.need, OUTCOME_CUT, ROW_NULL_SENDER_CUT);
}

/* ... and a signature left out. */
static struct half
sign_softened(const struct message_facts *m, struct half half)
{
	if (!m->null_sender || half.outcome <= OUTCOME_DO)
		return half;
	return half_of(half.need, OUTCOME_LEAVE, ROW_NULL_SENDER);
}

enum direction
decide_direction(const struct message_facts *m, const struct recipient_facts *r)
{
	gboolean internal = r->locality == LOCALITY_INTERNAL;

	switch (m->origin) {
	case ORIGIN_REINJECTED:
		return DIRECTION_LEAVE;
	case ORIGIN_TRUSTED:
		if (!m->sender_internal)
			return internal ? DIRECTION_INBOUND : DIRECTION_RELAY;
		if (internal && !m->protect_internal && !r->protect_internal)
			return DIRECTION_LEAVE;
		return DIRECTION_OUTBOUND;
	case ORIGIN_UNTRUSTED:
		break;
	}
	return internal ? DIRECTION_INBOUND : DIRECTION_RELAY;
}

static enum need
encrypt_need_of(enum encrypt_mode mode, gboolean trigger)
{
	switch (mode) {
	case ENCRYPT_NONE:
		return NEED_NO;
	case ENCRYPT_ALLOW:
		return trigger ? NEED_MUST : NEED_NO;
	case ENCRYPT_OPPORTUNISTIC:
		return trigger ? NEED_MUST : NEED_TRY;
	case ENCRYPT_FORCE:
		return NEED_MUST;
	}
	return NEED_MUST;
}

/*
 * reply_encrypt: an answer carries what was decrypted for its author. With allow it is encrypted
 * where it can be, as far as the sending side lets encryption in at all; with force it must be.
 */
static enum encrypt_mode
answer_mode_of(const struct message_facts *m)
{
	switch (m->reply_encrypt) {
	case REPLY_OFF:
		return m->encrypt_mode;
	case REPLY_ALLOW:
		return m->encrypt_mode == ENCRYPT_NONE
			   ? ENCRYPT_NONE
			   : MAX(m->encrypt_mode, ENCRYPT_OPPORTUNISTIC);
	case REPLY_FORCE:
		break;
	}
	return ENCRYPT_FORCE;
}

/* Triggers count from trusted origin only. In relayed mail a stranger's plain trigger must not
 * lower what the recipient asks for, while his wish for encryption is heard. */
static gboolean
encrypt_trigger_counts(const struct message_facts *m)
{
	return m->encrypt_trigger && m->origin == ORIGIN_TRUSTED;
}

static gboolean
plain_trigger_counts(const struct message_facts *m, enum direction direction)
{
	return m->plain_trigger && !m->encrypt_trigger && m->origin == ORIGIN_TRUSTED &&
	       direction == DIRECTION_OUTBOUND;
}

static gboolean
foreign_encryption_accepted(const struct message_facts *m, const struct recipient_facts *r)
{
	switch (m->accept_foreign) {
	case ACCEPT_FOREIGN_PARSED:
		return TRUE;
	case ACCEPT_FOREIGN_MATCHING:
		return r->foreign_matching;
	case ACCEPT_FOREIGN_NO:
		break;
	}
	return FALSE;
}

/* Step 5 for encryption: need x ability. */
static struct half
encrypt_by_ability(const struct message_facts *m, const struct recipient_facts *r, enum need need)
{
	switch (r->certificate) {
	case ABLE_YES:
		if (r->additional_missing && r->additional_required && !m->null_sender)
			return half_of(need, OUTCOME_DEFER, ROW_ENCRYPT_ADDITIONAL);
		return half_of(need, OUTCOME_DO,
			       need == NEED_MUST ? ROW_ENCRYPT_MUST : ROW_ENCRYPT_TRY);
	case ABLE_NO:
		if (need == NEED_TRY)
			return half_of(need, OUTCOME_LEAVE, ROW_ENCRYPT_TRY_NO_CERTIFICATE);
		return half_of(need, OUTCOME_REFUSE, ROW_ENCRYPT_MUST_NO_CERTIFICATE);
	case ABLE_UNKNOWN:
		break;
	}
	return half_of(need, OUTCOME_DEFER,
		       r->directory_open ? ROW_ENCRYPT_DIRECTORY : ROW_ENCRYPT_UNKNOWN);
}

static struct half
encrypt_protected(const struct message_facts *m, const struct recipient_facts *r, enum need need)
{
	if (need != NEED_MUST)
		return half_of(need, OUTCOME_LEAVE, ROW_ENCRYPT_PROTECTED);
	if (foreign_encryption_accepted(m, r))
		return half_of(need, OUTCOME_LEAVE, ROW_ENCRYPT_PROTECTED_ACCEPTED);
	return half_of(need, OUTCOME_REFUSE, ROW_ENCRYPT_PROTECTED_REFUSED);
}

static struct half
encrypt_by_need(const struct message_facts *m, const struct recipient_facts *r,
		enum direction direction, enum need need)
{
	if (need == NEED_MUST && m->content_type_ambiguous && !m->null_sender)
		return half_of(need, OUTCOME_REFUSE, ROW_ENCRYPT_AMBIGUOUS);
	if (m->arrived == ARRIVED_ENCRYPTED)
		return encrypt_protected(m, r, need);
	if (need == NEED_NO && encrypt_trigger_counts(m))
		return m->trigger_when_off == TRIGGER_OFF_IGNORE
			   ? half_of(need, OUTCOME_LEAVE, ROW_ENCRYPT_TRIGGER_IGNORED)
			   : half_of(need, OUTCOME_REFUSE, ROW_ENCRYPT_TRIGGER_OFF);
	if (need == NEED_NO)
		return half_of(need, OUTCOME_LEAVE, ROW_ENCRYPT_NOT_WANTED);
	if (need == NEED_TRY && plain_trigger_counts(m, direction))
		return half_of(NEED_NO, OUTCOME_LEAVE, ROW_ENCRYPT_PLAIN_TRIGGER);
	if (need == NEED_TRY && m->calendar && r->calendar != CALENDAR_NORMAL)
		return half_of(NEED_NO, OUTCOME_LEAVE, ROW_ENCRYPT_CALENDAR);
	return encrypt_by_ability(m, r, need);
}

/* Nobody knows whether it is an answer: that is no matter where both would end alike. */
static struct half
encrypt_if_answer(const struct half *without, const struct half *answer)
{
	if (answer->outcome == without->outcome || answer->outcome == OUTCOME_LEAVE)
		return *answer;
	return half_of(answer->need, OUTCOME_DEFER, ROW_ENCRYPT_ANSWER_UNKNOWN);
}

static struct half
encrypt_half(const struct message_facts *m, const struct recipient_facts *r,
	     enum direction direction)
{
	gboolean trigger = encrypt_trigger_counts(m);
	gboolean sender_asks = direction == DIRECTION_OUTBOUND && m->smime;
	enum need theirs = encrypt_need_of(r->smime ? r->encrypt_mode : ENCRYPT_NONE, trigger);
	enum need ours = sender_asks ? encrypt_need_of(m->encrypt_mode, trigger) : NEED_NO;
	enum need answered = sender_asks ? encrypt_need_of(answer_mode_of(m), trigger) : NEED_NO;
	struct half without = encrypt_by_need(m, r, direction, MAX(ours, theirs));
	struct half answer;

	if (m->answer == ABLE_NO)
		return without;
	answer = encrypt_by_need(m, r, direction, MAX(answered, theirs));
	return m->answer == ABLE_YES ? answer : encrypt_if_answer(&without, &answer);
}

/*
 * Step 4 for the signature; only `need` and, with NEED_NO, `row` count. What lowers if-possible
 * lowers it to when-encrypted and not below: a stricter preference never gives the weaker copy.
 */
static struct half
sign_need_of(const struct message_facts *m, const struct recipient_facts *r, gboolean encrypted)
{
	gboolean plain = plain_trigger_counts(m, DIRECTION_OUTBOUND) && !m->sign_trigger;

	switch (m->smime ? m->sign_mode : SIGN_NEVER) {
	case SIGN_NEVER:
		return half_of(NEED_NO, OUTCOME_LEAVE,
			       m->sign_trigger ? ROW_SIGN_NEVER_TRIGGER : ROW_SIGN_NEVER);
	case SIGN_WHEN_ENCRYPTED:
		if (m->sign_trigger)
			break;
		return half_of(encrypted ? NEED_TRY : NEED_NO, OUTCOME_LEAVE,
			       ROW_SIGN_NOT_ENCRYPTED);
	case SIGN_IF_POSSIBLE:
		if (m->sign_trigger)
			break;
		if (plain && !encrypted)
			return half_of(NEED_NO, OUTCOME_LEAVE, ROW_SIGN_PLAIN_TRIGGER);
		if (m->calendar && r->calendar == CALENDAR_PLAIN && !encrypted)
			return half_of(NEED_NO, OUTCOME_LEAVE, ROW_SIGN_CALENDAR);
		return half_of(NEED_TRY, OUTCOME_LEAVE, ROW_SIGN_TRY);
	case SIGN_REQUIRED:
		break;
	}
	return half_of(NEED_MUST, OUTCOME_REFUSE, ROW_SIGN_MUST);
}

static struct half
sign_by_author(const struct message_facts *m, enum need need)
{
	static const enum decide_row try_rows[AUTHOR_STATE_COUNT] = {
		[AUTHOR_NONE] = ROW_AUTHOR_NONE_TRY,
		[AUTHOR_EXTERNAL] = ROW_AUTHOR_EXTERNAL_TRY,
		[AUTHOR_RESENT] = ROW_AUTHOR_RESENT_TRY,
		[AUTHOR_LOGIN] = ROW_AUTHOR_LOGIN_TRY,
		[AUTHOR_SENDER] = ROW_AUTHOR_SENDER_TRY,
		[AUTHOR_NO_LOGIN] = ROW_AUTHOR_NO_LOGIN_TRY,
	};
	static const enum decide_row must_rows[AUTHOR_STATE_COUNT] = {
		[AUTHOR_NONE] = ROW_AUTHOR_NONE_MUST,
		[AUTHOR_EXTERNAL] = ROW_AUTHOR_EXTERNAL_MUST,
		[AUTHOR_RESENT] = ROW_AUTHOR_RESENT_MUST,
		[AUTHOR_LOGIN] = ROW_AUTHOR_LOGIN_MUST,
		[AUTHOR_SENDER] = ROW_AUTHOR_SENDER_MUST,
		[AUTHOR_NO_LOGIN] = ROW_AUTHOR_NO_LOGIN_MUST,
	};

	if (need == NEED_MUST)
		return half_of(need, OUTCOME_REFUSE, must_rows[m->author]);
	return half_of(need, OUTCOME_LEAVE, try_rows[m->author]);
}

/* No valid certificate with its key; one may have been asked for. */
static struct half
sign_without(const struct message_facts *m, enum need need)
{
	switch (m->request) {
	case REQUEST_OFF:
		return need == NEED_TRY ? half_of(need, OUTCOME_LEAVE, ROW_SIGN_TRY_NO_SIGNER)
					: half_of(need, OUTCOME_REFUSE, ROW_SIGN_MUST_NO_SIGNER);
	case REQUEST_MADE:
		return need == NEED_TRY ? half_of(need, OUTCOME_LEAVE, ROW_SIGN_TRY_REQUESTED)
					: half_of(need, OUTCOME_REFUSE, ROW_SIGN_MUST_REQUESTED);
	case REQUEST_AWAITED:
		break;
	}
	return half_of(need, OUTCOME_DEFER, ROW_SIGN_REQUEST_AWAITED);
}

/* Step 5 for the signature: need x ability. */
static struct half
sign_by_ability(const struct message_facts *m, enum need need)
{
	switch (m->signer) {
	case ABLE_YES:
		return half_of(need, OUTCOME_DO, need == NEED_MUST ? ROW_SIGN_MUST : ROW_SIGN_TRY);
	case ABLE_NO:
		return sign_without(m, need);
	case ABLE_UNKNOWN:
		break;
	}
	return half_of(need, OUTCOME_DEFER, ROW_SIGN_UNKNOWN);
}

/* Step 6: it arrived signed. */
static struct half
sign_signed(const struct message_facts *m, enum need need)
{
	if (need != NEED_MUST)
		return half_of(need, OUTCOME_LEAVE, ROW_SIGN_SIGNED);
	switch (m->foreign_signature) {
	case ABLE_YES:
		return half_of(need, OUTCOME_LEAVE, ROW_SIGN_SIGNED_VALID);
	case ABLE_UNKNOWN:
		return half_of(need, OUTCOME_DEFER, ROW_SIGN_SIGNED_UNKNOWN);
	case ABLE_NO:
		break;
	}
	return half_of(need, OUTCOME_REFUSE, ROW_SIGN_SIGNED_INVALID);
}

static struct half
sign_half(const struct message_facts *m, const struct recipient_facts *r, enum direction direction,
	  gboolean encrypted)
{
	struct half wanted;

	if (m->origin != ORIGIN_TRUSTED && m->sender_internal)
		return half_of(NEED_NO, OUTCOME_LEAVE, ROW_SIGN_UNTRUSTED);
	if (m->origin != ORIGIN_TRUSTED || direction != DIRECTION_OUTBOUND)
		return half_of(NEED_NO, OUTCOME_LEAVE, ROW_SIGN_RELAY);
	wanted = sign_need_of(m, r, encrypted);
	if (wanted.need == NEED_NO)
		return wanted;
	if (m->null_sender && !m->sign_bounces)
		return half_of(NEED_NO, OUTCOME_LEAVE, ROW_SIGN_NULL_SENDER);
	if (wanted.need == NEED_MUST && m->content_type_ambiguous && !m->null_sender)
		return half_of(wanted.need, OUTCOME_REFUSE, ROW_SIGN_AMBIGUOUS);
	if (m->arrived == ARRIVED_SIGNED)
		return sign_signed(m, wanted.need);
	if (m->author != AUTHOR_CONFIRMED)
		return sign_by_author(m, wanted.need);
	if (m->arrived == ARRIVED_ENCRYPTED) {
		if (wanted.need != NEED_MUST)
			return half_of(wanted.need, OUTCOME_LEAVE, ROW_SIGN_PROTECTED);
		return foreign_encryption_accepted(m, r)
			   ? half_of(NEED_MUST, OUTCOME_LEAVE, ROW_SIGN_PROTECTED_ACCEPTED)
			   : half_of(NEED_MUST, OUTCOME_REFUSE, ROW_SIGN_PROTECTED_REFUSED);
	}
	return sign_by_ability(m, wanted.need);
}

static gboolean
fits(const struct message_facts *m, guint64 size_bytes)
{
	return m->size_max_bytes == 0 || size_bytes <= m->size_max_bytes;
}

static struct half
sign_too_large(const struct message_facts *m, enum need need)
{
	if (need == NEED_MUST)
		return sign_softened(m, half_of(need, OUTCOME_REFUSE, ROW_SIGN_MUST_TOO_LARGE));
	return half_of(need, OUTCOME_LEAVE, ROW_SIGN_TOO_LARGE);
}

static struct half
encrypt_too_large(const struct message_facts *m, enum need need)
{
	if (need == NEED_MUST)
		return encrypt_softened(m,
					half_of(need, OUTCOME_REFUSE, ROW_ENCRYPT_MUST_TOO_LARGE));
	return half_of(need, OUTCOME_LEAVE, ROW_ENCRYPT_TOO_LARGE);
}

/*
 * Step 4, max_size, by the size that would leave: of what is wanted and possible the strongest that
 * fits is done (both, encryption alone, signature alone); if a must is not in it, refused.
 */
static void
halves_fit(const struct message_facts *m, const struct recipient_facts *r, enum direction direction,
	   struct half *encrypt, struct half *sign)
{
	gboolean encrypts = encrypt->outcome == OUTCOME_DO;
	gboolean signs = sign->outcome == OUTCOME_DO;
	guint64 wanted_bytes = !signs      ? m->sizes.encrypted_bytes
			       : !encrypts ? m->sizes.signed_bytes
					   : m->sizes.both_bytes;

	if ((!encrypts && !signs) || fits(m, wanted_bytes))
		return;
	if (encrypts && fits(m, m->sizes.encrypted_bytes)) {
		*sign = sign_too_large(m, sign->need);
		return;
	}
	if (encrypts) {
		*encrypt = encrypt_too_large(m, encrypt->need);
		/* when-encrypted asks anew, now that the copy is not */
		*sign = sign_softened(m, sign_half(m, r, direction, FALSE));
	}
	if (sign->outcome == OUTCOME_DO && !fits(m, m->sizes.signed_bytes))
		*sign = sign_too_large(m, sign->need);
}

/* Rows that say no more than that nobody asked. */
static gboolean
row_is_quiet(enum decide_row row)
{
	return rows[row].reason == REASON_PLAIN_NOT_WANTED;
}

static void
plan_decided(struct plan *plan, const struct half *encrypt, const struct half *sign)
{
	plan->outcome = MAX(encrypt->outcome, sign->outcome);
	plan->encrypt_need = encrypt->need;
	plan->sign_need = sign->need;
	plan->encrypt_row = encrypt->row;
	plan->sign_row = sign->row;
	plan->encrypt = plan->outcome == OUTCOME_DO && encrypt->outcome == OUTCOME_DO;
	plan->sign = plan->outcome == OUTCOME_DO && sign->outcome == OUTCOME_DO;
	if (plan->encrypt && plan->sign)
		plan->row = ROW_BOTH;
	else if (plan->outcome == OUTCOME_LEAVE)
		plan->row = row_is_quiet(encrypt->row) ? sign->row : encrypt->row;
	else
		plan->row = encrypt->outcome == plan->outcome ? encrypt->row : sign->row;
	/* A copy that nobody wanted protected says so, and not that its signature is never. */
	if (plan->outcome == OUTCOME_LEAVE && row_is_quiet(plan->row))
		plan->row = ROW_ENCRYPT_NOT_WANTED;
}

static void
plan_protection(struct plan *plan, const struct message_facts *m, const struct recipient_facts *r)
{
	struct half encrypt = encrypt_softened(m, encrypt_half(m, r, plan->direction));
	gboolean encrypted = encrypt.outcome == OUTCOME_DO;
	struct half sign = sign_softened(m, sign_half(m, r, plan->direction, encrypted));

	halves_fit(m, r, plan->direction, &encrypt, &sign);
	plan_decided(plan, &encrypt, &sign);
}

static void
plan_unprotected(struct plan *plan, enum outcome outcome, enum decide_row row)
{
	plan->outcome = outcome;
	plan->row = plan->encrypt_row = plan->sign_row = row;
}

/*
 * Header protection of the copy. What nobody signs cannot be signed fields; what nobody encrypts
 * hides nothing; what arrived protected has its payload already, which is not ours to change.
 */
static enum header_protection
header_protection_of(const struct plan *plan, const struct message_facts *m,
		     const struct recipient_facts *r)
{
	gboolean sender_asks = plan->direction == DIRECTION_OUTBOUND && m->smime;
	enum header_protection ours = sender_asks ? m->header_protection : HEADERS_OFF;
	enum header_protection theirs = r->smime ? r->header_protection : HEADERS_OFF;
	enum header_protection wanted = MAX(ours, theirs);

	if (m->arrived != ARRIVED_PLAIN || (!plan->sign && !plan->encrypt))
		return HEADERS_OFF;
	if (!plan->encrypt)
		return MIN(wanted, HEADERS_SIGNED);
	return plan->sign || wanted == HEADERS_SIGNED_AND_ENCRYPTED ? wanted : HEADERS_OFF;
}

/* What shapes the copy; nothing that does not, so that equal copies compare equal. */
static void
plan_shape(struct plan *plan, const struct message_facts *m, const struct recipient_facts *r)
{
	if (plan->sign) {
		plan->format = r->format;
		plan->scheme = r->scheme;
		plan->digest = m->digest;
		plan->include_chain = m->include_chain;
	}
	if (plan->encrypt) {
		plan->cipher = r->cipher;
		plan->transport = r->transport;
		plan->keys = r->keys;
		plan->additional_set = r->additional_set;
		plan->alone = !r->named || r->single;
	}
	plan->hp = header_protection_of(plan, m, r);
}

/* A stranger's From must not choose: the sending side's mode counts from trusted origin only. */
static gboolean
is_observed(const struct message_facts *m, const struct recipient_facts *r)
{
	return r->observe || (m->observe && m->origin == ORIGIN_TRUSTED);
}

static gboolean
row_requests(enum decide_row row)
{
	return row == ROW_SIGN_TRY_REQUESTED || row == ROW_SIGN_MUST_REQUESTED ||
	       row == ROW_SIGN_REQUEST_AWAITED;
}

void
decide(const struct message_facts *message, const struct recipient_facts *recipient,
       struct plan *plan)
{
	memset(plan, 0, sizeof *plan);
	plan->null_sender = message->null_sender;
	plan->direction = decide_direction(message, recipient);
	switch (plan->direction) {
	case DIRECTION_LEAVE:
		plan_unprotected(plan, OUTCOME_LEAVE,
				 message->origin == ORIGIN_REINJECTED ? ROW_REINJECTED
								      : ROW_INTERNAL);
		break;
	case DIRECTION_INBOUND:
		decide_inbound(plan, message, recipient);
		break;
	case DIRECTION_OUTBOUND:
	case DIRECTION_RELAY:
		plan_protection(plan, message, recipient);
		break;
	}
	plan->reason = rows[plan->row].reason;
	plan->request = !is_observed(message, recipient) && row_requests(plan->sign_row);
	plan->would = plan->outcome;
	plan->would_sign = plan->sign;
	plan->would_encrypt = plan->encrypt;
	if (is_observed(message, recipient)) {
		plan->observed = TRUE;
		plan->outcome = OUTCOME_LEAVE;
		plan->sign = plan->encrypt = FALSE;
	} else {
		decide_inbound_shape(plan, recipient);
	}
	plan_shape(plan, message, recipient);
}

static gboolean
plan_same_reading(const struct plan *a, const struct plan *b)
{
	return a->opening == b->opening && a->open == b->open && a->strip == b->strip &&
	       a->defuse == b->defuse && a->results == b->results && a->tag_set == b->tag_set &&
	       a->quarantine == b->quarantine && a->headers_only == b->headers_only;
}

gboolean
plan_same_copy(const struct plan *a, const struct plan *b)
{
	return a->outcome == b->outcome && a->sign == b->sign && a->encrypt == b->encrypt &&
	       a->format == b->format && a->scheme == b->scheme && a->digest == b->digest &&
	       a->include_chain == b->include_chain && a->cipher == b->cipher &&
	       a->transport == b->transport && a->keys == b->keys &&
	       a->additional_set == b->additional_set && a->hp == b->hp && !a->alone && !b->alone &&
	       plan_same_reading(a, b);
}

const char *
decide_row_text(enum decide_row row)
{
	return rows[row].text;
}

enum reason
decide_row_reason(enum decide_row row)
{
	return rows[row].reason;
}

const char *
decide_direction_name(enum direction direction)
{
	static const char *const names[] = { "leave", "outbound", "relay", "inbound" };

	return names[direction];
}

const char *
decide_outcome_name(enum outcome outcome)
{
	static const char *const names[] = { "leave", "do", "read", "cut", "defer", "refuse" };

	return names[outcome];
}

const char *
decide_need_name(enum need need)
{
	static const char *const names[] = { "no", "try", "must" };

	return names[need];
}
