/*
 * delivery - one conversation with the reinjection listener, under one deadline, while the mail
 * server that waits for our answer is told that work goes on.
 *
 * Failure: FALSE with *error, and the conversation is over. Threads: that of the message.
 */
#ifndef MILTER_DELIVERY_H
#define MILTER_DELIVERY_H

#include <glib.h>

#include "milter/parcel.h"
#include "pki/net/smtp.h"
#include "store/base/cleanup.h"

struct delivery;
struct keyring;
struct mta;
struct settings;

struct delivery_options {
	const struct settings *settings;
	struct keyring *keyring;         /* of the marker, where reinject_marker is on */
	const struct envelope *envelope; /* of the message, for Received */
	const char *host;                /* our name */
	struct mta *mta;
	gint64 now;
};

/* What one transaction came to. Zero it before, clear it afterwards. */
struct delivery_result {
	struct smtp_reply recipients[SMTP_RECIPIENTS_MAX];
	/* Of the message; of MAIL where that was not taken, then recipients have none. Code 0: it
	 * was not sent, recipients say why. */
	struct smtp_reply message;
	gboolean sent; /* its end was sent, or may have been */
};

/* Connected. INVALID: reinject_address is none of this host. */
struct delivery *delivery_open(const struct delivery_options *options,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void delivery_close(struct delivery *delivery);             /* NULL is fine */
guint64 delivery_size_max(const struct delivery *delivery); /* 0: none */

/* Tries [first, first + count) of the parcel without sending. */
gboolean delivery_try(struct delivery *delivery, const struct parcel *parcel, guint first,
		      guint count, struct delivery_result *result,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Sends it to those who are taken: to nobody when one is answered 4xx, or when `all` are wanted
 * and one is not taken. */
gboolean delivery_send(struct delivery *delivery, struct parcel *parcel, guint first, guint count,
		       gboolean all, struct delivery_result *result,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void delivery_result_clear(struct delivery_result *result);

#define delivery_free delivery_close
DEFINE_CLEANUP(delivery, delivery_close)

#endif
