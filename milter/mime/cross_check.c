/*
 * cross_check - GMime looks at the same bytes; parts, types and the ranges of leaves must agree.
 *
 * The scanner's limits have been checked before GMime sees anything: it has none of its own.
 */
#include "milter/mime/scan.h"

#include <string.h>

#include "milter/mime/content_type.h"
#include "milter/mime/spool_stream.h"
#include "store/base/error.h"

struct comparison {
	guint64 shift; /* where the body starts in what GMime reads, less where it starts in ours */
	char *why;
};

static void
differ(struct comparison *comparison, const struct part *part, const char *what)
{
	if (comparison->why == NULL)
		comparison->why = g_strdup_printf(
		    "two readers see different structures (%s of a %s part)", what, part->type);
}

static void compare(struct comparison *comparison, const struct part *part, GMimeObject *object);

static void
compare_multipart(struct comparison *comparison, const struct part *part, GMimeObject *object)
{
	guint count = part->children != NULL ? part->children->len : 0;
	GMimeMultipart *multipart = GMIME_MULTIPART(object);

	if (g_mime_multipart_get_count(multipart) != (int)count) {
		differ(comparison, part, "number of parts");
		return;
	}
	for (guint i = 0; i < count && comparison->why == NULL; i++)
		compare(comparison, part->children->pdata[i],
			g_mime_multipart_get_part(multipart, (int)i));
}

/* The line end before a delimiter is nobody's, or, at the end of an unfinished message, the
 * part's: a difference of blank lines alone is none. */
static gboolean
ends_agree(gint64 ours, gint64 theirs)
{
	return ours - theirs <= 2 && theirs - ours <= 2;
}

static void
compare_leaf(struct comparison *comparison, const struct part *part, GMimeObject *object)
{
	GMimeDataWrapper *content = g_mime_part_get_content(GMIME_PART(object));
	GMimeStream *stream = content != NULL ? g_mime_data_wrapper_get_stream(content) : NULL;
	gint64 start = (gint64)(part->body_start + comparison->shift);
	gint64 end = (gint64)(part->end + comparison->shift);

	if (stream == NULL) {
		if (end > start)
			differ(comparison, part, "content");
		return;
	}
	if (part->end == part->body_start && stream->bound_start >= stream->bound_end)
		return;
	if (stream->bound_start != start || !ends_agree(end, stream->bound_end))
		differ(comparison, part, "range");
}

static void
compare(struct comparison *comparison, const struct part *part, GMimeObject *object)
{
	GMimeContentType *type = object != NULL ? g_mime_object_get_content_type(object) : NULL;
	g_autofree char *name = type != NULL ? g_mime_content_type_get_mime_type(type) : NULL;

	if (name == NULL) {
		differ(comparison, part, "content");
		return;
	}
	if (!part->broken_type && g_ascii_strcasecmp(name, part->type) != 0) {
		differ(comparison, part, "type");
		return;
	}
	switch (part->kind) {
	case PART_MULTIPART:
		if (GMIME_IS_MULTIPART(object))
			compare_multipart(comparison, part, object);
		else
			differ(comparison, part, "kind");
		break;
	case PART_MESSAGE:
		if (GMIME_IS_MESSAGE_PART(object)) {
			GMimeMessage *message =
			    g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));

			compare(comparison, part->children->pdata[0],
				message != NULL ? message->mime_part : NULL);
		} else {
			differ(comparison, part, "kind");
		}
		break;
	case PART_LEAF:
		if (GMIME_IS_PART(object))
			compare_leaf(comparison, part, object);
		else if (GMIME_IS_MULTIPART(object) || !part_is(part, "message/*"))
			differ(comparison, part, "kind");
		break;
	}
}

/* What GMime reads: the first of each content field, then the body. */
static struct spool *
with_header(const struct mime_tree *tree, guint64 *shift, GError **error)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(G_MAXUINT64 / 2);
	CLEANUP(spool) struct spool *spool = spool_new(area);
	const struct part *root = tree->root;

	if (!spool_append_text(spool, "MIME-Version: 1.0\r\n", error))
		return NULL;
	for (guint i = 0; i < headers_count(root->headers); i++) {
		const struct header *field = headers_at(root->headers, i);

		if (header_has_prefix(field, "Content-") && field->occurrence == 1 &&
		    !header_write(field, spool_sink(spool), error))
			return NULL;
	}
	if (!spool_append_text(spool, "\r\n", error))
		return NULL;
	*shift = spool_size(spool) - root->body_start;
	if (!spool_append_range(spool, tree->spool, root->body_start, root->end, error) ||
	    !spool_seal(spool, error))
		return NULL;
	return g_steal_pointer(&spool);
}

gboolean
scan_cross_check(struct mime_tree *tree, GError **error)
{
	struct comparison comparison = { 0 };
	CLEANUP(spool) struct spool *spool = NULL;
	GMimeStream *stream;
	GMimeParser *parser;
	GMimeMessage *message;

	if (tree->malformed != NULL || (tree->root->kind == PART_LEAF && !tree->root->broken_type))
		return TRUE; /* nothing to disagree about */
	spool = with_header(tree, &comparison.shift, error);
	if (spool == NULL)
		return FALSE;
	gmime_once();
	stream = spool_stream_new(spool);
	parser = g_mime_parser_new_with_stream(stream);
	g_mime_parser_set_persist_stream(parser, TRUE);
	message = g_mime_parser_construct_message(parser, NULL);
	compare(&comparison, tree->root, message != NULL ? message->mime_part : NULL);
	if (message != NULL)
		g_object_unref(message);
	g_object_unref(parser);
	g_object_unref(stream);
	tree->malformed = comparison.why;
	return TRUE;
}
