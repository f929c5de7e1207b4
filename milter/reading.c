/*
 * reading - one step a layer; what a step opens is read again from the top.
 */
#include "milter/reading_walk.h"

#include <string.h>
#include <time.h>

#include "milter/message/line_ends.h"
#include "milter/mime/author.h"
#include "milter/mime/detect.h"
#include "milter/mime/frame.h"
#include "milter/mime/gadget.h"
#include "milter/mime/protected.h"
#include "milter/mime/shown.h"
#include "pki/crypto/cms_inspect.h"
#include "store/base/error.h"

#define MS_PER_SECOND 1000
#define NS_PER_MS 1000000
#define CPU_EVERY_BYTES (256 * 1024)

static const char cpu_reason[] = "takes too long to read (limit of CPU time)";
static const char closed_reason[] = "the message cannot be decrypted";

/* --- findings --- */

void
walk_note(char **finding, const char *text)
{
	if (*finding == NULL)
		*finding = g_strdup(text);
}

gboolean
walk_fail(struct reading_walk *walk, const char *detail)
{
	walk->reading->closed = READING_FAILED;
	walk_note(&walk->reading->detail, detail);
	return TRUE;
}

void
walk_limit(struct reading_walk *walk, const char *text)
{
	if (walk->used_key) {
		walk_fail(walk, text);
		return;
	}
	walk_note(&walk->malformed, text);
	walk->reading->limit_exceeded = TRUE;
}

gboolean
walk_take_error(struct reading_walk *walk, char **finding, GError *error)
{
	if (g_error_matches(error, PS_ERROR, PS_ERROR_INVALID)) {
		walk_note(finding, error->message);
		g_error_free(error);
		return TRUE;
	}
	if (walk->error == NULL)
		walk->error = error;
	else
		g_error_free(error);
	return FALSE;
}

static gint64
system_cpu_ms(void)
{
	struct timespec used;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) != 0)
		return 0;
	return (gint64)used.tv_sec * MS_PER_SECOND + used.tv_nsec / NS_PER_MS;
}

static gint64
cpu_ms(const struct reading_walk *walk)
{
	return walk->options->cpu_ms != NULL ? walk->options->cpu_ms(walk->options->data)
					     : system_cpu_ms();
}

gboolean
walk_out_of_time(struct reading_walk *walk)
{
	if (cpu_ms(walk) <= walk->cpu_end)
		return FALSE;
	walk_limit(walk, cpu_reason);
	return TRUE;
}

/* Inside of what was decrypted it is the one failure, outside it is malformed. */
gboolean
walk_inner_error(struct reading_walk *walk, GError *error)
{
	g_autofree char *finding = NULL;

	if (!walk_take_error(walk, &finding, error))
		return FALSE;
	walk_limit(walk, finding);
	return TRUE;
}

static gboolean
walk_source_next(struct source *self, const guint8 **bytes, gsize *length, GError **error)
{
	struct walk_source *source = (struct walk_source *)self;

	if (source->rest_length == 0 &&
	    !source_next(source->in, &source->rest, &source->rest_length, error))
		return FALSE;
	*bytes = source->rest;
	*length = MIN(source->rest_length, CPU_EVERY_BYTES);
	source->rest += *length;
	source->rest_length -= *length;
	source->since += *length;
	if (source->since < CPU_EVERY_BYTES)
		return TRUE;
	source->since = 0;
	if (cpu_ms(source->walk) > source->walk->cpu_end)
		return fail_false(error, PS_ERROR_INVALID, "%s", cpu_reason);
	return TRUE;
}

struct source *
walk_source_init(struct walk_source *source, struct reading_walk *walk, struct source *in)
{
	*source = (struct walk_source){ { walk_source_next }, in, walk, NULL, 0, 0 };
	return &source->source;
}

/* --- what lies under a layer --- */

struct spool *
walk_spool(const struct reading_walk *walk)
{
	return walk->options->area != NULL ? spool_new(walk->options->area) : NULL;
}

/* What lies under a layer is an entity: header and body. */
struct entity *
walk_inner(struct spool *spool, GError **error)
{
	CLEANUP(headers) struct headers *headers = NULL;
	guint64 body = 0;

	if (!spool_seal(spool, error))
		return NULL;
	headers = headers_parse(spool, 0, spool_size(spool), &body, error);
	return headers != NULL ? entity_new(headers, spool, 0, body, spool_size(spool)) : NULL;
}

