/*
 * layers - one step a layer; what a step opens is read again from the top.
 *
 * Only a message whose whole content is the CMS object is opened. A signed part inside of an
 * unsigned message is verified and named, but it never speaks for the message.
 */
#include "milter/layers.h"

#include <string.h>

#include "milter/mime/author.h"
#include "milter/mime/content_type.h"
#include "milter/mime/detect.h"
#include "milter/signers.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/cms_decrypt.h"
#include "pki/crypto/cms_inspect.h"
#include "pki/crypto/key.h"
#include "store/base/error.h"
#include "store/base/printable.h"

#define PARTIAL_CANDIDATES_MAX 16

void
layers_note(char **finding, const char *text)
{
	if (*finding == NULL)
		*finding = g_strdup(text);
}

/* INVALID is a finding, anything else an error. */
gboolean
layers_take_error(struct reading *reading, char **finding, GError *error)
{
	if (error->code == PS_ERROR_INVALID) {
		layers_note(finding, error->message);
		g_error_free(error);
		return TRUE;
	}
	if (reading->error == NULL)
		reading->error = error;
	else
		g_error_free(error);
	return FALSE;
}

static struct message_layer *
add_layer(struct reading *reading, enum layer_type type, const char *content_type)
{
	struct message_layer *layer = g_new0(struct message_layer, 1);

	layer->type = type;
	layer->content_type = g_strdup(content_type);
	layer->recipients = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(reading->report->layers, layer);
	return layer;
}

/* --- parts, for show --- */

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

static void
add_parts(struct reading *reading, const struct part *part, guint depth)
{
	struct message_part *row = g_new0(struct message_part, 1);

	row->depth = depth;
	row->type = printable(part->type);
	row->encoding = printable(part->encoding);
	row->name = file_name(part);
	row->size = part->end - part->body_start;
	g_ptr_array_add(reading->report->parts, row);
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		add_parts(reading, part->children->pdata[i], depth + 1);
}

/* --- steps --- */

static struct cms_verify_options
verify_options(const struct reading *reading)
{
	struct cms_verify_options options = { 0 };

	if (reading->options != NULL && reading->options->chain != NULL)
		options.certs = reading->options->chain->untrusted;
	return options;
}

static struct cms_verify_report *
verify_part(struct reading *reading, const struct mime_tree *tree, const struct part *content,
	    const struct part *signature, enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, signature, decoding);
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(tree->spool, content->start, content->end);
	struct cms_verify_options options = verify_options(reading);
	GError *error = NULL;
	struct cms_verify_report *report =
	    cms_verify_detached(leaf_source(leaf), spool_reader_source(reader), &options, &error);

	if (report == NULL)
		layers_take_error(reading, &reading->malformed, error);
	return report;
}

/* The outermost signature's content is what the verdict speaks of. */
static void
set_signed_content(struct reading *reading, struct spool *spool, guint64 start, guint64 end)
{
	CLEANUP(spool) struct spool *range = NULL;

	if (reading->signed_content != NULL)
		return;
	range = spool_new(reading->area);
	if (spool_append_range(range, spool, start, end, NULL) && spool_seal(range, NULL))
		reading->signed_content = g_steal_pointer(&range);
}

static void
set_digest(struct message_layer *layer, const struct cms_verify_report *report)
{
	if (report->signers->len > 0) {
		const struct cms_signer_report *first = report->signers->pdata[0];

		layer->algorithm = g_strdup(first->digest);
	}
}

static gboolean
read_clear_signed(struct reading *reading, const struct mime_tree *tree,
		  enum leaf_decoding decoding)
{
	const struct part *content = tree->root->children->pdata[0];
	const struct part *signature = tree->root->children->pdata[1];
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;
	struct message_layer *layer = add_layer(reading, LAYER_SIGNED, "signed-data");

