/*
 * cmp_failure - a table of the bits.
 */
#include "pki/handlers/cmp_failure.h"

#include <string.h>

/* By number of the bit, as cmp_failure_name(). */
static const enum handler_error_class classes[] = {
	HANDLER_ERROR_CONFIG,    /* badAlg: digest and mac are settings */
	HANDLER_ERROR_CONFIG,    /* badMessageCheck: the secret */
	HANDLER_ERROR_INPUT,     /* badRequest */
	HANDLER_ERROR_TRANSIENT, /* badTime: a clock */
	HANDLER_ERROR_INPUT,     /* badCertId */
	HANDLER_ERROR_INPUT,     /* badDataFormat */
	HANDLER_ERROR_CONFIG,    /* wrongAuthority: the recipient */
	HANDLER_ERROR_INPUT,     /* incorrectData */
	HANDLER_ERROR_CONFIG,    /* missingTimeStamp */
	HANDLER_ERROR_INPUT,     /* badPOP */
	HANDLER_ERROR_INPUT,     /* certRevoked: the one to be renewed */
	HANDLER_ERROR_CONFLICT,  /* certConfirmed */
	HANDLER_ERROR_CONFIG,    /* wrongIntegrity: secret or signature */
	HANDLER_ERROR_TRANSIENT, /* badRecipientNonce */
	HANDLER_ERROR_TRANSIENT, /* timeNotAvailable */
	HANDLER_ERROR_INPUT,     /* unacceptedPolicy */
	HANDLER_ERROR_INPUT,     /* unacceptedExtension */
	HANDLER_ERROR_INPUT,     /* addInfoNotAvailable */
	HANDLER_ERROR_TRANSIENT, /* badSenderNonce */
	HANDLER_ERROR_INPUT,     /* badCertTemplate */
	HANDLER_ERROR_CONFIG,    /* signerNotTrusted */
	HANDLER_ERROR_CONFLICT,  /* transactionIdInUse */
	HANDLER_ERROR_CONFIG,    /* unsupportedVersion */
	HANDLER_ERROR_CONFIG,    /* notAuthorized */
	HANDLER_ERROR_TRANSIENT, /* systemUnavail */
	HANDLER_ERROR_TRANSIENT, /* systemFailure */
	HANDLER_ERROR_CONFLICT,  /* duplicateCertReq */
};

static guint
care_of(enum handler_error_class error_class)
{
	switch (error_class) {
	case HANDLER_ERROR_CONFLICT:
		return 4;
	case HANDLER_ERROR_CONFIG:
		return 3;
	case HANDLER_ERROR_INPUT:
		return 2;
	case HANDLER_ERROR_TRANSIENT:
	case HANDLER_ERROR_HUMAN:
		return 1;
	case HANDLER_ERROR_NONE:
		return 0;
	}
	return 0;
}

enum handler_error_class
cmp_failure_class(guint32 bits, const char **name)
{
	enum handler_error_class found = HANDLER_ERROR_NONE;

	*name = NULL;
	for (guint bit = 0; bit < G_N_ELEMENTS(classes); bit++) {
		if ((bits & (1u << bit)) == 0 || care_of(classes[bit]) <= care_of(found))
			continue;
		found = classes[bit];
		*name = cmp_failure_name(bit);
	}
	return found != HANDLER_ERROR_NONE ? found : HANDLER_ERROR_INPUT;
}

void
cmp_failure_answer(const struct cmp_result *result, struct handler_answer *answer)
{
	const char *name;
	enum handler_error_class error_class = cmp_failure_class(result->failure, &name);
	const char *text =
	    result->text != NULL && *result->text != '\0' ? result->text : "the CA gives no reason";

	handler_answer_set(answer,
			   error_class == HANDLER_ERROR_INPUT ? HANDLER_REJECTED : HANDLER_RETRY,
			   error_class, name, "%s", text);
}

gboolean
cmp_failure_forgotten(const struct cmp_result *result)
{
	static const char *const names[] = { "badRequest", "badRecipientNonce", "badSenderNonce",
					     "badDataFormat", "transactionIdInUse" };
	const char *name;

	cmp_failure_class(result->failure, &name);
	if (!result->failed)
		return FALSE;
	for (guint i = 0; i < G_N_ELEMENTS(names); i++)
		if (name == NULL || strcmp(name, names[i]) == 0)
			return TRUE;
	return FALSE;
}
