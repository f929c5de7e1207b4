/*
 * milter_client - connection, packets, and the steps of a session; messages are milter_message.c's.
 */
#include "tests/support/milter_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/base/error.h"
#include "tests/support/milter_client_internal.h"

#define ACTIONS_POSTFIX 0x1ffu
#define STEPS_POSTFIX 0x1fffffu
#define STEP_SKIP 0x400u
#define OUT_FLUSH_BYTES (256u * 1024)
#define PACKET_MAX_BYTES (64u * 1024 * 1024)

/* Per step: its letter, the bit that says "not wanted", the bit that says "no answer". */
struct step {
	char command;
	guint32 unwanted;
	guint32 silent;
};

static const struct step steps[] = {
	{ 'C', 0x1, 0x1000 },   { 'H', 0x2, 0x2000 },    { 'M', 0x4, 0x4000 },
	{ 'R', 0x8, 0x8000 },   { 'T', 0x200, 0x10000 }, { 'L', 0x20, 0x80 },
	{ 'N', 0x40, 0x40000 }, { 'B', 0x10, 0x80000 },
};

struct macro {
	char stage;
	char *name;
	char *value;
};

guint32
milter_get_u32(const guint8 *p)
{
	return (guint32)p[0] << 24 | (guint32)p[1] << 16 | (guint32)p[2] << 8 | p[3];
}

static void
put_u32(GByteArray *out, guint32 value)
{
	guint32 order = g_htonl(value);

	g_byte_array_append(out, (const guint8 *)&order, 4);
}

/* ---- the connection ---- */

