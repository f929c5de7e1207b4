/*
 * connection - one libpq connection: opened, watched, asked, and never waited for without end.
 */
#include "store/db/internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/db/embedded.h"

/* The server cancels by statement_timeout; this much later we hang up by ourselves. */
#define TIMEOUT_SLACK_US (2 * G_USEC_PER_SEC)

char *
pg_message(const char *text)
{
	static const char *const prefixes[] = { "FATAL:", "ERROR:", "PANIC:" };
	g_autofree char *copy = g_strdup(text != NULL ? text : "");
	char *line = g_strstrip(copy);
	char *end = strchr(line, '\n');

	if (end != NULL)
		*end = '\0';
	for (gsize i = 0; i < G_N_ELEMENTS(prefixes); i++) {
		char *found = strstr(line, prefixes[i]);
		if (found != NULL) {
			char *rest = found + strlen(prefixes[i]);
			while (*rest == ' ')
				rest++;
			memmove(found, rest, strlen(rest) + 1);
		}
	}
	return printable(*line != '\0' ? g_strchomp(line) : "no reason given");
}

static const char *
role_user(enum db_role role)
{
	switch (role) {
	case DB_ROLE_DAEMON:
	case DB_ROLE_ADMIN:
		return "postseal_daemon";
	case DB_ROLE_MILTER:
		return "postseal_milter";
	case DB_ROLE_READONLY:
		break;
	}
	return "postseal_readonly";
}

void
conninfo_append(GString *conninfo, const char *keyword, const char *value)
{
	g_string_append_printf(conninfo, "%s%s='", conninfo->len > 0 ? " " : "", keyword);
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\'' || *p == '\\')
			g_string_append_c(conninfo, '\\');
		g_string_append_c(conninfo, *p);
	}
	g_string_append_c(conninfo, '\'');
}

char *
conninfo_for(const struct settings *settings, enum db_role role, const char *text, GError **error)
{
	g_autofree char *source =
	    strcmp(text, "embedded") == 0 ? embedded_conninfo(settings, role) : g_strdup(text);
	g_autofree char *timeout =
	    g_strdup_printf("%" G_GINT64_FORMAT, settings->database_connect_timeout);
	const char *const defaults[][2] = {
		{ "user", role_user(role) },
		{ "dbname", EMBEDDED_DATABASE },
		{ "application_name", role_user(role) },
		{ "connect_timeout", timeout },
		{ "keepalives_idle", "30" },
		{ "keepalives_interval", "10" },
		{ "tcp_user_timeout", "30000" },
	};
	g_autoptr(GString) conninfo = g_string_new(NULL);
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(source, &message);

	if (options == NULL) {
		g_autofree char *reason = pg_message(message);
		PQfreemem(message);
		return fail(error, PS_ERROR_INVALID,
			    "setting database: connection string cannot be read: %s", reason);
	}
	for (PQconninfoOption *option = options; option->keyword != NULL; option++) {
		const char *value = option->val;
		for (gsize i = 0; value == NULL && i < G_N_ELEMENTS(defaults); i++)
			if (strcmp(defaults[i][0], option->keyword) == 0)
				value = defaults[i][1];
		if (strcmp(option->keyword, "client_encoding") == 0)
			value = "UTF8";
		if (value != NULL)
			conninfo_append(conninfo, option->keyword, value);
	}
	PQconninfoFree(options);
	return g_strdup(conninfo->str);
}

void
connection_close(struct connection *connection)
{
	if (connection == NULL)
		return;
	PQfinish(connection->pg);
	g_clear_pointer(&connection->prepared, g_hash_table_unref);
	g_free(connection->server);
	g_free(connection);
}

/* Notices such as "relation exists, skipping" are not for our standard error. */
static void
drop_notice(void *data, const PGresult *result)
{
	(void)data;
	(void)result;
}

/* What a filter asks are look-ups by keys, of which one plan is as good as another: making one for
 * each costs the server more than the look-up. Lists and searches (of the daemon) are another
 * matter. */
