/*
 * public_server - libmicrohttpd with epoll and few threads; who may wait is suspended meanwhile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/http/public_internal.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#define HEAD_MAX_BYTES 16384
#define STOP_WAIT_SECONDS 30
#define REAP_SECONDS 1

const struct public_limits public_default_limits = {
	.connections = 512,
	.connections_per_address = 64,
	.threads = 2,
	.waiting_max = 256,
	.idle_seconds = 10,
	.receive_seconds = 20,
	.send_seconds = 120,
};

struct public_server {
	GPtrArray *daemons; /* struct MHD_Daemon, one a listening socket */
	const struct public_route *routes;
	struct public_limits limits;
	struct clock *clock;
	gpointer data;
	GThreadPool *waiters;
	GThread *reaper;
	GMutex lock; /* of what follows */
	GCond changed;
	GHashTable *visits;    /* struct visit, a set */
	GHashTable *addresses; /* text -> connections */
	guint in_flight;       /* requests that are suspended */
	gboolean stopping;
};

/* One connection from accept to close. */
struct visit {
	int fd;
	char *address;      /* NULL: not counted */
	gint64 deadline_us; /* cut off then */
};

/* A request with a body, or one that waits. */
struct exchange {
	struct public_server *server;
	struct MHD_Connection *connection;
	const struct public_route *route;
	enum public_methods method;
	char *path;
	GByteArray *body;
	struct public_answer *answer; /* when it is there */
	gboolean refused;             /* the answer is there before the body is */
};

/* The state of a GET: nothing to remember. */
static char plain_get;

/* --- connections --- */

/* NULL: this host itself, which may be a proxy for everybody else. */
static char *
address_of(const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (address == NULL)
		return NULL;
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

		if (ntohl(in->sin_addr.s_addr) >> 24 == 127)
			return NULL;
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
	} else if (address->sa_family == AF_INET6) {
		struct in6_addr in6 =
		    ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

		if (IN6_IS_ADDR_LOOPBACK(&in6))
			return NULL;
		memset(in6.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &in6, text, sizeof text);
	}
	return g_strdup(text);
}

static void
count_address(struct public_server *server, const char *address, gint change)
{
	gint count = GPOINTER_TO_INT(g_hash_table_lookup(server->addresses, address)) + change;

	if (count <= 0)
		g_hash_table_remove(server->addresses, address);
	else
		g_hash_table_insert(server->addresses, g_strdup(address), GINT_TO_POINTER(count));
}

/* Takes the address. */
static struct visit *
visit_start(struct public_server *server, int fd, char *address)
{
	struct visit *visit = NULL;
	guint open = 0;

	g_mutex_lock(&server->lock);
	if (address != NULL)
		open = GPOINTER_TO_UINT(g_hash_table_lookup(server->addresses, address));
	if (open < server->limits.connections_per_address &&
	    g_hash_table_size(server->visits) < server->limits.connections) {
		visit = g_new0(struct visit, 1);
		visit->fd = fd;
		visit->deadline_us =
		    clock_monotonic_us() + server->limits.receive_seconds * G_USEC_PER_SEC;
		g_hash_table_add(server->visits, visit);
		if (address != NULL)
			count_address(server, address, 1);
		visit->address = g_steal_pointer(&address);
	}
	g_mutex_unlock(&server->lock);
	g_free(address);
	return visit;
}

static void
visit_end(struct public_server *server, struct visit *visit)
{
	g_mutex_lock(&server->lock);
	g_hash_table_remove(server->visits, visit);
	if (visit->address != NULL)
		count_address(server, visit->address, -1);
	g_mutex_unlock(&server->lock);
	g_free(visit->address);
	g_free(visit);
}

/* libmicrohttpd cannot be told no here; a connection that was shut down ends at its first read. */
static void
on_connection(void *data, struct MHD_Connection *connection, void **context,
	      enum MHD_ConnectionNotificationCode code)
{
	struct public_server *server = data;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*context != NULL)
			visit_end(server, *context);
		*context = NULL;
		return;
	}
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	int fd = info != NULL ? (int)info->connect_fd : -1;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	*context = visit_start(server, fd, address_of(info != NULL ? info->client_addr : NULL));
	if (*context == NULL && fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

static void
set_deadline(struct MHD_Connection *connection, unsigned int seconds)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct visit *visit = info != NULL ? info->socket_context : NULL;

	/* Read by the reaper; a torn value cannot be: gint64 is one word here. */
	if (visit != NULL)
		__atomic_store_n(&visit->deadline_us,
				 clock_monotonic_us() + seconds * G_USEC_PER_SEC, __ATOMIC_RELAXED);
}

