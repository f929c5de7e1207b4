/*
 * http_exchange - what is set before, and what libcurl calls while it performs.
 */
#include "pki/net/http_exchange.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "pki/net/address_guard.h"
#include "pki/net/http_values.h"
#include "pki/net/url.h"
#include "store/base/secret.h"

#define HEADERS_MAX 100
#define CONNECT_TIMEOUT_MS 10000L
#define LOW_SPEED_BYTES 100L

/* --- what libcurl calls --- */

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

/* Link is a list that servers send as several fields (RFC 8288 section 3). */
static void
keep_header(struct exchange *exchange, const char *line, gsize name_length, gsize length)
{
	char *name = g_ascii_strdown(line, (gssize)name_length);
	char *value = g_strstrip(g_strndup(line + name_length + 1, length - name_length - 1));
	const char *before =
	    strcmp(name, "link") == 0 ? g_hash_table_lookup(exchange->headers, name) : NULL;

	if (before != NULL) {
		char *both = g_strconcat(before, ", ", value, NULL);
		g_free(value);
		value = both;
	}
	g_hash_table_insert(exchange->headers, name, value);
}

static size_t
on_header(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	gsize length = size * count;
	const char *colon = memchr(bytes, ':', length);

	exchange->answered = TRUE;
	exchange->headers_bytes += length;
	if (exchange->headers_bytes > HTTP_HEADERS_MAX_BYTES) {
		exchange->headers_too_large = TRUE;
		return 0;
	}
	/* The head of another answer follows after 100 Continue. */
	if (length > 5 && memcmp(bytes, "HTTP/", 5) == 0)
		g_hash_table_remove_all(exchange->headers);
	else if (colon != NULL && g_hash_table_size(exchange->headers) < HEADERS_MAX)
		keep_header(exchange, bytes, (gsize)(colon - bytes), length);
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

/* The address that is about to be connected to: the one place where a guard cannot be got round. */
static curl_socket_t
on_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct exchange *exchange = data;
	const struct network *network = address_guard_network(exchange->request->guard);

	if (purpose != CURLSOCKTYPE_IPCXN || address->socktype != SOCK_STREAM)
		return CURL_SOCKET_BAD;
	if (!exchange->proxied) {
		g_clear_pointer(&exchange->refused, g_free);
		if (!address_guard_permits(exchange->request->guard, exchange->url->host,
					   &address->addr, exchange->url->port, &exchange->refused))
			return CURL_SOCKET_BAD;
		if (network->divert != NULL)
			network->divert(&address->addr);
	}
	exchange->connected = TRUE;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static gboolean
is_repeatable(const struct http_request *request)
{
	return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

/* Before each sending on a connection. libcurl sends again by itself when a connection ends without
 * an answer: the server may have acted on the first. Sending again after an answer is how a log-in
 * in several steps goes. */
static int
on_request(void *data, char *address, char *local, int port, int local_port)
{
	struct exchange *exchange = data;

	(void)address, (void)local, (void)port, (void)local_port;
	if (exchange->sent && !exchange->answered && !is_repeatable(exchange->request)) {
		exchange->repeated = TRUE;
		return CURL_PREREQFUNC_ABORT;
	}
	exchange->sent = TRUE;
	exchange->answered = FALSE;
	return CURL_PREREQFUNC_OK;
}

/* --- setting up --- */

static void
set_guard(CURL *curl, struct exchange *exchange)
{
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, exchange);
	/* Each request asks and is judged for itself. */
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "Postseal");
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void
set_body(CURL *curl, const struct http_request *request)
{
	gsize length = 0;
	gconstpointer bytes =
	    request->body != NULL ? g_bytes_get_data(request->body, &length) : NULL;

	if (request->secret_body != NULL) {
		bytes = secret_bytes(request->secret_body);
		length = secret_length(request->secret_body);
	}
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, bytes != NULL ? bytes : "");
}

