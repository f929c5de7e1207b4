/*
 * compose - the pieces of messages of our own: dates, ids, boundaries, folded values, text.
 *
 * Everything is ASCII. Values of fields are as headers_add takes them: with their leading blank,
 * folded by LF and a blank before column 78 where there is a blank to fold at. Foreign text has to
 * pass printable_ascii() before. Threads: any.
 */
#ifndef MILTER_MIME_COMPOSE_H
#define MILTER_MIME_COMPOSE_H

#include <glib.h>

/* "Sun, 22 Nov 2026 01:21:47 +0000" (RFC 5322 section 3.3), in no language but its own. */
char *compose_date(gint64 seconds);
/* "<1795310507.RANDOM@host>" */
char *compose_message_id(const char *host, gint64 seconds,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With 128 random bits; "=_" occurs in no base64 and no quoted-printable. */
char *compose_boundary(GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* " value", folded, to stand after "name:". */
char *compose_value(const char *name, const char *value);
/* Appends "name: value" CRLF, folded. */
void compose_field(GString *out, const char *name, const char *value);
/* Appends text in lines of at most 76 bytes, wrapped at blanks, with CRLF; LF ends a line. */
void compose_text(GString *out, const char *text);
/* A domain name as it may stand in fields and commands: other characters become '-'; what is
 * empty is "localhost". */
char *compose_host(const char *name);

#endif
