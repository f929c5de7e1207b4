/* type_edit - see type_edit.h. */
#include "milter/mime/type_edit.h"

#include <string.h>

#include <gmime/gmime.h>

#include "milter/mime/content_type.h"

/* Same type, and of the parameters all but name the same; name itself is value (NULL: gone). */
static gboolean
says_the_same(const struct content_type *before, const char *raw_after, const char *name,
	      const char *value)
{
	CLEANUP(content_type) struct content_type *after = content_type_parse(raw_after);
	const char *now;

	if (after == NULL || strcmp(content_type_name(before), content_type_name(after)) != 0)
		return FALSE;
	now = content_type_parameter(after, name);
	return g_strcmp0(now, value) == 0 && content_type_equal_but(before, after, name);
}

/* Behind what is there, without the semicolon or blanks that it ends in. */
static char *
appended(const char *raw_value, const char *name, const char *value)
{
	gsize length = strlen(raw_value);

	while (length > 0 && strchr("; \t\r\n", raw_value[length - 1]) != NULL)
		length--;
	return g_strdup_printf("%.*s;\n %s=\"%s\"", (int)length, raw_value, name, value);
}

static char *
written_anew(const char *raw_value, const char *name, const char *value)
{
	g_autofree char *text = g_strdup(raw_value);
	g_autofree char *encoded = NULL;
	GMimeContentType *type;

	g_strdelimit(text, "\r\n", ' ');
	gmime_once();
	type = g_mime_content_type_parse(NULL, g_strstrip(text));
	if (type == NULL)
		return NULL;
	while (g_mime_param_list_remove(g_mime_content_type_get_parameters(type), name))
		;
	if (value != NULL)
		g_mime_content_type_set_parameter(type, name, value);
	encoded = g_mime_content_type_encode(type, NULL);
	g_object_unref(type);
	return g_strconcat(" ", g_strstrip(encoded), NULL);
}

static char *
edited(const char *raw_value, const char *name, const char *value)
{
	CLEANUP(content_type) struct content_type *before = content_type_parse(raw_value);
	g_autofree char *result = NULL;

	if (before == NULL)
		return NULL;
	if (value != NULL && content_type_parameter(before, name) == NULL) {
		result = appended(raw_value, name, value);
		if (says_the_same(before, result, name, value))
			return g_steal_pointer(&result);
		g_free(result);
	}
	result = written_anew(raw_value, name, value);
	return result != NULL && says_the_same(before, result, name, value)
		   ? g_steal_pointer(&result)
		   : NULL;
}

char *
type_with(const char *raw_value, const char *name, const char *value)
{
	return edited(raw_value, name, value);
}

char *
type_without(const char *raw_value, const char *name)
{
	return edited(raw_value, name, NULL);
}
