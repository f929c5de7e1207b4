/*
 * acme_email - challenges of type email-reply-00.
 */
#include "pki/handlers/acme_email.h"

#include <string.h>

#include "pki/crypto/jws.h"
#include "pki/handlers/acme_challenge.h"
#include "store/acme_mails.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/db/tx.h"
#include "store/requests.h"

/* The job makes the request due when the mail is answered; this is for when that is lost. */
#define LOOK_AGAIN_SECONDS 60
#define MAILBOX_BUSY_SECONDS 120

static GBytes *
joined_bytes(const char *token1, const char *token2, GError **error)
{
	g_autoptr(GBytes) first = jws_base64url_decode(token1, error);
	g_autoptr(GBytes) second = first != NULL ? jws_base64url_decode(token2, error) : NULL;
	GByteArray *both;

	if (second == NULL)
		return NULL;
	both = g_byte_array_new();
	g_byte_array_append(both, g_bytes_get_data(first, NULL), (guint)g_bytes_get_size(first));
	g_byte_array_append(both, g_bytes_get_data(second, NULL), (guint)g_bytes_get_size(second));
	return g_byte_array_free_to_bytes(both);
}

char *
acme_email_digest(const char *token1, const char *token2, gboolean join_decoded,
		  const char *thumbprint, GError **error)
{
	g_autofree char *token = NULL;

	if (join_decoded) {
		g_autoptr(GBytes) both = joined_bytes(token1, token2, error);
		if (both == NULL)
			return NULL;
		token = jws_base64url(g_bytes_get_data(both, NULL), g_bytes_get_size(both));
	} else {
		token = g_strconcat(token1, token2, NULL);
	}
	g_autofree char *authorization = acme_key_authorization(token, thumbprint);
	return jws_digest(authorization);
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct act {
	struct acme_work *work;
	struct acme_mail_row row;
	gboolean opened;
};

static gint64
expires_of(struct acme_work *work)
{
	return clock_now(work->acme->context->clock) +
	       handler_config_seconds(work->acme->context->config, "email.reply_timeout");
}

static gboolean
open_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return acme_mails_open(tx, act->work->request->id, g_ptr_array_index(act->work->names, 0),
			       act->row.expires, &act->opened, error);
}

static gboolean
expect_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_mails_expect(tx, &((struct act *)data)->row, error);
}

static gboolean
close_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_mails_close(tx, ((struct act *)data)->work->request->id, error);
}

gboolean
acme_email_open(struct acme_work *work)
{
	struct act act = { .work = work, .row = { .expires = expires_of(work) } };
	GError *why = NULL;

	if (!db_transaction(work->acme->context->db, open_tx, &act, &why))
		return acme_fail(work->acme, why);
	if (act.opened)
		return TRUE;
	work->acme->answer->not_before =
	    clock_now(work->acme->context->clock) + MAILBOX_BUSY_SECONDS;
	return acme_stop(work->acme, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT, NULL,
			 "another order for this mailbox is under way: one at a time, so that "
			 "it is known which order a challenge mail belongs to");
}

void
acme_email_close(struct acme_work *work)
{
	struct act act = { .work = work };
	GError *why = NULL;

	if (!db_transaction(work->acme->context->db, close_tx, &act, &why))
		acme_fail(work->acme, why);
}

/* ---- what is waited for ---------------------------------------------------------------------- */

/* The address that the mail will come from, normalised; NULL: the conversation has ended. */
static char *
expected_from(struct acme_work *work, const struct acme_challenge *challenge)
{
	const char *wanted =
	    handler_config_text(work->acme->context->config, "email.expected_from");
	const char *told = challenge->from != NULL ? challenge->from : wanted;
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(told, NULL);
	CLEANUP(mailaddr)
	struct mailaddr *other = *wanted != '\0' ? mailaddr_parse(wanted, NULL) : NULL;
	const struct acme_meaning config = { HANDLER_REJECTED, HANDLER_ERROR_CONFIG };

	if (address == NULL) {
		acme_order_failed(work, config, NULL,
				  "the challenge does not say from whom its mail will come: set "
				  "email.expected_from");
		return NULL;
	}
	if (*wanted != '\0' && (other == NULL || !mailaddr_equal(address, other))) {
		acme_order_failed(work, config, NULL,
				  "the challenge mail is to come from <%s>, but "
				  "email.expected_from is another address",
				  challenge->from);
		return NULL;
	}
	return g_strdup(mailaddr_key(address));
}

static gboolean
expect(struct acme_work *work, const struct acme_authorization *authorization,
       const struct acme_challenge *challenge)
{
	g_autofree char *from = expected_from(work, challenge);
	const char *join = handler_config_text(work->acme->context->config, "email.token_join");
	GError *why = NULL;

	if (from == NULL)
		return FALSE;
	struct act act = {
		.work = work,
		.row = { .request_id = work->request->id,
			 .challenge_url = challenge->url,
			 .expected_from = from,
			 .token2 = challenge->token,
			 .join_decoded = strcmp(join, "decoded") == 0,
			 .thumbprint = work->acme->thumbprint,
			 .expires = MIN(expires_of(work), authorization->expires) },
	};
	if (!db_transaction(work->acme->context->db, expect_tx, &act, &why))
		return acme_fail(work->acme, why);
	return acme_order_pending(work, LOOK_AGAIN_SECONDS,
				  "waits for the challenge mail from <%s>", from);
}

/* The challenge that is known stays; another one, of a new authorization, is expected anew. */
static gboolean
waiting(struct acme_work *work, const struct acme_mail_row *row,
	const struct acme_authorization *authorization, const struct acme_challenge *challenge)
{
	const struct acme_meaning again = { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT };

	if (g_strcmp0(row->challenge_url, challenge->url) != 0)
		return expect(work, authorization, challenge);
	if (row->expires <= clock_now(work->acme->context->clock))
		return acme_order_failed(work, again, NULL,
					 "the challenge mail from <%s> has not come",
					 row->expected_from);
	return acme_order_pending(work, LOOK_AGAIN_SECONDS,
				  "waits for the challenge mail from <%s>", row->expected_from);
}

gboolean
acme_email_work(struct acme_work *work, const struct acme_authorization *authorization,
		const struct acme_challenge *challenge)
{
	GError *why = NULL;
	CLEANUP(acme_mail_row)
	struct acme_mail_row *row = acme_mails_of(work->acme->context->db, work->request->id, &why);

	if (row == NULL && g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_clear_error(&why);
		return acme_email_open(work) && expect(work, authorization, challenge);
	}
	if (row == NULL)
		return acme_fail(work->acme, why);
	if (row->state != ACME_MAIL_WAITING && strcmp(row->challenge_url, challenge->url) != 0) {
		acme_email_close(work); /* of an order that is over */
		return work->acme->error == NULL && acme_email_open(work) &&
		       expect(work, authorization, challenge);
	}
	switch (row->state) {
	case ACME_MAIL_WAITING:
		return waiting(work, row, authorization, challenge);
	case ACME_MAIL_RECEIVED:
		return acme_order_pending(
		    work, LOOK_AGAIN_SECONDS, "the answer to the challenge mail is on its way%s%s",
		    row->error != NULL ? ": " : "", row->error != NULL ? row->error : "");
	case ACME_MAIL_ANSWERED:
	case ACME_MAIL_DONE:
		break;
	}
	return acme_challenge_begin(work, challenge);
}
