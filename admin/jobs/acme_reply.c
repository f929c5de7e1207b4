/*
 * acme_reply - answers the challenge mail of ACME servers (RFC 8823 section 3.2).
 *
 * The answer is composed and put into the outbox in one transaction, once; the outbox sends it
 * through the listener of reinject_address, where the MTA signs it with DKIM. When it is sent the
 * request goes on. The same job takes away what was put up for challenges of requests that are
 * over.
 */
#include "admin/jobs/heartbeat.h"
#include "admin/jobs/runners.h"

#include <string.h>

#include "admin/mail/mailer.h"
#include "milter/gateway.h"
#include "pki/handlers/acme_challenge.h"
#include "pki/handlers/acme_email.h"
#include "store/acme_mails.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/outbox.h"
#include "store/requests.h"
#include "store/requests_work.h"

#define BATCH 100
#define ACME_REPLY_ALL "all" /* as milter_acme_take names it */
#define LOOK_AGAIN_SECONDS 2

struct reply {
	struct gateway *gateway;
	const struct acme_mail_row *row;
	const struct request_row *request;
	const char *digest;
	const char *why;
	gboolean give_up;
};

/* ---- the answer ------------------------------------------------------------------------------ */

static char *
subject_of(const struct acme_mail_row *row)
{
	return g_ascii_strncasecmp(row->subject, "Re:", 3) == 0
		   ? g_strdup(row->subject)
		   : g_strconcat("Re: ", row->subject, NULL);
}

static gboolean
compose_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct reply *reply = data;
	const struct acme_mail_row *row = reply->row;
	g_autofree char *subject = subject_of(row);
	g_autofree char *text = g_strconcat("-----BEGIN ACME RESPONSE-----\n", reply->digest,
					    "\n-----END ACME RESPONSE-----\n", NULL);
	const struct mail mail = {
		.from = row->mailbox,
		.to = row->reply_to != NULL ? row->reply_to : row->mail_from,
		.about = row->mailbox,
		.subject = subject,
		.text = text,
		.in_reply_to = row->message_id,
		.auto_submitted = "auto-replied",
	};
	gint64 id;

	return mailer_queue(reply->gateway, tx, &mail, &id, error) &&
	       acme_mails_composed(tx, row, id, error);
}

static gboolean
note_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct reply *reply = data;

	return acme_mails_note(tx, reply->row, reply->why, reply->give_up, error);
}

static gboolean
note(struct reply *reply, const char *why, gboolean give_up, GError **error)
{
	if (!give_up && g_strcmp0(reply->row->error, why) == 0)
		return TRUE;
	log_warning("the challenge mail of a CA is not answered", "address", reply->row->mailbox,
		    "error", why);
	reply->why = why;
	reply->give_up = give_up;
	return db_transaction(reply->gateway->db, note_tx, reply, error);
}

static gboolean
compose(struct reply *reply, GError **error)
{
	const struct acme_mail_row *row = reply->row;
	g_autoptr(GError) why = NULL;
	g_autofree char *digest =
	    acme_email_digest(row->token1, row->token2, row->join_decoded, row->thumbprint, &why);

	reply->digest = digest;
	if (digest != NULL && db_transaction(reply->gateway->db, compose_tx, reply, &why))
		return TRUE;
	/* Another daemon was faster. */
	if (g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return TRUE;
	if (g_error_matches(why, PS_ERROR, PS_ERROR_INVALID))
		return note(reply, why->message, TRUE, error);
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

/* ---- what became of it ----------------------------------------------------------------------- */

static gboolean
answered_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct reply *reply = data;
	gint64 now = tx_now(tx);

	return acme_mails_answered(tx, reply->row, now, error) &&
	       (reply->request == NULL ||
		requests_call_worker(tx, reply->request->handler, reply->request->handler_config,
				     FALSE, now, error));
}

static gboolean
answered(struct reply *reply, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(request_row)
	struct request_row *request =
	    requests_find(reply->gateway->db, reply->row->request_id, NULL);

	reply->request = request;
	if (db_transaction(reply->gateway->db, answered_tx, reply, &why) ||
	    g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

static gboolean
follow(struct reply *reply, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(outbox_row)
	struct outbox_row *delivery = outbox_find(reply->gateway->db, reply->row->outbox_id, &why);

	if (delivery == NULL && g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return note(reply, "the answer was deleted from the outbox", TRUE, error);
	if (delivery == NULL) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	switch (delivery->state) {
	case OUTBOX_SENT:
		return answered(reply, error);
	case OUTBOX_CANCELLED:
		return note(reply, "the answer was cancelled in the outbox", TRUE, error);
	case OUTBOX_FAILED:
		return note(reply, delivery->error != NULL ? delivery->error : "it cannot be sent",
			    FALSE, error);
	case OUTBOX_WAITING:
	case OUTBOX_READY:
	case OUTBOX_CLAIMED:
		break;
	}
	return delivery->error == NULL || note(reply, delivery->error, FALSE, error);
}

/* ---- the job --------------------------------------------------------------------------------- */

/* *left: of those that the outbox has not sent yet. */
static gboolean
reply_all(struct gateway *gateway, guint *left, GError **error)
{
	g_autoptr(GPtrArray) rows = acme_mails_received(gateway->db, BATCH, error);

	if (rows == NULL)
		return FALSE;
	*left = rows->len;
	for (guint i = 0; i < rows->len; i++) {
		struct reply reply = { .gateway = gateway, .row = g_ptr_array_index(rows, i) };
		if (!(reply.row->outbox_id == 0 ? compose(&reply, error) : follow(&reply, error)))
			return FALSE;
	}
	return TRUE;
}

static gboolean
forget_tx(struct tx *tx, gpointer data, GError **error)
{
	(void)data;
	return acme_mails_forget(tx, tx_now(tx), error);
}

/* Every minute, whatever came in between: what was missed, and what nobody needs any more. */
static gboolean
tidy(const struct job_context *context, GError **error)
{
	CLEANUP(heartbeat) struct heartbeat *heartbeat = heartbeat_start(context);
	struct gateway *gateway = context->gateway;
	const struct handler_context handler = {
		.db = gateway->db,
		.keyring = gateway->keyring,
		.clock = gateway->clock,
		.settings = gateway_settings(gateway),
		.stopping = heartbeat_is_over,
		.data = heartbeat,
	};
	g_autoptr(GError) why = NULL;

	if (!acme_challenges_tidy(&handler, &why))
		log_warning("the answer to a challenge still stands", "error", why->message);
	return db_transaction(gateway->db, forget_tx, NULL, error);
}

enum job_result
job_acme_reply(const struct job_context *context, GError **error)
{
	struct gateway *gateway = context->gateway;
	gboolean duty = strcmp(context->job->key, ACME_REPLY_ALL) != 0;
	guint left = 0;

	if (!reply_all(gateway, &left, error) || (duty && !tidy(context, error)))
		return JOB_RESULT_FAILED;
	if (duty || left == 0)
		return JOB_RESULT_DONE;
	*context->due = clock_now(gateway->clock) + LOOK_AGAIN_SECONDS;
	return JOB_RESULT_LATER;
}
