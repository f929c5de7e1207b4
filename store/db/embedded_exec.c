/*
 * embedded_exec - becoming the server, when it is certain that there is no other.
 *
 * The lock is on the data directory itself and inherited by postgres and all of its children:
 * who has it knows that no process of an earlier server is left. Under it a recorded process
 * id that is no server of ours is a left-over, of a host or container that was restarted,
 * which postgres by itself would believe in for ever when the number is in use again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/embedded.h"
#include "store/db/embedded_internal.h"

#define LOCK_WAIT_US (15 * G_USEC_PER_SEC)
#define ZOMBIE_WAIT_US (10 * G_USEC_PER_SEC)
#define POLL_US 20000

/* "123 (name) S ...": the name may hold anything, so the state is behind the last ')'. */
static char
process_state(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
	g_autofree char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return '\0';
	char *end = strrchr(text, ')');
	return end != NULL && end[1] == ' ' ? end[2] : '\0';
}

static gboolean
same_folder(const char *a, const char *b)
{
	struct stat x;
	struct stat y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

enum pid_state
pid_judge(pid_t pid, const char *data_dir)
{
	g_autofree char *exe = g_strdup_printf("/proc/%d/exe", (int)pid);
	g_autofree char *cwd = g_strdup_printf("/proc/%d/cwd", (int)pid);
	char target[4096];
	char state = process_state(pid);

	if (pid <= 0)
		return PID_UNSURE;
	if (state == '\0')
		return kill(pid, 0) != 0 && errno == ESRCH ? PID_GONE : PID_UNSURE;
	if (state == 'Z' || state == 'X')
		return PID_ZOMBIE;
	ssize_t length = readlink(exe, target, sizeof(target) - 1);
	if (length < 0)
		return errno == ENOENT ? PID_OTHER : PID_UNSURE; /* a kernel thread has none */
	target[length] = '\0';
	/* A program replaced by an update is "postgres (deleted)". */
	const char *name = strrchr(target, '/');
	if (name == NULL || !g_str_has_prefix(name, "/postgres"))
		return PID_OTHER;
	return same_folder(cwd, data_dir) ? PID_OURS : PID_POSTGRES;
}

static pid_t
recorded_pid(const char *path)
{
	g_autofree char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	gint64 pid = g_ascii_strtoll(text, NULL, 10);
	/* Negative: a single-user server. */
	return pid < 0 ? (pid_t)-pid : (pid_t)pid;
}

int
embedded_lock(const char *data_dir, GError **error)
{
	g_autofree char *pid_path = g_build_filename(data_dir, "postmaster.pid", NULL);
	gint64 until = clock_monotonic_us() + LOCK_WAIT_US;
	int fd = open(data_dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0) {
		fail(error, PS_ERROR_DENIED, "could not open %s: %s", data_dir, g_strerror(errno));
		return -1;
	}
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		pid_t pid = recorded_pid(pid_path);
		if (pid != 0 && pid_judge(pid, data_dir) == PID_OURS) {
			fail(error, PS_ERROR_INVALID,
			     "a database server (process %d) already runs on %s", (int)pid,
			     data_dir);
			close(fd);
			return -1;
		}
		/* Its head is gone: the rest ends by itself within moments. */
		if (clock_monotonic_us() > until) {
			fail(error, PS_ERROR_TEMPORARY,
			     "%s is still locked by processes of an earlier server", data_dir);
			close(fd);
			return -1;
		}
		g_usleep(POLL_US);
	}
	return fd;
}

static enum pid_state
judge_patiently(pid_t pid, const char *data_dir)
{
	gint64 until = clock_monotonic_us() + ZOMBIE_WAIT_US;
	enum pid_state state;

	while ((state = pid_judge(pid, data_dir)) == PID_ZOMBIE && clock_monotonic_us() < until)
		g_usleep(POLL_US);
	return state;
}

static void
remove_stale(const char *path, pid_t pid)
{
	g_autofree char *text = g_strdup_printf("%d", (int)pid);

	if (unlink(path) == 0)
		log_warning("removed a left-over lock file of the database", "file", path, "pid",
			    text);
}

