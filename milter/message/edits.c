/*
 * edits - changes and deletions sorted from the last occurrence to the first, then new fields.
 */
#include "milter/message/edits.h"

#include <string.h>

#include "store/base/error.h"

struct edits {
	GPtrArray *existing; /* struct edit *: CHANGE, DELETE */
	GPtrArray *added;    /* TOP, APPEND in the order they were asked for */
	gboolean sorted;
	struct spool *body;
};

static void
edit_free(gpointer data)
{
	struct edit *edit = data;

	g_free(edit->name);
	g_free(edit->value);
	g_free(edit);
}

struct edits *
edits_new(void)
{
	struct edits *edits = g_new0(struct edits, 1);

	edits->existing = g_ptr_array_new_with_free_func(edit_free);
	edits->added = g_ptr_array_new_with_free_func(edit_free);
	return edits;
}

void
edits_free(struct edits *edits)
{
	if (edits == NULL)
		return;
	g_ptr_array_unref(edits->existing);
	g_ptr_array_unref(edits->added);
	spool_unref(edits->body);
	g_free(edits);
}

static struct edit *
edit_new(enum edit_kind kind, const char *name, guint occurrence, const char *value)
{
	struct edit *edit = g_new0(struct edit, 1);

	edit->kind = kind;
	edit->name = g_strdup(name);
	edit->occurrence = occurrence;
	edit->value = g_strdup(value);
	return edit;
}

static struct edit *
find_existing(const struct edits *edits, const char *name, guint occurrence)
{
	for (guint i = 0; i < edits->existing->len; i++) {
		struct edit *edit = g_ptr_array_index(edits->existing, i);

		if (edit->occurrence == occurrence && g_ascii_strcasecmp(edit->name, name) == 0)
			return edit;
	}
	return NULL;
}

static void
set_existing(struct edits *edits, enum edit_kind kind, const char *name, guint occurrence,
	     const char *value)
{
	struct edit *edit = find_existing(edits, name, occurrence);

	edits->sorted = FALSE;
	if (edit == NULL) {
		g_ptr_array_add(edits->existing, edit_new(kind, name, occurrence, value));
		return;
	}
	edit->kind = kind;
	g_free(edit->value);
	edit->value = g_strdup(value);
}

void
edits_change(struct edits *edits, const char *name, guint occurrence, const char *value)
{
	set_existing(edits, EDIT_CHANGE, name, occurrence, value);
}

void
edits_delete(struct edits *edits, const char *name, guint occurrence)
{
	set_existing(edits, EDIT_DELETE, name, occurrence, NULL);
}

void
edits_insert_top(struct edits *edits, const char *name, const char *value)
{
	g_ptr_array_add(edits->added, edit_new(EDIT_TOP, name, 0, value));
}

void
edits_append(struct edits *edits, const char *name, const char *value)
{
	g_ptr_array_add(edits->added, edit_new(EDIT_APPEND, name, 0, value));
}

void
edits_replace(struct edits *edits, const struct headers *headers, const char *name,
	      const char *value)
{
	guint count = headers_count_of(headers, name);

	if (count == 0) {
		edits_append(edits, name, value);
		return;
	}
	edits_change(edits, name, 1, value);
	for (guint i = 2; i <= count; i++)
		edits_delete(edits, name, i);
}

void
edits_delete_all(struct edits *edits, const struct headers *headers, const char *name)
{
	guint count = headers_count_of(headers, name);

	for (guint i = 1; i <= count; i++)
		edits_delete(edits, name, i);
}

static const struct edit *
find_added(const struct edits *edits, enum edit_kind kind, const char *name)
{
	for (guint i = 0; i < edits->added->len; i++) {
		const struct edit *edit = g_ptr_array_index(edits->added, i);

		if (edit->kind == kind && g_ascii_strcasecmp(edit->name, name) == 0)
			return edit;
	}
	return NULL;
}

