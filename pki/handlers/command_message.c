/*
 * command_message - JSON out, JSON in.
 */
#include "pki/handlers/command_message.h"

#include <jansson.h>
#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/csr.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/base/secret.h"
#include "store/requests.h"

#define HANDLE_MAX_BYTES 4000
#define TEXT_MAX_BYTES 2000

static json_t *
text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static json_t *
request_document(const struct request_row *request)
{
	json_t *document = json_object();
	json_t *names = json_array();
	g_autofree char *pem = request->csr != NULL ? csr_to_pem(request->csr) : NULL;
	gboolean lost =
	    g_strcmp0(request->error_class, handler_error_class_name(HANDLER_ERROR_CONFLICT)) == 0;

	for (guint i = 0; request->names != NULL && request->names[i] != NULL; i++)
		json_array_append_new(names, json_string(request->names[i]));
	json_object_set_new(document, "id", json_integer(request->id));
	json_object_set_new(document, "email", text_or_null(request->email));
	json_object_set_new(document, "common_name", text_or_null(request->common_name));
	json_object_set_new(document, "organisation", text_or_null(request->organisation));
	json_object_set_new(document, "first_name", text_or_null(request->first_name));
	json_object_set_new(document, "last_name", text_or_null(request->last_name));
	json_object_set_new(document, "names", names);
	json_object_set_new(document, "profile", text_or_null(request->profile));
	json_object_set_new(document, "key", text_or_null(request->key));
	json_object_set_new(document, "key_use", text_or_null(request->key_use));
	json_object_set_new(document, "digest", text_or_null(request->digest));
	json_object_set_new(document, "validity_days", json_integer(request->validity_days));
	json_object_set_new(document, "renews", text_or_null(request->renews));
	json_object_set_new(document, "csr", text_or_null(pem));
	json_object_set_new(document, "handle", text_or_null(request->handle));
	json_object_set_new(document, "answer_was_lost", json_boolean(lost));
	return document;
}

static json_t *
revocation_document(const struct handler_revocation *revocation)
{
	g_autoptr(GPtrArray) certs = g_ptr_array_new();
	g_autoptr(GBytes) pem = NULL;
	json_t *document = json_object();

	g_ptr_array_add(certs, (gpointer)revocation->cert);
	pem = bundle_write_pem(certs, NULL);
	json_object_set_new(document, "serial", text_or_null(revocation->serial));
	json_object_set_new(document, "handle", text_or_null(revocation->handle));
	json_object_set_new(document, "reason", text_or_null(revocation->reason));
	json_object_set_new(document, "certificate",
			    pem != NULL
				? json_stringn(g_bytes_get_data(pem, NULL), g_bytes_get_size(pem))
				: json_null());
	return document;
}

static json_t *
settings_document(const struct handler_config *config)
{
	const char *const *words = handler_config_list(config, "settings");
	struct secret *secret = handler_config_secret(config, "secret");
	json_t *document = json_object();
	json_t *values = json_object();

	for (; *words != NULL; words++) {
		const char *equals = strchr(*words, '=');
		g_autofree char *name =
		    g_strndup(*words, equals != NULL ? (gsize)(equals - *words) : strlen(*words));
		json_object_set_new(values, name, json_string(equals != NULL ? equals + 1 : ""));
	}
	json_object_set_new(document, "values", values);
	json_object_set_new(document, "secret",
			    secret != NULL
				? json_stringn(secret_bytes(secret), secret_length(secret))
				: json_null());
	return document;
}

struct wiped {
	gsize length;
	char *text;
};

static void
wiped_free(gpointer data)
{
	struct wiped *wiped = data;

	wipe(wiped->text, wiped->length);
	g_free(wiped->text);
	g_free(wiped);
}

/* jansson's own memory is wiped by the program that uses it. */
static GBytes *
written(json_t *document, GError **error)
{
	size_t length = json_dumpb(document, NULL, 0, JSON_COMPACT);
	struct wiped *wiped = g_new0(struct wiped, 1);

	wiped->length = length + 1;
	wiped->text = g_malloc0(wiped->length);
	json_dumpb(document, wiped->text, length, JSON_COMPACT);
	json_decref(document);
	wiped->text[length] = '\n';
	if (length > 0)
		return g_bytes_new_with_free_func(wiped->text, length + 1, wiped_free, wiped);
	wiped_free(wiped);
	return fail(error, PS_ERROR_INVALID, "the question cannot be written as JSON");
}

