/*
 * returned - what is left of mail that nobody wrote, where its text must not leave in plain.
 *
 * A multipart/report keeps its first machine-readable part (RFC 3464, RFC 8098: the fields that
 * those name) and the address and trace fields of the message that it returns; any other message
 * keeps nothing. Both get one sentence for people. Fields and parts that are not known to hold no
 * text are left out, so that a label alone carries nothing past the gateway.
 * Threads: any.
 */
#ifndef MILTER_MIME_RETURNED_H
#define MILTER_MIME_RETURNED_H

#include "milter/mime/scan.h"
#include "milter/mime/wrap.h"

/* NULL only where the spool fails: whatever the message holds, there is something left to send. */
struct wrapped *returned_cut(struct mime_tree *tree, struct spool_area *area,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
