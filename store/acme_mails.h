/*
 * acme_mails - challenges that come by mail (RFC 8823): one open one for each mailbox.
 *
 * The daemon opens a row before it asks for the order, tells it what to expect as soon as the
 * server has said so, and finds there what the filter has taken; the filter reads and writes
 * through SQL functions of its own. Addresses are mailaddr_key() everywhere but in reply_to. The
 * answer is claimed before it is sent and noted after: whoever claims one whose claim has run out
 * does not know whether it was sent. Threads: any. Errors: those of the database.
 */
#ifndef STORE_ACME_MAILS_H
#define STORE_ACME_MAILS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum acme_mail_state {
	ACME_MAIL_WAITING,
	ACME_MAIL_RECEIVED, /* the filter has taken the mail */
	ACME_MAIL_ANSWERED, /* the MTA has taken the answer */
	ACME_MAIL_DONE,
};

struct acme_mail_row {
	gint64 id, request_id;
	enum acme_mail_state state;
	char *mailbox;
	gint64 expires;
	char *challenge_url, *expected_from, *token2; /* NULL: not known yet */
	gboolean join_decoded;
	char *thumbprint; /* of the account key */
	/* What the mail said; NULL before. */
	char *mail_from, *reply_to, *message_id, *subject, *token1;
	gint64 received;
	gint64 outbox_id; /* of the answer; 0: not composed yet */
	char *error;      /* of sending, or NULL */
	gint64 answered;
};

enum acme_take {
	ACME_TAKE_NONE,  /* no open order that it fits: mail like any other */
	ACME_TAKE_TAKEN, /* committed: answer 250 and do not deliver */
	ACME_TAKE_AGAIN, /* the same mail was taken before: do the same */
	ACME_TAKE_EARLY, /* the order is open, its challenge not known yet: 451 */
};

/* ---- the filter's ---- */
/* Cheap: is there anything that mail to this mailbox could be? */
gboolean acme_mails_waits(struct db *db, const char *mailbox, gboolean *waits,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* reply_to NULL: none. message_id with its brackets, subject unfolded, token1 out of it. */
gboolean acme_mails_take(struct db *db, const char *mailbox, const char *from, const char *reply_to,
			 const char *message_id, const char *subject, const char *token1,
			 enum acme_take *take, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- the daemon's ---- */
/* *opened FALSE: another request's challenge for this mailbox is under way. */
gboolean acme_mails_open(struct tx *tx, gint64 request_id, const char *mailbox, gint64 expires,
			 gboolean *opened, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of row: mailbox's challenge_url, expected_from, token2, join_decoded, thumbprint, expires. Does
 * nothing to one that is received already. */
gboolean acme_mails_expect(struct tx *tx, const struct acme_mail_row *row,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The open one of a request; NOT_FOUND. */
struct acme_mail_row *acme_mails_of(struct db *db, gint64 request_id,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean acme_mails_close(struct tx *tx, gint64 request_id,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Those that were received and not answered yet, oldest first; struct acme_mail_row *. */
GPtrArray *acme_mails_received(struct db *db, gint limit, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* In the transaction that puts the answer into the outbox; NOT_FOUND: somebody else has. */
gboolean acme_mails_composed(struct tx *tx, const struct acme_mail_row *row, gint64 outbox_id,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Answered; its request is due now. */
gboolean acme_mails_answered(struct tx *tx, const struct acme_mail_row *row, gint64 now,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Why it is not answered yet. give_up: it will not be, and the challenge is over. */
gboolean acme_mails_note(struct tx *tx, const struct acme_mail_row *row, const char *why,
			 gboolean give_up, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Drops what was done with longer than a week ago. */
gboolean acme_mails_forget(struct tx *tx, gint64 now, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void acme_mail_row_free(struct acme_mail_row *row);
DEFINE_CLEANUP(acme_mail_row, acme_mail_row_free)

#endif
