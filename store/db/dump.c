/*
 * dump - pg_dump and pg_restore as children, their streams as sink and source.
 *
 * A restore goes into a fresh schema while the old one waits under another name: it comes back
 * when the restore fails, and a schema that was newer than the backup is no obstacle. It runs
 * as the owner of the tables, never as a superuser, for a backup is SQL by whoever wrote it.
 */
#include "store/db/dump.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/embedded.h"
#include "store/db/embedded_internal.h"
#include "store/db/internal.h"

#define CHUNK_BYTES (64 * 1024)
#define EXTENSION_SCHEMA "postseal_search" /* see 0014_search.sql */

struct child {
	GPid pid;
	int fd;       /* our end of its standard input or output */
	int error_fd; /* memory file with what it said */
	const char *name;
};

/* The connection string for the argument; what is secret in it goes to the environment. */
static char *
split_password(const char *conninfo, char **password)
{
	g_autoptr(GString) open = g_string_new(NULL);
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);

	*password = NULL;
	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
		if (o->val == NULL)
			continue;
		if (strcmp(o->keyword, "password") == 0)
			*password = g_strdup(o->val);
		else
			conninfo_append(open, o->keyword, o->val);
	}
	PQconninfoFree(options);
	return g_strdup(open->str);
}

static gboolean
child_start(struct child *child, const char *const *argv, char **environment, gboolean reads,
	    GError **error)
{
	g_autoptr(GError) local = NULL;
	int pair[2];
	int null_fd = -1;

	child->error_fd = memfd_create("errors", MFD_CLOEXEC);
	/* A socket, since a write to it can fail without a signal. */
	if (child->error_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "could not run %s: %s", child->name,
				  g_strerror(errno));
	child->fd = pair[0];
	gboolean good = g_spawn_async_with_pipes_and_fds(
	    "/", argv, (const char *const *)environment,
	    G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL * (reads ? 1 : 0), NULL, NULL,
	    reads ? pair[1] : null_fd, reads ? null_fd : pair[1], child->error_fd, NULL, NULL, 0,
	    &child->pid, NULL, NULL, NULL, &local);
	close(pair[1]);
	if (good)
		return TRUE;
	close(child->fd);
	close(child->error_fd);
	return fail_false(error, PS_ERROR_TEMPORARY, "could not run %s: %s", argv[0],
			  local->message);
}

/* Its own complaint is worth more than what we saw of it: *error is replaced then. */
static gboolean
child_end(struct child *child, gboolean good, GError **error)
{
	g_autoptr(GError) said = NULL;

	close(child->fd);
	if (!good)
		kill(child->pid, SIGTERM);
	gboolean ended = program_await(child->pid, child->error_fd, child->name, &said);
	close(child->error_fd);
	if (good && !ended)
		g_propagate_error(error, g_steal_pointer(&said));
	return good && ended;
}

static gboolean
copy_out(struct child *child, struct sink *sink, GError **error)
{
	g_autofree char *buffer = g_malloc(CHUNK_BYTES);

	for (;;) {
		ssize_t got = read(child->fd, buffer, CHUNK_BYTES);
		if (got == 0)
			return TRUE;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_false(error, PS_ERROR_TEMPORARY, "%s: read: %s", child->name,
					  g_strerror(errno));
		if (!sink_write(sink, buffer, (gsize)got, error))
			return FALSE;
	}
}

/* TRUE with *closed when the child no longer listens: it will say why. */
static gboolean
send_all(struct child *child, const char *bytes, gsize length, gboolean *closed, GError **error)
{
	while (length > 0) {
		ssize_t sent = send(child->fd, bytes, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			*closed = TRUE;
			return TRUE;
		}
		if (sent < 0)
			return fail_false(error, PS_ERROR_TEMPORARY, "%s: send: %s", child->name,
					  g_strerror(errno));
		bytes += sent;
		length -= (gsize)sent;
	}
	return TRUE;
}

static gboolean
copy_in(struct child *child, struct source *source, GError **error)
{
	const guint8 *bytes;
	gboolean closed = FALSE;
	gsize got = 0;

	while (!closed) {
		if (!source_next(source, &bytes, &got, error))
			return FALSE;
		if (got == 0)
			break;
		if (!send_all(child, (const char *)bytes, got, &closed, error))
			return FALSE;
	}
	shutdown(child->fd, SHUT_WR);
	return TRUE;
}

struct tool {
	char *program;
	char *conninfo;
	char **environment;
};

static void
tool_clear(struct tool *tool)
{
	g_free(tool->program);
	g_free(tool->conninfo);
	g_strfreev(tool->environment);
}

/* As our own libpq would connect: the same environment, the same string. */
static gboolean
tool_find(const struct settings *settings, const char *name, struct tool *tool, GError **error)
{
	g_autofree char *bin_dir = embedded_bin_dir(settings, 0, error);
	g_autofree char *password = NULL;
	g_autofree char *conninfo = NULL;

	if (bin_dir == NULL)
		return FALSE;
	conninfo = conninfo_for(settings, DB_ROLE_DAEMON, settings->database, error);
	if (conninfo == NULL)
		return FALSE;
	tool->program = g_build_filename(bin_dir, name, NULL);
	tool->conninfo = split_password(conninfo, &password);
	tool->environment = g_environ_setenv(g_get_environ(), "LC_ALL", "C", TRUE);
	if (password != NULL)
		tool->environment =
		    g_environ_setenv(tool->environment, "PGPASSWORD", password, TRUE);
	return TRUE;
}

