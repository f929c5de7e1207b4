/*
 * The socket: who connects, limits, roles, routes. The client is the product's own.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "admin/http/peer.h"
#include "admin/http/router.h"
#include "admin/http/server.h"
#include "pki/net/http.h"
#include "store/base/error.h"

struct site {
	char *folder;
	char *socket;
	struct server *server;
	GMutex lock;
	GCond cond;
	gboolean may_answer;
	guint inside;
};

static void
echo(const struct request *request, struct response *response, gpointer data)
{
	GPtrArray *values = g_hash_table_lookup(request->query, "q");
	char *text = g_strdup_printf(
	    "%s %s %s %zu %u", request->method, request->path,
	    values != NULL ? (const char *)g_ptr_array_index(values, values->len - 1) : "-",
	    g_bytes_get_size(request->body), (unsigned int)request->uid);

	(void)data;
	response->status = 200;
	response->content_type = "text/plain";
	response->body = g_bytes_new_take(text, strlen(text));
	response->exit_status = 1;
}

/* Answers only when the test says so. */
static void
wait_then_echo(const struct request *request, struct response *response, gpointer data)
{
	struct site *site = data;

	g_mutex_lock(&site->lock);
	site->inside++;
	g_cond_broadcast(&site->cond);
	while (!site->may_answer)
		g_cond_wait(&site->cond, &site->lock);
	g_mutex_unlock(&site->lock);
	echo(request, response, NULL);
}

static void
site_start(struct site *site, const struct server_limits *limits, server_handler handler,
	   gpointer data)
{
	g_autoptr(GError) error = NULL;

	memset(site, 0, sizeof *site);
	g_mutex_init(&site->lock);
	g_cond_init(&site->cond);
	site->folder = g_dir_make_tmp("ps-http-XXXXXX", &error);
	g_assert_no_error(error);
	site->socket = g_build_filename(site->folder, "api.sock", NULL);
	int fd = server_listen(site->socket, NULL, NULL, &error);
	g_assert_no_error(error);
	site->server = server_start(fd, limits, handler, data, &error);
	g_assert_no_error(error);
}

static void
site_stop(struct site *site)
{
	server_stop(site->server);
	g_unlink(site->socket);
	g_rmdir(site->folder);
	g_free(site->socket);
	g_free(site->folder);
	g_mutex_clear(&site->lock);
	g_cond_clear(&site->cond);
}

static struct http_answer *
ask(const struct site *site, const char *method, const char *url, GBytes *body, const char *id)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(http_client) struct http_client *client = http_client_new();
	g_autofree char *line = g_strconcat("Postseal-Request: ", id, NULL);
	const char *const headers[] = { line, NULL };
	struct http_request request = { .method = method,
					.url = url,
					.unix_socket = site->socket,
					.body = body,
					.headers = id != NULL ? headers : NULL };
	struct http_answer *answer = http_send(client, &request, &error);

	g_assert_no_error(error);
	return answer;
}

static char *
text_of(const struct http_answer *answer)
{
	gsize length;
	const char *text = g_bytes_get_data(answer->body, &length);

	return g_strndup(text != NULL ? text : "", length);
}

static void
test_request_and_answer(void)
{
	struct site site;
	struct stat info;
	g_autofree char *expected = g_strdup_printf("GET /v1/a b x y 0 %u", (unsigned int)getuid());

	site_start(&site, &server_default_limits, echo, NULL);
	g_assert_cmpint(stat(site.socket, &info), ==, 0);
	g_assert_cmpint(info.st_mode & 0777, ==, 0660);
	CLEANUP(http_answer)
	struct http_answer *answer = ask(&site, "GET", "http://x/v1/a%20b?q=1&q=x%20y", NULL, NULL);
	g_autofree char *text = text_of(answer);
	g_assert_cmpint(answer->status, ==, 200);
	g_assert_cmpstr(text, ==, expected);
	g_assert_cmpstr(g_hash_table_lookup(answer->headers, "postseal-exit"), ==, "1");
	g_assert_cmpstr(g_hash_table_lookup(answer->headers, "cache-control"), ==, "no-store");
	site_stop(&site);
}

static void
test_body_and_its_limit(void)
{
	struct server_limits limits = server_default_limits;
	struct site site;

	limits.body_max_bytes = 100000;
	site_start(&site, &limits, echo, NULL);
	g_autofree char *bytes = g_malloc0(100001);
	g_autoptr(GBytes) fits = g_bytes_new_static(bytes, 100000);
	g_autoptr(GBytes) large = g_bytes_new_static(bytes, 100001);
	CLEANUP(http_answer)
	struct http_answer *good = ask(&site, "POST", "http://x/p", fits, NULL);
	CLEANUP(http_answer)
	struct http_answer *bad = ask(&site, "POST", "http://x/p", large, NULL);
	g_assert_cmpint(good->status, ==, 200);
	g_assert_cmpint(bad->status, ==, 413);
	site_stop(&site);
}

