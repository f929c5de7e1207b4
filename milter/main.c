/*
 * postseal-milter - the mail filter: starts, serves, reloads and stops.
 *
 * The main thread waits for signals; libmilter runs in another one. A stop waits for the
 * messages that have begun and then leaves without tearing down what other threads may still
 * use: all that must be kept has been written by then.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "milter/failures.h"
#include "milter/gateway.h"
#include "milter/learning.h"
#include "milter/libmilter_glue.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/notify.h"
#include "milter/outbound.h"
#include "milter/process.h"
#include "milter/report.h"
#include "milter/service.h"
#include "milter/session.h"
#include "milter/split.h"
#include "milter/status.h"
#include "pki/harvest.h"
#include "pki/pending.h"
#include "pki/select.h"
#include "pki/trust.h"
#include "store/audit.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/config/settings.h"
#include "store/db/changelog.h"
#include "store/db/db.h"

#define PROGRAM "postseal-milter"
/* A field travels in one packet with its name. One above the limit must still arrive, so that it
 * is refused by name; the library would only drop the connection. */
#define PACKET_MAX_BYTES (HEADERS_BLOCK_MAX_BYTES + 4096)
#define DRAIN_STEP_MS 20
#define AUDIT_FLUSH_MS 5000

struct program {
	const char *config; /* NULL: the default file */
	gboolean foreground;
	struct gateway *gateway;
	struct outbound *outbound;
	struct report *report;
	struct audit_writer *audit;
	struct harvest *harvest;
	struct learning *learning;
	struct failures *failures;
	struct status *status;
	struct process process;
	struct spool_area *area; /* read atomically: a reload puts another one here */
	GPtrArray *areas;        /* all of them; they stay, threads may be about to use one */
	struct session_handler handler;
	struct milter_options options;
};

/* Written by the signal handlers and by the thread that serves. */
static int wake_pipe[2] = { -1, -1 };
enum wake { WAKE_RELOAD = 'r', WAKE_STOP = 's', WAKE_ENDED = 'e' };

/* ---- options and settings ------------------------------------------------------------------- */

static const char usage[] = "usage: " PROGRAM " [-c FILE] [-f]\n"
			    "  -c, --config FILE  read the settings from FILE (" SETTINGS_FILE ")\n"
			    "  -f, --foreground   log to standard error, whatever log_target says\n"
			    "      --help         show this text and exit\n"
			    "      --version      show the version and exit\n";

/* FALSE: the program ends with *status. */
static gboolean
read_options(int argc, char **argv, struct program *program, int *status)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
					       { "foreground", no_argument, NULL, 'f' },
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
	if (optind < argc) {
		fprintf(stderr, PROGRAM ": unexpected argument \"%s\"\n%s", argv[optind], usage);
		*status = 2;
		return FALSE;
	}
	return TRUE;
}

static gboolean
become_user(const struct settings *settings, GError **error)
{
	g_autofree char *folder = g_build_filename(settings->run_dir, "milter", NULL);
	const struct service_user user = { "milter_user", settings->milter_user, "run_dir",
					   folder };

	return service_become(&user, error);
}

/* ---- what the sessions are given ------------------------------------------------------------ */

static struct spool_area *
current_area(struct program *program)
{
	return g_atomic_pointer_get(&program->area);
}

static struct spool *
handler_spool(gpointer data, GError **error)
{
	(void)error;
	return spool_new(current_area(data));
}

static enum session_answer
handler_message(gpointer data, const struct session_message *message, struct mta *mta)
{
	struct program *program = data;

	return process_message(&program->process, current_area(program), message, mta);
}

static guint
handler_begins(gpointer data)
{
	return status_message_begins(((struct program *)data)->status);
}

static void
handler_ends(gpointer data, guint ticket)
{
	status_message_ends(((struct program *)data)->status, ticket);
}