	report = verify_part(reading, tree, content, signature, decoding);
	if (report == NULL)
		return reading->error == NULL;
	reading->report->is_signed = TRUE;
	set_digest(layer, report);
	set_signed_content(reading, tree->spool, content->start, content->end);
	if (!signers_add(reading, report, TRUE))
		return FALSE;
	reading->covered = TRUE;
	return layers_read(reading, content->headers, tree->spool, content->body_start,
			   content->end);
}

/* What a CMS object held is an entity: header and body. */
static gboolean
read_inner(struct reading *reading, struct spool *spool)
{
	CLEANUP(headers) struct headers *headers = NULL;
	GError *error = NULL;
	guint64 body = 0;

	if (!spool_seal(spool, &error))
		return layers_take_error(reading, &reading->malformed, error);
	headers = headers_parse(spool, 0, spool_size(spool), &body, &error);
	if (headers == NULL)
		return layers_take_error(reading, &reading->malformed, error);
	return layers_read(reading, headers, spool, body, spool_size(spool));
}

static gboolean
read_opaque(struct reading *reading, const struct mime_tree *tree, enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *content = spool_new(reading->area);
	struct cms_verify_options options = verify_options(reading);
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;
	struct message_layer *layer = add_layer(reading, LAYER_SIGNED, "signed-data");
	GError *error = NULL;

	layer->opaque = TRUE;
	report = cms_verify(leaf_source(leaf), spool_sink(content), &options, &error);
	if (report == NULL)
		return layers_take_error(reading, &reading->malformed, error);
	reading->report->is_signed = TRUE;
	set_digest(layer, report);
	if (!signers_add(reading, report, TRUE))
		return FALSE;
	if (report->detached) {
		layers_note(&reading->malformed, "a signature without the content that it signs");
		return TRUE;
	}
	reading->covered = TRUE;
	if (!spool_seal(content, &error))
		return layers_take_error(reading, &reading->malformed, error);
	set_signed_content(reading, content, 0, spool_size(content));
	return read_inner(reading, content);
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

static GArray *
decrypt_keys(const struct reading *reading)
{
	GArray *keys = g_array_new(FALSE, TRUE, sizeof(struct cms_decrypt_key));
	const struct message_options *options = reading->options;

	if (options == NULL || options->keys == NULL || options->certs == NULL)
		return keys;
	for (guint k = 0; k < options->keys->len; k++) {
		for (guint c = 0; c < options->certs->len; c++) {
			struct cms_decrypt_key key = { options->certs->pdata[c],
						       options->keys->pdata[k] };

			if (key_fits(key.key, key.cert))
				g_array_append_val(keys, key);
		}
	}
	return keys;
}

static gboolean
read_encrypted(struct reading *reading, const struct mime_tree *tree, const struct cms_info *info,
	       enum leaf_decoding decoding)
{
	struct message_layer *layer = add_layer(
	    reading, LAYER_ENCRYPTED,
	    info->type == CMS_TYPE_AUTH_ENVELOPED ? "authEnveloped-data" : "enveloped-data");
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *content = spool_new(reading->area);
	CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;
	g_autoptr(GArray) keys = decrypt_keys(reading);
	struct cms_decrypt_options options = { 0 };
	GError *error = NULL;

	reading->report->is_encrypted = TRUE;
	layer->algorithm = g_strdup(info->cipher);
	for (guint i = 0; i < info->recipients->len; i++)
		g_ptr_array_add(layer->recipients, recipient_text(info->recipients->pdata[i]));
	if (keys->len == 0) {
		gboolean bare = reading->options != NULL && reading->options->keys != NULL &&
				reading->options->keys->len > 0;

		layers_note(&reading->undecryptable,
			    bare
				? "no certificate that fits the given key: recipients are named by "
				  "their certificates, so give it with the key"
				: "no key is given that could open it");
		return TRUE;
	}
	if (reading->options->chain != NULL)
		options.legacy_ciphers = reading->options->chain->allow_legacy;
	report = cms_decrypt(leaf_source(leaf), (const struct cms_decrypt_key *)(void *)keys->data,
			     keys->len, &options, spool_sink(content), &error);
	if (report == NULL)
		return layers_take_error(reading, &reading->undecryptable, error);
	if (report->outcome != CMS_DECRYPTED) {
		layers_note(&reading->undecryptable,
			    report->reason != NULL ? report->reason : "cannot be decrypted");
		return TRUE;
	}
	if (!spool_seal(content, &error))
		return layers_take_error(reading, &reading->undecryptable, error);
	spool_unref(reading->decrypted);
	reading->decrypted = spool_ref(content);
	return read_inner(reading, content);
}

static gboolean
read_compressed(struct reading *reading, const struct mime_tree *tree, enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *content = spool_new(reading->area);
	GError *error = NULL;

	add_layer(reading, LAYER_COMPRESSED, "compressed-data");
	if (!cms_inflate(leaf_source(leaf), spool_sink(content), NULL, NULL, &error))
		return layers_take_error(reading, &reading->malformed, error);
	return read_inner(reading, content);
}

/* CMS types that mail does not use: named, not opened. */
static gboolean
read_other(struct reading *reading, const struct cms_info *info)
{
	enum layer_type type = LAYER_OTHER;

	if (info->type == CMS_TYPE_ENCRYPTED || info->type == CMS_TYPE_ENVELOPED ||
	    info->type == CMS_TYPE_AUTH_ENVELOPED) {
		type = LAYER_ENCRYPTED;
		reading->report->is_encrypted = TRUE;
		layers_note(&reading->undecryptable, "no recipient is named");
	}
	add_layer(reading, type, cms_type_name(info->type))->algorithm = g_strdup(info->cipher);
	return TRUE;
}

/* --- signed parts of an unsigned message --- */

static gboolean
verify_opaque_part(struct reading *reading, const struct mime_tree *tree, const struct part *part,
		   enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, part, decoding);
	struct cms_verify_options options = verify_options(reading);
	GError *error = NULL;
	CLEANUP(cms_verify_report)
	struct cms_verify_report *report = cms_verify(leaf_source(leaf), NULL, &options, &error);

	if (report == NULL)
		return layers_take_error(reading, &reading->malformed, error);
	return signers_add(reading, report, FALSE);
}

