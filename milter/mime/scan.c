/*
 * scan - one pass over the lines; the innermost open part takes each of them.
 *
 * A delimiter of any open multipart ends everything inside of it, as RFC 2046 5.1.2 says. Blocks
 * in which the survey found nothing are searched for line ends only.
 */
#include "milter/mime/scan.h"

#include <string.h>

#include "milter/mime/content_type.h"
#include "milter/mime/survey.h"
#include "store/base/error.h"

#define LINE_MAX_BYTES 998
#define CARRY_MAX_BYTES 1024
#define HEADERS_TOTAL_MAX_BYTES (8 * 1024 * 1024)

struct scan {
	struct mime_tree *tree;
	struct part *open;          /* the innermost part that is not over */
	struct header_lines *lines; /* not NULL: it is in its header */
	guint multiparts;           /* open ones with a delimiter to look for */
	guint depth;
	guint64 position;     /* where the line starts */
	guint previous_eol;   /* octets of the line end before it */
	guint64 header_bytes; /* of all parts */
	GString *carry;       /* begin of a line whose end is in the next block */
	gsize carried;        /* its length, also where carry was cut */
	guint carried_traits;
	guint8 carried_last[2]; /* octets of it */
	GError *error;          /* a real one */
};

struct line {
	const char *text;
	gsize length; /* without eol */
	guint eol;    /* 0, 1 or 2 */
	guint traits;
};

static void
part_free(gpointer data)
{
	struct part *part = data;

	if (part == NULL)
		return;
	g_clear_pointer(&part->children, g_ptr_array_unref);
	headers_unref(part->headers);
	g_free(part->type);
	g_free(part->encoding);
	g_free(part->boundary);
	content_type_free(part->content_type);
	g_free(part);
}

void
mime_tree_free(struct mime_tree *tree)
{
	if (tree == NULL)
		return;
	part_free(tree->root);
	spool_unref(tree->spool);
	g_free(tree->malformed);
	g_free(tree);
}

static void
set_malformed(struct scan *scan, gboolean limit, const char *why)
{
	if (scan->tree->malformed != NULL)
		return;
	scan->tree->malformed = g_strdup(why);
	scan->tree->limit_exceeded = limit;
}

/* A limit of headers.c is a finding here. */
static void
take_error(struct scan *scan, GError *error)
{
	if (error->code == PS_ERROR_INVALID) {
		set_malformed(scan, TRUE, error->message);
		g_error_free(error);
		return;
	}
	set_malformed(scan, FALSE, error->message);
	if (scan->error == NULL)
		scan->error = error;
	else
		g_error_free(error);
}

/* --- what a part is --- */

static char *
encoding_of(const struct headers *headers)
{
	const char *value = headers_value(headers, "Content-Transfer-Encoding");
	g_autofree char *text = NULL;
	gsize length;

	if (value == NULL)
		return g_strdup("7bit");
	value += strspn(value, " \t\r\n");
	length = strcspn(value, " \t\r\n;(");
	text = g_strndup(value, length);
	return text[0] != '\0' ? g_ascii_strdown(text, -1) : g_strdup("7bit");
}

static gboolean
encoding_is_identity(const char *encoding)
{
	return strcmp(encoding, "7bit") == 0 || strcmp(encoding, "8bit") == 0 ||
	       strcmp(encoding, "binary") == 0;
}

static void
classify(struct scan *scan, struct part *part)
{
	const char *value = headers_value(part->headers, "Content-Type");
	const char *boundary;
	gboolean in_digest = part->parent != NULL && part->parent->kind == PART_MULTIPART &&
			     part_is(part->parent, "multipart/digest");

	part->encoding = encoding_of(part->headers);
	if (value != NULL) {
		part->content_type = content_type_parse(value);
		part->broken_type = part->content_type == NULL;
	}
	if (part->content_type != NULL)
		part->type = g_strdup(content_type_name(part->content_type));
	else
		part->type = g_strdup(in_digest ? "message/rfc822" : "text/plain");

	if (g_str_has_prefix(part->type, "multipart/")) {
		boundary = part_parameter(part, "boundary");
		if (boundary == NULL || boundary[0] == '\0') {
			set_malformed(scan, FALSE, "a multipart has no boundary");
		} else if (strlen(boundary) > SCAN_BOUNDARY_MAX_BYTES) {
			set_malformed(scan, TRUE,
				      "a boundary is longer than 70 octets (limit of boundaries)");
		} else {
			part->kind = PART_MULTIPART;
			part->boundary = g_strdup(boundary);
			if (!encoding_is_identity(part->encoding))
				set_malformed(scan, FALSE, "a multipart has a transfer encoding");
		}
	} else if ((part_is(part, "message/rfc822") || part_is(part, "message/global")) &&
		   encoding_is_identity(part->encoding)) {
		part->kind = PART_MESSAGE;
	}
}

