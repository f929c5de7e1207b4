/*
 * reading_sealed - the steps that decrypt and decompress.
 */
#include "milter/reading_walk.h"

#include "pki/crypto/algorithms.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/cms_inspect.h"
#include "store/base/error.h"

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

/* What preference legacy_algorithms is about, of keys: they are not used. Returns how many. */
static guint
drop_weak_keys(const struct reading_walk *walk, GArray *keys)
{
	guint dropped = 0;

	for (guint i = keys->len; !walk->options->legacy && i > 0; i--) {
		const struct cert *cert = g_array_index(keys, struct cms_decrypt_key, i - 1).cert;

		if (cert == NULL || key_strength_allowed(cert_key_kind(cert), cert_key_bits(cert)))
			continue;
		g_array_remove_index(keys, i - 1);
		dropped++;
	}
	return dropped;
}

/* NULL: there are none (closed), or they could not be asked for. */
static GArray *
keys_for(struct reading_walk *walk, const struct cms_info *info)
{
	GArray *keys = NULL;
	GError *error = NULL;
	guint weak;

	if (walk->options->keys != NULL && walk->options->area != NULL)
		keys = walk->options->keys(walk->options->data, info, &error);
	weak = keys != NULL ? drop_weak_keys(walk, keys) : 0;
	if (keys != NULL && (keys->len > 0 || walk->options->password != NULL))
		return keys;
	g_clear_pointer(&keys, g_array_unref);
	if (weak > 0) {
		stay_closed(walk, READING_UNSUPPORTED, "the key that opens it is a legacy one");
	} else if (error == NULL || g_error_matches(error, PS_ERROR, PS_ERROR_NOT_FOUND)) {
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
	CLEANUP(entity) struct entity *content = walk_inner(bytes, &error);

	if (content == NULL)
		return walk_inner_error(walk, error);
	walk_set_entity(&walk->reading->opened, content);
	/* A signature around the cipher text says nothing about who can have changed it. */
	if (!report->authenticated && walk->unvouched == NULL)
		walk_set_entity(&walk->unvouched, content);
	walk->took_off = FALSE;
	walk_set_entity(&walk->uncovered, NULL);
	return walk_entity(walk, content);
}

gboolean
walk_encrypted(struct reading_walk *walk, const struct mime_tree *tree, const struct cms_info *info,
	       enum leaf_decoding decoding)
{
	struct reading_layer *layer = walk_add_layer(
	    walk, LAYER_ENCRYPTED,
	    info->type == CMS_TYPE_AUTH_ENVELOPED ? "authEnveloped-data" : "enveloped-data");
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *bytes = walk_spool(walk);
	CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;
	const struct cms_decrypt_options options = { .legacy_ciphers = walk->options->legacy,
						     .password = walk->options->password };
	g_autoptr(GArray) keys = NULL;
	struct walk_source in;
	GError *error = NULL;

	walk->reading->is_encrypted = TRUE;
	layer->algorithm = g_strdup(info->cipher);
	for (guint i = 0; i < info->recipients->len; i++)
		g_ptr_array_add(layer->recipients, recipient_text(info->recipients->pdata[i]));
	keys = keys_for(walk, info);
	if (keys == NULL)
		return TRUE;
	report = cms_decrypt(walk_source_init(&in, walk, leaf_source(leaf)),
			     (const struct cms_decrypt_key *)(void *)keys->data, keys->len,
			     &options, spool_sink(bytes), &error);
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

gboolean
walk_compressed(struct reading_walk *walk, const struct mime_tree *tree,
		enum leaf_decoding decoding)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, decoding);
	CLEANUP(spool) struct spool *bytes = walk_spool(walk);
	CLEANUP(entity) struct entity *content = NULL;
	struct walk_source in;
	GError *error = NULL;

	walk_add_layer(walk, LAYER_COMPRESSED, "compressed-data");
	if (bytes == NULL)
		return TRUE;
	if (!cms_inflate(walk_source_init(&in, walk, leaf_source(leaf)), spool_sink(bytes), NULL,
			 NULL, &error) ||
	    (content = walk_inner(bytes, &error)) == NULL)
		return walk_inner_error(walk, error);
	/* Directly in an encryption it is all that there is to show. */
	if (walk->reading->opened != NULL && !walk->took_off)
		walk_set_entity(&walk->reading->opened, content);
	if (walk->took_off)
		walk_set_entity(&walk->uncovered, content);
	return walk_entity(walk, content);
}

/* CMS types that mail does not use: named, not opened. */
gboolean
walk_other(struct reading_walk *walk, const struct cms_info *info)
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