static int
connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return -1;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
connect_inet(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list, *one;
	int fd = -1, on = 1;

	if (getaddrinfo(host, port, &hints, &list) != 0)
		return -1;
	for (one = list; one != NULL && fd < 0; one = one->ai_next) {
		fd = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, one->ai_addr, one->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static int
socket_open(const char *name)
{
	g_auto(GStrv) parts = NULL;

	if (g_str_has_prefix(name, "unix:") || g_str_has_prefix(name, "local:"))
		return connect_unix(strchr(name, ':') + 1);
	if (name[0] == '/')
		return connect_unix(name);
	if (g_str_has_prefix(name, "inet:") && strchr(name, '@') != NULL) {
		parts = g_strsplit(name + 5, "@", 2);
		return connect_inet(parts[1], parts[0]);
	}
	if (g_str_has_prefix(name, "inet:"))
		name += 5;
	parts = g_strsplit(name, ":", 2);
	if (parts[0] == NULL || parts[1] == NULL)
		return connect_inet("127.0.0.1", name);
	return connect_inet(parts[0], parts[1]);
}

static gboolean
fd_wait(struct milter_client *client, short events, GError **error)
{
	struct pollfd one = { .fd = client->fd, .events = events };
	int n;

	do
		n = poll(&one, 1, (int)client->timeout_seconds * 1000);
	while (n < 0 && errno == EINTR);
	return n > 0 || fail_false(error, PS_ERROR_TEMPORARY, "the filter did not answer in time");
}

gboolean
milter_out_flush(struct milter_client *client, GError **error)
{
	gsize at = 0;

	while (at < client->out->len) {
		ssize_t n = send(client->fd, client->out->data + at, client->out->len - at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			at += (gsize)n;
		else if (errno == EAGAIN && !fd_wait(client, POLLOUT, error))
			return FALSE;
		else if (errno != EAGAIN && errno != EINTR)
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "the filter closed the connection: %s",
					  g_strerror(errno));
	}
	g_byte_array_set_size(client->out, 0);
	return TRUE;
}

static gboolean
in_read(struct milter_client *client, guint8 *bytes, gsize length, GError **error)
{
	while (length > 0) {
		gsize n = MIN(length, client->in_end - client->in_start);
		ssize_t got;

		memcpy(bytes, client->in + client->in_start, n);
		client->in_start += n;
		bytes += n;
		length -= n;
		if (length == 0)
			return TRUE;
		client->in_start = client->in_end = 0;
		got = recv(client->fd, client->in, sizeof client->in, MSG_DONTWAIT);
		if (got > 0)
			client->in_end = (gsize)got;
		else if (got == 0)
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "the filter closed the connection");
		else if (errno == EAGAIN && !fd_wait(client, POLLIN, error))
			return FALSE;
		else if (errno != EAGAIN && errno != EINTR)
			return fail_false(error, PS_ERROR_TEMPORARY, "connection to the filter: %s",
					  g_strerror(errno));
	}
	return TRUE;
}

/* ---- packets ---- */

gboolean
milter_packet_put(struct milter_client *client, char command, gconstpointer data, gsize length,
		  GError **error)
{
	guint8 letter = (guint8)command;

	put_u32(client->out, (guint32)length + 1);
	g_byte_array_append(client->out, &letter, 1);
	if (length > 0)
		g_byte_array_append(client->out, data, (guint)length);
	return client->packing || client->out->len < OUT_FLUSH_BYTES ||
	       milter_out_flush(client, error);
}

gboolean
milter_packet_get(struct milter_client *client, GError **error)
{
	guint8 size[4];
	guint32 length;

	if (!milter_out_flush(client, error) || !in_read(client, size, 4, error))
		return FALSE;
	length = milter_get_u32(size);
	if (length == 0 || length > PACKET_MAX_BYTES)
		return fail_false(error, PS_ERROR_INVALID, "packet of %u bytes from the filter",
				  length);
	g_byte_array_set_size(client->packet, length + 1);
	client->packet->data[length] = 0; /* texts are read as such */
	client->packet->len = length;
	return in_read(client, client->packet->data, length, error);
}

static const struct step *
step_of(char command)
{
	for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
		if (steps[i].command == command)
			return &steps[i];
	return NULL;
}

gboolean
milter_macros_put(struct milter_client *client, char stage, GError **error)
{
	g_autoptr(GByteArray) data = g_byte_array_new();

	g_byte_array_append(data, (const guint8 *)&stage, 1);
	for (guint i = 0; i < client->macros->len; i++) {
		const struct macro *macro = &g_array_index(client->macros, struct macro, i);

		if (macro->stage != stage)
			continue;
		g_byte_array_append(data, (const guint8 *)macro->name,
				    (guint)strlen(macro->name) + 1);
		g_byte_array_append(data, (const guint8 *)macro->value,
				    (guint)strlen(macro->value) + 1);
	}
	return data->len == 1 || milter_packet_put(client, 'D', data->data, data->len, error);
}

void
milter_reply_clear(struct milter_reply *reply)
{
	g_clear_pointer(&reply->text, g_free);
	reply->code = 0;
}

void
milter_reply_take(struct milter_client *client, struct milter_reply *reply)
{
	milter_reply_clear(reply);
	reply->code = (char)client->packet->data[0];
	if (reply->code == 'y') {
		/* A percent sign travels doubled. */
		g_auto(GStrv) parts = g_strsplit((const char *)client->packet->data + 1, "%%", -1);

		reply->text = g_strjoinv("%", parts);
	}
}

gboolean
milter_step_send(struct milter_client *client, char command, gconstpointer data, gsize length,
		 struct milter_reply *reply, GError **error)
{
	const struct step *step = step_of(command);

	milter_reply_clear(reply);
	reply->code = 'c';
	if (step != NULL && client->steps & step->unwanted)
		return TRUE;
	if (command != 'L' && command != 'B' && !milter_macros_put(client, command, error))
		return FALSE;
	if (!milter_packet_put(client, command, data, length, error))
		return FALSE;
	if (step != NULL && client->steps & step->silent)
		return TRUE;
	if (client->packing)
		return fail_false(error, PS_ERROR_INVALID, "the filter answers to step %c",
				  command);
	do {
		if (!milter_packet_get(client, error))
			return FALSE;
	} while (client->packet->data[0] == 'p');
	milter_reply_take(client, reply);
	return TRUE;
}

/* ---- session ---- */

static gboolean
negotiate(struct milter_client *client, guint32 actions, guint32 offered, GError **error)
{
	g_autoptr(GByteArray) data = g_byte_array_new();

	put_u32(data, 6);
	put_u32(data, actions);
	put_u32(data, offered);
	if (!milter_packet_put(client, 'O', data->data, data->len, error) ||
	    !milter_packet_get(client, error))
		return FALSE;
	if (client->packet->len < 13 || client->packet->data[0] != 'O')
		return fail_false(error, PS_ERROR_INVALID, "the filter does not negotiate");
	client->actions = milter_get_u32(client->packet->data + 5);
	client->steps = milter_get_u32(client->packet->data + 9);
	if (client->actions & ~actions || client->steps & ~offered)
		return fail_false(error, PS_ERROR_INVALID, "the filter wants what was not offered");
	return TRUE;
}

static void
macro_clear(gpointer data)
{
	struct macro *macro = data;

	g_free(macro->name);
	g_free(macro->value);
}

struct milter_client *
milter_client_open(const char *name, const struct milter_client_options *options, GError **error)
{
	static const struct milter_client_options defaults;
	struct milter_client *client;
	int fd = socket_open(name);

	if (fd < 0)
		return fail(error, PS_ERROR_TEMPORARY, "cannot connect to %s: %s", name,
			    g_strerror(errno));
	if (options == NULL)
		options = &defaults;
	client = g_new0(struct milter_client, 1);
	client->fd = fd;
	client->timeout_seconds = options->timeout_seconds == 0 ? 60 : options->timeout_seconds;
	client->discard_body = options->discard_body;
	client->out = g_byte_array_new();
	client->packet = g_byte_array_new();
	client->macros = g_array_new(FALSE, FALSE, sizeof(struct macro));
	g_array_set_clear_func(client->macros, macro_clear);
	if (!negotiate(client, options->actions == 0 ? ACTIONS_POSTFIX : options->actions,
		       options->steps == 0 ? STEPS_POSTFIX : options->steps, error)) {
		milter_client_close(client);
		return NULL;
	}
	return client;
}

void
milter_client_close(struct milter_client *client)
{
	if (client == NULL)
		return;
	g_byte_array_set_size(client->out, 0);
	if (milter_packet_put(client, 'Q', NULL, 0, NULL))
		(void)milter_out_flush(client, NULL);
	close(client->fd);
	g_byte_array_unref(client->out);
	g_byte_array_unref(client->packet);
	g_array_unref(client->macros);
	g_free(client);
}

guint32
milter_client_steps(const struct milter_client *client)
{
	return client->steps;
}

guint32
milter_client_actions(const struct milter_client *client)
{
	return client->actions;
}

void
milter_client_macro(struct milter_client *client, char stage, const char *name, const char *value)
{
	struct macro macro = { stage, g_strdup(name), g_strdup(value) };

	for (guint i = 0; i < client->macros->len; i++) {
		const struct macro *old = &g_array_index(client->macros, struct macro, i);

		if (old->stage == stage && strcmp(old->name, name) == 0) {
			g_array_remove_index(client->macros, i);
			break;
		}
	}
	if (value != NULL)
		g_array_append_val(client->macros, macro);
	else
		g_free(macro.name);
}

gboolean
milter_client_connect(struct milter_client *client, const char *host, const char *address,
		      guint16 port, struct milter_reply *reply, GError **error)
{
	g_autoptr(GByteArray) data = g_byte_array_new();
	guint16 order = g_htons(port);
	const char *family = strchr(address, ':') != NULL ? "6" : "4";

	if (address[0] == '/')
		family = "L";
	g_byte_array_append(data, (const guint8 *)host, (guint)strlen(host) + 1);
	g_byte_array_append(data, (const guint8 *)family, 1);
	g_byte_array_append(data, (const guint8 *)&order, 2);
	g_byte_array_append(data, (const guint8 *)address, (guint)strlen(address) + 1);
	return milter_step_send(client, 'C', data->data, data->len, reply, error);
}

gboolean
milter_client_helo(struct milter_client *client, const char *name, struct milter_reply *reply,
		   GError **error)
{
	return milter_step_send(client, 'H', name, strlen(name) + 1, reply, error);
}

static gboolean
args_send(struct milter_client *client, char command, const char *const *args,
	  struct milter_reply *reply, GError **error)
{
	g_autoptr(GByteArray) data = g_byte_array_new();

	for (; *args != NULL; args++)
		g_byte_array_append(data, (const guint8 *)*args, (guint)strlen(*args) + 1);
	return milter_step_send(client, command, data->data, data->len, reply, error);
}

gboolean
milter_client_mail(struct milter_client *client, const char *const *args,
		   struct milter_reply *reply, GError **error)
{
	return args_send(client, 'M', args, reply, error);
}

gboolean
milter_client_rcpt(struct milter_client *client, const char *const *args,
		   struct milter_reply *reply, GError **error)
{
	return args_send(client, 'R', args, reply, error);
}

gboolean
milter_client_data(struct milter_client *client, struct milter_reply *reply, GError **error)
{
	return milter_step_send(client, 'T', NULL, 0, reply, error);
}

gboolean
milter_client_abort(struct milter_client *client, GError **error)
{
	return milter_packet_put(client, 'A', NULL, 0, error) && milter_out_flush(client, error);
}

gboolean
milter_client_reset(struct milter_client *client, GError **error)
{
	return milter_packet_put(client, 'K', NULL, 0, error) && milter_out_flush(client, error);
}
