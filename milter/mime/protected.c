/* protected - see protected.h. */
#include "milter/mime/protected.h"

void
protected_free(struct protected *protected)
{
	if (protected == NULL)
		return;
	g_ptr_array_unref(protected->fields);
	g_free(protected);
}

struct protected *
protected_read(const struct mime_tree *payload, const struct headers *outer, gboolean by_signature,
	       gboolean by_encryption)
{
	(void)payload, (void)outer, (void)by_signature, (void)by_encryption;
	return NULL;
}

const struct protected_field *
protected_find(const struct protected *protected, const char *name)
{
	const struct protected_field *found = NULL;

	for (guint i = 0; i < protected->fields->len; i++) {
		const struct protected_field *field = protected->fields->pdata[i];

		if (g_ascii_strcasecmp(field->name, name) != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = field;
	}
	return found;
}

gboolean
protected_author_differs(const struct protected *protected, const struct mailaddr *outer)
{
	(void)protected, (void)outer;
	return FALSE;
}

gboolean
protected_show(const struct protected *protected, const struct headers *outer,
	       const struct words *words, struct edits *edits)
{
	(void)protected, (void)outer, (void)words, (void)edits;
	return FALSE;
}

const char *
protected_scheme_name(enum protected_scheme scheme)
{
	static const char *const names[] = { "hp", "protected-headers", "wrapped" };

	return names[scheme];
}

const char *
protected_state_name(enum protected_state state)
{
	static const char *const names[] = { "signed", "encrypted", "signed-and-encrypted",
					     "neither" };

	return names[state];
}
