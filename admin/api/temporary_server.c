/*
 * temporary_server - a child that becomes the server.
 */
#include "admin/api/temporary_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"
#include "store/db/db.h"
#include "store/db/embedded.h"

#define START_SECONDS 60
#define STEP_US 20000

/* Standard output carries our answer, so the server must not have it. */
static G_GNUC_NORETURN void
become_server(const struct settings *settings, int error_fd)
{
	g_autoptr(GError) problem = NULL;
	int null_fd = open("/dev/null", O_RDWR);

	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(error_fd, STDERR_FILENO);
	embedded_exec(settings, &problem);
	dprintf(STDERR_FILENO, "%s", problem != NULL ? problem->message : "cannot start");
	_exit(1);
}

static gboolean
answers(struct db *db, GError **error)
{
	return db_ping(db, error);
}

/* What the child said last, in one line. */
static char *
last_line(int fd)
{
	char text[4096];
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t got;

	if (end > (off_t)sizeof text - 1)
		lseek(fd, end - (off_t)sizeof text + 1, SEEK_SET);
	else
		lseek(fd, 0, SEEK_SET);
	got = read(fd, text, sizeof text - 1);
	text[MAX(got, 0)] = '\0';
	g_strchomp(text);
	char *line = strrchr(text, '\n');
	return g_strdup(line != NULL ? line + 1 : text);
}

static gboolean
wait_until_up(struct temporary_server *server, struct db *db, int error_fd, GError **error)
{
	gint64 until = g_get_monotonic_time() + START_SECONDS * G_USEC_PER_SEC;
	int status;

	while (!answers(db, NULL)) {
		if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
			g_autofree char *line = last_line(error_fd);

			server->pid = 0;
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "the database does not start: %s", line);
		}
		if (g_get_monotonic_time() > until) {
			temporary_server_stop(server);
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "the database did not start within %d s", START_SECONDS);
		}
		g_usleep(STEP_US);
	}
	return TRUE;
}

gboolean
temporary_server_start(struct temporary_server *server, const struct settings *settings,
		       GError **error)
{
	g_autoptr(GError) problem = NULL;
	CLEANUP(db) struct db *db = db_open(settings, DB_ROLE_ADMIN, clock_system(), error);
	FILE *said;

	server->pid = 0;
	if (db == NULL)
		return FALSE;
	if (answers(db, &problem))
		return TRUE;
	if (!embedded_wanted(settings)) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return FALSE;
	}
	said = tmpfile();
	if (said == NULL)
		return fail_false(error, PS_ERROR_TEMPORARY, "no temporary file: %s",
				  g_strerror(errno));
	server->pid = fork();
	if (server->pid == 0)
		become_server(settings, fileno(said));
	gboolean up = FALSE;
	if (server->pid < 0) {
		server->pid = 0;
		fail(error, PS_ERROR_TEMPORARY, "cannot fork: %s", g_strerror(errno));
	} else {
		up = wait_until_up(server, db, fileno(said), error);
	}
	fclose(said);
	return up;
}

void
temporary_server_stop(struct temporary_server *server)
{
	if (server->pid == 0)
		return;
	kill(server->pid, SIGINT);
	while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
		;
	server->pid = 0;
}