gboolean
dump_write(const struct settings *settings, struct sink *sink, GError **error)
{
	struct tool tool = { NULL, NULL, NULL };
	struct child child = { .name = "pg_dump" };
	gboolean good = FALSE;

	if (tool_find(settings, "pg_dump", &tool, error)) {
		const char *argv[] = {
			tool.program,
			"--format=custom",
			"--no-password",
			"--schema=public",
			/* Keys that a request takes after the backup must not come back. */
			"--exclude-table-data=public.ready_key",
			"--dbname",
			tool.conninfo,
			NULL,
		};
		if (child_start(&child, argv, tool.environment, FALSE, error))
			good = child_end(&child, copy_out(&child, sink, error), error);
	}
	tool_clear(&tool);
	return good;
}

static gboolean
run_restore(const struct tool *tool, struct source *source, GError **error)
{
	const char *argv[] = {
		tool->program,   "--exit-on-error", "--single-transaction", "--no-owner",
		"--no-password", "--dbname",        tool->conninfo,         NULL,
	};
	struct child child = { .name = "pg_restore" };

	return child_start(&child, argv, tool->environment, TRUE, error) &&
	       child_end(&child, copy_in(&child, source, error), error);
}

/* A restore that was interrupted left the old schema aside: it is put back first. */
static const char aside_sql[] = "BEGIN; SET LOCAL statement_timeout = 0;\n"
				"DO $$ BEGIN\n"
				"  IF to_regnamespace('public_before') IS NOT NULL THEN\n"
				"    DROP SCHEMA IF EXISTS public CASCADE;\n"
				"    ALTER SCHEMA public_before RENAME TO public;\n"
				"  END IF;\n"
				"END $$;\n"
				"ALTER SCHEMA public RENAME TO public_before;\n"
				"COMMIT";
/* What the indexes of searches need stands outside of what is restored. Where it cannot be had,
 * the restore says what is missing. */
static const char extension_sql[] =
    "DO $$ BEGIN\n"
    "  SET LOCAL client_min_messages = warning;\n"
    "  CREATE SCHEMA IF NOT EXISTS " EXTENSION_SCHEMA ";\n"
    "  CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA " EXTENSION_SCHEMA ";\n"
    "EXCEPTION WHEN insufficient_privilege OR undefined_file OR undefined_object\n"
    "  OR feature_not_supported THEN NULL;\n"
    "END $$";
static const char back_sql[] = "BEGIN; SET LOCAL statement_timeout = 0;\n"
			       "DROP SCHEMA IF EXISTS public CASCADE;\n"
			       "ALTER SCHEMA public_before RENAME TO public;\n"
			       "COMMIT";
/* A backup holds the privileges that differ from those of a new database: PUBLIC has USAGE. */
static const char done_sql[] = "SET statement_timeout = 0;\n"
			       "GRANT USAGE ON SCHEMA public TO PUBLIC;\n"
			       "DROP SCHEMA public_before CASCADE";

static gboolean
run_sql(const struct settings *settings, const char *sql, GError **error)
{
	g_autofree char *conninfo =
	    conninfo_for(settings, DB_ROLE_DAEMON, settings->database, error);
	struct connection *connection;
	gboolean good;

	if (conninfo == NULL)
		return FALSE;
	connection = connection_open(conninfo, settings, error);
	if (connection == NULL)
		return FALSE;
	connection->timeout_us = 0;
	good = connection_run(connection, "restore", sql, error);
	connection_close(connection);
	return good;
}

/* What a person can do about it: the indexes of searches want the extension. Takes the problem. */
static void
explain_failure(GError **problem, GError **error)
{
	if (strstr((*problem)->message, EXTENSION_SCHEMA) == NULL &&
	    strstr((*problem)->message, "gin_trgm_ops") == NULL) {
		g_propagate_error(error, g_steal_pointer(problem));
		return;
	}
	fail(
	    error, PS_ERROR_INVALID,
	    "the PostgreSQL that is restored into lacks the extension pg_trgm: install its contrib "
	    "modules, then again");
}

gboolean
dump_restore(const struct settings *settings, struct source *source, GError **error)
{
	struct tool tool = { NULL, NULL, NULL };
	g_autoptr(GError) undo = NULL;
	g_autoptr(GError) problem = NULL;
	gboolean good = FALSE;

	if (tool_find(settings, "pg_restore", &tool, error) &&
	    run_sql(settings, extension_sql, error) && run_sql(settings, aside_sql, error)) {
		good = run_restore(&tool, source, &problem);
		if (!good)
			explain_failure(&problem, error);
		if (!good && !run_sql(settings, back_sql, &undo))
			log_error("the data of before the restore is in the schema public_before",
				  "reason", undo->message);
		if (good)
			good = run_sql(settings, done_sql, error);
	}
	tool_clear(&tool);
	return good;
}
