/*
 * arguments - checks against the table of operations.
 */
#include "admin/api/arguments.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"

#define TEXT_MAX_BYTES 65536

gboolean
argument_in_choice(const struct argument *argument, const char *word)
{
	g_auto(GStrv) words = g_strsplit(argument->meta, "|", -1);

	return g_strv_contains((const char *const *)words, word);
}

static gboolean
is_file(const json_t *value)
{
	return json_is_string(json_object_get(value, "name")) &&
	       json_is_string(json_object_get(value, "content"));
}

static gboolean
all_of(const json_t *array, gboolean (*test)(const json_t *))
{
	if (!json_is_array(array))
		return FALSE;
	for (gsize i = 0; i < json_array_size(array); i++)
		if (!test(json_array_get(array, i)))
			return FALSE;
	return TRUE;
}

static gboolean
is_text(const json_t *value)
{
	return json_is_string(value) && json_string_length(value) <= TEXT_MAX_BYTES &&
	       strlen(json_string_value(value)) == json_string_length(value);
}

static gboolean
type_fits(const struct argument *argument, const json_t *value)
{
	switch (argument->type) {
	case ARGUMENT_TEXT:
	case ARGUMENT_TIME:
	case ARGUMENT_CHOICE:
	case ARGUMENT_PASSWORD:
	case ARGUMENT_PATH:
		return is_text(value);
	case ARGUMENT_FLAG:
		return json_is_boolean(value);
	case ARGUMENT_INT:
		return json_is_integer(value);
	case ARGUMENT_LIST:
	case ARGUMENT_PATHS:
		return all_of(value, is_text);
	case ARGUMENT_FILE:
		return is_file(value);
	case ARGUMENT_FILES:
		return all_of(value, is_file);
	}
	return FALSE;
}

static gboolean
check_value(const struct argument *argument, const json_t *value, enum arguments_source source,
	    GError **error)
{
	gint64 seconds;
	gboolean is_path = argument->type == ARGUMENT_PATH || argument->type == ARGUMENT_PATHS;

	if (!type_fits(argument, value))
		return fail_false(error, PS_ERROR_INVALID, "--%s has a value of the wrong kind",
				  argument->name);
	if (is_path && source == ARGUMENTS_FROM_SOCKET)
		return fail_false(error, PS_ERROR_DENIED,
				  "--%s names a file of this host: run the command as root",
				  argument->name);
	if (argument->type == ARGUMENT_CHOICE &&
	    !argument_in_choice(argument, json_string_value(value))) {
		g_autofree char *safe = printable(json_string_value(value));
		return fail_false(error, PS_ERROR_INVALID, "--%s: '%s' is none of %s",
				  argument->name, safe, argument->meta);
	}
	if (argument->type == ARGUMENT_INT && strcmp(argument->meta, "DAYS") == 0 &&
	    json_integer_value(value) < 1)
		return fail_false(error, PS_ERROR_INVALID, "--%s takes a number of days from 1 on",
				  argument->name);
	if (argument->type == ARGUMENT_TIME)
		return clock_parse(json_string_value(value), &seconds, error);
	return TRUE;
}

static gboolean
fail_unknown(const struct operation *operation, const char *name, GError **error)
{
	const char *nearest = operation_nearest_option(operation, name);
	g_autofree char *safe = printable(name);

	if (nearest == NULL)
		return fail_false(error, PS_ERROR_INVALID, "unknown option '--%s'", safe);
	return fail_false(error, PS_ERROR_INVALID, "unknown option '--%s', did you mean '--%s'?",
			  safe, nearest);
}

gboolean
arguments_check(const struct operation *operation, const json_t *arguments,
		enum arguments_source source, GError **error)
{
	const char *name;
	json_t *value;

	if (!json_is_object(arguments))
		return fail_false(error, PS_ERROR_INVALID, "the arguments are no JSON object");
	json_object_foreach((json_t *)arguments, name, value)
	{
		const struct argument *argument = operation_argument(operation, name);

		if (argument == NULL)
			return fail_unknown(operation, name, error);
		if (!check_value(argument, value, source, error))
			return FALSE;
	}
	for (const struct argument *a = operation->arguments; a->name != NULL; a++) {
		value = json_object_get(arguments, a->name);
		if (a->required &&
		    (value == NULL || (json_is_array(value) && json_array_size(value) == 0)))
			return fail_false(error, PS_ERROR_INVALID, "%s is missing",
					  a->place == ARGUMENT_OPTION ? a->name : a->meta);
	}
	return TRUE;
}

static json_t *
text_to_int(const struct argument *argument, const char *text, GError **error)
{
	gint64 number;

	if (!g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &number, NULL)) {
		g_autofree char *safe = printable(text);
		return fail(error, PS_ERROR_INVALID, "--%s: '%s' is not a number", argument->name,
			    safe);
	}
	return json_integer(number);
}

static json_t *
texts_to_value(const struct argument *argument, const GPtrArray *texts, GError **error)
{
	const char *last = g_ptr_array_index(texts, texts->len - 1);
	json_t *value = NULL;

	switch (argument->type) {
	case ARGUMENT_FLAG:
		return json_boolean(strcmp(last, "0") != 0 && strcmp(last, "false") != 0);
	case ARGUMENT_INT:
		return text_to_int(argument, last, error);
	case ARGUMENT_LIST:
	case ARGUMENT_PATHS:
		value = json_array();
		for (guint i = 0; i < texts->len; i++)
			json_array_append_new(value, json_string(g_ptr_array_index(texts, i)));
		return value;
	case ARGUMENT_FILE:
	case ARGUMENT_FILES:
		return fail(error, PS_ERROR_INVALID, "--%s takes a file", argument->name);
	case ARGUMENT_TEXT:
	case ARGUMENT_TIME:
	case ARGUMENT_CHOICE:
	case ARGUMENT_PASSWORD:
	case ARGUMENT_PATH:
		break;
	}
	value = json_string(last);
	return value != NULL ? value
			     : fail(error, PS_ERROR_INVALID, "--%s is not UTF-8", argument->name);
}

json_t *
arguments_from_texts(const struct operation *operation, GHashTable *texts, GError **error)
{
	json_t *arguments = json_object();
	GHashTableIter at;
	gpointer name;
	gpointer values;

	g_hash_table_iter_init(&at, texts);
	while (g_hash_table_iter_next(&at, &name, &values)) {
		const struct argument *argument = operation_argument(operation, name);
		json_t *value = NULL;

		if (argument == NULL)
			fail_unknown(operation, name, error);
		else
			value = texts_to_value(argument, values, error);
		if (value == NULL) {
			json_decref(arguments);
			return NULL;
		}
		json_object_set_new(arguments, name, value);
	}
	return arguments;
}

json_t *
arguments_without_secrets(const struct operation *operation, const json_t *arguments)
{
	json_t *copy = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)arguments, name, value)
	{
		const struct argument *argument = operation_argument(operation, name);

		if (argument != NULL && argument->type != ARGUMENT_PASSWORD)
			json_object_set(copy, name, value);
	}
	return copy;
}
