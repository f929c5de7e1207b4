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
#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/cms_decrypt.h"
#include "pki/crypto/cms_inspect.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/key.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"

#define PARTIAL_CANDIDATES_MAX 16

static void
note(char **finding, const char *text)
{
	if (*finding == NULL)
		*finding = g_strdup(text);
}

/* INVALID is a finding, anything else an error. */
static gboolean
take_error(struct reading *reading, char **finding, GError *error)
{
	if (error->code == PS_ERROR_INVALID) {
		note(finding, error->message);
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

/* --- signers --- */

static void
release_cert(gpointer cert)
{
	cert_unref(cert);
}

static void
release_crl(gpointer crl)
{
	crl_unref(crl);
}

/* What the caller gave and what the message brought: hints both. */
static GPtrArray *
hints_certs(const struct chain_options *chain, const struct cms_verify_report *report)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(release_cert);

	for (guint i = 0; chain->untrusted != NULL && i < chain->untrusted->len; i++)
		g_ptr_array_add(all, cert_ref(chain->untrusted->pdata[i]));
	for (guint i = 0; report->certs != NULL && i < report->certs->len; i++) {
		struct cert *cert = cert_parse(report->certs->pdata[i], NULL);

		if (cert != NULL)
			g_ptr_array_add(all, cert);
	}
	return all;
}

static GPtrArray *
hints_crls(const struct chain_options *chain, const struct cms_verify_report *report)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(release_crl);

	for (guint i = 0; chain->crls != NULL && i < chain->crls->len; i++)
		g_ptr_array_add(all, crl_ref(chain->crls->pdata[i]));
	for (guint i = 0; report->crls != NULL && i < report->crls->len; i++) {
		struct crl *crl = crl_parse(report->crls->pdata[i], NULL);

		if (crl != NULL)
			g_ptr_array_add(all, crl);
	}
	return all;
}

static gboolean
judge(struct reading *reading, const struct cms_signer_report *signer,
      const struct cms_verify_report *report, struct message_signer *to)
{
	const struct chain_options *given =
	    reading->options != NULL ? reading->options->chain : NULL;
	struct chain_options chain;
	g_autoptr(GPtrArray) certs = NULL;
	g_autoptr(GPtrArray) crls = NULL;
	CLEANUP(chain_report) struct chain_report *found = NULL;
	GError *error = NULL;

	if (given == NULL || signer->cert == NULL) {
		to->reason = g_strdup(signer->cert == NULL ? "the signer's certificate is not there"
							   : "no trusted roots are given");
		return TRUE;
	}
	if (signer->legacy && !given->allow_legacy) {
		to->reason = g_strdup("the signature uses an algorithm that is too weak");
		return TRUE;
	}
	chain = *given;
	chain.untrusted = certs = hints_certs(given, report);
	chain.crls = crls = hints_crls(given, report);
	chain.purpose = CHAIN_PURPOSE_SIGN;
	chain.email = NULL; /* From is compared by itself: another word */
	if (reading->options->at_signing_time && signer->signing_time != CLOCK_NEVER)
		chain.at = MIN(chain.at, signer->signing_time);
	found = chain_check(signer->cert, &chain, &error);
	if (found == NULL)
		return take_error(reading, &to->reason, error);
	to->trust = found->verdict == CHAIN_VALID     ? SIGNER_VALID
		    : found->verdict == CHAIN_REVOKED ? SIGNER_REVOKED
						      : SIGNER_INVALID;
	to->reason = g_strdup(found->reason != NULL ? found->reason : "");
	return TRUE;
}

static enum signer_signature
signature_of(enum cms_signature signature)
{
	switch (signature) {
	case CMS_SIGNATURE_GOOD:
		return SIGNATURE_GOOD;
	case CMS_SIGNATURE_BAD:
		return SIGNATURE_BAD;
	case CMS_SIGNATURE_UNKNOWN:
		return SIGNATURE_UNKNOWN;
	}
	return SIGNATURE_UNKNOWN;
}

static gboolean
add_signer(struct reading *reading, const struct cms_signer_report *signer,
	   const struct cms_verify_report *report, gboolean covers)
{
	struct message_signer *to = g_new0(struct message_signer, 1);

	g_ptr_array_add(reading->report->signers, to);
	to->emails = g_ptr_array_new_with_free_func(g_free);
	to->digest = g_strdup(signer->digest);
	to->algorithm = g_strdup(signer->algorithm);
	to->signing_time = signer->signing_time;
	to->signature = signature_of(signer->signature);
	to->trust = SIGNER_INVALID;
	to->covers = covers;
	to->subject = g_strdup(signer->cert != NULL ? cert_subject(signer->cert) : "");
	if (signer->cert != NULL) {
		GPtrArray *emails = cert_emails(signer->cert);

		for (guint i = 0; i < emails->len; i++)
			g_ptr_array_add(to->emails, g_strdup(mailaddr_text(emails->pdata[i])));
		to->from_matches =
		    reading->author != NULL && cert_has_email(signer->cert, reading->author);
	}
	if (to->signature != SIGNATURE_GOOD) {
		to->reason = g_strdup(signer->reason);
		return TRUE;
	}
	return judge(reading, signer, report, to);
}