/* --- opening and closing --- */

static void
open_part(struct scan *scan, struct part *parent)
{
	struct part *part;

	if (++scan->tree->part_count > SCAN_PARTS_MAX) {
		set_malformed(scan, TRUE, "more than 2,000 parts (limit of parts)");
		return;
	}
	if (scan->depth >= SCAN_DEPTH_MAX) {
		set_malformed(scan, TRUE, "parts are nested more than 32 deep (limit of depth)");
		return;
	}
	part = g_new0(struct part, 1);
	part->parent = parent;
	part->start = scan->position;
	part->body_start = scan->position;
	if (parent->children == NULL)
		parent->children = g_ptr_array_new_with_free_func(part_free);
	g_ptr_array_add(parent->children, part);
	scan->depth++;
	scan->open = part;
	scan->lines = header_lines_new();
}

static void
close_header(struct scan *scan)
{
	struct part *part = scan->open;
	GError *error = NULL;

	part->headers = header_lines_finish(scan->lines, &error);
	g_clear_pointer(&scan->lines, header_lines_free);
	if (part->headers == NULL) {
		take_error(scan, error);
		part->headers = headers_new();
	}
	part->body_start = scan->position;
	scan->header_bytes += headers_size(part->headers);
	if (scan->header_bytes > HEADERS_TOTAL_MAX_BYTES)
		set_malformed(scan, TRUE, "headers of all parts are over 8 MiB (limit of headers)");
	classify(scan, part);
	if (part->kind == PART_MULTIPART)
		scan->multiparts++;
	else if (part->kind == PART_MESSAGE)
		open_part(scan, part);
}

static void
close_part(struct scan *scan, guint64 end)
{
	struct part *part = scan->open;

	if (scan->lines != NULL) {
		close_header(scan);
		if (scan->open != part) /* a message/rfc822 of nothing but its header */
			close_part(scan, end);
	}
	part->end = MAX(end, part->start);
	if (part->children != NULL) { /* an empty message inside begins where the line ends */
		const struct part *last = part->children->pdata[part->children->len - 1];

		part->end = MAX(part->end, last->end);
	}
	part->body_start = MIN(part->body_start, part->end);
	if (part->kind == PART_MULTIPART) {
		if (!part->closed) {
			part->epilogue_start = part->end;
			scan->multiparts--;
		}
		if (part->children == NULL)
			part->preamble_end = part->end;
		part->epilogue_start = MIN(part->epilogue_start, part->end);
	}
	scan->depth--;
	scan->open = part->parent;
}

/* 0: no delimiter of this multipart, 1: between parts, 2: the closing one. */
static int
delimiter_of(const struct part *part, const struct line *line)
{
	gsize boundary = strlen(part->boundary);
	gsize at = 2 + boundary;
	int kind = 1;

	if (line->length < at || memcmp(line->text + 2, part->boundary, boundary) != 0)
		return 0;
	if (line->length >= at + 2 && memcmp(line->text + at, "--", 2) == 0) {
		kind = 2;
		at += 2;
	}
	while (at < line->length && (line->text[at] == ' ' || line->text[at] == '\t'))
		at++;
	return at == line->length ? kind : 0;
}

static gboolean
take_delimiter(struct scan *scan, const struct line *line)
{
	struct part *part;
	int kind = 0;
	guint64 start = scan->position;

	for (part = scan->open; part != NULL; part = part->parent)
		if (part->kind == PART_MULTIPART && !part->closed &&
		    (kind = delimiter_of(part, line)) != 0)
			break;
	if (part == NULL)
		return FALSE;
	while (scan->open != part)
		close_part(scan, start - MIN(scan->previous_eol, start));
	if (part->children == NULL)
		part->preamble_end = start;
	scan->position = start + line->length + line->eol;
	if (kind == 2) {
		part->closed = TRUE;
		part->epilogue_start = scan->position;
		scan->multiparts--;
	} else {
		open_part(scan, part);
	}
	scan->position = start;
	return TRUE;
}

