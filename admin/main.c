/*
 * postseald - the daemon: serves the API, runs jobs; and the two things that are not a daemon.
 *
 *   postseald [-c FILE] [-f]                  serve
 *   postseald [-c FILE] --database            become the embedded database's server
 *   postseald [-c FILE] --operation NAME      do one operation as the command line asks: JSON
 *                                             arguments on standard input, JSON answer on output
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/api/json_memory.h"
#include "admin/api/local_operation.h"
#include "admin/api/milter_status.h"
#include "admin/http/router.h"
#include "admin/http/server.h"
#include "admin/jobs/scheduler.h"
#include "config.h"
#include "milter/gateway.h"
#include "milter/notify.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/config/settings.h"
#include "store/db/embedded.h"
#include "store/db/migrate.h"

#define PROGRAM "postseald"

enum mode { MODE_SERVE, MODE_DATABASE, MODE_OPERATION };

struct program {
	enum mode mode;
	const char *config; /* NULL: the default file */
	const char *operation;
	gboolean foreground;
	struct gateway *gateway;
	struct scheduler *scheduler;
	struct router *router;
	struct server *server;
	int signals; /* signalfd */
};

static const char usage[] =
    "usage: " PROGRAM " [-c FILE] [-f]\n"
    "       " PROGRAM " [-c FILE] --database\n"
    "       " PROGRAM " [-c FILE] --operation NAME\n"
    "  -c, --config FILE     read the settings from FILE (" SETTINGS_FILE ")\n"
    "  -f, --foreground      log to standard error, whatever log_target says\n"
    "      --database        become the server of the embedded database\n"
    "      --operation NAME  do one operation and end; for the postseal command\n"
    "      --help            show this text and exit\n"
    "      --version         show the version and exit\n";

/* --- options --- */

/* FALSE: the program ends with *status. */
static gboolean
read_options(int argc, char **argv, struct program *program, int *status)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
					       { "foreground", no_argument, NULL, 'f' },
					       { "database", no_argument, NULL, 'd' },
					       { "operation", required_argument, NULL, 'o' },
					       { "help", no_argument, NULL, 'h' },
					       { "version", no_argument, NULL, 'V' },
					       { NULL, 0, NULL, 0 } };
	int c;

	*status = EXIT_SUCCESS;
	while ((c = getopt_long(argc, argv, "c:f", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			program->config = optarg;
			break;
		case 'f':
			program->foreground = TRUE;
			break;
		case 'd':
			program->mode = MODE_DATABASE;
			break;
		case 'o':
			program->mode = MODE_OPERATION;
			program->operation = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return FALSE;
		case 'V':
			puts(PROGRAM " " PACKAGE_VERSION);
			return FALSE;
		default:
			fputs(usage, stderr);
			*status = 2;
			return FALSE;
		}
	}
	if (optind == argc)
		return TRUE;
	fprintf(stderr, PROGRAM ": unexpected argument '%s'\n%s", argv[optind], usage);
	*status = 2;
	return FALSE;
}

static enum log_level
level_of(const struct settings *settings)
{
	if (strcmp(settings->log_level, "error") == 0)
		return LOG_LEVEL_ERROR;
	if (strcmp(settings->log_level, "warning") == 0)
		return LOG_LEVEL_WARNING;
	return strcmp(settings->log_level, "debug") == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

static void
start_log(const struct program *program, const struct settings *settings)
{
	enum log_target target = log_target_default();

	if (program->foreground || strcmp(settings->log_target, "stderr") == 0)
		target = LOG_TARGET_STDERR;
	else if (strcmp(settings->log_target, "syslog") == 0)
		target = LOG_TARGET_SYSLOG;
	else if (strcmp(settings->log_target, "journal") == 0)
		target = LOG_TARGET_JOURNAL;
	log_start(PROGRAM, target, level_of(settings));
}

/* --- rights --- */

/* The folder of the socket, where nobody has made it yet (a service manager may have). */
static gboolean
make_socket_folder(const char *socket_path, const struct passwd *user, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(socket_path);

	if (g_file_test(folder, G_FILE_TEST_IS_DIR))
		return TRUE;
	if (g_mkdir_with_parents(folder, 0755) != 0 || chmod(folder, 0755) != 0 ||
	    (user != NULL && chown(folder, user->pw_uid, user->pw_gid) != 0))
		return fail_false(error, PS_ERROR_DENIED, "api_socket: could not make %s: %s",
				  folder, g_strerror(errno));
	return TRUE;
}

/* Root is given up for good, before anybody is listened to. */
static gboolean
become_user(const struct settings *settings, GError **error)
{
	const struct passwd *user;

	if (geteuid() != 0)
		return make_socket_folder(settings->api_socket, NULL, error);
	user = getpwnam(settings->daemon_user);
	if (user == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "daemon_user: there is no user '%s' on this system",
				  settings->daemon_user);
	if (!make_socket_folder(settings->api_socket, user, error))
		return FALSE;
	if (user->pw_uid == 0)
		return TRUE; /* asked for */
	if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
	    setuid(user->pw_uid) != 0)
		return fail_false(error, PS_ERROR_DENIED, "could not become the user %s: %s",
				  user->pw_name, g_strerror(errno));
	return TRUE;
}

/* --- serving --- */

