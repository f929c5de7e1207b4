/*
 * embedded_program - PostgreSQL's programs: where they are, and running them as their user.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/db/embedded.h"
#include "store/db/embedded_internal.h"

#define OUTPUT_MAX_BYTES 8192

const char *const program_environment[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C",
					    "HOME=/", "TZ=UTC", NULL };

/* Names go into pg_ident.conf: nothing there that would be a pattern or end a field. */
static gboolean
name_is_plain(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";

	return *name != '\0' && *name != '-' && strspn(name, allowed) == strlen(name);
}

static gboolean
fill_user(const struct passwd *entry, struct os_user *user, GError **error)
{
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	user->group_count = OS_GROUPS_MAX;
	g_strlcpy(user->name, entry->pw_name, sizeof(user->name));
	if (!name_is_plain(user->name))
		return fail_false(error, PS_ERROR_INVALID,
				  "user name '%s' cannot be used for the database", user->name);
	if (getgrouplist(entry->pw_name, entry->pw_gid, user->groups, &user->group_count) < 0)
		return fail_false(error, PS_ERROR_INVALID, "user '%s' has more than %d groups",
				  user->name, OS_GROUPS_MAX);
	return TRUE;
}

gboolean
os_user_find(const struct settings *settings, struct os_user *user, GError **error)
{
	char buffer[4096];
	struct passwd entry;
	struct passwd *found = NULL;
	const char *name = settings->database_user;

	memset(user, 0, sizeof(*user));
	user->change = geteuid() == 0;
	if (!name_is_plain(settings->daemon_user) || !name_is_plain(settings->milter_user))
		return fail_false(error, PS_ERROR_INVALID,
				  "daemon_user and milter_user must be plain user names");
	if (!user->change) {
		if (getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found) != 0 ||
		    found == NULL)
			return fail_false(error, PS_ERROR_INVALID,
					  "user id %u has no name on this system",
					  (unsigned int)geteuid());
		return fill_user(found, user, error);
	}
	if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "database_user '%s' does not exist: run 'postseal setup', which "
				  "makes it",
				  name);
	if (found->pw_uid == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "database_user must not be root: PostgreSQL refuses that");
	return fill_user(found, user, error);
}

int
os_user_become(const struct os_user *user)
{
	if (!user->change)
		return 0;
	if (setgroups((size_t)user->group_count, user->groups) != 0 || setgid(user->gid) != 0 ||
	    setuid(user->uid) != 0)
		return -1;
	return setuid(0) == 0 ? -1 : 0; /* there must be no way back */
}

gboolean
os_user_may_knock(const struct os_user *server, const char *name)
{
	char buffer[4096];
	struct passwd entry;
	struct passwd *found = NULL;
	g_autofree gid_t *groups = NULL;
	int count = 0;

	if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL)
		return FALSE;
	if (found->pw_uid == 0 || found->pw_uid == server->uid)
		return TRUE;
	(void)getgrouplist(name, found->pw_gid, NULL, &count);
	groups = g_new(gid_t, (gsize)MAX(count, 1));
	if (getgrouplist(name, found->pw_gid, groups, &count) < 0)
		return FALSE;
	for (int i = 0; i < count; i++)
		if (groups[i] == server->gid)
			return TRUE;
	return FALSE;
}

static void
child_setup(gpointer data)
{
	if (os_user_become(data) != 0)
		_exit(126);
}

static char *
file_text(int fd)
{
	g_autofree char *text = g_malloc0(OUTPUT_MAX_BYTES + 1);
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from = size > OUTPUT_MAX_BYTES ? size - OUTPUT_MAX_BYTES : 0;

	if (pread(fd, text, OUTPUT_MAX_BYTES, from) < 0)
		text[0] = '\0';
	return g_steal_pointer(&text);
}

/* The line that says what is wrong: the last with an error in it, else the last. */
static char *
telling_line(const char *output)
{
	g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
	const char *best = "";
	gboolean found = FALSE;

	for (char **line = lines; *line != NULL; line++) {
		gboolean telling = strstr(*line, "FATAL") != NULL ||
				   strstr(*line, "ERROR") != NULL ||
				   strstr(*line, "error:") != NULL;
		if (**line != '\0' && (telling || !found))
			best = *line;
		found = found || telling;
	}
	return printable(best);
}

gboolean
program_await(pid_t pid, int error_fd, const char *what, GError **error)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_false(error, PS_ERROR_BUG, "%s: waitpid: %s", what,
					  g_strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return TRUE;

	g_autofree char *output = file_text(error_fd);
	g_autofree char *line = telling_line(output);
	if (WIFSIGNALED(status))
		return fail_false(error, PS_ERROR_TEMPORARY, "%s was ended by signal %d: %s", what,
				  WTERMSIG(status), line);
	return fail_false(error, PS_ERROR_TEMPORARY, "%s failed with status %d: %s", what,
			  WEXITSTATUS(status), line);
}

