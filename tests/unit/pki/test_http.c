/* http under a guard: hops, conditions, limits, and a name that changes its mind; values of fields;
 * when to ask again. The server is a thread that answers what its path says. */
#include <arpa/inet.h>
#include <glib.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pki/fetch_schedule.h"
#include "pki/net/address_guard.h"
#include "pki/net/http.h"
#include "pki/net/http_values.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/secret.h"

#define MARK "MARK-OF-A-PEER"

/* --- a server --- */

static const struct {
	const char *path;
	const char *answer;
} answers[] = {
	{ "/plain",
	  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"v1\"\r\nCache-Control: max-age=60\r\n"
	  "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello" },
	{ "/continue", "HTTP/1.1 100 Continue\r\nETag: \"no\"\r\n\r\nHTTP/1.1 200 OK\r\n"
		       "Content-Length: 2\r\n\r\nok" },
	{ "/bad-etag",
	  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: v1\r\nLast-Modified: yesterday\r\n"
	  "\r\nok" },
	{ "/gzip",
	  "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08" },
	{ "/hop", "HTTP/1.1 302 Found\r\nLocation: /plain\r\nContent-Length: 0\r\n\r\n" },
	{ "/hop2", "HTTP/1.1 301 Moved\r\nLocation: hop\r\nContent-Length: 0\r\n\r\n" },
	{ "/loop", "HTTP/1.1 307 Again\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n" },
	{ "/inside",
	  "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n" },
	{ "/again", "HTTP/1.1 302 Found\r\nLocation: http://two-faced.example/plain\r\n"
		    "Content-Length: 0\r\n\r\n" },
	{ "/nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n" },
	{ "/busy", "HTTP/1.1 503 " MARK "\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy" },
	{ "/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" MARK },
	{ "/garbage", MARK "\r\n\r\n" },
	{ "/large", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" },
};

static int listening = -1;
static gint requests_seen; /* in whole, of whatever method */
static guint16 server_port;
static char request_seen[4096];

static void
answer_one(int fd)
{
	gsize length = 0;

	memset(request_seen, 0, sizeof(request_seen));
	while (length < sizeof(request_seen) - 1 && strstr(request_seen, "\r\n\r\n") == NULL) {
		gssize got = recv(fd, request_seen + length, sizeof(request_seen) - 1 - length, 0);

		if (got <= 0)
			return;
		length += (gsize)got;
	}
	g_atomic_int_inc(&requests_seen);
	for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
		g_autofree char *line = g_strdup_printf("GET %s HTTP", answers[i].path);
		gsize size = strlen(answers[i].answer);

		if (g_str_has_prefix(request_seen, line))
			g_assert_cmpint(send(fd, answers[i].answer, size, MSG_NOSIGNAL), ==,
					(gssize)size);
	}
}

static gpointer
serve(gpointer data)
{
	int fd;

	(void)data;
	while ((fd = accept(listening, NULL, NULL)) >= 0) {
		answer_one(fd);
		close(fd);
	}
	return NULL;
}

static void
server_start(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(bind(listening, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	g_assert_cmpint(listen(listening, 8), ==, 0);
	g_assert_cmpint(getsockname(listening, (struct sockaddr *)&address, &length), ==, 0);
	server_port = ntohs(address.sin_port);
}

/* --- a network: every name is public, but for the one that is so only the first time --- */

static guint looked_up;

static int
resolve_staged(const char *host, const char *service, const struct addrinfo *hints,
	       struct addrinfo **found)
{
	gboolean inside = strcmp(host, "two-faced.example") == 0 && looked_up++ > 0;
	struct addrinfo numeric = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };

	(void)hints;
	if (g_hostname_is_ip_address(host))
		return getaddrinfo(host, service, &numeric, found);
	return getaddrinfo(inside ? "127.0.0.1" : "8.8.8.8", service, &numeric, found);
}

static void
divert_staged(struct sockaddr *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)address;

	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v4->sin_port = htons(server_port);
}

