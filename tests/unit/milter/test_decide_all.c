/*
 * The decision over every combination of its inputs: each is decided once, held against properties
 * that are worded without the decision's own tables, and remembered by how strong it is; then every
 * step to a stricter preference, and every step from "no" to "unknown", is compared.
 */
#include "milter/policy/decide.h"

#include <stdlib.h>
#include <string.h>

#define AXES_MAX 24

struct axis {
	const char *name;
	guint count;
	void (*set)(struct message_facts *m, struct recipient_facts *r, guint value);
	gboolean ordered; /* a larger value must never give a weaker plan */
};

/* How strong a plan is, as bits of one byte. */
enum { SENT = 1, PLAIN = 2, UNSIGNED = 4 };

/* Setters, one an axis. Values run from weak to strict where the axis is ordered. */
#define SETTER(name, statement)                                                                    \
	static void set_##name(struct message_facts *m, struct recipient_facts *r, guint v)        \
	{                                                                                          \
		(void)m, (void)r;                                                                  \
		statement;                                                                         \
	}

SETTER(origin, m->origin = (enum origin)v)
SETTER(sender_internal, m->sender_internal = v != 0)
SETTER(locality, r->locality = (enum locality)v)
SETTER(smime_s, m->smime = v != 0)
SETTER(smime_r, r->smime = v != 0)
SETTER(encrypt_s, m->encrypt_mode = (enum encrypt_mode)v)
SETTER(encrypt_r, r->encrypt_mode = (enum encrypt_mode)v)
SETTER(sign, m->sign_mode = (enum sign_mode)v)
SETTER(trigger_e, m->encrypt_trigger = v != 0)
SETTER(trigger_s, m->sign_trigger = v != 0)
SETTER(trigger_p, m->plain_trigger = v != 0)
SETTER(calendar, m->calendar = v != 0)
SETTER(calendar_r, r->calendar = (enum calendar_mode)v)
SETTER(author_yes_no, m->author = v ? AUTHOR_CONFIRMED : AUTHOR_LOGIN)
SETTER(author, m->author = (enum author_state)v)
SETTER(protect, m->protect_internal = v == 1; r->protect_internal = v == 2)
SETTER(when_off, m->trigger_when_off = (enum trigger_when_off)v)
SETTER(accept, m->accept_foreign = (enum accept_foreign)v)
SETTER(matching, r->foreign_matching = v != 0)
SETTER(spoofed, r->on_spoofed = (enum on_spoofed)v)
SETTER(observe_s, m->observe = v != 0)
SETTER(observe_r, r->observe = v != 0)
SETTER(null_sender, m->null_sender = v != 0; m->sign_bounces = v == 2)
SETTER(ambiguous, m->content_type_ambiguous = v != 0)
SETTER(missing, r->additional_missing = v != 0)
SETTER(required, r->additional_required = v != 0)
SETTER(named, r->named = v != 0)
SETTER(headers_s, m->header_protection = (enum header_protection)v)
SETTER(headers_r, r->header_protection = (enum header_protection)v)
SETTER(foreign, m->foreign_signature = (enum able)v)
SETTER(reply, m->reply_encrypt = (enum reply_encrypt)v)
SETTER(request, m->request = (enum request)v)

/* "no" first, then "unknown": the step must never weaken; "yes" is apart. */
static const enum able no_unknown_yes[] = { ABLE_NO, ABLE_UNKNOWN, ABLE_YES };
SETTER(certificate, r->certificate = no_unknown_yes[v])
/* The same, unknown in both ways: no, unknown, unknown because of a directory, yes. */
SETTER(certificate_directory, r->certificate = v == 3   ? ABLE_YES
					       : v == 0 ? ABLE_NO
							: ABLE_UNKNOWN;
       r->directory_open = v == 2)
SETTER(signer, m->signer = no_unknown_yes[v])
/* An answer to a decrypted message: no, unknown, yes. All three are ordered: yes asks for no less
 * than no, and what is unknown goes no farther than either. */
SETTER(answer, m->answer = no_unknown_yes[v])