static gpointer
ask_in_thread(gpointer data)
{
	return ask(data, "GET", "http://x/slow", NULL, NULL);
}

static void
test_requests_of_one_user_are_limited(void)
{
	struct server_limits limits = server_default_limits;
	struct site site;

	limits.connections_per_user = 1;
	site_start(&site, &limits, wait_then_echo, &site);
	GThread *first = g_thread_new("first", ask_in_thread, &site);
	g_mutex_lock(&site.lock);
	while (site.inside == 0)
		g_cond_wait(&site.cond, &site.lock);
	g_mutex_unlock(&site.lock);
	CLEANUP(http_answer)
	struct http_answer *second = ask(&site, "GET", "http://x/b", NULL, NULL);
	g_assert_cmpint(second->status, ==, 503);
	g_mutex_lock(&site.lock);
	site.may_answer = TRUE;
	g_cond_broadcast(&site.cond);
	g_mutex_unlock(&site.lock);
	CLEANUP(http_answer) struct http_answer *answer = g_thread_join(first);
	g_assert_cmpint(answer->status, ==, 200);
	site_stop(&site);
}

static void
echo_slowly(const struct request *request, struct response *response, gpointer data)
{
	g_usleep(2500 * 1000);
	echo(request, response, data);
}

static void
test_a_long_act_is_no_silence(void)
{
	struct server_limits limits = server_default_limits;
	struct site site;

	limits.idle_seconds = 1;
	site_start(&site, &limits, echo_slowly, NULL);
	CLEANUP(http_answer)
	struct http_answer *answer = ask(&site, "GET", "http://x/a", NULL, NULL);
	g_assert_cmpint(answer->status, ==, 200);
	site_stop(&site);
}

/* --- connections without a request --- */

#define STRANGER 65534
#define OTHER_STRANGER 65533

/* Connects as this user: the kernel notes who connects, and user ids are of a thread for it. */
static int
connect_as(const struct site *site, uid_t uid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, site->socket, sizeof address.sun_path);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(syscall(SYS_setresuid, -1, uid, -1), ==, 0);
	g_assert_cmpint(connect(fd, (const struct sockaddr *)&address, sizeof address), ==, 0);
	g_assert_cmpint(syscall(SYS_setresuid, -1, 0, -1), ==, 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* The first bytes of the answer, "" at the end, NULL when there is none within this time. */
static char *
hear(int fd, int timeout_ms)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	char bytes[13];
	ssize_t length;

	if (poll(&wait, 1, timeout_ms) == 0)
		return NULL;
	length = recv(fd, bytes, sizeof bytes - 1, 0);
	return g_strndup(bytes, length > 0 ? (gsize)length : 0);
}

static char *
answer_of(const struct site *site, uid_t uid)
{
	int fd = connect_as(site, uid);
	char *answer;

	say(fd, "GET /v1/a HTTP/1.1\r\nHost: x\r\n\r\n");
	answer = hear(fd, 60000);
	close(fd);
	return answer;
}

static void
assert_answered(const struct site *site, uid_t uid, const char *expected)
{
	g_autofree char *answer = answer_of(site, uid);

	g_assert_cmpstr(answer, ==, expected);
}

/* The server has yet to see who has gone. */
static void
await_answered(const struct site *site, uid_t uid, const char *expected)
{
	for (guint i = 0; i < 6000; i++) {
		g_autofree char *answer = answer_of(site, uid);

		if (g_strcmp0(answer, expected) == 0)
			return;
		g_usleep(10000);
	}
	g_assert_not_reached();
}

/* How many have neither an answer nor an end. */
static guint
kept(const int *fds, guint count)
{
	guint silent = 0;

	for (guint i = 0; i < count; i++) {
		struct pollfd one = { .fd = fds[i], .events = POLLIN };

		silent += poll(&one, 1, 0) == 0;
	}
	return silent;
}

/* Half-open requests of one user, as many as he likes; how many the server keeps, which should be
 * this number once it has seen all of them. */
static guint
besiege(const struct site *site, uid_t uid, int *fds, guint count, guint expected)
{
	for (guint i = 0; i < count; i++) {
		fds[i] = connect_as(site, uid);
		say(fds[i], "GET /v1/a HT");
	}
	for (guint i = 0; i < 6000 && kept(fds, count) > expected; i++)
		g_usleep(10000);
	g_usleep(100000); /* not one less */
	return kept(fds, count);
}

static void
close_all(const int *fds, guint count)
{
	for (guint i = 0; i < count; i++)
		close(fds[i]);
}

