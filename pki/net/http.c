/*
 * http - requests over libcurl's easy interface: hops, what a failure means, answers.
 */
#include "pki/net/http.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "pki/net/address_guard.h"
#include "pki/net/http_exchange.h"
#include "pki/net/http_values.h"
#include "pki/net/url.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/base/secret.h"

#define ANSWER_MAX_BYTES (1024 * 1024)
#define TIMEOUT_MS 30000U

struct http_client {
	CURL *curl;
};

/* --- memory: request buffers hold passwords and tokens --- */

static void
memory_free(void *bytes)
{
	if (bytes == NULL)
		return;
	wipe(bytes, malloc_usable_size(bytes));
	free(bytes);
}

static void *
memory_resize(void *bytes, size_t length)
{
	void *larger = malloc(length);

	if (larger != NULL && bytes != NULL) {
		memcpy(larger, bytes, MIN(length, malloc_usable_size(bytes)));
		memory_free(bytes);
	}
	return larger;
}

static void
global_start(void)
{
	static gsize once;

	if (g_once_init_enter(&once)) {
		curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, memory_free, memory_resize,
				     strdup, calloc);
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

/* --- one hop --- */

/* What time does not mend: a certificate of either side. */
static gboolean
is_distrust(CURLcode rc)
{
	return rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CERTPROBLEM ||
	       rc == CURLE_SSL_CACERT_BADFILE || rc == CURLE_SSL_ISSUER_ERROR ||
	       rc == CURLE_SSL_INVALIDCERTSTATUS || rc == CURLE_SSL_PINNEDPUBKEYNOTMATCH;
}

static gboolean
fail_exchange(CURLcode rc, const struct exchange *exchange, GError **error)
{
	const struct http_request *request = exchange->request;
	const char *where = request->unix_socket != NULL ? request->unix_socket
			    : request->shown_url != NULL ? request->shown_url
							 : exchange->address;
	g_autofree char *safe = printable(where);

	if (exchange->too_large || rc == CURLE_FILESIZE_EXCEEDED)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: the answer is larger than %zu bytes", safe,
				  exchange->body_max_bytes);
	if (exchange->headers_too_large)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: the head of the answer is larger than %d bytes", safe,
				  HTTP_HEADERS_MAX_BYTES);
	if (exchange->refused != NULL && !exchange->connected)
		return fail_false(error, PS_ERROR_DENIED, "%s: %s", safe, exchange->refused);
	if (exchange->repeated)
		rc = CURLE_GOT_NOTHING;
	if (request->tls != NULL && is_distrust(rc))
		return fail_false(error, PS_ERROR_DENIED, "%s: %s", safe, curl_easy_strerror(rc));
	return fail_false(error, PS_ERROR_TEMPORARY, "%s: %s", safe, curl_easy_strerror(rc));
}

/* Reads the hop's URL and asks what can be asked before there is an address. */
static gboolean
judge_hop(struct exchange *exchange, GError **error)
{
	const struct http_request *request = exchange->request;
	g_autofree char *why = NULL;

	gboolean has_proxy = request->proxy != NULL && *request->proxy != '\0';
	if (request->guard == NULL && !has_proxy)
		return TRUE;
	exchange->url = url_parse(exchange->address, error);
	if (exchange->url == NULL)
		return FALSE;
	exchange->proxied = has_proxy && !url_host_is_among(exchange->url, request->no_proxy);
	if (request->guard == NULL)
		return TRUE;
	g_autofree char *safe =
	    printable(request->shown_url != NULL ? request->shown_url : exchange->url->text);
	if (exchange->url->scheme != URL_HTTP && exchange->url->scheme != URL_HTTPS)
		return fail_false(error, PS_ERROR_DENIED, "%s: neither http nor https", safe);
	exchange->address = exchange->url->text;
	if (exchange->proxied && !address_guard_permits_proxied(request->guard, exchange->url->host,
								exchange->url->port, &why))
		return fail_false(error, PS_ERROR_DENIED, "%s: %s", safe, why);
	return TRUE;
}

static gboolean
perform(CURL *curl, struct exchange *exchange, long *status, GError **error)
{
	CURLcode rc = exchange_perform(curl, exchange);

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	return rc == CURLE_OK || fail_exchange(rc, exchange, error);
}

static void
wipe_text(char *text)
{
	if (text != NULL)
		wipe(text, strlen(text));
}

static void
exchange_clear(struct exchange *exchange)
{
	if (exchange->request->shown_url != NULL && exchange->url != NULL) {
		wipe_text(exchange->url->rest);
		wipe_text(exchange->url->text);
	}
	url_free(exchange->url);
	g_free(exchange->refused);
	if (exchange->body != NULL && exchange->request->answer_is_secret)
		wipe(exchange->body->data, exchange->body->len);
	if (exchange->body != NULL)
		g_byte_array_unref(exchange->body);
	g_hash_table_unref(exchange->headers);
}

static void
wipe_and_unref(gpointer data)
{
	GByteArray *array = data;

	wipe(array->data, array->len);
	g_byte_array_unref(array);
}

static GBytes *
bytes_to_wipe(GByteArray *array)
{
	return g_bytes_new_with_free_func(array->data, array->len, wipe_and_unref, array);
}