/* Cuts off who sends or takes too slowly, however busily: silence alone is libmicrohttpd's. */
static gpointer
reap(gpointer data)
{
	struct public_server *server = data;

	g_mutex_lock(&server->lock);
	while (!server->stopping) {
		gint64 now_us = clock_monotonic_us();
		GHashTableIter at;
		gpointer key;

		g_hash_table_iter_init(&at, server->visits);
		while (g_hash_table_iter_next(&at, &key, NULL)) {
			struct visit *visit = key;

			if (__atomic_load_n(&visit->deadline_us, __ATOMIC_RELAXED) < now_us)
				shutdown(visit->fd, SHUT_RDWR);
		}
		g_cond_wait_until(&server->changed, &server->lock,
				  g_get_monotonic_time() + REAP_SECONDS * G_USEC_PER_SEC);
	}
	g_mutex_unlock(&server->lock);
	return NULL;
}

/* --- requests --- */

static const struct public_route *
route_of(const struct public_route *routes, const char *path)
{
	const struct public_route *best = NULL;
	gsize best_length = 0;

	for (const struct public_route *route = routes; route->prefix != NULL; route++) {
		gsize length = strlen(route->prefix);
		gboolean is_prefix = length > 1 && route->prefix[length - 1] == '/';
		gboolean fits = is_prefix ? strncmp(path, route->prefix, length) == 0
					  : strcmp(path, route->prefix) == 0;

		if (fits && length > best_length) {
			best = route;
			best_length = length;
		}
	}
	return best;
}

static unsigned int
method_of(const char *name)
{
	if (strcmp(name, MHD_HTTP_METHOD_GET) == 0 || strcmp(name, MHD_HTTP_METHOD_HEAD) == 0)
		return PUBLIC_GET;
	return strcmp(name, MHD_HTTP_METHOD_POST) == 0 ? PUBLIC_POST : 0;
}

/* The type before any parameters. */
static gboolean
has_type(struct MHD_Connection *connection, const char *wanted)
{
	const char *type =
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
	gsize length = strlen(wanted);

	return type != NULL && g_ascii_strncasecmp(type, wanted, length) == 0 &&
	       (type[length] == '\0' || type[length] == ';' || type[length] == ' ');
}

static gboolean
is_too_long(struct MHD_Connection *connection, gsize max)
{
	const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text != NULL && g_ascii_strtoull(text, NULL, 10) > max;
}

/* What is wrong with the request before its body is there; NULL: nothing. */
static struct public_answer *
refusal_of(const struct public_server *server, struct MHD_Connection *connection, const char *path,
	   unsigned int method)
{
	const struct public_route *route = route_of(server->routes, path);

	if (route == NULL)
		return public_answer_text(MHD_HTTP_NOT_FOUND, "there is nothing here");
	if ((route->methods & method) == 0)
		return public_answer_wrong_method(route->methods);
	if (method == PUBLIC_GET)
		return NULL;
	if (route->post_type != NULL && !has_type(connection, route->post_type))
		return public_answer_text(MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
					  "the Content-Type is another one");
	if (is_too_long(connection, route->body_max_bytes))
		return public_answer_text(MHD_HTTP_CONTENT_TOO_LARGE, "the request is too large");
	return NULL;
}

static struct exchange *
exchange_new(struct public_server *server, struct MHD_Connection *connection, const char *path,
	     unsigned int method)
{
	struct exchange *exchange = g_new0(struct exchange, 1);

	exchange->server = server;
	exchange->connection = connection;
	exchange->route = route_of(server->routes, path);
	exchange->method = method;
	exchange->path = g_strdup(path);
	exchange->body = g_byte_array_new();
	return exchange;
}

static void
exchange_free(struct exchange *exchange)
{
	public_answer_unref(exchange->answer);
	g_byte_array_unref(exchange->body);
	g_free(exchange->path);
	g_free(exchange);
}

