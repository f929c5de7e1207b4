/*
 * notice - tells the sender of a message which recipients did not get it (RFC 3464).
 *
 * multipart/report: a text for people, message/delivery-status, and the header of the message
 * (text/rfc822-headers) without fields of ours and without its Subject where that is not to be
 * seen; never a line of its body. One notice names all refused recipients of a message. Only to an
 * internal envelope sender other than the null sender, and never for what says Auto-Submitted
 * other than "no" or is a report itself.
 * Threads: any; values.
 */
#ifndef MILTER_NOTICE_H
#define MILTER_NOTICE_H

#include <glib.h>

struct gathered;
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

/* May the sender of this message be told at all? */
gboolean notice_possible(const struct session_message *message, const struct gathered *gathered);
/* The whole message, CRLF, 7-bit; sealed. NULL with *error: the spool is full. */
struct spool *notice_write(const struct notice *notice, struct spool_area *area,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
