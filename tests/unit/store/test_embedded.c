/*
 * embedded: made once, never two servers on one directory, back after every kind of death.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/db/embedded.h"
#include "store/db/embedded_internal.h"
#include "store/db/query.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

static struct settings *
other_settings(const char *folder)
{
	struct settings *settings = settings_default();
	g_autofree char *state = g_build_filename(folder, "state", NULL);
	g_autofree char *run = g_build_filename(folder, "run", NULL);

	g_assert_true(settings_set(settings, "state_dir", state, NULL));
	g_assert_true(settings_set(settings, "run_dir", run, NULL));
	g_assert_true(settings_set(settings, "database_user", "postgres", NULL));
	return settings;
}

/* What embedded_exec says when it comes back, in a process that it cannot harm. */
static char *
exec_error(const struct settings *settings)
{
	char text[1024] = "";
	gsize length = 0;
	ssize_t got;
	int pair[2];

	g_assert_cmpint(pipe2(pair, O_CLOEXEC), ==, 0);
	pid_t pid = fork();
	if (pid == 0) {
		g_autoptr(GError) error = NULL;
		embedded_exec(settings, &error);
		got = write(pair[1], error->message, strlen(error->message));
		_exit(got > 0 ? 0 : 1);
	}
	close(pair[1]);
	while ((got = read(pair[0], text + length, sizeof(text) - 1 - length)) > 0)
		length += (gsize)got;
	close(pair[0]);
	waitpid(pid, NULL, 0);
	return g_strdup(text);
}

static void
become_postgres(void)
{
	struct os_user user;

	g_assert_true(os_user_find(scratch_pg_settings(pg), &user, NULL));
	g_assert_cmpint(os_user_become(&user), ==, 0);
}

static void
assert_answers(void)
{
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	g_autoptr(GError) error = NULL;

	g_assert_true(db_ping(db, &error));
	g_assert_no_error(error);
}

