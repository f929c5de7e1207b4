/*
 * directories - SQL and mapping of directories and their answers.
 */
#include "store/directories.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define SERVER_COLUMNS                                                                             \
	"SELECT name, place, host, port, security, base, depth, filter, attributes, domains,"      \
	" ca_file, bind_dn, sealed, generation, failures, trips, open_until, last_error, failed,"  \
	" answered, created, changed FROM directory_server"

static const char *const outcome_names[] = { "found", "none", "failed" };

const char *
directory_outcome_name(enum directory_outcome outcome)
{
	return outcome_names[outcome];
}

void
directory_row_free(struct directory_row *row)
{
	if (row == NULL)
		return;
	g_free(row->name);
	g_free(row->host);
	g_free(row->security);
	g_free(row->base);
	g_free(row->depth);
	g_free(row->filter);
	g_strfreev(row->attributes);
	g_strfreev(row->domains);
	g_free(row->ca_file);
	g_free(row->bind_dn);
	if (row->sealed != NULL)
		g_bytes_unref(row->sealed);
	g_free(row->last_error);
	g_free(row);
}

void
directory_answer_row_free(struct directory_answer_row *row)
{
	if (row == NULL)
		return;
	g_free(row->email);
	g_free(row->note);
	g_free(row);
}

/* ---- servers --------------------------------------------------------------------------------- */

static struct directory_row *
directory_row_read(const struct rows *rows, int r)
{
	struct directory_row *row = g_new0(struct directory_row, 1);

	row->name = g_strdup(rows_text(rows, r, 0));
	row->place = (gint)rows_int(rows, r, 1);
	row->host = g_strdup(rows_text(rows, r, 2));
	row->port = (gint)rows_int(rows, r, 3);
	row->security = g_strdup(rows_text(rows, r, 4));
	row->base = g_strdup(rows_text(rows, r, 5));
	row->depth = g_strdup(rows_text(rows, r, 6));
	row->filter = g_strdup(rows_text(rows, r, 7));
	row->attributes = rows_text_array(rows, r, 8);
	row->domains = rows_text_array(rows, r, 9);
	row->ca_file = g_strdup(rows_text(rows, r, 10));
	row->bind_dn = g_strdup(rows_text(rows, r, 11));
	row->sealed = rows_bytes(rows, r, 12);
	row->generation = rows_int(rows, r, 13);
	row->failures = (gint)rows_int(rows, r, 14);
	row->trips = (gint)rows_int(rows, r, 15);
	row->open_until = rows_is_null(rows, r, 16) ? 0 : rows_time(rows, r, 16);
	row->last_error = g_strdup(rows_text(rows, r, 17));
	row->failed = rows_time(rows, r, 18);
	row->answered = rows_time(rows, r, 19);
	row->created = rows_time(rows, r, 20);
	row->changed = rows_time(rows, r, 21);
	return row;
}

static const struct statement directories_all_statement = {
	"directories_all",
	SERVER_COLUMNS " ORDER BY place, name",
};

GPtrArray *
directories_all(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &directories_all_statement, NULL, error);
	GPtrArray *found;

	if (rows == NULL)
		return NULL;
	found = g_ptr_array_new_with_free_func((GDestroyNotify)directory_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, directory_row_read(rows, r));
	return found;
}

static struct directory_row *
only_row(struct rows *result, const char *name, GError **error)
{
	CLEANUP(rows) struct rows *rows = result;

	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "there is no directory '%s'", name);
	return directory_row_read(rows, 0);
}

static struct params *
name_params(const char *name)
{
	struct params *params = params_new();

	params_text(params, name);
	return params;
}

static const struct statement directories_find_statement = {
	"directories_find",
	SERVER_COLUMNS " WHERE name = $1",
};

struct directory_row *
directories_find(struct db *db, const char *name, GError **error)
{
	return only_row(db_query(db, &directories_find_statement, name_params(name), error), name,
			error);
}

static const struct statement directories_lock_statement = {
	"directories_lock",
	SERVER_COLUMNS " WHERE name = $1 FOR UPDATE",
};

struct directory_row *
directories_lock(struct tx *tx, const char *name, GError **error)
{
	return only_row(tx_query(tx, &directories_lock_statement, name_params(name), error), name,
			error);
}

#define SERVERS_LOCK "(hashtext('postseal.directory_server'))"

/* Two at once must not make five of four, nor an answer of the old servers stay. */
static const struct statement directories_begin_statement = {
	"directories_begin",
	"SELECT pg_advisory_xact_lock" SERVERS_LOCK,
};