/* --- lines --- */

static void
take_line(struct scan *scan, const struct line *line)
{
	gboolean over = FALSE;
	GError *error = NULL;

	if (scan->multiparts > 0 && line->length >= 2 && line->text[0] == '-' &&
	    line->text[1] == '-' && take_delimiter(scan, line))
		return;
	if (scan->lines == NULL) {
		scan->open->traits |= line->traits;
		return;
	}
	if (!header_lines_take(scan->lines, line->text, line->length, &over, &error)) {
		take_error(scan, error);
		return;
	}
	if (!over) {
		scan->open->header_traits |= line->traits;
		return;
	}
	if (line->length == 0) {
		guint64 start = scan->position;

		scan->position += line->eol;
		close_header(scan);
		scan->position = start;
		return;
	}
	close_header(scan); /* the line belongs to the body already */
	take_line(scan, line);
}

static void
end_line(struct scan *scan, struct line *line)
{
	if (line->length > LINE_MAX_BYTES)
		line->traits |= TRAIT_LONG_LINE;
	scan->tree->traits |= line->traits;
	if (scan->tree->malformed == NULL)
		take_line(scan, line);
	scan->position += line->length + line->eol;
	scan->previous_eol = line->eol;
}

static void
carry(struct scan *scan, const guint8 *bytes, gsize length)
{
	gsize room = scan->lines != NULL ? HEADERS_BLOCK_MAX_BYTES : CARRY_MAX_BYTES;

	if (length == 0)
		return;
	scan->carried += length;
	scan->carried_last[0] = length > 1 ? bytes[length - 2] : scan->carried_last[1];
	scan->carried_last[1] = bytes[length - 1];
	scan->carried_traits |= survey_bytes(bytes, length) & (TRAIT_8BIT | TRAIT_NUL);
	if (scan->carry->len + length <= room)
		g_string_append_len(scan->carry, (const char *)bytes, (gssize)length);
	else if (scan->lines != NULL)
		set_malformed(scan, TRUE,
			      "header of more than 1048576 bytes (limit of the header block)");
}

/* The carried line has its end now (or the message is over). */
static void
end_carried_line(struct scan *scan)
{
	struct line line = { scan->carry->str, scan->carried, 0, scan->carried_traits };

	if (line.length > 0 && scan->carried_last[1] == '\n')
		line.eol = line.length > 1 && scan->carried_last[0] == '\r' ? 2 : 1;
	line.length -= line.eol;
	if (line.eol == 1)
		line.traits |= TRAIT_BARE_LF;
	if (scan->carry->len == scan->carried) {
		line.traits |= survey_bytes((const guint8 *)line.text, line.length);
		end_line(scan, &line);
	} else { /* no header and too long for a delimiter: only its length counts */
		line.traits |= TRAIT_LONG_LINE;
		scan->tree->traits |= line.traits;
		if (scan->tree->malformed == NULL)
			scan->open->traits |= line.traits;
		scan->position += line.length + line.eol;
		scan->previous_eol = line.eol;
	}
	g_string_truncate(scan->carry, 0);
	scan->carried = 0;
	scan->carried_traits = 0;
}

/* Whole lines of a body that the survey found clean and none of which can be a delimiter: only
 * their lengths count, and those need not be looked at one by one. */
static void
skip_lines(struct scan *scan, const guint8 *from, const guint8 *to)
{
	guint traits = 0;

	if (from == to)
		return;
	scan->position += (guint64)(to - from);
	scan->previous_eol = 2;
	while (to - from > LINE_MAX_BYTES + 2) {
		const guint8 *lf = memrchr(from, '\n', LINE_MAX_BYTES + 2);

		if (lf == NULL) {
			traits = TRAIT_LONG_LINE;
			lf = memchr(from, '\n',
				    (gsize)(to - from)); /* there is one: to follows it */
		}
		from = lf + 1;
	}
	scan->tree->traits |= traits;
	if (scan->tree->malformed == NULL)
		scan->open->traits |= traits;
}

