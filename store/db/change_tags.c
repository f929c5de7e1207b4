/*
 * change_tags - a tag is (kind, keyed, slot) in one number.
 */
#include "store/db/change_tags.h"

#define KIND_SHIFT 32
#define KEYED ((change_tag)1 << 31)

static guint
slot_of(enum change_kind kind, const char *key)
{
	guint64 hash = 14695981039346656037u ^ (guint64)kind; /* FNV-1a */

	for (const char *p = key; *p != '\0'; p++)
		hash = (hash ^ (guchar)*p) * 1099511628211u;
	return (guint)((hash ^ hash >> 32 ^ hash >> 16) % CHANGE_TAG_SLOTS);
}

change_tag
change_tag_of(enum change_kind kind, const char *key)
{
	change_tag tag = (change_tag)kind << KIND_SHIFT;

	return key != NULL ? tag | KEYED | slot_of(kind, key) : tag;
}

GArray *
change_tags_new(void)
{
	return g_array_new(FALSE, FALSE, sizeof(change_tag));
}

void
change_tags_add_tag(GArray *tags, change_tag tag)
{
	for (guint i = 0; i < tags->len; i++)
		if (g_array_index(tags, change_tag, i) == tag)
			return;
	g_array_append_val(tags, tag);
}

void
change_tags_add(GArray *tags, enum change_kind kind, const char *key)
{
	change_tags_add_tag(tags, change_tag_of(kind, key));
}

void
change_tags_join(GArray *tags, const GArray *more)
{
	for (guint i = 0; more != NULL && i < more->len; i++)
		change_tags_add_tag(tags, g_array_index(more, change_tag, i));
}

enum change_kind
change_tag_kind(change_tag tag)
{
	return (enum change_kind)((tag >> KIND_SHIFT) % CHANGE_KINDS);
}

gboolean
change_tag_is_any(change_tag tag)
{
	return (tag & KEYED) == 0;
}

guint
change_tag_slot(change_tag tag)
{
	return (guint)(tag % CHANGE_TAG_SLOTS);
}
