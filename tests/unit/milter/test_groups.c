/*
 * Plans to copies and the answer for the message; the words of the reply.
 */
#include "milter/policy/groups.h"
#include "milter/policy/reply.h"

#include <string.h>

#include "tests/unit/milter/reasons_seen.h"

#define RECIPIENTS_MAX 8

static const struct groups_rules nothing_goes = { .alone_max = 3 };
static const struct groups_rules injects = { .inject = TRUE, .alone_max = 3 };
static const struct groups_rules tells = { .inject = TRUE, .notify = TRUE, .alone_max = 3 };

/* One letter a recipient: what his plan is. */
static struct plan
plan_of(char letter)
{
	struct plan plan = { .direction = DIRECTION_OUTBOUND };

	switch (letter) {
	case 'p': /* plain */
		plan.reason = REASON_PLAIN_NOT_WANTED;
		break;
	case 'i': /* internal, left */
		plan.direction = DIRECTION_LEAVE;
		plan.reason = REASON_LEAVE_INTERNAL;
		break;
	case 'o': /* plain, though encryption was tried */
		plan.reason = REASON_PLAIN_OPPORTUNISTIC;
		break;
	case 'b': /* plain to a bounce's recipient */
		plan.null_sender = TRUE;
		plan.reason = REASON_LEAVE_NULL_SENDER;
		break;
	case 'B': /* encrypted to a bounce's recipient */
		plan.null_sender = TRUE;
		plan.outcome = OUTCOME_DO;
		plan.encrypt = TRUE;
		plan.reason = REASON_DONE_ENCRYPTED;
		break;
	case 'C': /* cut for a bounce's recipient */
		plan.null_sender = TRUE;
		plan.outcome = OUTCOME_CUT;
		plan.reason = REASON_LEAVE_CUT;
		break;
	case 'S': /* signed to a bounce's recipient */
		plan.null_sender = TRUE;
		plan.outcome = OUTCOME_DO;
		plan.sign = TRUE;
		plan.reason = REASON_DONE_SIGNED;
		break;
	case 'O': /* opaque signature */
		plan.format = FORMAT_OPAQUE;
		G_GNUC_FALLTHROUGH;
	case 's':
		plan.outcome = OUTCOME_DO;
		plan.sign = TRUE;
		plan.reason = REASON_DONE_SIGNED;
		break;
	case 'h': /* hidden: in no To or Cc */
		plan.alone = TRUE;
		G_GNUC_FALLTHROUGH;
	case 'e':
		plan.outcome = OUTCOME_DO;
		plan.encrypt = TRUE;
		plan.reason = REASON_DONE_ENCRYPTED;
		break;
	case 'g': /* another cipher */
		plan = plan_of('e');
		plan.cipher = CIPHER_AES_256_GCM;
		break;
	case 'c': /* EC keys */
		plan = plan_of('e');
		plan.keys = KEYS_EC;
		break;
	case 'a': /* other additional certificates */
		plan = plan_of('e');
		plan.additional_set = 1;
		break;
	case 'v': /* observed, would be encrypted */
		plan.observed = TRUE;
		plan.would = OUTCOME_DO;
		plan.would_encrypt = TRUE;
		plan.reason = REASON_DONE_ENCRYPTED;
		break;
	case 'R':
		plan.outcome = OUTCOME_REFUSE;
		plan.reason = REASON_REFUSED_NO_CERTIFICATE;
		break;
	case 'Z':
		plan.outcome = OUTCOME_REFUSE;
		plan.reason = REASON_REFUSED_SIZE;
		break;
	case 'D':
		plan.outcome = OUTCOME_DEFER;
		plan.reason = REASON_DEFERRED_UNKNOWN_CERTIFICATE;
		break;
	default:
		g_assert_not_reached();
	}
	return plan;
}

static struct groups *
groups_of(const char *letters, const struct groups_rules *rules, struct plan *plans)
{
	guint count = (guint)strlen(letters);

	for (guint i = 0; i < count; i++)
		plans[i] = plan_of(letters[i]);
	return groups_make(plans, count, rules);
}

