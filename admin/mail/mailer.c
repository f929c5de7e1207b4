/*
 * mailer - into the outbox, and out of it to the mail server.
 */
#include "admin/mail/mailer.h"

#include <string.h>

#include "milter/gateway.h"
#include "milter/marker.h"
#include "milter/message/spool.h"
#include "pki/keyring.h"
#include "pki/net/smtp.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/base/secret.h"
#include "store/cas.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/outbox_work.h"

char *
mailer_sender(struct db *db, GError **error)
{
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(db, error);

	if (defaults == NULL)
		return NULL;
	if (*defaults->mail_from == '\0')
		return fail(error, PS_ERROR_INVALID,
			    "nothing can be sent: the sender's address is not set; set it with: "
			    "postseal ca config mail_from ADDRESS");
	return mailer_address(defaults->mail_from, error);
}

static gboolean
seal_message(struct gateway *gateway, struct tx *tx, gint64 id, GBytes *bytes, GError **error)
{
	g_autofree char *row = g_strdup_printf("%" G_GINT64_FORMAT "/message", id);
	gsize length;
	const void *data = g_bytes_get_data(bytes, &length);
	CLEANUP(secret) struct secret *message = secret_new(data, length);
	gint64 generation;
	g_autoptr(GBytes) sealed =
	    keyring_seal(gateway->keyring, "outbox_secret", row, message, &generation, error);

	return sealed != NULL && outbox_put_secret(tx, id, "message", sealed, generation, error);
}

gboolean
mailer_queue(struct gateway *gateway, struct tx *tx, const struct mail *mail, gint64 *id,
	     GError **error)
{
	g_autofree char *from =
	    mail->from != NULL ? g_strdup(mail->from) : mailer_sender(gateway->db, error);
	struct mail_composed composed = { 0 };
	struct mail whole = *mail;
	gint64 made;

	whole.from = from;
	if (from == NULL || !mail_compose(&whole, g_get_host_name(), tx_now(tx), &composed, error))
		return FALSE;
	struct outbox_row row = {
		.kind = OUTBOX_MAIL,
		.state = OUTBOX_READY,
		.email = (char *)(mail->about != NULL ? mail->about : mail->to),
		.sender = from,
		.recipient = (char *)mail->to,
		.subject = (char *)mail->subject,
		.message_id = composed.message_id,
		.utf8 = composed.utf8,
		.built = tx_now(tx),
		.next_try = tx_now(tx),
	};
	gboolean good = outbox_insert(tx, &row, &made, error) &&
			seal_message(gateway, tx, made, composed.bytes, error);
	mail_composed_clear(&composed);
	if (id != NULL)
		*id = made;
	return good;
}

/* --- sending --- */

struct content {
	const struct secret *message;
	const char *top; /* the marker, or "" */
};

static gboolean
write_content(gpointer data, struct sink *to, GError **error)
{
	const struct content *content = data;

	return sink_write(to, content->top, strlen(content->top), error) &&
	       sink_write(to, secret_bytes(content->message), secret_length(content->message),
			  error);
}

/* With reinject_marker: the filter is behind the listener, and must leave this as it is. */
static char *
make_top(struct gateway *gateway, const char *sender, const char *recipient,
	 const struct secret *message, GError **error)
{
	const char *bytes = secret_bytes(message);
	gsize length = secret_length(message);
	const char *body = g_strstr_len(bytes, (gssize)length, "\r\n\r\n");

	if (!gateway_settings(gateway)->reinject_marker)
		return g_strdup("");
	if (body == NULL)
		return fail(error, PS_ERROR_BUG, "a message without a body");
	body += 4;
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(4 * length + 65536);
	CLEANUP(spool)
	struct spool *spool = spool_from_bytes(area, body, length - (gsize)(body - bytes), error);
	if (spool == NULL)
		return NULL;
	const char *recipients[] = { recipient };
	struct marker_subject subject = { sender, recipients, 1, spool };
	g_autofree char *marker =
	    marker_make(gateway->keyring, &subject, clock_now(gateway->clock), error);
	if (marker == NULL)
		return NULL;
	g_auto(GStrv) lines = g_strsplit(marker, "\n", -1);
	g_autofree char *folded = g_strjoinv("\r\n", lines);
	return g_strconcat(MARKER_FIELD ":", folded, "\r\n", NULL);
}