/* Unprotected; signed: invalid, unknown, valid; encrypted: not accepted, accepted. */
SETTER(protection, m->arrived = v == 0  ? ARRIVED_PLAIN
				: v < 4 ? ARRIVED_SIGNED
					: ARRIVED_ENCRYPTED;
       m->foreign_signature = no_unknown_yes[v >= 1 && v < 4 ? v - 1 : 0];
       m->accept_foreign = v == 5 ? ACCEPT_FOREIGN_PARSED : ACCEPT_FOREIGN_NO)
SETTER(protection_plain, m->arrived = (enum arrived)v)

/* No limit; all fit but both; signed alone fits; nothing fits. */
SETTER(size, m->size_max_bytes = v == 0 ? 0 : v == 1 ? 150 : v == 2 ? 120 : 50)

static void
facts_base(struct message_facts *m, struct recipient_facts *r)
{
	memset(m, 0, sizeof *m);
	memset(r, 0, sizeof *r);
	m->origin = ORIGIN_TRUSTED;
	m->author = AUTHOR_CONFIRMED;
	m->sender_internal = TRUE;
	m->smime = r->smime = TRUE;
	m->trigger_when_off = TRIGGER_OFF_REFUSE;
	m->sizes = (struct copy_sizes){ 110, 140, 190 };
	m->signer = ABLE_YES;
	r->certificate = ABLE_YES;
	r->calendar = CALENDAR_NORMAL;
	r->named = TRUE;
}

/* What the sides demand, worded anew: a list of who demands, not a table of answers. */
static gboolean
must_encrypt(const struct message_facts *m, const struct recipient_facts *r, gboolean relay)
{
	gboolean asked = m->encrypt_trigger && m->origin == ORIGIN_TRUSTED;

	if (r->smime &&
	    (r->encrypt_mode == ENCRYPT_FORCE || (asked && r->encrypt_mode > ENCRYPT_NONE)))
		return TRUE;
	if (relay || !m->smime)
		return FALSE;
	if (m->answer == ABLE_YES &&
	    (m->reply_encrypt == REPLY_FORCE ||
	     (m->reply_encrypt == REPLY_ALLOW && asked && m->encrypt_mode > ENCRYPT_NONE)))
		return TRUE;
	return m->encrypt_mode == ENCRYPT_FORCE || (asked && m->encrypt_mode > ENCRYPT_NONE);
}

static gboolean
must_sign(const struct message_facts *m)
{
	return m->smime &&
	       (m->sign_mode == SIGN_REQUIRED || (m->sign_trigger && m->sign_mode != SIGN_NEVER));
}

#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			g_test_message("broken: %s", #condition);                                  \
			return FALSE;                                                              \
		}                                                                                  \
	} while (0)

static gboolean
plan_is_consistent(const struct message_facts *m, const struct recipient_facts *r,
		   const struct plan *p)
{
	const char *reply = reason_reply(p->reason);

	HOLDS(p->reason == decide_row_reason(p->row));
	HOLDS((p->would == OUTCOME_REFUSE) == (reply != NULL && reply[0] == '5'));
	HOLDS((p->would == OUTCOME_DEFER) == (reply != NULL && reply[0] == '4'));
	HOLDS((p->outcome == OUTCOME_DO) == (p->sign || p->encrypt));
	HOLDS(p->would_sign || p->would_encrypt || p->would != OUTCOME_DO);
	if (p->sign)
		HOLDS(m->origin == ORIGIN_TRUSTED && m->author == AUTHOR_CONFIRMED &&
		      m->signer == ABLE_YES && m->arrived == ARRIVED_PLAIN && m->smime &&
		      m->sign_mode != SIGN_NEVER && p->direction == DIRECTION_OUTBOUND);
	if (p->encrypt)
		HOLDS(r->certificate == ABLE_YES && m->arrived != ARRIVED_ENCRYPTED);
	if (p->sign || p->encrypt)
		HOLDS(m->origin != ORIGIN_REINJECTED && p->direction != DIRECTION_INBOUND &&
		      p->direction != DIRECTION_LEAVE);
	if (r->observe || (m->observe && m->origin == ORIGIN_TRUSTED))
		HOLDS(p->observed && p->outcome == OUTCOME_LEAVE && !p->alone);
	else
		HOLDS(!p->observed && p->outcome == p->would);
	if (m->null_sender)
		HOLDS(p->outcome <= OUTCOME_CUT);
	else
		HOLDS(p->outcome != OUTCOME_CUT);
	return TRUE;
}

