/*
 * program - children under limits.
 */
#include "pki/handlers/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"

#define TIMEOUT_SECONDS 60
#define OUTPUT_MAX_BYTES (1024 * 1024)
#define MESSAGE_MAX_BYTES 4096
#define SLICE_MS 100
#define REAP_MS 10
#define GRACE_US (2 * G_USEC_PER_SEC)
#define SAFE_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

gboolean
program_check(const char *path, GError **error)
{
	g_autofree char *shown = printable(path);
	struct stat st;

	if (*path != '/')
		return fail_false(error, PS_ERROR_INVALID,
				  "program '%s' is not named by its whole path", shown);
	if (stat(path, &st) != 0)
		return fail_false(error, PS_ERROR_INVALID, "program '%s': %s", shown,
				  g_strerror(errno));
	if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "program '%s' is no file that can be run", shown);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "program '%s' can be changed by others than root: chown and "
				  "chmod it",
				  shown);
	return TRUE;
}

/* ---- start ----------------------------------------------------------------------------------- */

/* Between fork and exec: only what is safe there. */
static void
in_child(gpointer data)
{
	const struct rlimit none = { 0, 0 };
	sigset_t empty;

	(void)data;
	setpgid(0, 0);
	setrlimit(RLIMIT_CORE, &none);
	umask(077);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
}

/* In memory, so that nobody has to feed it while it runs. */
static int
input_open(GBytes *input, GError **error)
{
	gsize length = 0;
	const guint8 *bytes = input != NULL ? g_bytes_get_data(input, &length) : NULL;
	int fd = memfd_create("input", MFD_CLOEXEC);

	while (fd >= 0 && length > 0) {
		ssize_t n = write(fd, bytes, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(fd);
			fd = -1;
			break;
		}
		bytes += n;
		length -= (gsize)n;
	}
	if (fd < 0 || lseek(fd, 0, SEEK_SET) != 0) {
		if (fd >= 0)
			close(fd);
		fail(error, PS_ERROR_TEMPORARY, "no memory for the input of a program");
		return -1;
	}
	return fd;
}

static GStrv
environment_of(const struct program *program)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

	g_strv_builder_add(builder, SAFE_PATH);
	g_strv_builder_add(builder, "LANG=C.UTF-8");
	for (guint i = 0; program->environment != NULL && program->environment[i] != NULL; i++)
		g_strv_builder_add(builder, program->environment[i]);
	return g_strv_builder_end(builder);
}

struct child {
	const struct program *program;
	GPid pid;
	int output_fd, error_fd; /* -1: at its end */
	GByteArray *output, *error;
	gboolean too_much, reaped;
	int wait_status;
	gint64 deadline_us;
};

static gboolean
start(struct child *child, GError **error)
{
	const struct program *program = child->program;
	g_auto(GStrv) environment = environment_of(program);
	g_autoptr(GError) why = NULL;
	int input = input_open(program->input, error);

	if (input < 0)
		return FALSE;
	gboolean good = g_spawn_async_with_pipes_and_fds(
	    "/", program->argv, (const char *const *)environment,
	    G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_CLOEXEC_PIPES, in_child, NULL, input, -1, -1, NULL,
	    NULL, 0, &child->pid, NULL, &child->output_fd, &child->error_fd, &why);
	close(input);
	if (!good)
		return fail_false(error, PS_ERROR_TEMPORARY, "program '%s' could not be run: %s",
				  program->argv[0], why->message);
	return TRUE;
}

/* ---- while it runs --------------------------------------------------------------------------- */

static void
take(struct child *child, int *fd, GByteArray *to, gsize max)
{
	guint8 piece[4096];
	ssize_t n = read(*fd, piece, sizeof piece);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close(*fd);
		*fd = -1;
		return;
	}
	if (to->len + (gsize)n <= max)
		g_byte_array_append(to, piece, (guint)n);
	else if (to == child->output)
		child->too_much = TRUE;
	/* Of the messages the end counts. */
	else {
		g_byte_array_remove_range(to, 0, MIN(to->len, (guint)n));
		g_byte_array_append(to, piece, (guint)n);
	}
}

