/*
 * bench_milter - keeps a filter busy over N connections and measures what it does.
 *
 *     bench_milter -s SOCKET [-p PID] [-n CONNECTIONS] [-z BYTES] [-f FROM] [-t TO]... [-d SECONDS]
 *                  [-H 'Name: value']... [-m STAGE:NAME=VALUE]... [-w WARMUP] [-c CLIENT] [-F FILE]
 *
 * One thread, so that the load takes as little as it can of the machine that it measures. Each
 * connection sends the next message as soon as the last one is answered. One JSON line: rate,
 * latency at the median and the 99th percentile, least and most messages of a connection, CPU
 * time of the filter (PID) per message, bytes that came back. Exit status 1 when a message was
 * not accepted or came back unchanged although the others did not.
 */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store/base/error.h"
#include "tests/support/milter_client.h"

#define CONNECTIONS_MAX 256

static char *socket_name;
static int filter_pid;
static int n_connections = 8;
static int body_bytes = 2048;
static char *from = NULL;
static char **to;
static double seconds = 2;
static char **more_headers;
static char **macros;
static int warmup = 2;
static char *client_address;
static char *file;

static const GOptionEntry entries[] = {
	{ "socket", 's', 0, G_OPTION_ARG_STRING, &socket_name, "of the filter", "SOCKET" },
	{ "pid", 'p', 0, G_OPTION_ARG_INT, &filter_pid, "of the filter", "PID" },
	{ "connections", 'n', 0, G_OPTION_ARG_INT, &n_connections, "at once", "N" },
	{ "size", 'z', 0, G_OPTION_ARG_INT, &body_bytes, "of the body", "BYTES" },
	{ "from", 'f', 0, G_OPTION_ARG_STRING, &from, "sender and From", "ADDRESS" },
	{ "to", 't', 0, G_OPTION_ARG_STRING_ARRAY, &to, "recipient", "ADDRESS" },
	{ "seconds", 'd', 0, G_OPTION_ARG_DOUBLE, &seconds, "to measure", "SECONDS" },
	{ "header", 'H', 0, G_OPTION_ARG_STRING_ARRAY, &more_headers, "more", "FIELD" },
	{ "macro", 'm', 0, G_OPTION_ARG_STRING_ARRAY, &macros, "more", "STAGE:NAME=VALUE" },
	{ "client", 'c', 0, G_OPTION_ARG_STRING, &client_address, "(127.0.0.1)", "ADDRESS" },
	{ "file", 'F', 0, G_OPTION_ARG_FILENAME, &file, "a whole message", "FILE" },
	{ "warmup", 'w', 0, G_OPTION_ARG_INT, &warmup, "messages before", "N" },
	{ 0 },
};

struct connection {
	struct milter_client *client;
	int fd;
	const GByteArray *packets;
	gsize sent;
	gboolean waits_to_write;
	gint64 start_us;
	guint64 done;
	guint8 header[5]; /* length and command of the packet that is being read */
	gsize header_length;
	guint64 payload_left;
	guint changes; /* of this message: pieces of the body, edits of fields */
};

struct bench {
	int epoll;
	struct connection connections[CONNECTIONS_MAX];
	GByteArray *packets;
	GArray *latencies_us; /* gint64 */
	gboolean counting;
	gint64 until_us;
	guint open;
	guint64 bytes_back;
	guint64 refused;
	guint64 unchanged;
	char refusal;
};

/* ---- the message ---- */

static GString *
message_read(GError **error)
{
	g_autofree char *text = NULL;
	gsize length;

	if (!g_file_get_contents(file, &text, &length, error))
		return NULL;
	body_bytes = (int)length;
	return g_string_new_len(text, (gssize)length);
}

static GString *
message_make(void)
{
	GString *text = g_string_new(NULL);

	g_string_append_printf(text, "From: <%s>\r\nTo: <%s>", from, to[0]);
	for (guint i = 1; to[i] != NULL; i++)
		g_string_append_printf(text, ",\r\n <%s>", to[i]);
	g_string_append(text, "\r\nSubject: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
			      "Message-ID: <bench@example.com>\r\nMIME-Version: 1.0\r\n"
			      "Content-Type: text/plain; charset=utf-8\r\n");
	for (guint i = 0; more_headers != NULL && more_headers[i] != NULL; i++)
		g_string_append_printf(text, "%s\r\n", more_headers[i]);
	g_string_append(text, "\r\n");
	for (gsize end = text->len + (gsize)body_bytes, line = 0; text->len < end; line++)
		g_string_append_printf(
		    text,
		    "%06zu the quick brown fox jumps over the lazy dog again and again, so\r\n",
		    line);
	return text;
}

static void
set_macros(struct milter_client *client)
{
	milter_client_macro(client, 'C', "{daemon_name}", "smtpd");
	milter_client_macro(client, 'C', "{client_addr}", client_address);
	milter_client_macro(client, 'M', "{mail_addr}", from);
	milter_client_macro(client, 'E', "i", "4BENCH");
	for (guint i = 0; macros != NULL && macros[i] != NULL; i++) {
		g_auto(GStrv) pair = g_strsplit(strlen(macros[i]) > 2 ? macros[i] + 2 : "", "=", 2);

		if (pair[0] != NULL && pair[1] != NULL)
			milter_client_macro(client, macros[i][0], pair[0], pair[1]);
	}
}

