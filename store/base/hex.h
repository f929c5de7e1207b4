/*
 * hex - lower-case hex digits, as thumbprints, serial numbers and digests are written.
 *
 * Threads: any. Never fails.
 */
#ifndef STORE_BASE_HEX_H
#define STORE_BASE_HEX_H

#include <glib.h>

#define THUMBPRINT_DIGITS 128 /* SHA-512 of a certificate's DER */

char *hex_encode(gconstpointer bytes, gsize length); /* the caller's */
void hex_append(GString *out, gconstpointer bytes, gsize length);
/* Nothing but lower-case digits ("" too)? */
gboolean hex_is(const char *text);
gboolean hex_is_thumbprint(const char *text); /* a whole one */
/* The digits of what people paste: "AB:CD", "0xabcd", "ab cd", "AB-CD". NULL when it is something
 * else, or has no digit. */
char *hex_from_spelling(const char *text);

#endif
