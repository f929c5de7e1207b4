/*
 * survey - one fast look at a block of bytes: is there anything in it that may not be signed as
 * it is? Line lengths are the caller's business.
 */
#ifndef MILTER_MIME_SURVEY_H
#define MILTER_MIME_SURVEY_H

#include <glib.h>

/* Traits (enum part_trait) of the bytes: 8BIT, NUL, BARE_CR, BARE_LF. A CR as the last byte and
 * an LF as the first one count as bare. */
guint survey_bytes(const guint8 *bytes, gsize length);

/* The first line of the block that begins with "--" (the block begins with a line), or NULL. */
const guint8 *survey_find_dashes(const guint8 *bytes, const guint8 *end);

#endif
