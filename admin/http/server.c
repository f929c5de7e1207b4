/*
 * server - libmicrohttpd behind our own socket, with a thread per connection.
 */
#include "admin/http/server.h"

#include <errno.h>
#include <grp.h>
#include <microhttpd.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/secret.h"

#define QUERY_ARGUMENTS_MAX 200
#define HEADERS_MAX_BYTES 65536
#define STOP_WAIT_SECONDS 30
#define BACKLOG 64

const struct server_limits server_default_limits = {
	.connections = 128,
	.connections_for_root = 16,
	.connections_per_user = 32,
	.body_max_bytes = 64 * 1024 * 1024,
	.bodies_max_bytes = 256 * 1024 * 1024,
	.header_seconds = 10,
	.idle_seconds = 120,
	.receive_seconds = 300,
};

struct server {
	struct MHD_Daemon *daemon;
	struct server_limits limits;
	server_handler handler;
	gpointer data;
	GMutex lock;
	GCond ended;
	GHashTable *users; /* uid -> requests in flight */
	GHashTable *open;  /* uid, not of root -> connections */
	guint open_count;
	guint in_flight;
	gsize bodies_bytes; /* of all requests in flight */
};

/* One connection of a user who is not root, from accept to close. */
struct visit {
	uid_t uid;
};

/* One request on its way in. */
struct exchange {
	struct server *server;
	struct ucred peer;
	GByteArray *body;
	gint64 started_us;
	unsigned int refusal; /* HTTP status, 0 while all is well */
};

/* --- the socket --- */

/* Linux POSIX ACL as the kernel takes it (include/uapi/linux/posix_acl_xattr.h). */
struct acl_entry {
	uint16_t tag;
	uint16_t permissions;
	uint32_t id;
};

enum { ACL_OWNER = 1, ACL_OWNING_GROUP = 4, ACL_NAMED_GROUP = 8, ACL_MASK = 16, ACL_OTHERS = 32 };

static gboolean
group_of(const char *name, gid_t *gid)
{
	const struct group *record = name != NULL && *name != '\0' ? getgrnam(name) : NULL;

	if (record == NULL)
		return FALSE;
	*gid = record->gr_gid;
	return TRUE;
}

static void
acl_append(GByteArray *acl, uint16_t tag, uint16_t permissions, uint32_t id)
{
	struct acl_entry entry = { GUINT16_TO_LE(tag), GUINT16_TO_LE(permissions),
				   GUINT32_TO_LE(id) };

	g_byte_array_append(acl, (const guint8 *)&entry, sizeof entry);
}

/* A socket has one group; the groups of the other roles reach it by an access list. */
static void
admit_groups(const char *path, const char *const *groups)
{
	g_autoptr(GByteArray) acl = g_byte_array_new();
	uint32_t version = GUINT32_TO_LE(2);
	gboolean any = FALSE;

	g_byte_array_append(acl, (const guint8 *)&version, sizeof version);
	acl_append(acl, ACL_OWNER, 6, UINT32_MAX);
	acl_append(acl, ACL_OWNING_GROUP, 6, UINT32_MAX);
	for (const char *const *name = groups; name != NULL && *name != NULL; name++) {
		gid_t gid;

		if (!group_of(*name, &gid))
			continue;
		acl_append(acl, ACL_NAMED_GROUP, 6, gid);
		any = TRUE;
	}
	acl_append(acl, ACL_MASK, 6, UINT32_MAX);
	acl_append(acl, ACL_OTHERS, 0, UINT32_MAX);
	if (any && setxattr(path, "system.posix_acl_access", acl->data, acl->len, 0) != 0)
		log_warning("the socket has no access list, only its own group can connect", "path",
			    path, "error", g_strerror(errno));
}

/* TRUE when somebody answers there. */
static gboolean
socket_is_alive(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	gboolean alive =
	    fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;

	if (fd >= 0)
		close(fd);
	return alive;
}

