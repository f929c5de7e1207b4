/*
 * audit - rows of administrative acts, and of messages to read.
 */
#include "store/audit.h"

#include <string.h>

#include "store/audit_internal.h"
#include "store/base/clock.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define LIST_LIMIT 100
#define OBJECT_MAX_BYTES 2000
#define PARTITIONS_AHEAD 3
#define DAY_SECONDS 86400

static const struct statement audit_admin_statement = {
	"audit_admin",
	"INSERT INTO audit_admin (actor, uid, came_from, operation, object, detail)"
	" VALUES ($1, $2, $3, $4, $5, $6)",
};

/* An act on hundreds of objects: their names do not fit into an index, so the object is the first
 * ones of them and the detail has them all. */
static void
add_object(struct params *params, const char *object, const char *detail)
{
	if (object == NULL || strlen(object) <= OBJECT_MAX_BYTES) {
		params_text(params, object);
		params_text(params, detail);
		return;
	}
	const char *end = g_strrstr_len(object, OBJECT_MAX_BYTES, " ");
	const char *valid_end;
	g_utf8_validate(object, end != NULL ? end - object : OBJECT_MAX_BYTES, &valid_end);
	g_autofree char *first = g_strndup(object, (gsize)(valid_end - object));
	g_autofree char *cut = g_strconcat(first, " ...", NULL);
	g_autofree char *all = g_strdup_printf("%s%s%s", detail != NULL ? detail : "",
					       detail != NULL ? ": " : "", object);
	params_text(params, cut);
	params_text(params, all);
}

gboolean
audit_admin(struct tx *tx, const struct actor *actor, const char *operation, const char *object,
	    const char *detail, GError **error)
{
	struct params *params = params_new();

	params_text(params, actor->name);
	if (actor->uid >= 0)
		params_int(params, actor->uid);
	else
		params_null(params);
	params_text(params, actor->from);
	params_text(params, operation);
	add_object(params, object, detail);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &audit_admin_statement, params, error);
	return rows != NULL;
}

static const struct statement audit_admin_list_statement = {
	"audit_admin_list",
	"SELECT id, at, actor, uid, came_from, operation, object, detail FROM audit_admin"
	" WHERE ($1::text IS NULL OR object = $1) AND ($2 = 0 OR id < $2)"
	" ORDER BY id DESC LIMIT $3",
};

GPtrArray *
audit_admin_list(struct db *db, const char *object, gint64 before, gint limit, GError **error)
{
	struct params *params = params_new();

	params_text(params, object);
	params_int(params, before);
	params_int(params, limit > 0 ? limit : LIST_LIMIT);
	CLEANUP(rows) struct rows *rows = db_query(db, &audit_admin_list_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)audit_admin_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct audit_admin_row *row = g_new0(struct audit_admin_row, 1);
		row->id = rows_int(rows, r, 0);
		row->at = rows_time(rows, r, 1);
		row->actor = g_strdup(rows_text(rows, r, 2));
		row->uid = rows_is_null(rows, r, 3) ? -1 : rows_int(rows, r, 3);
		row->from = g_strdup(rows_text(rows, r, 4));
		row->operation = g_strdup(rows_text(rows, r, 5));
		row->object = g_strdup(rows_text(rows, r, 6));
		row->detail = g_strdup(rows_text(rows, r, 7));
		g_ptr_array_add(found, row);
	}
	return found;
}

void
audit_admin_row_free(struct audit_admin_row *row)
{
	if (row == NULL)
		return;
	g_free(row->actor);
	g_free(row->from);
	g_free(row->operation);
	g_free(row->object);
	g_free(row->detail);
	g_free(row);
}

void
audit_message_free(struct audit_message *message)
{
	if (message == NULL)
		return;
	g_free(message->node);
	g_free(message->queue_id);
	g_free(message->message_id);
	g_free(message->sender);
	g_free(message->author);
	g_free(message->client);
	g_free(message->origin);
	g_free(message->reason);
	g_free(message->reply);
	g_strfreev(message->recipients);
	g_strfreev(message->outcomes);
	g_free(message->detail);
	g_free(message);
}