static gboolean
is_filter(const struct connection *connection)
{
	const char *user = PQuser(connection->pg);

	return g_strcmp0(user, role_user(DB_ROLE_MILTER)) == 0 ||
	       g_strcmp0(user, role_user(DB_ROLE_READONLY)) == 0;
}

/* A pooler may forget it, then only our own limit holds. */
static gboolean
set_limits(struct connection *connection, const struct settings *settings, GError **error)
{
	g_autofree char *sql = g_strdup_printf(
	    "SET statement_timeout = %" G_GINT64_FORMAT "%s",
	    settings->database_query_timeout * 1000,
	    is_filter(connection) ? "; SET plan_cache_mode = force_generic_plan" : "");

	if (!settings->prepared_statements)
		return TRUE;
	return connection_run(connection, "connection limits", sql, error);
}

struct connection *
connection_open(const char *conninfo, const struct settings *settings, GError **error)
{
	struct connection *connection = g_new0(struct connection, 1);

	connection->pg = PQconnectdb(conninfo);
	if (PQstatus(connection->pg) != CONNECTION_OK) {
		g_autofree char *reason = pg_message(PQerrorMessage(connection->pg));
		connection_close(connection);
		return fail(error, PS_ERROR_TEMPORARY, "database is not reachable: %s%s", reason,
			    embedded_wanted(settings)
				? "; is the embedded cluster running? ask 'postseal doctor'"
				: "");
	}
	PQsetNoticeReceiver(connection->pg, drop_notice, NULL);
	connection->server =
	    g_strdup_printf("%s:%s", PQhost(connection->pg), PQport(connection->pg));
	connection->timeout_us = settings->database_query_timeout * G_USEC_PER_SEC;
	if (settings->prepared_statements)
		connection->prepared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (!set_limits(connection, settings, error)) {
		connection_close(connection);
		return NULL;
	}
	return connection;
}

gboolean
connection_lost(const struct connection *connection)
{
	/* 57P01 and so on: the server has said goodbye, whether libpq has seen the end or not. */
	return PQstatus(connection->pg) != CONNECTION_OK ||
	       strncmp(connection->sqlstate, "57P0", 4) == 0;
}

gboolean
connection_alive(struct connection *connection)
{
	struct pollfd watched = { .fd = PQsocket(connection->pg), .events = POLLIN };

	if (connection->stale_plans || connection_lost(connection) || watched.fd < 0 ||
	    PQtransactionStatus(connection->pg) != PQTRANS_IDLE)
		return FALSE;
	/* An idle connection has nothing to read but a farewell, or a parameter that changed. */
	return poll(&watched, 1, 0) <= 0;
}

/* FALSE: the time is over or the connection is lost. */
static gboolean
wait_socket(PGconn *pg, short events, gint64 deadline_us)
{
	for (;;) {
		struct pollfd watched = { .fd = PQsocket(pg), .events = events };
		gint64 left_us = deadline_us - clock_monotonic_us();
		int timeout_ms = -1;

		if (deadline_us != G_MAXINT64) {
			if (left_us <= 0)
				return FALSE;
			timeout_ms = (int)MIN(left_us / 1000 + 1, G_MAXINT32);
		}
		int ready = watched.fd < 0 ? -1 : poll(&watched, 1, timeout_ms);
		if (ready > 0)
			return TRUE;
		if (ready < 0 && (watched.fd < 0 || errno != EINTR))
			return FALSE;
	}
}

static gboolean
flush_out(PGconn *pg, gint64 deadline_us)
{
	int left;

	while ((left = PQflush(pg)) == 1) {
		if (!wait_socket(pg, POLLIN | POLLOUT, deadline_us) || PQconsumeInput(pg) == 0)
			return FALSE;
	}
	return left == 0;
}

/*
 * The last result of what was sent; NULL when the time is over or the server is gone. The
 * connection is then of no further use: its socket is shut down, so that all agree on that.
 */
