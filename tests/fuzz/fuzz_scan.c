/*
 * fuzz_scan - any bytes as a message: the ranges of its parts lie inside of it and in order, its
 * canonical form is 7-bit or asks for an opaque signature.
 */
#include <stdint.h>

#include "milter/mime/canonical.h"
#include "milter/mime/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct part *part, guint64 low, guint64 high)
{
	guint64 at = part->start;

	if (part->start < low || part->end > high || part->start > part->end ||
	    part->body_start < part->start || part->body_start > part->end)
		g_error("a part lies outside of its parent");
	for (guint i = 0; part->children != NULL && i < part->children->len; i++) {
		const struct part *child = part->children->pdata[i];

		check(child, at, part->end);
		at = child->end;
	}
}

static void
check_canonical(struct mime_tree *tree, struct spool_area *area)
{
	CLEANUP(canonical) struct canonical *canonical = canonical_for_signing(tree, area, NULL);
	g_autoptr(GBytes) bytes = NULL;
	const guint8 *octets;
	gsize length;

	if (canonical == NULL)
		g_error("no canonical form");
	if (canonical->needs_opaque)
		return;
	bytes = spool_bytes(canonical->entity, 0, spool_size(canonical->entity), 100000000, NULL);
	octets = g_bytes_get_data(bytes, &length);
	for (gsize i = 0; i < length; i++)
		if (octets[i] > 127 || octets[i] == 0 ||
		    (octets[i] == '\n') != (i > 0 && octets[i - 1] == '\r'))
			g_error("the canonical form is none");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(100000000);
	CLEANUP(spool) struct spool *spool = spool_from_bytes(area, data, size, NULL);
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(mime_tree) struct mime_tree *tree = NULL;
	CLEANUP(detection) struct detection *detection = NULL;
	guint64 body = 0;

	headers = headers_parse(spool, 0, size, &body, NULL);
	if (headers == NULL)
		return 0;
	tree = scan_message(headers, spool, body, size, NULL);
	if (tree == NULL)
		g_error("no tree");
	check(tree->root, body, size);
	check_canonical(tree, area);
	detection = detect_message(tree, NULL);
	if (detection == NULL)
		g_error("no detection");
	if (!scan_cross_check(tree, NULL))
		g_error("no second opinion");
	return 0;
}