static gboolean
look_at_part(struct reading *reading, const struct mime_tree *tree, const struct part *part)
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
		return layers_take_error(reading, &reading->malformed, error);
	if (info == NULL || info->type != CMS_TYPE_SIGNED)
		return TRUE;
	layers_note(&reading->partial, "only a part of the message is signed");
	reading->report->is_signed = TRUE;
	add_layer(reading, LAYER_SIGNED, "signed-data")->opaque = !clear;
	if (clear) {
		CLEANUP(cms_verify_report)
		struct cms_verify_report *report =
		    verify_part(reading, tree, part->children->pdata[0], object, decoding);

		return report != NULL ? signers_add(reading, report, FALSE)
				      : reading->error == NULL;
	}
	return verify_opaque_part(reading, tree, part, decoding);
}

/* Attached messages are somebody else's letters: not looked into. */
static gboolean
look_for_parts(struct reading *reading, const struct mime_tree *tree, const struct part *part,
	       guint *left)
{
	for (guint i = 0; part->children != NULL && i < part->children->len; i++) {
		const struct part *child = part->children->pdata[i];

		if (*left == 0)
			return TRUE;
		if (child->kind != PART_MULTIPART)
			(*left)--;
		if (!look_at_part(reading, tree, child))
			return FALSE;
		if (child->kind == PART_MULTIPART && !part_is(child, "multipart/signed") &&
		    !look_for_parts(reading, tree, child, left))
			return FALSE;
	}
	return TRUE;
}

/* --- the protected header (RFC 9788 and what was before it) --- */

