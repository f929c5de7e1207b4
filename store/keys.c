/*
 * keys - SQL and mapping of sealed private keys.
 */
#include "store/keys.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/lookups.h"

#define LIST_LIMIT 100
#define PREFIX_MIN_DIGITS 8
/* A row on the mail path needs no counts; lists do. */
#define KEY_COLUMNS(sealed)                                                                        \
	"SELECT k.id, k.spki_sha256, " sealed ", k.generation, k.kind, k.bits, k.origin,"          \
	" k.request_id, k.made, k.last_used,"                                                      \
	" (SELECT count(*) FROM certificate c WHERE c.spki_sha256 = k.spki_sha256),"               \
	" (SELECT count(*) FROM request r WHERE r.spki_sha256 = k.spki_sha256"                     \
	" AND r.state IN ('new', 'keyed', 'pending')),"                                            \
	" EXISTS (SELECT 1 FROM ca WHERE k.spki_sha256 IN (ca.spki_sha256, ca.root_spki_sha256))"  \
	" FROM private_key k"

void
key_row_free(struct key_row *row)
{
	if (row == NULL)
		return;
	g_free(row->spki_sha256);
	if (row->sealed != NULL)
		g_bytes_unref(row->sealed);
	g_free(row->kind);
	g_free(row->origin);
	g_free(row);
}

static struct key_row *
key_row_read(const struct rows *rows, int r)
{
	struct key_row *row = g_new0(struct key_row, 1);

	row->id = rows_int(rows, r, 0);
	row->spki_sha256 = g_strdup(rows_text(rows, r, 1));
	row->sealed = rows_bytes(rows, r, 2);
	row->generation = rows_int(rows, r, 3);
	row->kind = g_strdup(rows_text(rows, r, 4));
	row->bits = (gint)rows_int(rows, r, 5);
	row->origin = g_strdup(rows_text(rows, r, 6));
	row->request_id = rows_int(rows, r, 7);
	row->made = rows_time(rows, r, 8);
	row->last_used = rows_is_null(rows, r, 9) ? 0 : rows_time(rows, r, 9);
	row->certificates = rows_int(rows, r, 10);
	row->requests = rows_int(rows, r, 11);
	row->is_ca = rows_bool(rows, r, 12);
	return row;
}

static const struct statement keys_insert_statement = {
	"keys_insert",
	"INSERT INTO private_key (spki_sha256, sealed, generation, kind, bits, origin, request_id,"
	" made) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (spki_sha256) DO NOTHING",
};

gboolean
keys_insert(struct tx *tx, const struct key_row *row, gboolean *is_new, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->spki_sha256);
	params_bytes(params, row->sealed);
	params_int(params, row->generation);
	params_text(params, row->kind);
	params_int(params, row->bits);
	params_text(params, row->origin);
	if (row->request_id != 0)
		params_int(params, row->request_id);
	else
		params_null(params);
	params_time(params, row->made != 0 ? row->made : tx_now(tx));
	CLEANUP(rows) struct rows *rows = tx_query(tx, &keys_insert_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*is_new = rows_affected(rows) > 0;
	if (*is_new)
		tx_changed(tx, CHANGE_KEY, row->spki_sha256);
	return TRUE;
}

static const struct statement keys_delete_statement = {
	"keys_delete",
	"DELETE FROM private_key WHERE spki_sha256 = $1",
};

gboolean
keys_delete(struct tx *tx, const char *spki_sha256, GError **error)
{
	struct params *params = params_new();

	params_text(params, spki_sha256);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &keys_delete_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "private key %.16s is not in the store", spki_sha256);
	tx_changed(tx, CHANGE_KEY, spki_sha256);
	return TRUE;
}

/* At most one write a day and key. */
static const struct statement keys_touch_statement = {
	"keys_touch",
	"UPDATE private_key SET last_used = $2::timestamptz WHERE spki_sha256 = $1"
	" AND (last_used IS NULL OR last_used < $2::timestamptz - interval '1 day')",
};

