/*
 * change_tags - names for what may change, as numbers: one key of a kind, or any of the kind.
 *
 * Keys are hashed into a fixed number of slots; two that share one are told together, which only
 * costs a recomputation. Tags mean something within one program; they are not stored.
 */
#ifndef STORE_DB_CHANGE_TAGS_H
#define STORE_DB_CHANGE_TAGS_H

#include <glib.h>

#include "store/db/tx.h"

#define CHANGE_TAG_SLOTS 65536

typedef guint64 change_tag; /* compared with == */

/* key NULL: whatever changes of this kind. */
change_tag change_tag_of(enum change_kind kind, const char *key);
/* Lists of tags, each once: GArray of change_tag. */
GArray *change_tags_new(void);
void change_tags_add(GArray *tags, enum change_kind kind, const char *key);
void change_tags_add_tag(GArray *tags, change_tag tag);
void change_tags_join(GArray *tags, const GArray *more); /* NULL: nothing */

/* For changelog.c: what a tag is made of; the slot counts only where it is not any of the kind. */
enum change_kind change_tag_kind(change_tag tag);
gboolean change_tag_is_any(change_tag tag);
guint change_tag_slot(change_tag tag);

#endif
