/*
 * acme - any CA that speaks ACME: certificates for TLS (RFC 8555, http-01 and dns-01) and for
 * S/MIME (RFC 8823, email-reply-00, answered at the gateway).
 *
 * Tried against pebble for TLS. The S/MIME part: tried against a fake of our own, written from
 * public sources; not against the real service.
 */
#include <string.h>

#include "pki/handlers/acme_account.h"
#include "pki/handlers/acme_cert.h"
#include "pki/handlers/acme_order.h"
#include "pki/handlers/acme_rollover.h"
#include "pki/handlers/acme_wire.h"
#include "pki/handlers/program.h"
#include "pki/handlers/table.h"
#include "pki/crypto/issue.h"
#include "store/base/error.h"
#include "store/config/settings.h"

static const struct handler_key keys[] = {
	{ "directory_url", HANDLER_KEY_URL, "", "https", TRUE, "URL of the CA's directory" },
	{ "ca_bundle", HANDLER_KEY_CERTS, "", "a file of certificates", FALSE,
	  "anchors for the server's certificate, in place of the system's" },
	{ "account_key", HANDLER_KEY_CHOICE, "ec:P-256",
	  "ec:P-256|ec:P-384|rsa:2048|rsa:3072|rsa:4096", FALSE,
	  "kind of the account's key, which is made with the first request" },
	{ "contact", HANDLER_KEY_LIST, "", "addresses", FALSE,
	  "whom the CA may write to about the account" },
	{ "tos_agreed", HANDLER_KEY_BOOL, "off", "on|off", FALSE,
	  "the CA's terms of service are agreed to" },
	{ "eab.kid", HANDLER_KEY_TEXT, "", "as the CA has told it", FALSE,
	  "name of the key that binds the account to a contract" },
	{ "eab.hmac_key", HANDLER_KEY_SECRET, "", "base64url", FALSE,
	  "the key that binds the account to a contract" },
	{ "profile", HANDLER_KEY_TEXT, "", "a name", FALSE,
	  "profile that orders ask for, where the CA has several" },
	{ "preferred_chain", HANDLER_KEY_TEXT, "", "common name of a root", FALSE,
	  "root that the chain is to lead to, where the CA offers several" },
	{ "challenge", HANDLER_KEY_CHOICE, "http-01", "http-01|dns-01|email-reply-00", FALSE,
	  "how DNS names are proved; mailboxes are proved by mail" },
	{ "dns01_hook", HANDLER_KEY_TEXT, "", "the whole path", FALSE,
	  "program of the site's own: add|remove NAME TEXT" },
	{ "dns01_wait", HANDLER_KEY_DURATION, "30s", "0s..2h", FALSE,
	  "from adding a record until the name servers all have it" },
	{ "dns01_timeout", HANDLER_KEY_DURATION, "60s", "1s..10m", FALSE,
	  "how long the hook may take" },
	{ "email.token_join", HANDLER_KEY_CHOICE, "string", "string|decoded", FALSE,
	  "how the parts of the token are joined: as RFC 8823 says, or decoded before" },
	{ "email.expected_from", HANDLER_KEY_TEXT, "", "an address", FALSE,
	  "from whom challenge mail has to come, whatever the CA says" },
	{ "email.reply_timeout", HANDLER_KEY_DURATION, "1d", "1m..30d", FALSE,
	  "how long a challenge mail is waited for" },
	{ "wait", HANDLER_KEY_DURATION, "20s", "0s..5m", FALSE,
	  "how long the CA is waited for at once, before it is asked again later" },
	{ "timeout", HANDLER_KEY_DURATION, "30s", "1s..5m", FALSE,
	  "how long one request to the CA may take" },
	{ .name = NULL },
};