void
walk_set_entity(struct entity **to, const struct entity *entity)
{
	entity_free(*to);
	*to = entity != NULL ? entity_copy(entity) : NULL;
}

struct reading_layer *
walk_add_layer(struct reading_walk *walk, enum layer_type type, const char *content_type)
{
	struct reading_layer *layer = g_new0(struct reading_layer, 1);

	layer->type = type;
	layer->content_type = g_strdup(content_type);
	layer->recipients = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(walk->reading->layers, layer);
	return layer;
}

static gboolean
read_unprotected(struct reading_walk *walk, struct mime_tree *tree, const struct cms_info *info)
{
	if (info == NULL)
		walk_protected_fields(walk, tree);
	if (info != NULL)
		return walk_other(walk, info);
	if (part_is(tree->root, "application/pkcs7-mime") ||
	    part_is(tree->root, "application/x-pkcs7-mime"))
		walk_note(&walk->malformed,
			  "its type announces S/MIME, but the content is none, or damaged");
	if (walk->covered || tree->malformed != NULL)
		return TRUE;
	return walk_signed_parts(walk, tree);
}

/* What was signed is read below; here is what stands around it. */
static gboolean
look_at_frame(struct reading_walk *walk, const struct mime_tree *tree, enum protection protection)
{
	struct frame frame = { NULL, NULL };

	if (protection == PROTECTION_COMPRESSED
		? walk->covered
		: protection != PROTECTION_SIGNED && protection != PROTECTION_OPAQUE)
		return TRUE;
	if (!frame_check(tree, protection, &frame, &walk->error))
		return FALSE;
	if (frame.malformed != NULL)
		walk_note(&walk->malformed, frame.malformed);
	if (frame.partial != NULL)
		walk_note(&walk->partial, frame.partial);
	return TRUE;
}

static gboolean
read_protected(struct reading_walk *walk, struct mime_tree *tree, const struct detection *detection)
{
	const struct part *object = tree->root;
	CLEANUP(cms_info) struct cms_info *info = NULL;
	enum leaf_decoding decoding = LEAF_AS_DECLARED;
	GError *error = NULL;

	if (detection->protection == PROTECTION_SIGNED)
		object = tree->root->children->pdata[1];
	if ((object != tree->root || part_may_be_cms(object)) &&
	    !part_inspect_cms(tree, object, FALSE, &decoding, &info, &error))
		return walk_take_error(walk, &walk->malformed, error);
	if (!look_at_frame(walk, tree, detection->protection))
		return FALSE;
	switch (detection->protection) {
	case PROTECTION_SIGNED:
		return walk_clear_signed(walk, tree, decoding);
	case PROTECTION_OPAQUE:
		return walk_opaque(walk, tree, decoding);
	case PROTECTION_ENCRYPTED:
		return walk_encrypted(walk, tree, info, decoding);
	case PROTECTION_COMPRESSED:
		return walk_compressed(walk, tree, decoding);
	case PROTECTION_CERTS_ONLY:
		walk_add_layer(walk, LAYER_CERTS_ONLY, "certs-only");
		return TRUE;
	case PROTECTION_NONE:
	case PROTECTION_PGP_SIGNED:
	case PROTECTION_PGP_ENCRYPTED:
		break;
	}
	return read_unprotected(walk, tree, info);
}

/* Labels that promise protection: then a structure that cannot be told is a finding. */
static gboolean
claims_protection(const struct mime_tree *tree, const struct detection *detection)
{
	return detection->protection != PROTECTION_NONE || detection->has_signed_part ||
	       part_is(tree->root, "multipart/signed") || part_may_be_cms(tree->root);
}

static gboolean
read_entity(struct reading_walk *walk, struct entity *entity)
{
	GError *error = NULL;
	CLEANUP(mime_tree) struct mime_tree *tree = NULL;
	CLEANUP(detection) struct detection *detection = NULL;

	if (++walk->depth > READING_LAYERS_MAX + 1) {
		walk_limit(walk, "more than 6 layers (limit of CMS layers)");
		return TRUE;
	}
	if (walk_out_of_time(walk))
		return TRUE;
	tree =
	    scan_message(entity->headers, entity->spool, entity->body_start, entity->end, &error);
	if (tree == NULL || !scan_cross_check(tree, &error) ||
	    (detection = detect_message(tree, &error)) == NULL)
		return walk_inner_error(walk, error);
	walk_add_parts(walk, tree->root, walk->depth - 1);
	if (tree->malformed != NULL && tree->limit_exceeded)
		walk_limit(walk, tree->malformed);
	else if (tree->malformed != NULL && (walk->depth > 1 || claims_protection(tree, detection)))
		walk_note(&walk->malformed, tree->malformed);
	if (detection->differing_types) /* which one a mail program goes by cannot be told */
		walk_note(&walk->malformed, "several Content-Type fields that differ");
	if (walk->depth > 1)
		walk_compare_author(walk, tree->root);
	return walk->reading->closed == READING_FAILED || read_protected(walk, tree, detection);
}

