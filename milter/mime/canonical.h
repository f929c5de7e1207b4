/*
 * canonical - the entity of a message in the form that is signed: content fields and body with
 * CRLF, 7-bit, lines of at most 998 octets, no epilogue (RFC 8551 section 3.1).
 *
 * A message that is clean already shares its body's bytes with the spool that is given; in
 * another one exactly the leaves that need it are re-encoded. What is signed inside is never
 * touched: then needs_opaque says that only an opaque signature can protect the message.
 */
#ifndef MILTER_MIME_CANONICAL_H
#define MILTER_MIME_CANONICAL_H

#include "milter/mime/scan.h"

struct canonical {
	struct spool *entity;  /* sealed: Content-* fields, empty line, body */
	gboolean rewritten;    /* something was re-encoded */
	gboolean needs_opaque; /* entity is not 7-bit clean because a signed part inside is not */
};

/* For a signature. Where the structure cannot be relied on (tree->malformed) nothing is
 * re-encoded: such a message is either clean or needs an opaque signature. */
struct canonical *canonical_for_signing(struct mime_tree *tree, struct spool_area *area,
					GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* For encryption alone: CRLF content fields and the body as it is, 8-bit allowed. */
struct canonical *canonical_for_encryption(struct mime_tree *tree, struct spool_area *area,
					   GError **error) G_GNUC_WARN_UNUSED_RESULT;
void canonical_free(struct canonical *canonical);

DEFINE_CLEANUP(canonical, canonical_free)

#endif
