/*
 * leaf - the decoded content of a leaf as a source: base64, quoted-printable or as it is.
 *
 * Decoding is tolerant. Lives as long as the tree; one thread at a time.
 */
#ifndef MILTER_MIME_LEAF_H
#define MILTER_MIME_LEAF_H

#include "milter/mime/scan.h"

enum leaf_decoding {
	LEAF_AS_DECLARED, /* unknown encodings as they are */
	LEAF_BASE64,      /* whatever is declared */
};

struct leaf;

struct leaf *leaf_open(const struct mime_tree *tree, const struct part *part,
		       enum leaf_decoding decoding);
struct source *leaf_source(struct leaf *leaf);
void leaf_close(struct leaf *leaf);
/* All of it into a sink. */
gboolean leaf_write(const struct mime_tree *tree, const struct part *part, struct sink *to,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(leaf, leaf_close)

#endif
