/*
 * outbox - deliveries: mail of the gateway itself, saved at every change.
 *
 * waiting (for certificates that were asked for) -> ready -> claimed (the mail server is being
 * given it) -> sent; or failed, which a person may repeat; or cancelled. The SMS with the password
 * follows when the mail is sent, with a state of its own. A delivery is held by one process at a
 * time; of one that was claimed and whose holder died nobody knows whether the server took it: it
 * is sent once more and counted in `repeated` (RFC 1047's window). Claims are on disk before the
 * call returns. What is sealed lies in outbox_secret, "ID/password" and "ID/message". Threads: any.
 */
#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum outbox_kind { OUTBOX_BUNDLE, OUTBOX_MAIL };
enum outbox_state {
	OUTBOX_WAITING,
	OUTBOX_READY,
	OUTBOX_CLAIMED,
	OUTBOX_SENT,
	OUTBOX_FAILED,
	OUTBOX_CANCELLED,
};
enum outbox_sms {
	OUTBOX_SMS_NONE,
	OUTBOX_SMS_WAITING,
	OUTBOX_SMS_CLAIMED,
	OUTBOX_SMS_SENT,
	OUTBOX_SMS_FAILED,
};

struct outbox_row {
	gint64 id;
	enum outbox_kind kind;
	enum outbox_state state;
	char *email; /* whose, mailaddr_key */
	char *sender, *recipient;
	char *subject, *language; /* or NULL */
	gboolean compatible, store_password, shown_once, generated;
	char *message_id;
	gboolean utf8;
	gint64 built; /* CLOCK_NEVER: not yet */
	gint attempts, repeated;
	gint64 next_try; /* CLOCK_NEVER: none */
	char *holder;
	char *error, *queue_id;
	gint64 sent;
	enum outbox_sms sms;
	gint sms_attempts;
	char *sms_error;
	gint64 password_shown;
	char *password_shown_to, *requester;
	gboolean erased;
	gint64 created, updated;
};

/* One certificate of a bundle: of a request, or named. */
struct outbox_part {
	gint64 request_id; /* 0: none */
	char *thumbprint;  /* of the request's certificate, where it has one; or NULL */
	gboolean waiting, dropped;
};

const char *outbox_state_name(enum outbox_state state);
const char *outbox_sms_name(enum outbox_sms sms);

/* state, kind, addresses, choices and next_try are taken from the row. */
gboolean outbox_insert(struct tx *tx, const struct outbox_row *row, gint64 *id,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* request_id or thumbprint; a request's part waits for outbox_ready. */
gboolean outbox_add_part(struct tx *tx, gint64 id, gint64 request_id, const char *thumbprint,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A further request whose certificate goes with this one's; nothing where that has no delivery. */
gboolean outbox_add_half(struct tx *tx, gint64 request_id, gint64 further_request_id,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean outbox_put_secret(struct tx *tx, gint64 id, const char *name, GBytes *sealed,
			   gint64 generation, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NOT_FOUND: erased, or not made yet. */
GBytes *outbox_secret(struct db *db, gint64 id, const char *name,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The certificate of this request is in the store, or will never be (drop; ready undoes that).
 * Called in the transaction of that change; nothing where the request has no delivery. */
gboolean outbox_ready(struct tx *tx, gint64 request_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean outbox_drop(struct tx *tx, gint64 request_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The delivery that this request's certificate goes with; *id 0: none. */
gboolean outbox_of_request(struct db *db, gint64 request_id, gint64 *id,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct outbox_row *outbox_find(struct db *db, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct outbox_row *outbox_lock(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* struct outbox_part */
GPtrArray *outbox_parts(struct db *db, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Newest first, ids below before (0: from the top). */
GPtrArray *outbox_list(struct db *db, gboolean only_open, gboolean only_failed, const char *email,
		       gint64 before, gint limit, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* By a person: due now, whatever its state; again TRUE: also what was sent already. INVALID says
 * why not (it is being sent, it was erased). */
gboolean outbox_retry(struct tx *tx, gint64 id, gboolean again,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean outbox_delete(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean outbox_note_shown(struct tx *tx, gint64 id, const char *whom,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Erases what is sealed of those that are finished since before; forget drops the rows. */
gboolean outbox_erase(struct tx *tx, gint64 before, gint64 *erased,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

gboolean outbox_forget(struct tx *tx, gint64 before, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void outbox_row_free(struct outbox_row *row);
void outbox_part_free(struct outbox_part *part);
DEFINE_CLEANUP(outbox_row, outbox_row_free)

#endif
