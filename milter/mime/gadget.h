/*
 * gadget - could this content be a cipher text in CBC that somebody cut and put together anew?
 *
 * Each joint leaves a block of random octets. So content that nothing vouches for is released only
 * if its header lines and every part are exactly what their transfer encodings allow: header, 7bit,
 * quoted-printable and base64 have seven bits and no control characters but TAB, CR and LF; text
 * in 8bit is valid in its charset, UTF-8 where none is named; binary text is never right.
 */
#ifndef MILTER_MIME_GADGET_H
#define MILTER_MIME_GADGET_H

#include "milter/mime/entity.h"

/* NULL: clean, unless *error is set; else what is wrong, a static text. */
const char *gadget_find(const struct entity *entity, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
