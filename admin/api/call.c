/*
 * call - arguments of a call, and pieces of its answer.
 */
#include "admin/api/call.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"

const char *
call_text(const struct call *call, const char *name)
{
	return json_string_value(json_object_get(call->arguments, name));
}

gboolean
call_flag(const struct call *call, const char *name)
{
	return json_is_true(json_object_get(call->arguments, name));
}

gint64
call_int(const struct call *call, const char *name, gint64 otherwise)
{
	const json_t *value = json_object_get(call->arguments, name);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

gboolean
call_time(const struct call *call, const char *name, gint64 *seconds)
{
	const char *text = call_text(call, name);

	/* Its form has been checked with all arguments. */
	return text != NULL && clock_parse(text, seconds, NULL);
}

GStrv
call_list(const struct call *call, const char *name)
{
	const json_t *array = json_object_get(call->arguments, name);
	gsize count = json_array_size(array);
	GStrv list = g_new0(char *, count + 1);

	for (gsize i = 0; i < count; i++)
		list[i] = g_strdup(json_string_value(json_array_get(array, i)));
	return list;
}

struct secret *
call_password(const struct call *call, const char *name)
{
	const char *text = call_text(call, name);

	return text != NULL ? secret_new_text(text) : NULL;
}

struct mailaddr *
call_address(const struct call *call, const char *name, GError **error)
{
	const char *text = call_text(call, name);

	if (text == NULL)
		return fail(error, PS_ERROR_USAGE, "%s is missing", name);
	struct mailaddr *address = mailaddr_parse(text, error);
	if (address == NULL)
		error_to_usage(error);
	return address;
}

/* One file or several, under the same name. */
static const json_t *
file_at(const struct call *call, const char *name, gsize index)
{
	const json_t *value = json_object_get(call->arguments, name);

	if (json_is_array(value))
		return json_array_get(value, index);
	return index == 0 ? value : NULL;
}

gsize
call_file_count(const struct call *call, const char *name)
{
	const json_t *value = json_object_get(call->arguments, name);

	if (json_is_array(value))
		return json_array_size(value);
	return value != NULL ? 1 : 0;
}

/* Private keys come in files, too. */
struct wiped {
	guchar *bytes;
	gsize length;
};

static void
wiped_free(gpointer data)
{
	struct wiped *wiped = data;

	wipe(wiped->bytes, wiped->length);
	g_free(wiped->bytes);
	g_free(wiped);
}

GBytes *
call_file(const struct call *call, const char *name, gsize index, const char **name_out,
	  GError **error)
{
	const json_t *file = file_at(call, name, index);
	const char *text = json_string_value(json_object_get(file, "content"));
	gsize length;

	*name_out = json_string_value(json_object_get(file, "name"));
	if (text == NULL || *name_out == NULL)
		return fail(error, PS_ERROR_INVALID, "%s: no file given", name);
	guchar *bytes = g_base64_decode(text, &length);
	if (length == 0 && *text != '\0') {
		g_free(bytes);
		return fail(error, PS_ERROR_INVALID, "%s: its content is not base64", *name_out);
	}
	struct wiped *wiped = g_new0(struct wiped, 1);
	*wiped = (struct wiped){ bytes, length };
	return g_bytes_new_with_free_func(bytes, length, wiped_free, wiped);
}

gboolean
call_is_sure(struct call *call, json_t **answer, const char *format, ...)
{
	va_list arguments;

	if (call_flag(call, "yes"))
		return TRUE;
	va_start(arguments, format);
	g_autofree char *question = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	*answer = json_object();
	json_object_set_new(*answer, "confirm", answer_text(question));
	call->exit_status = 1;
	return FALSE;
}

json_t *
answer_list(json_t *items, const char *next_or_null)
{
	json_t *answer = json_object();

	json_object_set_new(answer, "items", items);
	if (next_or_null != NULL)
		json_object_set_new(answer, "next", json_string(next_or_null));
	return answer;
}

json_t *
answer_file(const char *name, GBytes *content)
{
	gsize length;
	const guchar *bytes = g_bytes_get_data(content, &length);
	char *text = g_base64_encode(bytes, length);
	json_t *file = json_pack("{s:s, s:s}", "name", name, "content", text);

	wipe(text, strlen(text));
	g_free(text);
	return file;
}

json_t *
answer_time(gint64 seconds)
{
	if (seconds == CLOCK_NEVER || seconds == 0)
		return json_null();
	g_autofree char *text = clock_format(seconds);
	return json_string(text);
}

json_t *
answer_text(const char *text_or_null)
{
	if (text_or_null == NULL)
		return json_null();
	json_t *value = json_string(text_or_null);
	if (value != NULL)
		return value;
	/* Not UTF-8: what is in the store came from strangers. */
	g_autofree char *mended = g_utf8_make_valid(text_or_null, -1);
	return json_string(mended);
}

json_t *
answer_texts(const char *const *texts_or_null)
{
	json_t *array = json_array();

	for (; texts_or_null != NULL && *texts_or_null != NULL; texts_or_null++)
		json_array_append_new(array, answer_text(*texts_or_null));
	return array;
}
