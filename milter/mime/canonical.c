/*
 * canonical - the tree is walked once; what needs nothing is taken over as a range of the spool,
 * what needs something is written anew at its leaves. The result is looked at once more before
 * anybody may sign it.
 */
#include "milter/mime/canonical.h"

#include <string.h>

#include "milter/mime/part_header.h"
#include "milter/mime/quoted_printable.h"
#include "milter/mime/survey.h"
#include "pki/crypto/base64.h"
#include "store/base/error.h"

#define LINE_MAX_BYTES 998

struct walk {
	struct mime_tree *tree;
	struct spool *out;
	gboolean opaque; /* 7-bit cannot be had without touching what must stay */
	GError **error;
};

void
canonical_free(struct canonical *canonical)
{
	if (canonical == NULL)
		return;
	spool_unref(canonical->entity);
	g_free(canonical);
}

/* --- what a part needs --- */

static gboolean
is_signed(const struct part *part)
{
	return part_is(part, "multipart/signed");
}

static gboolean
declared_wide(const struct part *part)
{
	return strcmp(part->encoding, "8bit") == 0 || strcmp(part->encoding, "binary") == 0;
}

static gboolean
is_clean(const struct part *part, gboolean inside_signed)
{
	if (part->traits != 0 || part->header_traits != 0)
		return FALSE;
	if (declared_wide(part) && !inside_signed)
		return FALSE;
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		if (!is_clean(part->children->pdata[i], inside_signed || is_signed(part)))
			return FALSE;
	return TRUE;
}

/* --- leaves --- */

struct count_sink {
	struct sink sink;
	guint64 wide, total;
	guint expect; /* continuation octets of UTF-8 that are due */
	gboolean utf8;
};

static gboolean
count_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct count_sink *count = (struct count_sink *)self;
	const guint8 *octets = bytes;

	(void)error;
	count->total += length;
	for (gsize i = 0; i < length; i++) {
		guint8 octet = octets[i];

		if (octet >= 32 && octet < 127 && count->expect == 0)
			continue;
		count->wide +=
		    octet > 126 || (octet < 32 && octet != '\t' && octet != '\r' && octet != '\n');
		if (count->expect > 0) {
			count->utf8 &= (octet & 0xc0) == 0x80;
			count->expect--;
		} else if (octet >= 0x80) {
			count->expect = octet >= 0xf0 ? 3 : octet >= 0xe0 ? 2 : 1;
			count->utf8 &= octet >= 0xc2 && octet <= 0xf4;
		}
	}
	return TRUE;
}

static gboolean
count_leaf(struct walk *walk, const struct part *part, struct count_sink *count)
{
	memset(count, 0, sizeof *count);
	count->sink.write = count_write;
	count->utf8 = TRUE;
	if (!spool_write_range(walk->tree->spool, part->body_start, part->end, &count->sink,
			       walk->error))
		return FALSE;
	count->utf8 &= count->expect == 0;
	return TRUE;
}

static gboolean
is_text(const struct part *part)
{
	return part_is(part, "text/*") || part_is(part, "message/*");
}

static gboolean
write_base64(struct walk *walk, const struct part *part)
{
	struct base64_encoder encoder;

	base64_encoder_init(&encoder, spool_sink(walk->out));
	return spool_write_range(walk->tree->spool, part->body_start, part->end, &encoder.sink,
				 walk->error) &&
	       base64_encoder_finish(&encoder, walk->error);
}

/* Base64 that somebody else wrote in lines that are too long, or with rubbish between. */
static gboolean
rewrite_base64(struct walk *walk, const struct part *part)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader =
	    spool_reader_new(walk->tree->spool, part->body_start, part->end);
	struct base64_encoder encoder;
	g_autofree struct base64_decoder *decoder = g_new(struct base64_decoder, 1);
	const guint8 *bytes;
	gsize length;

	base64_encoder_init(&encoder, spool_sink(walk->out));
	base64_decoder_init(decoder, spool_reader_source(reader));
	do {
		if (!source_next(&decoder->source, &bytes, &length, walk->error))
			return FALSE;
		if (length > 0 && !sink_write(&encoder.sink, bytes, length, walk->error))
			return FALSE;
	} while (length > 0);
	return base64_encoder_finish(&encoder, walk->error);
}

