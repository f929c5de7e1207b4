/*
 * status - atomic counters and the small socket that shows them.
 */
#include "milter/status.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/base/clock.h"
#include "store/base/error.h"

#define ACCEPT_WAIT_US 100000
#define REQUEST_WAIT_MS 2000
#define DOCUMENT_MAX_BYTES (1024 * 1024)
#define SOURCES_MAX 16

/* Upper ends of the buckets in microseconds; one more for all above. */
static const gint64 buckets_us[] = { 1000,   2000,   5000,    10000,   20000,   50000,   100000,
				     200000, 500000, 1000000, 2000000, 5000000, 10000000 };
#define BUCKETS (G_N_ELEMENTS(buckets_us) + 1)

struct source {
	status_source write;
	gpointer data;
};

struct status {
	gint64 started_us;
	guint64 by_reason[REASON_COUNT];
	guint64 by_latency[BUCKETS];
	guint64 latency_sum_us;
	guint64 bytes_in;
	guint64 bytes_out;
	guint64 reloads;
	guint64 reloads_failed;
	guint epoch;
	guint in_flight[2];
	struct source sources[SOURCES_MAX];
	guint source_count;

	char *path;
	int listener;
	int wake[2]; /* closing its writing end ends the server */
	GThread *thread;
};

struct status_writer {
	GString *text;
	gboolean json;
};

