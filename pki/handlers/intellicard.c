/*
 * intellicard - settings of a CA whose interface is not public: kept and shown, never used.
 *
 * Nothing is sent anywhere. Who has the interface's description can speak it through the handler
 * `command`.
 */
#include "pki/handlers/handler.h"
#include "pki/handlers/table.h"

#define NOT_AVAILABLE "not available: the interface is not public"

static const struct handler_key keys[] = {
	{ "customer_id", HANDLER_KEY_TEXT, "", "", FALSE, "The customer's number." },
	{ "ca_dn", HANDLER_KEY_TEXT, "", "", FALSE, "Distinguished name of the CA." },
	{ "client_key", HANDLER_KEY_PRIVATE, "", "", FALSE,
	  "The client's key, from its file under its password." },
	{ "client_cert", HANDLER_KEY_CERTS, "", "", FALSE, "The client's certificate." },
	{ .name = NULL },
};

static char *
intellicard_lacks(const struct handler_context *context G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
	return g_strdup(NOT_AVAILABLE);
}

static gboolean
not_available(struct handler_answer *answer)
{
	handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_CONFIG, NULL, NOT_AVAILABLE);
	return TRUE;
}

static gboolean
intellicard_submit(const struct handler_context *context G_GNUC_UNUSED, struct tx *tx G_GNUC_UNUSED,
		   const struct request_row *request G_GNUC_UNUSED, struct handler_answer *answer,
		   GError **error G_GNUC_UNUSED)
{
	return not_available(answer);
}

static gboolean
intellicard_poll(const struct handler_context *context G_GNUC_UNUSED,
		 const struct request_row *request G_GNUC_UNUSED, struct handler_answer *answer,
		 GError **error G_GNUC_UNUSED)
{
	return not_available(answer);
}

static gboolean
intellicard_check(const struct handler_context *context G_GNUC_UNUSED,
		  struct handler_answer *answer, GError **error G_GNUC_UNUSED)
{
	return not_available(answer);
}

const struct handler handler_intellicard = {
	.name = "intellicard",
	.sentence = "Intellicard EPKI; not available: its interface is not public",
	.capabilities = { .tests = TRUE },
	.keys = keys,
	.lacks = intellicard_lacks,
	.submit = intellicard_submit,
	.poll = intellicard_poll,
	.check = intellicard_check,
};