static gboolean
write_quoted_printable(struct walk *walk, const struct part *part, gboolean repair)
{
	struct qp_encoder encoder;

	qp_encoder_init(&encoder, spool_sink(walk->out), repair);
	return spool_write_range(walk->tree->spool, part->body_start, part->end, &encoder.sink,
				 walk->error) &&
	       qp_encoder_finish(&encoder, walk->error);
}

static gboolean
share(struct walk *walk, guint64 start, guint64 end)
{
	return spool_append_range(walk->out, walk->tree->spool, start, MAX(start, end),
				  walk->error);
}

static gboolean
write_header(struct walk *walk, const struct part *part, const char *encoding, const char *charset)
{
	g_autoptr(GString) block = g_string_new(NULL);

	if (!part_header_write(part, encoding, charset, TRUE, block)) {
		walk->opaque = TRUE;
		return FALSE;
	}
	g_string_append(block, "\r\n");
	return spool_append(walk->out, block->str, block->len, walk->error);
}

static gboolean
write_leaf(struct walk *walk, const struct part *part)
{
	struct count_sink count;
	const char *charset = NULL;

	if (part->traits == 0)
		return write_header(walk, part, declared_wide(part) ? "7bit" : NULL, NULL) &&
		       share(walk, part->body_start, part->end);
	if (strcmp(part->encoding, "base64") == 0)
		return write_header(walk, part, NULL, NULL) && rewrite_base64(walk, part);
	if (strcmp(part->encoding, "quoted-printable") == 0)
		return write_header(walk, part, NULL, NULL) &&
		       write_quoted_printable(walk, part, TRUE);
	if ((strcmp(part->encoding, "7bit") != 0 && !declared_wide(part)) ||
	    part_is(part, "message/partial") || part_is(part, "message/external-body")) {
		walk->opaque = TRUE; /* an encoding that we do not know, or that may not be there */
		return FALSE;
	}
	if (!count_leaf(walk, part, &count))
		return FALSE;
	if ((part->traits & TRAIT_8BIT) != 0)
		charset = count.utf8 ? "utf-8" : "unknown-8bit";
	if (is_text(part) && count.wide <= count.total / 6)
		return write_header(walk, part, "quoted-printable", charset) &&
		       write_quoted_printable(walk, part, FALSE);
	return write_header(walk, part, "base64", charset) && write_base64(walk, part);
}

/* --- the walk --- */

static gboolean write_part(struct walk *walk, const struct part *part);

static gboolean
write_multipart(struct walk *walk, const struct part *part)
{
	gboolean root = part->parent == NULL;
	gboolean bare = part->traits != 0; /* preamble and epilogue are shown to nobody */
	guint64 at = bare ? part->preamble_end : part->body_start;
	guint64 end = bare || root ? part->epilogue_start : part->end;

	if (!write_header(walk, part, declared_wide(part) ? "7bit" : NULL, NULL))
		return FALSE;
	for (guint i = 0; part->children != NULL && i < part->children->len; i++) {
		const struct part *child = part->children->pdata[i];

		if (!share(walk, at, child->start) || !write_part(walk, child))
			return FALSE;
		at = child->end;
	}
	return share(walk, at, end);
}

static gboolean
write_part(struct walk *walk, const struct part *part)
{
	gboolean clean = is_clean(part, FALSE);

	if (clean && part->parent != NULL)
		return share(walk, part->start, part->end);
	if (is_signed(part) && !clean) {
		walk->opaque = TRUE;
		return FALSE;
	}
	switch (part->kind) {
	case PART_MULTIPART:
		return write_multipart(walk, part);
	case PART_MESSAGE:
		return write_header(walk, part, declared_wide(part) ? "7bit" : NULL, NULL) &&
		       write_part(walk, part->children->pdata[0]);
	case PART_LEAF:
		return write_leaf(walk, part);
	}
	return FALSE;
}

/* --- the last look --- */

struct check_sink {
	struct sink sink;
	gsize column;
	gboolean after_cr;
	gboolean bad;
};

