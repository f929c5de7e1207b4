/*
 * protect - header protection of a message that is about to be signed or encrypted (RFC 9788).
 *
 * The root of the payload repeats the message's fields: all but trace, Bcc and what a filter adds.
 * On an encrypted copy it says with HP-Outer what stays visible outside, and begins with a legacy
 * display element where Subject is hidden (legacy_display.h). Fields inside are 7-bit; one that
 * cannot be asks for an opaque signature, and stays outside where nobody signs. A Content-Type that
 * takes no parameter gets a multipart/mixed around it. Failure: the spool, or random bytes; never a
 * field. Threads: any.
 */
#ifndef MILTER_MIME_PROTECT_H
#define MILTER_MIME_PROTECT_H

#include "milter/message/edits.h"

struct protect_request {
	const struct headers *headers; /* of the message as it leaves, before anything is hidden */
	struct spool_area *area;
	gboolean encrypted; /* hp="cipher", not "clear" */
	gboolean hide;      /* with encrypted: the baseline policy, not none */
	gboolean is_signed; /* about to be: the payload has to be 7-bit */
};

/* entity is sealed: content fields, empty line, body (canonical.h). The result is sealed, too.
 * *needs_opaque becomes TRUE where a field could not be made 7-bit, and is else left alone. */
struct spool *protect_entity(struct spool *entity, const struct protect_request *request,
			     gboolean *needs_opaque, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The baseline policy on the outer fields: Subject says nothing, what repeats or explains it goes.
 * headers are those that edits belong to. */
void protect_hide(const struct headers *headers, struct edits *edits);
/* At most that many bytes more before it is signed or encrypted, of a message with fields of that
 * size. */
guint64 protect_growth(guint64 headers_bytes, guint64 message_bytes);

#endif
