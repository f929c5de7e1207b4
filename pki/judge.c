/*
 * judge - the order of judgement.
 */
#include "pki/judge.h"

/* Does the certificate's own entry stand in for this fault? */
static gboolean
is_allowed(enum ctl_mark own, enum chain_fault fault)
{
	switch (fault) {
	case CHAIN_FAULT_PATH:
	case CHAIN_FAULT_REVOCATION:
		return own == CTL_MARK_ALLOW || own == CTL_MARK_ALLOW_EXPIRED;
	case CHAIN_FAULT_EXPIRED:
		return own == CTL_MARK_ALLOW_EXPIRED;
	case CHAIN_FAULT_REVOKED:
	case CHAIN_FAULT_USAGE:
	case CHAIN_FAULT_ALGORITHM:
	case CHAIN_FAULT_OTHER:
	case CHAIN_FAULTS:
		return FALSE;
	}
	return FALSE;
}

struct judge_answer
judge_facts(const struct judge_facts *facts)
{
	struct judge_answer answer = {
		.state = VERDICT_INVALID,
		.mark = facts->own,
		.fault = CHAIN_FAULTS,
	};

	if (facts->own == CTL_MARK_DENY)
		return answer;
	if (facts->issuer_denied) {
		answer.mark = CTL_MARK_DENY_INHERITED;
		return answer;
	}
	for (int i = 0; i < CHAIN_FAULTS; i++) {
		enum chain_fault fault = (enum chain_fault)i;

		if (!facts->faults[i])
			continue;
		if (is_allowed(facts->own, fault)) {
			answer.by_ctl_allow = TRUE;
			continue;
		}
		answer.state = fault == CHAIN_FAULT_REVOKED ? VERDICT_REVOKED : VERDICT_INVALID;
		answer.fault = fault;
		answer.by_ctl_allow = FALSE;
		return answer;
	}
	answer.state = VERDICT_VALID;
	return answer;
}
