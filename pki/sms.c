/*
 * sms - settings, who may get one, and which way it goes.
 */
#include "pki/sms.h"

#include <string.h>

#include "pki/delivery.h"
#include "pki/handlers/config.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/program.h"
#include "pki/sms_internal.h"
#include "store/base/error.h"
#include "store/preferences.h"
#include "store/scopes.h"

static const struct handler_key sms_keys[] = {
	{ "transport", HANDLER_KEY_CHOICE, "none", "none|http|command", FALSE,
	  "How text messages are sent: not at all, by an HTTP request, or by a command." },
	{ "url", HANDLER_KEY_TEXT, "", "https://...", FALSE,
	  "http: where to; {{number}}, {{digits}}, {{text}}, {{user}}, {{from}} and {{secret}} are "
	  "filled in, percent-encoded. What stands in a URL is in the other side's logs: use the "
	  "body where you can." },
	{ "method", HANDLER_KEY_CHOICE, "POST", "POST|GET|PUT", FALSE, "http: the method." },
	{ "content_type", HANDLER_KEY_TEXT, "application/json", "media type", FALSE,
	  "http: media type of the body, which decides how values are escaped: JSON, a form "
	  "(application/x-www-form-urlencoded), XML, else not at all." },
	{ "body", HANDLER_KEY_TEXT, "", "template", FALSE,
	  "http: the body, {\"to\": \"{{number}}\", \"text\": \"{{text}}\"}." },
	{ "headers", HANDLER_KEY_LIST, "", "'Name: value' ...", FALSE,
	  "http: further fields, 'Authorization: Bearer {{secret}}'." },
	{ "user", HANDLER_KEY_TEXT, "", "text", FALSE, "What {{user}} stands for." },
	{ "from", HANDLER_KEY_TEXT, "", "text", FALSE, "What {{from}} stands for." },
	{ "secret", HANDLER_KEY_SECRET, "", "", FALSE,
	  "What {{secret}} stands for: a password or token of the other side's." },
	{ "basic", HANDLER_KEY_BOOL, "off", "on|off", FALSE,
	  "http: log in with user and secret (RFC 7617)." },
	{ "expect", HANDLER_KEY_TEXT, "", "text", FALSE,
	  "http: what stands in an answer that means success, for servers that say 200 to all." },
	{ "ca", HANDLER_KEY_CERTS, "", "", FALSE,
	  "http: trust anchors for the server, in place of the system's." },
	{ "cleartext", HANDLER_KEY_BOOL, "off", "on|off", FALSE,
	  "http: whether the URL may be http: on another host, where passwords can be read on the "
	  "way." },
	{ "command", HANDLER_KEY_LIST, "", "/PROGRAM {{number}} ...", FALSE,
	  "command: program and arguments; no shell. A file that only its owner (root or the "
	  "daemon) "
	  "may write. The text comes on its standard input; status 0 is success, 75 (EX_TEMPFAIL) "
	  "means again later." },
	{ "timeout", HANDLER_KEY_DURATION, "30s", "1s..5m", FALSE,
	  "How long one message may take." },
	{ .name = NULL },
};

const struct handler handler_sms = {
	.name = "sms",
	.sentence = "text messages with passwords",
	.capabilities = { .synchronous = TRUE },
	.keys = sms_keys,
};

/* --- what is set --- */

static gboolean
is_local_or_safe(const struct handler_config *config, const char *url)
{
	static const char *const local[] = { "http://127.0.0.1", "http://localhost",
					     "http://[::1]" };

	if (g_str_has_prefix(url, "https://") || handler_config_bool(config, "cleartext"))
		return TRUE;
	for (gsize i = 0; i < G_N_ELEMENTS(local); i++)
		if (g_str_has_prefix(url, local[i]) && strchr(":/?", url[strlen(local[i])]) != NULL)
			return TRUE;
	return FALSE;
}

static gboolean
check_http(const struct handler_config *config, GError **error)
{
	const char *url = handler_config_text(config, "url");
	const char *const *headers = handler_config_list(config, "headers");

	if (!g_str_has_prefix(url, "https://") && !g_str_has_prefix(url, "http://"))
		return fail_false(error, PS_ERROR_INVALID,
				  "no SMS can be sent: set the URL of the transport with: postseal "
				  "sms config url https://...");
	if (!is_local_or_safe(config, url))
		return fail_false(error, PS_ERROR_INVALID,
				  "no SMS can be sent: over http the password could be read on the "
				  "way; use https, or say: postseal sms config cleartext on");
	if (!sms_template_check("url", url, error) ||
	    !sms_template_check("body", handler_config_text(config, "body"), error))
		return FALSE;
	for (; *headers != NULL; headers++)
		if (!sms_template_check("headers", *headers, error))
			return FALSE;
	return TRUE;
}