static gboolean
clear_stale(const char *data_dir, const char *pid_path, const char *socket_lock, GError **error)
{
	pid_t pid = recorded_pid(pid_path);
	enum pid_state state = judge_patiently(pid, data_dir);

	if (pid != 0 && state == PID_OURS)
		return fail_false(error, PS_ERROR_INVALID,
				  "a database server (process %d) already runs on %s", (int)pid,
				  data_dir);
	if (pid != 0 && (state == PID_OTHER || state == PID_POSTGRES || state == PID_ZOMBIE))
		remove_stale(pid_path, pid);

	/* Another cluster's server may use the same socket folder: that one is not ours to end. */
	pid = recorded_pid(socket_lock);
	if (pid != 0 && pid_judge(pid, data_dir) == PID_OTHER)
		remove_stale(socket_lock, pid);
	return TRUE;
}

static gboolean
write_when_new(const char *path, const char *text, GError **error)
{
	g_autofree char *present = NULL;
	g_autoptr(GError) local = NULL;

	if (g_file_get_contents(path, &present, NULL, NULL) && strcmp(present, text) == 0)
		return TRUE;
	if (!g_file_set_contents_full(path, text, -1,
				      G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
				      0600, &local))
		return fail_false(error, PS_ERROR_TEMPORARY, "could not write %s: %s", path,
				  local->message);
	return TRUE;
}

enum access {
	ACCESS_ADMIN = 1,
	ACCESS_DAEMON = 2,
	ACCESS_MILTER = 4,
	ACCESS_ALL = ACCESS_ADMIN | ACCESS_DAEMON | ACCESS_MILTER,
};

/* Who may do anything here may also read. */
static void
map_user(GString *map, const char *os_user, unsigned int access)
{
	if (access & ACCESS_ADMIN)
		g_string_append_printf(map, "postseal %s %s\n", os_user, EMBEDDED_ADMIN);
	if (access & ACCESS_DAEMON)
		g_string_append_printf(map, "postseal %s postseal_daemon\n", os_user);
	if (access & ACCESS_MILTER)
		g_string_append_printf(map, "postseal %s postseal_milter\n", os_user);
	g_string_append_printf(map, "postseal %s postseal_readonly\n", os_user);
}

gboolean
embedded_write_access(const struct settings *settings, const struct os_user *user, GError **error)
{
	g_autofree char *data_dir = embedded_data_dir(settings);
	g_autofree char *hba = g_build_filename(data_dir, "pg_hba.conf", NULL);
	g_autofree char *ident = g_build_filename(data_dir, "pg_ident.conf", NULL);
	g_autoptr(GString) map = g_string_new("# written at each start, from the settings\n");
	/* Development: everything belongs to the one who starts it. */
	gboolean alone = !user->change && strcmp(user->name, settings->database_user) != 0;

	map_user(map, "root", ACCESS_ALL);
	map_user(map, user->name, alone ? ACCESS_ALL : ACCESS_ADMIN);
	map_user(map, settings->daemon_user, ACCESS_DAEMON);
	map_user(map, settings->milter_user, ACCESS_MILTER);
	return write_when_new(hba,
			      "# written at each start\n"
			      "local all all peer map=postseal\n",
			      error) &&
	       write_when_new(ident, map->str, error);
}

static gboolean
make_socket_folder(const char *path, const struct os_user *user, GError **error)
{
	struct stat status;

	if (g_mkdir_with_parents(path, 0755) != 0)
		return fail_false(error, PS_ERROR_DENIED, "could not make %s: %s", path,
				  g_strerror(errno));
	if (stat(path, &status) == 0 && status.st_uid != user->uid && user->change &&
	    lchown(path, user->uid, user->gid) != 0)
		return fail_false(error, PS_ERROR_DENIED, "could not change the owner of %s: %s",
				  path, g_strerror(errno));
	return TRUE;
}

