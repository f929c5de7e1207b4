/*
 * reading_signed - the steps that take a signature off.
 */
#include "milter/reading_walk.h"

#include <string.h>

#include "store/base/error.h"

static struct cert *
find_signer(gpointer data, const struct cms_signer_id *id)
{
	struct reading_walk *walk = data;
	GError *error = NULL;
	struct cert *found = walk->options->find(walk->options->data, id, &error);

	if (error != NULL) {
		walk->reading->unknown = TRUE;
		walk_note(&walk->reading->detail, error->message);
		g_error_free(error);
	}
	return found;
}

static struct cert *
parse_cert(gpointer data, GBytes *der, GError **error)
{
	const struct reading_walk *walk = data;

	return walk->options->parse(walk->options->data, der, error);
}

struct cms_verify_options
walk_verify_options(struct reading_walk *walk)
{
	return (struct cms_verify_options){
		.find = walk->options->find != NULL ? find_signer : NULL,
		.parse = walk->options->parse != NULL ? parse_cert : NULL,
		.certs = walk->options->certs,
		.data = walk,
	};
}

/* The outermost signature's content is what the verdict speaks of. */
static gboolean
set_signed_content(struct reading_walk *walk, const struct entity *entity)
{
	if (walk->reading->signed_content != NULL || walk->options->area == NULL)
		return TRUE;
	walk->reading->signed_content = entity_bytes(entity, walk->options->area, &walk->error);
	return walk->reading->signed_content != NULL;
}

static void
set_digest(struct reading_layer *layer, const struct cms_verify_report *report)
{
	if (report->signers->len > 0) {
		const struct cms_signer_report *first = report->signers->pdata[0];

		layer->algorithm = g_strdup(first->digest);
	}
}

/* RFC 8551 section 2.4.2: what is signed as another type of content was not signed as mail. */
static void
check_content_type(struct reading_walk *walk, const struct cms_verify_report *report)
{
	if (strcmp(report->content_type, "1.2.840.113549.1.7.1") != 0)
		walk_note(&walk->malformed,
			  "what was signed is not mail, but another type of object");
}

/* A signed layer that covers all that is shown, with its content. */
static gboolean
read_signed_content(struct reading_walk *walk, const struct cms_verify_report *report,
		    struct entity *content)
{
	gboolean good = FALSE;

	if (content != NULL && !set_signed_content(walk, content))
		return FALSE;
	walk_add_signers(walk, report, TRUE, &good);
	for (guint i = 0; i < report->certs->len; i++)
		g_ptr_array_add(walk->reading->certs, g_bytes_ref(report->certs->pdata[i]));
	walk->covered = TRUE;
	if (content == NULL)
		return TRUE;
	if (good)
		walk_set_entity(&walk->unvouched, NULL);
	walk->took_off = TRUE;
	walk_set_entity(&walk->uncovered, content);
	return walk_entity(walk, content);
}

gboolean
walk_clear_signed(struct reading_walk *walk, const struct mime_tree *tree,
		  enum leaf_decoding decoding)
{
	const struct part *part = tree->root->children->pdata[0];
	const struct part *signature = tree->root->children->pdata[1];
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;
	CLEANUP(entity) struct entity *content = NULL;
	struct reading_layer *layer = walk_add_layer(walk, LAYER_SIGNED, "signed-data");

	report = walk_verify_part(walk, tree, part, signature, decoding);
	if (report == NULL)
		return walk->error == NULL;
	walk->reading->is_signed = TRUE;
	set_digest(layer, report);
	check_content_type(walk, report);
	content = entity_new(part->headers, tree->spool, part->start, part->body_start, part->end);
	return read_signed_content(walk, report, content);
}

gboolean
walk_opaque(struct reading_walk *walk, const struct mime_tree *tree, enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *bytes = walk_spool(walk);
	struct cms_verify_options options = walk_verify_options(walk);
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;
	CLEANUP(entity) struct entity *content = NULL;
	struct reading_layer *layer = walk_add_layer(walk, LAYER_SIGNED, "signed-data");
	struct walk_source in;
	GError *error = NULL;

	layer->opaque = TRUE;
	report = cms_verify(walk_source_init(&in, walk, leaf_source(leaf)),
			    bytes != NULL ? spool_sink(bytes) : NULL, &options, &error);
	if (report == NULL)
		return walk_take_error(walk, &walk->malformed, error);
	walk->reading->is_signed = TRUE;
	set_digest(layer, report);
	check_content_type(walk, report);
	if (report->detached) {
		walk_note(&walk->malformed, "a signature without the content that it signs");
		walk_add_signers(walk, report, TRUE, NULL);
		return TRUE;
	}
	if (bytes != NULL && (content = walk_inner(bytes, &error)) == NULL)
		return walk_inner_error(walk, error);
	return read_signed_content(walk, report, content);
}
