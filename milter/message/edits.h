/*
 * edits - what is to be changed in a message: header fields and the body.
 *
 * Occurrence numbers always mean the message as it arrived. The list gives the edits in an order
 * in which an MTA may apply them one by one, whether or not it renumbers after a deletion:
 * changes and deletions from the last occurrence to the first, then new fields. Values have
 * their leading blank and LF folds (CRLF would leave a CR in Postfix's stored header).
 */
#ifndef MILTER_MESSAGE_EDITS_H
#define MILTER_MESSAGE_EDITS_H

#include "milter/message/headers.h"

struct edits;

enum edit_kind {
	EDIT_CHANGE, /* occurrence of name gets value */
	EDIT_DELETE, /* occurrence of name goes */
	EDIT_TOP,    /* a new field above all others (smfi_insheader 0) */
	EDIT_APPEND, /* a new field below all others (smfi_addheader) */
};

struct edit {
	enum edit_kind kind;
	char *name;
	guint occurrence; /* CHANGE, DELETE */
	char *value;      /* NULL for DELETE */
};

struct edits *edits_new(void);
void edits_free(struct edits *edits);

/* A later change or deletion of the same field replaces the earlier one. */
void edits_change(struct edits *edits, const char *name, guint occurrence, const char *value);
void edits_delete(struct edits *edits, const char *name, guint occurrence);
void edits_insert_top(struct edits *edits, const char *name, const char *value);
void edits_append(struct edits *edits, const char *name, const char *value);
/* Changes the first field of that name and deletes all others; appends where there is none. */
void edits_replace(struct edits *edits, const struct headers *headers, const char *name,
		   const char *value);
void edits_delete_all(struct edits *edits, const struct headers *headers, const char *name);
void edits_set_body(struct edits *edits, struct spool *sealed); /* takes a reference */

/* What the edits leave of the first field of that name that stays; NULL: none. Valid until the next
 * change. */
const char *edits_current(const struct edits *edits, const struct headers *headers,
			  const char *name);
/* Forgets new fields of that name. */
void edits_drop_added(struct edits *edits, const char *name);

gboolean edits_empty(const struct edits *edits);
struct spool *edits_body(const struct edits *edits); /* NULL: unchanged */
guint edits_count(struct edits *edits);
const struct edit *edits_at(struct edits *edits, guint index); /* in the order to apply */

/* The header block as the edits leave it. */
struct headers *edits_apply_headers(struct edits *edits, const struct headers *headers,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The whole message as the edits leave it, with CRLF. */
gboolean edits_apply_to_message(struct edits *edits, const struct headers *headers,
				struct spool *body, struct sink *to,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Size of that message in bytes: what the MTA's message_size_limit will see. */
guint64 edits_message_size(struct edits *edits, const struct headers *headers, struct spool *body);

DEFINE_CLEANUP(edits, edits_free)

#endif
