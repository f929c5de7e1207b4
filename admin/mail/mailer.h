/*
 * mailer - mail of the gateway itself (RFC 5322, 2045-2047, 2231, 6532).
 *
 * A mail is composed from UTF-8 texts: text, with HTML as an alternative, with files beside it.
 * Nothing in a value can end its field: control characters become blanks, addresses are parsed.
 * Who wants one sent puts it into the outbox, in the transaction of what it is about; the job
 * "deliver" hands it to the MTA's listener (reinject_address), once, outside of RFC 1047's window.
 * With reinject_marker it gets a marker, so that the filter leaves it as it is.
 * Threads: any; values.
 */
#ifndef ADMIN_MAIL_MAILER_H
#define ADMIN_MAIL_MAILER_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct gateway;
struct outbox_row;
struct secret;
struct smtp_reply;
struct tx;

#define MAIL_ATTACHMENTS_MAX 16

struct mail_attachment {
	const char *name; /* of the file, UTF-8 */
	const char *type; /* "application/x-pkcs12" */
	GBytes *content;
};

struct mail {
	const char *from;      /* address; NULL: ca mail_from */
	const char *from_name; /* shown beside it, or NULL */
	const char *to;        /* address */
	const char *about;     /* whom it is about, for `outbox list`; NULL: to */
	const char *subject;
	const char *text;
	const char *html; /* or NULL */
	const struct mail_attachment *attachments;
	guint attachment_count;
	const char *message_id;     /* "<...>"; NULL: made */
	const char *in_reply_to;    /* "<...>", which References has, too; or NULL */
	const char *auto_submitted; /* NULL: "auto-generated" */
};

struct mail_composed {
	GBytes *bytes; /* with CRLF; wipe it where it is secret */
	char *message_id;
	gboolean utf8; /* an address is not ASCII: SMTPUTF8 */
};

/* from must be set. host: our name. INVALID: an address that is none. */
gboolean mail_compose(const struct mail *mail, const char *host, gint64 now,
		      struct mail_composed *composed, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void mail_composed_clear(struct mail_composed *composed);

/* Composed, sealed and due at once; *id may be NULL. INVALID: ca mail_from is not set, or an
 * address is none. */
gboolean mailer_queue(struct gateway *gateway, struct tx *tx, const struct mail *mail, gint64 *id,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* --- for the job that delivers --- */

enum mailer_result {
	MAILER_SENT,
	MAILER_REFUSED, /* 5xx, or it cannot go this way ever */
	MAILER_LATER,   /* 4xx, or nobody answers: nothing was taken */
	MAILER_UNKNOWN, /* its end was sent, and no answer came */
	MAILER_LEFT,    /* the delivery is another's by now */
};

struct mailer_outcome {
	enum mailer_result result;
	char *text; /* the server's answer, or what failed; printable */
};

/* Hands one message over; claims the row between RCPT and DATA. */
void mailer_send(struct gateway *gateway, const struct outbox_row *row, const char *sender,
		 const struct secret *message, struct mailer_outcome *outcome);
/* As it stands in fields and commands, the domain in A-labels. */
char *mailer_address(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* ca mail_from; INVALID: not set. */
char *mailer_sender(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