static gboolean
check_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct check_sink *check = (struct check_sink *)self;
	const guint8 *at = bytes;
	const guint8 *end = at + length;

	(void)error;
	if (check->after_cr && length > 0 && *at != '\n')
		check->bad = TRUE;
	check->bad |= (survey_bytes(bytes, length) & (TRAIT_8BIT | TRAIT_NUL)) != 0;
	while (at < end) {
		const guint8 *lf = memchr(at, '\n', (gsize)(end - at));

		check->column += (gsize)((lf != NULL ? lf : end) - at);
		check->bad |= check->column > LINE_MAX_BYTES + 1;
		if (lf == NULL)
			break;
		check->bad |= lf > at ? lf[-1] != '\r' : !check->after_cr;
		check->column = 0;
		check->after_cr = FALSE;
		at = lf + 1;
	}
	if (length > 0)
		check->after_cr = end[-1] == '\r';
	return TRUE;
}

static gboolean
is_canonical(struct spool *entity, gboolean *good, GError **error)
{
	struct check_sink check = { .sink.write = check_write };

	if (!spool_write(entity, &check.sink, error))
		return FALSE;
	*good = !check.bad;
	return TRUE;
}

/* --- results --- */

static struct canonical *
result(struct spool *entity, GError **error)
{
	struct canonical *canonical;

	if (!spool_seal(entity, error))
		return NULL;
	canonical = g_new0(struct canonical, 1);
	canonical->entity = spool_ref(entity);
	return canonical;
}

/* The bytes as they are, behind the content fields. */
static struct canonical *
as_it_is(struct mime_tree *tree, struct spool_area *area, guint64 end, gboolean needs_opaque,
	 GError **error)
{
	CLEANUP(spool) struct spool *entity = spool_new(area);
	g_autoptr(GString) block = g_string_new(NULL);
	const char *charset = (tree->root->traits & TRAIT_8BIT) != 0 ? "unknown-8bit" : NULL;
	struct canonical *canonical;

	if (!part_header_write(tree->root, NULL, charset, FALSE, block))
		return fail(error, PS_ERROR_BUG, "header cannot be written");
	g_string_append(block, "\r\n");
	if (!spool_append(entity, block->str, block->len, error) ||
	    !spool_append_range(entity, tree->spool, tree->root->body_start, end, error))
		return NULL;
	canonical = result(entity, error);
	if (canonical != NULL)
		canonical->needs_opaque = needs_opaque;
	return canonical;
}

static gboolean
header_lines_fit(const struct mime_tree *tree)
{
	g_autoptr(GString) block = g_string_new(NULL);

	return part_header_write(tree->root, NULL, NULL, TRUE, block);
}

struct canonical *
canonical_for_signing(struct mime_tree *tree, struct spool_area *area, GError **error)
{
	const struct part *root = tree->root;
	gboolean cut = root->kind == PART_MULTIPART && root->closed && !is_signed(root);
	guint64 end = cut ? root->epilogue_start : root->end;
	CLEANUP(spool) struct spool *out = NULL;
	struct walk walk = { .tree = tree, .error = error };
	GError *failure = NULL;
	gboolean good = FALSE;

	if (tree->malformed != NULL)
		return as_it_is(tree, area, root->end, tree->traits != 0 || !header_lines_fit(tree),
				error);
	if (tree->traits == 0 && is_clean(root, FALSE) && header_lines_fit(tree))
		return as_it_is(tree, area, end, FALSE, error);
	walk.out = out = spool_new(area);
	walk.error = &failure;
	if (write_part(&walk, root) && spool_seal(out, &failure) &&
	    is_canonical(out, &good, &failure) && good) {
		struct canonical *canonical = result(out, error);

		if (canonical != NULL)
			canonical->rewritten = TRUE;
		return canonical;
	}
	if (failure != NULL) {
		g_propagate_error(error, failure);
		return NULL;
	}
	return as_it_is(tree, area, root->end, TRUE, error);
}

struct canonical *
canonical_for_encryption(struct mime_tree *tree, struct spool_area *area, GError **error)
{
	return as_it_is(tree, area, tree->root->end, FALSE, error);
}