static PGresult *
await_result(struct connection *connection, gint64 deadline_us)
{
	PGconn *pg = connection->pg;
	PGresult *last = NULL;
	PGresult *result = NULL;

	if (!flush_out(pg, deadline_us))
		goto broken;
	for (;;) {
		while (PQisBusy(pg))
			if (!wait_socket(pg, POLLIN, deadline_us) || PQconsumeInput(pg) == 0)
				goto broken;
		result = PQgetResult(pg);
		if (result == NULL)
			return last;
		/* Of several statements the first that failed is the one to tell about. */
		if (last != NULL && PQresultStatus(last) == PGRES_FATAL_ERROR) {
			PQclear(result);
			continue;
		}
		PQclear(last);
		last = result;
		if (PQresultStatus(last) == PGRES_COPY_IN || PQresultStatus(last) == PGRES_COPY_OUT)
			goto broken;
	}
broken:
	connection->stale_plans = TRUE;
	if (last != NULL && PQresultStatus(last) == PGRES_FATAL_ERROR)
		return last;
	PQclear(last);
	return NULL;
}

static gint64
deadline_of(const struct connection *connection)
{
	if (connection->timeout_us == 0)
		return G_MAXINT64;
	return clock_monotonic_us() + connection->timeout_us + TIMEOUT_SLACK_US;
}

static enum ps_error
code_of_state(const char *state)
{
	static const struct {
		const char *prefix;
		enum ps_error code;
	} codes[] = {
		{ "P0002", PS_ERROR_NOT_FOUND }, /* no_data_found, of a RAISE */
		{ "P0001", PS_ERROR_INVALID },   /* RAISE */
		{ "42501", PS_ERROR_DENIED },    /* insufficient_privilege */
		{ "25006", PS_ERROR_TEMPORARY }, /* read_only_sql_transaction: a standby */
		{ "55P03", PS_ERROR_TEMPORARY }, /* lock_not_available */
		{ "0A000", PS_ERROR_TEMPORARY }, /* a plan of before a migration */
		{ "42P01",
		  PS_ERROR_TEMPORARY }, /* no such table: a restore or migration is under way */
		{ "26000", PS_ERROR_TEMPORARY }, /* a prepared statement that is gone */
		{ "08P01", PS_ERROR_BUG },       /* values that are no such type, in COPY */
		{ "08", PS_ERROR_TEMPORARY },    /* connection */
		{ "22", PS_ERROR_INVALID },      /* data */
		{ "23", PS_ERROR_INVALID },      /* constraints */
		{ "40", PS_ERROR_TEMPORARY },    /* deadlock, serialisation */
		{ "53", PS_ERROR_TEMPORARY },    /* disk, memory, connections */
		{ "57", PS_ERROR_TEMPORARY },    /* shutdown, cancelled */
		{ "58", PS_ERROR_TEMPORARY },    /* I/O */
		{ "28", PS_ERROR_DENIED },       /* login */
	};

	for (gsize i = 0; i < G_N_ELEMENTS(codes); i++)
		if (g_str_has_prefix(state, codes[i].prefix))
			return codes[i].code;
	return PS_ERROR_BUG;
}

static const char *
remedy_of_state(const char *state)
{
	if (strcmp(state, "26000") == 0 || strcmp(state, "42P05") == 0)
		return "; behind a pooler set prepared_statements = off";
	if (strcmp(state, "42P01") == 0 || strcmp(state, "42703") == 0 ||
	    strcmp(state, "42883") == 0)
		return "; does the schema fit? run 'postseal db migrate'";
	return "";
}