static struct public_answer *
ask(public_handler handler, const struct public_route *route, enum public_methods method,
    const char *path, const GByteArray *bytes, gpointer data)
{
	g_autoptr(GBytes) body =
	    g_bytes_new_static(bytes != NULL ? bytes->data : NULL, bytes != NULL ? bytes->len : 0);
	const struct public_request request = {
		.method = method,
		.path = path,
		.rest = path + strlen(route->prefix),
		.body = body,
	};

	return handler(&request, data);
}

/* In a thread that may wait. */
static void
answer_slowly(gpointer item, gpointer data)
{
	struct public_server *server = data;
	struct exchange *exchange = item;
	struct MHD_Connection *connection = exchange->connection;

	exchange->answer = ask(exchange->route->handle, exchange->route, exchange->method,
			       exchange->path, exchange->body, server->data);
	/* From here on the exchange belongs to the connection again. */
	MHD_resume_connection(connection);
	g_mutex_lock(&server->lock);
	server->in_flight--;
	g_cond_broadcast(&server->changed);
	g_mutex_unlock(&server->lock);
}

static enum MHD_Result
queue(struct public_server *server, struct MHD_Connection *connection, struct public_answer *answer)
{
	set_deadline(connection, server->limits.send_seconds);
	return public_answer_queue(answer, connection, clock_now(server->clock));
}

static enum MHD_Result
queue_once(struct public_server *server, struct MHD_Connection *connection,
	   struct public_answer *answer)
{
	enum MHD_Result result = queue(server, connection, answer);

	public_answer_unref(answer);
	return result;
}

static enum MHD_Result
wait_for_answer(struct public_server *server, struct exchange *exchange)
{
	gboolean taken;

	g_mutex_lock(&server->lock);
	taken = !server->stopping && server->in_flight < server->limits.waiting_max;
	if (taken)
		server->in_flight++;
	g_mutex_unlock(&server->lock);
	if (!taken)
		return queue_once(server, exchange->connection,
				  public_answer_text(MHD_HTTP_SERVICE_UNAVAILABLE,
						     "too many requests at a time, try again"));
	/* The answer's own time does not count. */
	set_deadline(exchange->connection, server->limits.send_seconds);
	MHD_suspend_connection(exchange->connection);
	g_thread_pool_push(server->waiters, exchange, NULL);
	return MHD_YES;
}

static enum MHD_Result
answer_get(struct public_server *server, struct MHD_Connection *connection, const char *path,
	   void **state)
{
	struct public_answer *answer = refusal_of(server, connection, path, PUBLIC_GET);

	if (answer == NULL) {
		const struct public_route *route = route_of(server->routes, path);

		if (route->peek != NULL)
			answer = ask(route->peek, route, PUBLIC_GET, path, NULL, server->data);
	}
	if (answer != NULL)
		return queue_once(server, connection, answer);
	struct exchange *exchange = exchange_new(server, connection, path, PUBLIC_GET);
	*state = exchange;
	return wait_for_answer(server, exchange);
}

static enum MHD_Result
answer_post(struct public_server *server, struct exchange *exchange)
{
	const struct public_route *route = exchange->route;

	if (route->peek != NULL)
		exchange->answer = ask(route->peek, route, PUBLIC_POST, exchange->path,
				       exchange->body, server->data);
	if (exchange->answer != NULL)
		return queue(server, exchange->connection, exchange->answer);
	return wait_for_answer(server, exchange);
}

static enum MHD_Result
begin(struct public_server *server, struct MHD_Connection *connection, const char *path,
      const char *method, void **state)
{
	unsigned int wanted = method_of(method);

	if (wanted == PUBLIC_GET) {
		*state = &plain_get;
		return MHD_YES;
	}
	struct public_answer *refusal = refusal_of(server, connection, path, wanted);
	struct exchange *exchange = exchange_new(server, connection, path, wanted);

	*state = exchange;
	if (refusal == NULL)
		return MHD_YES;
	exchange->refused = TRUE;
	return queue_once(server, connection, refusal);
}

static enum MHD_Result
take_body(struct exchange *exchange, const char *bytes, size_t *length)
{
	gsize max = exchange->route->body_max_bytes;
	gboolean fits = *length <= max - exchange->body->len;

	if (fits)
		g_byte_array_append(exchange->body, (const guint8 *)bytes, (guint)*length);
	*length = 0;
	/* Without a Content-Length it is found out only now: cut off. */
	return fits ? MHD_YES : MHD_NO;
}

