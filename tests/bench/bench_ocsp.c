/*
 * bench_ocsp - OCSP answers of a running daemon against a static answer of the same size.
 *
 *     bench_ocsp -p PORT -r REQUEST.der [-n CONNECTIONS] [-d SECONDS] [-k ROUNDS] [-s THREADS]
 * [--pid PID]
 *
 * The static server is libmicrohttpd in a process of its own, set up like the daemon's listener
 * (epoll, as many threads), which gives one prepared buffer with the headers of the answer. Both
 * take turns within each round, by GET and by POST, and only the ratio of a round counts; the
 * median is shown. One thread asks, over kept connections, the next request as soon as the last
 * one is answered. One JSON line for each way. Exit status 1 when an answer was not the expected.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define BUFFER_BYTES 65536

static int port;
static char *request_file;
static int n_connections = 16;
static double seconds = 0.5;
static int rounds = 9;
static int threads = 2;
static int daemon_pid;

static const GOptionEntry entries[] = {
	{ "port", 'p', 0, G_OPTION_ARG_INT, &port, "of the public listener", "PORT" },
	{ "request", 'r', 0, G_OPTION_ARG_FILENAME, &request_file, "OCSP request, DER", "FILE" },
	{ "connections", 'n', 0, G_OPTION_ARG_INT, &n_connections, "at once (16)", "N" },
	{ "seconds", 'd', 0, G_OPTION_ARG_DOUBLE, &seconds, "of each turn (0.5)", "SECONDS" },
	{ "rounds", 'k', 0, G_OPTION_ARG_INT, &rounds, "how often (9)", "N" },
	{ "pid", 0, 0, G_OPTION_ARG_INT, &daemon_pid, "of the daemon, for its CPU time", "PID" },
	{ "threads", 's', 0, G_OPTION_ARG_INT, &threads, "of the static server (2)", "N" },
	{ 0 },
};

/* --- the static server --- */

static struct MHD_Response *prepared;

static enum MHD_Result
on_request(void *data, struct MHD_Connection *connection, const char *url, const char *method,
	   const char *version, const char *bytes, size_t *length, void **state)
{
	static int seen;

	(void)data;
	(void)url;
	(void)method;
	(void)version;
	(void)bytes;
	if (*state == NULL) {
		*state = &seen;
		return MHD_YES;
	}
	if (*length > 0) {
		*length = 0;
		return MHD_YES;
	}
	return MHD_queue_response(connection, MHD_HTTP_OK, prepared);
}

/* The same headers as the daemon's answer has. */
static void
copy_headers(const char *head)
{
	g_auto(GStrv) lines = g_strsplit(head, "\r\n", -1);

	for (char **line = lines + 1; lines[0] != NULL && *line != NULL; line++) {
		char *colon = strchr(*line, ':');

		if (colon == NULL || g_ascii_strncasecmp(*line, "Date", 4) == 0 ||
		    g_ascii_strncasecmp(*line, "Content-Length", 14) == 0 ||
		    g_ascii_strncasecmp(*line, "Connection", 10) == 0)
			continue;
		*colon = '\0';
		MHD_add_response_header(prepared, *line, g_strstrip(colon + 1));
	}
}

/* *child: to be ended. The port. */
static int
start_static(const char *head, const char *body, gsize length, pid_t *child)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 256) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		g_error("no port");
	*child = fork();
	if (*child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prepared =
		    MHD_create_response_from_buffer(length, (void *)body, MHD_RESPMEM_MUST_COPY);
		copy_headers(head);
		if (MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL,
				     on_request, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_THREAD_POOL_SIZE, (unsigned int)threads,
				     MHD_OPTION_CONNECTION_LIMIT, 512U, MHD_OPTION_END) == NULL)
			_exit(1);
		for (;;)
			pause();
	}
	close(fd);
	return ntohs(address.sin_port);
}

/* --- asking --- */

struct connection {
	int fd;
	char buffer[BUFFER_BYTES];
	gsize have;
};

static int
connect_to(int to)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((guint16)to),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		g_error("127.0.0.1:%d: %s", to, g_strerror(errno));
	return fd;
}

/* Octets of the answer in front of the buffer; 0: not all is there. */
static gsize
answer_length(const struct connection *connection, gsize *head)
{
	const char *end = g_strstr_len(connection->buffer, (gssize)connection->have, "\r\n\r\n");

	if (end == NULL)
		return 0;
	*head = (gsize)(end - connection->buffer) + 4;
	const char *field = strcasestr(connection->buffer, "content-length:");
	if (field == NULL || field > end)
		g_error("an answer without its length");
	gsize whole = *head + (gsize)g_ascii_strtoull(field + 15, NULL, 10);
	return connection->have >= whole ? whole : 0;
}

static void
send_all(int fd, GBytes *request)
{
	gsize length;
	const char *bytes = g_bytes_get_data(request, &length);

	if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
		g_error("sending: %s", g_strerror(errno));
}

static void
receive(struct connection *connection)
{
	ssize_t n = recv(connection->fd, connection->buffer + connection->have,
			 BUFFER_BYTES - 1 - connection->have, 0);

	if (n <= 0)
		g_error("receiving: %s", n == 0 ? "closed" : g_strerror(errno));
	connection->have += (gsize)n;
	connection->buffer[connection->have] = '\0';
}

