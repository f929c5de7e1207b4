/*
 * public_socket - listening sockets of the public listener.
 */
#include "admin/http/public_server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/printable.h"

#define BACKLOG 256

int
public_server_listen(const char *address, GError **error)
{
	const char *colon = strrchr(address, ':');
	g_autofree char *host = colon != NULL ? g_strndup(address, (gsize)(colon - address)) : NULL;
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
					.ai_socktype = SOCK_STREAM };
	g_autofree char *shown = printable(address);
	struct addrinfo *found = NULL;
	gsize length = host != NULL ? strlen(host) : 0;
	gboolean bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
	int one = 1;

	if (bracketed) {
		memmove(host, host + 1, length);
		host[length - 2] = '\0';
	}
	if (length == 0 || (strchr(host, ':') != NULL) != bracketed ||
	    getaddrinfo(host, colon + 1, &hints, &found) != 0) {
		fail(error, PS_ERROR_INVALID,
		     "public_listen: '%s' is no address: 192.0.2.1:80 or [2001:db8::1]:80", shown);
		return -1;
	}
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	gboolean good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0;
	if (good && found->ai_family == AF_INET6)
		good = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0;
	good = good && bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
	int why = errno;
	freeaddrinfo(found);
	if (good)
		return fd;
	fail(error, why == EACCES ? PS_ERROR_DENIED : PS_ERROR_TEMPORARY,
	     "public_listen: cannot listen at %s: %s%s", shown, g_strerror(why),
	     why == EACCES ? "; start as root, or give the service CAP_NET_BIND_SERVICE" : "");
	if (fd >= 0)
		close(fd);
	return -1;
}