static gboolean
check_command(const struct handler_config *config, GError **error)
{
	const char *const *words = handler_config_list(config, "command");

	if (words[0] == NULL || words[0][0] != '/')
		return fail_false(error, PS_ERROR_INVALID,
				  "no SMS can be sent: set the command of the transport with: "
				  "postseal sms config command '/path/to/program {{number}}'");
	if (!program_check(words[0], error)) {
		g_prefix_error(error, "no SMS can be sent: ");
		return FALSE;
	}
	for (; *words != NULL; words++)
		if (strstr(*words, "{{text}}") != NULL || strstr(*words, "{{secret}}") != NULL)
			return fail_false(error, PS_ERROR_INVALID,
					  "no SMS can be sent: everybody can read the arguments of "
					  "a command; the text comes on its standard input");
		else if (!sms_template_check("command", *words, error))
			return FALSE;
	return TRUE;
}

static gboolean
check_config(const struct handler_config *config, GError **error)
{
	const char *transport = handler_config_text(config, "transport");

	if (strcmp(transport, "http") == 0)
		return check_http(config, error);
	if (strcmp(transport, "command") == 0)
		return check_command(config, error);
	return fail_false(error, PS_ERROR_INVALID,
			  "no SMS can be sent: no transport is set; see: postseal sms config");
}

static struct handler_config *
load_config(const struct delivery *delivery, GError **error)
{
	return handler_config_load(delivery->db, delivery->keyring, &handler_sms, NULL, error);
}

gboolean
sms_is_set(const struct delivery *delivery)
{
	CLEANUP(handler_config) struct handler_config *config = load_config(delivery, NULL);

	return config != NULL && strcmp(handler_config_text(config, "transport"), "none") != 0;
}

gboolean
sms_ready(const struct delivery *delivery, GError **error)
{
	CLEANUP(handler_config) struct handler_config *config = load_config(delivery, error);

	return config != NULL && check_config(config, error);
}

/* --- to whom --- */

char *
sms_telephone(const struct delivery *delivery, const char *email, GError **error)
{
	CLEANUP(scope) struct scope *scope = scope_new(SCOPE_USER, email);
	g_autoptr(GPtrArray) users = scopes_list(delivery->db, SCOPE_USER, email, NULL, 100, error);
	gboolean known = FALSE;

	if (users == NULL)
		return NULL;
	for (guint i = 0; i < users->len; i++)
		known |= strcmp(((struct scope_row *)users->pdata[i])->scope->name, email) == 0;
	if (!known)
		return fail(error, PS_ERROR_INVALID,
			    "no SMS can be sent to %s: there is no such user (postseal user add)",
			    email);
	g_autoptr(GPtrArray) own = preferences_own(delivery->db, scope, error);
	if (own == NULL)
		return NULL;
	for (guint i = 0; i < own->len; i++) {
		const struct preference_row *row = own->pdata[i];

		if (row->preference == PREF_TELEPHONE && *row->value != '\0')
			return g_strdup(row->value);
	}
	return fail(error, PS_ERROR_INVALID,
		    "no SMS can be sent to %s: no telephone is set (postseal user set %s "
		    "telephone +...)",
		    email, email);
}

gboolean
sms_check(const struct delivery *delivery, const char *email, GError **error)
{
	g_autofree char *number = NULL;

	if (!sms_ready(delivery, error))
		return FALSE;
	number = sms_telephone(delivery, email, error);
	return number != NULL;
}

char *
sms_number(const char *text, GError **error)
{
	char *number = preference_normalise(PREF_TELEPHONE, text, error);

	if (number != NULL && *number == '\0') {
		g_free(number);
		return fail(error, PS_ERROR_INVALID, "that is no telephone number");
	}
	return number;
}

/* --- sending --- */

void
sms_decide(struct sms_outcome *outcome, enum sms_result result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_free(outcome->text);
	outcome->text = g_strdup_vprintf(format, arguments);
	outcome->result = result;
	va_end(arguments);
}

void
sms_send(const struct delivery *delivery, const char *number, const struct secret *text,
	 struct sms_outcome *outcome)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(handler_config) struct handler_config *config = load_config(delivery, &why);
	struct sms sms = { config, delivery->settings, number, text };

	if (config == NULL || !check_config(config, &why))
		sms_decide(outcome,
			   g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY) ? SMS_LATER
									      : SMS_REFUSED,
			   "%s", why->message);
	else if (strcmp(handler_config_text(config, "transport"), "http") == 0)
		sms_by_http(&sms, outcome);
	else
		sms_by_command(&sms, outcome);
}