/* The time bounds come first: they leave the other days' partitions out. */
static const struct statement audit_message_find_statement = {
	"audit_message_find",
	"SELECT id, at, node, queue_id, message_id, sender, author, client, origin, reason, reply,"
	" recipients, outcomes, detail::text, size, duration_us FROM audit_message"
	" WHERE at >= coalesce($5::timestamptz, '-infinity')"
	" AND at <= coalesce($6::timestamptz, 'infinity')"
	" AND ($1::text IS NULL OR queue_id = $1) AND ($2::text IS NULL OR message_id = $2)"
	" AND ($3::text IS NULL OR sender = $3 OR author = $3)"
	" AND ($4::text IS NULL OR recipients @> ARRAY[$4::text])"
	" AND ($8::text IS NULL OR reason = $8)"
	" AND ($9::text IS NULL OR (cardinality(recipients) > 1"
	" AND detail @> jsonb_build_object('queued', jsonb_build_array($9::text))))"
	" ORDER BY at DESC, id DESC LIMIT $7",
};

static struct audit_message *
audit_message_read(const struct rows *rows, int r)
{
	struct audit_message *message = g_new0(struct audit_message, 1);
	int c = 0;

	message->id = rows_int(rows, r, c++);
	message->at = rows_time(rows, r, c++);
	message->node = g_strdup(rows_text(rows, r, c++));
	message->queue_id = g_strdup(rows_text(rows, r, c++));
	message->message_id = g_strdup(rows_text(rows, r, c++));
	message->sender = g_strdup(rows_text(rows, r, c++));
	message->author = g_strdup(rows_text(rows, r, c++));
	message->client = g_strdup(rows_text(rows, r, c++));
	message->origin = g_strdup(rows_text(rows, r, c++));
	message->reason = g_strdup(rows_text(rows, r, c++));
	message->reply = g_strdup(rows_text(rows, r, c++));
	message->recipients = rows_text_array(rows, r, c++);
	message->outcomes = rows_text_array(rows, r, c++);
	message->detail = g_strdup(rows_text(rows, r, c++));
	message->size = rows_int(rows, r, c++);
	message->duration_us = rows_int(rows, r, c++);
	return message;
}

GPtrArray *
audit_message_find(struct db *db, const struct audit_message_filter *filter, GError **error)
{
	struct params *params = params_new();

	params_text(params, filter->queue_id);
	params_text(params, filter->message_id);
	params_text(params, filter->sender);
	params_text(params, filter->recipient);
	params_time(params, filter->from != 0 ? filter->from : CLOCK_NEVER);
	params_time(params, filter->until != 0 ? filter->until : CLOCK_NEVER);
	params_int(params, filter->limit > 0 ? filter->limit : LIST_LIMIT);
	params_text(params, filter->reason);
	params_text(params, filter->copy_id);
	CLEANUP(rows)
	struct rows *rows = db_query(db, &audit_message_find_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)audit_message_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, audit_message_read(rows, r));
	return found;
}

static const struct statement audit_ahead_statement = {
	"audit_ahead",
	"SELECT audit_message_day((to_timestamp(d) AT TIME ZONE 'UTC')::date)"
	" FROM unnest($1::bigint[]) AS d",
};
static const struct statement audit_drop_statement = {
	"audit_drop",
	"SELECT audit_message_drop($1)",
};
static const struct statement audit_admin_drop_statement = {
	"audit_admin_drop",
	"DELETE FROM audit_admin WHERE at < $1",
};
/* The newest row of the change log stays: numbers go on from it. */
static const struct statement change_log_trim_statement = {
	"change_log_trim",
	"DELETE FROM change_log WHERE at < $1 AND number < (SELECT max(number) FROM change_log)",
};

static gboolean
run_before(struct tx *tx, const struct statement *statement, gint64 before, GError **error)
{
	struct params *params = params_new();

	params_time(params, before);
	CLEANUP(rows) struct rows *rows = tx_query(tx, statement, params, error);
	return rows != NULL;
}

gboolean
audit_keep(struct tx *tx, gint64 admin_before, gint64 message_before, GError **error)
{
	gint64 days[PARTITIONS_AHEAD];
	struct params *params = params_new();

	for (gint i = 0; i < PARTITIONS_AHEAD; i++)
		days[i] = tx_now(tx) + (gint64)i * DAY_SECONDS;
	params_int_array(params, days, PARTITIONS_AHEAD);
	CLEANUP(rows) struct rows *ahead = tx_query(tx, &audit_ahead_statement, params, error);
	return ahead != NULL && run_before(tx, &audit_drop_statement, message_before, error) &&
	       run_before(tx, &audit_admin_drop_statement, admin_before, error) &&
	       run_before(tx, &change_log_trim_statement, tx_now(tx) - 7 * DAY_SECONDS, error);
}
