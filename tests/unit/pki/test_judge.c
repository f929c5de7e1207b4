/*
 * The order of judgement: every combination of entries and faults, against the rule's own words.
 */
#include <glib.h>

#include "pki/judge.h"

static const enum ctl_mark own_marks[] = {
	CTL_MARK_NONE,
	CTL_MARK_ALLOW,
	CTL_MARK_ALLOW_EXPIRED,
	CTL_MARK_DENY,
};

/* The feature's sentence, word by word, and written in another way than the product has it. */
static struct judge_answer
by_the_words(const struct judge_facts *f)
{
	gboolean allow = f->own == CTL_MARK_ALLOW || f->own == CTL_MARK_ALLOW_EXPIRED;
	gboolean expired = f->faults[CHAIN_FAULT_EXPIRED] && f->own != CTL_MARK_ALLOW_EXPIRED;
	gboolean path = f->faults[CHAIN_FAULT_PATH] && !allow;
	gboolean unknown = f->faults[CHAIN_FAULT_REVOCATION] && !allow;
	gboolean denied = f->own == CTL_MARK_DENY || f->issuer_denied;
	struct judge_answer a = { VERDICT_INVALID, f->own, CHAIN_FAULTS, FALSE };

	a.fault = denied                             ? CHAIN_FAULTS
		  : f->faults[CHAIN_FAULT_REVOKED]   ? CHAIN_FAULT_REVOKED
		  : f->faults[CHAIN_FAULT_USAGE]     ? CHAIN_FAULT_USAGE
		  : f->faults[CHAIN_FAULT_ALGORITHM] ? CHAIN_FAULT_ALGORITHM
		  : f->faults[CHAIN_FAULT_OTHER]     ? CHAIN_FAULT_OTHER
		  : expired                          ? CHAIN_FAULT_EXPIRED
		  : path                             ? CHAIN_FAULT_PATH
		  : unknown                          ? CHAIN_FAULT_REVOCATION
						     : CHAIN_FAULTS;
	if (f->own != CTL_MARK_DENY && f->issuer_denied)
		a.mark = CTL_MARK_DENY_INHERITED;
	if (!denied && a.fault == CHAIN_FAULT_REVOKED)
		a.state = VERDICT_REVOKED;
	if (!denied && a.fault == CHAIN_FAULTS) {
		a.state = VERDICT_VALID;
		a.by_ctl_allow = f->faults[CHAIN_FAULT_PATH] || f->faults[CHAIN_FAULT_REVOCATION] ||
				 f->faults[CHAIN_FAULT_EXPIRED];
	}
	return a;
}

static void
test_all(void)
{
	guint count = 0;

	for (gsize own = 0; own < G_N_ELEMENTS(own_marks); own++)
		for (int denied = 0; denied <= 1; denied++)
			for (guint faults = 0; faults < 1u << CHAIN_FAULTS; faults++) {
				struct judge_facts facts = { .own = own_marks[own],
							     .issuer_denied = denied };

				for (guint i = 0; i < CHAIN_FAULTS; i++)
					facts.faults[i] = (faults >> i) & 1u;
				struct judge_answer is = judge_facts(&facts);
				struct judge_answer wanted = by_the_words(&facts);
				g_assert_cmpint(is.state, ==, wanted.state);
				g_assert_cmpint(is.mark, ==, wanted.mark);
				g_assert_cmpint(is.fault, ==, wanted.fault);
				g_assert_cmpint(is.by_ctl_allow, ==, wanted.by_ctl_allow);
				count++;
			}
	g_test_message("%u combinations", count);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/judge/every combination", test_all);
	return g_test_run();
}