static void
add(guint64 *counter, guint64 value)
{
	__atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

static guint64
get(const guint64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

struct status *
status_new(void)
{
	struct status *status = g_new0(struct status, 1);

	status->started_us = clock_monotonic_us();
	status->listener = status->wake[0] = status->wake[1] = -1;
	return status;
}

void
status_message(struct status *status, enum reason reason, gint64 latency_us, guint64 bytes_in,
	       guint64 bytes_out)
{
	gsize bucket = 0;

	while (bucket < G_N_ELEMENTS(buckets_us) && latency_us > buckets_us[bucket])
		bucket++;
	if (reason < REASON_COUNT)
		add(&status->by_reason[reason], 1);
	add(&status->by_latency[bucket], 1);
	add(&status->latency_sum_us, (guint64)MAX(latency_us, 0));
	add(&status->bytes_in, bytes_in);
	add(&status->bytes_out, bytes_out);
}

void
status_reloaded(struct status *status, gboolean worked)
{
	add(worked ? &status->reloads : &status->reloads_failed, 1);
}

guint
status_message_begins(struct status *status)
{
	guint ticket = __atomic_load_n(&status->epoch, __ATOMIC_ACQUIRE) & 1;

	__atomic_fetch_add(&status->in_flight[ticket], 1, __ATOMIC_ACQ_REL);
	return ticket;
}

void
status_message_ends(struct status *status, guint ticket)
{
	__atomic_fetch_sub(&status->in_flight[ticket & 1], 1, __ATOMIC_ACQ_REL);
}

guint
status_begin_epoch(struct status *status)
{
	return __atomic_fetch_add(&status->epoch, 1, __ATOMIC_ACQ_REL) & 1;
}

guint
status_in_flight(const struct status *status, guint ticket)
{
	return __atomic_load_n(&status->in_flight[ticket & 1], __ATOMIC_ACQUIRE);
}

void
status_add_source(struct status *status, status_source source, gpointer data)
{
	g_return_if_fail(status->source_count < SOURCES_MAX);
	status->sources[status->source_count++] = (struct source){ source, data };
}

/* ---- documents ------------------------------------------------------------------------------ */

void
status_write(struct status_writer *writer, const char *name, const char *what, gboolean counter,
	     gdouble value)
{
	char number[G_ASCII_DTOSTR_BUF_SIZE];

	g_ascii_formatd(number, sizeof number, "%.15g", value);
	if (writer->json)
		g_string_append_printf(writer->text, ",\n  \"%s\": %s", name, number);
	else
		g_string_append_printf(writer->text,
				       "# HELP postseal_milter_%s %s\n"
				       "# TYPE postseal_milter_%s %s\n"
				       "postseal_milter_%s %s\n",
				       name, what, name, counter ? "counter" : "gauge", name,
				       number);
}

static void
write_numbers(struct status *status, struct status_writer *writer)
{
	status_write(writer, "in_flight", "messages between MAIL and their answer", FALSE,
		     status_in_flight(status, 0) + status_in_flight(status, 1));
	status_write(writer, "bytes_in_total", "bytes of the messages that came", TRUE,
		     (gdouble)get(&status->bytes_in));
	status_write(writer, "bytes_out_total", "bytes of the messages that left", TRUE,
		     (gdouble)get(&status->bytes_out));
	status_write(writer, "reloads_total", "settings read again", TRUE,
		     (gdouble)get(&status->reloads));
	status_write(writer, "reloads_failed_total", "settings that could not be used", TRUE,
		     (gdouble)get(&status->reloads_failed));
	for (guint i = 0; i < status->source_count; i++)
		status->sources[i].write(status->sources[i].data, writer);
}

static gdouble
uptime_s(const struct status *status)
{
	return (gdouble)(clock_monotonic_us() - status->started_us) / 1e6;
}

char *
status_json(struct status *status)
{
	g_autoptr(GString) text = g_string_new("{\n");
	struct status_writer writer = { text, TRUE };
	guint64 total = 0;

	g_string_append_printf(text, "  \"program\": \"postseal-milter\",\n  \"pid\": %d,\n",
			       (int)getpid());
	g_string_append_printf(text, "  \"uptime_seconds\": %" G_GINT64_FORMAT ",\n",
			       (gint64)uptime_s(status));
	g_string_append(text, "  \"messages\": {");
	for (guint i = 0; i < REASON_COUNT; i++) {
		g_string_append_printf(text, "%s\n    \"%s\": %" G_GUINT64_FORMAT, i ? "," : "",
				       reason_name((enum reason)i), get(&status->by_reason[i]));
		total += get(&status->by_reason[i]);
	}
	g_string_append_printf(text, "\n  },\n  \"messages_total\": %" G_GUINT64_FORMAT, total);
	g_string_append(text, ",\n  \"latency\": {\"le_ms\": {");
	for (gsize i = 0; i < BUCKETS; i++) {
		if (i + 1 < BUCKETS)
			g_string_append_printf(text,
					       "\"%" G_GINT64_FORMAT "\": ", buckets_us[i] / 1000);
		else
			g_string_append(text, "\"more\": ");
		g_string_append_printf(text, "%" G_GUINT64_FORMAT "%s", get(&status->by_latency[i]),
				       i + 1 < BUCKETS ? ", " : "}");
	}
	g_string_append_printf(text, ", \"sum_us\": %" G_GUINT64_FORMAT "}",
			       get(&status->latency_sum_us));
	write_numbers(status, &writer);
	g_string_append(text, "\n}\n");
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
write_histogram(struct status *status, GString *text)
{
	guint64 sum = 0;

	g_string_append(text, "# HELP postseal_milter_latency_seconds from MAIL to the answer\n"
			      "# TYPE postseal_milter_latency_seconds histogram\n");
	for (gsize i = 0; i < BUCKETS; i++) {
		sum += get(&status->by_latency[i]);
		if (i + 1 < BUCKETS) {
			char number[G_ASCII_DTOSTR_BUF_SIZE];

			g_ascii_formatd(number, sizeof number, "%g", (gdouble)buckets_us[i] / 1e6);
			g_string_append_printf(text,
					       "postseal_milter_latency_seconds_bucket{le=\"%s\"}"
					       " %" G_GUINT64_FORMAT "\n",
					       number, sum);
		} else {
			g_string_append_printf(text,
					       "postseal_milter_latency_seconds_bucket{le="
					       "\"+Inf\"} %" G_GUINT64_FORMAT "\n",
					       sum);
		}
	}
	g_string_append_printf(text,
			       "postseal_milter_latency_seconds_sum %.6f\n"
			       "postseal_milter_latency_seconds_count %" G_GUINT64_FORMAT "\n",
			       (gdouble)get(&status->latency_sum_us) / 1e6, sum);
}

char *
status_prometheus(struct status *status)
{
	g_autoptr(GString) text =
	    g_string_new("# HELP postseal_milter_messages_total messages answered, by outcome\n"
			 "# TYPE postseal_milter_messages_total counter\n");
	struct status_writer writer = { text, FALSE };

	for (guint i = 0; i < REASON_COUNT; i++)
		g_string_append_printf(
		    text, "postseal_milter_messages_total{reason=\"%s\"} %" G_GUINT64_FORMAT "\n",
		    reason_name((enum reason)i), get(&status->by_reason[i]));
	write_histogram(status, text);
	status_write(&writer, "uptime_seconds", "seconds since the start", FALSE, uptime_s(status));
	write_numbers(status, &writer);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- server --------------------------------------------------------------------------------- */

static void
send_all(int fd, const char *text)
{
	gsize left = strlen(text);

	while (left > 0) {
		struct pollfd ready = { .fd = fd, .events = POLLOUT };
		gssize sent;

		if (poll(&ready, 1, REQUEST_WAIT_MS) <= 0)
			return;
		sent = send(fd, text, left, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return;
		if (sent > 0) {
			text += sent;
			left -= (gsize)sent;
		}
	}
}

static void
answer(struct status *status, int fd)
{
	char request[64];
	gsize length = 0;

	while (length + 1 < sizeof request) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		gssize got;

		if (poll(&ready, 1, REQUEST_WAIT_MS) <= 0)
			return;
		got = recv(fd, request + length, sizeof request - 1 - length, 0);
		if (got <= 0)
			break;
		length += (gsize)got;
		if (memchr(request, '\n', length) != NULL)
			break;
	}
	request[length] = '\0';
	g_strchomp(request);
	if (strcmp(request, "json") == 0) {
		g_autofree char *text = status_json(status);
		send_all(fd, text);
	} else if (strcmp(request, "prometheus") == 0) {
		g_autofree char *text = status_prometheus(status);
		send_all(fd, text);
	} else {
		send_all(fd, "ask for json or prometheus\n");
	}
}

static gpointer
serve(gpointer data)
{
	struct status *status = data;

	for (;;) {
		struct pollfd ready[2] = { { .fd = status->listener, .events = POLLIN },
					   { .fd = status->wake[0], .events = POLLIN } };
		int fd;

		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (ready[1].revents != 0)
			return NULL;
		if ((ready[0].revents & POLLIN) == 0)
			continue;
		fd = accept4(status->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			g_usleep(ACCEPT_WAIT_US); /* no descriptor left: it stays readable */
			continue;
		}
		answer(status, fd);
		close(fd);
	}
}

char *
status_socket_path(const char *run_dir)
{
	return g_build_filename(run_dir, "milter", "status.sock", NULL);
}

static gboolean
address_of(const char *path, struct sockaddr_un *address, GError **error)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof address->sun_path)
		return fail_false(error, PS_ERROR_INVALID, "the path %s is too long for a socket",
				  path);
	memcpy(address->sun_path, path, strlen(path) + 1);
	return TRUE;
}

/* A connected descriptor, or -1 with errno: nobody serves it. */
static int
connect_to(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
		int problem = errno;

		close(fd);
		errno = problem;
		return -1;
	}
	return fd;
}

char *
status_ask(const char *path, const char *format, GError **error)
{
	g_autofree char *question = g_strconcat(format, "\n", NULL);
	g_autoptr(GString) document = g_string_new(NULL);
	struct sockaddr_un address;
	char piece[4096];
	gssize got = -1;
	int fd;

	if (!address_of(path, &address, error))
		return NULL;
	fd = connect_to(&address);
	if (fd < 0)
		return fail(error, PS_ERROR_TEMPORARY,
			    "no filter answers on %s: %s; is postseal-milter running?", path,
			    g_strerror(errno));
	send_all(fd, question);
	while (document->len < DOCUMENT_MAX_BYTES) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };

		got = -1;
		if (poll(&ready, 1, REQUEST_WAIT_MS) <= 0)
			break;
		got = recv(fd, piece, sizeof piece, 0);
		if (got <= 0)
			break;
		g_string_append_len(document, piece, got);
	}
	close(fd);
	if (got != 0 || document->len == 0)
		return fail(error, PS_ERROR_TEMPORARY, "the filter on %s gives no whole answer",
			    path);
	return g_string_free(g_steal_pointer(&document), FALSE);
}

gboolean
status_serve(struct status *status, const char *path, GError **error)
{
	struct sockaddr_un address;
	int other;

	if (!address_of(path, &address, error))
		return FALSE;
	other = connect_to(&address);
	if (other >= 0) {
		close(other);
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "another program serves %s, stop it first", path);
	}
	(void)unlink(path);
	status->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (status->listener < 0 ||
	    bind(status->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
	    chmod(path, 0660) != 0 || listen(status->listener, 16) != 0 || pipe(status->wake) != 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "could not serve %s: %s", path,
				  g_strerror(errno));
	status->path = g_strdup(path);
	status->thread = g_thread_new("status", serve, status);
	return TRUE;
}

void
status_free(struct status *status)
{
	if (status == NULL)
		return;
	if (status->wake[1] >= 0)
		close(status->wake[1]);
	if (status->thread != NULL)
		g_thread_join(status->thread);
	if (status->wake[0] >= 0)
		close(status->wake[0]);
	if (status->listener >= 0)
		close(status->listener);
	if (status->path != NULL)
		(void)unlink(status->path);
	g_free(status->path);
	g_free(status);
}