/* ---- one connection ---- */

static void
connection_watch(struct bench *bench, struct connection *connection, gboolean writable)
{
	struct epoll_event event = { .events = EPOLLIN | (writable ? (uint32_t)EPOLLOUT : 0),
				     .data.ptr = connection };

	if (connection->waits_to_write != writable)
		epoll_ctl(bench->epoll, EPOLL_CTL_MOD, connection->fd, &event);
	connection->waits_to_write = writable;
}

static gboolean
connection_send(struct bench *bench, struct connection *connection)
{
	while (connection->sent < connection->packets->len) {
		ssize_t n =
		    send(connection->fd, connection->packets->data + connection->sent,
			 connection->packets->len - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			connection_watch(bench, connection, TRUE);
			return TRUE;
		}
		if (n <= 0)
			return FALSE;
		connection->sent += (gsize)n;
	}
	connection_watch(bench, connection, FALSE);
	return TRUE;
}

static gboolean
message_start(struct bench *bench, struct connection *connection)
{
	connection->sent = 0;
	connection->changes = 0;
	connection->start_us = g_get_monotonic_time();
	return connection_send(bench, connection);
}

/* FALSE: the last one of this connection. */
static gboolean
message_end(struct bench *bench, struct connection *connection, char code)
{
	gint64 now = g_get_monotonic_time(), latency = now - connection->start_us;

	if (code != 'c' && code != 'a') {
		bench->refused++;
		bench->refusal = code;
	}
	if (connection->changes == 0)
		bench->unchanged++;
	if (bench->counting && now < bench->until_us) {
		connection->done++;
		g_array_append_val(bench->latencies_us, latency);
	}
	return now < bench->until_us && message_start(bench, connection);
}

static gboolean
packet_begin(struct bench *bench, struct connection *connection)
{
	const guint8 *h = connection->header;
	char command = (char)h[4];

	connection->payload_left =
	    ((guint64)h[0] << 24 | (guint64)h[1] << 16 | (guint64)h[2] << 8 | h[3]) - 1;
	connection->header_length = 0;
	switch (command) {
	case 'b':
	case 'h':
	case 'i':
	case 'm':
		connection->changes++;
		return TRUE;
	case 'c':
	case 'a':
	case 'r':
	case 't':
	case 'd':
	case 'y':
		return message_end(bench, connection, command);
	default:
		return TRUE;
	}
}

static gboolean
connection_receive(struct bench *bench, struct connection *connection)
{
	static guint8 bytes[256 * 1024];
	ssize_t n = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return TRUE;
	if (n <= 0) {
		bench->refused++;
		bench->refusal = '!';
		return FALSE;
	}
	bench->bytes_back += (guint64)n;
	for (gsize at = 0; at < (gsize)n;) {
		gsize skip = (gsize)MIN(connection->payload_left, (gsize)n - at);

		at += skip;
		connection->payload_left -= skip;
		if (connection->payload_left > 0 || at == (gsize)n)
			continue;
		connection->header[connection->header_length++] = bytes[at++];
		if (connection->header_length == 5 && !packet_begin(bench, connection))
			return FALSE;
	}
	return TRUE;
}

static gboolean
connection_open(struct bench *bench, struct connection *connection, GError **error)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
	struct milter_reply reply = { 0 };
	g_autoptr(GString) message = NULL;

	connection->client = milter_client_open(socket_name, NULL, error);
	if (connection->client == NULL)
		return FALSE;
	set_macros(connection->client);
	if (!milter_client_connect(connection->client, "localhost", client_address, 40000, &reply,
				   error) ||
	    !milter_client_helo(connection->client, "localhost", &reply, error))
		return FALSE;
	milter_reply_clear(&reply);
	if (bench->packets == NULL) {
		message = file != NULL ? message_read(error) : message_make();
		if (message == NULL)
			return FALSE;
		bench->packets = milter_client_pack(
		    connection->client, from, (const char *const *)to, message->str, message->len);
		if (bench->packets == NULL) {
			return fail_false(error, PS_ERROR_INVALID,
					  "the filter answers before the end of a message");
		}
	} else if (!milter_client_flush(connection->client, error)) {
		return FALSE;
	}
	connection->fd = milter_client_fd(connection->client);
	connection->packets = bench->packets;
	epoll_ctl(bench->epoll, EPOLL_CTL_ADD, connection->fd, &event);
	return TRUE;
}

/* ---- measuring ---- */