/* What depends on the request is said when one is worked on. */
static char *
acme_lacks(const struct handler_context *context, GError **error G_GNUC_UNUSED)
{
	const struct settings *settings = context->settings;
	const char *challenge = handler_config_text(context->config, "challenge");
	const char *hook = handler_config_text(context->config, "dns01_hook");
	g_autoptr(GError) why = NULL;

	if (strcmp(challenge, "dns-01") == 0) {
		if (*hook == '\0')
			return g_strdup("challenge dns-01 needs dns01_hook");
		return program_check(hook, &why) ? NULL : g_strdup(why->message);
	}
	if (settings == NULL)
		return NULL;
	if (strcmp(challenge, "email-reply-00") == 0 && *settings->reinject_address == '\0')
		return g_strdup("answers to challenge mail leave through the setting "
				"reinject_address, which is not set");
	return NULL;
}

/* A CA of this kind proves names and mailboxes, nobody's person or company. */
static void
acme_shape(const struct handler_context *context G_GNUC_UNUSED, struct issue_names *names)
{
	const char *const *dns = names->dns_names;

	names->organisation = names->organisational_unit = NULL;
	names->given_name = names->surname = names->country = NULL;
	names->email_in_subject = NULL;
	if (dns != NULL && dns[0] != NULL) {
		names->emails = NULL;
		if (names->common_name == NULL || !g_strv_contains(dns, names->common_name))
			names->common_name = NULL;
	} else {
		names->common_name = NULL;
	}
}

static gboolean
acme_act(const struct handler_context *context, const struct request_row *request,
	 struct handler_answer *answer, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(acme) struct acme *acme = acme_open(context, answer, &why);

	if (acme != NULL) {
		acme_order_work(acme, request);
		return acme_end(acme, error);
	}
	if (why == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

static gboolean
acme_submit(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	    const struct request_row *request, struct handler_answer *answer, GError **error)
{
	return acme_act(context, request, answer, error);
}

static gboolean
acme_revoke(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	    const struct handler_revocation *revocation, struct handler_answer *answer,
	    GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(acme) struct acme *acme = acme_open(context, answer, &why);

	if (acme != NULL) {
		acme_cert_revoke(acme, revocation->cert, revocation->reason);
		return acme_end(acme, error);
	}
	if (why == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

static void
describe(struct acme *acme)
{
	const struct acme_directory *directory = acme->directory;
	gboolean agreed = handler_config_bool(acme->context->config, "tos_agreed");

	if (acme->kid != NULL) {
		if (acme_account_check(acme))
			handler_answer_set(acme->answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
					   "an ACME server that knows our account, %s", acme->kid);
	} else if (directory->terms != NULL && !agreed) {
		acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, "userActionRequired",
			  "an ACME server; its terms of service have to be agreed to "
			  "(tos_agreed on): %s",
			  directory->terms);
	} else if (directory->eab_required &&
		   (*handler_config_text(acme->context->config, "eab.kid") == '\0' ||
		    handler_config_secret(acme->context->config, "eab.hmac_key") == NULL)) {
		acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, "externalAccountRequired",
			  "an ACME server; it binds accounts to a contract: set eab.kid and "
			  "eab.hmac_key as the CA has told you");
	} else {
		handler_answer_set(acme->answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
				   "an ACME server; the account is made with the first request");
	}
}

static gboolean
acme_check(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(acme) struct acme *acme = acme_open(context, answer, &why);

	if (acme != NULL) {
		if (acme_account_look(acme, NULL))
			describe(acme);
		return acme_end(acme, error);
	}
	if (why == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

static gboolean
acme_rekey(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(acme) struct acme *acme = acme_open(context, answer, &why);

	if (acme != NULL) {
		acme_rollover(acme);
		return acme_end(acme, error);
	}
	if (why == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

const struct handler handler_acme = {
	.name = "acme",
	.sentence = "any CA that speaks ACME: DNS names by http-01 or dns-01, mailboxes by mail",
	.capabilities = { .revokes = TRUE, .tests = TRUE, .tls_names = TRUE },
	.keys = keys,
	.lacks = acme_lacks,
	.shape = acme_shape,
	.submit = acme_submit,
	.poll = acme_act,
	.revoke = acme_revoke,
	.advise = acme_cert_advise,
	.rekey = acme_rekey,
	.check = acme_check,
};
