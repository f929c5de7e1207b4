/*
 * ocsp_responders - certificates that sign answers in the name of a CA.
 */
#include "store/ocsp_answers.h"

#include "store/db/query.h"
#include "store/db/tx.h"

void
ocsp_responder_row_free(struct ocsp_responder_row *row)
{
	if (row == NULL)
		return;
	g_free(row->thumbprint);
	g_free(row->issuer_key);
	g_free(row->issuer_spki);
	g_free(row->spki_sha256);
	if (row->der != NULL)
		g_bytes_unref(row->der);
	g_free(row);
}

static struct ocsp_responder_row *
row_read(const struct rows *rows, int r)
{
	struct ocsp_responder_row *row = g_new0(struct ocsp_responder_row, 1);

	row->thumbprint = g_strdup(rows_text(rows, r, 0));
	row->issuer_key = g_strdup(rows_text(rows, r, 1));
	row->issuer_spki = g_strdup(rows_text(rows, r, 2));
	row->spki_sha256 = g_strdup(rows_text(rows, r, 3));
	row->not_after = rows_time(rows, r, 4);
	row->der = rows_bytes(rows, r, 5);
	return row;
}

/* One whose key has left the store, or that was revoked, signs nothing more. */
static const struct statement ocsp_responders_find_statement = {
	"ocsp_responders_find",
	"SELECT o.thumbprint, o.issuer_key, o.issuer_spki, o.spki_sha256, o.not_after, c.der"
	" FROM ocsp_responder o JOIN certificate c ON c.thumbprint = o.thumbprint"
	" JOIN private_key k ON k.spki_sha256 = o.spki_sha256"
	" WHERE o.issuer_key = $1 AND o.issuer_spki = $2"
	" AND NOT EXISTS (SELECT 1 FROM ca_revocation v JOIN ca ON ca.id = v.ca_id"
	" WHERE ca.issuer_key = o.issuer_key AND v.serial = c.serial)"
	" AND NOT EXISTS (SELECT 1 FROM ca_root_revocation v WHERE v.root = c.own_ca"
	" AND v.serial = c.serial) ORDER BY o.created DESC LIMIT 1",
};

gboolean
ocsp_responders_find(struct tx *tx, const char *issuer_key, const char *issuer_spki,
		     struct ocsp_responder_row **row, GError **error)
{
	struct params *params = params_new();

	*row = NULL;
	params_text(params, issuer_key);
	params_text(params, issuer_spki);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &ocsp_responders_find_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 1)
		*row = row_read(rows, 0);
	return TRUE;
}

static const struct statement ocsp_responders_lock_statement = {
	"ocsp_responders_lock",
	"SELECT pg_advisory_xact_lock(hashtextextended('ocsp responder ' || $1, 0))",
};

gboolean
ocsp_responders_lock(struct tx *tx, const char *issuer_key, GError **error)
{
	struct params *params = params_new();

	params_text(params, issuer_key);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &ocsp_responders_lock_statement, params, error);
	return rows != NULL;
}

static const struct statement ocsp_responders_insert_statement = {
	"ocsp_responders_insert",
	"INSERT INTO ocsp_responder (thumbprint, issuer_key, issuer_spki, spki_sha256, not_after)"
	" VALUES ($1, $2, $3, $4, $5)",
};

gboolean
ocsp_responders_insert(struct tx *tx, const struct ocsp_responder_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->thumbprint);
	params_text(params, row->issuer_key);
	params_text(params, row->issuer_spki);
	params_text(params, row->spki_sha256);
	params_time(params, row->not_after);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &ocsp_responders_insert_statement, params, error);
	return rows != NULL;
}

static const struct statement ocsp_responders_list_statement = {
	"ocsp_responders_list",
	"SELECT thumbprint, issuer_key, issuer_spki, spki_sha256, not_after, NULL::bytea"
	" FROM ocsp_responder ORDER BY created DESC",
};

GPtrArray *
ocsp_responders_list(struct db *db, GError **error)
{
	CLEANUP(rows)
	struct rows *rows = db_query(db, &ocsp_responders_list_statement, NULL, error);

	if (rows == NULL)
		return NULL;
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)ocsp_responder_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(list, row_read(rows, r));
	return list;
}

static const struct statement ocsp_responders_delete_statement = {
	"ocsp_responders_delete",
	"DELETE FROM ocsp_responder WHERE thumbprint = $1",
};

gboolean
ocsp_responders_delete(struct tx *tx, const char *thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &ocsp_responders_delete_statement, params, error);
	return rows != NULL;
}
