/*
 * outbox_work - deliveries in the hands of those who carry them out.
 *
 * Held by one thread of one process: whose it is say the name of the holder and the number of the
 * attempt (store/base/holder.h). Claims and ends are on disk before the call returns. Threads: any.
 */
#ifndef STORE_OUTBOX_WORK_H
#define STORE_OUTBOX_WORK_H

#include "store/outbox.h"

/* The next one that is due and that nobody holds, held by `holder` for lease_seconds; *row NULL:
 * none. dead: names of holders known to be dead, NULL-terminated, or NULL. */
gboolean outbox_take(struct db *db, const char *holder, gint64 lease_seconds,
		     const char *const *dead, struct outbox_row **row,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Who holds what is due, struct char *. */
GStrv outbox_holders(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Lease once more; FALSE with NOT_FOUND: it is another's. */
gboolean outbox_hold(struct db *db, const struct outbox_row *row, gint64 lease_seconds,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* From here on it may have been sent. NOT_FOUND: it is another's by now, or not ready. */
gboolean outbox_claim(struct db *db, const struct outbox_row *row,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean outbox_claim_sms(struct db *db, const struct outbox_row *row,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Saves state, error, queue_id, sent, next_try, sms, sms_error, attempts, message_id, built, utf8
 * and subject, and lets go of it. NOT_FOUND: it is another's. */
gboolean outbox_save(struct tx *tx, const struct outbox_row *row,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same, and it is still held. */
gboolean outbox_save_held(struct tx *tx, const struct outbox_row *row,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
