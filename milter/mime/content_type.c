/*
 * content_type - GMime's parser behind plain data.
 */
#include "milter/mime/content_type.h"

#include <string.h>

#include <gmime/gmime.h>

#define PARAMETERS_MAX 64

struct content_type {
	char *name;
	GPtrArray *parameters; /* char *: name, value, name, value … */
};

void
gmime_once(void)
{
	static gsize done;

	if (g_once_init_enter(&done)) {
		g_mime_init();
		g_once_init_leave(&done, 1);
	}
}

static char *
unfold(const char *raw_value)
{
	char *text = g_strdup(raw_value);

	g_strdelimit(text, "\r\n", ' ');
	return g_strstrip(text);
}

static struct content_type *
content_type_new(char *name, GMimeParamList *list)
{
	struct content_type *type = g_new0(struct content_type, 1);
	int count = list != NULL ? g_mime_param_list_length(list) : 0;

	type->name = name;
	type->parameters = g_ptr_array_new_with_free_func(g_free);
	for (int i = 0; i < MIN(count, PARAMETERS_MAX); i++) {
		GMimeParam *parameter = g_mime_param_list_get_parameter_at(list, i);
		const char *value = g_mime_param_get_value(parameter);

		g_ptr_array_add(type->parameters,
				g_ascii_strdown(g_mime_param_get_name(parameter), -1));
		g_ptr_array_add(type->parameters, g_strdup(value != NULL ? value : ""));
	}
	return type;
}

/* RFC 2045 5.1: a token on each side of the slash. GMime turns what it cannot read into
 * application/octet-stream, which a sender may also have meant. */
static gboolean
begins_like_a_type(const char *text)
{
	gsize type = strcspn(text, "/ \t;\"()<>@,\\:?=[]");
	gsize subtype;

	if (type == 0)
		return FALSE;
	text += type;
	text += strspn(text, " \t");
	if (*text++ != '/')
		return FALSE;
	text += strspn(text, " \t");
	subtype = strcspn(text, "/ \t;\"()<>@,\\:?=[]");
	text += subtype;
	text += strspn(text, " \t");
	return subtype > 0 && (*text == '\0' || *text == ';' || *text == '(');
}

/* --- the plain syntax that nearly all mail has --- */

static gsize
token_length(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "!#$&+-^_.{|}~");
}

static const char *
skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* "; name=value" at *text; FALSE for anything that is not plain. */
static gboolean
take_plain_parameter(const char **text, GPtrArray *parameters)
{
	const char *name = skip_blanks(*text + 1);
	gsize name_length = token_length(name);
	const char *value = name + name_length + 1;
	gsize length;

	if (name_length == 0 || name[name_length] != '=')
		return FALSE;
	if (*value == '"') {
		length = strcspn(++value, "\"\\");
		if (value[length] != '"' || length == 0)
			return FALSE;
		*text = skip_blanks(value + length + 1);
	} else {
		length = token_length(value);
		*text = skip_blanks(value + length);
	}
	if (length == 0 || (**text != '\0' && **text != ';') ||
	    parameters->len >= 2 * PARAMETERS_MAX)
		return FALSE;
	g_ptr_array_add(parameters, g_ascii_strdown(name, (gssize)name_length));
	g_ptr_array_add(parameters, g_strndup(value, length));
	return TRUE;
}

/* NULL where GMime has to look: comments, RFC 2231, escapes, encoded words, 8-bit, faults. */
static struct content_type *
parse_plain(const char *text)
{
	gsize type = token_length(text);
	gsize subtype = text[type] == '/' ? token_length(text + type + 1) : 0;
	const char *at;
	struct content_type *plain;

	if (type == 0 || subtype == 0 || !g_str_is_ascii(text) || strstr(text, "=?") != NULL)
		return NULL;
	at = skip_blanks(text + type + 1 + subtype);
	plain = g_new0(struct content_type, 1);
	plain->name = g_ascii_strdown(text, (gssize)(type + 1 + subtype));
	plain->parameters = g_ptr_array_new_with_free_func(g_free);
	while (*at == ';' && take_plain_parameter(&at, plain->parameters))
		;
	if (*at != '\0') {
		content_type_free(plain);
		return NULL;
	}
	for (guint i = 0; i < plain->parameters->len; i += 2) {
		if (content_type_parameter(plain, plain->parameters->pdata[i]) ==
		    plain->parameters->pdata[i + 1])
			continue;
		content_type_free(plain); /* a name twice */
		return NULL;
	}
	return plain;
}

struct content_type *
content_type_parse(const char *raw_value)
{
	g_autofree char *text = unfold(raw_value);
	GMimeContentType *parsed;
	struct content_type *type;
	g_autofree char *name = NULL;

	type = parse_plain(text);
	if (type != NULL)
		return type;
	gmime_once();
	if (!begins_like_a_type(text))
		return NULL;
	parsed = g_mime_content_type_parse(NULL, text);
	if (parsed == NULL)
		return NULL;
	name = g_mime_content_type_get_mime_type(parsed);
	type =
	    content_type_new(g_ascii_strdown(name, -1), g_mime_content_type_get_parameters(parsed));
	g_object_unref(parsed);
	return type;
}

struct content_type *
content_disposition_parse(const char *raw_value)
{
	g_autofree char *text = unfold(raw_value);
	GMimeContentDisposition *parsed;
	const char *name;
	struct content_type *type = NULL;

	gmime_once();
	parsed = g_mime_content_disposition_parse(NULL, text);
	if (parsed == NULL)
		return NULL;
	name = g_mime_content_disposition_get_disposition(parsed);
	if (name != NULL)
		type = content_type_new(g_ascii_strdown(name, -1),
					g_mime_content_disposition_get_parameters(parsed));
	g_object_unref(parsed);
	return type;
}

void
content_type_free(struct content_type *type)
{
	if (type == NULL)
		return;
	g_ptr_array_unref(type->parameters);
	g_free(type->name);
	g_free(type);
}

const char *
content_type_name(const struct content_type *type)
{
	return type->name;
}

const char *
content_type_parameter(const struct content_type *type, const char *name)
{
	for (guint i = 0; i < type->parameters->len; i += 2)
		if (g_ascii_strcasecmp(type->parameters->pdata[i], name) == 0)
			return type->parameters->pdata[i + 1];
	return NULL;
}

static gboolean
has_all_but(const struct content_type *a, const struct content_type *b, const char *name)
{
	for (guint i = 0; i < a->parameters->len; i += 2) {
		const char *value;

		if (g_ascii_strcasecmp(a->parameters->pdata[i], name) == 0)
			continue;
		value = content_type_parameter(b, a->parameters->pdata[i]);
		if (value == NULL ||
		    strcmp(value, content_type_parameter(a, a->parameters->pdata[i])) != 0)
			return FALSE;
	}
	return TRUE;
}

gboolean
content_type_equal_but(const struct content_type *a, const struct content_type *b, const char *name)
{
	return has_all_but(a, b, name) && has_all_but(b, a, name);
}

gboolean
content_type_equal(const struct content_type *a, const struct content_type *b)
{
	if (strcmp(a->name, b->name) != 0 || a->parameters->len != b->parameters->len)
		return FALSE;
	for (guint i = 0; i < a->parameters->len; i += 2) {
		const char *value = content_type_parameter(b, a->parameters->pdata[i]);

		if (value == NULL || strcmp(value, a->parameters->pdata[i + 1]) != 0)
			return FALSE;
	}
	return TRUE;
}
