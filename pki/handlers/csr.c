/*
 * csr - a person takes the CSR to a CA and brings the certificate back.
 *
 * Nobody is asked; the request is pending until its certificate is uploaded, found by its key, or
 * until max_age_days are over.
 */
#include <string.h>

#include "pki/crypto/issue.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/table.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/requests.h"

static const struct handler_key keys[] = {
	{ "subject", HANDLER_KEY_CHOICE, "full", "full|name|mailbox", FALSE,
	  "The subject of CSRs: full has all names that were given, name the common name alone, "
	  "mailbox the address as common name." },
	{ "include_san", HANDLER_KEY_BOOL, "on", "", FALSE,
	  "Asks for the address as a subject alternative name; some CAs refuse CSRs with "
	  "extensions they do not take over." },
	{ "key_type", HANDLER_KEY_TEXT, "", "rsa:3072, ec:P-256 ...", FALSE,
	  "Kind of key where none is named; empty: the CA default." },
	{ "max_age_days", HANDLER_KEY_INT, "90", "1..3650", FALSE,
	  "Days that a request waits for its certificate; then it is given up." },
	{ "notify_address", HANDLER_KEY_TEXT, "", "", FALSE,
	  "Who gets a mail with each new CSR; empty: nobody." },
	{ .name = NULL },
};

static void
csr_shape(const struct handler_context *context, struct issue_names *names)
{
	const char *subject = handler_config_text(context->config, "subject");

	if (strcmp(subject, "full") != 0)
		names->organisation = names->given_name = names->surname = NULL;
	if (strcmp(subject, "mailbox") == 0 && names->emails != NULL)
		names->common_name = names->emails[0];
	if (!handler_config_bool(context->config, "include_san"))
		names->emails = NULL;
}

static gboolean
csr_submit(const struct handler_context *context, struct tx *tx, const struct request_row *request,
	   struct handler_answer *answer, GError **error)
{
	gboolean told = *handler_config_text(context->config, "notify_address") != '\0';
	g_autofree char *id = g_strdup_printf("%" G_GINT64_FORMAT, request->id);

	handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_HUMAN, NULL,
			   "waits for its certificate: request csr %s, then request upload", id);
	answer->not_before = CLOCK_NEVER;
	return !told || jobs_enqueue(tx, "csr-mail", id, NULL, tx_now(tx), error);
}

static gboolean
csr_poll(const struct handler_context *context G_GNUC_UNUSED,
	 const struct request_row *request G_GNUC_UNUSED, struct handler_answer *answer,
	 GError **error G_GNUC_UNUSED)
{
	handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_HUMAN, NULL,
			   "waits for its certificate: request upload");
	answer->not_before = CLOCK_NEVER;
	return TRUE;
}

const struct handler handler_csr = {
	.name = "csr",
	.sentence = "a person takes the CSR to any CA and uploads the certificate",
	.capabilities = { .synchronous = TRUE,
			  .csr_download = TRUE,
			  .csr_upload = TRUE,
			  .tls_names = TRUE },
	.keys = keys,
	.shape = csr_shape,
	.submit = csr_submit,
	.poll = csr_poll,
};
