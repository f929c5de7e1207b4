/*
 * scratch_pg - a keeper process holds the server of one test program.
 *
 * The keeper is forked before any thread exists and obeys one-letter commands over a pipe; its
 * end of file, however the test ended, means: stop the server, remove the folder.
 */
#include "tests/support/scratch_pg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/db/embedded.h"
#include "store/db/embedded_internal.h"
#include "store/db/internal.h"
#include "store/db/migrate.h"

#define UP_SECONDS_MAX 120

struct scratch_pg {
	struct settings *settings;
	char *folder;
	pid_t keeper;
	int command_fd;
	int answer_fd;
	gboolean migrated;
};

static char *skip_reason;

static G_GNUC_NORETURN void
serve(const struct settings *settings)
{
	g_autofree char *log = g_build_filename(settings->state_dir, "postgres.log", NULL);
	g_autoptr(GError) error = NULL;
	FILE *out = fopen(log, "ae");

	if (out != NULL)
		dup2(fileno(out), STDERR_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	embedded_exec(settings, &error);
	fprintf(stderr, "embedded_exec: %s\n", error->message);
	_exit(1);
}

static pid_t
server_fork(const struct settings *settings)
{
	pid_t pid = fork();

	if (pid == 0)
		serve(settings);
	return pid;
}

static void
server_end(pid_t *pid, int number)
{
	if (*pid <= 0)
		return;
	kill(*pid, number);
	while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	*pid = 0;
}

static G_GNUC_NORETURN void
keep(const struct scratch_pg *pg, int command_fd, int answer_fd)
{
	pid_t server = 0;
	char command;

	/* A terminal's Ctrl-C is for the test; we go when it has gone. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	while (read(command_fd, &command, 1) == 1) {
		if (command == 'u' && server <= 0)
			server = server_fork(pg->settings);
		if (command == 'd')
			server_end(&server, SIGINT);
		if (command == 'k')
			server_end(&server, SIGKILL);
		if (write(answer_fd, &command, 1) != 1)
			break;
	}
	server_end(&server, SIGINT);
	embedded_remove_tree(pg->folder);
	_exit(0);
}

static void
order(const struct scratch_pg *pg, char command)
{
	char answer = 0;

	if (write(pg->command_fd, &command, 1) != 1 || read(pg->answer_fd, &answer, 1) != 1 ||
	    answer != command)
		g_error("the keeper of the scratch database is gone");
}

static gboolean
start_keeper(struct scratch_pg *pg)
{
	int to_keeper[2];
	int from_keeper[2];

	if (pipe2(to_keeper, O_CLOEXEC) != 0)
		return FALSE;
	if (pipe2(from_keeper, O_CLOEXEC) != 0)
		return FALSE;
	fflush(NULL);
	pg->keeper = fork();
	if (pg->keeper == 0) {
		close(to_keeper[1]);
		close(from_keeper[0]);
		keep(pg, to_keeper[0], from_keeper[1]);
	}
	close(to_keeper[0]);
	close(from_keeper[1]);
	pg->command_fd = to_keeper[1];
	pg->answer_fd = from_keeper[0];
	return pg->keeper > 0;
}

static void
await_up(const struct scratch_pg *pg)
{
	g_autofree char *conninfo = embedded_conninfo(pg->settings, DB_ROLE_ADMIN);
	g_autofree char *admin = g_strconcat(conninfo, " dbname=postgres", NULL);
	gint64 until = g_get_monotonic_time() + UP_SECONDS_MAX * G_USEC_PER_SEC;
	g_autofree char *path = g_build_filename(pg->settings->state_dir, "postgres.log", NULL);
	g_autofree char *log = NULL;

	while (PQping(admin) != PQPING_OK) {
		if (g_get_monotonic_time() > until) {
			g_file_get_contents(path, &log, NULL, NULL);
			g_error("the scratch database does not start: %s", log);
		}
		g_usleep(5000);
	}
}

/* parent NULL: in memory where that is possible. */
static char *
make_folder(const char *parent)
{
	char shared[] = "/dev/shm/postseal-test-XXXXXX";
	char *folder = NULL;

	if (parent != NULL)
		folder = g_mkdtemp(g_build_filename(parent, "postseal-XXXXXX", NULL));
	else if (mkdtemp(shared) != NULL)
		folder = g_strdup(shared);
	else
		folder = g_dir_make_tmp("postseal-XXXXXX", NULL);

	/* Another user's server has to pass through it. */
	if (folder != NULL && chmod(folder, 0711) != 0)
		g_error("chmod %s: %s", folder, g_strerror(errno));
	return folder;
}

static void
set(struct settings *settings, const char *name, const char *value)
{
	g_autoptr(GError) error = NULL;

	if (!settings_set(settings, name, value, &error))
		g_error("%s", error->message);
}

static struct settings *
make_settings(const char *folder)
{
	struct settings *settings = settings_default();
	g_autofree char *state = g_build_filename(folder, "s", NULL);
	g_autofree char *run = g_build_filename(folder, "r", NULL);

	set(settings, "state_dir", state);
	set(settings, "run_dir", run);
	set(settings, "database_user", "postgres");
	set(settings, "database_fsync", "off");
	set(settings, "spool_dir", folder);
	return settings;
}

static void
run_sql(const struct scratch_pg *pg, const char *database, const char *const *statements)
{
	g_autofree char *conninfo = embedded_conninfo(pg->settings, DB_ROLE_ADMIN);
	g_autofree char *whole = g_strdup_printf("%s dbname=%s", conninfo, database);
	PGconn *connection = PQconnectdb(whole);

	if (PQstatus(connection) != CONNECTION_OK)
		g_error("%s", PQerrorMessage(connection));
	for (; *statements != NULL; statements++) {
		PGresult *result = PQexec(connection, *statements);
		if (PQresultStatus(result) == PGRES_FATAL_ERROR)
			g_error("%s: %s", *statements, PQerrorMessage(connection));
		PQclear(result);
	}
	PQfinish(connection);
}

static void
keep_template(const struct scratch_pg *pg)
{
	static const char *const statements[] = {
		"CREATE DATABASE postseal_template TEMPLATE " EMBEDDED_DATABASE,
		NULL,
	};

	run_sql(pg, "postgres", statements);
}

static void
migrate(const struct scratch_pg *pg)
{
	g_autoptr(GError) error = NULL;
	struct db *db = scratch_pg_open(pg, DB_ROLE_ADMIN, NULL);

	if (!migrate_run(db, NULL, NULL, &error))
		g_error("migration of the scratch database: %s", error->message);
	db_close(db);
}

/* tests/run has a cluster with the schema ready: initdb takes longer than most tests. */
static gboolean
make_cluster(const struct settings *settings, gboolean migrated, GError **error)
{
	const char *ready = g_getenv("PS_CLUSTER");
	g_autofree char *data_dir = embedded_data_dir(settings);
	const char *argv[] = { "cp", "-a", ready, data_dir, NULL };
	int status = 0;

	if (!migrated || ready == NULL || !g_file_test(ready, G_FILE_TEST_IS_DIR))
		return embedded_create(settings, error);
	if (g_mkdir_with_parents(settings->state_dir, 0755) != 0)
		g_error("could not make %s: %s", settings->state_dir, g_strerror(errno));
	return g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
			    &status, error) &&
	       g_spawn_check_wait_status(status, error);
}

static struct scratch_pg *
start(gboolean migrated, const char *parent)
{
	g_autoptr(GError) error = NULL;
	struct scratch_pg *pg = g_new0(struct scratch_pg, 1);

	pg->folder = make_folder(parent);
	if (pg->folder == NULL)
		g_error("no folder for a scratch database: %s", g_strerror(errno));
	pg->settings = make_settings(pg->folder);
	if (parent != NULL)
		set(pg->settings, "database_fsync", "on");
	if (!start_keeper(pg))
		g_error("fork: %s", g_strerror(errno));
	if (!make_cluster(pg->settings, migrated, &error)) {
		skip_reason = g_strdup(error->message);
		scratch_pg_stop(pg);
		return NULL;
	}
	order(pg, 'u');
	await_up(pg);
	pg->migrated = migrated;
	if (migrated)
		migrate(pg);
	keep_template(pg);
	return pg;
}

struct scratch_pg *
scratch_pg_start(void)
{
	return start(TRUE, NULL);
}

struct scratch_pg *
scratch_pg_start_unmigrated(void)
{
	return start(FALSE, NULL);
}

struct scratch_pg *
scratch_pg_start_durable(const char *parent)
{
	return start(TRUE, parent);
}

void
scratch_pg_stop(struct scratch_pg *pg)
{
	if (pg == NULL)
		return;
	close(pg->command_fd);
	while (waitpid(pg->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	close(pg->answer_fd);
	settings_unref(pg->settings);
	g_free(pg->folder);
	g_free(pg);
}

gboolean
scratch_pg_skip(struct scratch_pg *pg)
{
	if (pg == NULL)
		g_test_skip(skip_reason);
	return pg == NULL;
}

const struct settings *
scratch_pg_settings(const struct scratch_pg *pg)
{
	return pg->settings;
}

const char *
scratch_pg_folder(const struct scratch_pg *pg)
{
	return pg->folder;
}

struct db *
scratch_pg_open(const struct scratch_pg *pg, enum db_role role, struct clock *clock)
{
	g_autoptr(GError) error = NULL;
	struct db *db = db_open(pg->settings, role, clock != NULL ? clock : clock_system(), &error);

	if (db == NULL)
		g_error("%s", error->message);
	return db;
}

void
scratch_pg_sql(const struct scratch_pg *pg, const char *sql)
{
	const char *statements[] = { sql, NULL };

	run_sql(pg, EMBEDDED_DATABASE, statements);
}

void
scratch_pg_empty(struct scratch_pg *pg)
{
	static const char *const statements[] = {
		"DROP DATABASE " EMBEDDED_DATABASE " WITH (FORCE)",
		"CREATE DATABASE " EMBEDDED_DATABASE
		" TEMPLATE postseal_template OWNER postseal_daemon",
		NULL,
	};

	run_sql(pg, "postgres", statements);
}

void
scratch_pg_down(struct scratch_pg *pg)
{
	order(pg, 'd');
}

void
scratch_pg_kill(struct scratch_pg *pg)
{
	order(pg, 'k');
}

void
scratch_pg_up(struct scratch_pg *pg)
{
	order(pg, 'u');
	await_up(pg);
}
