/*
 * ca_revocations - SQL and mapping of what we revoked ourselves.
 */
#include "store/ca_revocations.h"

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

void
revocation_row_free(struct revocation_row *row)
{
	if (row == NULL)
		return;
	g_free(row->serial);
	g_free(row->comment);
	g_free(row->spki_sha256);
	g_free(row);
}

static GPtrArray *
take_rows(struct rows *taken)
{
	CLEANUP(rows) struct rows *rows = taken;

	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)revocation_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct revocation_row *row = g_new0(struct revocation_row, 1);
		row->ca_id = rows_int(rows, r, 0);
		row->serial = g_strdup(rows_text(rows, r, 1));
		row->revoked_at = rows_time(rows, r, 2);
		row->reason = (gint)rows_int(rows, r, 3);
		row->comment = g_strdup(rows_text(rows, r, 4));
		row->partition = rows_int(rows, r, 5);
		row->not_after = rows_time(rows, r, 6);
		row->spki_sha256 = g_strdup(rows_text(rows, r, 7));
		g_ptr_array_add(found, row);
	}
	return found;
}

/* For statements that give nothing back. */
static gboolean
run(struct tx *tx, const struct statement *statement, struct params *params, GError **error)
{
	CLEANUP(rows) struct rows *rows = tx_query(tx, statement, params, error);

	return rows != NULL;
}

static const struct statement cas_revoke_statement = {
	"cas_revoke",
	"INSERT INTO ca_revocation (ca_id, serial, revoked_at, reason, comment, crl_partition,"
	" not_after, spki_sha256) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
	" ON CONFLICT (ca_id, serial) DO NOTHING",
};

gboolean
cas_revoke(struct tx *tx, const struct revocation_row *row, gboolean *is_new, GError **error)
{
	struct params *params = params_new();

	params_int(params, row->ca_id);
	params_text(params, row->serial);
	params_time(params, row->revoked_at);
	params_int(params, row->reason);
	params_text(params, row->comment);
	params_int(params, row->partition);
	params_time(params, row->not_after);
	params_text(params, row->spki_sha256);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &cas_revoke_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*is_new = rows_affected(rows) > 0;
	return TRUE;
}

#define COLUMNS                                                                                    \
	"SELECT ca_id, serial, revoked_at, reason, comment, crl_partition, not_after, spki_sha256" \
	" FROM ca_revocation"

static const struct statement cas_revocation_statement = {
	"cas_revocation",
	COLUMNS " WHERE ca_id = $1 AND serial = $2 FOR UPDATE",
};

static struct params *
serial_params(gint64 ca_id, const char *serial)
{
	struct params *params = params_new();

	params_int(params, ca_id);
	params_text(params, serial);
	return params;
}

gboolean
cas_revocation(struct tx *tx, gint64 ca_id, const char *serial, struct revocation_row **row,
	       GError **error)
{
	g_autoptr(GPtrArray) found =
	    take_rows(tx_query(tx, &cas_revocation_statement, serial_params(ca_id, serial), error));

	*row = NULL;
	if (found == NULL)
		return FALSE;
	if (found->len > 0)
		*row = g_ptr_array_steal_index(found, 0);
	return TRUE;
}

static const struct statement cas_revocation_reason_statement = {
	"cas_revocation_reason",
	"UPDATE ca_revocation SET reason = $3 WHERE ca_id = $1 AND serial = $2",
};

gboolean
cas_revocation_set_reason(struct tx *tx, gint64 ca_id, const char *serial, gint reason,
			  GError **error)
{
	struct params *params = serial_params(ca_id, serial);

	params_int(params, reason);
	return run(tx, &cas_revocation_reason_statement, params, error);
}

static const struct statement cas_revocation_remove_statement = {
	"cas_revocation_remove",
	"DELETE FROM ca_revocation WHERE ca_id = $1 AND serial = $2",
};

gboolean
cas_revocation_remove(struct tx *tx, gint64 ca_id, const char *serial, GError **error)
{
	return run(tx, &cas_revocation_remove_statement, serial_params(ca_id, serial), error);
}

static const struct statement cas_revocations_statement = {
	"cas_revocations",
	COLUMNS " WHERE ca_id = $1 ORDER BY revoked_at, serial",
};

GPtrArray *
cas_revocations(struct tx *tx, gint64 ca_id, GError **error)
{
	struct params *params = params_new();

	params_int(params, ca_id);
	return take_rows(tx_query(tx, &cas_revocations_statement, params, error));
}

static const struct statement cas_forget_revocations_statement = {
	"cas_forget_revocations",
	"DELETE FROM ca_revocation WHERE ca_id = $1",
};

gboolean
cas_forget_revocations(struct tx *tx, gint64 ca_id, GError **error)
{
	struct params *params = params_new();

	params_int(params, ca_id);
	return run(tx, &cas_forget_revocations_statement, params, error);
}

static const struct statement ca_roots_revoke_statement = {
	"ca_roots_revoke",
	"WITH stopped AS (UPDATE ca SET revoked_at = $3 FROM certificate c"
	" WHERE c.thumbprint = ca.thumbprint AND ca.root_thumbprint = $1 AND c.serial = $2)"
	" INSERT INTO ca_root_revocation (root, serial, revoked_at, reason, not_after)"
	" VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
};

gboolean
ca_roots_revoke(struct tx *tx, const char *root, const struct revocation_row *row, gboolean *is_new,
		GError **error)
{
	struct params *params = params_new();

	params_text(params, root);
	params_text(params, row->serial);
	params_time(params, row->revoked_at);
	params_int(params, row->reason);
	params_time(params, row->not_after);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_roots_revoke_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*is_new = rows_affected(rows) > 0;
	tx_changed(tx, CHANGE_CA, NULL);
	return TRUE;
}

static const struct statement ca_roots_revocations_statement = {
	"ca_roots_revocations",
	"SELECT 0::bigint, serial, revoked_at, reason, NULL::text, 0, not_after, NULL::text"
	" FROM ca_root_revocation WHERE root = $1 ORDER BY revoked_at, serial",
};

GPtrArray *
ca_roots_revocations(struct tx *tx, const char *root, GError **error)
{
	struct params *params = params_new();

	params_text(params, root);
	return take_rows(tx_query(tx, &ca_roots_revocations_statement, params, error));
}

static const struct statement ca_roots_forget_statement = {
	"ca_roots_forget",
	"DELETE FROM ca_root_revocation WHERE root = $1",
};

gboolean
ca_roots_forget_revocations(struct tx *tx, const char *root, GError **error)
{
	struct params *params = params_new();

	params_text(params, root);
	return run(tx, &ca_roots_forget_statement, params, error);
}