GBytes *
command_question(const char *action, const struct handler_context *context,
		 const struct request_row *request, const struct handler_revocation *revocation,
		 GError **error)
{
	json_t *document = json_object();

	json_object_set_new(document, "version", json_integer(1));
	json_object_set_new(document, "action", json_string(action));
	json_object_set_new(document, "configuration",
			    json_string(handler_config_name(context->config)));
	json_object_set_new(document, "settings", settings_document(context->config));
	if (request != NULL)
		json_object_set_new(document, "request", request_document(request));
	if (revocation != NULL)
		json_object_set_new(document, "revocation", revocation_document(revocation));
	return written(document, error);
}

/* --- the answer --- */

static const char *
text_of(const json_t *document, const char *name, gsize most, GError **error)
{
	const json_t *value = json_object_get(document, name);
	const char *text = json_string_value(value);

	if (value != NULL && !json_is_null(value) && text == NULL)
		return fail(error, PS_ERROR_INVALID, "'%s' is no text", name);
	if (text != NULL && strlen(text) > most)
		return fail(error, PS_ERROR_INVALID, "'%s' is longer than %zu bytes", name, most);
	return text;
}

static gboolean
read_status(const json_t *document, struct handler_answer *answer, GError **error)
{
	static const struct {
		const char *name;
		enum handler_status status;
		enum handler_error_class error_class;
	} statuses[] = {
		{ "issued", HANDLER_ISSUED, HANDLER_ERROR_NONE },
		{ "pending", HANDLER_PENDING, HANDLER_ERROR_NONE },
		{ "rejected", HANDLER_REJECTED, HANDLER_ERROR_INPUT },
		{ "retry", HANDLER_RETRY, HANDLER_ERROR_TRANSIENT },
		{ "misconfigured", HANDLER_REJECTED, HANDLER_ERROR_CONFIG },
		{ "unknown", HANDLER_RETRY, HANDLER_ERROR_CONFLICT },
	};
	const char *status = json_string_value(json_object_get(document, "status"));

	for (gsize i = 0; status != NULL && i < G_N_ELEMENTS(statuses); i++)
		if (strcmp(statuses[i].name, status) == 0) {
			answer->status = statuses[i].status;
			answer->error_class = statuses[i].error_class;
			return TRUE;
		}
	return fail_false(error, PS_ERROR_INVALID,
			  "'status' is not issued, pending, rejected, retry, misconfigured or "
			  "unknown");
}

static gboolean
read_certs(const json_t *document, struct handler_answer *answer, GError **error)
{
	const char *text = text_of(document, "certificates", COMMAND_OUTPUT_MAX_BYTES, error);

	if (text == NULL)
		return *error == NULL;
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	CLEANUP(bundle)
	struct bundle *bundle = bundle_read(bytes, "'certificates'", NULL, error);
	if (bundle == NULL)
		return FALSE;
	answer->certs = g_ptr_array_ref(bundle->certs);
	return TRUE;
}

static gboolean
read_rest(const json_t *document, gint64 now, struct handler_answer *answer, GError **error)
{
	const json_t *after = json_object_get(document, "retry_after");

	if (after != NULL && !json_is_integer(after))
		return fail_false(error, PS_ERROR_INVALID, "'retry_after' is no number of seconds");
	if (after != NULL)
		answer->not_before =
		    now + CLAMP((gint64)json_integer_value(after), 1, G_GINT64_CONSTANT(86400));
	const char *handle = text_of(document, "handle", HANDLE_MAX_BYTES, error);
	const char *code = *error == NULL ? text_of(document, "code", TEXT_MAX_BYTES, error) : NULL;
	const char *text = *error == NULL ? text_of(document, "text", TEXT_MAX_BYTES, error) : NULL;
	if (*error != NULL)
		return FALSE;
	answer->handle = g_strdup(handle);
	answer->code = g_strdup(code);
	answer->text = g_strdup(text);
	return TRUE;
}

gboolean
command_answer_read(GBytes *output, gint64 now, struct handler_answer *answer, GError **error)
{
	json_error_t problem;
	gsize length;
	const char *bytes = g_bytes_get_data(output, &length);
	json_t *document =
	    json_loadb(bytes != NULL ? bytes : "", length, JSON_REJECT_DUPLICATES, &problem);
	g_autoptr(GError) why = NULL;

	if (!json_is_object(document))
		fail_false(&why, PS_ERROR_INVALID, "it is no JSON object");
	gboolean good = why == NULL && read_status(document, answer, &why) &&
			read_rest(document, now, answer, &why) &&
			read_certs(document, answer, &why);
	json_decref(document);
	if (good)
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID, "the program's answer cannot be used: %s",
			  why->message);
}
