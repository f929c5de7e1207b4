/*
 * verdict - the order of the questions is the meaning: what cannot be told comes first, what is
 * wrong before what is missing.
 */
#include "milter/mime/verdict.h"

#include "store/base/clock.h"

static const char *const names[] = {
	[MAIL_VALID] = "valid",
	[MAIL_UNTRUSTED] = "untrusted",
	[MAIL_MISMATCH] = "mismatch",
	[MAIL_BAD] = "bad",
	[MAIL_UNSIGNED] = "unsigned",
	[MAIL_PARTIAL] = "partial",
	[MAIL_UNDECRYPTABLE] = "undecryptable",
	[MAIL_MALFORMED] = "malformed",
};

const char *
mail_verdict_name(enum mail_verdict verdict)
{
	return (gsize)verdict < G_N_ELEMENTS(names) ? names[verdict] : "malformed";
}

const char *
signer_signature_name(enum signer_signature signature)
{
	switch (signature) {
	case SIGNATURE_GOOD:
		return "good";
	case SIGNATURE_BAD:
		return "bad";
	case SIGNATURE_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

const char *
signer_trust_name(enum signer_trust trust)
{
	switch (trust) {
	case SIGNER_VALID:
		return "valid";
	case SIGNER_INVALID:
		return "invalid";
	case SIGNER_REVOKED:
		return "revoked";
	}
	return "invalid";
}

/* The first signer for which the question holds, or NULL. */
static const struct signer_finding *
find_bad(const struct verdict_input *input)
{
	for (guint i = 0; i < input->signer_count; i++)
		if (input->signers[i].signature == SIGNATURE_BAD)
			return &input->signers[i];
	return NULL;
}

static gboolean
is_believed(const struct signer_finding *signer)
{
	return signer->signature == SIGNATURE_GOOD && signer->trust == SIGNER_VALID;
}

/* May his signature have been made for what Date shows? Who names no time leaves that open. */
static const char *
replayed(const struct verdict_input *input, const struct signer_finding *signer)
{
	if (signer->signing_time == CLOCK_NEVER)
		return NULL;
	if (input->date_doubt != NULL)
		return input->date_doubt;
	if (input->date != CLOCK_NEVER &&
	    input->date - VERDICT_DATE_AFTER_MAX_S > signer->signing_time)
		return "it was signed long before the Date that it shows";
	return NULL;
}

static enum mail_verdict
decide_signers(const struct verdict_input *input, const char **reason)
{
	const struct signer_finding *best = NULL;
	const struct signer_finding *bad = find_bad(input);
	const char *old = NULL;

	if (bad != NULL) {
		*reason = bad->reason != NULL ? bad->reason : "the signature does not fit";
		return MAIL_BAD;
	}
	for (guint i = 0; i < input->signer_count; i++) {
		const struct signer_finding *signer = &input->signers[i];

		if (is_believed(signer) && signer->from_matches && input->single_author &&
		    input->author_doubt == NULL) {
			*reason = "signed by the author";
			old = replayed(input, signer);
			if (old == NULL)
				return MAIL_VALID;
		}
		if (best == NULL || (is_believed(signer) && !is_believed(best)))
			best = signer;
	}
	if (best == NULL) {
		*reason = "nobody signed";
		return MAIL_UNSIGNED;
	}
	if (!is_believed(best)) {
		*reason = best->reason != NULL ? best->reason : "the signer is not trusted";
		return MAIL_UNTRUSTED;
	}
	if (old != NULL) {
		*reason = old;
		return MAIL_PARTIAL;
	}
	if (input->author_doubt != NULL)
		*reason = input->author_doubt;
	else
		*reason = input->single_author ? "the signer's address is not the From address"
					       : "From does not hold exactly one mailbox";
	return MAIL_MISMATCH;
}

enum mail_verdict
verdict_decide(const struct verdict_input *input, const char **reason)
{
	enum mail_verdict verdict;

	*reason = input->malformed;
	if (input->malformed != NULL)
		return MAIL_MALFORMED;
	*reason = input->undecryptable;
	if (input->undecryptable != NULL)
		return MAIL_UNDECRYPTABLE;
	if (input->is_signed) {
		verdict = decide_signers(input, reason);
		if (input->partial == NULL || verdict == MAIL_BAD)
			return verdict;
	}
	*reason = input->partial;
	if (input->partial != NULL)
		return MAIL_PARTIAL;
	*reason = "the message is not signed";
	return MAIL_UNSIGNED;
}
