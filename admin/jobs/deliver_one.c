/* deliver_one - see deliver_one.h. */
#include "admin/jobs/deliver_one.h"

#include <string.h>

#include "admin/jobs/deliver_build.h"
#include "admin/mail/mailer.h"
#include "milter/gateway.h"
#include "pki/delivery.h"
#include "pki/keyring.h"
#include "pki/sms.h"
#include "store/audit.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/outbox_work.h"

#define SPARE_SECONDS 60
#define BACKOFF_FIRST 60
#define BACKOFF_MAX 3600
#define SMS_TRIES_MAX 12
#define SMS_UNKNOWN_MAX 3 /* of an SMS that may have been sent: it costs, and annoys */
#define SAVE_TRIES 30

gint64
deliver_lease_seconds(struct gateway *gateway)
{
	return gateway_settings(gateway)->reinject_timeout + SPARE_SECONDS;
}

static gint64
backoff(gint attempts)
{
	gint64 pause = BACKOFF_FIRST;

	for (gint i = 1; i < attempts && pause < BACKOFF_MAX; i++)
		pause *= 2;
	return MIN(pause, BACKOFF_MAX);
}

static void
set_text(char **member, const char *text)
{
	g_free(*member);
	*member = g_strdup(text);
}

/* --- saving --- */

struct ending {
	const struct outbox_row *row;
	const char *did; /* for the record of acts; NULL: nothing worth it */
	const char *how;
};

static gboolean
save(struct tx *tx, gpointer data, GError **error)
{
	const struct actor actor = { .name = "postseald", .uid = -1, .from = "job" };
	const struct ending *ending = data;
	g_autofree char *object = g_strdup_printf("delivery %" G_GINT64_FORMAT, ending->row->id);

	if (!outbox_save(tx, ending->row, error))
		return FALSE;
	return ending->did == NULL ||
	       audit_admin(tx, &actor, ending->did, object, ending->how, error);
}

/* What the server has taken must not be forgotten because the database is away for a moment. */
static void
save_end(struct gateway *gateway, const struct outbox_row *row, const char *did, const char *how)
{
	struct ending ending = { row, did, how };
	g_autofree char *id = g_strdup_printf("%" G_GINT64_FORMAT, row->id);

	for (guint i = 0; i < SAVE_TRIES; i++) {
		g_autoptr(GError) why = NULL;

		if (db_transaction(gateway->db, save, &ending, &why))
			return;
		log_warning("what became of a delivery could not be saved", "delivery", id, "error",
			    why->message);
		if (!g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY))
			return;
		g_usleep(G_USEC_PER_SEC);
	}
}

/* --- the mail --- */

static void
mail_failed(struct gateway *gateway, struct outbox_row *row, const char *text)
{
	g_autofree char *id = g_strdup_printf("%" G_GINT64_FORMAT, row->id);

	set_text(&row->error, text);
	row->state = OUTBOX_FAILED;
	row->next_try = CLOCK_NEVER;
	log_warning("a delivery failed", "delivery", id, "to", row->recipient, "error", text);
	save_end(gateway, row, "delivery failed", text);
}

static void
mail_later(struct gateway *gateway, struct outbox_row *row, const char *text)
{
	gint64 now = clock_now(gateway->clock);
	g_autofree char *whole = NULL;

	if (now - row->created > gateway_settings(gateway)->delivery_keep && row->attempts > 1) {
		whole = g_strdup_printf("given up after %d tries: %s", row->attempts, text);
		mail_failed(gateway, row, whole);
		return;
	}
	set_text(&row->error, text);
	row->state = OUTBOX_READY;
	row->next_try = now + backoff(row->attempts);
	save_end(gateway, row, NULL, NULL);
}

static void
mail_sent(struct gateway *gateway, struct outbox_row *row, const char *answer)
{
	g_autofree char *how = g_strdup_printf("to %s: %s", row->recipient, answer);
	g_autofree char *id = g_strdup_printf("%" G_GINT64_FORMAT, row->id);

	set_text(&row->error, NULL);
	set_text(&row->queue_id, answer);
	row->state = OUTBOX_SENT;
	row->sent = clock_now(gateway->clock);
	row->next_try = row->sms == OUTBOX_SMS_WAITING ? row->sent : CLOCK_NEVER;
	log_info("a delivery was sent", "delivery", id, "to", row->recipient, "answer", answer);
	save_end(gateway, row, "delivery sent", how);
}

