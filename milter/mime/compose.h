/*
 * compose - messages of our own: fields folded, text encoded, boundaries that occur nowhere.
 *
 * Everything is 7-bit with CRLF and lines of at most 76 octets where the content can be folded.
 * Foreign text passes printable() before it stands in a field of ours. Threads: values.
 */
#ifndef MILTER_MIME_COMPOSE_H
#define MILTER_MIME_COMPOSE_H

#include <glib.h>

/* "Sun, 22 Nov 2026 01:21:47 +0000" (RFC 5322 section 3.3), in no language but its own. */
char *compose_date(gint64 seconds);
/* "<TIME.RANDOM@host>" */
char *compose_message_id(const char *host, gint64 seconds,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* 128 random bits: "=_..." occurs in no quoted-printable or base64 text. */
char *compose_boundary(GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* "Name: value" CRLF, folded at blanks before column 78. value is printable ASCII. */
void compose_field(GString *out, const char *name, const char *value);
/* Lines of at most 76 octets, wrapped at blanks; LF in text ends a line. ASCII. */
void compose_text(GString *out, const char *text);

#endif
