/*
 * publications - rows of what is published and where.
 */
#include "store/publications.h"

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

void
published_list_free(struct published_list *row)
{
	if (row == NULL)
		return;
	g_free(row->key_id);
	g_free(row->issuer);
	g_free(row->issuer_key);
	if (row->der != NULL)
		g_bytes_unref(row->der);
	g_free(row);
}

void
publication_free(struct publication *row)
{
	if (row == NULL)
		return;
	g_free(row->target);
	g_free(row->object);
	g_free(row->digest);
	g_free(row->error);
	g_free(row);
}

/* --- lists --- */

#define LIST_JOIN " FROM ca_list l JOIN crl c ON c.thumbprint = l.thumbprint"
#define LIST_NAMES "l.key_id, l.crl_partition, l.issuer, c.issuer_key, c.this_update, c.next_update"

static struct published_list *
list_read(const struct rows *rows, int r)
{
	struct published_list *list = g_new0(struct published_list, 1);

	list->key_id = g_strdup(rows_text(rows, r, 0));
	list->partition = rows_int(rows, r, 1);
	list->issuer = g_strdup(rows_text(rows, r, 2));
	list->issuer_key = g_strdup(rows_text(rows, r, 3));
	list->this_update = rows_time(rows, r, 4);
	list->next_update = rows_time(rows, r, 5);
	list->der = rows_bytes(rows, r, 6);
	return list;
}

/* A renewed CA has its old key identifier: the newest list is its. */
static const struct statement published_lists_find_statement = {
	"published_lists_find",
	"SELECT " LIST_NAMES ", c.der" LIST_JOIN " WHERE l.key_id = $1 AND l.crl_partition = $2"
	" ORDER BY c.this_update DESC, c.id DESC LIMIT 1",
};

struct published_list *
published_lists_find(struct db *db, const char *key_id, gint64 partition, GError **error)
{
	struct params *params = params_new();

	params_text(params, key_id);
	params_int(params, partition);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &published_lists_find_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "no CA of ours keeps such a list");
	return list_read(rows, 0);
}

static const struct statement published_lists_all_statement = {
	"published_lists_all",
	"SELECT DISTINCT ON (l.key_id, l.crl_partition) " LIST_NAMES
	", CASE WHEN $1::boolean THEN c.der END" LIST_JOIN
	" ORDER BY l.key_id, l.crl_partition, c.this_update DESC, c.id DESC",
};

GPtrArray *
published_lists_all(struct db *db, gboolean with_der, GError **error)
{
	struct params *params = params_new();

	params_bool(params, with_der);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &published_lists_all_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *lists = g_ptr_array_new_with_free_func((GDestroyNotify)published_list_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(lists, list_read(rows, r));
	return lists;
}

/* --- where they were written --- */

static const struct statement publications_list_statement = {
	"publications_list",
	"SELECT target, object, digest, published, attempts, next_try, error FROM publication"
	" WHERE $1::text IS NULL OR target = $1 ORDER BY target, object",
};

GPtrArray *
publications_list(struct db *db, const char *target, GError **error)
{
	struct params *params = params_new();

	params_text(params, target);
	CLEANUP(rows) struct rows *rows = db_write(db, &publications_list_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)publication_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct publication *row = g_new0(struct publication, 1);
		row->target = g_strdup(rows_text(rows, r, 0));
		row->object = g_strdup(rows_text(rows, r, 1));
		row->digest = g_strdup(rows_text(rows, r, 2));
		row->published = rows_time(rows, r, 3);
		row->attempts = (gint)rows_int(rows, r, 4);
		row->next_try = rows_time(rows, r, 5);
		row->error = g_strdup(rows_text(rows, r, 6));
		g_ptr_array_add(list, row);
	}
	return list;
}

static const struct statement publications_save_statement = {
	"publications_save",
	"INSERT INTO publication (target, object, digest, published, attempts, next_try, error)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (target, object) DO UPDATE SET"
	" digest = excluded.digest, published = excluded.published, attempts = excluded.attempts,"
	" next_try = excluded.next_try, error = excluded.error",
};

gboolean
publications_save(struct db *db, const struct publication *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->target);
	params_text(params, row->object);
	params_text(params, row->digest);
	params_time(params, row->published);
	params_int(params, row->attempts);
	params_time(params, row->next_try);
	params_text(params, row->error);
	CLEANUP(rows) struct rows *rows = db_write(db, &publications_save_statement, params, error);
	return rows != NULL;
}

static const struct statement publications_forget_statement = {
	"publications_forget",
	"DELETE FROM publication WHERE target = $1",
};

gboolean
publications_forget(struct tx *tx, const char *target, GError **error)
{
	struct params *params = params_new();

	params_text(params, target);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &publications_forget_statement, params, error);
	return rows != NULL;
}
