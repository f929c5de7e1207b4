/*
 * mail_header - fields of a mail of ours: encoded words (RFC 2047), parameters (RFC 2231),
 * addresses.
 *
 * Values are UTF-8 of any kind; what comes out is folded, and has no line end that the field does
 * not go on after. Threads: any.
 */
#ifndef ADMIN_MAIL_MAIL_HEADER_H
#define ADMIN_MAIL_MAIL_HEADER_H

#include <glib.h>

/* Valid UTF-8 in one line: control characters are blanks. Owned by the caller. */
char *mail_one_line(const char *text);
/* "name: value" CRLF, as encoded words where it has to be. */
void mail_field_text(GString *out, const char *name, const char *value);
/* "name: Display <address>" CRLF; display NULL: none. The address is written as it is: a field of
 * RFC 6532 where it is not ASCII. */
void mail_field_address(GString *out, const char *name, const char *display, const char *address);
/* "; name=value" on a line of its own, in as many pieces as it needs. */
void mail_parameter(GString *out, const char *name, const char *value);

#endif