/* Header protection: what either side asks for, as far as this copy can have it. */
static gboolean
headers_are_right(const struct message_facts *m, const struct recipient_facts *r,
		  const struct plan *p)
{
	gboolean sender = m->smime && p->direction == DIRECTION_OUTBOUND;
	gboolean hide = (sender && m->header_protection == HEADERS_SIGNED_AND_ENCRYPTED) ||
			(r->smime && r->header_protection == HEADERS_SIGNED_AND_ENCRYPTED);
	gboolean any = hide || (sender && m->header_protection != HEADERS_OFF) ||
		       (r->smime && r->header_protection != HEADERS_OFF);

	if (p->hp == HEADERS_OFF)
		return !any || m->arrived != ARRIVED_PLAIN || (!p->sign && !p->encrypt) ||
		       (!p->sign && !hide);
	HOLDS(any && m->arrived == ARRIVED_PLAIN && (p->sign || p->encrypt));
	HOLDS((p->hp == HEADERS_SIGNED_AND_ENCRYPTED) == (hide && p->encrypt));
	return TRUE;
}

/* What must not happen, by the words of the rule. */
static gboolean
plan_is_right(const struct message_facts *m, const struct recipient_facts *r, const struct plan *p)
{
	gboolean relay = p->direction == DIRECTION_RELAY;
	gboolean exempt = p->observed || m->null_sender;
	gboolean sent_plain =
	    p->outcome <= OUTCOME_DO && !p->encrypt && m->arrived != ARRIVED_ENCRYPTED;
	gboolean sent_unsigned = p->outcome <= OUTCOME_DO && !p->sign;

	if (!plan_is_consistent(m, r, p) || !headers_are_right(m, r, p))
		return FALSE;
	/* Triggers, login and preferences of the sender are nothing worth from outside. */
	if (m->origin != ORIGIN_TRUSTED)
		HOLDS(p->direction == DIRECTION_RELAY || p->direction == DIRECTION_INBOUND ||
		      m->origin == ORIGIN_REINJECTED);
	if (p->direction != DIRECTION_OUTBOUND && !relay)
		return TRUE;
	/* Wanted and not known is never the same as wanted and not there. */
	if (!p->observed && p->encrypt_need != NEED_NO && r->certificate == ABLE_UNKNOWN)
		HOLDS(!sent_plain);
	HOLDS(r->directory_open || p->encrypt_row != ROW_ENCRYPT_DIRECTORY);
	/* An answer that nobody knows of as one is not sent in plain where that would matter. */
	if (!p->observed && !relay && m->smime && m->answer == ABLE_UNKNOWN &&
	    m->reply_encrypt == REPLY_FORCE)
		HOLDS(!sent_plain);
	/* An answer that can be encrypted is, unless its sender asks for plain text. */
	if (!p->observed && !relay && m->smime && m->answer == ABLE_YES &&
	    m->reply_encrypt != REPLY_OFF && m->encrypt_mode != ENCRYPT_NONE &&
	    r->certificate == ABLE_YES && !m->plain_trigger && !m->calendar &&
	    m->size_max_bytes == 0)
		HOLDS(!sent_plain);
	/* A request is made for whoever wanted a signature, and waited for where it is to be. */
	if (p->request)
		HOLDS(!p->observed && m->request != REQUEST_OFF && m->signer == ABLE_NO &&
		      m->author == AUTHOR_CONFIRMED && !p->sign && p->sign_need != NEED_NO);
	if (p->request && m->request == REQUEST_AWAITED && !m->null_sender)
		HOLDS(p->outcome >= OUTCOME_DEFER);
	/* What nobody wrote is exempt from its signature alone. */
	if (!p->observed && must_encrypt(m, r, relay))
		HOLDS(!sent_plain);
	if (!p->observed && m->encrypt_trigger && m->origin == ORIGIN_TRUSTED &&
	    m->trigger_when_off == TRIGGER_OFF_REFUSE)
		HOLDS(!sent_plain);
	if (!exempt && !relay && must_sign(m) && m->arrived == ARRIVED_PLAIN)
		HOLDS(!sent_unsigned);
	if (!exempt && !relay && must_sign(m) && m->arrived == ARRIVED_SIGNED)
		HOLDS(p->outcome > OUTCOME_DO || m->foreign_signature == ABLE_YES);
	if (!p->observed && m->arrived == ARRIVED_ENCRYPTED && must_encrypt(m, r, relay))
		HOLDS(p->outcome > OUTCOME_DO || m->accept_foreign == ACCEPT_FOREIGN_PARSED ||
		      (m->accept_foreign == ACCEPT_FOREIGN_MATCHING && r->foreign_matching));
	/* Nobody asked for anything: untouched, and never stopped. */
	if ((m->answer == ABLE_NO || m->reply_encrypt == REPLY_OFF) && !m->encrypt_trigger &&
	    !must_sign(m) && (relay || !m->smime || m->encrypt_mode < ENCRYPT_OPPORTUNISTIC) &&
	    (!r->smime || r->encrypt_mode < ENCRYPT_OPPORTUNISTIC) &&
	    (relay || !m->smime || m->sign_mode == SIGN_NEVER))
		HOLDS(p->outcome == OUTCOME_LEAVE);
	return TRUE;
}

