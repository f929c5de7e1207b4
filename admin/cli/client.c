/*
 * client - the two ways to have an operation done.
 */
#include "admin/cli/client.h"

#include <errno.h>
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pki/net/http.h"
#include "admin/api/json_memory.h"
#include "store/base/error.h"
#include "store/base/secret.h"

#define ANSWER_MAX_BYTES (256 * 1024 * 1024)
#define READ_TIMEOUT_MS (5 * 60 * 1000)
#define CHANGE_TIMEOUT_MS (60 * 60 * 1000)
#define TRIES 3
#define TRY_AGAIN_US (300 * 1000)

struct client {
	struct http_client *http;
	char *socket_path;
	char *config_path;
};

struct client *
client_new(const char *socket_path, const char *config_path)
{
	struct client *client = g_new0(struct client, 1);

	client->http = http_client_new();
	client->socket_path = g_strdup(socket_path);
	client->config_path = g_strdup(config_path);
	return client;
}

void
client_free(struct client *client)
{
	if (client == NULL)
		return;
	http_client_free(client->http);
	g_free(client->socket_path);
	g_free(client->config_path);
	g_free(client);
}

void
client_answer_clear(struct client_answer *answer)
{
	json_decref(answer->document);
	g_free(answer->problem);
	memset(answer, 0, sizeof *answer);
}

gboolean
client_is_local(const struct operation *operation)
{
	return operation->place == PLACE_LOCAL && geteuid() == 0;
}

static void fail_answer(struct client_answer *answer, enum client_exit exit_status,
			const char *format, ...) G_GNUC_PRINTF(3, 4);

static void
fail_answer(struct client_answer *answer, enum client_exit exit_status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	answer->problem = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	answer->exit_status = exit_status;
}

/* Takes the document; an "error" in it becomes the problem. */
static void
take_document(struct client_answer *answer, json_t *document, int exit_status)
{
	const json_t *error = json_object_get(document, "error");
	const char *message = json_string_value(json_object_get(error, "message"));

	/* A request or a job has an "error" too, but as text. */
	if (!json_is_object(error)) {
		answer->document = document;
		answer->exit_status = (enum client_exit)exit_status;
		return;
	}
	fail_answer(answer, exit_status != 0 ? (enum client_exit)exit_status : CLIENT_EXIT_FAILED,
		    "%s", message != NULL ? message : "the daemon gave no reason");
	json_decref(document);
}

/* --- over the socket --- */

static void
append_query(GString *url, const char *name, const json_t *value)
{
	g_autofree char *text = NULL;

	if (json_is_array(value)) {
		for (gsize i = 0; i < json_array_size(value); i++)
			append_query(url, name, json_array_get(value, i));
		return;
	}
	if (json_is_string(value))
		text = http_escape(json_string_value(value));
	else if (json_is_integer(value))
		text = g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		text = g_strdup(json_is_true(value) ? "1" : "0");
	g_string_append_printf(url, "%c%s=%s", strchr(url->str, '?') == NULL ? '?' : '&', name,
			       text);
}

static char *
url_of(const struct operation *operation, const json_t *arguments)
{
	GString *url = g_string_new("http://postseal/v1/");
	const char *name;
	json_t *value;

	if (*operation->noun != '\0')
		g_string_append_printf(url, "%s/", operation->noun);
	g_string_append(url, operation->verb);
	if (operation->method == METHOD_READ)
		json_object_foreach((json_t *)arguments, name, value)
		    append_query(url, name, value);
	return g_string_free(url, FALSE);
}

static void
free_body(gpointer text)
{
	json_memory_free(text);
}

static GBytes *
body_of(const struct operation *operation, const json_t *arguments)
{
	if (operation->method == METHOD_READ)
		return NULL;
	char *text = json_dumps(arguments, JSON_COMPACT);
	return g_bytes_new_with_free_func(text, strlen(text), free_body, text);
}

/* FALSE when there is no point in trying. */
static gboolean
check_socket(const struct client *client, struct client_answer *answer)
{
	if (access(client->socket_path, R_OK | W_OK) == 0)
		return TRUE;
	if (errno == EACCES)
		fail_answer(answer, CLIENT_EXIT_DENIED,
			    "%s: not permitted: become a member of one of the gateway's groups "
			    "(settings api_group_...)",
			    client->socket_path);
	else
		fail_answer(answer, CLIENT_EXIT_UNREACHABLE,
			    "the daemon is not reachable at %s: %s; is postseald running?",
			    client->socket_path, g_strerror(errno));
	return FALSE;
}

static struct http_answer *
send_repeatedly(struct client *client, const struct http_request *request, GError **error)
{
	for (int try = 1;; try++) {
		g_autoptr(GError) problem = NULL;
		struct http_answer *answer = http_send(client->http, request, &problem);

		if (answer != NULL)
			return answer;
		if (try == TRIES || !g_error_matches(problem, PS_ERROR, PS_ERROR_TEMPORARY)) {
			g_propagate_error(error, g_steal_pointer(&problem));
			return NULL;
		}
		g_usleep(TRY_AGAIN_US);
	}
}

