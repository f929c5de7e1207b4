/* delivery - see delivery.h. */
#include "milter/delivery.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/marker.h"
#include "milter/mta.h"
#include "store/base/clock.h"
#include "store/config/settings.h"

#define PROGRESS_US (20 * G_USEC_PER_SEC)

struct delivery {
	struct delivery_options options;
	struct smtp *smtp;
	gint64 told_us; /* when the mail server heard of us last */
};

static gboolean
keep_waiting(gpointer data)
{
	struct delivery *delivery = data;
	struct mta *mta = delivery->options.mta;
	gint64 now = clock_monotonic_us();
	/* A short time limit is one of an impatient mail server. */
	gint64 pause =
	    MIN(PROGRESS_US, delivery->options.settings->reinject_timeout * (G_USEC_PER_SEC / 6));

	if (mta == NULL || now - delivery->told_us < pause)
		return TRUE;
	delivery->told_us = now;
	return mta->ops->progress(mta);
}

struct delivery *
delivery_open(const struct delivery_options *options, GError **error)
{
	CLEANUP(delivery) struct delivery *delivery = g_new0(struct delivery, 1);
	gint64 now = clock_monotonic_us();
	struct smtp_options smtp = {
		.address = options->settings->reinject_address,
		.name = options->host,
		.deadline_us = now + options->settings->reinject_timeout * G_USEC_PER_SEC,
		.waiting = keep_waiting,
		.waiting_data = delivery,
	};

	delivery->options = *options;
	delivery->told_us = now;
	delivery->smtp = smtp_open(&smtp, error);
	if (delivery->smtp == NULL)
		return NULL;
	return g_steal_pointer(&delivery);
}

void
delivery_close(struct delivery *delivery)
{
	if (delivery == NULL)
		return;
	smtp_close(delivery->smtp);
	g_free(delivery);
}

guint64
delivery_size_max(const struct delivery *delivery)
{
	return smtp_size_max(delivery->smtp);
}

void
delivery_result_clear(struct delivery_result *result)
{
	for (guint i = 0; i < SMTP_RECIPIENTS_MAX; i++)
		smtp_reply_clear(&result->recipients[i]);
	smtp_reply_clear(&result->message);
	result->sent = FALSE;
}

/* MAIL and RCPT; where MAIL was not taken its answer is all that is left. */
static gboolean
begin(struct delivery *delivery, const struct parcel *parcel, guint first, guint count,
      struct delivery_result *result, GError **error)
{
	struct smtp_recipient recipients[SMTP_RECIPIENTS_MAX];
	struct smtp_envelope envelope = parcel_envelope(parcel, first, count, recipients);

	if (!smtp_begin(delivery->smtp, &envelope, &result->message, result->recipients, error))
		return FALSE;
	if (result->message.code / 100 == 2)
		smtp_reply_clear(&result->message);
	else
		for (guint i = 0; i < count; i++)
			smtp_reply_clear(&result->recipients[i]);
	return TRUE;
}

/* Where the answer is decided already, a server that goes away now changes nothing. */
static gboolean
end_transaction(struct delivery *delivery, const struct delivery_result *result, guint count,
		GError **error)
{
	gboolean decided = result->message.code != 0;

	for (guint i = 0; i < count; i++)
		decided |= result->recipients[i].code / 100 != 2;
	return smtp_reset(delivery->smtp, decided ? NULL : error) || decided;
}

gboolean
delivery_try(struct delivery *delivery, const struct parcel *parcel, guint first, guint count,
	     struct delivery_result *result, GError **error)
{
	return begin(delivery, parcel, first, count, result, error) &&
	       end_transaction(delivery, result, count, error);
}

struct content {
	struct delivery *delivery;
	struct parcel *parcel;
	const char *top;
};

static gboolean
write_content(gpointer data, struct sink *to, GError **error)
{
	const struct content *content = data;

	return parcel_write(content->parcel, content->top, to, error);
}

/* Our fields, for the recipients that were taken. */
static char *
make_top(const struct delivery *delivery, const struct parcel *parcel, guint first, guint count,
	 const struct delivery_result *result, GError **error)
{
	const struct delivery_options *options = &delivery->options;
	g_autofree char *received = parcel_received(options->envelope, options->host, options->now);
	g_autofree char *sender = envelope_bare_address(parcel->sender);
	const char *taken[SMTP_RECIPIENTS_MAX];
	struct marker_subject subject = { .sender = sender,
					  .recipients = taken,
					  .body = parcel_body(parcel) };

	if (!options->settings->reinject_marker)
		return g_steal_pointer(&received);
	for (guint i = 0; i < count; i++)
		if (result->recipients[i].code / 100 == 2)
			taken[subject.count++] =
			    ((struct parcel_recipient *)parcel->recipients->pdata[first + i])->bare;
	g_autofree char *marker = marker_make(options->keyring, &subject, options->now, error);
	if (marker == NULL)
		return NULL;
	g_auto(GStrv) lines = g_strsplit(marker, "\n", -1);
	g_autofree char *folded = g_strjoinv("\r\n", lines);
	return g_strconcat(MARKER_FIELD ":", folded, "\r\n", received, NULL);
}

gboolean
delivery_send(struct delivery *delivery, struct parcel *parcel, guint first, guint count,
	      gboolean all, struct delivery_result *result, GError **error)
{
	struct content content = { .delivery = delivery, .parcel = parcel };
	guint taken = 0, later = 0;

	if (!begin(delivery, parcel, first, count, result, error))
		return FALSE;
	for (guint i = 0; i < count; i++) {
		taken += result->recipients[i].code / 100 == 2;
		later +=
		    result->recipients[i].code / 100 != 2 && result->recipients[i].code / 100 != 5;
	}
	if (result->message.code != 0 || taken == 0 || later > 0 || (all && taken < count))
		return end_transaction(delivery, result, count, error);
	g_autofree char *top = make_top(delivery, parcel, first, count, result, error);
	if (top == NULL)
		return FALSE;
	content.top = top;
	if (!smtp_data(delivery->smtp, write_content, &content, &result->message, error)) {
		result->sent = smtp_end_sent(delivery->smtp);
		return FALSE;
	}
	result->sent = result->message.code / 100 == 2;
	return result->sent || end_transaction(delivery, result, count, error);
}
