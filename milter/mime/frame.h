/*
 * frame - what stands around a signed object: would every reader see the same message?
 *
 * A signature covers its content alone. Where mail programs read header, delimiters or encoding in
 * different ways, some of them can be made to show what nobody signed; such a frame is malformed.
 * Text that was added around the signed part makes it partial. Honest faults that all programs read
 * the same way are none. Pure but for reading the spool. Threads: any.
 */
#ifndef MILTER_MIME_FRAME_H
#define MILTER_MIME_FRAME_H

#include "milter/mime/detect.h"

struct frame { /* static texts, NULL: nothing found */
	const char *malformed;
	const char *partial;
};

/* The header of any message whose inside may be signed: static text, or NULL. */
const char *frame_check_header(const struct headers *headers);
/* A root that is signed or compressed (PROTECTION_SIGNED, _OPAQUE, _COMPRESSED). FALSE: could not
 * be read. */
gboolean frame_check(const struct mime_tree *tree, enum protection protection, struct frame *found,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is it a Content-Type value that has one reading only? boundary: what was read as such a
 * parameter, or NULL. */
gboolean frame_type_is_plain(const char *raw_value, const char *boundary);

#endif
