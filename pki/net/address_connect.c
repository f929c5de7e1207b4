/*
 * address_connect - connecting under the guard, with a look-up that has a time limit.
 */
#include "pki/net/address_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/printable.h"

#define ADDRESSES_MAX 16
#define ATTEMPT_MIN_MS 1000

/* A look-up under a time limit: getaddrinfo knows none, so a thread of its own asks, which is left
 * behind when it is late. */
struct lookup {
	gint references;
	GMutex lock;
	GCond done;
	gboolean finished;
	int status;
	struct addrinfo *found;
	char *host, *service;
	struct network network;
};

static void
lookup_unref(struct lookup *lookup)
{
	if (!g_atomic_int_dec_and_test(&lookup->references))
		return;
	if (lookup->found != NULL)
		lookup->network.release(lookup->found);
	g_mutex_clear(&lookup->lock);
	g_cond_clear(&lookup->done);
	g_free(lookup->host);
	g_free(lookup->service);
	g_free(lookup);
}

static gpointer
look_up(gpointer data)
{
	struct lookup *lookup = data;
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *found = NULL;
	int status = lookup->network.resolve(lookup->host, lookup->service, &hints, &found);

	g_mutex_lock(&lookup->lock);
	lookup->found = status == 0 ? found : NULL;
	lookup->status = status;
	lookup->finished = TRUE;
	g_cond_signal(&lookup->done);
	g_mutex_unlock(&lookup->lock);
	lookup_unref(lookup);
	return NULL;
}

static struct lookup *
lookup_new(const struct address_guard *guard, const char *host, guint port)
{
	struct lookup *lookup = g_new0(struct lookup, 1);

	lookup->references = 1;
	g_mutex_init(&lookup->lock);
	g_cond_init(&lookup->done);
	lookup->host = g_strdup(host);
	lookup->service = g_strdup_printf("%u", port);
	lookup->network = *address_guard_network(guard);
	return lookup;
}

/* FALSE when it was not there in time, or found nothing. */
static gboolean
lookup_run(struct lookup *lookup, gint64 deadline_us)
{
	g_atomic_int_inc(&lookup->references);
	GThread *thread = g_thread_try_new("resolve", look_up, lookup, NULL);
	if (thread == NULL) {
		lookup_unref(lookup);
		return FALSE;
	}
	g_thread_unref(thread);
	g_mutex_lock(&lookup->lock);
	while (!lookup->finished)
		if (!g_cond_wait_until(&lookup->done, &lookup->lock, deadline_us))
			break;
	gboolean good = lookup->finished && lookup->status == 0 && lookup->found != NULL;
	g_mutex_unlock(&lookup->lock);
	return good;
}

static gboolean
wait_connected(int fd, gint64 deadline_us)
{
	for (;;) {
		struct pollfd waiting = { .fd = fd, .events = POLLOUT };
		gint64 left_ms = (deadline_us - g_get_monotonic_time()) / 1000;
		int ready = poll(&waiting, 1, (int)CLAMP(left_ms, 0, G_MAXINT));
		int problem = 0;
		socklen_t size = sizeof(problem);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return FALSE;
		return getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) == 0 && problem == 0;
	}
}

static int
connect_one(const struct sockaddr *address, socklen_t length, gint64 deadline_us)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if ((connect(fd, address, length) == 0 ||
	     (errno == EINPROGRESS && wait_connected(fd, deadline_us))) &&
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0)
		return fd;
	close(fd);
	return -1;
}

struct attempt {
	const struct address_guard *guard;
	const char *host;
	guint port;
	gint64 deadline_us;
	guint tried;
	char *refused; /* why the last one was */
};

static int
attempt_address(struct attempt *attempt, const struct addrinfo *info, guint left)
{
	struct sockaddr_storage address;
	gint64 now = g_get_monotonic_time();
	/* One dead address must not take the time of the rest. */
	gint64 share = MAX((attempt->deadline_us - now) / (gint64)left, ATTEMPT_MIN_MS * 1000);

	g_clear_pointer(&attempt->refused, g_free);
	if (info->ai_addrlen > sizeof(address) ||
	    !address_guard_permits(attempt->guard, attempt->host, info->ai_addr, attempt->port,
				   &attempt->refused))
		return -1;
	memcpy(&address, info->ai_addr, info->ai_addrlen);
	if (address_guard_network(attempt->guard)->divert != NULL)
		address_guard_network(attempt->guard)->divert((struct sockaddr *)&address);
	attempt->tried++;
	return connect_one((const struct sockaddr *)&address, info->ai_addrlen,
			   MIN(now + share, attempt->deadline_us));
}

static int
attempt_all(struct attempt *attempt, const struct addrinfo *found)
{
	guint count = 0;

	for (const struct addrinfo *info = found; info != NULL && count < ADDRESSES_MAX;
	     info = info->ai_next)
		count++;
	for (const struct addrinfo *info = found; count > 0; info = info->ai_next, count--) {
		int fd = attempt_address(attempt, info, count);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

int
address_guard_connect(const struct address_guard *guard, const char *host, guint port,
		      guint timeout_ms, GError **error)
{
	struct attempt attempt = {
		.guard = guard,
		.host = host,
		.port = port,
		.deadline_us = g_get_monotonic_time() + (gint64)timeout_ms * 1000,
	};
	g_autofree char *safe = printable(host);
	struct lookup *lookup = lookup_new(guard, host, port);
	gboolean resolved = lookup_run(lookup, attempt.deadline_us);
	int fd = resolved ? attempt_all(&attempt, lookup->found) : -1;

	lookup_unref(lookup);
	if (fd < 0 && !resolved)
		fail(error, PS_ERROR_TEMPORARY, "%s has no address, or none was found in time",
		     safe);
	else if (fd < 0 && attempt.tried == 0)
		fail(error, PS_ERROR_DENIED, "%s %s", safe,
		     attempt.refused != NULL ? attempt.refused : "has no usable address");
	else if (fd < 0)
		fail(error, PS_ERROR_TEMPORARY, "%s port %u cannot be reached", safe, port);
	g_free(attempt.refused);
	return fd;
}
