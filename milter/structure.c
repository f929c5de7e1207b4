/*
 * structure - scan and detection turned into facts.
 */
#include "milter/structure.h"

#include "milter/mime/detect.h"
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

static void
append_hex(GString *text, GBytes *bytes)
{
	gsize length;
	const guint8 *at = g_bytes_get_data(bytes, &length);

	for (gsize i = 0; i < length; i++)
		g_string_append_printf(text, "%02x", at[i]);
}

/* "issuer-DER-hex:serial-hex" of each recipientInfo that names one. */
static GPtrArray *
recipient_ids(const struct cms_info *cms)
{
	GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < cms->recipients->len; i++) {
		const struct cms_recipient_info *info = cms->recipients->pdata[i];
		GString *text;

		if (info->id.issuer == NULL || info->id.serial_hex == NULL)
			continue;
		text = g_string_new(NULL);
		append_hex(text, info->id.issuer);
		g_string_append_printf(text, ":%s", info->id.serial_hex);
		g_ptr_array_add(ids, g_string_free(text, FALSE));
	}
	return ids;
}

struct structure *
structure_read(struct gateway *gateway, struct headers *headers, struct spool *body, GError **error)
{
	CLEANUP(structure) struct structure *structure = g_new0(struct structure, 1);
	CLEANUP(detection) struct detection *detection = NULL;
	struct structure_facts *facts = &structure->facts;

	(void)gateway;
	structure->tree = scan_message(headers, body, 0, spool_size(body), error);
	if (structure->tree == NULL)
		return NULL;
	detection = detect_message(structure->tree, error);
	if (detection == NULL)
		return NULL;
	facts->arrived = arrived_as(detection->protection);
	facts->calendar = detection->calendar;
	facts->content_type_ambiguous = detection->differing_types;
	facts->size_bytes = headers_size(headers) + 2 + spool_size(body);
	facts->foreign_signature = ABLE_NO;
	if (facts->arrived == ARRIVED_ENCRYPTED && detection->cms != NULL)
		facts->recipient_ids = recipient_ids(detection->cms);
	return g_steal_pointer(&structure);
}

void
structure_free(struct structure *structure)
{
	if (structure == NULL)
		return;
	if (structure->facts.recipient_ids != NULL)
		g_ptr_array_unref(structure->facts.recipient_ids);
	mime_tree_free(structure->tree);
	g_free(structure);
}