/* Files in memory for input and output: nothing can block on anything. */
static gboolean
run_with_files(const struct os_user *user, const char *folder, const char *const *argv,
	       int input_fd, int output_fd, const char *what, GError **error)
{
	g_autoptr(GError) local = NULL;
	GPid pid = 0;

	if (!g_spawn_async_with_pipes_and_fds(
		folder, argv, program_environment, G_SPAWN_DO_NOT_REAP_CHILD,
		user != NULL ? child_setup : NULL, (gpointer)user, input_fd, output_fd, output_fd,
		NULL, NULL, 0, &pid, NULL, NULL, NULL, &local))
		return fail_false(error, PS_ERROR_TEMPORARY, "could not run %s: %s", argv[0],
				  local->message);
	return program_await(pid, output_fd, what, error);
}

gboolean
program_run(const struct os_user *user, const char *folder, const char *const *argv,
	    const char *input, char **output, const char *what, GError **error)
{
	int input_fd = memfd_create("input", MFD_CLOEXEC);
	int output_fd = memfd_create("output", MFD_CLOEXEC);
	gsize length = input != NULL ? strlen(input) : 0;
	gboolean good = FALSE;

	if (input_fd < 0 || output_fd < 0 || write(input_fd, input, length) != (ssize_t)length ||
	    lseek(input_fd, 0, SEEK_SET) != 0)
		fail(error, PS_ERROR_TEMPORARY, "%s: no memory file: %s", what, g_strerror(errno));
	else
		good = run_with_files(user, folder != NULL ? folder : "/", argv, input_fd,
				      output_fd, what, error);
	if (good && output != NULL)
		*output = file_text(output_fd);
	if (input_fd >= 0)
		close(input_fd);
	if (output_fd >= 0)
		close(output_fd);
	return good;
}

static gboolean
has_program(const char *bin_dir, const char *name)
{
	g_autofree char *path = g_build_filename(bin_dir, name, NULL);

	return g_file_test(path, G_FILE_TEST_IS_EXECUTABLE);
}

int
embedded_bin_major(const char *bin_dir)
{
	g_autofree char *program = g_build_filename(bin_dir, "postgres", NULL);
	const char *argv[] = { program, "--version", NULL };
	g_autofree char *output = NULL;
	const char *number;

	if (!has_program(bin_dir, "postgres") || !has_program(bin_dir, "initdb") ||
	    !program_run(NULL, NULL, argv, NULL, &output, "postgres --version", NULL))
		return 0;
	/* "postgres (PostgreSQL) 15.20 (Debian ...)" */
	number = strchr(output, ')');
	return number != NULL ? (int)g_ascii_strtoull(number + 1, NULL, 10) : 0;
}

static void
add_folder(GPtrArray *folders, char *taken)
{
	if (has_program(taken, "postgres") && has_program(taken, "initdb"))
		g_ptr_array_add(folders, taken);
	else
		g_free(taken);
}

static gint
compare_numbers_down(gconstpointer a, gconstpointer b)
{
	guint64 x = g_ascii_strtoull(*(const char *const *)a, NULL, 10);
	guint64 y = g_ascii_strtoull(*(const char *const *)b, NULL, 10);

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Debian keeps versions side by side in /usr/lib/postgresql/N/bin. */
static void
add_versions(GPtrArray *folders, const char *parent)
{
	g_autoptr(GDir) dir = g_dir_open(parent, 0, NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *name;

	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
		g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, compare_numbers_down);
	for (guint i = 0; i < names->len; i++)
		add_folder(folders, g_build_filename(parent, names->pdata[i], "bin", NULL));
}

static void
add_pg_config(GPtrArray *folders)
{
	g_autofree char *program = g_find_program_in_path("pg_config");
	const char *argv[] = { program, "--bindir", NULL };
	char *output = NULL;

	if (program != NULL && program_run(NULL, NULL, argv, NULL, &output, "pg_config", NULL))
		add_folder(folders, g_strstrip(output));
}

static GPtrArray *
find_folders(void)
{
	GPtrArray *folders = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *in_path = g_find_program_in_path("postgres");

	add_versions(folders, "/usr/lib/postgresql");
	for (int major = 30; major >= 13; major--)
		add_folder(folders, g_strdup_printf("/usr/pgsql-%d/bin", major));
	add_pg_config(folders);
	if (in_path != NULL)
		add_folder(folders, g_path_get_dirname(in_path));
	return folders;
}

char *
embedded_bin_dir(const struct settings *settings, int major, GError **error)
{
	g_autoptr(GPtrArray) folders = NULL;
	int newest = 0;

	if (*settings->postgres_bin != '\0') {
		folders = g_ptr_array_new_with_free_func(g_free);
		g_ptr_array_add(folders, g_strdup(settings->postgres_bin));
	} else {
		folders = find_folders();
	}
	for (guint i = 0; i < folders->len; i++) {
		int found = embedded_bin_major(folders->pdata[i]);
		if (found >= 13 && (major == 0 || found == major))
			return g_strdup(folders->pdata[i]);
		newest = MAX(newest, found);
	}
	if (newest == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    *settings->postgres_bin != '\0'
				? "postgres_bin does not hold postgres and initdb"
				: "PostgreSQL is not installed: install the package postgresql, "
				  "or set postgres_bin");
	if (major == 0)
		return fail(error, PS_ERROR_INVALID,
			    "PostgreSQL %d is too old: version 13 or newer is needed", newest);
	return fail(error, PS_ERROR_INVALID,
		    "the database cluster was made by PostgreSQL %d, installed is %d: install "
		    "postgresql-%d, or run 'postseal db upgrade'",
		    major, newest, major);
}
