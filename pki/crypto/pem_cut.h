/*
 * pem_cut - the blocks of a PEM text as slices of it, without copying and without OpenSSL.
 *
 * For texts of any length: what is well-formed is found and decoded in one pass; what is not is
 * said to be so and left to bundle, which knows all that PEM may be. Threads: any.
 */
#ifndef PKI_CRYPTO_PEM_CUT_H
#define PKI_CRYPTO_PEM_CUT_H

#include <glib.h>

struct pem_block {
	const char *start; /* of the BEGIN line */
	gsize length;      /* up to and with the END line */
	const char *label;
	gsize label_length;
	const char *body; /* between the lines; NULL: the block has no proper end */
	gsize body_length;
};

/* The next block at or after *p, which then stands behind it; FALSE when there is none. */
gboolean pem_cut_next(const char **p, const char *end, struct pem_block *block);
gboolean pem_cut_is(const struct pem_block *block, const char *label);
/* NULL when the body is anything but base64 in lines. */
GBytes *pem_cut_decode(const struct pem_block *block) G_GNUC_WARN_UNUSED_RESULT;
/* How much of the text may be given on by itself: up to the end of its last whole block; 0 when
 * no block ends in it. */
gsize pem_cut_whole(const char *text, gsize length);

#endif
