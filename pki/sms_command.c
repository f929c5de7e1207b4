/*
 * sms_command - a program of the site's own; the text comes on its standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pki/sms_internal.h"
#include "store/base/error.h"

#define LOOK_US 10000
#define STATUS_AGAIN 75 /* EX_TEMPFAIL of sysexits.h */

static gboolean
fill_words(const struct sms *sms, GPtrArray *words, GError **error)
{
	const char *const *templates = handler_config_list(sms->config, "command");

	for (; *templates != NULL; templates++) {
		CLEANUP(secret)
		struct secret *word = sms_fill(sms, *templates, SMS_ESCAPE_NONE, error);

		if (word == NULL)
			return FALSE;
		g_ptr_array_add(words, g_strdup(secret_text(word)));
	}
	g_ptr_array_add(words, NULL);
	return TRUE;
}

/* In a process group of its own, with nothing open but the text. 0, or an errno. */
static int
spawn(char **words, int input, pid_t *child)
{
	static char *environment[] = { (char *)"PATH=/usr/local/bin:/usr/bin:/bin",
				       (char *)"LC_ALL=C.UTF-8", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, pipe_signal;

	sigemptyset(&none);
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						  POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
	int failed = posix_spawn(child, words[0], &actions, &attributes, words, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return failed;
}

/* Its wait status; FALSE: it took too long, and was killed with all that it had begun. */
static gboolean
wait_for(pid_t child, gint64 seconds, int *status)
{
	gint64 end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;

	for (;;) {
		pid_t done = waitpid(child, status, WNOHANG);

		if (done == child)
			return TRUE;
		if (done < 0 && errno != EINTR)
			return FALSE;
		if (g_get_monotonic_time() > end)
			break;
		g_usleep(LOOK_US);
	}
	kill(-child, SIGKILL);
	while (waitpid(child, status, 0) < 0 && errno == EINTR)
		;
	return FALSE;
}

static void
judge(int status, struct sms_outcome *outcome)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		sms_decide(outcome, SMS_SENT, "the command ended with status 0");
	else if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_AGAIN)
		sms_decide(outcome, SMS_LATER, "the command ended with status %d", STATUS_AGAIN);
	else if (WIFEXITED(status))
		sms_decide(outcome, SMS_REFUSED, "the command ended with status %d",
			   WEXITSTATUS(status));
	else
		sms_decide(outcome, SMS_UNKNOWN, "the command was ended by signal %d",
			   WTERMSIG(status));
}

/* The text fits the pipe whole: nobody has to read it before the program runs. */
static gboolean
open_input(const struct sms *sms, int *input, GError **error)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "a pipe: %s", g_strerror(errno));
	gssize length = (gssize)secret_length(sms->text);
	gboolean good = write(ends[1], secret_bytes(sms->text), (gsize)length) == length;
	close(ends[1]);
	*input = ends[0];
	if (good)
		return TRUE;
	close(ends[0]);
	return fail_false(error, PS_ERROR_TEMPORARY, "a pipe: %s", g_strerror(errno));
}

void
sms_by_command(const struct sms *sms, struct sms_outcome *outcome)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) why = NULL;
	gint64 seconds = handler_config_seconds(sms->config, "timeout");
	int input = -1, status = 0;
	pid_t child;

	if (!fill_words(sms, words, &why)) {
		sms_decide(outcome, SMS_REFUSED, "%s", why->message);
		return;
	}
	if (!open_input(sms, &input, &why)) {
		sms_decide(outcome, SMS_LATER, "%s", why->message);
		return;
	}
	int failed = spawn((char **)words->pdata, input, &child);
	close(input);
	if (failed != 0)
		sms_decide(outcome, SMS_REFUSED, "the command cannot be started: %s",
			   g_strerror(failed));
	else if (wait_for(child, seconds, &status))
		judge(status, outcome);
	else
		sms_decide(outcome, SMS_UNKNOWN,
			   "the command took longer than %" G_GINT64_FORMAT " s and was ended",
			   seconds);
}
