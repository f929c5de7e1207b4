/*
 * legacy_display - the hidden Subject as text at the beginning of an encrypted message, for mail
 * programs that do not know header protection (RFC 9788 sections 4.5.3 and 5.2.2 to 5.2.5).
 *
 * Added to main body parts of type text/plain and text/html only, and taken away again only there,
 * where a part says that it has one and the text looks like one. What is signed inside is never
 * touched. Failure: the spool. Threads: any.
 */
#ifndef MILTER_MIME_LEGACY_DISPLAY_H
#define MILTER_MIME_LEGACY_DISPLAY_H

#include "milter/mime/scan.h"

/* subject is decoded text. *entity is the message of the tree with it, sealed: its fields, an
 * empty line, the body; NULL where there is no place for it. seven_bit: it is to be signed. */
gboolean legacy_display_add(const struct mime_tree *tree, const char *subject, gboolean seven_bit,
			    struct spool_area *area, struct spool **entity,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The message without it, of a payload that came out of an encryption; NULL: nothing was there.
 * older: a part of its own, as the scheme before RFC 9788 had it, goes too. */
gboolean legacy_display_remove(const struct mime_tree *tree, gboolean older,
			       struct spool_area *area, struct spool **entity,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