/* Skips what it can of a clean block; returns where it stopped, at the start of a line. */
static const guint8 *
skip_clean(struct scan *scan, const guint8 *bytes, const guint8 *end)
{
	gboolean look = scan->multiparts > 0 && scan->tree->malformed == NULL;
	const guint8 *dashes = look ? survey_find_dashes(bytes, end) : NULL;
	const guint8 *to = dashes;

	if (to == NULL) {
		const guint8 *lf = memrchr(bytes, '\n', (gsize)(end - bytes));

		to = lf != NULL ? lf + 1 : bytes;
	}
	skip_lines(scan, bytes, to);
	return to;
}

/* The line that begins at bytes, or what there is of it in this block; returns what follows. */
static const guint8 *
take_one(struct scan *scan, const guint8 *bytes, const guint8 *end, gboolean suspect)
{
	const guint8 *lf = memchr(bytes, '\n', (gsize)(end - bytes));
	const guint8 *next = lf != NULL ? lf + 1 : end;
	struct line line = { (const char *)bytes, 0, 1, 0 };

	if (lf == NULL || scan->carried > 0) {
		carry(scan, bytes, (gsize)(next - bytes));
		if (lf != NULL)
			end_carried_line(scan);
		return next;
	}
	line.length = (gsize)(lf - bytes);
	if (line.length > 0 && lf[-1] == '\r') {
		line.length--;
		line.eol = 2;
	}
	if (suspect) {
		line.traits = survey_bytes(bytes, line.length);
		if (line.eol == 1)
			line.traits |= TRAIT_BARE_LF;
	}
	end_line(scan, &line);
	return next;
}

static void
take_block(struct scan *scan, const guint8 *bytes, gsize length)
{
	const guint8 *end = bytes + length;
	gboolean suspect = survey_bytes(bytes, length) != 0;

	while (bytes < end) {
		if (!suspect && scan->carried == 0 &&
		    (scan->lines == NULL || scan->tree->malformed != NULL))
			bytes = skip_clean(scan, bytes, end);
		if (bytes < end)
			bytes = take_one(scan, bytes, end, suspect);
	}
}

static void
begin(struct scan *scan, struct headers *headers, struct spool *spool, guint64 start)
{
	struct part *root = g_new0(struct part, 1);

	scan->tree->spool = spool_ref(spool);
	scan->tree->root = root;
	scan->tree->part_count = 1;
	scan->carry = g_string_new(NULL);
	scan->position = start;
	scan->open = root;
	scan->depth = 1;
	root->headers = headers_ref(headers);
	root->start = root->body_start = start;
	classify(scan, root);
	if (root->kind == PART_MULTIPART)
		scan->multiparts++;
	else if (root->kind == PART_MESSAGE)
		open_part(scan, root);
}

static guint
header_traits_of(const struct headers *headers)
{
	guint traits = 0;

	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);

		if (header_has_prefix(field, "Content-"))
			traits |= survey_bytes((const guint8 *)field->value, field->length) &
				  (TRAIT_8BIT | TRAIT_NUL | TRAIT_BARE_CR);
	}
	return traits;
}

struct mime_tree *
scan_message(struct headers *headers, struct spool *spool, guint64 start, guint64 end,
	     GError **error)
{
	CLEANUP(mime_tree) struct mime_tree *tree = g_new0(struct mime_tree, 1);
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(spool, start, end);
	struct scan scan = { .tree = tree };
	const guint8 *bytes;
	gssize n;

	begin(&scan, headers, spool, start);
	while ((n = spool_reader_next(reader, &bytes, error)) > 0)
		take_block(&scan, bytes, (gsize)n);
	if (n == 0 && scan.carried > 0)
		end_carried_line(&scan);
	while (scan.open != NULL)
		close_part(&scan, end);
	g_clear_pointer(&scan.lines, header_lines_free);
	g_string_free(scan.carry, TRUE);
	tree->root->header_traits = header_traits_of(headers);
	tree->traits |= tree->root->header_traits;
	if (n < 0) {
		g_clear_error(&scan.error);
		return NULL;
	}
	if (scan.error != NULL) {
		g_propagate_error(error, scan.error);
		return NULL;
	}
	return g_steal_pointer(&tree);
}

gboolean
part_is(const struct part *part, const char *type)
{
	gsize length = strlen(type);

	if (length > 0 && type[length - 1] == '*')
		return strncmp(part->type, type, length - 1) == 0;
	return strcmp(part->type, type) == 0;
}

const char *
part_parameter(const struct part *part, const char *name)
{
	return part->content_type != NULL ? content_type_parameter(part->content_type, name) : NULL;
}
