/*
 * csr_mail - tells who takes CSRs to a CA that there is one: the key is the request's number.
 */
#include "admin/jobs/runners.h"

#include <string.h>

#include "admin/mail/mailer.h"
#include "milter/gateway.h"
#include "pki/crypto/csr.h"
#include "pki/handlers/handler.h"
#include "store/base/clock.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/requests.h"

struct telling {
	struct gateway *gateway;
	const struct request_row *request;
	const char *to;
};

static gboolean
queue(struct tx *tx, gpointer data, GError **error)
{
	const struct telling *telling = data;
	const struct request_row *request = telling->request;
	g_autofree char *pem = csr_to_pem(request->csr);
	g_autoptr(GBytes) content = g_bytes_new(pem, strlen(pem));
	g_autofree char *name = g_strdup_printf("request-%" G_GINT64_FORMAT ".csr", request->id);
	g_autofree char *subject =
	    g_strdup_printf("CSR %" G_GINT64_FORMAT " for %s", request->id, request->email);
	g_autofree char *text = g_strdup_printf(
	    "Request %" G_GINT64_FORMAT " for %s (%s) waits for its certificate%s%s.\n\n"
	    "Have the attached CSR signed by a CA, then bring the certificate and its chain:\n\n"
	    "    postseal request upload FILE...\n\n"
	    "postseal request show %" G_GINT64_FORMAT " tells until when it waits.\n",
	    request->id, request->common_name, request->email,
	    request->renews != NULL ? ", which replaces one that is about to end: " : "",
	    request->renews != NULL ? request->renews : "", request->id);
	const struct mail_attachment attachment = { name, "application/pkcs10", content };
	const struct mail mail = {
		.to = telling->to,
		.about = request->email,
		.subject = subject,
		.text = text,
		.attachments = &attachment,
		.attachment_count = 1,
	};

	return mailer_queue(telling->gateway, tx, &mail, NULL, error) &&
	       requests_note(tx, request->id, request->state, "the CSR was mailed", error);
}

enum job_result
job_csr_mail(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	gint64 id;

	if (!g_ascii_string_to_signed(context->job->key, 10, 1, G_MAXINT64, &id, NULL))
		return JOB_RESULT_DONE;
	CLEANUP(request_row) struct request_row *request = requests_find(gateway->db, id, error);
	if (request == NULL)
		return JOB_RESULT_FAILED;
	const struct handler *handler = handler_find(request->handler, error);
	CLEANUP(handler_config)
	struct handler_config *config =
	    handler != NULL ? handler_config_load(gateway->db, gateway->keyring, handler,
						  request->handler_config, error)
			    : NULL;
	if (config == NULL)
		return JOB_RESULT_FAILED;
	struct telling telling = { gateway, request,
				   handler_config_text(config, "notify_address") };
	if (*telling.to == '\0' || request->state != REQUEST_PENDING || request->csr == NULL)
		return JOB_RESULT_DONE;
	return db_transaction(gateway->db, queue, &telling, error) ? JOB_RESULT_DONE
								   : JOB_RESULT_FAILED;
}