/* A supervisor may have blocked or ignored what the server lives by. */
static void
reset_signals(void)
{
	static const int numbers[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGCHLD,
				       SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM };
	sigset_t none;

	sigemptyset(&none);
	for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
		signal(numbers[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Who comes in is a matter of pg_ident.conf, but whoever may knock takes a place in the queue. So
 * the socket is for the group of the server's user, as soon as both programs' users are in it.
 */
static char *
socket_permissions(const struct settings *settings, const struct os_user *user)
{
	const char *const programs[] = { settings->daemon_user, settings->milter_user };

	for (gsize i = 0; i < G_N_ELEMENTS(programs); i++)
		if (!os_user_may_knock(user, programs[i])) {
			log_warning(
			    "the database's socket is open to every user of this host until "
			    "the program's user is in the server's group",
			    "user", programs[i], "group_of", user->name);
			return g_strdup("unix_socket_permissions=0777");
		}
	return g_strdup("unix_socket_permissions=0770");
}

static gboolean
become_server(const struct settings *settings, const char *bin_dir, const char *data_dir,
	      const char *socket_dir, const char *permissions, GError **error)
{
	g_autofree char *program = g_build_filename(bin_dir, "postgres", NULL);
	g_autofree char *sockets = g_strdup_printf("unix_socket_directories=\"%s\"", socket_dir);
	g_autofree char *port = g_strdup_printf("port=%d", EMBEDDED_PORT);
	char *argv[] = {
		program,
		(char *)"-D",
		(char *)data_dir,
		(char *)"-c",
		sockets,
		(char *)"-c",
		port,
		(char *)"-c",
		(char *)"listen_addresses=",
		(char *)"-c",
		(char *)permissions,
		(char *)"-c",
		(char *)"logging_collector=off",
		(char *)"-c",
		(char *)(settings->database_fsync ? "fsync=on" : "fsync=off"),
		NULL,
	};
	const char *notify = g_getenv("NOTIFY_SOCKET");
	g_auto(GStrv) environment = g_strdupv((char **)program_environment);

	if (notify != NULL)
		environment = g_environ_setenv(environment, "NOTIFY_SOCKET", notify, TRUE);
	if (chdir(data_dir) != 0)
		return fail_false(error, PS_ERROR_DENIED, "could not enter %s: %s", data_dir,
				  g_strerror(errno));
	reset_signals();
	execve(program, argv, environment);
	return fail_false(error, PS_ERROR_TEMPORARY, "could not run %s: %s", program,
			  g_strerror(errno));
}

gboolean
embedded_exec(const struct settings *settings, GError **error)
{
	g_autofree char *data_dir = embedded_data_dir(settings);
	g_autofree char *socket_dir = embedded_socket_dir(settings);
	g_autofree char *pid_path = g_build_filename(data_dir, "postmaster.pid", NULL);
	g_autofree char *socket_lock =
	    g_strdup_printf("%s/.s.PGSQL.%d.lock", socket_dir, EMBEDDED_PORT);
	g_autofree char *bin_dir = NULL;
	g_autofree char *permissions = NULL;
	struct os_user user;
	int major;
	int lock_fd;

	major = embedded_cluster_major(settings, error);
	if (major == 0 || !os_user_find(settings, &user, error))
		return FALSE;
	bin_dir = embedded_bin_dir(settings, major, error);
	if (bin_dir == NULL || !make_socket_folder(socket_dir, &user, error))
		return FALSE;
	lock_fd = embedded_lock(data_dir, error);
	if (lock_fd < 0)
		return FALSE;
	permissions = socket_permissions(settings, &user);
	/* From here on as the server's user: nothing is written for root in a folder of his. */
	if (os_user_become(&user) != 0)
		fail(error, PS_ERROR_DENIED, "could not become user %s: %s", user.name,
		     g_strerror(errno));
	else if (clear_stale(data_dir, pid_path, socket_lock, error) &&
		 embedded_write_access(settings, &user, error))
		become_server(settings, bin_dir, data_dir, socket_dir, permissions, error);
	close(lock_fd);
	return FALSE;
}