static const struct statement directories_count_statement = {
	"directories_count",
	"SELECT count(*) FROM directory_server WHERE name <> $1",
};

static gboolean
begin_change(struct tx *tx, GError **error)
{
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &directories_begin_statement, NULL, error);

	return rows != NULL;
}

static const struct statement directories_put_statement = {
	"directories_put",
	"INSERT INTO directory_server (name, place, host, port, security, base, depth, filter,"
	" attributes, domains, ca_file, bind_dn, sealed, generation)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text[], $10::text[], $11, $12, $13, $14)"
	" ON CONFLICT (name) DO UPDATE SET place = excluded.place, host = excluded.host,"
	" port = excluded.port, security = excluded.security, base = excluded.base,"
	" depth = excluded.depth, filter = excluded.filter, attributes = excluded.attributes,"
	" domains = excluded.domains, ca_file = excluded.ca_file, bind_dn = excluded.bind_dn,"
	" sealed = excluded.sealed, generation = excluded.generation, failures = 0, trips = 0,"
	" open_until = NULL, changed = now()",
};

/* What was answered before was answered by others. */
static const struct statement directories_drop_answers_statement = {
	"directories_drop_answers",
	"DELETE FROM directory_answer",
};

static gboolean
drop_answers(struct tx *tx, GError **error)
{
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &directories_drop_answers_statement, NULL, error);

	tx_changed(tx, CHANGE_DIRECTORY, "servers");
	return rows != NULL;
}

static gboolean
is_room(struct tx *tx, const char *name, GError **error)
{
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &directories_count_statement, name_params(name), error);

	if (rows == NULL)
		return FALSE;
	return rows_int(rows, 0, 0) < DIRECTORIES_MAX ||
	       fail_false(error, PS_ERROR_INVALID,
			  "there are %d directories already, which is the limit: remove one first",
			  DIRECTORIES_MAX);
}

gboolean
directories_put(struct tx *tx, const struct directory_row *row, GError **error)
{
	struct params *params;

	if (!begin_change(tx, error) || !is_room(tx, row->name, error))
		return FALSE;
	params = name_params(row->name);
	params_int(params, row->place);
	params_text(params, row->host);
	params_int(params, row->port);
	params_text(params, row->security);
	params_text(params, row->base);
	params_text(params, row->depth);
	params_text(params, row->filter);
	params_text_array(params, (const char *const *)row->attributes,
			  g_strv_length(row->attributes));
	params_text_array(params, (const char *const *)row->domains, g_strv_length(row->domains));
	params_text(params, row->ca_file);
	params_text(params, row->bind_dn);
	params_bytes(params, row->sealed);
	if (row->sealed != NULL)
		params_int(params, row->generation);
	else
		params_null(params);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &directories_put_statement, params, error);
	return rows != NULL && drop_answers(tx, error);
}

static const struct statement directories_delete_statement = {
	"directories_delete",
	"DELETE FROM directory_server WHERE name = $1",
};

gboolean
directories_delete(struct tx *tx, const char *name, GError **error)
{
	if (!begin_change(tx, error))
		return FALSE;
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &directories_delete_statement, name_params(name), error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND, "there is no directory '%s'", name);
	return drop_answers(tx, error);
}

#define STAMP                                                                                      \
	"SELECT coalesce(string_agg(name || ' ' || extract(epoch FROM changed), ',' ORDER BY "     \
	"name), '')"                                                                               \
	" FROM directory_server"

static const struct statement directories_stamp_statement = { "directories_stamp", STAMP };

char *
directories_stamp(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_write(db, &directories_stamp_statement, NULL, error);

	return rows != NULL ? g_strdup(rows_text(rows, 0, 0)) : NULL;
}

static const struct statement directories_hold_statement = {
	"directories_hold",
	"SELECT pg_advisory_xact_lock_shared" SERVERS_LOCK,
};

/* A statement of its own, whose snapshot is taken under the lock. */
static const struct statement directories_stamp_held_statement = { "directories_stamp_held",
								   STAMP };

gboolean
directories_unchanged(struct tx *tx, const char *stamp, gboolean *unchanged, GError **error)
{
	CLEANUP(rows) struct rows *held = tx_query(tx, &directories_hold_statement, NULL, error);
	CLEANUP(rows) struct rows *rows = NULL;

	if (held == NULL)
		return FALSE;
	rows = tx_query(tx, &directories_stamp_held_statement, NULL, error);
	if (rows == NULL)
		return FALSE;
	*unchanged = strcmp(rows_text(rows, 0, 0), stamp) == 0;
	return TRUE;
}