/* Text whose every line ends in LF. A CR or a null byte says that it is something else, or that
 * somebody meant the difference. */
static gboolean
is_lf_text(const struct entity *entity, gboolean *is, GError **error)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(entity->spool, entity->start, entity->end);
	gboolean lines = FALSE;
	const guint8 *bytes;
	gssize length;

	*is = FALSE;
	while ((length = spool_reader_next(reader, &bytes, error)) > 0) {
		if (memchr(bytes, '\r', (gsize)length) != NULL ||
		    memchr(bytes, '\0', (gsize)length) != NULL)
			return TRUE;
		lines |= memchr(bytes, '\n', (gsize)length) != NULL;
	}
	*is = lines;
	return length == 0;
}

/* Programs for files seal text as it lies on their disk. A signature in it was made over CRLF, and
 * CRLF is what a reader gets. NULL: it is mail already. */
static struct entity *
with_mail_ends(struct reading_walk *walk, const struct entity *entity, GError **error)
{
	CLEANUP(spool) struct spool *bytes = walk_spool(walk);
	struct line_ends ends;
	gboolean is = FALSE;

	if (bytes == NULL || !is_lf_text(entity, &is, error) || !is)
		return NULL;
	line_ends_init(&ends, spool_sink(bytes));
	if (!spool_write_range(entity->spool, entity->start, entity->end, &ends.sink, error))
		return NULL;
	return walk_inner(bytes, error);
}

gboolean
walk_entity(struct reading_walk *walk, struct entity *entity)
{
	CLEANUP(entity) struct entity *mail = NULL;
	GError *error = NULL;

	if (walk->depth > 0) /* the message itself came as mail */
		mail = with_mail_ends(walk, entity, &error);
	if (error != NULL)
		return walk_inner_error(walk, error);
	return read_entity(walk, mail != NULL ? mail : entity);
}

/* --- the end --- */

/* Nothing of what was found inside stays. */
static void
forget_inside(struct reading_walk *walk)
{
	struct reading *reading = walk->reading;
	const struct walk_mark *mark = &walk->mark;

	g_ptr_array_set_size(reading->layers, (gint)mark->layers);
	g_ptr_array_set_size(reading->signers, (gint)mark->signers);
	g_ptr_array_set_size(reading->parts, (gint)mark->parts);
	g_ptr_array_set_size(reading->certs, (gint)mark->certs);
	for (guint i = 0; i < reading->layers->len; i++) {
		struct reading_layer *layer = reading->layers->pdata[i];

		layer->opened = layer->authenticated = FALSE;
	}
	reading->is_signed = mark->is_signed;
	walk->author_differs = mark->author_differs;
	if (!mark->malformed)
		g_clear_pointer(&walk->malformed, g_free);
	if (!mark->partial)
		g_clear_pointer(&walk->partial, g_free);
	if (!mark->signed_content)
		g_clear_pointer(&reading->signed_content, spool_unref);
	g_clear_pointer(&reading->protected_fields, protected_unref);
	walk_set_entity(&reading->opened, NULL);
	walk_set_entity(&walk->uncovered, NULL);
	g_free(walk->undecryptable);
	walk->undecryptable = g_strdup(closed_reason);
}

/* May what was opened be shown? */
static gboolean
check_release(struct reading_walk *walk, GError **error)
{
	const char *wrong;
	GError *why = NULL;

	if (walk->reading->closed != READING_OPEN || walk->unvouched == NULL)
		return TRUE;
	if (walk->options->no_mail) {
		walk->reading->unauthenticated = TRUE;
		return TRUE;
	}
	wrong = gadget_find(walk->unvouched, &why);
	if (why != NULL && !g_error_matches(why, PS_ERROR, PS_ERROR_INVALID)) {
		g_propagate_error(error, why);
		return FALSE;
	}
	walk->reading->unauthenticated = wrong == NULL && why == NULL;
	if (!walk->reading->unauthenticated)
		walk_fail(walk, wrong != NULL ? wrong : why->message);
	g_clear_error(&why);
	return TRUE;
}

