/*
 * embedded_upgrade - the private cluster under the next major version of PostgreSQL.
 *
 * pg_upgrade copies into a cluster of its own; only when that is whole do two renames put it in
 * place, and the old one stays. The new cluster trusts its socket while it is upgraded: that
 * is in a folder that only the server's user can enter.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/db/embedded.h"
#include "store/db/embedded_internal.h"

struct upgrade {
	const struct settings *settings;
	struct os_user user;
	char *data_dir;
	char *new_dir;
	char *kept_dir; /* where the old cluster goes */
	char *old_bin;
	char *new_bin;
};

static void
upgrade_clear(struct upgrade *upgrade)
{
	g_free(upgrade->data_dir);
	g_free(upgrade->new_dir);
	g_free(upgrade->kept_dir);
	g_free(upgrade->old_bin);
	g_free(upgrade->new_bin);
}

static gboolean
find_programs(struct upgrade *upgrade, const char *new_bin_dir, GError **error)
{
	int old_major = embedded_cluster_major(upgrade->settings, error);
	int new_major;

	if (old_major == 0)
		return FALSE;
	upgrade->kept_dir = g_strdup_printf("%s.%d", upgrade->data_dir, old_major);
	upgrade->new_bin = new_bin_dir != NULL ? g_strdup(new_bin_dir)
					       : embedded_bin_dir(upgrade->settings, 0, error);
	if (upgrade->new_bin == NULL)
		return FALSE;
	new_major = embedded_bin_major(upgrade->new_bin);
	if (new_major < old_major || (new_major == old_major && new_bin_dir == NULL))
		return fail_false(error, PS_ERROR_INVALID,
				  "the database cluster is of PostgreSQL %d, and nothing newer is "
				  "installed",
				  old_major);
	/* postgres_bin names the new ones: the old ones are where a package puts them. */
	CLEANUP(settings) struct settings *elsewhere = settings_default();
	upgrade->old_bin = embedded_bin_dir(elsewhere, old_major, NULL);
	if (upgrade->old_bin == NULL)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "the upgrade needs the programs of PostgreSQL %d, too: install "
				  "postgresql-%d until it is done",
				  old_major, old_major);
	if (g_file_test(upgrade->kept_dir, G_FILE_TEST_EXISTS))
		return fail_false(error, PS_ERROR_INVALID,
				  "%s, kept by an earlier upgrade, is in the way: move it",
				  upgrade->kept_dir);
	return TRUE;
}

static gboolean
run_pg_upgrade(const struct upgrade *upgrade, GError **error)
{
	g_autofree char *program = g_build_filename(upgrade->new_bin, "pg_upgrade", NULL);
	const char *argv[] = {
		program,           "-b", upgrade->old_bin, "-B", upgrade->new_bin, "-d",
		upgrade->data_dir, "-D", upgrade->new_dir, "-s", upgrade->new_dir, "-U",
		EMBEDDED_ADMIN,    NULL,
	};

	return program_run(&upgrade->user, upgrade->new_dir, argv, NULL, NULL, "pg_upgrade", error);
}

/* An empty statement by the old server ends the recovery that a crash has left to do. */
static gboolean
copy_cluster(const struct upgrade *upgrade, GError **error)
{
	return embedded_single_user(&upgrade->user, upgrade->old_bin, upgrade->data_dir, "postgres",
				    "\n", error) &&
	       embedded_initdb(upgrade->settings, &upgrade->user, upgrade->new_bin,
			       upgrade->new_dir, "trust", error) &&
	       run_pg_upgrade(upgrade, error) &&
	       embedded_single_user(&upgrade->user, upgrade->new_bin, upgrade->new_dir,
				    EMBEDDED_DATABASE, "ANALYZE\n", error);
}

static gboolean
swap(const struct upgrade *upgrade, GError **error)
{
	if (rename(upgrade->data_dir, upgrade->kept_dir) != 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "could not rename %s: %s",
				  upgrade->data_dir, g_strerror(errno));
	if (rename(upgrade->new_dir, upgrade->data_dir) == 0)
		return TRUE;
	fail(error, PS_ERROR_TEMPORARY, "could not rename %s: %s", upgrade->new_dir,
	     g_strerror(errno));
	if (rename(upgrade->kept_dir, upgrade->data_dir) != 0)
		g_prefix_error(error, "the old cluster is in %s: ", upgrade->kept_dir);
	return FALSE;
}

static gboolean
upgrade_locked(const struct upgrade *upgrade, GError **error)
{
	int lock_fd = embedded_lock(upgrade->data_dir, error);
	gboolean good;

	if (lock_fd < 0)
		return FALSE;
	good = copy_cluster(upgrade, error) && swap(upgrade, error);
	if (!good)
		embedded_remove_tree(upgrade->new_dir);
	close(lock_fd);
	return good;
}

gboolean
embedded_upgrade(const struct settings *settings, const char *new_bin_dir, GError **error)
{
	struct upgrade upgrade = { .settings = settings };
	gboolean good;

	upgrade.data_dir = embedded_data_dir(settings);
	upgrade.new_dir = g_strconcat(upgrade.data_dir, ".new", NULL);
	good = os_user_find(settings, &upgrade.user, error) &&
	       find_programs(&upgrade, new_bin_dir, error) && upgrade_locked(&upgrade, error);
	upgrade_clear(&upgrade);
	return good;
}