static void
take_http_answer(const struct http_answer *http, struct client_answer *answer)
{
	const char *exit_text = g_hash_table_lookup(http->headers, "postseal-exit");
	gsize length;
	const char *text = g_bytes_get_data(http->body, &length);
	json_t *document = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
	gint64 exit_status = 0;

	if (document == NULL) {
		fail_answer(answer, CLIENT_EXIT_FAILED,
			    "what answers there is not postseald (HTTP status %u)", http->status);
		return;
	}
	if (exit_text != NULL)
		(void)g_ascii_string_to_signed(exit_text, 10, 0, 5, &exit_status, NULL);
	take_document(answer, document, (int)exit_status);
}

static void
call_daemon(struct client *client, const struct operation *operation, const json_t *arguments,
	    struct client_answer *answer)
{
	g_autofree char *url = url_of(operation, arguments);
	g_autofree char *id = g_uuid_string_random();
	g_autofree char *id_line = g_strconcat("Postseal-Request: ", id, NULL);
	const char *const headers[] = { id_line, NULL };
	g_autoptr(GBytes) body = body_of(operation, arguments);
	g_autoptr(GError) problem = NULL;
	gboolean is_read = operation->method == METHOD_READ;
	struct http_request request = {
		.method = is_read ? "GET" : "POST",
		.url = url,
		.unix_socket = client->socket_path,
		.content_type = is_read ? NULL : "application/json",
		.body = body,
		.headers = operation->method == METHOD_CHANGE ? headers : NULL,
		.answer_max_bytes = ANSWER_MAX_BYTES,
		.timeout_ms = is_read ? READ_TIMEOUT_MS : CHANGE_TIMEOUT_MS,
	};

	if (!check_socket(client, answer))
		return;
	CLEANUP(http_answer) struct http_answer *http = send_repeatedly(client, &request, &problem);
	if (http == NULL)
		fail_answer(answer, CLIENT_EXIT_UNREACHABLE,
			    "the daemon is not reachable: %s; is postseald running?",
			    problem->message);
	else
		take_http_answer(http, answer);
}

/* --- without the daemon --- */

/* Beside us when run from where we were built, else where it was installed. */
static char *
postseald_path(void)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *folder = self != NULL ? g_path_get_dirname(self) : g_strdup(".");
	g_autofree char *beside = g_build_filename(folder, "postseald", NULL);
	g_autofree char *sbin = g_build_filename(folder, "..", "sbin", "postseald", NULL);

	if (g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
		return g_steal_pointer(&beside);
	if (g_file_test(sbin, G_FILE_TEST_IS_EXECUTABLE))
		return g_steal_pointer(&sbin);
	return g_strdup(PS_SBINDIR "/postseald");
}

static void
take_local_answer(GSubprocess *child, GBytes *out, struct client_answer *answer)
{
	gsize length;
	const char *text = g_bytes_get_data(out, &length);
	json_t *whole = json_loadb(text != NULL ? text : "", length, 0, NULL);

	if (whole == NULL) {
		fail_answer(
		    answer, CLIENT_EXIT_FAILED, "postseald --operation ended with status %d",
		    g_subprocess_get_if_exited(child) ? g_subprocess_get_exit_status(child) : -1);
		return;
	}
	json_t *document = json_incref(json_object_get(whole, "answer"));
	json_int_t exit_status = json_integer_value(json_object_get(whole, "exit"));
	json_decref(whole);
	take_document(answer, document, (int)exit_status);
}

static void
call_local(struct client *client, const struct operation *operation, const json_t *arguments,
	   struct client_answer *answer)
{
	g_autofree char *program = postseald_path();
	g_autofree char *name = operation_name(operation);
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	g_autoptr(GError) problem = NULL;
	g_autoptr(GBytes) out = NULL;
	char *text = json_dumps(arguments, JSON_COMPACT);
	g_autoptr(GBytes) in = g_bytes_new_with_free_func(text, strlen(text), free_body, text);

	g_ptr_array_add(words, program);
	if (client->config_path != NULL) {
		g_ptr_array_add(words, (gpointer) "-c");
		g_ptr_array_add(words, client->config_path);
	}
	g_ptr_array_add(words, (gpointer) "--operation");
	g_ptr_array_add(words, name);
	g_ptr_array_add(words, NULL);
	g_autoptr(GSubprocess) child = g_subprocess_newv(
	    (const char *const *)words->pdata,
	    G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &problem);
	if (child == NULL || !g_subprocess_communicate(child, in, NULL, &out, NULL, &problem)) {
		fail_answer(answer, CLIENT_EXIT_FAILED, "%s: %s", program, problem->message);
		return;
	}
	take_local_answer(child, out, answer);
}

void
client_call(struct client *client, const struct operation *operation, const json_t *arguments,
	    struct client_answer *answer)
{
	memset(answer, 0, sizeof *answer);
	if (client_is_local(operation))
		call_local(client, operation, arguments, answer);
	else
		call_daemon(client, operation, arguments, answer);
}