static int
fail_listen(int fd, const char *path, GError **error)
{
	fail(error, PS_ERROR_TEMPORARY, "%s: cannot listen: %s", path, g_strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int
server_listen(const char *path, const char *group_or_null, const char *const *further_groups,
	      GError **error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	gid_t gid;

	if (strlen(path) >= sizeof address.sun_path) {
		fail(error, PS_ERROR_INVALID, "%s: longer than a socket path can be (%zu bytes)",
		     path, sizeof address.sun_path - 1);
		return -1;
	}
	g_strlcpy(address.sun_path, path, sizeof address.sun_path);
	if (socket_is_alive(&address)) {
		fail(error, PS_ERROR_TEMPORARY, "%s: another postseald answers there", path);
		return -1;
	}
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_listen(fd, path, error);
	mode_t mask = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
	umask(mask);
	if (rc != 0)
		return fail_listen(fd, path, error);
	if (group_of(group_or_null, &gid) && chown(path, (uid_t)-1, gid) != 0)
		log_warning("the socket could not be given to its group", "path", path, "group",
			    group_or_null, "error", g_strerror(errno));
	if (chmod(path, 0660) != 0 || listen(fd, BACKLOG) != 0)
		return fail_listen(fd, path, error);
	admit_groups(path, further_groups);
	return fd;
}

/* --- limits --- */

static guint
count_of(GHashTable *counts, uid_t uid)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(counts, GUINT_TO_POINTER((guint)uid)));
}

static void
count_set(GHashTable *counts, uid_t uid, guint count)
{
	if (count == 0)
		g_hash_table_remove(counts, GUINT_TO_POINTER((guint)uid));
	else
		g_hash_table_insert(counts, GUINT_TO_POINTER((guint)uid), GUINT_TO_POINTER(count));
}

/* FALSE when the user has too many connections, or all of those that are not root's are taken. */
static gboolean
visit_start(struct server *server, uid_t uid)
{
	guint per_user = server->limits.connections_per_user;
	gboolean fits;

	g_mutex_lock(&server->lock);
	guint count = count_of(server->open, uid);
	/* A few more than are served: these are told 503, before the next are cut off. */
	fits = count < per_user + per_user / 4 && server->open_count < server->limits.connections;
	if (fits) {
		count_set(server->open, uid, count + 1);
		server->open_count++;
	}
	g_mutex_unlock(&server->lock);
	return fits;
}

static void
visit_end(struct server *server, struct visit *visit)
{
	g_mutex_lock(&server->lock);
	count_set(server->open, visit->uid, count_of(server->open, visit->uid) - 1);
	server->open_count--;
	g_mutex_unlock(&server->lock);
	g_free(visit);
}

static gboolean
peer_of(struct MHD_Connection *connection, int *fd, struct ucred *peer)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	socklen_t length = sizeof *peer;

	*fd = info != NULL ? (int)info->connect_fd : -1;
	return info != NULL && getsockopt(*fd, SOL_SOCKET, SO_PEERCRED, peer, &length) == 0;
}

/* Called at accept, before a byte is read: half-open requests count. libmicrohttpd cannot be told
 * no here; a connection that was shut down ends at its first read. */
static void
on_connection(void *data, struct MHD_Connection *connection, void **context,
	      enum MHD_ConnectionNotificationCode code)
{
	struct server *server = data;
	struct ucred peer;
	int fd;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*context != NULL)
			visit_end(server, *context);
		*context = NULL;
		return;
	}
	if (!peer_of(connection, &fd, &peer)) {
		if (fd >= 0)
			shutdown(fd, SHUT_RDWR);
		return;
	}
	if (peer.uid == 0)
		return;
	if (!visit_start(server, peer.uid)) {
		shutdown(fd, SHUT_RDWR);
		return;
	}
	struct visit *visit = g_new0(struct visit, 1);
	visit->uid = peer.uid;
	*context = visit;
}

static unsigned int
admit(struct server *server, const struct ucred *peer)
{
	unsigned int refusal = 0;

	g_mutex_lock(&server->lock);
	guint count = count_of(server->users, peer->uid);
	if (count >= server->limits.connections_per_user)
		refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
	count_set(server->users, peer->uid, count + 1);
	server->in_flight++;
	g_mutex_unlock(&server->lock);
	return refusal;
}

static void
leave(struct server *server, const struct exchange *exchange)
{
	g_mutex_lock(&server->lock);
	count_set(server->users, exchange->peer.uid,
		  count_of(server->users, exchange->peer.uid) - 1);
	server->bodies_bytes -= exchange->body->len;
	server->in_flight--;
	g_cond_broadcast(&server->ended);
	g_mutex_unlock(&server->lock);
}

