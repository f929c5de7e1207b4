/*
 * scan - the structure of a message as byte ranges of its spool, found by boundaries.
 *
 * Limits come first: depth, number of parts, boundary length. A structure that breaks one, or
 * that cannot be told, is a finding (tree->malformed), not an error; the tree is then not to be
 * relied on. An error means that the spool could not be read. In the same pass it is found out
 * what each part's bytes need before they may be signed.
 * The tree is immutable and keeps the spool. Threads: any.
 */
#ifndef MILTER_MIME_SCAN_H
#define MILTER_MIME_SCAN_H

#include "milter/message/headers.h"

#define SCAN_DEPTH_MAX 32
#define SCAN_PARTS_MAX 2000
#define SCAN_BOUNDARY_MAX_BYTES 70

enum part_kind { PART_LEAF, PART_MULTIPART, PART_MESSAGE /* message/rfc822, message/global */ };

/* Found in the bytes of a leaf's body or of a header block. */
enum part_trait {
	TRAIT_8BIT = 1,      /* an octet above 127 */
	TRAIT_LONG_LINE = 2, /* more than 998 octets between line ends */
	TRAIT_BARE_CR = 4,
	TRAIT_BARE_LF = 8,
	TRAIT_NUL = 16,
};

struct part {
	enum part_kind kind;
	struct part *parent;     /* NULL: the message itself */
	GPtrArray *children;     /* struct part *; of a PART_MESSAGE one: the message inside */
	struct headers *headers; /* of the root those that were given */
	guint64 start;           /* first byte of the header block; root: = body_start */
	guint64 body_start;
	guint64 end; /* without the line end that belongs to the delimiter */
	char *type;  /* "text/plain", lower case; the default where none or a broken one is given */
	char *encoding;         /* Content-Transfer-Encoding, lower case, "7bit" where none */
	gboolean broken_type;   /* a Content-Type is there, but cannot be parsed */
	char *boundary;         /* PART_MULTIPART */
	guint64 preamble_end;   /* PART_MULTIPART: where the first delimiter line starts */
	guint64 epilogue_start; /* PART_MULTIPART: after the closing delimiter line; end if none */
	gboolean closed;        /* PART_MULTIPART: has its closing delimiter */
	guint traits;           /* of a leaf's body, of preamble and epilogue of a multipart */
	guint header_traits;
	struct content_type *content_type; /* parameters: part_parameter() */
};

struct mime_tree {
	struct part *root;
	struct spool *spool;
	guint part_count;
	guint traits;            /* all of them together, headers of the parts included */
	char *malformed;         /* NULL, or why the structure cannot be relied on */
	gboolean limit_exceeded; /* malformed names a limit: refused where protection is a must */
};

/* The message whose fields are headers and whose body is [start, end) of the sealed spool. */
struct mime_tree *scan_message(struct headers *headers, struct spool *spool, guint64 start,
			       guint64 end, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Lets a second parser look at it: where it sees another structure, tree->malformed is set. For
 * what is verified or shown; costs about as much as the scan. */
gboolean scan_cross_check(struct mime_tree *tree, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void mime_tree_free(struct mime_tree *tree);

gboolean part_is(const struct part *part, const char *type); /* a last "*" stands for all */
/* Value of a Content-Type parameter, decoded (RFC 2231); NULL when there is none. */
const char *part_parameter(const struct part *part, const char *name);

DEFINE_CLEANUP(mime_tree, mime_tree_free)

#endif