static double
filter_cpu_seconds(void)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", filter_pid);
	g_autofree char *text = NULL;
	g_auto(GStrv) fields = NULL;
	const char *after;

	if (filter_pid == 0 || !g_file_get_contents(path, &text, NULL, NULL) ||
	    (after = strrchr(text, ')')) == NULL)
		return 0;
	fields = g_strsplit(after + 2, " ", -1);
	if (g_strv_length(fields) < 13)
		return 0;
	return (g_ascii_strtod(fields[11], NULL) + g_ascii_strtod(fields[12], NULL)) /
	       (double)sysconf(_SC_CLK_TCK);
}

static double
own_cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
run(struct bench *bench, double for_seconds)
{
	struct epoll_event events[64];

	bench->until_us = g_get_monotonic_time() + (gint64)(for_seconds * 1e6);
	bench->open = 0;
	for (int i = 0; i < n_connections; i++)
		if (message_start(bench, &bench->connections[i]))
			bench->open++;
	while (bench->open > 0) {
		int n = epoll_wait(bench->epoll, events, G_N_ELEMENTS(events), 60000);

		if (n == 0) {
			bench->refused++;
			bench->refusal = '?';
			return;
		}
		for (int i = 0; i < n; i++) {
			struct connection *connection = events[i].data.ptr;

			if ((events[i].events & EPOLLOUT && !connection_send(bench, connection)) ||
			    (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) &&
			     !connection_receive(bench, connection)))
				bench->open--;
		}
	}
}

static int
latency_compare(gconstpointer a, gconstpointer b)
{
	gint64 left = *(const gint64 *)a, right = *(const gint64 *)b;

	return (left > right) - (left < right);
}

static double
latency_ms(const struct bench *bench, double share)
{
	guint n = bench->latencies_us->len;

	if (n == 0)
		return 0;
	return (double)g_array_index(bench->latencies_us, gint64,
				     MIN(n - 1, (guint)((double)n * share))) /
	       1000;
}

static void
print(struct bench *bench, double took, double filter_cpu, double own_cpu)
{
	guint64 least = G_MAXUINT64, most = 0;
	double n = MAX(bench->latencies_us->len, 1);

	g_array_sort(bench->latencies_us, latency_compare);
	for (int i = 0; i < n_connections; i++) {
		least = MIN(least, bench->connections[i].done);
		most = MAX(most, bench->connections[i].done);
	}
	printf("{\"connections\": %d, \"size\": %d, \"recipients\": %u, \"messages\": %u, "
	       "\"seconds\": %.3f, \"rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
	       "\"least\": %" G_GUINT64_FORMAT ", \"most\": %" G_GUINT64_FORMAT ", "
	       "\"cpu_us\": %.1f, \"load_cpu_us\": %.1f, \"bytes_back\": %.0f, "
	       "\"refused\": %" G_GUINT64_FORMAT ", \"refusal\": \"%c\", "
	       "\"unchanged\": %" G_GUINT64_FORMAT "}\n",
	       n_connections, body_bytes, g_strv_length(to), bench->latencies_us->len, took,
	       bench->latencies_us->len / took, latency_ms(bench, 0.5), latency_ms(bench, 0.99),
	       least, most, filter_cpu * 1e6 / n, own_cpu * 1e6 / n, (double)bench->bytes_back / n,
	       bench->refused, bench->refusal == 0 ? '-' : bench->refusal, bench->unchanged);
}

static int
bench_run(struct bench *bench, GError **error)
{
	double filter_cpu, own_cpu;
	gint64 start;

	for (int i = 0; i < n_connections; i++)
		if (!connection_open(bench, &bench->connections[i], error))
			return 1;
	run(bench, 0.05 * warmup);
	bench->counting = TRUE;
	bench->bytes_back = bench->unchanged = 0;
	filter_cpu = filter_cpu_seconds();
	own_cpu = own_cpu_seconds();
	start = g_get_monotonic_time();
	if (bench->refused == 0)
		run(bench, seconds);
	print(bench, (double)(g_get_monotonic_time() - start) / 1e6,
	      filter_cpu_seconds() - filter_cpu, own_cpu_seconds() - own_cpu);
	for (int i = 0; i < n_connections; i++)
		milter_client_close(bench->connections[i].client);
	return bench->refused > 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
	static char *default_to[] = { (char *)"bob@partner.example", NULL };
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;
	g_autofree struct bench *bench = g_new0(struct bench, 1);
	int status;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || socket_name == NULL) {
		g_printerr("bench_milter: %s\n",
			   error == NULL ? "a socket is needed" : error->message);
		return 2;
	}
	if (from == NULL)
		from = g_strdup("alice@inside.example");
	if (to == NULL)
		to = default_to;
	if (client_address == NULL)
		client_address = g_strdup("127.0.0.1");
	n_connections = CLAMP(n_connections, 1, CONNECTIONS_MAX);
	bench->epoll = epoll_create1(EPOLL_CLOEXEC);
	bench->latencies_us = g_array_new(FALSE, FALSE, sizeof(gint64));
	status = bench_run(bench, &error);
	if (error != NULL)
		g_printerr("bench_milter: %s\n", error->message);
	g_array_unref(bench->latencies_us);
	g_clear_pointer(&bench->packets, g_byte_array_unref);
	close(bench->epoll);
	return status;
}
