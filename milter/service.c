#include "milter/service.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/config/settings.h"

static enum log_level
level_of(const struct settings *settings)
{
	if (strcmp(settings->log_level, "error") == 0)
		return LOG_LEVEL_ERROR;
	if (strcmp(settings->log_level, "warning") == 0)
		return LOG_LEVEL_WARNING;
	return strcmp(settings->log_level, "debug") == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

void
service_start_log(const char *program, const struct settings *settings, gboolean foreground)
{
	enum log_target target = log_target_default();

	if (foreground || strcmp(settings->log_target, "stderr") == 0)
		target = LOG_TARGET_STDERR;
	else if (strcmp(settings->log_target, "syslog") == 0)
		target = LOG_TARGET_SYSLOG;
	else if (strcmp(settings->log_target, "journal") == 0)
		target = LOG_TARGET_JOURNAL;
	log_start(program, target, level_of(settings));
}

/* A service manager may have made it already. */
static gboolean
make_folder(const struct service_user *user, const struct passwd *owner, GError **error)
{
	if (g_file_test(user->folder, G_FILE_TEST_IS_DIR))
		return TRUE;
	if (g_mkdir_with_parents(user->folder, 0755) != 0 || chmod(user->folder, 0755) != 0 ||
	    (owner != NULL && chown(user->folder, owner->pw_uid, owner->pw_gid) != 0))
		return fail_false(error, PS_ERROR_DENIED, "%s: could not make the folder %s: %s",
				  user->folder_setting, user->folder, g_strerror(errno));
	return TRUE;
}

static gboolean
give_up_root(const struct service_user *user, GError **error)
{
	const struct passwd *entry;

	if (geteuid() != 0)
		return make_folder(user, NULL, error);
	entry = getpwnam(user->name);
	if (entry == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: there is no user '%s' on this system", user->setting,
				  user->name);
	if (!make_folder(user, entry, error))
		return FALSE;
	if (entry->pw_uid == 0)
		return TRUE; /* asked for */
	if (initgroups(entry->pw_name, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 ||
	    setuid(entry->pw_uid) != 0)
		return fail_false(error, PS_ERROR_DENIED, "could not become the user %s: %s",
				  user->name, g_strerror(errno));
	return TRUE;
}

/* Memory is left out of core files, of gcore(1)'s, too: it holds keys and passwords, and what
 * others (OpenSSL, the C library) have copied of them. core(5); children inherit it. */
static void
keep_memory_out_of_cores(void)
{
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return; /* a kernel that writes no core files */
	if (write(fd, "0", 1) != 1)
		log_warning("memory cannot be kept out of core files", "why", g_strerror(errno));
	close(fd);
}

gboolean
service_become(const struct service_user *user, GError **error)
{
	keep_memory_out_of_cores();
	if (!give_up_root(user, error))
		return FALSE;
	/* After setuid(2), which may set it again. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	return TRUE;
}

static void
warn_of_restart(const struct settings *old, const struct settings *new)
{
	g_auto(GStrv) names = settings_restart_needed(old, new);
	g_autofree char *text = g_strjoinv(" ", names);

	if (*text != '\0')
		log_warning("settings that take effect after a restart", "names", text);
}

gboolean
service_reload(struct gateway *gateway, const char *config_file, GError **error)
{
	struct settings *settings = settings_load(config_file, error);

	if (settings == NULL)
		return FALSE;
	warn_of_restart(gateway_settings(gateway), settings);
	if (!gateway_reload(gateway, settings, error))
		return FALSE;
	log_set_level(level_of(gateway_settings(gateway)));
	return TRUE;
}
