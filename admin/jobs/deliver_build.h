/*
 * deliver_build - what a delivery sends: the mail with its PKCS#12 file, the text of the SMS.
 */
#ifndef ADMIN_JOBS_DELIVER_BUILD_H
#define ADMIN_JOBS_DELIVER_BUILD_H

#include <glib.h>

struct gateway;
struct outbox_row;
struct secret;

/* The message: as it was made for an earlier try, or made now and saved (with the row, whose
 * message_id, built, utf8 and subject are set; the user's preference, where it was asked for). */
struct secret *deliver_message(struct gateway *gateway, struct outbox_row *row, const char *sender,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With the password in it. */
struct secret *deliver_sms_text(struct gateway *gateway, const struct outbox_row *row,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