const char *
edits_current(const struct edits *edits, const struct headers *headers, const char *name)
{
	const struct edit *edit = find_added(edits, EDIT_TOP, name);
	guint count = headers_count_of(headers, name);

	for (guint i = 1; edit == NULL && i <= count; i++) {
		const struct edit *change = find_existing(edits, name, i);

		if (change == NULL)
			return headers_find(headers, name, i)->value;
		if (change->kind == EDIT_CHANGE)
			edit = change;
	}
	if (edit == NULL)
		edit = find_added(edits, EDIT_APPEND, name);
	return edit != NULL ? edit->value : NULL;
}

void
edits_drop_added(struct edits *edits, const char *name)
{
	for (guint i = edits->added->len; i > 0; i--) {
		const struct edit *edit = g_ptr_array_index(edits->added, i - 1);

		if (g_ascii_strcasecmp(edit->name, name) == 0)
			g_ptr_array_remove_index(edits->added, i - 1);
	}
}

void
edits_set_body(struct edits *edits, struct spool *sealed)
{
	spool_ref(sealed);
	spool_unref(edits->body);
	edits->body = sealed;
}

gboolean
edits_empty(const struct edits *edits)
{
	return edits->existing->len == 0 && edits->added->len == 0 && edits->body == NULL;
}

struct spool *
edits_body(const struct edits *edits)
{
	return edits->body;
}

static gint
by_occurrence_down(gconstpointer a, gconstpointer b)
{
	const struct edit *x = *(struct edit *const *)a;
	const struct edit *y = *(struct edit *const *)b;

	return (x->occurrence < y->occurrence) - (x->occurrence > y->occurrence);
}

guint
edits_count(struct edits *edits)
{
	return edits->existing->len + edits->added->len;
}

const struct edit *
edits_at(struct edits *edits, guint index)
{
	if (!edits->sorted) {
		g_ptr_array_sort(edits->existing, by_occurrence_down);
		edits->sorted = TRUE;
	}
	if (index < edits->existing->len)
		return g_ptr_array_index(edits->existing, index);
	return g_ptr_array_index(edits->added, index - edits->existing->len);
}

static gboolean
add_edit(struct headers *to, const struct edit *edit, GError **error)
{
	return headers_add(to, edit->name, edit->value, strlen(edit->value), error);
}

struct headers *
edits_apply_headers(struct edits *edits, const struct headers *headers, GError **error)
{
	CLEANUP(headers) struct headers *to = headers_new();

	for (guint i = edits->added->len; i > 0; i--) { /* the last one ends up above */
		const struct edit *edit = g_ptr_array_index(edits->added, i - 1);

		if (edit->kind == EDIT_TOP && !add_edit(to, edit, error))
			return NULL;
	}
	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);
		const struct edit *edit = find_existing(edits, field->name, field->occurrence);

		if (edit != NULL && edit->kind == EDIT_DELETE)
			continue;
		if (edit != NULL
			? !headers_add(to, field->name, edit->value, strlen(edit->value), error)
			: !headers_add(to, field->name, field->value, field->length, error))
			return NULL;
	}
	for (guint i = 0; i < edits->added->len; i++) {
		const struct edit *edit = g_ptr_array_index(edits->added, i);

		if (edit->kind == EDIT_APPEND && !add_edit(to, edit, error))
			return NULL;
	}
	return g_steal_pointer(&to);
}

gboolean
edits_apply_to_message(struct edits *edits, const struct headers *headers, struct spool *body,
		       struct sink *to, GError **error)
{
	CLEANUP(headers) struct headers *result = edits_apply_headers(edits, headers, error);

	if (result == NULL)
		return FALSE;
	return headers_write(result, to, error) && sink_write(to, "\r\n", 2, error) &&
	       spool_write(edits->body != NULL ? edits->body : body, to, error);
}

guint64
edits_message_size(struct edits *edits, const struct headers *headers, struct spool *body)
{
	CLEANUP(headers) struct headers *result = edits_apply_headers(edits, headers, NULL);

	if (result == NULL)
		return G_MAXUINT64; /* more than a header may hold */
	return headers_size(result) + 2 + spool_size(edits->body != NULL ? edits->body : body);
}
