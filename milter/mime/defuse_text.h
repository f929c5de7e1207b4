/*
 * defuse_text - the words of HTML, CSS and SVG that make a mail program fetch something, changed
 * in place to words that mean nothing: their first letter becomes x, the length stays.
 *
 * No parser is asked where a tag ends: mail programs do not agree on that, and what one of them
 * takes for a comment another shows. Every place that could be an attribute to any of them counts.
 * References to other parts (cid:) and pictures inside (data:image/…) stay. Pure. Decision 0050.
 */
#ifndef MILTER_MIME_DEFUSE_TEXT_H
#define MILTER_MIME_DEFUSE_TEXT_H

#include <glib.h>

/* Does the charset hold every ASCII octet outside of a longer sequence as that character? */
gboolean defuse_text_charset(const char *charset);
/* Text in such a charset. xml: each href is one that is fetched. NULL: done;
 * else why it cannot be told, a static text. */
const char *defuse_text(char *text, gsize length, gboolean xml, gboolean *changed);

#endif