static void
test_groups(void)
{
	static const struct {
		const char *name;
		const char *plans;
		guint copies;
		enum outcome outcome;
		enum reason reason;
		guint decisive;
	} rows[] = {
		{ "nobody: nothing to do", "", 0, OUTCOME_LEAVE, REASON_PLAIN_NOT_WANTED, 0 },
		{ "equal plans are one copy", "sss", 1, OUTCOME_DO, REASON_DONE_SIGNED, 0 },
		{ "untouched for different reasons is one copy", "pio", 1, OUTCOME_LEAVE,
		  REASON_LEAVE_INTERNAL, 0 },
		{ "encrypted and plain", "ep", 2, OUTCOME_DEFER, REASON_DEFERRED_DIFFERENT, 0 },
		{ "clear and opaque", "sO", 2, OUTCOME_DEFER, REASON_DEFERRED_DIFFERENT, 0 },
		{ "two ciphers", "eg", 2, OUTCOME_DEFER, REASON_DEFERRED_DIFFERENT, 0 },
		{ "RSA and EC", "ec", 2, OUTCOME_DEFER, REASON_DEFERRED_DIFFERENT, 0 },
		{ "other additional certificates", "ea", 2, OUTCOME_DEFER,
		  REASON_DEFERRED_DIFFERENT, 0 },
		{ "a hidden recipient alone", "h", 1, OUTCOME_DO, REASON_DONE_ENCRYPTED, 0 },
		{ "a hidden recipient beside another", "eh", 2, OUTCOME_DEFER,
		  REASON_DEFERRED_DIFFERENT, 0 },
		{ "two hidden recipients do not see each other", "hh", 2, OUTCOME_DEFER,
		  REASON_DEFERRED_DIFFERENT, 0 },
		{ "one refusal refuses the message", "seR", 3, OUTCOME_REFUSE,
		  REASON_REFUSED_NO_CERTIFICATE, 1 },
		{ "a refusal beats a deferral", "DR", 2, OUTCOME_REFUSE,
		  REASON_REFUSED_NO_CERTIFICATE, 1 },
		{ "the first refusal gives the code", "ZRR", 1, OUTCOME_REFUSE, REASON_REFUSED_SIZE,
		  3 },
		{ "a deferral beats different treatment", "sDe", 3, OUTCOME_DEFER,
		  REASON_DEFERRED_UNKNOWN_CERTIFICATE, 1 },
		{ "a bounce is never deferred for different treatment", "bS", 1, OUTCOME_LEAVE,
		  REASON_LEAVE_NULL_SENDER, 0 },
		{ "a bounce that one may read encrypted alone is cut for all", "bB", 1, OUTCOME_CUT,
		  REASON_LEAVE_CUT, 0 },
		{ "a bounce that is cut for one is cut for all", "bC", 1, OUTCOME_CUT,
		  REASON_LEAVE_CUT, 0 },
		{ "a bounce is cut for all alike", "CC", 1, OUTCOME_CUT, REASON_LEAVE_CUT, 0 },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct plan plans[RECIPIENTS_MAX];
		CLEANUP(groups)
		struct groups *groups = groups_of(rows[i].plans, &nothing_goes, plans);

		g_test_message("%s", rows[i].name);
		reasons_seen(groups->reason);
		g_assert_cmpstr(decide_outcome_name(groups->outcome), ==,
				decide_outcome_name(rows[i].outcome));
		g_assert_cmpstr(reason_name(groups->reason), ==, reason_name(rows[i].reason));
		g_assert_cmpuint(groups->decisive->len, ==, rows[i].decisive);
		if (rows[i].outcome < OUTCOME_REFUSE)
			g_assert_cmpuint(groups->copies->len, ==, rows[i].copies);
	}
}

/* Each recipient is in one copy or refused; "0,2" of the copies: in the order of their first. */
static char *
copies_text(const struct groups *groups)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < groups->copies->len; i++) {
		const struct group *group = g_ptr_array_index(groups->copies, i);

		g_string_append(text, i == groups->in_place ? "*" : "");
		for (guint n = 0; n < group->members->len; n++)
			g_string_append_printf(text, "%u", g_array_index(group->members, guint, n));
		g_string_append_c(text, ' ');
	}
	for (guint i = 0; i < groups->refused->len; i++)
		g_string_append_printf(text, "-%u ", g_array_index(groups->refused, guint, i));
	return g_strchomp(g_string_free(text, FALSE));
}