static void
compare_author(struct reading *reading, const struct part *root)
{
	CLEANUP(mailaddr) struct mailaddr *inner = NULL;
	gboolean protects =
	    part_parameter(root, "hp") != NULL || part_parameter(root, "protected-headers") != NULL;

	if (!protects || headers_count_of(root->headers, "From") == 0)
		return;
	inner = author_find(root->headers, NULL);
	if (inner == NULL || reading->author == NULL || !mailaddr_equal(inner, reading->author))
		reading->author_differs = TRUE;
}

/* --- the walk --- */

static gboolean
read_plain(struct reading *reading, struct mime_tree *tree)
{
	guint left = PARTIAL_CANDIDATES_MAX;

	if (reading->covered || tree->malformed != NULL)
		return TRUE;
	return look_for_parts(reading, tree, tree->root, &left);
}

static gboolean
read_protected(struct reading *reading, struct mime_tree *tree, const struct detection *detection)
{
	const struct part *object = tree->root;
	CLEANUP(cms_info) struct cms_info *info = NULL;
	enum leaf_decoding decoding = LEAF_AS_DECLARED;
	GError *error = NULL;

	if (detection->protection == PROTECTION_SIGNED)
		object = tree->root->children->pdata[1];
	if ((object != tree->root || part_may_be_cms(object)) &&
	    !part_inspect_cms(tree, object, FALSE, &decoding, &info, &error))
		return layers_take_error(reading, &reading->malformed, error);
	switch (detection->protection) {
	case PROTECTION_SIGNED:
		return read_clear_signed(reading, tree, decoding);
	case PROTECTION_OPAQUE:
		return read_opaque(reading, tree, decoding);
	case PROTECTION_ENCRYPTED:
		return read_encrypted(reading, tree, info, decoding);
	case PROTECTION_COMPRESSED:
		return read_compressed(reading, tree, decoding);
	case PROTECTION_CERTS_ONLY:
		add_layer(reading, LAYER_CERTS_ONLY, "certs-only");
		return TRUE;
	case PROTECTION_NONE:
		if (info != NULL)
			return read_other(reading, info);
		if (part_is(object, "application/pkcs7-mime") ||
		    part_is(object, "application/x-pkcs7-mime"))
			layers_note(
			    &reading->malformed,
			    "its type announces S/MIME, but the content is none, or damaged");
		break;
	case PROTECTION_PGP_SIGNED:
	case PROTECTION_PGP_ENCRYPTED:
		break;
	}
	return read_plain(reading, tree);
}

/* Labels that promise protection: then a structure that cannot be told is a finding. */
static gboolean
claims_protection(const struct mime_tree *tree, const struct detection *detection)
{
	return detection->protection != PROTECTION_NONE || detection->has_signed_part ||
	       part_is(tree->root, "multipart/signed") || part_may_be_cms(tree->root);
}

gboolean
layers_read(struct reading *reading, struct headers *headers, struct spool *spool, guint64 start,
	    guint64 end)
{
	GError *error = NULL;
	CLEANUP(mime_tree) struct mime_tree *tree = NULL;
	CLEANUP(detection) struct detection *detection = NULL;

	if (++reading->depth > LAYERS_MAX + 1) {
		layers_note(&reading->malformed, "more than 6 layers (limit of CMS layers)");
		return TRUE;
	}
	tree = scan_message(headers, spool, start, end, &error);
	if (tree == NULL || !scan_cross_check(tree, &error) ||
	    (detection = detect_message(tree, &error)) == NULL)
		return layers_take_error(reading, &reading->malformed, error);
	add_parts(reading, tree->root, reading->depth - 1);
	if (tree->malformed != NULL &&
	    (tree->limit_exceeded || reading->depth > 1 || claims_protection(tree, detection)))
		layers_note(&reading->malformed, tree->malformed);
	if (detection->differing_types) /* which one a mail program goes by cannot be told */
		layers_note(&reading->malformed, "several Content-Type fields that differ");
	if (reading->depth > 1)
		compare_author(reading, tree->root);
	return read_protected(reading, tree, detection);
}