static const struct network staged = { resolve_staged, freeaddrinfo, divert_staged };

static struct http_answer *
get(const char *url, struct http_request request, GError **error)
{
	CLEANUP(http_client) struct http_client *client = http_client_new();
	CLEANUP(address_guard) struct address_guard *guard = address_guard_new(NULL);

	address_guard_set_network(guard, &staged);
	request.method = "GET";
	request.url = url;
	request.guard = guard;
	request.answer_max_bytes = 1000;
	request.timeout_ms = 5000;
	return http_send(client, &request, error);
}

static void
test_answers(void)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(http_answer)
	struct http_answer *plain =
	    get("http://a.example/plain", (struct http_request){ 0 }, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(plain->status, ==, 200);
	g_assert_cmpstr(plain->etag, ==, "\"v1\"");
	g_assert_cmpint(plain->last_modified, ==, 784111777);
	g_assert_cmpint(plain->max_age, ==, 60);
	g_assert_cmpint(plain->retry_after, ==, -1);
	g_assert_nonnull(strstr(request_seen, "Host: a.example\r\n"));
	g_assert_null(strstr(request_seen, "If-"));
	g_assert_null(strstr(request_seen, "Accept-Encoding"));
	CLEANUP(http_answer)
	struct http_answer *again =
	    get("http://a.example/plain",
		(struct http_request){ .if_none_match = "\"v1\"", .if_modified_since = 784111777 },
		&error);
	g_assert_no_error(error);
	g_assert_nonnull(again);
	g_assert_nonnull(strstr(request_seen, "If-None-Match: \"v1\"\r\n"));
	g_assert_nonnull(
	    strstr(request_seen, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	CLEANUP(http_answer)
	struct http_answer *later =
	    get("http://a.example/continue", (struct http_request){ 0 }, &error);
	g_assert_no_error(error);
	g_assert_null(later->etag);
	CLEANUP(http_answer)
	struct http_answer *odd =
	    get("http://a.example/bad-etag", (struct http_request){ 0 }, &error);
	g_assert_no_error(error);
	g_assert_null(odd->etag);
	g_assert_cmpint(odd->last_modified, ==, 0);
	CLEANUP(http_answer)
	struct http_answer *packed =
	    get("http://a.example/gzip", (struct http_request){ 0 }, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(g_bytes_get_size(packed->body), ==, 3);
	CLEANUP(http_answer)
	struct http_answer *busy = get("http://a.example/busy", (struct http_request){ 0 }, &error);
	g_assert_no_error(error);
	g_assert_cmpint(busy->retry_after, ==, 120);
}

static const struct {
	const char *path;
	guint redirects_max;
	const char *problem; /* a part of the error; NULL: an answer */
	enum ps_error code;
	guint status;
} hops[] = {
	{ "/hop", 3, NULL, 0, 200 },
	{ "/hop2", 3, NULL, 0, 200 },
	{ "/hop2", 1, "more than 1 redirects", PS_ERROR_INVALID, 0 },
	{ "/hop", 0, NULL, 0, 302 },
	{ "/nowhere", 3, NULL, 0, 302 },
	{ "/loop", 3, "more than 3 redirects", PS_ERROR_INVALID, 0 },
	{ "/inside", 3, "private", PS_ERROR_DENIED, 0 },
	{ "/short", 3, "", PS_ERROR_TEMPORARY, 0 },
	{ "/garbage", 3, "", PS_ERROR_TEMPORARY, 0 },
	{ "/large", 3, "larger than 1000 bytes", PS_ERROR_INVALID, 0 },
};

static void
test_hops(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(hops); i++) {
		g_autofree char *url = g_strconcat("http://a.example", hops[i].path, NULL);
		g_autoptr(GError) error = NULL;
		CLEANUP(http_answer)
		struct http_answer *answer = get(
		    url, (struct http_request){ .redirects_max = hops[i].redirects_max }, &error);

		g_test_message("%s: %s", url, error != NULL ? error->message : "answered");
		if (hops[i].problem == NULL) {
			g_assert_no_error(error);
			g_assert_cmpuint(answer->status, ==, hops[i].status);
			continue;
		}
		g_assert_error(error, PS_ERROR, (gint)hops[i].code);
		g_assert_nonnull(strstr(error->message, hops[i].problem));
		g_assert_null(strstr(error->message, MARK));
	}
}

/* Public when it is looked up first, this host when a redirect comes back to it. */
static void
test_rebinding(void)
{
	g_autoptr(GError) error = NULL;

	looked_up = 0;
	CLEANUP(http_answer)
	struct http_answer *first =
	    get("http://two-faced.example/plain", (struct http_request){ 0 }, &error);
	g_assert_no_error(error);
	g_assert_nonnull(first);
	struct http_answer *second =
	    get("http://two-faced.example/plain", (struct http_request){ 0 }, &error);
	g_assert_null(second);
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	g_assert_nonnull(strstr(error->message, "loopback"));
	g_clear_error(&error);
	looked_up = 0;
	second = get("http://two-faced.example/again", (struct http_request){ .redirects_max = 3 },
		     &error);
	g_assert_null(second);
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	g_assert_nonnull(strstr(error->message, "loopback"));
}

static void
test_refused_urls(void)
{
	static const char *const urls[] = { "http://u:p@a.example/", "ftp://a.example/",
					    "ldap://a.example/",     "http://0x7f.1/",
					    "http://a.example:25/",  "http://127.0.0.1/",
					    "http://[::1]/" };

	for (gsize i = 0; i < G_N_ELEMENTS(urls); i++) {
		g_autoptr(GError) error = NULL;
		struct http_answer *answer =
		    get(urls[i], (struct http_request){ .redirects_max = 3 }, &error);

		g_test_message("%s: %s", urls[i], error != NULL ? error->message : "answered");
		g_assert_null(answer);
		g_assert_nonnull(error);
		g_assert_false(g_error_matches(error, PS_ERROR, PS_ERROR_TEMPORARY));
	}
}

/* What is filled into a URL stays out of errors and answers, whatever goes wrong. */
static void
test_secret_urls(void)
{
	static const char *const urls[] = {
		"http://a.example/short?t=hush-hush", "http://a.example/large?t=hush-hush",
		"http://127.0.0.1/?t=hush-hush",      "http://a.example:25/?t=hush-hush",
		"http://nobody.example/?t=hush-hush", "ftp://a.example/?t=hush-hush"
	};

	for (gsize i = 0; i < G_N_ELEMENTS(urls); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(http_answer)
		struct http_answer *answer =
		    get(urls[i], (struct http_request){ .shown_url = "http://a.example/{{text}}" },
			&error);

		g_assert_true((answer != NULL) != (error != NULL));
		g_test_message("%s: %s", urls[i], error != NULL ? error->message : answer->url);
		g_assert_null(strstr(error != NULL ? error->message : answer->url, "hush-hush"));
	}
}

/* --- values --- */

static void
test_values(void)
{
	static const char *const etags[] = { "\"\"", "\"abc\"", "W/\"abc\"", "\"a!#~\"" };
	static const char *const no_etags[] = { "",          "abc",      "\"abc",   "w/\"abc\"",
						"W/abc",     "\"a\"b\"", "\"a b\"", "\"a\x01\"",
						"\"a\x80\"", "\"" };
	static const struct {
		const char *text;
		gint64 seconds;
	} dates[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
		{ "Thu, 01 Jan 1970 00:00:01 GMT", 1 },
		{ "Tue, 29 Feb 2028 12:00:00 GMT", 1835438400 },
		{ "Tue, 30 Feb 2028 12:00:00 GMT", 0 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 0 },
		{ "Sun Nov  6 08:49:37 1994", 0 },
		{ "Sun, 06 Nov 1994 08:49:37 UTC", 0 },
		{ "Sun, 06 Nov 1994 8:49:37 GMT ", 0 },
		{ "Xxx, 06 Nov 1994 08:49:37 GMT", 0 },
		{ "Sun, 06 Xxx 1994 08:49:37 GMT", 0 },
		{ "Sun, 06 Nov 1994 25:49:37 GMT", 0 },
		{ "Sun, 06 Nov 0000 08:49:37 GMT", 0 },
		{ "", 0 },
	}, ages[] = {
		{ "max-age=60", 60 },	       { "public, MAX-AGE=5 , must-revalidate", 5 },
		{ "max-age=0", 0 },	       { "no-cache", 0 },
		{ "max-age=60, no-store", 0 }, { "max-age=-1", -1 },
		{ "max-age=", -1 },	       { "max-age=1x", -1 },
		{ "s-maxage=5", -1 },	       { "max-age=99999999999999999999", HTTP_AGE_MAX_SECONDS },
		{ "", -1 },
	}, retries[] = {
		{ "120", 120 },
		{ "0", 0 },
		{ "Sun, 06 Nov 1994 08:50:37 GMT", 60 },
		{ "Sun, 06 Nov 1994 08:40:37 GMT", 0 },
		{ "soon", -1 },
		{ "-5", -1 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(etags); i++) {
		g_autofree char *read = http_etag_read(etags[i]);
		g_assert_cmpstr(read, ==, etags[i]);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(no_etags); i++)
		g_assert_null(http_etag_read(no_etags[i]));
	for (gsize i = 0; i < G_N_ELEMENTS(dates); i++) {
		g_assert_cmpint(http_date_read(dates[i].text), ==, dates[i].seconds);
		if (dates[i].seconds != 0) {
			g_autofree char *text = http_date_write(dates[i].seconds);
			g_assert_cmpstr(text, ==, dates[i].text);
		}
	}
	for (gsize i = 0; i < G_N_ELEMENTS(ages); i++)
		g_assert_cmpint(http_max_age_read(ages[i].text), ==, ages[i].seconds);
	for (gsize i = 0; i < G_N_ELEMENTS(retries); i++)
		g_assert_cmpint(http_retry_after_read(retries[i].text, dates[0].text), ==,
				retries[i].seconds);
	g_assert_cmpint(http_retry_after_read(dates[0].text, NULL), ==, -1);
}

/* --- when --- */

#define HOUR 3600

static const struct {
	const char *what;
	gint64 interval, next_update, max_age, retry_after;
	gint failures;
	gint64 least, most; /* seconds from now */
} times[] = {
	{ "good: after the interval", 6 * HOUR, CLOCK_NEVER, -1, -1, 0, 19800, 21600 },
	{ "good: before nextUpdate", 6 * HOUR, 2 * HOUR, -1, -1, 0, 6480, 7200 },
	{ "good: nextUpdate is far", 6 * HOUR, 999 * HOUR, -1, -1, 0, 19800, 21600 },
	{ "good, but out of date", 6 * HOUR, -HOUR, -1, -1, 0, 900, 900 },
	{ "good: max-age", 6 * HOUR, CLOCK_NEVER, HOUR, -1, 0, 3240, 3600 },
	{ "good: a max-age too short", 6 * HOUR, CLOCK_NEVER, 10, -1, 0, 900, 900 },
	{ "good: max-age 0 says nothing", 6 * HOUR, CLOCK_NEVER, 0, -1, 0, 19800, 21600 },
	{ "good: a short interval", 60, CLOCK_NEVER, -1, -1, 0, 54, 60 },
	{ "failed once", 6 * HOUR, CLOCK_NEVER, -1, -1, 1, 810, 900 },
	{ "failed twice", 6 * HOUR, CLOCK_NEVER, -1, -1, 2, 1620, 1800 },
	{ "failed five times", 6 * HOUR, CLOCK_NEVER, -1, -1, 5, 12960, 14400 },
	{ "failed often: the interval", 6 * HOUR, CLOCK_NEVER, -1, -1, 60, 19800, 21600 },
	{ "failed: the server asks for more", 6 * HOUR, CLOCK_NEVER, -1, 2 * HOUR, 1, 7200, 7200 },
	{ "failed: for less", 6 * HOUR, CLOCK_NEVER, -1, 10, 1, 810, 900 },
	{ "failed: for a year", 6 * HOUR, CLOCK_NEVER, -1, 9000 * HOUR, 1, 86400, 86400 },
	{ "failed: a short interval", 60, CLOCK_NEVER, -1, -1, 3, 54, 60 },
};

static void
test_schedule(void)
{
	const gint64 now = 1800000000;

	for (gsize i = 0; i < G_N_ELEMENTS(times); i++)
		for (guint site = 0; site < 50; site++) {
			g_autofree char *seed = g_strdup_printf("http://a.example %u", site);
			const struct fetch_outcome outcome = {
				.now = now,
				.interval = times[i].interval,
				.seed = seed,
				.next_update = times[i].next_update == CLOCK_NEVER
						   ? CLOCK_NEVER
						   : now + times[i].next_update,
				.max_age = times[i].max_age,
				.failures = times[i].failures,
				.retry_after = times[i].retry_after,
			};
			gint64 pause = fetch_schedule_next(&outcome) - now;

			g_test_message("%s: %" G_GINT64_FORMAT, times[i].what, pause);
			g_assert_cmpint(pause, >=, times[i].least);
			g_assert_cmpint(pause, <=, times[i].most);
		}
}

/* What changes something goes out once, and the caller learns whether it did. */
static void
test_once(void)
{
	static const char *const methods[] = { "POST", "PUT", "PATCH", "DELETE" };
	g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/nothing", server_port);
	CLEANUP(http_client) struct http_client *client = http_client_new();
	CLEANUP(secret) struct secret *body = secret_new_text("PASSWORD-IN-A-BODY");
	CLEANUP(secret) struct secret *password = secret_new_text("TOKEN-IN-A-HEADER");

	for (gsize i = 0; i < G_N_ELEMENTS(methods); i++) {
		g_autoptr(GError) error = NULL;
		gboolean sent = FALSE;
		struct http_request request = { .method = methods[i],
						.url = url,
						.secret_body = i == 3 ? NULL : body,
						.auth = HTTP_AUTH_BEARER,
						.password = password,
						.timeout_ms = 5000,
						.sent = &sent };
		g_autofree char *line = g_strdup_printf("%s /nothing HTTP/1.1\r\n", methods[i]);

		g_atomic_int_set(&requests_seen, 0);
		g_assert_null(http_send(client, &request, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
		g_assert_null(strstr(error->message, "PASSWORD"));
		g_assert_true(sent);
		g_assert_cmpint(g_atomic_int_get(&requests_seen), ==, 1);
		g_assert_true(g_str_has_prefix(request_seen, line));
		g_assert_nonnull(
		    strstr(request_seen, "Authorization: Bearer TOKEN-IN-A-HEADER\r\n"));
		g_clear_error(&error);
		request.url = "http://127.0.0.1:1/";
		g_assert_null(http_send(client, &request, &error));
		g_assert_false(sent);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	server_start();
	GThread *thread = g_thread_new("server", serve, NULL);
	g_test_add_func("/pki/http/answers", test_answers);
	g_test_add_func("/pki/http/hops", test_hops);
	g_test_add_func("/pki/http/rebinding", test_rebinding);
	g_test_add_func("/pki/http/refused-urls", test_refused_urls);
	g_test_add_func("/pki/http/secret-urls", test_secret_urls);
	g_test_add_func("/pki/http/values", test_values);
	g_test_add_func("/pki/http/once", test_once);
	g_test_add_func("/pki/http/schedule", test_schedule);
	int status = g_test_run();
	shutdown(listening, SHUT_RDWR);
	g_thread_join(thread);
	close(listening);
	return status;
}