static void
test_copies(void)
{
	static const struct {
		const char *name;
		const char *plans;
		const struct groups_rules *rules;
		enum outcome outcome;
		enum reason reason;
		const char *copies; /* with a star the one in place, with a minus the refused */
	} rows[] = {
		{ "the encrypted copy stays, though it is the smaller", "ppe", &injects, OUTCOME_DO,
		  REASON_DONE_ENCRYPTED, "01 *2" },
		{ "of two encrypted copies the larger stays", "egg", &injects, OUTCOME_DO,
		  REASON_DONE_ENCRYPTED, "0 *12" },
		{ "of equals the first", "eg", &injects, OUTCOME_DO, REASON_DONE_ENCRYPTED,
		  "*0 1" },
		{ "a hidden recipient's copy names him: the others' stays", "he", &injects,
		  OUTCOME_DO, REASON_DONE_ENCRYPTED, "0 *1" },
		{ "a hidden recipient's copy rather than plain text", "hpp", &injects, OUTCOME_DO,
		  REASON_DONE_ENCRYPTED, "*0 12" },
		{ "two hidden recipients have a copy each", "hh", &injects, OUTCOME_DO,
		  REASON_DONE_ENCRYPTED, "*0 1" },
		{ "as many hidden ones as may be", "hehh", &injects, OUTCOME_DO,
		  REASON_DONE_ENCRYPTED, "0 *1 2 3" },
		{ "one hidden recipient more", "hhehh", &injects, OUTCOME_DEFER,
		  REASON_DEFERRED_COPIES, "*0 1 2 3 4" },
		{ "signed and untouched: the larger stays", "sppO", &injects, OUTCOME_LEAVE,
		  REASON_DONE_SIGNED, "0 *12 3" },
		{ "a bounce is split, too", "bB", &injects, OUTCOME_DO, REASON_LEAVE_NULL_SENDER,
		  "0 *1" },
		{ "what is cut does less harm than text", "bC", &injects, OUTCOME_CUT,
		  REASON_LEAVE_NULL_SENDER, "0 *1" },
		{ "different copies and no way to make them", "pe", &nothing_goes, OUTCOME_DEFER,
		  REASON_DEFERRED_DIFFERENT, "*0 1" },
		{ "the refused are taken out", "eRpZ", &tells, OUTCOME_DO, REASON_DONE_ENCRYPTED,
		  "*0 2 -1 -3" },
		{ "the refused beside one copy", "sRs", &tells, OUTCOME_DO, REASON_DONE_SIGNED,
		  "*02 -1" },
		{ "all of them refused: the message is", "RZ", &tells, OUTCOME_REFUSE,
		  REASON_REFUSED_NO_CERTIFICATE, "*01" },
		{ "their sender cannot be told: the message is refused", "sRs", &injects,
		  OUTCOME_REFUSE, REASON_REFUSED_NO_CERTIFICATE, "*02 1" },
		{ "with the refused out, a deferral is the answer", "RDs", &tells, OUTCOME_DEFER,
		  REASON_DEFERRED_UNKNOWN_CERTIFICATE, "*1 2 -0" },
		{ "those who observe share a copy with the untouched", "pvs", &injects,
		  OUTCOME_LEAVE, REASON_DONE_ENCRYPTED, "*01 2" },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct plan plans[RECIPIENTS_MAX];
		CLEANUP(groups)
		struct groups *groups = groups_of(rows[i].plans, rows[i].rules, plans);
		g_autofree char *text = copies_text(groups);

		g_test_message("%s", rows[i].name);
		reasons_seen(groups->reason);
		g_assert_cmpstr(text, ==, rows[i].copies);
		g_assert_cmpstr(decide_outcome_name(groups->outcome), ==,
				decide_outcome_name(rows[i].outcome));
		g_assert_cmpstr(reason_name(groups->reason), ==, reason_name(rows[i].reason));
	}
}

/* Given twice, an address has one copy: the server takes both out of the envelope together. */
static void
test_same_address(void)
{
	static const guint first[] = { 0, 1, 0, 3 };
	const struct groups_rules rules = { .inject = TRUE, .alone_max = 3, .first = first };
	struct plan plans[RECIPIENTS_MAX];
	CLEANUP(groups) struct groups *groups = groups_of("hehp", &rules, plans);
	g_autofree char *text = copies_text(groups);

	g_assert_cmpstr(text, ==, "02 *1 3");
}

static void
test_observed(void)
{
	static const struct {
		const char *plans;
		gboolean observed; /* of the first copy */
	} rows[] = { { "vvs", TRUE }, { "vps", FALSE }, { "pv", FALSE }, { "s", FALSE } };

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct plan plans[RECIPIENTS_MAX];
		CLEANUP(groups) struct groups *groups = groups_of(rows[i].plans, &injects, plans);
		const struct group *group = g_ptr_array_index(groups->copies, 0);

		g_assert_cmpint(group->observed, ==, rows[i].observed);
	}
}