static void
take_body(struct exchange *exchange, const char *bytes, gsize length)
{
	struct server *server = exchange->server;
	gint64 deadline_us =
	    exchange->started_us + (gint64)server->limits.receive_seconds * G_USEC_PER_SEC;

	if (exchange->refusal != 0)
		return;
	if (g_get_monotonic_time() > deadline_us) {
		exchange->refusal = MHD_HTTP_REQUEST_TIMEOUT;
		return;
	}
	if (length > server->limits.body_max_bytes - exchange->body->len) {
		exchange->refusal = MHD_HTTP_CONTENT_TOO_LARGE;
		return;
	}
	g_mutex_lock(&server->lock);
	if (length > server->limits.bodies_max_bytes - server->bodies_bytes)
		exchange->refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
	else
		server->bodies_bytes += length;
	g_mutex_unlock(&server->lock);
	if (exchange->refusal == 0)
		g_byte_array_append(exchange->body, (const guint8 *)bytes, (guint)length);
}

/* --- one exchange --- */

static struct exchange *
exchange_new(struct server *server, struct MHD_Connection *connection)
{
	struct exchange *exchange = g_new0(struct exchange, 1);
	int fd;

	exchange->server = server;
	exchange->body = g_byte_array_new();
	exchange->started_us = g_get_monotonic_time();
	if (!peer_of(connection, &fd, &exchange->peer)) {
		exchange->peer.uid = (uid_t)-1;
		exchange->refusal = MHD_HTTP_FORBIDDEN;
	}
	unsigned int refusal = admit(server, &exchange->peer);
	if (exchange->refusal == 0)
		exchange->refusal = refusal;
	return exchange;
}

static void
exchange_free(struct exchange *exchange)
{
	leave(exchange->server, exchange);
	wipe(exchange->body->data, exchange->body->len);
	g_byte_array_unref(exchange->body);
	g_free(exchange);
}

static enum MHD_Result
add_query(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	GHashTable *query = data;
	GPtrArray *values = g_hash_table_lookup(query, name);

	(void)kind;
	if (values == NULL) {
		if (g_hash_table_size(query) >= QUERY_ARGUMENTS_MAX)
			return MHD_NO;
		values = g_ptr_array_new_with_free_func(g_free);
		g_hash_table_insert(query, g_strdup(name), values);
	}
	if (values->len >= QUERY_ARGUMENTS_MAX)
		return MHD_NO;
	g_ptr_array_add(values, g_strdup(value != NULL ? value : ""));
	return MHD_YES;
}

static void
refuse(unsigned int status, struct response *response)
{
	const char *code = status == MHD_HTTP_FORBIDDEN           ? "denied"
			   : status == MHD_HTTP_CONTENT_TOO_LARGE ? "invalid"
								  : "temporary";
	const char *text = status == MHD_HTTP_CONTENT_TOO_LARGE ? "the request is too large"
			   : status == MHD_HTTP_REQUEST_TIMEOUT ? "the request came too slowly"
			   : status == MHD_HTTP_FORBIDDEN
			       ? "the user of the connection is unknown"
			       : "too many requests at a time, try again";
	char *body =
	    g_strdup_printf("{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", code, text);

	response->status = status;
	response->content_type = "application/json";
	response->body = g_bytes_new_take(body, strlen(body));
	response->exit_status = status == MHD_HTTP_FORBIDDEN ? 4 : 1;
}

static void
call_handler(struct exchange *exchange, struct MHD_Connection *connection, const char *url,
	     const char *method, struct response *response)
{
	GHashTable *query = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
						  (GDestroyNotify)g_ptr_array_unref);
	/* The exchange outlives the call and wipes its bytes. */
	g_autoptr(GBytes) body = g_bytes_new_static(exchange->body->data, exchange->body->len);

	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_query, query);
	struct request request = {
		.method = method,
		.path = url,
		.query = query,
		.id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Postseal-Request"),
		.body = body,
		.uid = exchange->peer.uid,
		.gid = exchange->peer.gid,
		.pid = exchange->peer.pid,
	};
	exchange->server->handler(&request, response, exchange->server->data);
	g_hash_table_unref(query);
}

