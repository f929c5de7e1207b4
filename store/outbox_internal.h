/*
 * outbox_internal - shared by the files of outbox: columns and their reader.
 */
#ifndef STORE_OUTBOX_INTERNAL_H
#define STORE_OUTBOX_INTERNAL_H

#include "store/db/query.h"
#include "store/outbox.h"

#define OUTBOX_JOB "deliver"
#define OUTBOX_COLUMN_LIST                                                                         \
	"id, kind, state, email, sender, recipient, subject, language, compatible,"                \
	" store_password, shown_once, generated, message_id, utf8, built, attempts, repeated,"     \
	" next_try, holder, error, queue_id, sent, sms, sms_attempts, sms_error, password_shown,"  \
	" password_shown_to, requester, erased, created, updated"
#define OUTBOX_COLUMNS "SELECT " OUTBOX_COLUMN_LIST " FROM outbox"

struct outbox_row *outbox_row_read(const struct rows *rows, int r);
/* The job that delivers is due now. */
gboolean outbox_wake(struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