static gboolean
use_new_area(struct program *program, const struct settings *settings, GError **error)
{
	const char *dir = settings->spool_dir;
	struct spool_area *area;

	if (*dir == '\0')
		dir = g_file_test("/dev/shm", G_FILE_TEST_IS_DIR) ? "/dev/shm" : settings->run_dir;
	area = spool_area_new(dir, (gsize)settings->spool_memory_max, (guint64)settings->spool_max,
			      error);
	if (area == NULL)
		return FALSE;
	g_ptr_array_add(program->areas, area);
	g_atomic_pointer_set(&program->area, area);
	return TRUE;
}

static void
write_harvest(struct harvest *harvest, struct status_writer *writer)
{
	struct harvest_stats stats;

	harvest_stats(harvest, &stats);
	status_write(writer, "harvest_taken_total", "certificates taken from signed mail", TRUE,
		     (gdouble)stats.taken);
	status_write(writer, "harvest_limited_total", "more than a sender may bring", TRUE,
		     (gdouble)stats.limited);
	status_write(writer, "harvest_dropped_total", "seen and not kept", TRUE,
		     (gdouble)stats.dropped);
}

static void
write_learning(struct learning *learning, struct status_writer *writer)
{
	struct learning_stats stats;

	learning_stats(learning, &stats);
	status_write(writer, "learning_written_total", "notes of messages that were kept", TRUE,
		     (gdouble)stats.written);
	status_write(writer, "learning_dropped_total", "notes of messages that were lost", TRUE,
		     (gdouble)stats.dropped);
}

static void
write_numbers(gpointer data, struct status_writer *writer)
{
	struct program *program = data;
	guint64 hits = 0, misses = 0;
	struct cache_stats cached;
	struct changelog_stats changes;
	struct db_stats database;

	status_write(writer, "connections", "open connections of the mail server", FALSE,
		     milter_connections());
	status_write(writer, "spool_bytes", "held in the spool now", FALSE,
		     (gdouble)spool_area_used(current_area(program)));
	outbound_stats(program->outbound, &hits, &misses);
	status_write(writer, "signer_hits_total", "signatures with a kept signer", TRUE,
		     (gdouble)hits);
	status_write(writer, "signer_misses_total", "signers made ready", TRUE, (gdouble)misses);
	if (program->gateway->trust != NULL) {
		trust_stats(program->gateway->trust, &cached);
		status_write(writer, "trust_hits_total", "verdicts from the cache", TRUE,
			     (gdouble)cached.hits);
		status_write(writer, "trust_misses_total", "verdicts that were worked out", TRUE,
			     (gdouble)cached.misses);
	}
	select_stats(program->gateway->select, &cached);
	status_write(writer, "selection_hits_total", "selections from the cache", TRUE,
		     (gdouble)cached.hits);
	status_write(writer, "selection_misses_total", "selections that were worked out", TRUE,
		     (gdouble)cached.misses);
	status_write(writer, "selection_entries", "selections in the cache", FALSE,
		     (gdouble)cached.entries);
	status_write(writer, "selection_bytes", "held by selections and their certificates", FALSE,
		     (gdouble)cached.bytes);
	db_stats(program->gateway->db, &database);
	status_write(writer, "database_connections", "open connections to the database", FALSE,
		     database.connections);
	status_write(writer, "database_queries_total", "queries", TRUE, (gdouble)database.queries);
	status_write(writer, "database_failures_total", "connections that failed", TRUE,
		     (gdouble)database.failures);
	if (program->audit != NULL) {
		status_write(writer, "audit_written_total", "message rows written", TRUE,
			     (gdouble)audit_writer_written(program->audit));
		status_write(writer, "audit_dropped_total", "message rows lost", TRUE,
			     (gdouble)audit_writer_dropped(program->audit));
	}
	if (program->harvest != NULL)
		write_harvest(program->harvest, writer);
	if (program->learning != NULL)
		write_learning(program->learning, writer);
	if (program->gateway->changelog != NULL) {
		changelog_stats(program->gateway->changelog, &changes);
		status_write(writer, "store_age_seconds", "since the store last answered", FALSE,
			     changes.age_seconds);
		status_write(writer, "change_number", "the last change of the store known here",
			     FALSE, (gdouble)changes.number);
		status_write(writer, "store_resets_total", "times that all caches were emptied",
			     TRUE, (gdouble)changes.resets);
	}
}

