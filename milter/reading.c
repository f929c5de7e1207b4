/*
 * reading - one step a layer; what a step opens is read again from the top.
 */
#include "milter/reading_walk.h"

#include <string.h>
#include <time.h>

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

/* Inside of what was decrypted it is the one failure, outside it is malformed. */
static gboolean
take_inner_error(struct reading_walk *walk, GError *error)
{
	g_autofree char *finding = NULL;

	if (!walk_take_error(walk, &finding, error))
		return FALSE;
	walk_limit(walk, finding);
	return TRUE;
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
	walk_limit(walk, "takes too long to read (limit of CPU time)");
	return TRUE;
}

/* --- steps --- */

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
		.data = walk,
	};
}

static gboolean read_entity(struct reading_walk *walk, struct entity *entity);

/* What lies under a layer is an entity: header and body. */
static struct entity *
inner_entity(struct spool *spool, GError **error)
{
	CLEANUP(headers) struct headers *headers = NULL;
	guint64 body = 0;

	if (!spool_seal(spool, error))
		return NULL;
	headers = headers_parse(spool, 0, spool_size(spool), &body, error);
	return headers != NULL ? entity_new(headers, spool, 0, body, spool_size(spool)) : NULL;
}

static void
set_entity(struct entity **to, const struct entity *entity)
{
	entity_free(*to);
	*to = entity != NULL ? entity_copy(entity) : NULL;
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
		set_entity(&walk->unvouched, NULL);
	walk->took_off = TRUE;
	set_entity(&walk->uncovered, content);
	return read_entity(walk, content);
}

