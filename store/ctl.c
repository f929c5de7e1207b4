/*
 * ctl - SQL and mapping of the certificate trust list.
 */
#include "store/ctl.h"

#include <string.h>

#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/lookups.h"

#define LIST_LIMIT 100
#define CTL_COLUMNS                                                                                \
	"SELECT t.thumbprint, t.kind, t.allow_expired, t.comment, t.created, t.changed,"           \
	" coalesce((SELECT c.subject FROM certificate c WHERE c.thumbprint = t.thumbprint),"       \
	" (SELECT r.subject FROM root r WHERE r.thumbprint = t.thumbprint))"                       \
	" FROM ctl_entry t"

void
ctl_row_free(struct ctl_row *row)
{
	if (row == NULL)
		return;
	g_free(row->thumbprint);
	g_free(row->comment);
	g_free(row->subject);
	g_free(row);
}

const char *
ctl_mark(const struct ctl_row *row)
{
	if (row->kind == CTL_KIND_DENY)
		return "deny";
	return row->allow_expired ? "allow-expired" : "allow";
}

static GPtrArray *
ctl_rows_read(struct rows *rows)
{
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)ctl_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct ctl_row *row = g_new0(struct ctl_row, 1);
		row->thumbprint = g_strdup(rows_text(rows, r, 0));
		/* Anything but a plain allow is read as the stricter of the two. */
		row->kind =
		    g_strcmp0(rows_text(rows, r, 1), "allow") == 0 ? CTL_KIND_ALLOW : CTL_KIND_DENY;
		row->allow_expired = rows_bool(rows, r, 2);
		row->comment = g_strdup(rows_text(rows, r, 3));
		row->created = rows_time(rows, r, 4);
		row->changed = rows_time(rows, r, 5);
		row->subject = g_strdup(rows_text(rows, r, 6));
		g_ptr_array_add(found, row);
	}
	rows_free(rows);
	return found;
}

static const struct statement ctl_put_statement = {
	"ctl_put",
	"INSERT INTO ctl_entry (thumbprint, kind, allow_expired, comment) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (thumbprint) DO UPDATE SET kind = excluded.kind,"
	" allow_expired = excluded.allow_expired, comment = excluded.comment, changed = now()",
};

gboolean
ctl_put(struct tx *tx, const struct ctl_row *row, GError **error)
{
	if (!hex_is_thumbprint(row->thumbprint))
		return fail_false(error, PS_ERROR_INVALID,
				  "a trust list entry names the SHA-512 thumbprint, %d hex digits",
				  THUMBPRINT_DIGITS);
	if (row->allow_expired && row->kind != CTL_KIND_ALLOW)
		return fail_false(error, PS_ERROR_INVALID,
				  "'allow expired' goes with an allow entry only");
	struct params *params = params_new();
	params_text(params, row->thumbprint);
	params_text(params, row->kind == CTL_KIND_ALLOW ? "allow" : "deny");
	params_bool(params, row->allow_expired);
	params_text(params, row->comment);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ctl_put_statement, params, error);
	if (rows == NULL)
		return FALSE;
	tx_changed(tx, CHANGE_CTL, row->thumbprint);
	return TRUE;
}

static const struct statement ctl_remove_statement = {
	"ctl_remove",
	"DELETE FROM ctl_entry WHERE thumbprint = $1",
};

gboolean
ctl_remove(struct tx *tx, const char *thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ctl_remove_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "the trust list has no entry for %.16s", thumbprint);
	tx_changed(tx, CHANGE_CTL, thumbprint);
	return TRUE;
}

static const struct statement ctl_find_statement = {
	"ctl_find",
	CTL_COLUMNS " WHERE t.thumbprint >= $1 AND t.thumbprint < $1 || 'g' LIMIT 2",
};

struct ctl_row *
ctl_find(struct db *db, const char *thumbprint, GError **error)
{
	g_autofree char *digits = hex_from_spelling(thumbprint);
	struct params *params;

	if (digits == NULL)
		return fail(error, PS_ERROR_INVALID, "a thumbprint is written as hex digits");
	params = params_new();
	params_text(params, digits);
	g_autoptr(GPtrArray) found =
	    ctl_rows_read(db_query(db, &ctl_find_statement, params, error));
	if (found == NULL)
		return NULL;
	if (found->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "the trust list has no entry for %.16s",
			    digits);
	if (found->len > 1)
		return fail(error, PS_ERROR_INVALID,
			    "several entries begin with %.16s, give more digits", digits);
	return g_ptr_array_steal_index(found, 0);
}

const struct statement ctl_by_thumbprints_statement = {
	"ctl_by_thumbprints",
	CTL_COLUMNS " WHERE t.thumbprint = ANY ($1::text[])",
};

GPtrArray *
ctl_by_thumbprints(struct db *db, const char *const *thumbprints, gsize n, GError **error)
{
	struct params *params = params_new();

	params_text_array(params, thumbprints, n);
	return ctl_rows_read(db_query(db, &ctl_by_thumbprints_statement, params, error));
}

static const struct statement ctl_list_statement = {
	"ctl_list",
	CTL_COLUMNS " WHERE t.thumbprint > $1 ORDER BY t.thumbprint LIMIT $2",
};

GPtrArray *
ctl_list(struct db *db, const char *after, gint limit, GError **error)
{
	struct params *params = params_new();

	params_text(params, after != NULL ? after : "");
	params_int(params, limit > 0 ? limit : LIST_LIMIT);
	return ctl_rows_read(db_query(db, &ctl_list_statement, params, error));
}