static void
test_second_create(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	g_assert_true(embedded_exists(scratch_pg_settings(pg)));
	g_assert_false(embedded_create(scratch_pg_settings(pg), &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_true(g_str_has_suffix(error->message, "/database exists already"));
	assert_answers();
}

static void
test_second_server(void)
{
	gint64 began = g_get_monotonic_time();

	if (scratch_pg_skip(pg))
		return;
	g_autofree char *text = exec_error(scratch_pg_settings(pg));
	g_assert_true(g_str_has_prefix(text, "a database server (process "));
	g_assert_nonnull(strstr(text, ") already runs on /"));
	g_assert_cmpint(g_get_monotonic_time() - began, <, 30 * G_USEC_PER_SEC);
	assert_answers();
}

static gpointer
long_query(gpointer data)
{
	static const struct statement nap = { "nap", "SELECT pg_sleep(30)" };
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	g_autoptr(GError) error = NULL;

	(void)data;
	g_assert_null(db_query(db, &nap, NULL, &error));
	return NULL;
}

/* With a backend that is busy: it has to end before the next server may start. */
static void
test_killed(void)
{
	if (scratch_pg_skip(pg))
		return;
	for (int i = 0; i < 3; i++) {
		GThread *thread = g_thread_new("nap", long_query, NULL);
		g_usleep(100000);
		scratch_pg_kill(pg);
		gint64 began = g_get_monotonic_time();
		scratch_pg_up(pg);
		g_assert_cmpint(g_get_monotonic_time() - began, <, 60 * G_USEC_PER_SEC);
		assert_answers();
		/* The query was told so, and repeated by a new connection: end that, too. */
		scratch_pg_sql(pg, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
				   " WHERE query LIKE '%pg_sleep(30)' AND pid <> pg_backend_pid()");
		scratch_pg_down(pg);
		g_thread_join(thread);
		scratch_pg_up(pg);
	}
}

static char *
pid_file(void)
{
	return g_build_filename(scratch_pg_settings(pg)->state_dir, "database", "postmaster.pid",
				NULL);
}

static char *
socket_lock_file(void)
{
	return g_build_filename(scratch_pg_settings(pg)->run_dir, "database", ".s.PGSQL.5432.lock",
				NULL);
}

static void
forge_pid_files(pid_t pid)
{
	g_autofree char *path = pid_file();
	g_autofree char *lock = socket_lock_file();
	g_autofree char *text =
	    g_strdup_printf("%d\n/nowhere\n1\n5432\n/nowhere\n\n  1 1\nready   \n", (int)pid);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
	g_assert_true(g_file_set_contents(lock, text, -1, NULL));
	g_assert_cmpint(chmod(path, 0644), ==, 0);
	g_assert_cmpint(chmod(lock, 0644), ==, 0);
}

/* Until that child is /bin/sleep. */
static void
await_sleep(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/comm", (int)pid);

	for (guint i = 0; i < 6000; i++) {
		g_autofree char *name = NULL;

		if (g_file_get_contents(path, &name, NULL, NULL) && strcmp(name, "sleep\n") == 0)
			return;
		g_usleep(10000);
	}
	g_assert_not_reached();
}

/* A host that was restarted gave the number to another program of the same user. */
static void
test_pid_reused(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_down(pg);
	pid_t pid = fork();
	if (pid == 0) {
		become_postgres();
		execl("/bin/sleep", "sleep", "600", (char *)NULL);
		_exit(1);
	}
	await_sleep(pid);
	forge_pid_files(pid);
	scratch_pg_up(pg);
	assert_answers();
	g_assert_cmpint(waitpid(pid, NULL, WNOHANG), ==, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static gpointer
reap_later(gpointer data)
{
	g_usleep(700000);
	waitpid(GPOINTER_TO_INT(data), NULL, 0);
	return NULL;
}

static void
test_zombie(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_down(pg);
	pid_t pid = fork();
	if (pid == 0) {
		become_postgres();
		_exit(0);
	}
	for (guint i = 0; i < 6000 && pid_judge(pid, "/") != PID_ZOMBIE; i++)
		g_usleep(10000);
	g_assert_cmpint(pid_judge(pid, "/"), ==, PID_ZOMBIE);
	forge_pid_files(pid);
	GThread *thread = g_thread_new("reap", reap_later, GINT_TO_POINTER(pid));
	scratch_pg_up(pg);
	assert_answers();
	g_thread_join(thread);
}

static void
test_garbage_pid_file(void)
{
	g_autofree char *path = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_down(pg);
	path = pid_file();
	g_assert_cmpint(pid_judge(0, "/"), ==, PID_UNSURE);
	g_assert_true(g_file_set_contents(path, "99999999\n", -1, NULL));
	g_assert_cmpint(chmod(path, 0644), ==, 0);
	scratch_pg_up(pg);
	assert_answers();
}

/* Somebody holds the lock whose head is gone: waited for, then started. */
static void
test_lock_is_waited_for(void)
{
	g_autofree char *data_dir = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_down(pg);
	data_dir = embedded_data_dir(scratch_pg_settings(pg));
	int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_assert_cmpint(flock(fd, LOCK_EX | LOCK_NB), ==, 0);
	gint64 began = g_get_monotonic_time();
	pid_t pid = fork();
	if (pid == 0) {
		g_usleep(500000);
		_exit(0);
	}
	close(fd);
	scratch_pg_up(pg);
	g_assert_cmpint(g_get_monotonic_time() - began, >, 300000);
	waitpid(pid, NULL, 0);
	assert_answers();
}

/* The lock is held by the server, whoever started it. */
static void
test_lock_is_inherited(void)
{
	g_autofree char *data_dir = NULL;

	if (scratch_pg_skip(pg))
		return;
	data_dir = embedded_data_dir(scratch_pg_settings(pg));
	int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_assert_cmpint(flock(fd, LOCK_EX | LOCK_NB), !=, 0);
	g_assert_cmpint(errno, ==, EWOULDBLOCK);
	scratch_pg_down(pg);
	g_assert_cmpint(flock(fd, LOCK_EX | LOCK_NB), ==, 0);
	close(fd);
	scratch_pg_up(pg);
}

static void
test_other_major(void)
{
	g_autofree char *folder = g_dir_make_tmp("postseal-XXXXXX", NULL);
	CLEANUP(settings) struct settings *settings = other_settings(folder);
	g_autofree char *data_dir = embedded_data_dir(settings);
	g_autofree char *version = g_build_filename(data_dir, "PG_VERSION", NULL);
	g_autoptr(GError) error = NULL;

	if (!scratch_pg_skip(pg)) {
		g_autofree char *nothing = exec_error(settings);
		g_assert_true(g_str_has_prefix(nothing, "there is no database cluster in /"));
		g_assert_true(g_str_has_suffix(nothing, ": run 'postseal setup'"));

		g_assert_cmpint(g_mkdir_with_parents(data_dir, 0700), ==, 0);
		g_assert_true(g_file_set_contents(version, "99\n", -1, NULL));
		g_assert_cmpint(embedded_cluster_major(settings, &error), ==, 99);
		g_autofree char *other = exec_error(settings);
		g_assert_true(g_str_has_prefix(other, "the database cluster was made by "
						      "PostgreSQL 99, installed is "));
		g_assert_true(g_str_has_suffix(other, "run 'postseal db upgrade'"));

		g_assert_true(g_file_set_contents(version, "x\n", -1, NULL));
		g_assert_cmpint(embedded_cluster_major(settings, &error), ==, 0);
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	}
	g_unlink(version);
	g_rmdir(data_dir);
	g_rmdir(settings->state_dir);
	g_rmdir(folder);
}

static void
test_long_path(void)
{
	g_autofree char *deep = g_strnfill(90, 'd');
	g_autofree char *run = g_strdup_printf("/%s", deep);
	CLEANUP(settings) struct settings *settings = other_settings("/nonexistent");
	g_autoptr(GError) error = NULL;

	g_assert_true(settings_set(settings, "run_dir", run, NULL));
	g_assert_false(embedded_create(settings, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_true(
	    g_str_has_suffix(error->message, "is longer than 107 bytes: choose a shorter run_dir"));
}

static void
test_no_such_user(void)
{
	CLEANUP(settings) struct settings *settings = other_settings("/nonexistent");
	g_autoptr(GError) error = NULL;

	if (geteuid() != 0) {
		g_test_skip("only root starts the database as another user");
		return;
	}
	g_assert_true(settings_set(settings, "database_user", "no-such-user", NULL));
	g_assert_false(embedded_create(settings, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_clear_error(&error);
	g_assert_true(settings_set(settings, "database_user", "root", NULL));
	g_assert_false(embedded_create(settings, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	g_assert_true(settings_set(settings, "daemon_user", "x postgres\npostseal y", NULL));
	g_assert_false(embedded_create(settings, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
}

/* TRUE when somebody with that user id gets in with that role. */
static gboolean
gets_in(const char *os_user, enum db_role role)
{
	const struct passwd *entry = getpwnam(os_user);
	int status = 0;

	g_assert_nonnull(entry);
	uid_t uid = entry->pw_uid;
	gid_t gid = entry->pw_gid;
	pid_t pid = fork();
	if (pid == 0) {
		if (setgid(gid) != 0 || setuid(uid) != 0)
			_exit(3);
		struct db *db = scratch_pg_open(pg, role, NULL);
		_exit(db_ping(db, NULL) ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 3);
	return WEXITSTATUS(status) == 0;
}

/* To the same version here, for lack of two: the way is the same. */
static void
test_upgrade(void)
{
	static const struct statement look = { "look", "SELECT a FROM kept" };
	g_autoptr(GError) error = NULL;
	g_autofree char *bin_dir = NULL;

	if (scratch_pg_skip(pg))
		return;
	const struct settings *settings = scratch_pg_settings(pg);
	scratch_pg_sql(pg, "CREATE TABLE kept AS SELECT 42 AS a;"
			   "GRANT SELECT ON kept TO postseal_milter");
	bin_dir = embedded_bin_dir(settings, 0, &error);
	g_assert_no_error(error);

	g_assert_false(embedded_upgrade(settings, NULL, &error));
	g_assert_true(g_str_has_suffix(error->message, "and nothing newer is installed"));
	g_clear_error(&error);
	g_assert_false(embedded_upgrade(settings, bin_dir, &error));
	g_assert_nonnull(strstr(error->message, "already runs on"));
	g_clear_error(&error);

	scratch_pg_kill(pg);
	g_assert_true(embedded_upgrade(settings, bin_dir, &error));
	g_assert_no_error(error);
	scratch_pg_up(pg);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(rows) struct rows *rows = db_query(db, &look, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(rows_int(rows, 0, 0), ==, 42);
	if (geteuid() == 0)
		g_assert_false(gets_in("nobody", DB_ROLE_ADMIN));

	g_assert_false(embedded_upgrade(settings, bin_dir, &error));
	g_assert_true(g_str_has_suffix(error->message, "is in the way: move it"));
}

static void
test_no_programs(void)
{
	g_autofree char *folder = g_dir_make_tmp("postseal-XXXXXX", NULL);
	CLEANUP(settings) struct settings *settings = other_settings(folder);
	g_autoptr(GError) error = NULL;

	g_assert_true(settings_set(settings, "postgres_bin", "/nonexistent", NULL));
	g_assert_null(embedded_bin_dir(settings, 0, &error));
	g_assert_cmpstr(error->message, ==, "postgres_bin does not hold postgres and initdb");
	g_rmdir(folder);
}

static void
test_who_gets_in(void)
{
	if (scratch_pg_skip(pg))
		return;
	if (geteuid() != 0) {
		g_test_skip("only root can be several users");
		return;
	}
	for (int role = DB_ROLE_DAEMON; role <= DB_ROLE_ADMIN; role++) {
		g_assert_true(gets_in("root", (enum db_role)role));
		g_assert_false(gets_in("nobody", (enum db_role)role));
	}
	g_assert_true(gets_in("postgres", DB_ROLE_ADMIN));
	g_assert_false(gets_in("postgres", DB_ROLE_DAEMON));
	g_assert_false(gets_in("postgres", DB_ROLE_MILTER));
}

/* The socket is open to all of the host only while a program could not reach it otherwise. */
static void
test_who_may_knock(void)
{
	const struct settings *settings;
	struct os_user server;
	g_autoptr(GError) error = NULL;
	g_autofree char *folder = NULL;
	g_autofree char *socket = NULL;
	gboolean narrow;
	GStatBuf info;

	if (scratch_pg_skip(pg))
		return;
	settings = scratch_pg_settings(pg);
	g_assert_true(os_user_find(settings, &server, &error));
	g_assert_true(os_user_may_knock(&server, "root"));
	g_assert_true(os_user_may_knock(&server, server.name));
	g_assert_false(os_user_may_knock(&server, "nobody"));
	g_assert_false(os_user_may_knock(&server, "no-such-user"));
	narrow = os_user_may_knock(&server, settings->daemon_user) &&
		 os_user_may_knock(&server, settings->milter_user);
	folder = embedded_socket_dir(settings);
	socket = g_build_filename(folder, ".s.PGSQL.5432", NULL);
	g_assert_cmpint(g_stat(socket, &info), ==, 0);
	g_assert_cmpint(info.st_mode & 0777, ==, narrow ? 0770 : 0777);
}

static void
test_map(void)
{
	g_autofree char *path = NULL;
	g_autofree char *text = NULL;

	if (scratch_pg_skip(pg))
		return;
	path =
	    g_build_filename(scratch_pg_settings(pg)->state_dir, "database", "pg_ident.conf", NULL);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_nonnull(strstr(text, "\npostseal postseal postseal_daemon\n"));
	g_assert_nonnull(strstr(text, "\npostseal postseal-milter postseal_milter\n"));
	g_assert_null(strstr(text, "\npostseal postseal postseal_milter\n"));
	g_assert_null(strstr(text, "\npostseal postseal-milter postseal_daemon\n"));
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start_unmigrated();
	g_test_add_func("/embedded/second create", test_second_create);
	g_test_add_func("/embedded/second server", test_second_server);
	g_test_add_func("/embedded/server killed", test_killed);
	g_test_add_func("/embedded/process id used again", test_pid_reused);
	g_test_add_func("/embedded/zombie", test_zombie);
	g_test_add_func("/embedded/garbage for a pid file", test_garbage_pid_file);
	g_test_add_func("/embedded/lock is waited for", test_lock_is_waited_for);
	g_test_add_func("/embedded/lock is inherited", test_lock_is_inherited);
	g_test_add_func("/embedded/other major version", test_other_major);
	g_test_add_func("/embedded/socket path too long", test_long_path);
	g_test_add_func("/embedded/no such user", test_no_such_user);
	g_test_add_func("/embedded/no programs", test_no_programs);
	g_test_add_func("/embedded/who gets in", test_who_gets_in);
	g_test_add_func("/embedded/who may knock", test_who_may_knock);
	g_test_add_func("/embedded/map", test_map);
	g_test_add_func("/embedded/upgrade", test_upgrade);
	status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