static guint8
strength_of(const struct message_facts *m, const struct plan *p)
{
	guint8 bits = 0;

	if (p->would > OUTCOME_DO)
		return 0;
	bits |= SENT;
	if (!p->would_encrypt && m->arrived != ARRIVED_ENCRYPTED)
		bits |= PLAIN;
	if (!p->would_sign && m->arrived != ARRIVED_SIGNED)
		bits |= UNSIGNED;
	return bits;
}

/* Encryption weighs more than a signature; a message that is not sent is never the weaker one. */
static gboolean
is_weaker(guint8 after, guint8 before)
{
	if ((after & PLAIN) != (before & PLAIN))
		return (after & PLAIN) != 0;
	return (before & SENT) != 0 && (after & UNSIGNED) != 0 && (before & UNSIGNED) == 0;
}

static void
print_combination(const struct axis *axes, guint n, gsize index)
{
	for (guint i = 0; i < n; i++) {
		g_test_message("  %s = %" G_GSIZE_FORMAT, axes[i].name, index % axes[i].count);
		index /= axes[i].count;
	}
}

static void
compare_steps(const struct axis *axes, guint n, const guint8 *strengths, gsize total)
{
	gsize stride = 1;
	gsize compared = 0;

	for (guint a = 0; a < n; stride *= axes[a].count, a++) {
		/* Of the abilities only the step from no to unknown is ordered. */
		guint last = axes[a].set == set_request                                    ? 1
			     : axes[a].set == set_certificate || axes[a].set == set_signer ? 1
			     : axes[a].set == set_certificate_directory                    ? 2
									: axes[a].count - 1;

		if (!axes[a].ordered)
			continue;
		for (gsize i = 0; i < total; i++) {
			if (i / stride % axes[a].count >= last)
				continue;
			compared++;
			if (!is_weaker(strengths[i + stride], strengths[i]))
				continue;
			g_test_message("a stricter %s weakens:", axes[a].name);
			print_combination(axes, n, i);
			g_test_fail();
			return;
		}
	}
	g_test_message("%" G_GSIZE_FORMAT " steps to a stricter value compared", compared);
}

