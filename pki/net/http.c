/*
 * http - a thin, bounded layer over libcurl's easy interface.
 */
#include "pki/net/http.h"

#include <curl/curl.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"

#define ANSWER_MAX_BYTES (1024 * 1024)
#define ANSWER_HEADERS_MAX 100
#define TIMEOUT_MS 30000U
#define CONNECT_TIMEOUT_MS 10000L

struct http_client {
	CURL *curl;
};

struct exchange {
	const struct http_request *request;
	GByteArray *body;
	gsize body_max_bytes;
	gboolean too_large;
	GHashTable *headers;
};

static void
global_start(void)
{
	static gsize once;

	if (g_once_init_enter(&once)) {
		curl_global_init(CURL_GLOBAL_DEFAULT);
		g_once_init_leave(&once, 1);
	}
}

struct http_client *
http_client_new(void)
{
	struct http_client *client = g_new0(struct http_client, 1);

	global_start();
	client->curl = curl_easy_init();
	if (client->curl == NULL)
		g_error("libcurl cannot be started");
	return client;
}

void
http_client_free(struct http_client *client)
{
	if (client == NULL)
		return;
	curl_easy_cleanup(client->curl);
	g_free(client);
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	gsize length = size * count;

	if (length > exchange->body_max_bytes - exchange->body->len) {
		exchange->too_large = TRUE;
		return 0;
	}
	g_byte_array_append(exchange->body, (const guint8 *)bytes, (guint)length);
	return length;
}

static size_t
on_header(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	gsize length = size * count;
	const char *colon = memchr(bytes, ':', length);

	if (colon == NULL || g_hash_table_size(exchange->headers) >= ANSWER_HEADERS_MAX)
		return length;
	char *value = g_strndup(colon + 1, length - (gsize)(colon + 1 - bytes));
	g_hash_table_insert(exchange->headers, g_ascii_strdown(bytes, colon - bytes),
			    g_strstrip(value));
	return length;
}

static int
on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct http_request *request = data;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return request->waiting != NULL && !request->waiting(request->waiting_data);
}

static void
set_options(CURL *curl, struct exchange *exchange, struct curl_slist *headers)
{
	const struct http_request *request = exchange->request;
	unsigned int timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : TIMEOUT_MS;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
	if (request->unix_socket != NULL)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	if (request->waiting != NULL) {
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, request);
	}
	if (strcmp(request->method, "POST") == 0) {
		gsize length = 0;
		gconstpointer bytes =
		    request->body != NULL ? g_bytes_get_data(request->body, &length) : NULL;

		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, bytes != NULL ? bytes : "");
	}
}

static struct curl_slist *
header_list(const struct http_request *request)
{
	/* Without it libcurl waits a second for "100 Continue" before a larger body. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	if (request->content_type != NULL) {
		g_autofree char *line = g_strconcat("Content-Type: ", request->content_type, NULL);
		list = curl_slist_append(list, line);
	}
	for (const char *const *h = request->headers; h != NULL && *h != NULL; h++)
		list = curl_slist_append(list, *h);
	return list;
}

static void
fail_exchange(CURLcode rc, const struct exchange *exchange, GError **error)
{
	const struct http_request *request = exchange->request;
	const char *where = request->unix_socket != NULL ? request->unix_socket : request->url;
	g_autofree char *safe = printable(where);

	if (exchange->too_large)
		fail(error, PS_ERROR_INVALID, "%s: the answer is larger than %zu bytes", safe,
		     exchange->body_max_bytes);
	else
		fail(error, PS_ERROR_TEMPORARY, "%s: %s", safe, curl_easy_strerror(rc));
}

struct http_answer *
http_send(struct http_client *client, const struct http_request *request, GError **error)
{
	struct exchange exchange = { .request = request, .body = g_byte_array_new() };
	struct curl_slist *headers = header_list(request);
	struct http_answer *answer = NULL;
	long status = 0;

	exchange.body_max_bytes =
	    request->answer_max_bytes != 0 ? request->answer_max_bytes : ANSWER_MAX_BYTES;
	exchange.headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	set_options(client->curl, &exchange, headers);
	CURLcode rc = curl_easy_perform(client->curl);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (rc == CURLE_OK) {
		answer = g_new0(struct http_answer, 1);
		answer->status = (unsigned int)status;
		answer->content_type =
		    g_strdup(g_hash_table_lookup(exchange.headers, "content-type"));
		answer->headers = g_hash_table_ref(exchange.headers);
		answer->body = g_byte_array_free_to_bytes(g_steal_pointer(&exchange.body));
	} else {
		fail_exchange(rc, &exchange, error);
	}
	if (exchange.body != NULL)
		g_byte_array_unref(exchange.body);
	g_hash_table_unref(exchange.headers);
	curl_slist_free_all(headers);
	return answer;
}

void
http_answer_free(struct http_answer *answer)
{
	if (answer == NULL)
		return;
	g_free(answer->content_type);
	g_bytes_unref(answer->body);
	g_hash_table_unref(answer->headers);
	g_free(answer);
}

char *
http_escape(const char *text)
{
	return g_uri_escape_string(text, NULL, FALSE);
}
