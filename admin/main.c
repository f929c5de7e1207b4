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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "admin/api/json_memory.h"
#include "admin/api/local_operation.h"
#include "admin/api/milter_status.h"
#include "admin/http/public.h"
#include "admin/http/router.h"
#include "admin/http/server.h"
#include "admin/jobs/folder_publisher.h"
#include "admin/jobs/scheduler.h"
#include "config.h"
#include "milter/gateway.h"
#include "milter/notify.h"
#include "milter/service.h"
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
	struct public *public; /* NULL: no public listener */
	struct folder_publisher *publisher;
	int signals;           /* signalfd */
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

/* --- serving --- */

static gboolean
become_user(const struct settings *settings, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(settings->api_socket);
	const struct service_user user = { "daemon_user", settings->daemon_user, "api_socket",
					   folder };

	return service_become(&user, error);
}

static void
warn_of_schema(struct program *program)
{
	g_autoptr(GError) problem = NULL;

	if (!migrate_check(program->gateway->db, &problem))
		log_warning("the database is not ready", "error", problem->message);
}

static struct role_groups
role_groups_of(const struct settings *settings)
{
	return (struct role_groups){ settings->api_group_view, settings->api_group_operate,
				     settings->api_group_keys };
}

static gboolean
start_server(struct program *program, GError **error)
{
	const struct settings *settings = gateway_settings(program->gateway);
	const char *const groups[] = { settings->api_group_view, settings->api_group_operate,
				       settings->api_group_keys, NULL };
	struct role_groups roles = role_groups_of(settings);
	struct server_limits limits = server_default_limits;
	int fd;

	limits.connections = (unsigned int)settings->api_connections_max;
	limits.connections_per_user = MAX(limits.connections / 2, 2);
	limits.body_max_bytes = (gsize)settings->api_request_max;
	limits.bodies_max_bytes = (gsize)settings->api_request_max * 4;
	limits.idle_seconds = (unsigned int)settings->api_timeout;
	limits.header_seconds = MIN(limits.header_seconds, limits.idle_seconds);
	fd = server_listen(settings->api_socket, NULL, groups, error);
	if (fd < 0)
		return FALSE;
	program->router = router_new(program->gateway, program->config, &roles);
	program->server = server_start(fd, &limits, router_handle, program->router, error);
	return program->server != NULL;
}

static gboolean
start_public(struct program *program, GArray *listeners, GError **error)
{
	if (listeners->len == 0) {
		g_array_unref(listeners);
		return TRUE;
	}
	program->public = public_start(program->gateway, listeners, error);
	return program->public != NULL;
}

static gboolean
start(struct program *program, GError **error)
{
	struct settings *settings = settings_load(program->config, error);

	if (settings == NULL)
		return FALSE;
	service_start_log(PROGRAM, settings, program->foreground);
	GArray *listeners = public_listen(settings, error);
	if (listeners == NULL || !become_user(settings, error)) {
		settings_unref(settings);
		return FALSE;
	}
	program->gateway = gateway_open(settings, GATEWAY_DAEMON, error);
	if (program->gateway == NULL)
		return FALSE;
	status_daemon_started();
	warn_of_schema(program);
	if (!start_server(program, error) || !start_public(program, listeners, error))
		return FALSE;
	const struct settings *now = gateway_settings(program->gateway);
	const guint workers[JOB_LANES] = {
		[JOB_LANE_WORK] = (guint)now->job_workers,
		[JOB_LANE_NETWORK] = (guint)now->fetch_workers,
		[JOB_LANE_MAIL] = (guint)now->directory_workers,
		[JOB_LANE_BULK] = 2,
	};
	program->scheduler = scheduler_start(program->gateway, workers, error);
	program->publisher = folder_publisher_start(program->gateway);
	return program->scheduler != NULL;
}

static void
reload(struct program *program)
{
	g_autoptr(GError) problem = NULL;

	notify_reloading();
	if (service_reload(program->gateway, program->config, &problem)) {
		struct role_groups roles = role_groups_of(gateway_settings(program->gateway));

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
	public_stop(program->public);
	folder_publisher_stop(program->publisher);
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
