/*
 * smtp_reply - what a mail server answers, read line by line (RFC 5321 section 4.2, RFC 2034).
 *
 * Bounded: a line of SMTP_LINE_MAX_BYTES, SMTP_LINES_MAX lines. Every line of an answer bears the
 * same code. Text is made printable as it comes. Threads: values.
 */
#ifndef PKI_NET_SMTP_REPLY_H
#define PKI_NET_SMTP_REPLY_H

#include <glib.h>

#include "store/base/cleanup.h"

#define SMTP_LINE_MAX_BYTES 4096
#define SMTP_LINES_MAX 128

struct smtp_reply {
	guint code;       /* 250; 0: none yet */
	char status[12];  /* "5.7.1" of RFC 3463, of the last line; "": none, or not of this code */
	GPtrArray *lines; /* of char *: texts without code and status, printable ASCII */
};

/* Takes one line, with its CRLF or LF, from bytes: *used is 0 while it is not whole. *whole: it was
 * the last one. INVALID: not a reply, or past a limit. */
gboolean smtp_reply_take(struct smtp_reply *reply, const char *bytes, gsize length, gsize *used,
			 gboolean *whole, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void smtp_reply_clear(struct smtp_reply *reply);       /* to none; what was embedded stays */
char *smtp_reply_text(const struct smtp_reply *reply); /* "550 5.7.1 text / text", one line */

#endif