static gboolean
add_signers(struct reading *reading, const struct cms_verify_report *report, gboolean covers)
{
	for (guint i = 0; i < report->signers->len; i++)
		if (!add_signer(reading, report->signers->pdata[i], report, covers))
			return FALSE;
	return TRUE;
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
		take_error(reading, &reading->malformed, error);
	return report;
}

static void
set_content(struct reading *reading, struct spool *spool, guint64 start, guint64 end)
{
	CLEANUP(spool) struct spool *range = NULL;

	if (reading->report->content != NULL)
		return;
	range = spool_new(reading->area);
	if (spool_append_range(range, spool, start, end, NULL) && spool_seal(range, NULL))
		reading->report->content = g_steal_pointer(&range);
}

static gboolean
read_clear_signed(struct reading *reading, const struct mime_tree *tree,
		  enum leaf_decoding decoding)
{
	const struct part *content = tree->root->children->pdata[0];
	const struct part *signature = tree->root->children->pdata[1];
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;

	add_layer(reading, LAYER_SIGNED, "signed-data");
	report = verify_part(reading, tree, content, signature, decoding);
	if (report == NULL)
		return reading->error == NULL;
	reading->report->is_signed = TRUE;
	set_content(reading, tree->spool, content->start, content->end);
	if (!add_signers(reading, report, TRUE))
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
		return take_error(reading, &reading->malformed, error);
	set_content(reading, spool, 0, spool_size(spool));
	headers = headers_parse(spool, 0, spool_size(spool), &body, &error);
	if (headers == NULL)
		return take_error(reading, &reading->malformed, error);
	return layers_read(reading, headers, spool, body, spool_size(spool));
}

static gboolean
read_opaque(struct reading *reading, const struct mime_tree *tree, enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *content = spool_new(reading->area);
	struct cms_verify_options options = verify_options(reading);
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;
	GError *error = NULL;

	add_layer(reading, LAYER_SIGNED, "signed-data")->opaque = TRUE;
	report = cms_verify(leaf_source(leaf), spool_sink(content), &options, &error);
	if (report == NULL)
		return take_error(reading, &reading->malformed, error);
	reading->report->is_signed = TRUE;
	if (!add_signers(reading, report, TRUE))
		return FALSE;
	if (report->detached) {
		note(&reading->malformed, "a signature without the content that it signs");
		return TRUE;
	}
	reading->covered = TRUE;
	return read_inner(reading, content);
}

static char *
recipient_text(const struct cms_recipient_info *info)
{
	g_autofree char *who = cms_signer_id_text(&info->id);

	if (info->id.serial_hex == NULL && info->id.key_id == NULL)
		return g_strdup_printf("%s %s", info->algorithm,
				       cms_recipient_kind_name(info->kind));
	return g_strdup_printf("%s for %s", info->algorithm, who);
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
		note(&reading->undecryptable, "no key is given that could open it");
		return TRUE;
	}
	if (reading->options->chain != NULL)
		options.legacy_ciphers = reading->options->chain->allow_legacy;
	report = cms_decrypt(leaf_source(leaf), (const struct cms_decrypt_key *)(void *)keys->data,
			     keys->len, &options, spool_sink(content), &error);
	if (report == NULL)
		return take_error(reading, &reading->undecryptable, error);
	if (report->outcome != CMS_DECRYPTED) {
		note(&reading->undecryptable,
		     report->reason != NULL ? report->reason : "cannot be decrypted");
		return TRUE;
	}
	if (!spool_seal(content, &error))
		return take_error(reading, &reading->undecryptable, error);
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
		return take_error(reading, &reading->malformed, error);
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
		note(&reading->undecryptable, "no recipient is named");
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
		return take_error(reading, &reading->malformed, error);
	return add_signers(reading, report, FALSE);
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
		return take_error(reading, &reading->malformed, error);
	if (info == NULL || info->type != CMS_TYPE_SIGNED)
		return TRUE;
	note(&reading->partial, "only a part of the message is signed");
	reading->report->is_signed = TRUE;
	add_layer(reading, LAYER_SIGNED, "signed-data")->opaque = !clear;
	if (clear) {
		CLEANUP(cms_verify_report)
		struct cms_verify_report *report =
		    verify_part(reading, tree, part->children->pdata[0], object, decoding);

		return report != NULL ? add_signers(reading, report, FALSE)
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
		return take_error(reading, &reading->malformed, error);
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
		note(&reading->malformed, "more than 6 layers (limit of CMS layers)");
		return TRUE;
	}
	tree = scan_message(headers, spool, start, end, &error);
	if (tree == NULL || !scan_cross_check(tree, &error) ||
	    (detection = detect_message(tree, &error)) == NULL)
		return take_error(reading, &reading->malformed, error);
	add_parts(reading, tree->root, reading->depth - 1);
	if (tree->malformed != NULL &&
	    (tree->limit_exceeded || reading->depth > 1 || claims_protection(tree, detection)))
		note(&reading->malformed, tree->malformed);
	if (detection->differing_types) /* which one a mail program goes by cannot be told */
		note(&reading->malformed, "several Content-Type fields that differ");
	if (reading->depth > 1)
		compare_author(reading, tree->root);
	return read_protected(reading, tree, detection);
}
