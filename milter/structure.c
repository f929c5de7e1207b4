/*
 * structure - scan and detection turned into facts.
 */
#include "milter/structure.h"

#include "milter/mime/detect.h"

static enum arrived
arrived_as(enum protection protection)
{
	if (protection_is_encrypted(protection))
		return ARRIVED_ENCRYPTED;
	if (protection_is_signed(protection))
		return ARRIVED_SIGNED;
	return ARRIVED_PLAIN;
}

struct structure *
structure_read(struct headers *headers, struct spool *body, GError **error)
{
	CLEANUP(structure) struct structure *structure = g_new0(struct structure, 1);
	struct detection *detection;
	struct structure_facts *facts = &structure->facts;

	structure->tree = scan_message(headers, body, 0, spool_size(body), error);
	if (structure->tree == NULL)
		return NULL;
	detection = structure->detection = detect_message(structure->tree, error);
	if (detection == NULL)
		return NULL;
	facts->arrived = arrived_as(detection->protection);
	facts->calendar = detection->calendar;
	facts->content_type_ambiguous = detection->differing_types;
	facts->size_bytes = headers_size(headers) + 2 + spool_size(body);
	facts->reencode = structure->tree->traits != 0;
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