static gboolean
read_clear_signed(struct reading_walk *walk, const struct mime_tree *tree,
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

static struct spool *
content_spool(const struct reading_walk *walk)
{
	return walk->options->area != NULL ? spool_new(walk->options->area) : NULL;
}

static gboolean
read_opaque(struct reading_walk *walk, const struct mime_tree *tree, enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *bytes = content_spool(walk);
	struct cms_verify_options options = walk_verify_options(walk);
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;
	CLEANUP(entity) struct entity *content = NULL;
	struct reading_layer *layer = walk_add_layer(walk, LAYER_SIGNED, "signed-data");
	GError *error = NULL;

	layer->opaque = TRUE;
	report = cms_verify(leaf_source(leaf), bytes != NULL ? spool_sink(bytes) : NULL, &options,
			    &error);
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
	if (bytes != NULL && (content = inner_entity(bytes, &error)) == NULL)
		return take_inner_error(walk, error);
	return read_signed_content(walk, report, content);
}

static char *
recipient_text(const struct cms_recipient_info *info)
{
	g_autofree char *who = cms_signer_id_text(&info->id);

	if (info->id.serial_hex == NULL && info->id.key_id == NULL)
		return g_strdup_printf("%s %s", info->algorithm,
				       cms_recipient_kind_name(info->kind));
	/* What is named is the issuer, which reads like the recipient if it is not said. */
	return g_strdup_printf(info->id.serial_hex != NULL ? "%s for the certificate of issuer %s"
							   : "%s for %s",
			       info->algorithm, who);
}

/* Known before this object was decrypted. Under one that was, it says nothing of that one. */
static gboolean
stay_closed(struct reading_walk *walk, enum reading_closed closed, const char *why)
{
	if (!walk->used_key)
		walk->reading->closed = closed;
	walk_note(&walk->undecryptable, why);
	return TRUE;
}

/* NULL: there are none (closed), or they could not be asked for. */
static GArray *
keys_for(struct reading_walk *walk, const struct cms_info *info)
{
	GArray *keys = NULL;
	GError *error = NULL;

	if (walk->options->keys != NULL && walk->options->area != NULL)
		keys = walk->options->keys(walk->options->data, info, &error);
	if (keys != NULL && keys->len > 0)
		return keys;
	g_clear_pointer(&keys, g_array_unref);
	if (error == NULL || g_error_matches(error, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		stay_closed(walk, READING_NO_KEY,
			    error != NULL ? error->message : "no key is given that could open it");
	} else {
		walk->reading->unknown = TRUE;
		walk_note(&walk->reading->detail, error->message);
		stay_closed(walk, READING_NO_KEY, "the keys could not be asked for");
	}
	g_clear_error(&error);
	return NULL;
}

static void
mark_first_use(struct reading_walk *walk)
{
	const struct reading *reading = walk->reading;

	if (walk->used_key)
		return;
	walk->used_key = TRUE;
	walk->mark = (struct walk_mark){
		.layers = reading->layers->len,
		.signers = reading->signers->len,
		.parts = reading->parts->len,
		.certs = reading->certs->len,
		.is_signed = reading->is_signed,
		.malformed = walk->malformed != NULL,
		.partial = walk->partial != NULL,
		.signed_content = reading->signed_content != NULL,
		.author_differs = walk->author_differs,
	};
}

static gboolean
read_decrypted(struct reading_walk *walk, struct spool *bytes,
	       const struct cms_decrypt_report *report)
{
	GError *error = NULL;
	CLEANUP(entity) struct entity *content = inner_entity(bytes, &error);

	if (content == NULL)
		return take_inner_error(walk, error);
	set_entity(&walk->reading->opened, content);
	/* A signature around the cipher text says nothing about who can have changed it. */
	if (!report->authenticated && walk->unvouched == NULL)
		set_entity(&walk->unvouched, content);
	walk->took_off = FALSE;
	set_entity(&walk->uncovered, NULL);
	return read_entity(walk, content);
}

static gboolean
read_encrypted(struct reading_walk *walk, const struct mime_tree *tree, const struct cms_info *info,
	       enum leaf_decoding decoding)
{
	struct reading_layer *layer = walk_add_layer(
	    walk, LAYER_ENCRYPTED,
	    info->type == CMS_TYPE_AUTH_ENVELOPED ? "authEnveloped-data" : "enveloped-data");
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *bytes = content_spool(walk);
	CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;
	const struct cms_decrypt_options options = { .legacy_ciphers = walk->options->legacy };
	g_autoptr(GArray) keys = NULL;
	GError *error = NULL;

	walk->reading->is_encrypted = TRUE;
	layer->algorithm = g_strdup(info->cipher);
	for (guint i = 0; i < info->recipients->len; i++)
		g_ptr_array_add(layer->recipients, recipient_text(info->recipients->pdata[i]));
	keys = keys_for(walk, info);
	if (keys == NULL)
		return TRUE;
	report = cms_decrypt(leaf_source(leaf), (const struct cms_decrypt_key *)(void *)keys->data,
			     keys->len, &options, spool_sink(bytes), &error);
	if (report == NULL) {
		g_autofree char *why = NULL;

		return walk_take_error(walk, &why, error) &&
		       stay_closed(walk, READING_UNSUPPORTED, why);
	}
	if (report->outcome == CMS_NO_KEY || report->outcome == CMS_UNSUPPORTED)
		return stay_closed(
		    walk, report->outcome == CMS_NO_KEY ? READING_NO_KEY : READING_UNSUPPORTED,
		    report->reason);
	mark_first_use(walk);
	if (report->outcome != CMS_DECRYPTED)
		return walk_fail(walk, report->reason);
	layer->opened = TRUE;
	layer->authenticated = report->authenticated;
	return read_decrypted(walk, bytes, report);
}

static gboolean
read_compressed(struct reading_walk *walk, const struct mime_tree *tree,
		enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *bytes = content_spool(walk);
	CLEANUP(entity) struct entity *content = NULL;
	GError *error = NULL;

	walk_add_layer(walk, LAYER_COMPRESSED, "compressed-data");
	if (bytes == NULL)
		return TRUE;
	if (!cms_inflate(leaf_source(leaf), spool_sink(bytes), NULL, NULL, &error) ||
	    (content = inner_entity(bytes, &error)) == NULL)
		return take_inner_error(walk, error);
	/* Directly in an encryption it is all that there is to show. */
	if (walk->reading->opened != NULL && !walk->took_off)
		set_entity(&walk->reading->opened, content);
	if (walk->took_off)
		set_entity(&walk->uncovered, content);
	return read_entity(walk, content);
}

/* CMS types that mail does not use: named, not opened. */
static gboolean
read_other(struct reading_walk *walk, const struct cms_info *info)
{
	enum layer_type type = LAYER_OTHER;

	if (info->type == CMS_TYPE_ENCRYPTED || info->type == CMS_TYPE_ENVELOPED ||
	    info->type == CMS_TYPE_AUTH_ENVELOPED) {
		type = LAYER_ENCRYPTED;
		walk->reading->is_encrypted = TRUE;
		stay_closed(walk, READING_UNSUPPORTED, "no recipient is named");
	}
	walk_add_layer(walk, type, cms_type_name(info->type))->algorithm = g_strdup(info->cipher);
	return TRUE;
}

/* --- the walk --- */

static gboolean
read_unprotected(struct reading_walk *walk, struct mime_tree *tree, const struct cms_info *info)
{
	if (info == NULL)
		walk_protected_fields(walk, tree);
	if (info != NULL)
		return read_other(walk, info);
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

	if (protection != PROTECTION_SIGNED && protection != PROTECTION_OPAQUE)
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
		return read_clear_signed(walk, tree, decoding);
	case PROTECTION_OPAQUE:
		return read_opaque(walk, tree, decoding);
	case PROTECTION_ENCRYPTED:
		return read_encrypted(walk, tree, info, decoding);
	case PROTECTION_COMPRESSED:
		return read_compressed(walk, tree, decoding);
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
		return take_inner_error(walk, error);
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
	set_entity(&reading->opened, NULL);
	set_entity(&walk->uncovered, NULL);
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
	input.single_author = reading->author != NULL && !walk->author_differs;
	input.author_doubt = walk->author_doubt;
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
	read_entity(&walk, message);
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