static guint
harm_of(const struct plan *plan)
{
	return plan->encrypt ? 0 : plan->outcome == OUTCOME_CUT ? 1 : 2;
}

/* Whatever the plans: who is served is in exactly one copy, whose plan is his; the others are the
 * refused; nobody's copy in place does more harm than another's. */
static void
check_partition(const struct groups *groups, const struct plan *plans, guint count)
{
	guint seen[RECIPIENTS_MAX] = { 0 };
	const struct group *place = groups->copies->pdata[groups->in_place];

	for (guint i = 0; i < groups->copies->len; i++) {
		const struct group *group = g_ptr_array_index(groups->copies, i);

		g_assert_cmpuint(group->members->len, >, 0);
		g_assert_true(!group->plan.alone || group->members->len == 1);
		g_assert_cmpuint(harm_of(&place->plan), <=, harm_of(&group->plan));
		for (guint n = 0; n < group->members->len; n++) {
			guint at = g_array_index(group->members, guint, n);

			seen[at]++;
			g_assert_true(plan_same_copy(&group->plan, &plans[at]) ||
				      (group->plan.alone && group->members->len == 1));
		}
	}
	for (guint i = 0; i < groups->refused->len; i++) {
		guint at = g_array_index(groups->refused, guint, i);

		seen[at]++;
		g_assert_cmpint(plans[at].outcome, ==, OUTCOME_REFUSE);
	}
	for (guint i = 0; i < count; i++)
		g_assert_cmpuint(seen[i], ==, 1);
}

static void
test_any_plans(void)
{
	static const char letters[] = "pioOshegcavRZD", bounces[] = "bBCS";
	static const struct groups_rules *const rules[] = { &nothing_goes, &injects, &tells };
	g_autoptr(GRand) random = g_rand_new_with_seed(53);

	for (guint round = 0; round < 50000; round++) {
		struct plan plans[RECIPIENTS_MAX];
		char text[RECIPIENTS_MAX + 1] = "";
		gboolean bounce = g_rand_boolean(random);
		guint count = (guint)g_rand_int_range(random, 1, RECIPIENTS_MAX + 1);
		const struct groups_rules *rule = rules[g_rand_int_range(random, 0, 3)];

		for (guint i = 0; i < count; i++)
			text[i] = bounce ? bounces[g_rand_int_range(random, 0, 4)]
					 : letters[g_rand_int_range(random, 0, 14)];
		CLEANUP(groups) struct groups *groups = groups_of(text, rule, plans);
		if (bounce)
			g_assert_cmpint(groups->outcome, <, OUTCOME_DEFER);
		if (strpbrk(text, "RZ") != NULL && !rule->notify)
			g_assert_cmpint(groups->outcome, ==, OUTCOME_REFUSE);
		if (strchr(text, 'D') != NULL)
			g_assert_cmpint(groups->outcome, >=, OUTCOME_DEFER);
		if (groups->outcome < OUTCOME_DEFER && (!bounce || rule->inject))
			check_partition(groups, plans, count);
		if (groups->outcome < OUTCOME_DEFER && !rule->inject)
			g_assert_cmpuint(groups->copies->len, ==, 1);
	}
}

static void
test_bounce_is_left_whole(void)
{
	struct plan plans[RECIPIENTS_MAX];
	CLEANUP(groups) struct groups *groups = groups_of("bB", &nothing_goes, plans);
	const struct group *group = g_ptr_array_index(groups->copies, 0);

	g_assert_false(group->plan.encrypt);
	g_assert_cmpuint(group->members->len, ==, 2);
}

