/*
 * embedded - where the private cluster is, and how it is made.
 *
 * It is made under a name of its own and renamed when it is whole, so that a crash leaves no
 * half of it. Roles and database are made in single-user mode: no server, no window in which
 * anybody else could connect.
 */
#include "store/db/embedded.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/db/embedded_internal.h"

gboolean
embedded_wanted(const struct settings *settings)
{
	return strcmp(settings->database, "embedded") == 0;
}

char *
embedded_data_dir(const struct settings *settings)
{
	return g_build_filename(settings->state_dir, "database", NULL);
}

char *
embedded_socket_dir(const struct settings *settings)
{
	return g_build_filename(settings->run_dir, "database", NULL);
}

char *
embedded_conninfo(const struct settings *settings, enum db_role role)
{
	static const char *const users[] = {
		[DB_ROLE_DAEMON] = "postseal_daemon",
		[DB_ROLE_MILTER] = "postseal_milter",
		[DB_ROLE_READONLY] = "postseal_readonly",
		[DB_ROLE_ADMIN] = EMBEDDED_ADMIN,
	};
	g_autofree char *host = embedded_socket_dir(settings);
	g_auto(GStrv) pieces = g_strsplit(host, "\\", -1);
	g_autofree char *slashed = g_strjoinv("\\\\", pieces);
	g_auto(GStrv) parts = g_strsplit(slashed, "'", -1);
	g_autofree char *quoted = g_strjoinv("\\'", parts);

	return g_strdup_printf("host='%s' port=%d dbname=%s user=%s", quoted, EMBEDDED_PORT,
			       EMBEDDED_DATABASE, users[role]);
}

/* An empty folder, as a service manager makes it, is no cluster; a closed one is. */
gboolean
embedded_exists(const struct settings *settings)
{
	g_autofree char *data_dir = embedded_data_dir(settings);
	g_autofree char *version = g_build_filename(data_dir, "PG_VERSION", NULL);
	struct stat status;

	return stat(version, &status) == 0 || errno == EACCES;
}

int
embedded_cluster_major(const struct settings *settings, GError **error)
{
	g_autofree char *data_dir = embedded_data_dir(settings);
	g_autofree char *path = g_build_filename(data_dir, "PG_VERSION", NULL);
	g_autofree char *text = NULL;
	g_autoptr(GError) local = NULL;

	if (!embedded_exists(settings)) {
		fail(error, PS_ERROR_NOT_FOUND,
		     "there is no database cluster in %s: run 'postseal setup'", data_dir);
		return 0;
	}
	if (!g_file_get_contents(path, &text, NULL, &local)) {
		fail(error, PS_ERROR_DENIED, "could not read the version of the cluster: %s",
		     local->message);
		return 0;
	}
	guint64 major = g_ascii_strtoull(text, NULL, 10);
	if (major < 10 || major > 999) {
		fail(error, PS_ERROR_INVALID, "%s does not hold a version", path);
		return 0;
	}
	return (int)major;
}

static gboolean
check_socket_path(const struct settings *settings, GError **error)
{
	struct sockaddr_un address;
	g_autofree char *folder = embedded_socket_dir(settings);
	g_autofree char *path = g_strdup_printf("%s/.s.PGSQL.%d", folder, EMBEDDED_PORT);

	if (strlen(path) >= sizeof(address.sun_path))
		return fail_false(error, PS_ERROR_INVALID,
				  "socket path %s is longer than %zu bytes: choose a shorter "
				  "run_dir",
				  path, sizeof(address.sun_path) - 1);
	return TRUE;
}

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

void
embedded_remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

gboolean
embedded_make_folder(const char *path, const struct os_user *user, GError **error)
{
	embedded_remove_tree(path);
	if (mkdir(path, 0700) != 0 || (user->change && lchown(path, user->uid, user->gid) != 0))
		return fail_false(error, PS_ERROR_TEMPORARY, "could not make %s: %s", path,
				  g_strerror(errno));
	return TRUE;
}