gboolean
keys_touch(struct db *db, const char *spki_sha256, gint64 at, GError **error)
{
	struct params *params = params_new();

	params_text(params, spki_sha256);
	params_time(params, at);
	CLEANUP(rows) struct rows *rows = db_write(db, &keys_touch_statement, params, error);
	return rows != NULL;
}

/* Takes the rows, which may be NULL. */
static struct key_row *
key_row_only(struct rows *owned, const char *spki_sha256, GError **error)
{
	CLEANUP(rows) struct rows *rows = owned;

	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "private key %.16s is not in the store",
			    spki_sha256);
	return key_row_read(rows, 0);
}

const struct statement keys_find_statement = {
	"keys_find",
	"SELECT k.id, k.spki_sha256, k.sealed, k.generation, k.kind, k.bits, k.origin,"
	" k.request_id, k.made, k.last_used, 0::bigint, 0::bigint, false"
	" FROM private_key k WHERE k.spki_sha256 = $1",
};

struct key_row *
keys_find(struct db *db, const char *spki_sha256, GError **error)
{
	struct params *params = params_new();

	params_text(params, spki_sha256);
	return key_row_only(db_query(db, &keys_find_statement, params, error), spki_sha256, error);
}

static const struct statement keys_find_in_tx_statement = {
	"keys_find_in_tx",
	KEY_COLUMNS("k.sealed") " WHERE k.spki_sha256 = $1",
};

struct key_row *
keys_find_in_tx(struct tx *tx, const char *spki_sha256, GError **error)
{
	struct params *params = params_new();

	params_text(params, spki_sha256);
	return key_row_only(tx_query(tx, &keys_find_in_tx_statement, params, error), spki_sha256,
			    error);
}

static const struct statement keys_show_statement = {
	"keys_show",
	KEY_COLUMNS("NULL::bytea") " WHERE k.spki_sha256 >= $1 AND k.spki_sha256 < $1 || 'g'"
				   " LIMIT 2",
};

struct key_row *
keys_show(struct db *db, const char *prefix, GError **error)
{
	struct params *params = NULL;

	if (strlen(prefix) < PREFIX_MIN_DIGITS || !hex_is(prefix))
		return fail(error, PS_ERROR_NOT_FOUND,
			    "'%.64s' is no SPKI digest: at least %d hex digits of one are needed",
			    prefix, PREFIX_MIN_DIGITS);
	params = params_new();
	params_text(params, prefix);
	CLEANUP(rows) struct rows *rows = db_query(db, &keys_show_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "private key %.16s is not in the store",
			    prefix);
	if (rows_count(rows) > 1)
		return fail(error, PS_ERROR_INVALID,
			    "%s fits several private keys: give more digits", prefix);
	return key_row_read(rows, 0);
}

static const struct statement keys_list_statement = {
	"keys_list",
	KEY_COLUMNS("NULL::bytea") " WHERE k.id > $1 ORDER BY k.id LIMIT $2",
};

GPtrArray *
keys_list(struct db *db, gint64 after, gint limit, GError **error)
{
	struct params *params = params_new();

	params_int(params, after);
	params_int(params, limit > 0 ? limit : LIST_LIMIT);
	CLEANUP(rows) struct rows *rows = db_query(db, &keys_list_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)key_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, key_row_read(rows, r));
	return found;
}

const struct statement keys_held_statement = {
	"keys_held",
	"SELECT spki_sha256 FROM private_key WHERE spki_sha256 = ANY ($1::text[])",
};

GHashTable *
keys_held(struct db *db, const char *const *spki_sha256, gsize n, GError **error)
{
	struct params *params = params_new();

	params_text_array(params, spki_sha256, n);
	CLEANUP(rows) struct rows *rows = db_query(db, &keys_held_statement, params, error);
	if (rows == NULL)
		return NULL;
	GHashTable *held = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (int r = 0; r < rows_count(rows); r++)
		g_hash_table_add(held, g_strdup(rows_text(rows, r, 0)));
	return held;
}

static const struct statement keys_count_statement = {
	"keys_count",
	"SELECT count(*) FROM private_key",
};

gint64
keys_count(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &keys_count_statement, NULL, error);
	return rows != NULL ? rows_int(rows, 0, 0) : -1;
}