static void
look(struct child *child, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = child->output_fd, .events = POLLIN },
		{ .fd = child->error_fd, .events = POLLIN },
	};
	gsize max = child->program->output_max_bytes != 0 ? child->program->output_max_bytes
							  : OUTPUT_MAX_BYTES;

	if (poll(fds, G_N_ELEMENTS(fds), timeout_ms) <= 0)
		return;
	if (child->output_fd >= 0 && fds[0].revents != 0)
		take(child, &child->output_fd, child->output, max);
	if (child->error_fd >= 0 && fds[1].revents != 0)
		take(child, &child->error_fd, child->error, MESSAGE_MAX_BYTES);
}

static void
reap(struct child *child)
{
	if (!child->reaped && waitpid(child->pid, &child->wait_status, WNOHANG) == child->pid)
		child->reaped = TRUE;
}

/* What it left behind in its group goes, too. */
static void
end(struct child *child)
{
	gint64 until = clock_monotonic_us() + GRACE_US;

	if (!child->reaped)
		kill(-child->pid, SIGTERM);
	while (!child->reaped && clock_monotonic_us() < until) {
		g_usleep(REAP_MS * 1000);
		reap(child);
	}
	kill(-child->pid, SIGKILL);
	while (!child->reaped) {
		g_usleep(REAP_MS * 1000);
		reap(child);
	}
	if (child->output_fd >= 0)
		close(child->output_fd);
	if (child->error_fd >= 0)
		close(child->error_fd);
}

/* NULL: it came to its end by itself. */
static const char *
attend(struct child *child)
{
	const struct program *program = child->program;
	gint64 silent_until = 0;

	for (;;) {
		gboolean open = child->output_fd >= 0 || child->error_fd >= 0;

		reap(child);
		if (child->reaped &&
		    (!open || (silent_until != 0 && clock_monotonic_us() > silent_until)))
			return NULL;
		/* Somebody else has its output still: not for long. */
		if (child->reaped && silent_until == 0)
			silent_until = clock_monotonic_us() + GRACE_US;
		if (child->too_much)
			return "has written too much";
		if (clock_monotonic_us() > child->deadline_us)
			return "has not come to its end in time";
		if (program->waiting != NULL && !program->waiting(program->waiting_data))
			return "was stopped";
		look(child, open ? SLICE_MS : REAP_MS);
	}
}

/* ---- what came of it ------------------------------------------------------------------------- */

static char *
last_line(const GByteArray *bytes)
{
	gsize end_at = bytes->len;

	while (end_at > 0 && g_ascii_isspace(bytes->data[end_at - 1]))
		end_at--;
	gsize from = end_at;
	while (from > 0 && bytes->data[from - 1] != '\n')
		from--;
	return printable_bytes(bytes->data + from, end_at - from, PRINTABLE_MAX_BYTES);
}

static gboolean
judge(const struct child *child, const char *why, struct program_result *result, GError **error)
{
	const char *path = child->program->argv[0];

	if (why != NULL)
		return fail_false(error, PS_ERROR_TEMPORARY, "program '%s' %s", path, why);
	if (!WIFEXITED(child->wait_status))
		return fail_false(
		    error, PS_ERROR_TEMPORARY, "program '%s' was killed by signal %d", path,
		    WIFSIGNALED(child->wait_status) ? WTERMSIG(child->wait_status) : 0);
	result->status = WEXITSTATUS(child->wait_status);
	return TRUE;
}

gboolean
program_call(const struct program *program, struct program_result *result, GError **error)
{
	unsigned int timeout =
	    program->timeout_seconds != 0 ? program->timeout_seconds : TIMEOUT_SECONDS;
	struct child child = { .program = program, .output_fd = -1, .error_fd = -1 };

	if (!program_check(program->argv[0], error) || !start(&child, error))
		return FALSE;
	result->started = TRUE;
	child.deadline_us = clock_monotonic_us() + (gint64)timeout * G_USEC_PER_SEC;
	child.output = g_byte_array_new();
	child.error = g_byte_array_new();
	const char *why = attend(&child);
	end(&child);
	gboolean good = judge(&child, why, result, error);
	result->message = last_line(child.error);
	result->output = g_byte_array_free_to_bytes(child.output);
	g_byte_array_unref(child.error);
	return good;
}

void
program_result_clear(struct program_result *result)
{
	g_clear_pointer(&result->output, g_bytes_unref);
	g_clear_pointer(&result->message, g_free);
}
