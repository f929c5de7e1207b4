/*
 * verdict - counted, and its states and marks by name.
 */
#include "pki/verdict.h"

#include "pki/crypto/cert.h"
#include "store/base/clock.h"

struct verdict *
verdict_new(void)
{
	struct verdict *verdict = g_new0(struct verdict, 1);

	verdict->references = 1;
	verdict->state = VERDICT_INVALID;
	verdict->fault = CHAIN_FAULTS;
	verdict->expires = CLOCK_NEVER;
	return verdict;
}

struct verdict *
verdict_ref(struct verdict *verdict)
{
	g_atomic_int_inc(&verdict->references);
	return verdict;
}

void
verdict_unref(struct verdict *verdict)
{
	if (verdict == NULL || !g_atomic_int_dec_and_test(&verdict->references))
		return;
	g_free(verdict->reason);
	g_free(verdict->finding);
	g_free(verdict->revocation);
	g_ptr_array_unref(verdict->path);
	g_free(verdict->ctl_thumbprint);
	g_free(verdict->ctl_subject);
	g_free(verdict);
}

const char *
verdict_state_name(enum verdict_state state)
{
	switch (state) {
	case VERDICT_VALID:
		return "valid";
	case VERDICT_INVALID:
		return "invalid";
	case VERDICT_REVOKED:
		return "revoked";
	case VERDICT_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

const char *
ctl_mark_name(enum ctl_mark mark)
{
	switch (mark) {
	case CTL_MARK_NONE:
		return "";
	case CTL_MARK_ALLOW:
		return "allow";
	case CTL_MARK_ALLOW_EXPIRED:
		return "allow also expired";
	case CTL_MARK_DENY:
		return "deny";
	case CTL_MARK_DENY_INHERITED:
		return "denied through issuer";
	}
	return "";
}

char *
verdict_mark(const struct verdict *verdict)
{
	if (verdict->ctl == CTL_MARK_DENY_INHERITED && verdict->ctl_subject != NULL)
		return g_strdup_printf("denied through '%s'", verdict->ctl_subject);
	return g_strdup(ctl_mark_name(verdict->ctl));
}
