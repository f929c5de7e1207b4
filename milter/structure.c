/*
 * structure - scan and detection turned into facts.
 */
#include "milter/structure.h"

#include <string.h>

#include "milter/mime/detect.h"
#include "milter/mime/leaf.h"
#include "pki/crypto/base64.h"
#include "pki/crypto/cms_inspect.h"

static enum arrived
arrived_as(enum protection protection)
{
	if (protection_is_encrypted(protection))
		return ARRIVED_ENCRYPTED;
	if (protection_is_signed(protection))
		return ARRIVED_SIGNED;
	return ARRIVED_PLAIN;
}

/* Decoders skip what is not base64 and stop at the padding; here nothing may hide from them. */
static gboolean
is_base64_alone(const struct mime_tree *tree, gboolean *alone, GError **error)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader =
	    spool_reader_new(tree->spool, tree->root->body_start, tree->root->end);
	gboolean ended = FALSE;
	const guint8 *bytes;
	gssize length;

	*alone = TRUE;
	while ((length = spool_reader_next(reader, &bytes, error)) > 0) {
		for (gsize i = 0; *alone && i < (gsize)length; i++) {
			if (!ended)
				i += base64_span(bytes + i, (gsize)length - i);
			if (i == (gsize)length)
				break;
			*alone = strchr("= \t\r\n", bytes[i]) != NULL && bytes[i] != '\0';
			ended |= bytes[i] == '=';
		}
	}
	return length == 0;
}

/* RFC 3462; a receipt or a status without the frame around it is one, too. */
static gboolean
is_report(const struct part *root)
{
	return strcmp(root->type, "multipart/report") == 0 ||
	       strcmp(root->type, "message/disposition-notification") == 0 ||
	       strcmp(root->type, "message/delivery-status") == 0;
}

/* Left alone is only what is one encrypted object to its last byte: a head that was copied from
 * somewhere protects nothing of what follows it, nor does one around text. */
static gboolean
is_whole(const struct structure *structure, gboolean *whole, GError **error)
{
	const struct mime_tree *tree = structure->tree;
	enum leaf_decoding decoding;
	struct cms_info *info = NULL;

	*whole = TRUE;
	if (structure->detection->protection != PROTECTION_ENCRYPTED)
		return TRUE;
	if (!part_inspect_cms(tree, tree->root, TRUE, &decoding, &info, error))
		return FALSE;
	*whole = info != NULL && info->complete && info->has_content && info->plausible;
	if (info != NULL)
		cms_info_free(info);
	if (!*whole ||
	    (decoding == LEAF_AS_DECLARED && strcmp(tree->root->encoding, "base64") != 0))
		return TRUE;
	return is_base64_alone(tree, whole, error);
}

/* PGP is nothing that we read. */
static gboolean
is_named_smime(const struct part *part)
{
	const char *protocol;

	if (part->kind == PART_LEAF)
		return part_may_be_cms(part);
	if (!part_is(part, "multipart/signed"))
		return FALSE;
	protocol = part_parameter(part, "protocol");
	return protocol == NULL || g_ascii_strcasecmp(protocol, "application/pgp-signature") != 0;
}

static gboolean
holds_smime(const struct part *part)
{
	if (is_named_smime(part))
		return TRUE;
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		if (holds_smime(part->children->pdata[i]))
			return TRUE;
	return FALSE;
}

static gboolean
claims_signature(const struct structure *structure)
{
	const struct part *root = structure->tree->root;
	const char *type = part_parameter(root, "smime-type");

	switch (structure->detection->protection) {
	case PROTECTION_SIGNED:
	case PROTECTION_OPAQUE:
		return TRUE;
	case PROTECTION_NONE:
		if (root->kind == PART_LEAF)
			return part_may_be_cms(root) && type != NULL &&
			       g_ascii_strcasecmp(type, "signed-data") == 0;
		return is_named_smime(root);
	case PROTECTION_ENCRYPTED:
	case PROTECTION_COMPRESSED:
	case PROTECTION_CERTS_ONLY:
	case PROTECTION_PGP_SIGNED:
	case PROTECTION_PGP_ENCRYPTED:
		break;
	}
	return FALSE;
}

struct structure *
structure_read(struct headers *headers, struct spool *body, GError **error)
{
	CLEANUP(structure) struct structure *structure = g_new0(struct structure, 1);
	struct detection *detection;
	struct structure_facts *facts = &structure->facts;
	gboolean whole;

	structure->tree = scan_message(headers, body, 0, spool_size(body), error);
	if (structure->tree == NULL)
		return NULL;
	detection = structure->detection = detect_message(structure->tree, error);
	if (detection == NULL)
		return NULL;
	if (!is_whole(structure, &whole, error))
		return NULL;
	facts->arrived = whole ? arrived_as(detection->protection) : ARRIVED_PLAIN;
	facts->calendar = detection->calendar;
	facts->report = is_report(structure->tree->root);
	facts->content_type_ambiguous = detection->differing_types;
	facts->size_bytes = headers_size(headers) + 2 + spool_size(body);
	facts->reencode = structure->tree->traits != 0;
	facts->worth_reading = holds_smime(structure->tree->root);
	facts->signature_claimed = claims_signature(structure);
	if (facts->arrived == ARRIVED_SIGNED)
		facts->tree = structure->tree;
	if (facts->arrived == ARRIVED_ENCRYPTED)
		facts->cms = detection->cms;
	return g_steal_pointer(&structure);
}

void
structure_free(struct structure *structure)
{
	if (structure == NULL)
		return;
	if (structure->detection != NULL)
		detection_free(structure->detection);
	mime_tree_free(structure->tree);
	g_free(structure);
}