static enum MHD_Result
on_request(void *data, struct MHD_Connection *connection, const char *path, const char *method,
	   const char *version, const char *bytes, size_t *length, void **state)
{
	struct public_server *server = data;

	(void)version;
	if (*state == NULL)
		return begin(server, connection, path, method, state);
	if (*state == &plain_get) {
		/* A GET has no body; what comes with one is not looked at. */
		if (*length > 0) {
			*length = 0;
			return MHD_NO;
		}
		return answer_get(server, connection, path, state);
	}
	struct exchange *exchange = *state;
	if (exchange->refused)
		return MHD_NO;
	if (*length > 0)
		return take_body(exchange, bytes, length);
	if (exchange->answer != NULL)
		return queue(server, connection, exchange->answer);
	return answer_post(server, exchange);
}

static void
on_completed(void *data, struct MHD_Connection *connection, void **state,
	     enum MHD_RequestTerminationCode code)
{
	struct public_server *server = data;

	(void)code;
	set_deadline(connection, server->limits.receive_seconds);
	if (*state != NULL && *state != &plain_get)
		exchange_free(*state);
	*state = NULL;
}

/* --- life --- */

static gboolean
add_daemon(struct public_server *server, int fd, GError **error)
{
	struct MHD_Daemon *daemon = MHD_start_daemon(
	    MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
	    on_request, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
	    server->limits.threads, MHD_OPTION_CONNECTION_LIMIT,
	    server->limits.connections + 16 * server->limits.threads, MHD_OPTION_CONNECTION_TIMEOUT,
	    server->limits.idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MAX_BYTES,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, server, MHD_OPTION_END);

	if (daemon == NULL) {
		close(fd);
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "the public HTTP server cannot be started: %s",
				  g_strerror(errno));
	}
	g_ptr_array_add(server->daemons, daemon);
	return TRUE;
}

struct public_server *
public_server_start(const int *fds, gsize n, const struct public_route *routes,
		    const struct public_limits *limits, struct clock *clock, gpointer data,
		    GError **error)
{
	struct public_server *server = g_new0(struct public_server, 1);
	gboolean good = TRUE;

	server->routes = routes;
	server->limits = *limits;
	server->clock = clock;
	server->data = data;
	server->daemons = g_ptr_array_new();
	server->visits = g_hash_table_new(NULL, NULL);
	server->addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_mutex_init(&server->lock);
	g_cond_init(&server->changed);
	server->waiters =
	    g_thread_pool_new(answer_slowly, server, (gint)limits->threads, FALSE, NULL);
	server->reaper = g_thread_new("public-reaper", reap, server);
	for (gsize i = 0; i < n; i++) {
		if (good)
			good = add_daemon(server, fds[i], error);
		else
			close(fds[i]);
	}
	if (!good) {
		public_server_stop(server);
		return NULL;
	}
	return server;
}

static void
wait_for_requests(struct public_server *server)
{
	gint64 until = g_get_monotonic_time() + STOP_WAIT_SECONDS * G_USEC_PER_SEC;

	g_mutex_lock(&server->lock);
	server->stopping = TRUE;
	g_cond_broadcast(&server->changed);
	while (server->in_flight > 0 && g_cond_wait_until(&server->changed, &server->lock, until))
		;
	g_mutex_unlock(&server->lock);
}

void
public_server_stop(struct public_server *server)
{
	if (server == NULL)
		return;
	for (guint i = 0; i < server->daemons->len; i++) {
		int fd = MHD_quiesce_daemon(g_ptr_array_index(server->daemons, i));

		if (fd >= 0)
			close(fd);
	}
	wait_for_requests(server);
	g_thread_join(server->reaper);
	g_thread_pool_free(server->waiters, FALSE, TRUE);
	for (guint i = 0; i < server->daemons->len; i++)
		MHD_stop_daemon(g_ptr_array_index(server->daemons, i));
	g_ptr_array_unref(server->daemons);
	g_hash_table_unref(server->visits);
	g_hash_table_unref(server->addresses);
	g_mutex_clear(&server->lock);
	g_cond_clear(&server->changed);
	g_free(server);
}
