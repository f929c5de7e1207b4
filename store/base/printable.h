/*
 * printable - makes foreign text safe to show: the one place.
 *
 * Control, bidirectional and invisible formatting characters and invalid UTF-8 become \xNN or
 * \u{NNNN}; a backslash is doubled; what is longer than the ceiling is cut and ends in "...".
 * The result is one line, valid UTF-8, and safe on a terminal, in a log and in an SMTP reply.
 */
#ifndef STORE_BASE_PRINTABLE_H
#define STORE_BASE_PRINTABLE_H

#include <glib.h>

#define PRINTABLE_MAX_BYTES 512

char *printable(const char *text); /* up to PRINTABLE_MAX_BYTES; NULL gives "" */
char *printable_bytes(gconstpointer bytes, gsize length, gsize max_bytes);
/* As safe, for tables and CSV: a backslash stays single, so that patterns can be read and copied.
 * Text that spells an escape cannot be told from one. */
char *printable_cell(const char *text, gsize max_bytes);
/* The same in ASCII alone, for SMTP replies: other characters become '?'. */
char *printable_ascii(const char *text);
/* A CSV cell (RFC 4180), quoted; one that begins with = + - @ TAB gets a leading apostrophe. */
char *printable_csv(const char *text);

#endif
