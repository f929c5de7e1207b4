/*
 * explain_text - shortens.
 */
#include "admin/cli/explain_text.h"

#include <glib.h>
#include <string.h>

/* [{"name", "value", "scope"}, …] becomes {"name": "value (scope)"} of those that were set. */
static json_t *
own_preferences(const json_t *list)
{
	json_t *object = json_object();

	for (gsize i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		const char *scope = json_string_value(json_object_get(row, "scope"));
		const char *name = json_string_value(json_object_get(row, "name"));
		const char *value = json_string_value(json_object_get(row, "value"));

		if (scope == NULL || name == NULL || strcmp(scope, "default") == 0)
			continue;
		g_autofree char *text =
		    g_strdup_printf("%s (%s)", value != NULL ? value : "", scope);
		json_object_set_new(object, name, json_string(text));
	}
	return object;
}

static gboolean
says_nothing(const json_t *value)
{
	if (json_is_null(value))
		return TRUE;
	if (json_is_string(value))
		return json_string_length(value) == 0;
	if (json_is_array(value))
		return json_array_size(value) == 0;
	return json_is_object(value) && json_object_size(value) == 0;
}

static json_t *
shorten(const char *name, const json_t *value)
{
	const char *key;
	json_t *member;
	json_t *copy;

	if (name != NULL && strcmp(name, "preferences") == 0 && json_is_array(value))
		return own_preferences(value);
	if (json_is_array(value)) {
		copy = json_array();
		for (gsize i = 0; i < json_array_size(value); i++)
			json_array_append_new(copy, shorten(NULL, json_array_get(value, i)));
		return copy;
	}
	if (!json_is_object(value))
		return json_incref((json_t *)value);
	copy = json_object();
	json_object_foreach((json_t *)value, key, member)
	{
		json_t *shorter = shorten(key, member);

		if (says_nothing(shorter))
			json_decref(shorter);
		else
			json_object_set_new(copy, key, shorter);
	}
	return copy;
}

json_t *
explain_text_shorten(const json_t *answer)
{
	json_t *copy = shorten(NULL, answer);

	json_object_del(copy, "ruling");
	return copy;
}