static gboolean
site_start_for_all(struct site *site, const struct server_limits *limits)
{
	if (getuid() != 0) {
		g_test_skip("only root can be somebody else");
		return FALSE;
	}
	site_start(site, limits, echo, NULL);
	g_assert_cmpint(chmod(site->folder, 0755), ==, 0);
	g_assert_cmpint(chmod(site->socket, 0666), ==, 0);
	return TRUE;
}

static void
test_half_open_requests_of_one_user(void)
{
	struct server_limits limits = server_default_limits;
	struct site site;
	int fds[40];

	limits.connections_per_user = 4; /* and one that is told */
	if (!site_start_for_all(&site, &limits))
		return;
	g_assert_cmpuint(besiege(&site, STRANGER, fds, G_N_ELEMENTS(fds), 4 + 1), ==, 4 + 1);
	assert_answered(&site, STRANGER, "");
	assert_answered(&site, OTHER_STRANGER, "HTTP/1.1 200");
	assert_answered(&site, 0, "HTTP/1.1 200");
	close_all(fds, G_N_ELEMENTS(fds));
	await_answered(&site, STRANGER, "HTTP/1.1 200");
	site_stop(&site);
}

static void
test_root_has_room(void)
{
	struct server_limits limits = server_default_limits;
	struct site site;
	int one[20], other[20];

	limits.connections = 14;
	limits.connections_for_root = 2;
	limits.connections_per_user = 8;
	if (!site_start_for_all(&site, &limits))
		return;
	g_assert_cmpuint(besiege(&site, STRANGER, one, G_N_ELEMENTS(one), 10), ==, 10);
	g_assert_cmpuint(besiege(&site, OTHER_STRANGER, other, G_N_ELEMENTS(other), 4), ==, 4);
	assert_answered(&site, 0, "HTTP/1.1 200");
	close_all(one, G_N_ELEMENTS(one));
	close_all(other, G_N_ELEMENTS(other));
	site_stop(&site);
}

static void
test_a_header_does_not_take_long(void)
{
	struct server_limits limits = server_default_limits;
	struct site site;

	limits.header_seconds = 2;
	site_start(&site, &limits, echo_slowly, NULL);
	int fd = connect_as(&site, getuid());
	int slow = connect_as(&site, getuid());
	say(fd, "GET /v1/a HT");
	say(slow, "POST /v1/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1");
	g_autofree char *end = hear(fd, 60000);
	g_assert_nonnull(end);
	g_assert_true(*end == '\0' || g_str_has_prefix(end, "HTTP/1.1 408"));
	g_usleep(1500 * 1000);
	say(slow, "2");
	g_autofree char *answer = hear(slow, 60000);
	g_assert_cmpstr(answer, ==, "HTTP/1.1 200");
	close(fd);
	close(slow);
	site_stop(&site);
}

static gpointer
stop_in_thread(gpointer data)
{
	server_stop(data);
	return NULL;
}

static void
test_a_stop_waits_for_requests(void)
{
	struct site site;

	site_start(&site, &server_default_limits, wait_then_echo, &site);
	GThread *asking = g_thread_new("asking", ask_in_thread, &site);
	g_mutex_lock(&site.lock);
	while (site.inside == 0)
		g_cond_wait(&site.cond, &site.lock);
	g_mutex_unlock(&site.lock);
	GThread *stopping = g_thread_new("stopping", stop_in_thread, site.server);
	g_usleep(50000);
	g_mutex_lock(&site.lock);
	site.may_answer = TRUE;
	g_cond_broadcast(&site.cond);
	g_mutex_unlock(&site.lock);
	CLEANUP(http_answer) struct http_answer *answer = g_thread_join(asking);
	g_assert_cmpint(answer->status, ==, 200);
	g_thread_join(stopping);
	site.server = NULL;
	site_stop(&site);
}

static void
test_a_second_server_is_refused(void)
{
	g_autoptr(GError) error = NULL;
	struct site site;

	site_start(&site, &server_default_limits, echo, NULL);
	g_assert_cmpint(server_listen(site.socket, NULL, NULL, &error), ==, -1);
	g_assert_nonnull(strstr(error->message, "another postseald answers there"));
	site_stop(&site);
}

/* --- roles --- */

