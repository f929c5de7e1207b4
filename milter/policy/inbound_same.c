/*
 * inbound_same - see inbound_same.h.
 */
#include "milter/policy/inbound_same.h"

#include <string.h>

#include "milter/mime/scan.h"

static gboolean
same_bytes(const struct entity *a, const struct entity *b)
{
	guint64 size = a->end - a->start;
	CLEANUP(spool_reader) struct spool_reader *left = NULL;
	CLEANUP(spool_reader) struct spool_reader *right = NULL;
	guint8 piece[2][16384];

	if (size != b->end - b->start)
		return FALSE;
	left = spool_reader_new(a->spool, a->start, a->end);
	right = spool_reader_new(b->spool, b->start, b->end);
	for (;;) {
		gssize got = spool_reader_fill(left, piece[0], sizeof piece[0], NULL);

		if (got < 0 || spool_reader_fill(right, piece[1], sizeof piece[1], NULL) != got)
			return FALSE;
		if (got == 0)
			return TRUE;
		if (memcmp(piece[0], piece[1], (gsize)got) != 0)
			return FALSE;
	}
}

static gboolean
same_signer(const struct reading_signer *a, const struct reading_signer *b)
{
	return a->signature == b->signature && a->trust == b->trust &&
	       a->from_matches == b->from_matches && a->covers == b->covers &&
	       a->layer == b->layer && g_strcmp0(a->subject, b->subject) == 0;
}

static gboolean
same_layer(const struct reading_layer *a, const struct reading_layer *b)
{
	return a->type == b->type && a->opened == b->opened &&
	       a->authenticated == b->authenticated && g_strcmp0(a->algorithm, b->algorithm) == 0;
}

static gboolean
same_rows(const struct reading *a, const struct reading *b)
{
	if (a->layers->len != b->layers->len || a->signers->len != b->signers->len)
		return FALSE;
	for (guint i = 0; i < a->layers->len; i++)
		if (!same_layer(a->layers->pdata[i], b->layers->pdata[i]))
			return FALSE;
	for (guint i = 0; i < a->signers->len; i++)
		if (!same_signer(a->signers->pdata[i], b->signers->pdata[i]))
			return FALSE;
	return TRUE;
}

gboolean
inbound_same(const struct reading *a, const struct reading *b)
{
	if (a->closed != b->closed || a->verdict != b->verdict || a->decrypted != b->decrypted ||
	    a->unauthenticated != b->unauthenticated || a->unknown != b->unknown ||
	    (a->bare != NULL) != (b->bare != NULL) || g_strcmp0(a->reason, b->reason) != 0 ||
	    g_strcmp0(a->detail, b->detail) != 0 || !same_rows(a, b))
		return FALSE;
	return !a->decrypted || same_bytes(a->opened, b->opened);
}

static gboolean
part_has_html(const struct part *part)
{
	gboolean found = part->kind == PART_LEAF &&
			 (part_is(part, "text/html") || part_is(part, "application/xhtml+xml") ||
			  part_is(part, "image/svg+xml"));

	for (guint i = 0; !found && part->children != NULL && i < part->children->len; i++)
		found = part_has_html(part->children->pdata[i]);
	return found;
}

gboolean
inbound_has_html(const struct entity *entity, GError **error)
{
	CLEANUP(mime_tree)
	struct mime_tree *tree =
	    scan_message(entity->headers, entity->spool, entity->body_start, entity->end, error);

	return tree != NULL && (tree->malformed != NULL || part_has_html(tree->root));
}