void *
fail_result(GError **error, struct connection *connection, const char *what, const PGresult *result)
{
	const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

	connection->sqlstate[0] = '\0';
	if (state == NULL) {
		gboolean lost = connection_lost(connection);
		g_autofree char *reason = pg_message(PQerrorMessage(connection->pg));

		connection->stale_plans = TRUE;
		if (!lost)
			return fail(error, PS_ERROR_TEMPORARY,
				    "%s: the database did not answer in time", what);
		return fail(error, PS_ERROR_TEMPORARY, "%s: the database went away: %s", what,
			    reason);
	}
	g_strlcpy(connection->sqlstate, state, sizeof(connection->sqlstate));
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	g_autofree char *message = printable(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	g_autofree char *more =
	    detail != NULL && g_str_has_prefix(state, "23") ? printable(detail) : NULL;
	return fail(error, code_of_state(state), "%s: %s%s%s%s%s", what, message,
		    more != NULL ? " (" : "", more != NULL ? more : "", more != NULL ? ")" : "",
		    remedy_of_state(state));
}

gboolean
connection_may_retry(const struct connection *connection)
{
	static const char *const states[] = { "40001", "40P01", "0A000", "26000", NULL };

	return g_strv_contains(states, connection->sqlstate);
}

gboolean
connection_run(struct connection *connection, const char *what, const char *sql, GError **error)
{
	PGresult *result = NULL;
	gboolean good;

	connection->sqlstate[0] = '\0';
	if (PQsendQuery(connection->pg, sql) == 1)
		result = await_result(connection, deadline_of(connection));
	good = PQresultStatus(result) == PGRES_COMMAND_OK ||
	       PQresultStatus(result) == PGRES_TUPLES_OK ||
	       PQresultStatus(result) == PGRES_EMPTY_QUERY;
	if (!good)
		fail_result(error, connection, what, result);
	PQclear(result);
	return good;
}

gboolean
connection_ping(struct connection *connection, gint64 timeout_us)
{
	gint64 usual_us = connection->timeout_us;
	gboolean good;

	connection->timeout_us = timeout_us;
	good = connection_run(connection, "ping", "", NULL);
	connection->timeout_us = usual_us;
	return good;
}

static gboolean
prepare(struct connection *connection, const struct statement *statement,
	const struct params_view *view, gint64 deadline_us, GError **error)
{
	const char *known = g_hash_table_lookup(connection->prepared, statement->name);
	PGresult *result = NULL;
	gboolean good;

	if (known != NULL && (known == statement->sql || strcmp(known, statement->sql) == 0))
		return TRUE;
	if (known != NULL)
		return fail_false(error, PS_ERROR_BUG, "%s: two statements have this name",
				  statement->name);
	if (PQsendPrepare(connection->pg, statement->name, statement->sql, view->count,
			  view->types) == 1)
		result = await_result(connection, deadline_us);
	good = PQresultStatus(result) == PGRES_COMMAND_OK;
	if (good)
		g_hash_table_insert(connection->prepared, g_strdup(statement->name),
				    (gpointer)statement->sql);
	else
		fail_result(error, connection, statement->name, result);
	PQclear(result);
	return good;
}

static struct rows *
query_once(struct connection *connection, const struct statement *statement,
	   const struct params_view *view, GError **error)
{
	gint64 deadline_us = deadline_of(connection);
	PGresult *result = NULL;
	int sent;

	connection->sqlstate[0] = '\0';
	if (connection->prepared != NULL && !view->plan_anew) {
		if (!prepare(connection, statement, view, deadline_us, error))
			return NULL;
		sent = PQsendQueryPrepared(connection->pg, statement->name, view->count,
					   view->values, view->lengths, view->formats, 1);
	} else {
		sent = PQsendQueryParams(connection->pg, statement->sql, view->count, view->types,
					 view->values, view->lengths, view->formats, 1);
	}
	if (sent == 1)
		result = await_result(connection, deadline_us);
	if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
		return rows_new(result, statement->name);
	fail_result(error, connection, statement->name, result);
	PQclear(result);
	return NULL;
}

/* After a migration a plan can be out of date (0A000): then once more with a new one. */
static gboolean
forget_plans(struct connection *connection)
{
	gboolean stale = strcmp(connection->sqlstate, "0A000") == 0 ||
			 strcmp(connection->sqlstate, "26000") == 0;

	if (!stale || connection->prepared == NULL)
		return FALSE;
	g_hash_table_remove_all(connection->prepared);
	connection->stale_plans = TRUE; /* in a transaction: the next attempt has a new one */
	if (PQtransactionStatus(connection->pg) != PQTRANS_IDLE)
		return FALSE;
	connection->stale_plans =
	    !connection_run(connection, "forget plans", "DEALLOCATE ALL", NULL);
	return !connection->stale_plans;
}

struct rows *
connection_query(struct connection *connection, const struct statement *statement,
		 const struct params *params, GError **error)
{
	g_autoptr(GError) local = NULL;
	struct params_view view;
	struct rows *rows;

	params_view(params, &view);
	rows = query_once(connection, statement, &view, &local);
	if (rows == NULL && forget_plans(connection)) {
		g_clear_error(&local);
		rows = query_once(connection, statement, &view, &local);
	}
	if (rows == NULL)
		g_propagate_error(error, g_steal_pointer(&local));
	return rows;
}

gboolean
connection_copy_begin(struct connection *connection, const char *sql, GError **error)
{
	PGconn *pg = connection->pg;
	gint64 deadline_us = deadline_of(connection);
	PGresult *result = NULL;

	connection->sqlstate[0] = '\0';
	/* Not blocking: a server that takes nothing would hold us for ever. */
	if (PQsendQuery(pg, sql) == 1 && PQsetnonblocking(pg, 1) == 0) {
		while (PQisBusy(pg))
			if (!wait_socket(pg, POLLIN, deadline_us) || PQconsumeInput(pg) == 0)
				break;
		if (!PQisBusy(pg))
			result = PQgetResult(pg);
	}
	gboolean good = PQresultStatus(result) == PGRES_COPY_IN;
	if (!good) {
		fail_result(error, connection, "COPY", result);
		if (result == NULL)
			connection->stale_plans = TRUE;
		PQclear(result);
		(void)PQsetnonblocking(pg, 0);
		while (!connection->stale_plans && (result = PQgetResult(pg)) != NULL)
			PQclear(result);
		return FALSE;
	}
	PQclear(result);
	return TRUE;
}

/* The result of a COPY that has ended on this side; the connection is blocking again. */
static gboolean
finish_copy(struct connection *connection, GError **error)
{
	PGresult *result = await_result(connection, deadline_of(connection));
	gboolean good = PQresultStatus(result) == PGRES_COMMAND_OK;

	if (!good)
		fail_result(error, connection, "COPY", result);
	PQclear(result);
	(void)PQsetnonblocking(connection->pg, 0);
	return good;
}

gboolean
connection_copy_put(struct connection *connection, const char *bytes, gsize length, GError **error)
{
	PGconn *pg = connection->pg;
	gint64 deadline_us = deadline_of(connection);
	int sent;

	while ((sent = PQputCopyData(pg, bytes, (int)length)) == 0)
		if (!wait_socket(pg, POLLIN | POLLOUT, deadline_us) || PQconsumeInput(pg) == 0)
			break;
	/* What the server has to complain of comes at the end: libpq reads no error before. */
	if (sent == 1 && flush_out(pg, deadline_us))
		return TRUE;
	connection->stale_plans = TRUE;
	fail_result(error, connection, "COPY", NULL);
	return FALSE;
}

gboolean
connection_copy_end(struct connection *connection, const char *give_up, GError **error)
{
	PGconn *pg = connection->pg;
	gint64 deadline_us = deadline_of(connection);
	int sent;

	while ((sent = PQputCopyEnd(pg, give_up)) == 0)
		if (!wait_socket(pg, POLLIN | POLLOUT, deadline_us) || PQconsumeInput(pg) == 0)
			break;
	return finish_copy(connection, error);
}
