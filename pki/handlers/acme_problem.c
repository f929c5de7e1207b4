/*
 * acme_problem - the table of ACME's error types.
 */
#include "pki/handlers/acme_problem.h"

#include <string.h>

/* What an administrator mends in the configuration goes on by itself afterwards: RETRY. */
static const struct {
	const char *type;
	struct acme_meaning meaning;
	gboolean heals; /* of a challenge: with a new order later */
} types[] = {
	{ "badNonce", { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT }, TRUE },
	{ "serverInternal", { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT }, TRUE },
	{ "rateLimited", { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT }, TRUE },
	{ "orderNotReady", { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT }, TRUE },
	{ "connection", { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT }, TRUE },
	{ "dns", { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT }, TRUE },
	{ "tls", { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT }, TRUE },
	{ "conflict", { HANDLER_RETRY, HANDLER_ERROR_CONFLICT }, FALSE },
	{ "externalAccountRequired", { HANDLER_RETRY, HANDLER_ERROR_CONFIG }, FALSE },
	{ "userActionRequired", { HANDLER_RETRY, HANDLER_ERROR_CONFIG }, FALSE },
	{ "accountDoesNotExist", { HANDLER_RETRY, HANDLER_ERROR_CONFIG }, FALSE },
	{ "badSignatureAlgorithm", { HANDLER_RETRY, HANDLER_ERROR_CONFIG }, FALSE },
	{ "invalidContact", { HANDLER_RETRY, HANDLER_ERROR_CONFIG }, FALSE },
	{ "unsupportedContact", { HANDLER_RETRY, HANDLER_ERROR_CONFIG }, FALSE },
	{ "invalidProfile", { HANDLER_RETRY, HANDLER_ERROR_CONFIG }, FALSE },
	{ "unauthorized", { HANDLER_REJECTED, HANDLER_ERROR_CONFIG }, FALSE },
	{ "incorrectResponse", { HANDLER_REJECTED, HANDLER_ERROR_CONFIG }, FALSE },
	{ "caa", { HANDLER_REJECTED, HANDLER_ERROR_CONFIG }, FALSE },
	{ "rejectedIdentifier", { HANDLER_REJECTED, HANDLER_ERROR_INPUT }, FALSE },
	{ "unsupportedIdentifier", { HANDLER_REJECTED, HANDLER_ERROR_INPUT }, FALSE },
	{ "badCSR", { HANDLER_REJECTED, HANDLER_ERROR_INPUT }, FALSE },
	{ "badPublicKey", { HANDLER_REJECTED, HANDLER_ERROR_INPUT }, FALSE },
	{ "badRevocationReason", { HANDLER_REJECTED, HANDLER_ERROR_INPUT }, FALSE },
	{ "alreadyReplaced", { HANDLER_REJECTED, HANDLER_ERROR_INPUT }, FALSE },
	{ "malformed", { HANDLER_REJECTED, HANDLER_ERROR_INPUT }, FALSE },
};

/* A type that is not known: an administrator should look. */
static const struct acme_meaning unknown = { HANDLER_REJECTED, HANDLER_ERROR_CONFIG };

gboolean
acme_problem_is(const struct acme_problem *problem, const char *type)
{
	return problem != NULL && strcmp(problem->type, type) == 0;
}

static struct acme_meaning
meaning_of(const char *type, gboolean *heals)
{
	for (gsize i = 0; i < G_N_ELEMENTS(types); i++)
		if (strcmp(types[i].type, type) == 0) {
			*heals = types[i].heals;
			return types[i].meaning;
		}
	*heals = FALSE;
	return unknown;
}

static struct acme_meaning
worst(const struct acme_problem *problem, gboolean *heals)
{
	struct acme_meaning found = { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT };

	if (strcmp(problem->type, "compound") != 0 || problem->subtypes == NULL ||
	    problem->subtypes[0] == NULL)
		return meaning_of(problem->type, heals);
	*heals = TRUE;
	for (guint i = 0; problem->subtypes[i] != NULL; i++) {
		gboolean one_heals;
		struct acme_meaning one = meaning_of(problem->subtypes[i], &one_heals);
		*heals = *heals && one_heals;
		if (one.status == HANDLER_REJECTED ||
		    (found.status == HANDLER_RETRY && one.error_class != HANDLER_ERROR_TRANSIENT))
			found = one;
	}
	return found;
}

struct acme_meaning
acme_problem_meaning(const struct acme_problem *problem)
{
	gboolean heals;

	return worst(problem, &heals);
}

struct acme_meaning
acme_problem_of_challenge(const struct acme_problem *problem)
{
	gboolean heals;

	if (problem == NULL)
		return unknown;
	struct acme_meaning meaning = worst(problem, &heals);
	if (heals)
		return (struct acme_meaning){ HANDLER_RETRY, HANDLER_ERROR_TRANSIENT };
	return (struct acme_meaning){ HANDLER_REJECTED, meaning.error_class };
}