static void
decide(struct mailer_outcome *outcome, enum mailer_result result, const char *text)
{
	outcome->result = result;
	g_free(outcome->text);
	outcome->text = printable(text);
}

static void
decide_reply(struct mailer_outcome *outcome, const struct smtp_reply *reply)
{
	g_autofree char *text = smtp_reply_text(reply);

	decide(outcome,
	       reply->code / 100 == 2   ? MAILER_SENT
	       : reply->code / 100 == 5 ? MAILER_REFUSED
					: MAILER_LATER,
	       text);
}

static void
decide_error(struct mailer_outcome *outcome, const GError *why)
{
	decide(outcome,
	       g_error_matches(why, PS_ERROR, PS_ERROR_INVALID) ? MAILER_REFUSED : MAILER_LATER,
	       why->message);
}

/* From the claim on it may be out. */
static void
hand_over(struct gateway *gateway, struct smtp *smtp, const struct outbox_row *row,
	  struct content *content, struct mailer_outcome *outcome)
{
	g_autoptr(GError) why = NULL;
	struct smtp_reply reply = { 0 };

	if (!outbox_claim(gateway->db, row, &why)) {
		decide(outcome,
		       g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND) ? MAILER_LEFT
									  : MAILER_LATER,
		       why->message);
		return;
	}
	if (smtp_data(smtp, write_content, content, &reply, &why))
		decide_reply(outcome, &reply);
	else if (smtp_end_sent(smtp))
		decide(outcome, MAILER_UNKNOWN, why->message);
	else
		decide_error(outcome, why);
	smtp_reply_clear(&reply);
}

static void
converse(struct gateway *gateway, struct smtp *smtp, const struct outbox_row *row,
	 const char *sender, const char *recipient, struct content *content,
	 struct mailer_outcome *outcome)
{
	g_autofree char *from = g_strdup_printf("<%s>", sender);
	g_autofree char *to = g_strdup_printf("<%s>", recipient);
	struct smtp_recipient recipients[] = { { .address = to } };
	struct smtp_envelope envelope = {
		.sender = from,
		.size = secret_length(content->message) + strlen(content->top),
		.utf8 = row->utf8,
		.recipients = recipients,
		.count = 1,
	};
	struct smtp_reply mail_reply = { 0 }, rcpt_reply = { 0 };
	g_autoptr(GError) why = NULL;

	/* The header has bytes above 127 where an address has. */
	envelope.eight_bit = row->utf8;
	if (!smtp_begin(smtp, &envelope, &mail_reply, &rcpt_reply, &why))
		decide_error(outcome, why);
	else if (mail_reply.code / 100 != 2)
		decide_reply(outcome, &mail_reply);
	else if (rcpt_reply.code / 100 != 2)
		decide_reply(outcome, &rcpt_reply);
	else
		hand_over(gateway, smtp, row, content, outcome);
	smtp_reply_clear(&mail_reply);
	smtp_reply_clear(&rcpt_reply);
}

void
mailer_send(struct gateway *gateway, const struct outbox_row *row, const char *sender,
	    const struct secret *message, struct mailer_outcome *outcome)
{
	const struct settings *settings = gateway_settings(gateway);
	g_autoptr(GError) why = NULL;
	g_autofree char *recipient = mailer_address(row->recipient, &why);
	g_autofree char *top =
	    recipient != NULL ? make_top(gateway, sender, recipient, message, &why) : NULL;
	struct content content = { message, top };
	struct smtp_options options = {
		.address = settings->reinject_address,
		.name = g_get_host_name(),
		.deadline_us = clock_monotonic_us() + settings->reinject_timeout * G_USEC_PER_SEC,
	};

	if (top == NULL) {
		decide_error(outcome, why);
		return;
	}
	if (*settings->reinject_address == '\0') {
		decide(outcome, MAILER_LATER, "the setting reinject_address is not set");
		return;
	}
	CLEANUP(smtp) struct smtp *smtp = smtp_open(&options, &why);
	if (smtp == NULL)
		decide(outcome, MAILER_LATER, why->message);
	else
		converse(gateway, smtp, row, sender, recipient, &content, outcome);
}