/* jit: our queries are points, for which compiling costs more than it gains. */
static const char tuning_sql[] = "ALTER SYSTEM SET max_connections = 100\n"
				 "ALTER SYSTEM SET shared_buffers = '64MB'\n"
				 "ALTER SYSTEM SET max_wal_size = '1GB'\n"
				 "ALTER SYSTEM SET checkpoint_timeout = '15min'\n"
				 "ALTER SYSTEM SET jit = off\n"
				 "ALTER SYSTEM SET timezone = 'UTC'\n"
				 "ALTER SYSTEM SET log_timezone = 'UTC'\n"
				 "ALTER SYSTEM SET log_line_prefix = '%q%u: '\n";

static const char cluster_sql[] =
    "CREATE ROLE postseal_daemon LOGIN\n"
    "CREATE ROLE postseal_milter LOGIN\n"
    "CREATE ROLE postseal_readonly LOGIN\n"
    "CREATE DATABASE " EMBEDDED_DATABASE " OWNER postseal_daemon\n"
    "REVOKE ALL ON DATABASE " EMBEDDED_DATABASE " FROM PUBLIC\n"
    "GRANT CONNECT ON DATABASE " EMBEDDED_DATABASE " TO postseal_milter, postseal_readonly\n";

/* Before version 15 everybody could create in the schema public. */
static const char schema_sql[] = "REVOKE CREATE ON SCHEMA public FROM PUBLIC\n"
				 "ALTER SCHEMA public OWNER TO postseal_daemon\n";

gboolean
embedded_single_user(const struct os_user *user, const char *bin_dir, const char *data_dir,
		     const char *database, const char *sql, GError **error)
{
	g_autofree char *program = g_build_filename(bin_dir, "postgres", NULL);
	const char *argv[] = {
		program, "--single", "-D", data_dir, "-c", "exit_on_error=true", database, NULL,
	};

	return program_run(user, NULL, argv, sql, NULL, "preparing the database cluster", error);
}

gboolean
embedded_initdb(const struct settings *settings, const struct os_user *user, const char *bin_dir,
		const char *data_dir, const char *login, GError **error)
{
	g_autofree char *initdb = g_build_filename(bin_dir, "initdb", NULL);
	/* Small WAL segments: 31 MB instead of 39 on disk for a cluster at rest. */
	const char *argv[] = {
		initdb,
		"-D",
		data_dir,
		"-U",
		EMBEDDED_ADMIN,
		"-A",
		login,
		"--no-locale",
		"-E",
		"UTF8",
		"-k",
		"--wal-segsize=1",
		settings->database_fsync ? NULL : "-N",
		NULL,
	};

	return embedded_make_folder(data_dir, user, error) &&
	       program_run(user, NULL, argv, NULL, NULL, "initdb", error) &&
	       embedded_single_user(user, bin_dir, data_dir, "postgres", tuning_sql, error);
}

static gboolean
fill_cluster(const struct settings *settings, const struct os_user *user, const char *bin_dir,
	     const char *data_dir, GError **error)
{
	if (!embedded_initdb(settings, user, bin_dir, data_dir, "peer", error) ||
	    !embedded_single_user(user, bin_dir, data_dir, "postgres", cluster_sql, error))
		return FALSE;
	return embedded_bin_major(bin_dir) >= 15 ||
	       embedded_single_user(user, bin_dir, data_dir, EMBEDDED_DATABASE, schema_sql, error);
}

gboolean
embedded_create(const struct settings *settings, GError **error)
{
	g_autofree char *data_dir = embedded_data_dir(settings);
	g_autofree char *new_dir = g_strconcat(data_dir, ".new", NULL);
	g_autofree char *bin_dir = NULL;
	struct os_user user;

	if (embedded_exists(settings))
		return fail_false(error, PS_ERROR_INVALID, "database cluster %s exists already",
				  data_dir);
	if (!check_socket_path(settings, error) || !os_user_find(settings, &user, error))
		return FALSE;
	bin_dir = embedded_bin_dir(settings, 0, error);
	if (bin_dir == NULL)
		return FALSE;
	if (g_mkdir_with_parents(settings->state_dir, 0755) != 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "could not make %s: %s",
				  settings->state_dir, g_strerror(errno));
	if (!fill_cluster(settings, &user, bin_dir, new_dir, error)) {
		embedded_remove_tree(new_dir);
		return FALSE;
	}
	if (rename(new_dir, data_dir) != 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "could not rename %s to %s: %s",
				  new_dir, data_dir, g_strerror(errno));
	return TRUE;
}
