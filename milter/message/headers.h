/*
 * headers - the header fields of a message or part, in their order, exactly as they came.
 *
 * A value is what stands after the colon: with its leading blank (SMFIP_HDR_LEADSPC), folds as
 * LF followed by a blank, no line end. Names compare without case. Limits of the field's number
 * and size are checked before memory is taken; what exceeds one is PS_ERROR_INVALID with the
 * limit's name. Threads: one fills, then any number read.
 */
#ifndef MILTER_MESSAGE_HEADERS_H
#define MILTER_MESSAGE_HEADERS_H

#include "milter/message/spool.h"

#define HEADERS_BLOCK_MAX_BYTES (1024 * 1024)
#define HEADERS_FIELD_MAX_BYTES (256 * 1024)
#define HEADERS_COUNT_MAX 2000

struct headers;

struct header {
	char *name;       /* as written */
	char *value;      /* NUL-terminated; may hold NULs of its own, see length */
	gsize length;     /* of value */
	guint occurrence; /* 1 for the first field of this name */
};

struct headers *headers_new(void);
struct headers *headers_ref(struct headers *headers);
void headers_unref(struct headers *headers);

/* CRLF folds in value become LF. */
gboolean headers_add(struct headers *headers, const char *name, const char *value, gsize length,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
guint headers_count(const struct headers *headers);
const struct header *headers_at(const struct headers *headers, guint index);
/* NULL when there is no such occurrence (from 1). */
const struct header *headers_find(const struct headers *headers, const char *name,
				  guint occurrence);
/* The value of the first one, or NULL. */
const char *headers_value(const struct headers *headers, const char *name);
guint headers_count_of(const struct headers *headers, const char *name);
gsize headers_size(const struct headers *headers); /* bytes of the block with CRLF */
gboolean header_is(const struct header *header, const char *name);
gboolean header_has_prefix(const struct header *header, const char *prefix);
gboolean header_name_among(const char *name, const char *const *names, gsize count);
/* A raw value on one line, without blanks around it: a fold is its line end alone, the blank stays
 * (RFC 5322 section 2.2.3). Owned by the caller. */
char *header_unfolded(const char *raw_value);

/* The header block at the start of [start, end): fields up to the empty line. *body_start is the
 * first byte after that line (= start when there are none, = end without an empty line). Lines end
 * in LF or CRLF. A first line "From " is skipped. A line that is no field ends the block.
 * PS_ERROR_INVALID: a limit. */
struct headers *headers_parse(struct spool *spool, guint64 start, guint64 end, guint64 *body_start,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same, line by line, for who cuts lines himself. A line has no line end. *over: it is not
 * of the header any more (an empty line is its end, any other belongs to the body). */
struct header_lines;
struct header_lines *header_lines_new(void);
gboolean header_lines_take(struct header_lines *lines, const char *line, gsize length,
			   gboolean *over, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct headers *header_lines_finish(struct header_lines *lines,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void header_lines_free(struct header_lines *lines);

/* Fields with CRLF ends and folds, without the empty line. */
gboolean headers_write(const struct headers *headers, struct sink *to,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean header_write(const struct header *header, struct sink *to,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(header_lines, header_lines_free)
DEFINE_CLEANUP(headers, headers_unref)

#endif
