/*
 * smtp_address - the listener of this host: what it may be, and connecting to it; see smtp.h.
 */
#include "pki/net/smtp_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/printable.h"

#define UNIX_PREFIX "unix:"

/* HOST:PORT of loopback alone. */
static gboolean
parse_inet(const char *text, struct sockaddr_storage *to, socklen_t *length)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
	const char *colon = strrchr(text, ':');
	guint64 port;

	if (colon == NULL || !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL))
		return FALSE;
	g_autofree char *host = g_strndup(text, (gsize)(colon - text));
	if (strcmp(host, "[::1]") == 0) {
		v6->sin6_family = AF_INET6;
		v6->sin6_addr = in6addr_loopback;
		v6->sin6_port = htons((guint16)port);
		*length = sizeof *v6;
		return TRUE;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((guint16)port);
	*length = sizeof *v4;
	return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
			 &v4->sin_addr) == 1 &&
	       ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static gboolean
parse_unix(const char *path, struct sockaddr_storage *to, socklen_t *length)
{
	struct sockaddr_un *local = (struct sockaddr_un *)to;

	if (path[0] != '/' || strlen(path) >= sizeof local->sun_path)
		return FALSE;
	local->sun_family = AF_UNIX;
	g_strlcpy(local->sun_path, path, sizeof local->sun_path);
	*length = sizeof *local;
	return TRUE;
}

static gboolean
address_parse(const char *text, struct sockaddr_storage *to, socklen_t *length, GError **error)
{
	gboolean local = g_str_has_prefix(text, UNIX_PREFIX);
	g_autofree char *safe = printable(text);

	memset(to, 0, sizeof *to);
	if (local ? parse_unix(text + strlen(UNIX_PREFIX), to, length)
		  : parse_inet(text, to, length))
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID,
			  "'%s' is no listener of this host: 127.0.0.1:PORT, [::1]:PORT or "
			  "unix:/PATH",
			  safe);
}

gboolean
smtp_address_check(const char *address, GError **error)
{
	struct sockaddr_storage to;
	socklen_t length;

	return address_parse(address, &to, &length, error);
}

int
smtp_connect(const char *address, smtp_wait_func wait, gpointer data, GError **error)
{
	struct sockaddr_storage to;
	socklen_t length;
	int problem = 0;
	socklen_t size = sizeof problem;

	if (!address_parse(address, &to, &length, error))
		return -1;
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, length) != 0)
		problem = errno;
	/* A unix socket whose queue is full says so instead of letting us wait. */
	while (fd >= 0 && problem == EAGAIN && wait(data, -1, 0, NULL))
		problem = connect(fd, (struct sockaddr *)&to, length) == 0 ? 0 : errno;
	if (fd >= 0 && problem == EINPROGRESS &&
	    (!wait(data, fd, POLLOUT, NULL) ||
	     getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0))
		problem = ETIMEDOUT;
	if (problem == 0) {
		const int on = 1; /* the last bytes of a message do not wait for an answer */

		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	fail(error, PS_ERROR_TEMPORARY, "the mail server at %s cannot be reached: %s", address,
	     g_strerror(problem == EAGAIN ? ETIMEDOUT : problem));
	return -1;
}