static void
run(const struct axis *axes, guint n)
{
	struct message_facts m;
	struct recipient_facts r;
	struct plan plan;
	guint digits[AXES_MAX] = { 0 };
	gsize total = 1;
	g_autofree guint8 *strengths = NULL;

	g_assert_cmpuint(n, <=, AXES_MAX);
	facts_base(&m, &r);
	for (guint a = 0; a < n; a++) {
		total *= axes[a].count;
		axes[a].set(&m, &r, 0);
	}
	strengths = g_malloc(total);
	for (gsize i = 0; i < total; i++) {
		decide(&m, &r, &plan);
		strengths[i] = strength_of(&m, &plan);
		if (!plan_is_right(&m, &r, &plan)) {
			g_test_message("row: %s", decide_row_text(plan.row));
			print_combination(axes, n, i);
			g_test_fail();
			return;
		}
		for (guint a = 0; a < n; a++) {
			digits[a] = digits[a] + 1 == axes[a].count ? 0 : digits[a] + 1;
			axes[a].set(&m, &r, digits[a]);
			if (digits[a] != 0)
				break;
		}
	}
	g_test_message("%" G_GSIZE_FORMAT " combinations decided", total);
	compare_steps(axes, n, strengths, total);
}

/* What every message has. */
static void
test_core(void)
{
	static const struct axis axes[] = {
		{ "certificate (no, unknown, yes)", 3, set_certificate, TRUE },
		{ "signer (no, unknown, yes)", 3, set_signer, TRUE },
		{ "sign_mode", 4, set_sign, TRUE },
		{ "encrypt_mode of the sender", 4, set_encrypt_s, TRUE },
		{ "encrypt_mode of the recipient", 4, set_encrypt_r, TRUE },
		{ "size (none, both too large, encrypted too large, too large)", 4, set_size,
		  FALSE },
		{ "encrypt trigger", 2, set_trigger_e, FALSE },
		{ "sign trigger", 2, set_trigger_s, FALSE },
		{ "plain trigger", 2, set_trigger_p, FALSE },
		{ "calendar message", 2, set_calendar, FALSE },
		{ "calendar", 3, set_calendar_r, TRUE },
		{ "author confirmed", 2, set_author_yes_no, FALSE },
		{ "protection", 6, set_protection, FALSE },
		{ "smime of the sender", 2, set_smime_s, TRUE },
		{ "smime of the recipient", 2, set_smime_r, TRUE },
		{ "origin", 3, set_origin, FALSE },
		{ "locality of the sender", 2, set_sender_internal, FALSE },
		{ "locality of the recipient", 2, set_locality, FALSE },
	};

	run(axes, G_N_ELEMENTS(axes));
}

/* What few messages have: the rarer preferences and oddities, with one list of each kind. */
static void
test_rare(void)
{
	static const struct axis axes[] = {
		{ "certificate (no, unknown, directory open, yes)", 4, set_certificate_directory,
		  TRUE },
		{ "signer (no, unknown, yes)", 3, set_signer, TRUE },
		{ "sign_mode", 4, set_sign, TRUE },
		{ "encrypt_mode of the recipient", 4, set_encrypt_r, TRUE },
		{ "encrypt trigger", 2, set_trigger_e, FALSE },
		{ "author state", AUTHOR_STATE_COUNT, set_author, FALSE },
		{ "protect_internal (off, sender, recipient)", 3, set_protect, FALSE },
		{ "trigger_when_off", 2, set_when_off, TRUE },
		{ "on_spoofed_internal", 2, set_spoofed, TRUE },
		{ "null sender (no, yes, sign_bounces)", 3, set_null_sender, FALSE },
		{ "several Content-Type fields", 2, set_ambiguous, FALSE },
		{ "additional certificate missing", 2, set_missing, FALSE },
		{ "additional_required", 2, set_required, TRUE },
		{ "origin", 3, set_origin, FALSE },
		{ "locality of the sender", 2, set_sender_internal, FALSE },
		{ "locality of the recipient", 2, set_locality, FALSE },
		{ "size (none, both too large)", 2, set_size, FALSE },
	};

	run(axes, G_N_ELEMENTS(axes));
}

