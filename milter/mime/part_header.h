/*
 * part_header - the header block of a part as it is written into a signed entity: 7-bit.
 */
#ifndef MILTER_MIME_PART_HEADER_H
#define MILTER_MIME_PART_HEADER_H

#include "milter/mime/scan.h"

/* Appends the fields with CRLF, without the empty line. encoding replaces the
 * Content-Transfer-Encoding (NULL: as it is). Of the message itself only Content-* fields are
 * written, one of each, with a Content-Type where there is none (charset for it or NULL).
 * FALSE: a field cannot be made 7-bit with lines of at most 998 octets; what was appended is not
 * to be used then. */
gboolean part_header_write(const struct part *part, const char *encoding, const char *charset,
			   gboolean seven_bit, GString *out) G_GNUC_WARN_UNUSED_RESULT;

#endif