static void
set_method(CURL *curl, struct exchange *exchange)
{
	const struct http_request *request = exchange->request;
	gboolean is_delete = strcmp(request->method, "DELETE") == 0;

	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_request);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, exchange);
	if (strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (is_repeatable(request))
		return;
	/* A connection that died while it was kept would leave open whether the server has it. */
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	if (!is_delete || request->body != NULL || request->secret_body != NULL)
		set_body(curl, request);
	if (strcmp(request->method, "POST") != 0)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static void
set_blob(CURL *curl, CURLoption option, gconstpointer bytes, gsize length)
{
	struct curl_blob blob = { .data = (void *)(guintptr)bytes,
				  .len = length,
				  .flags = CURL_BLOB_NOCOPY };

	curl_easy_setopt(curl, option, &blob);
}

static void
set_tls(CURL *curl, const struct http_tls *tls)
{
	gsize length = 0;

	if (tls->version_1_2)
		curl_easy_setopt(curl, CURLOPT_SSLVERSION,
				 (long)(CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2));
	if (tls->anchors != NULL) {
		gconstpointer anchors = g_bytes_get_data(tls->anchors, &length);

		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
		set_blob(curl, CURLOPT_CAINFO_BLOB, anchors, length);
	}
	if (tls->certs == NULL || tls->key == NULL)
		return;
	gconstpointer certs = g_bytes_get_data(tls->certs, &length);
	curl_easy_setopt(curl, CURLOPT_SSLCERTTYPE, "PEM");
	set_blob(curl, CURLOPT_SSLCERT_BLOB, certs, length);
	curl_easy_setopt(curl, CURLOPT_SSLKEYTYPE, "DER");
	set_blob(curl, CURLOPT_SSLKEY_BLOB, secret_bytes(tls->key), secret_length(tls->key));
}

static void
set_auth(CURL *curl, const struct http_request *request)
{
	static const unsigned long schemes[] = {
		[HTTP_AUTH_BASIC] = CURLAUTH_BASIC,   [HTTP_AUTH_DIGEST] = CURLAUTH_DIGEST,
		[HTTP_AUTH_NTLM] = CURLAUTH_NTLM,     [HTTP_AUTH_NEGOTIATE] = CURLAUTH_NEGOTIATE,
		[HTTP_AUTH_BEARER] = CURLAUTH_BEARER,
	};
	const char *password = request->password != NULL ? secret_text(request->password) : "";

	if (request->auth == HTTP_AUTH_NONE)
		return;
	/* What HTTP/2 keeps of a header is not ours to wipe, and NTLM does without it anyway. */
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_HTTPAUTH, schemes[request->auth]);
	if (request->auth == HTTP_AUTH_BEARER) {
		curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, password);
		return;
	}
	curl_easy_setopt(curl, CURLOPT_USERNAME, request->user != NULL ? request->user : "");
	curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
}

static void
set_options(CURL *curl, struct exchange *exchange, struct curl_slist *headers)
{
	const struct http_request *request = exchange->request;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, exchange->address);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, exchange->proxied ? request->proxy : "");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)exchange->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
			 MIN(CONNECT_TIMEOUT_MS, (long)exchange->timeout_ms));
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)exchange->body_max_bytes);
	if (request->tls_unverified) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (request->low_speed_seconds != 0) {
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)request->low_speed_seconds);
	}
	if (request->guard != NULL)
		set_guard(curl, exchange);
	if (request->unix_socket != NULL)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	if (request->waiting != NULL) {
		curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(curl, CURLOPT_XFERINFODATA, request);
	}
	if (request->tls != NULL)
		set_tls(curl, request->tls);
	set_auth(curl, request);
	set_method(curl, exchange);
}

static struct curl_slist *
header_add(struct curl_slist *list, const char *name, const char *value)
{
	g_autofree char *line = g_strconcat(name, ": ", value, NULL);

	return curl_slist_append(list, line);
}

static struct curl_slist *
header_list(const struct http_request *request)
{
	/* Without it libcurl waits a second for "100 Continue" before a larger body. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	if (request->content_type != NULL)
		list = header_add(list, "Content-Type", request->content_type);
	if (request->if_none_match != NULL)
		list = header_add(list, "If-None-Match", request->if_none_match);
	if (request->if_modified_since != 0) {
		g_autofree char *date = http_date_write(request->if_modified_since);

		if (date != NULL)
			list = header_add(list, "If-Modified-Since", date);
	}
	for (const char *const *h = request->headers; h != NULL && *h != NULL; h++)
		list = curl_slist_append(list, *h);
	return list;
}

/* A resolver that is not the system's answers instead of libcurl's. */
static struct curl_slist *
resolve_list(const struct exchange *exchange)
{
	const struct network *network = address_guard_network(exchange->request->guard);
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	g_autofree char *service = g_strdup_printf("%u", exchange->url->port);
	struct addrinfo *found = NULL;
	char text[INET6_ADDRSTRLEN];

	if (network->resolve == getaddrinfo || exchange->proxied ||
	    g_hostname_is_ip_address(exchange->url->host) ||
	    network->resolve(exchange->url->host, service, &hints, &found) != 0)
		return NULL;
	g_autoptr(GString) line = g_string_new(NULL);
	g_string_printf(line, "%s:%s:", exchange->url->host, service);
	for (const struct addrinfo *info = found; info != NULL; info = info->ai_next) {
		const void *address =
		    info->ai_family == AF_INET6
			? (const void *)&((const struct sockaddr_in6 *)(const void *)info->ai_addr)
			      ->sin6_addr
			: (const void *)&((const struct sockaddr_in *)(const void *)info->ai_addr)
			      ->sin_addr;

		if (inet_ntop(info->ai_family, address, text, sizeof(text)) != NULL)
			g_string_append_printf(line,
					       info->ai_family == AF_INET6 ? "%s[%s]" : "%s%s",
					       info == found ? "" : ",", text);
	}
	network->release(found);
	return curl_slist_append(NULL, line->str);
}

CURLcode
exchange_perform(CURL *curl, struct exchange *exchange)
{
	struct curl_slist *headers = header_list(exchange->request);
	struct curl_slist *resolved =
	    exchange->request->guard != NULL ? resolve_list(exchange) : NULL;

	set_options(curl, exchange, headers);
	if (resolved != NULL)
		curl_easy_setopt(curl, CURLOPT_RESOLVE, resolved);
	CURLcode rc = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	curl_slist_free_all(resolved);
	return rc;
}
