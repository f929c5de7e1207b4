/*
 * reading_parts - rows of a structure, and signed parts inside of a message that is not signed.
 */
#include "milter/reading_walk.h"

#include "milter/mime/content_type.h"
#include "milter/mime/detect.h"
#include "pki/crypto/cms_inspect.h"
#include "store/base/printable.h"

static char *
file_name(const struct part *part)
{
	const char *value = headers_value(part->headers, "Content-Disposition");
	CLEANUP(content_type) struct content_type *disposition = NULL;
	const char *name = NULL;

	if (value != NULL)
		disposition = content_disposition_parse(value);
	if (disposition != NULL)
		name = content_type_parameter(disposition, "filename");
	if (name == NULL)
		name = part_parameter(part, "name");
	return name != NULL ? printable(name) : NULL;
}

void
walk_add_parts(struct reading_walk *walk, const struct part *part, guint depth)
{
	struct reading_part *row = g_new0(struct reading_part, 1);

	row->depth = depth;
	row->type = printable(part->type);
	row->encoding = printable(part->encoding);
	row->name = file_name(part);
	row->size = part->end - part->body_start;
	g_ptr_array_add(walk->reading->parts, row);
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		walk_add_parts(walk, part->children->pdata[i], depth + 1);
}

struct cms_verify_report *
walk_verify_part(struct reading_walk *walk, const struct mime_tree *tree,
		 const struct part *content, const struct part *signature,
		 enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, signature, decoding);
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(tree->spool, content->start, content->end);
	struct cms_verify_options options = walk_verify_options(walk);
	struct walk_source in;
	GError *error = NULL;
	struct cms_verify_report *report = cms_verify_detached(
	    leaf_source(leaf), walk_source_init(&in, walk, spool_reader_source(reader)), &options,
	    &error);

	if (report == NULL)
		walk_take_error(walk, &walk->malformed, error);
	return report;
}

static gboolean
verify_opaque_part(struct reading_walk *walk, const struct mime_tree *tree, const struct part *part,
		   enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, part, decoding);
	struct cms_verify_options options = walk_verify_options(walk);
	struct walk_source in;
	GError *error = NULL;
	CLEANUP(cms_verify_report)
	struct cms_verify_report *report =
	    cms_verify(walk_source_init(&in, walk, leaf_source(leaf)), NULL, &options, &error);

	if (report == NULL)
		return walk_take_error(walk, &walk->malformed, error);
	walk_add_signers(walk, report, FALSE, NULL);
	return TRUE;
}

static gboolean
look_at_part(struct reading_walk *walk, const struct mime_tree *tree, const struct part *part)
{
	gboolean clear = part->kind == PART_MULTIPART && part_is(part, "multipart/signed") &&
			 part->children != NULL && part->children->len == 2;
	const struct part *object = clear ? part->children->pdata[1] : part;
	CLEANUP(cms_info) struct cms_info *info = NULL;
	enum leaf_decoding decoding;
	GError *error = NULL;

	if (object->kind != PART_LEAF || (!clear && !part_may_be_cms(part)))
		return TRUE;
	if (!part_inspect_cms(tree, object, FALSE, &decoding, &info, &error))
		return walk_take_error(walk, &walk->malformed, error);
	if (info == NULL || info->type != CMS_TYPE_SIGNED)
		return TRUE;
	walk_note(&walk->partial, "only a part of the message is signed");
	walk->reading->is_signed = TRUE;
	walk_add_layer(walk, LAYER_SIGNED, "signed-data")->opaque = !clear;
	if (clear) {
		CLEANUP(cms_verify_report)
		struct cms_verify_report *report =
		    walk_verify_part(walk, tree, part->children->pdata[0], object, decoding);

		if (report != NULL)
			walk_add_signers(walk, report, FALSE, NULL);
		return walk->error == NULL;
	}
	return verify_opaque_part(walk, tree, part, decoding);
}

/* Attached messages are somebody else's letters: not looked into. */
static gboolean
look_for_parts(struct reading_walk *walk, const struct mime_tree *tree, const struct part *part,
	       guint *left)
{
	for (guint i = 0; part->children != NULL && i < part->children->len; i++) {
		const struct part *child = part->children->pdata[i];

		if (*left == 0)
			return TRUE;
		if (child->kind != PART_MULTIPART)
			(*left)--;
		if (!look_at_part(walk, tree, child))
			return FALSE;
		if (child->kind == PART_MULTIPART && !part_is(child, "multipart/signed") &&
		    !look_for_parts(walk, tree, child, left))
			return FALSE;
	}
	return TRUE;
}

gboolean
walk_signed_parts(struct reading_walk *walk, const struct mime_tree *tree)
{
	guint left = READING_PARTS_MAX;

	return look_for_parts(walk, tree, tree->root, &left);
}
