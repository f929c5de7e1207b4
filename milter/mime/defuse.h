/*
 * defuse - HTML of a message made to fetch nothing: attributes src, srcset, background, data,
 * poster and the like, CSS url() and @import that point outside of the message lose their meaning.
 *
 * For content that nothing vouches for (preference unauthenticated_html). Other parts keep their
 * bytes; references to parts of the message stay. Decision 0050.
 */
#ifndef MILTER_MIME_DEFUSE_H
#define MILTER_MIME_DEFUSE_H

#include "milter/mime/entity.h"

/* The entity that may be shown; with *changed FALSE it is as it came. NULL with INVALID: its HTML
 * cannot be told reliably, so the untouched original is delivered; else it could not be read. */
struct entity *defuse_html(const struct entity *entity, struct spool_area *area, gboolean *changed,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
