/*
 * notice - tells the sender of a message which recipients did not get it (RFC 3464).
 *
 * multipart/report: a text for people, message/delivery-status, and the header of the message
 * (text/rfc822-headers); never a line of its body. One notice names all refused recipients of a
 * message but those who were to be silent about (NOTIFY without FAILURE, RFC 3461). To whom one
 * may be sent is said elsewhere (gathered->sender_told). Auto-Submitted says that nobody is to be
 * answered. Threads: any; values.
 */
#ifndef MILTER_NOTICE_H
#define MILTER_NOTICE_H

#include <glib.h>

struct headers;
struct session_message;
struct spool;
struct spool_area;

struct notice_recipient {
	guint recipient;    /* index in the envelope */
	const char *status; /* "5.7.5" */
	const char *text;   /* why, one line */
	gboolean by_server; /* text is the mail server's answer, "550 5.1.1 ..." */
};

struct notice {
	const struct session_message *message;
	const struct notice_recipient *recipients;
	guint count;
	const char *host; /* who reports; a domain */
	gint64 now;
};

/* Is there anybody of whom it may speak? */
gboolean notice_wanted(const struct notice *notice);
/* Header and sealed body, CRLF, 7-bit where the sender's address is; references of the caller's. */
gboolean notice_write(const struct notice *notice, struct spool_area *area,
		      struct headers **headers, struct spool **body,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