/* mode = observe and foreign protection in all their values. */
static void
test_observed(void)
{
	static const struct axis axes[] = {
		{ "certificate (no, unknown, directory open, yes)", 4, set_certificate_directory,
		  TRUE },
		{ "signer (no, unknown, yes)", 3, set_signer, TRUE },
		{ "sign_mode", 4, set_sign, TRUE },
		{ "encrypt_mode of the sender", 4, set_encrypt_s, TRUE },
		{ "encrypt_mode of the recipient", 4, set_encrypt_r, TRUE },
		{ "encrypt trigger", 2, set_trigger_e, FALSE },
		{ "protection", 3, set_protection_plain, FALSE },
		{ "accept_foreign_encryption", 3, set_accept, TRUE },
		{ "recipientInfos name the recipient", 2, set_matching, FALSE },
		{ "foreign signature", 3, set_foreign, FALSE },
		{ "observe of the sender", 2, set_observe_s, FALSE },
		{ "observe of the recipient", 2, set_observe_r, FALSE },
		{ "null sender (no, yes, sign_bounces)", 3, set_null_sender, FALSE },
		{ "named in To or Cc", 2, set_named, FALSE },
		{ "origin", 3, set_origin, FALSE },
		{ "locality of the sender", 2, set_sender_internal, FALSE },
		{ "locality of the recipient", 2, set_locality, FALSE },
	};

	run(axes, G_N_ELEMENTS(axes));
}

/* header_protection of both sides, over what a copy can be. */
static void
test_headers(void)
{
	static const struct axis axes[] = {
		{ "header_protection of the sender", 3, set_headers_s, FALSE },
		{ "header_protection of the recipient", 3, set_headers_r, FALSE },
		{ "certificate (no, unknown, yes)", 3, set_certificate, TRUE },
		{ "signer (no, unknown, yes)", 3, set_signer, TRUE },
		{ "sign_mode", 4, set_sign, TRUE },
		{ "encrypt_mode of the recipient", 4, set_encrypt_r, TRUE },
		{ "protection", 6, set_protection, FALSE },
		{ "smime of the sender", 2, set_smime_s, TRUE },
		{ "smime of the recipient", 2, set_smime_r, TRUE },
		{ "observe of the recipient", 2, set_observe_r, FALSE },
		{ "size (none, both too large, encrypted too large, too large)", 4, set_size,
		  FALSE },
		{ "origin", 3, set_origin, FALSE },
		{ "locality of the sender", 2, set_sender_internal, FALSE },
		{ "locality of the recipient", 2, set_locality, FALSE },
	};

	run(axes, G_N_ELEMENTS(axes));
}

/* What earlier messages say of the author: answers, and a certificate that was asked for. */
static void
test_remembered(void)
{
	static const struct axis axes[] = {
		{ "certificate (no, unknown, yes)", 3, set_certificate, TRUE },
		{ "signer (no, unknown, yes)", 3, set_signer, TRUE },
		{ "sign_mode", 4, set_sign, TRUE },
		{ "encrypt_mode of the sender", 4, set_encrypt_s, TRUE },
		{ "encrypt_mode of the recipient", 4, set_encrypt_r, TRUE },
		{ "answer (no, unknown, yes)", 3, set_answer, FALSE },
		{ "reply_encrypt", 3, set_reply, TRUE },
		{ "auto_request (off, made, awaited)", 3, set_request, TRUE },
		{ "encrypt trigger", 2, set_trigger_e, FALSE },
		{ "sign trigger", 2, set_trigger_s, FALSE },
		{ "plain trigger", 2, set_trigger_p, FALSE },
		{ "trigger_when_off", 2, set_when_off, TRUE },
		{ "protection", 6, set_protection, FALSE },
		{ "smime of the sender", 2, set_smime_s, TRUE },
		{ "null sender (no, yes, sign_bounces)", 3, set_null_sender, FALSE },
		{ "observe of the sender", 2, set_observe_s, FALSE },
		{ "origin", 3, set_origin, FALSE },
		{ "locality of the sender", 2, set_sender_internal, FALSE },
	};

	run(axes, G_N_ELEMENTS(axes));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/decide/all/core", test_core);
	g_test_add_func("/decide/all/rare", test_rare);
	g_test_add_func("/decide/all/observed", test_observed);
	g_test_add_func("/decide/all/headers", test_headers);
	g_test_add_func("/decide/all/remembered", test_remembered);
	return g_test_run();
}