/* The lasting ones are failures that a person has to see. */
static void
mail_problem(struct gateway *gateway, struct outbox_row *row, const GError *why)
{
	if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY) ||
	    g_error_matches(why, PS_ERROR, PS_ERROR_FULL))
		mail_later(gateway, row, why->message);
	else
		mail_failed(gateway, row, why->message);
}

static void
send_mail(struct gateway *gateway, struct outbox_row *row)
{
	struct mailer_outcome outcome = { 0 };
	g_autoptr(GError) why = NULL;
	g_autofree char *sender = row->sender != NULL ? mailer_address(row->sender, &why)
						      : mailer_sender(gateway->db, &why);
	CLEANUP(secret)
	struct secret *message =
	    sender != NULL ? deliver_message(gateway, row, sender, &why) : NULL;

	if (message == NULL) {
		mail_problem(gateway, row, why);
		return;
	}
	mailer_send(gateway, row, sender, message, &outcome);
	switch (outcome.result) {
	case MAILER_SENT:
		mail_sent(gateway, row, outcome.text);
		break;
	case MAILER_REFUSED:
		mail_failed(gateway, row, outcome.text);
		break;
	case MAILER_LATER:
		mail_later(gateway, row, outcome.text);
		break;
	case MAILER_UNKNOWN: {
		g_autofree char *text = g_strdup_printf("it may have been sent: %s", outcome.text);
		row->repeated++;
		mail_later(gateway, row, text);
		break;
	}
	case MAILER_LEFT:
		log_info("a delivery is another's by now", "recipient", row->recipient);
		break;
	}
	g_free(outcome.text);
}

/* --- the SMS --- */

static void
sms_ends(struct gateway *gateway, struct outbox_row *row, const struct sms_outcome *outcome)
{
	gint64 now = clock_now(gateway->clock);
	gboolean again = (outcome->result == SMS_LATER && row->sms_attempts < SMS_TRIES_MAX) ||
			 (outcome->result == SMS_UNKNOWN && row->sms_attempts < SMS_UNKNOWN_MAX);
	g_autofree char *text = outcome->result == SMS_UNKNOWN
				    ? g_strdup_printf("it may have been sent: %s", outcome->text)
				    : g_strdup(outcome->text);
	const char *did = NULL;

	set_text(&row->sms_error, outcome->result == SMS_SENT ? NULL : text);
	row->next_try = again ? now + backoff(row->sms_attempts) : CLOCK_NEVER;
	if (again) {
		row->sms = OUTBOX_SMS_WAITING;
	} else if (outcome->result == SMS_SENT) {
		row->sms = OUTBOX_SMS_SENT;
		did = "sms sent";
	} else {
		row->sms = OUTBOX_SMS_FAILED;
		did = "sms failed";
		log_warning("an SMS failed", "user", row->email, "error", text);
	}
	save_end(gateway, row, did, text);
}

static void
send_sms(struct gateway *gateway, struct outbox_row *row)
{
	struct delivery delivery = { gateway->db, gateway->keyring, gateway->clock,
				     gateway_settings(gateway) };
	struct sms_outcome outcome = { 0 };
	g_autoptr(GError) why = NULL;
	g_autofree char *number = sms_telephone(&delivery, row->email, &why);
	CLEANUP(secret)
	struct secret *text = number != NULL ? deliver_sms_text(gateway, row, &why) : NULL;

	if (text == NULL) {
		outcome.result =
		    g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY) ? SMS_LATER : SMS_REFUSED;
		outcome.text = g_strdup(why->message);
	} else if (!outbox_claim_sms(gateway->db, row, &why)) {
		log_info("an SMS is not sent now", "user", row->email, "reason", why->message);
		return;
	} else {
		sms_send(&delivery, number, text, &outcome);
	}
	sms_ends(gateway, row, &outcome);
	g_free(outcome.text);
}

void
deliver_one(struct gateway *gateway, struct outbox_row *row)
{
	if (row->state == OUTBOX_SENT)
		send_sms(gateway, row);
	else
		send_mail(gateway, row);
}