/* ---- signals -------------------------------------------------------------------------------- */

static void
wake(enum wake what)
{
	char byte = (char)what;
	int saved = errno;

	while (write(wake_pipe[1], &byte, 1) < 0 && errno == EINTR)
		;
	errno = saved;
}

static void
on_signal(int number)
{
	wake(number == SIGHUP ? WAKE_RELOAD : WAKE_STOP);
}

/*
 * libmilter waits for these signals in a thread of its own and takes a hang-up for a stop. The
 * kernel prefers the main thread for a signal to the process as long as it does not block it:
 * so it never does, not even in the handler.
 */
static gboolean
catch_signals(GError **error)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_NODEFER };

	if (pipe(wake_pipe) != 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "could not make a pipe: %s",
				  g_strerror(errno));
	sigemptyset(&action.sa_mask);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return TRUE;
}

/* Threads made from here on leave signals to the main thread. */
static void
block_signals(sigset_t *before)
{
	sigset_t all;

	sigemptyset(&all);
	sigaddset(&all, SIGHUP);
	sigaddset(&all, SIGTERM);
	sigaddset(&all, SIGINT);
	pthread_sigmask(SIG_BLOCK, &all, before);
}

/* ---- start ---------------------------------------------------------------------------------- */

/* Bodies come and go: giving their pages back to the system each time costs a quarter of it all. */
#define ALLOCATE_KEEP_BYTES (32 * 1024 * 1024)

static void
keep_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, ALLOCATE_KEEP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, 4 * ALLOCATE_KEEP_BYTES);
}

static void
serve_status(struct program *program, const struct settings *settings)
{
	g_autofree char *path = status_socket_path(settings->run_dir);
	g_autoptr(GError) error = NULL;

	status_add_source(program->status, write_numbers, program);
	/* Numbers are not worth a filter that does not start. */
	if (!status_serve(program->status, path, &error))
		log_warning("no status socket", "error", error->message);
}

static void
prepare_listening(struct program *program, const struct settings *settings)
{
	program->handler = (struct session_handler){
		.spool = handler_spool,
		.message = handler_message,
		.begins = handler_begins,
		.ends = handler_ends,
		.data = program,
	};
	program->options = (struct milter_options){
		.socket = settings->milter_socket,
		.socket_mode = 0660, /* who connects is believed every login and address */
		.socket_group = settings->milter_socket_group,
		.connections_max = (guint)settings->milter_sessions_max,
		.timeout_seconds = (guint)settings->milter_timeout,
		.packet_max_bytes = PACKET_MAX_BYTES,
		.handler = &program->handler,
	};
}

static gboolean
start_harvest(struct program *program, GError **error)
{
	const struct pending_judge judge = {
		.db = program->gateway->db,
		.clock = program->gateway->clock,
		.trust = program->gateway->trust,
		.preferences = program->gateway->preferences,
	};

	program->harvest = harvest_start(&judge, error);
	return program->harvest != NULL;
}

static gboolean
start(struct program *program, GError **error)
{
	struct settings *settings = settings_load(program->config, error);
	const struct settings *in_use;

	if (settings == NULL)
		return FALSE;
	service_start_log(PROGRAM, settings, program->foreground);
	if (!become_user(settings, error)) {
		settings_unref(settings);
		return FALSE;
	}
	program->gateway = gateway_open(settings, GATEWAY_MILTER, error);
	if (program->gateway == NULL)
		return FALSE;
	in_use = gateway_settings(program->gateway);
	program->areas = g_ptr_array_new();
	if (!use_new_area(program, in_use, error))
		return FALSE;
	program->status = status_new();
	program->audit = audit_writer_start(program->gateway->db, 0, error);
	if (program->audit == NULL)
		return FALSE;
	program->outbound = outbound_new();
	program->failures = failures_new();
	program->report = report_new(program->gateway, program->status, program->audit);
	if (!start_harvest(program, error))
		return FALSE;
	program->learning = learning_start(program->gateway, error);
	if (program->learning == NULL)
		return FALSE;
	program->process = (struct process){
		.gateway = program->gateway,
		.outbound = program->outbound,
		.report = program->report,
		.harvest = program->harvest,
		.split = split_new(program->gateway),
		.learning = program->learning,
		.failures = program->failures,
	};
	prepare_listening(program, in_use);
	if (!milter_listen(&program->options, error))
		return FALSE;
	serve_status(program, in_use);
	return TRUE;
}