static void
test_replies(void)
{
	static const struct {
		const char *name;
		const char *plans;
		enum origin origin;
		const char *reply; /* lines joined by " | ", or NULL */
	} rows[] = {
		{ "an accepted message has none", "s", ORIGIN_TRUSTED, NULL },
		{ "the recipient and his reason", "sR", ORIGIN_TRUSTED,
		  "550 5.7.5 <r1@x>: must be encrypted, but the recipient has no valid certificate "
		  "| nothing was sent to the other recipients either" },
		{ "nobody else: nothing about others", "R", ORIGIN_TRUSTED,
		  "550 5.7.5 <r0@x>: must be encrypted, but the recipient has no valid "
		  "certificate" },
		{ "to strangers nothing beyond the code", "sR", ORIGIN_UNTRUSTED,
		  "550 5.7.5 message not accepted" },
		{ "to strangers, size", "Z", ORIGIN_UNTRUSTED, "552 5.3.4 message too large" },
		{ "to strangers, later", "D", ORIGIN_UNTRUSTED,
		  "451 4.7.5 message cannot be processed now, try again later" },
		{ "different treatment", "se", ORIGIN_TRUSTED,
		  "451 4.7.0 recipients need different treatment" },
		{ "the code of size", "Z", ORIGIN_TRUSTED,
		  "552 5.3.4 <r0@x>: must be protected, but is larger than the limit" },
	};
	static const char *const addresses[] = { "r0@x", "r1@x", "r2@x", "r3@x",
						 "r4@x", "r5@x", "r6@x", "r7@x" };

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct plan plans[RECIPIENTS_MAX];
		CLEANUP(groups)
		struct groups *groups = groups_of(rows[i].plans, &nothing_goes, plans);
		CLEANUP(reply)
		struct reply *reply = reply_make(groups, plans, addresses,
						 (guint)strlen(rows[i].plans), rows[i].origin);
		g_autofree char *lines = NULL;
		g_autofree char *whole = NULL;

		g_test_message("%s", rows[i].name);
		if (reply == NULL) {
			g_assert_null(rows[i].reply);
			continue;
		}
		lines = g_strjoinv(" | ", reply->lines);
		whole = g_strdup_printf("%s %s %s", reply->code, reply->status, lines);
		g_assert_cmpstr(whole, ==, rows[i].reply);
	}
}

static void
test_reply_counts(void)
{
	static const char *const addresses[] = { "r0@x", "r1@x", "r2@x", "r3@x",
						 "r4@x", "r5@x", "r6@x" };
	struct plan plans[RECIPIENTS_MAX];
	CLEANUP(groups) struct groups *groups = groups_of("RRRRRRR", &nothing_goes, plans);
	CLEANUP(reply)
	struct reply *reply = reply_make(groups, plans, addresses, 7, ORIGIN_TRUSTED);

	g_assert_cmpuint(g_strv_length(reply->lines), ==, REPLY_RECIPIENTS_MAX + 1);
	g_assert_cmpstr(reply->lines[REPLY_RECIPIENTS_MAX], ==, "and 2 more recipients");
}

/* What an attacker puts into RCPT must not write lines or escape sequences of its own. */
static void
test_reply_is_printable(void)
{
	static const char *const addresses[] = { "a\r\n250 fine\x1b[2J\xff@x" };
	struct plan plans[RECIPIENTS_MAX];
	CLEANUP(groups) struct groups *groups = groups_of("R", &nothing_goes, plans);
	CLEANUP(reply)
	struct reply *reply = reply_make(groups, plans, addresses, 1, ORIGIN_TRUSTED);

	for (const char *p = reply->lines[0]; *p != '\0'; p++)
		g_assert_true(g_ascii_isprint(*p));
}

/* Failures outside of the policy have one line each. */
static void
test_reply_of_reason(void)
{
	CLEANUP(reply)
	struct reply *ours = reply_of_reason(REASON_DEFERRED_STORE, ORIGIN_TRUSTED);
	CLEANUP(reply)
	struct reply *theirs = reply_of_reason(REASON_REFUSED_LIMIT, ORIGIN_UNTRUSTED);

	g_assert_cmpstr(ours->code, ==, "451");
	g_assert_cmpstr(ours->status, ==, "4.3.0");
	g_assert_cmpstr(ours->lines[0], ==, reason_sentence(REASON_DEFERRED_STORE));
	g_assert_cmpstr(theirs->lines[0], ==, "message not accepted");
	g_assert_null(theirs->lines[1]);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/groups/table", test_groups);
	g_test_add_func("/groups/copies", test_copies);
	g_test_add_func("/groups/any-plans", test_any_plans);
	g_test_add_func("/groups/same-address", test_same_address);
	g_test_add_func("/groups/observed", test_observed);
	g_test_add_func("/groups/bounce-is-left-whole", test_bounce_is_left_whole);
	g_test_add_func("/reply/table", test_replies);
	g_test_add_func("/reply/counts", test_reply_counts);
	g_test_add_func("/reply/is-printable", test_reply_is_printable);
	g_test_add_func("/reply/of-reason", test_reply_of_reason);
	return g_test_run();
}