static void
unref_body(void *body)
{
	g_bytes_unref(body);
}

static enum MHD_Result
send_response(struct MHD_Connection *connection, const struct response *response)
{
	gsize length;
	gconstpointer bytes = g_bytes_get_data(response->body, &length);
	g_autofree char *exit_text = g_strdup_printf("%d", response->exit_status);
	/* Not copied: its owner wipes it, where it holds a secret, when the last reference goes. */
	struct MHD_Response *answer = MHD_create_response_from_buffer_with_free_callback_cls(
	    length, (void *)(uintptr_t)bytes, unref_body, g_bytes_ref(response->body));

	if (answer == NULL) {
		g_bytes_unref(response->body);
		return MHD_NO;
	}
	MHD_add_response_header(answer, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
	MHD_add_response_header(answer, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(answer, "Postseal-Exit", exit_text);
	enum MHD_Result result = MHD_queue_response(connection, response->status, answer);
	MHD_destroy_response(answer);
	return result;
}

static enum MHD_Result
on_request(void *data, struct MHD_Connection *connection, const char *url, const char *method,
	   const char *version, const char *bytes, size_t *length, void **state)
{
	struct exchange *exchange = *state;
	struct response response = { 0 };

	(void)version;
	if (exchange == NULL) {
		*state = exchange_new(data, connection);
		exchange = *state;
		MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
					  exchange->server->limits.idle_seconds);
		return MHD_YES;
	}
	if (*length > 0) {
		take_body(exchange, bytes, *length);
		*length = 0;
		return MHD_YES;
	}
	/* The time that we take ourselves is not the client's silence. */
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	if (exchange->refusal != 0)
		refuse(exchange->refusal, &response);
	else
		call_handler(exchange, connection, url, method, &response);
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
				  exchange->server->limits.idle_seconds);
	enum MHD_Result result = send_response(connection, &response);
	g_bytes_unref(response.body);
	return result;
}

static void
on_completed(void *data, struct MHD_Connection *connection, void **state,
	     enum MHD_RequestTerminationCode code)
{
	struct server *server = data;

	(void)code;
	MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
				  server->limits.header_seconds);
	if (*state != NULL)
		exchange_free(*state);
	*state = NULL;
}

/* --- life --- */

struct server *
server_start(int listen_fd, const struct server_limits *limits, server_handler handler,
	     gpointer data, GError **error)
{
	struct server *server = g_new0(struct server, 1);

	server->limits = *limits;
	server->handler = handler;
	server->data = data;
	server->users = g_hash_table_new(NULL, NULL);
	server->open = g_hash_table_new(NULL, NULL);
	g_mutex_init(&server->lock);
	g_cond_init(&server->ended);
	server->daemon = MHD_start_daemon(
	    MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
		MHD_USE_ITC,
	    0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, listen_fd,
	    MHD_OPTION_CONNECTION_LIMIT, limits->connections + limits->connections_for_root,
	    MHD_OPTION_CONNECTION_TIMEOUT, limits->header_seconds,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX_BYTES,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, server, MHD_OPTION_END);
	if (server->daemon == NULL) {
		server_stop(server);
		return fail(error, PS_ERROR_TEMPORARY, "the HTTP server cannot be started: %s",
			    g_strerror(errno));
	}
	return server;
}

static void
wait_for_requests(struct server *server)
{
	gint64 until = g_get_monotonic_time() + STOP_WAIT_SECONDS * G_USEC_PER_SEC;

	g_mutex_lock(&server->lock);
	while (server->in_flight > 0 && g_cond_wait_until(&server->ended, &server->lock, until))
		;
	g_mutex_unlock(&server->lock);
}

void
server_stop(struct server *server)
{
	if (server == NULL)
		return;
	if (server->daemon != NULL) {
		int listen_fd = MHD_quiesce_daemon(server->daemon);

		wait_for_requests(server);
		MHD_stop_daemon(server->daemon);
		if (listen_fd >= 0)
			close(listen_fd);
	}
	g_hash_table_unref(server->users);
	g_hash_table_unref(server->open);
	g_mutex_clear(&server->lock);
	g_cond_clear(&server->ended);
	g_free(server);
}