static struct http_answer *
answer_new(struct exchange *exchange, long status)
{
	struct http_answer *answer = g_new0(struct http_answer, 1);
	GHashTable *headers = exchange->headers;
	const char *etag = g_hash_table_lookup(headers, "etag");
	const char *modified = g_hash_table_lookup(headers, "last-modified");
	const char *cache = g_hash_table_lookup(headers, "cache-control");
	const char *retry = g_hash_table_lookup(headers, "retry-after");

	answer->status = (unsigned int)status;
	answer->content_type = g_strdup(g_hash_table_lookup(headers, "content-type"));
	answer->headers = g_hash_table_ref(headers);
	answer->body = exchange->request->answer_is_secret
			   ? bytes_to_wipe(g_steal_pointer(&exchange->body))
			   : g_byte_array_free_to_bytes(g_steal_pointer(&exchange->body));
	answer->etag = etag != NULL ? http_etag_read(etag) : NULL;
	answer->last_modified = modified != NULL ? http_date_read(modified) : 0;
	answer->max_age = cache != NULL ? http_max_age_read(cache) : -1;
	answer->retry_after =
	    retry != NULL ? http_retry_after_read(retry, g_hash_table_lookup(headers, "date")) : -1;
	answer->url = g_strdup(exchange->request->shown_url != NULL ? exchange->request->shown_url
								    : exchange->address);
	return answer;
}

/* *next: where a redirect leads, absolute; owned by the caller. */
static struct http_answer *
send_hop(struct http_client *client, const struct http_request *request, const char *address,
	 unsigned int timeout_ms, char **next, GError **error)
{
	struct exchange exchange = {
		.request = request,
		.address = address,
		.timeout_ms = timeout_ms,
		.body_max_bytes =
		    request->answer_max_bytes != 0 ? request->answer_max_bytes : ANSWER_MAX_BYTES,
		.headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
	};
	struct http_answer *answer = NULL;
	const char *redirect = NULL;
	long status = 0;

	/* Room for all of it at once, so that growing leaves no copy behind. */
	if (request->answer_is_secret)
		exchange.body = g_byte_array_sized_new((guint)exchange.body_max_bytes);
	else
		exchange.body = g_byte_array_new();
	if (judge_hop(&exchange, error) && perform(client->curl, &exchange, &status, error)) {
		answer = answer_new(&exchange, status);
		curl_easy_getinfo(client->curl, CURLINFO_REDIRECT_URL, &redirect);
		*next = g_strdup(redirect);
	}
	if (request->sent != NULL && exchange.sent)
		*request->sent = TRUE;
	exchange_clear(&exchange);
	return answer;
}

/* A body goes along only where RFC 9110 section 15.4 says so. */
static gboolean
is_followed(const struct http_request *request, unsigned int status)
{
	/* Who we are is told to nobody else. */
	if (request->auth != HTTP_AUTH_NONE || request->secret_body != NULL ||
	    request->shown_url != NULL)
		return FALSE;
	switch (status) {
	case 301:
	case 302:
	case 303:
		return strcmp(request->method, "GET") == 0;
	case 307:
	case 308:
		return TRUE;
	default:
		return FALSE;
	}
}

static struct http_answer *
fail_redirects(struct http_answer *answer, const struct http_request *request, GError **error)
{
	g_autofree char *safe = printable(request->url);

	http_answer_free(answer);
	return fail(error, PS_ERROR_INVALID, "%s: more than %u redirects", safe,
		    request->redirects_max);
}

struct http_answer *
http_send(struct http_client *client, const struct http_request *request, GError **error)
{
	unsigned int timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : TIMEOUT_MS;
	gint64 until_us = clock_monotonic_us() + (gint64)timeout_ms * 1000;
	g_autofree char *led = NULL; /* where redirects lead */
	const char *address = request->url;

	if (request->sent != NULL)
		*request->sent = FALSE;
	for (guint hop = 0;; hop++) {
		gint64 left_ms = (until_us - clock_monotonic_us()) / 1000;
		g_autofree char *next = NULL;
		struct http_answer *answer =
		    send_hop(client, request, address, (unsigned int)MAX(left_ms, 1), &next, error);

		if (answer == NULL || next == NULL || request->redirects_max == 0 ||
		    !is_followed(request, answer->status))
			return answer;
		if (hop == request->redirects_max)
			return fail_redirects(answer, request, error);
		http_answer_free(answer);
		g_free(led);
		led = g_steal_pointer(&next);
		address = led;
	}
}

void
http_answer_free(struct http_answer *answer)
{
	if (answer == NULL)
		return;
	g_free(answer->content_type);
	g_bytes_unref(answer->body);
	g_hash_table_unref(answer->headers);
	g_free(answer->etag);
	g_free(answer->url);
	g_free(answer);
}

const char *
http_header(const struct http_answer *answer, const char *name)
{
	g_autofree char *lower = g_ascii_strdown(name, -1);

	return g_hash_table_lookup(answer->headers, lower);
}

char *
http_escape(const char *text)
{
	return g_uri_escape_string(text, NULL, FALSE);
}