/* Seconds of CPU that a process has taken; 0 when that cannot be known. */
static double
cpu_seconds(int pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
	g_autofree char *text = NULL;

	if (pid == 0 || !g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	const char *end = strrchr(text, ')');
	g_auto(GStrv) fields = g_strsplit(end != NULL ? end + 2 : "", " ", 16);
	if (g_strv_length(fields) < 14)
		return 0;
	return (double)(g_ascii_strtoull(fields[11], NULL, 10) +
			g_ascii_strtoull(fields[12], NULL, 10)) /
	       (double)sysconf(_SC_CLK_TCK);
}

/* What a server did in one turn. */
struct turn {
	double rate; /* answers a second */
	double answers, cpu;
};

/* Each answer must have this body. */
static struct turn
load(int to, int pid, GBytes *request, const char *body, gsize body_length)
{
	struct connection *connections = g_new0(struct connection, (gsize)n_connections);
	int epoll = epoll_create1(0);
	guint64 answers = 0;
	double cpu = cpu_seconds(pid);
	gint64 start = g_get_monotonic_time(), now = start;

	for (int i = 0; i < n_connections; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[i] };
		connections[i].fd = connect_to(to);
		epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event);
		send_all(connections[i].fd, request);
	}
	while (now < start + (gint64)(seconds * G_USEC_PER_SEC)) {
		struct epoll_event events[CONNECTIONS_MAX];
		int n = epoll_wait(epoll, events, CONNECTIONS_MAX, 1000);

		for (int i = 0; i < n; i++) {
			struct connection *connection = events[i].data.ptr;
			gsize head, whole;

			receive(connection);
			whole = answer_length(connection, &head);
			if (whole == 0)
				continue;
			if (whole != connection->have || whole - head != body_length ||
			    memcmp(connection->buffer + head, body, body_length) != 0)
				g_error("another answer");
			connection->have = 0;
			answers++;
			send_all(connection->fd, request);
		}
		now = g_get_monotonic_time();
	}
	for (int i = 0; i < n_connections; i++)
		close(connections[i].fd);
	close(epoll);
	g_free(connections);
	return (struct turn){ (double)answers * G_USEC_PER_SEC / (double)(now - start),
			      (double)answers, cpu_seconds(pid) - cpu };
}

static int
by_value(gconstpointer a, gconstpointer b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(const double *values)
{
	g_autofree double *sorted = g_new(double, (gsize)rounds);

	memcpy(sorted, values, (gsize)rounds * sizeof *sorted);
	qsort(sorted, (gsize)rounds, sizeof *sorted, by_value);
	return sorted[rounds / 2];
}

static void
compare(const char *way, GBytes *request)
{
	struct connection *first = g_new0(struct connection, 1);
	g_autofree double *ours = g_new(double, (gsize)rounds);
	g_autofree double *theirs = g_new(double, (gsize)rounds);
	g_autofree double *ratios = g_new(double, (gsize)rounds);
	double cpu_ours = 0, cpu_theirs = 0;
	gsize head = 0, whole = 0;
	pid_t child;

	first->fd = connect_to(port);
	send_all(first->fd, request);
	while (whole == 0) {
		receive(first);
		whole = answer_length(first, &head);
	}
	close(first->fd);
	const char *body = first->buffer + head;
	g_autofree char *headers = g_strndup(first->buffer, head - 4);
	int to = start_static(headers, body, whole - head, &child);
	for (int i = -1; i < rounds; i++) { /* the first one warms up */
		struct turn a = load(port, daemon_pid, request, body, whole - head);
		struct turn b = load(to, child, request, body, whole - head);

		if (i < 0)
			continue;
		ours[i] = a.rate;
		theirs[i] = b.rate;
		ratios[i] = a.rate / b.rate;
		cpu_ours += a.cpu / a.answers;
		cpu_theirs += b.cpu / b.answers;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("{\"way\": \"%s\", \"size\": %zu, \"ocsp_per_second\": %.0f, "
	       "\"static_per_second\": %.0f, \"ratio\": %.3f, \"cpu_us\": %.1f, \"static_cpu_us\": "
	       "%.1f}\n",
	       way, whole - head, median(ours), median(theirs), median(ratios),
	       cpu_ours * 1e6 / rounds, cpu_theirs * 1e6 / rounds);
	g_free(first);
}

int
main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;
	char *der = NULL;
	gsize length;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || port == 0 ||
	    request_file == NULL || n_connections < 1 || n_connections > CONNECTIONS_MAX ||
	    !g_file_get_contents(request_file, &der, &length, &error)) {
		fprintf(stderr, "bench_ocsp: %s\n",
			error != NULL ? error->message : "--port and --request");
		return 2;
	}
	g_autofree char *base64 = g_base64_encode((const guchar *)der, length);
	g_autofree char *path = g_uri_escape_string(base64, NULL, FALSE);
	char *get = g_strdup_printf("GET /ocsp/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	g_autoptr(GBytes) get_request = g_bytes_new_take(get, strlen(get));
	GString *post = g_string_new(NULL);
	g_string_printf(post,
			"POST /ocsp HTTP/1.1\r\nHost: localhost\r\n"
			"Content-Type: application/ocsp-request\r\nContent-Length: %zu\r\n\r\n",
			length);
	g_string_append_len(post, der, (gssize)length);
	g_autoptr(GBytes) post_request = g_string_free_to_bytes(post);
	compare("GET", get_request);
	compare("POST", post_request);
	g_free(der);
	return 0;
}
