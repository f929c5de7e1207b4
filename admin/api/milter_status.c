/*
 * milter_status - one line to the filter's status socket, one document back.
 */
#include "admin/api/milter_status.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "milter/status.h"
#include "store/base/error.h"

#define ANSWER_MAX_BYTES (1024 * 1024)
#define TIMEOUT_SECONDS 3

static char *
exchange(int fd, const char *what)
{
	g_autoptr(GString) answer = g_string_new(NULL);
	g_autofree char *line = g_strconcat(what, "\n", NULL);
	char piece[8192];
	ssize_t got = 0;

	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		return NULL;
	while (answer->len < ANSWER_MAX_BYTES && (got = recv(fd, piece, sizeof piece, 0)) > 0)
		g_string_append_len(answer, piece, got);
	if (got != 0 || answer->len == 0)
		return NULL;
	return g_string_free(g_steal_pointer(&answer), FALSE);
}

char *
milter_status_ask(const char *run_dir, const char *what, GError **error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = TIMEOUT_SECONDS };
	g_autofree char *path = status_socket_path(run_dir);
	char *answer = NULL;
	int fd;

	if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path)
		return fail(error, PS_ERROR_INVALID, "%s: too long for a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
		if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
			answer = exchange(fd, what);
	}
	if (answer == NULL)
		fail(error, PS_ERROR_TEMPORARY, "%s: no filter answers: %s", path,
		     g_strerror(errno));
	if (fd >= 0)
		close(fd);
	return answer;
}