static void
warn_of_schema(struct program *program)
{
	g_autoptr(GError) problem = NULL;

	if (!migrate_check(program->gateway->db, &problem))
		log_warning("the database is not ready", "error", problem->message);
}

static gboolean
start_server(struct program *program, GError **error)
{
	const struct settings *settings = gateway_settings(program->gateway);
	const char *const groups[] = { settings->api_group_view, settings->api_group_operate,
				       settings->api_group_keys, NULL };
	struct role_groups roles = { settings->api_group_view, settings->api_group_operate,
				     settings->api_group_keys };
	struct server_limits limits = server_default_limits;
	int fd;

	limits.connections = (unsigned int)settings->api_connections_max;
	limits.connections_per_user = MAX(limits.connections / 2, 2);
	limits.body_max_bytes = (gsize)settings->api_request_max;
	limits.bodies_max_bytes = (gsize)settings->api_request_max * 4;
	limits.idle_seconds = (unsigned int)settings->api_timeout;
	fd = server_listen(settings->api_socket, NULL, groups, error);
	if (fd < 0)
		return FALSE;
	program->router = router_new(program->gateway, program->config, &roles);
	program->server = server_start(fd, &limits, router_handle, program->router, error);
	return program->server != NULL;
}

static gboolean
start(struct program *program, GError **error)
{
	struct settings *settings = settings_load(program->config, error);

	if (settings == NULL)
		return FALSE;
	start_log(program, settings);
	if (!become_user(settings, error)) {
		settings_unref(settings);
		return FALSE;
	}
	(void)prctl(PR_SET_DUMPABLE, 0); /* keys stay out of core files */
	program->gateway = gateway_open(settings, GATEWAY_DAEMON, error);
	if (program->gateway == NULL)
		return FALSE;
	status_daemon_started();
	warn_of_schema(program);
	if (!start_server(program, error))
		return FALSE;
	program->scheduler = scheduler_start(
	    program->gateway, (guint)gateway_settings(program->gateway)->job_workers, error);
	return program->scheduler != NULL;
}

static void
reload(struct program *program)
{
	g_autoptr(GError) problem = NULL;
	struct settings *settings;
	gboolean worked = FALSE;

	notify_reloading();
	settings = settings_load(program->config, &problem);
	if (settings != NULL) {
		g_auto(GStrv) names =
		    settings_restart_needed(gateway_settings(program->gateway), settings);
		g_autofree char *later = g_strjoinv(" ", names);

		if (*later != '\0')
			log_warning("settings that take effect after a restart", "names", later);
		worked = gateway_reload(program->gateway, settings, &problem);
	}
	if (worked) {
		const struct settings *in_use = gateway_settings(program->gateway);
		struct role_groups roles = { in_use->api_group_view, in_use->api_group_operate,
					     in_use->api_group_keys };

		log_set_level(level_of(in_use));
		router_set_groups(program->router, &roles);
		log_info("settings read again");
	} else {
		log_error("settings not read again, the old ones stay", "error", problem->message);
	}
	notify_ready("serving");
}

static void
stop(struct program *program)
{
	notify_stopping();
	log_info("stopping");
	server_stop(program->server);
	scheduler_stop(program->scheduler);
	router_free(program->router);
	gateway_close(program->gateway);
	log_info("stopped");
}

/* --- signals --- */

/* Blocked in all threads and read from a descriptor by the main one. */
static gboolean
catch_signals(struct program *program, GError **error)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	program->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (program->signals < 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "signals cannot be waited for: %s",
				  g_strerror(errno));
	return TRUE;
}

static void
serve_until_stopped(struct program *program)
{
	struct signalfd_siginfo info;

	for (;;) {
		ssize_t got = read(program->signals, &info, sizeof info);

		if (got != (ssize_t)sizeof info)
			continue;
		if (info.ssi_signo != SIGHUP)
			return;
		reload(program);
	}
}

static int
serve(struct program *program)
{
	g_autoptr(GError) problem = NULL;

	if (!catch_signals(program, &problem) || !start(program, &problem)) {
		fprintf(stderr, PROGRAM ": %s\n", problem->message);
		return error_exit_status(problem);
	}
	log_info("started", "version", PACKAGE_VERSION, "socket",
		 gateway_settings(program->gateway)->api_socket);
	notify_ready("serving");
	serve_until_stopped(program);
	stop(program);
	return EXIT_SUCCESS;
}

static int
become_database(const struct program *program)
{
	g_autoptr(GError) problem = NULL;
	CLEANUP(settings) struct settings *settings = settings_load(program->config, &problem);

	if (settings != NULL && !embedded_wanted(settings))
		fail(&problem, PS_ERROR_INVALID,
		     "the settings name an outside database: there is none to run here");
	else if (settings != NULL)
		embedded_exec(settings, &problem);
	fprintf(stderr, PROGRAM ": %s\n",
		problem != NULL ? problem->message : "the database's server cannot be run");
	return problem != NULL ? error_exit_status(problem) : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	static struct program program;
	int status;

	if (!read_options(argc, argv, &program, &status))
		return status;
	json_memory_start();
	switch (program.mode) {
	case MODE_DATABASE:
		return become_database(&program);
	case MODE_OPERATION:
		return local_operation_run(program.config, program.operation);
	case MODE_SERVE:
		break;
	}
	return serve(&program);
}