/* Signers of parts alone may say that something is wrong, never that all is right. */
static void
conclude(struct reading_walk *walk)
{
	struct reading *reading = walk->reading;
	g_autoptr(GArray) findings = g_array_new(FALSE, TRUE, sizeof(struct signer_finding));
	gboolean covering = FALSE;
	const char *reason = NULL;
	struct verdict_input input = { 0 };

	for (guint i = 0; i < reading->signers->len; i++) {
		const struct reading_signer *signer = reading->signers->pdata[i];
		struct signer_finding finding = { signer->signature, signer->trust,
						  signer->from_matches && signer->covers,
						  signer->reason, signer->signing_time };

		covering |= signer->covers;
		g_array_append_val(findings, finding);
	}
	input.malformed =
	    walk->malformed == NULL && covering ? walk->header_doubt : walk->malformed;
	input.undecryptable = walk->undecryptable;
	input.partial = walk->partial;
	input.is_signed = covering || findings->len > 0;
	input.single_author = reading->author != NULL;
	input.author_doubt = walk->author_differs && reading->author != NULL
				 ? "From inside the signature is not the From outside"
				 : walk->author_doubt;
	input.date = walk->date;
	input.date_doubt = walk->date_doubt;
	input.signers = (const struct signer_finding *)(void *)findings->data;
	input.signer_count = findings->len;
	reading->verdict = verdict_decide(&input, &reason);
	reading->reason = g_strdup(reason);
}

static gboolean
finish(struct reading_walk *walk, GError **error)
{
	struct reading *reading = walk->reading;

	if (!check_release(walk, error))
		return FALSE;
	if (reading->closed == READING_FAILED)
		forget_inside(walk);
	reading->decrypted = reading->opened != NULL;
	if (walk->took_off)
		reading->bare = g_steal_pointer(&walk->uncovered);
	conclude(walk);
	return TRUE;
}

static void
walk_clear(struct reading_walk *walk)
{
	reading_free(walk->reading);
	g_free(walk->malformed);
	g_free(walk->undecryptable);
	g_free(walk->partial);
	entity_free(walk->unvouched);
	entity_free(walk->uncovered);
}

static struct reading *
reading_new(struct headers *headers)
{
	struct reading *reading = g_new0(struct reading, 1);

	reading->layers = reading_layers_new();
	reading->signers = reading_signers_new();
	reading->parts = reading_parts_new();
	reading->certs = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	reading->author = author_find(headers, NULL);
	return reading;
}

struct reading *
reading_message(struct headers *headers, struct spool *body, guint64 start, guint64 end,
		const struct reading_options *options, GError **error)
{
	CLEANUP(entity) struct entity *message = entity_new(headers, body, start, start, end);
	struct reading_walk walk = { .options = options,
				     .reading = reading_new(headers),
				     .headers = headers };
	struct reading *reading = NULL;

	walk.header_doubt = frame_check_header(headers);
	walk.author_doubt = shown_author_doubt(headers, walk.reading->author);
	walk.date = shown_date(headers, &walk.date_doubt);
	walk.cpu_end =
	    cpu_ms(&walk) + (options->cpu_max_ms > 0 ? options->cpu_max_ms : READING_CPU_MAX_MS);
	walk_entity(&walk, message);
	if (walk.error != NULL)
		g_propagate_error(error, walk.error);
	else if (finish(&walk, error))
		reading = g_steal_pointer(&walk.reading);
	walk_clear(&walk);
	return reading;
}

void
reading_free(struct reading *reading)
{
	if (reading == NULL)
		return;
	g_ptr_array_unref(reading->layers);
	g_ptr_array_unref(reading->signers);
	g_ptr_array_unref(reading->parts);
	g_ptr_array_unref(reading->certs);
	g_free(reading->reason);
	g_free(reading->detail);
	mailaddr_unref(reading->author);
	entity_free(reading->opened);
	entity_free(reading->bare);
	protected_unref(reading->protected_fields);
	spool_unref(reading->signed_content);
	g_free(reading);
}
