/*
 * postseal - the command line: a thin client of the daemon, without database or master key.
 */
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/api/arguments.h"
#include "admin/api/json_memory.h"
#include "admin/cli/cert_names.h"
#include "admin/cli/client.h"
#include "admin/cli/command_line.h"
#include "admin/cli/completion.h"
#include "admin/cli/file_commands.h"
#include "admin/cli/help.h"
#include "admin/cli/output.h"
#include "admin/cli/run.h"
#include "config.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/config/settings.h"

static void
complain(const struct operation *operation, const char *text)
{
	g_autofree char *name = operation != NULL ? operation_name(operation) : NULL;
	g_autofree char *safe = printable_bytes(text, strlen(text), 4096);

	if (name != NULL)
		fprintf(stderr, "postseal: %s: %s\n", name, safe);
	else
		fprintf(stderr, "postseal: %s\n", safe);
}

static int
show_help(const struct command_line *line)
{
	g_autofree char *text = NULL;

	if (line->version)
		text = g_strdup("postseal " PACKAGE_VERSION "\n");
	else if (line->operation != NULL)
		text = help_operation(line->operation);
	else if (line->noun != NULL)
		text = help_noun(line->noun);
	else
		text = help_overview();
	return fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? CLIENT_EXIT_DONE
							       : CLIENT_EXIT_FAILED;
}

/* Where the daemon listens: --socket, else the settings, else the default. */
static char *
socket_path(const struct command_line *line, GError **error)
{
	g_autoptr(GError) problem = NULL;
	CLEANUP(settings) struct settings *settings = NULL;

	if (line->socket_path != NULL)
		return g_strdup(line->socket_path);
	settings = settings_load(line->config_path, &problem);
	if (settings == NULL && line->config_path != NULL) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return NULL;
	}
	/* The default file may be missing or not for our eyes: then the default counts. */
	if (settings == NULL)
		settings = settings_default();
	return g_strdup(settings->api_socket);
}

static int
run_remote(struct command_line *line)
{
	g_autoptr(GError) problem = NULL;
	g_autofree char *path = NULL;
	struct client_answer answer = { 0 };

	if (!cert_names_resolve(line, &problem)) {
		complain(line->operation, problem->message);
		return error_exit_status(problem);
	}
	if (!client_is_local(line->operation)) {
		path = socket_path(line, &problem);
		if (path == NULL) {
			complain(line->operation, problem->message);
			return CLIENT_EXIT_FAILED;
		}
	}
	CLEANUP(client) struct client *client = client_new(path, line->config_path);
	if (run_wants_all(line))
		run_all(client, line, &answer);
	else
		run_call(client, line, &answer);
	if (answer.problem != NULL)
		complain(line->operation, answer.problem);
	else if (answer.exit_status == CLIENT_EXIT_NOT_FOUND && line->format == OUTPUT_TABLE)
		complain(line->operation, "nothing in the record fits");
	else if (!run_wants_all(line) && !run_print(line, answer.document, &problem)) {
		complain(line->operation, problem->message);
		answer.exit_status = CLIENT_EXIT_FAILED;
	}
	int exit_status = (int)answer.exit_status;
	client_answer_clear(&answer);
	return exit_status;
}

static int
run_file_command(const struct command_line *line)
{
	g_autoptr(GError) problem = NULL;
	int exit_status = CLIENT_EXIT_DONE;
	json_t *answer = file_command_run(line, &exit_status, &problem);

	if (answer == NULL) {
		complain(line->operation, problem->message);
		return error_exit_status(problem);
	}
	if (!run_print(line, answer, &problem)) {
		complain(line->operation, problem->message);
		exit_status = CLIENT_EXIT_FAILED;
	}
	json_decref(answer);
	return exit_status;
}

int
main(int argc, char **argv)
{
	g_autoptr(GError) problem = NULL;

	setlocale(LC_CTYPE, "");
	json_memory_start();
	/* For the scripts of the shells, not for people: no row of the table. */
	if (argc > 1 && strcmp(argv[1], "complete") == 0)
		return completion_run((const char *const *)argv + 2);
	CLEANUP(command_line)
	struct command_line *line =
	    command_line_parse((const char *const *)argv + (argc > 0 ? 1 : 0), &problem);
	if (line == NULL) {
		complain(NULL, problem->message);
		return CLIENT_EXIT_USAGE;
	}
	if (line->help || line->version)
		return show_help(line);
	if (file_command_is(line))
		return run_file_command(line);
	return run_remote(line);
}