static const struct statement directories_save_state_statement = {
	"directories_save_state",
	"UPDATE directory_server SET failures = $2, trips = $3, open_until = $4, last_error = $5,"
	" failed = $6, answered = $7 WHERE name = $1",
};

gboolean
directories_save_state(struct tx *tx, const struct directory_row *row, GError **error)
{
	struct params *params = name_params(row->name);

	params_int(params, row->failures);
	params_int(params, row->trips);
	params_time(params, row->open_until != 0 ? row->open_until : CLOCK_NEVER);
	params_text(params, row->last_error);
	params_time(params, row->failed);
	params_time(params, row->answered);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &directories_save_state_statement, params, error);
	return rows != NULL;
}

/* ---- domains --------------------------------------------------------------------------------- */

static const struct statement directories_domains_statement = {
	"directories_domains",
	"SELECT coalesce(array_agg(DISTINCT d), '{}'::text[])"
	" FROM directory_server s, unnest(s.domains) AS d",
};

GStrv
directories_domains(struct db *db, GError **error)
{
	CLEANUP(rows)
	struct rows *rows = db_query(db, &directories_domains_statement, NULL, error);

	return rows != NULL ? rows_text_array(rows, 0, 0) : NULL;
}

gboolean
directories_cover(const char *const *domains, const char *domain)
{
	for (guint i = 0; domains[i] != NULL; i++) {
		if (strcmp(domains[i], domain) == 0)
			return TRUE;
		/* "*.example.com": all depths below, and not example.com itself. */
		if (g_str_has_prefix(domains[i], "*.") && g_str_has_suffix(domain, domains[i] + 1))
			return TRUE;
	}
	return FALSE;
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum directory_outcome
outcome_of(const char *name)
{
	for (int outcome = DIRECTORY_FOUND; outcome < DIRECTORY_FAILED; outcome++)
		if (strcmp(outcome_names[outcome], name) == 0)
			return (enum directory_outcome)outcome;
	return DIRECTORY_FAILED;
}

static const struct statement directories_answers_statement = {
	"directories_answers",
	"SELECT email, outcome, note, asked, good_until FROM directory_answer"
	" WHERE email = ANY ($1::text[])",
};

GPtrArray *
directories_answers(struct db *db, const char *const *emails, gsize n, GError **error)
{
	struct params *params = params_new();
	GPtrArray *found;

	params_text_array(params, emails, n);
	CLEANUP(rows)
	struct rows *rows = db_query(db, &directories_answers_statement, params, error);
	if (rows == NULL)
		return NULL;
	found = g_ptr_array_new_with_free_func((GDestroyNotify)directory_answer_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct directory_answer_row *row = g_new0(struct directory_answer_row, 1);

		row->email = g_strdup(rows_text(rows, r, 0));
		row->outcome = outcome_of(rows_text(rows, r, 1));
		row->note = g_strdup(rows_text(rows, r, 2));
		row->asked = rows_time(rows, r, 3);
		row->good_until = rows_time(rows, r, 4);
		g_ptr_array_add(found, row);
	}
	return found;
}

static const struct statement directories_save_answer_statement = {
	"directories_save_answer",
	"INSERT INTO directory_answer (email, outcome, note, asked, good_until)"
	" VALUES ($1, $2, $3, $4, $5) ON CONFLICT (email) DO UPDATE SET"
	" outcome = excluded.outcome, note = excluded.note, asked = excluded.asked,"
	" good_until = excluded.good_until",
};

gboolean
directories_save_answer(struct tx *tx, const struct directory_answer_row *row, GError **error)
{
	struct params *params = name_params(row->email);

	params_text(params, directory_outcome_name(row->outcome));
	params_text(params, row->note);
	params_time(params, row->asked);
	params_time(params, row->good_until);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &directories_save_answer_statement, params, error);
	if (rows == NULL)
		return FALSE;
	tx_changed(tx, CHANGE_DIRECTORY, row->email);
	return TRUE;
}

static const struct statement directories_forget_answers_statement = {
	"directories_forget_answers",
	"DELETE FROM directory_answer WHERE good_until < $1",
};

gboolean
directories_forget_answers(struct tx *tx, gint64 older_than, GError **error)
{
	struct params *params = params_new();

	params_time(params, older_than);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &directories_forget_answers_statement, params, error);
	return rows != NULL;
}