static void
test_roles_of_groups(void)
{
	/* Groups that every system has. */
	const struct role_groups groups = { .view = "daemon", .operate = "bin", .keys = "sys" };
	const struct role_groups nobody = { .view = "", .operate = NULL, .keys = "no-such-group" };
	const gid_t daemon_only[] = { 1 }, daemon_and_bin[] = { 1, 2 }, all[] = { 3, 2, 1 };

	g_assert_cmpint(peer_role(0, &nobody), ==, ROLE_KEYS);
	g_assert_cmpint(peer_role_of_groups(daemon_only, 1, &groups), ==, ROLE_VIEW);
	g_assert_cmpint(peer_role_of_groups(daemon_and_bin, 2, &groups), ==, ROLE_OPERATE);
	g_assert_cmpint(peer_role_of_groups(all, 3, &groups), ==, ROLE_KEYS);
	g_assert_cmpint(peer_role_of_groups(all, 3, &nobody), ==, ROLE_NOBODY);
	g_assert_cmpint(peer_role_of_groups(NULL, 0, &groups), ==, ROLE_NOBODY);
	g_assert_cmpint(peer_role(4000000, &groups), ==, ROLE_NOBODY);
}

/* --- routes --- */

static const struct {
	const char *proves;
	uid_t uid;
	const char *method, *path, *id, *body;
	unsigned int status;
	int exit_status;
	const char *part; /* of the answer */
} routes[] = {
	{ "no such operation", 0, "GET", "/v1/nothing", NULL, "", 404, 5, "not-found" },
	{ "no path of ours", 0, "GET", "/../etc/passwd", NULL, "", 404, 5, "not-found" },
	{ "what the client does alone has no route", 0, "POST", "/v1/cert/verify", NULL, "{}", 404,
	  5, "not-found" },
	{ "a change is no GET", 0, "GET", "/v1/domain/set", NULL, "", 405, 1, "POST" },
	{ "a list is no POST", 0, "POST", "/v1/global/list", NULL, "{}", 405, 1, "GET" },
	{ "a stranger may nothing", 4000000, "GET", "/v1/global/list", NULL, "", 403, 4, "denied" },
	{ "a change needs an id", 0, "POST", "/v1/domain/set", NULL, "{}", 400, 1, "needs an id" },
	{ "an id has an end", 0, "POST", "/v1/domain/set",
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
	  "89012345678901234567890123456789012345678901234567890123456789",
	  "{}", 400, 1, "needs an id" },
	{ "a body is JSON", 0, "POST", "/v1/explain", NULL, "{", 400, 1, "not JSON" },
	{ "names do not repeat", 0, "POST", "/v1/explain", NULL,
	  "{\"from\":\"a@b\",\"from\":\"c@d\"}", 400, 1, "not JSON" },
	{ "arguments are the row's", 0, "POST", "/v1/explain", NULL, "{\"form\":\"a@b\"}", 400, 1,
	  "did you mean '--from'?" },
	{ "no path over the socket", 0, "POST", "/v1/config/check", NULL,
	  "{\"file\":\"/etc/shadow\"}", 403, 4, "run the command as root" },
	{ "what needs no store answers", 0, "GET", "/v1/global/list", NULL, "", 200, 0,
	  "encrypt_mode" },
};

static void
test_routes(void)
{
	const struct role_groups groups = { .view = "", .operate = "", .keys = "" };
	CLEANUP(router) struct router *router = router_new(NULL, NULL, &groups);
	g_autoptr(GHashTable) query = g_hash_table_new(g_str_hash, g_str_equal);

	for (gsize i = 0; i < G_N_ELEMENTS(routes); i++) {
		g_autoptr(GBytes) body = g_bytes_new_static(routes[i].body, strlen(routes[i].body));
		struct request request = { .method = routes[i].method,
					   .path = routes[i].path,
					   .query = query,
					   .id = routes[i].id,
					   .body = body,
					   .uid = routes[i].uid };
		struct response response = { 0 };
		gsize length;

		g_test_message("%s", routes[i].proves);
		router_handle(&request, &response, router);
		const char *text = g_bytes_get_data(response.body, &length);
		g_autofree char *answer = g_strndup(text, length);
		g_assert_cmpint(response.status, ==, routes[i].status);
		g_assert_cmpint(response.exit_status, ==, routes[i].exit_status);
		g_assert_nonnull(strstr(answer, routes[i].part));
		g_bytes_unref(response.body);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/server/request", test_request_and_answer);
	g_test_add_func("/server/body", test_body_and_its_limit);
	g_test_add_func("/server/per-user", test_requests_of_one_user_are_limited);
	g_test_add_func("/server/long-act", test_a_long_act_is_no_silence);
	g_test_add_func("/server/half-open", test_half_open_requests_of_one_user);
	g_test_add_func("/server/root", test_root_has_room);
	g_test_add_func("/server/header", test_a_header_does_not_take_long);
	g_test_add_func("/server/stop", test_a_stop_waits_for_requests);
	g_test_add_func("/server/second", test_a_second_server_is_refused);
	g_test_add_func("/peer/roles", test_roles_of_groups);
	g_test_add_func("/router/routes", test_routes);
	return g_test_run();
}