static gpointer
run_milter(gpointer data)
{
	g_autoptr(GError) error = NULL;

	(void)data;
	if (!milter_run(&error))
		log_error("cannot go on", "error", error->message);
	wake(WAKE_ENDED);
	return NULL;
}

/* ---- reload and stop ------------------------------------------------------------------------ */

static void
reload(struct program *program)
{
	g_autoptr(GError) error = NULL;
	gboolean worked;

	notify_reloading();
	worked = service_reload(program->gateway, program->config, &error);
	if (worked) {
		const struct settings *in_use = gateway_settings(program->gateway);

		worked = use_new_area(program, in_use, &error);
		__atomic_store_n(&program->options.connections_max,
				 (guint)in_use->milter_sessions_max, __ATOMIC_RELAXED);
	}
	status_reloaded(program->status, worked);
	if (worked)
		log_info("settings read again");
	else
		log_error("settings not read again, the old ones stay", "error", error->message);
	notify_ready("serving");
}

/* Messages that begin after the stop are not waited for: the server will try them again. */
static void
drain(struct program *program)
{
	guint ticket = status_begin_epoch(program->status);
	gint64 wait_ms = gateway_settings(program->gateway)->stop_timeout * 1000;
	char left[16];

	while (status_in_flight(program->status, ticket) > 0 && wait_ms > 0) {
		poll(NULL, 0, DRAIN_STEP_MS);
		wait_ms -= DRAIN_STEP_MS;
	}
	g_snprintf(left, sizeof left, "%u", status_in_flight(program->status, ticket));
	log_info("stopped", "unfinished", left);
}

/* libmilter's own stop would wait for its poll of five seconds: ending the process does the same.
 */
static void
stop(struct program *program)
{
	notify_stopping();
	log_info("stopping");
	milter_close_door();
	drain(program);
	(void)audit_writer_flush(program->audit, AUDIT_FLUSH_MS);
	(void)harvest_flush(program->harvest, AUDIT_FLUSH_MS);
	(void)learning_flush(program->learning, AUDIT_FLUSH_MS);
	status_free(program->status);
}

/* The exit status. */
static int
wait_for_signals(struct program *program)
{
	for (;;) {
		char byte;
		gssize got = read(wake_pipe[0], &byte, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got != 1)
			return EXIT_FAILURE;
		switch ((enum wake)byte) {
		case WAKE_RELOAD:
			reload(program);
			break;
		case WAKE_STOP:
			stop(program);
			return EXIT_SUCCESS;
		case WAKE_ENDED:
			return EXIT_FAILURE;
		}
	}
}

int
main(int argc, char **argv)
{
	static struct program program;
	g_autoptr(GError) error = NULL;
	sigset_t before;
	int status;

	if (!read_options(argc, argv, &program, &status))
		return status;
	keep_memory();
	if (!catch_signals(&error)) {
		log_error(error->message);
		return EXIT_FAILURE;
	}
	block_signals(&before);
	if (!start(&program, &error)) {
		fprintf(stderr, PROGRAM ": %s\n", error->message);
		return error_exit_status(error);
	}
	g_thread_unref(g_thread_new("milter", run_milter, NULL));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	log_info("started", "version", PACKAGE_VERSION, "socket", program.options.socket);
	notify_ready("serving");
	status = wait_for_signals(&program);
	/* Other threads may be in the middle of something: leave without destructors. */
	fflush(NULL);
	_exit(status);
}
