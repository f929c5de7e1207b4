/*
 * harvests - SQL of what the filter collects.
 */
#include "store/harvests.h"

#include <string.h>

#include "store/certs.h"
#include "store/db/query.h"
#include "store/db/tx.h"

static const struct statement harvests_add_statement = {
	"harvests_add",
	"SELECT milter_harvest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
	" $15::integer, $16, $17, $18)",
};

gboolean
harvests_add(struct db *db, const struct cert_row *row, const char *sender_key,
	     enum harvest_outcome *outcome, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->thumbprint);
	params_bytes(params, row->der);
	params_text(params, row->subject);
	params_text(params, row->issuer);
	params_text(params, row->subject_key);
	params_text(params, row->issuer_key);
	params_text(params, row->serial);
	params_time(params, row->not_before);
	params_time(params, row->not_after);
	params_text(params, row->spki_sha256);
	params_text(params, row->ski);
	params_text(params, row->aki);
	params_bool(params, row->self_signed);
	params_text(params, row->key_kind);
	params_int(params, row->key_bits);
	params_text_array(params, (const char *const *)row->emails, g_strv_length(row->emails));
	params_text(params, sender_key);
	params_bool(params, row->pending);
	CLEANUP(rows) struct rows *rows = db_write(db, &harvests_add_statement, params, error);
	if (rows == NULL)
		return FALSE;
	const char *word = rows_text(rows, 0, 0);
	*outcome = g_strcmp0(word, "new") == 0       ? HARVEST_NEW
		   : g_strcmp0(word, "present") == 0 ? HARVEST_PRESENT
						     : HARVEST_LIMIT;
	return TRUE;
}

static const struct statement harvests_used_statement = {
	"harvests_used",
	"SELECT milter_used($1)",
};

gboolean
harvests_used(struct db *db, const char *const *thumbprints, gsize n, GError **error)
{
	struct params *params = params_new();

	params_text_array(params, thumbprints, n);
	CLEANUP(rows) struct rows *rows = db_write(db, &harvests_used_statement, params, error);
	return rows != NULL;
}

static const struct statement harvests_expire_statement = {
	"harvests_expire",
	"SELECT c.thumbprint FROM certificate c"
	" WHERE c.origin IN ('harvest', 'directory') AND c.used IS NULL AND c.created < $1"
	" AND NOT EXISTS (SELECT 1 FROM selection s WHERE s.thumbprint = c.thumbprint)"
	" AND NOT EXISTS (SELECT 1 FROM ctl_entry t WHERE t.thumbprint = c.thumbprint)"
	" AND NOT EXISTS (SELECT 1 FROM private_key k WHERE k.spki_sha256 = c.spki_sha256)"
	" ORDER BY c.created LIMIT 1000",
};

gboolean
harvests_expire(struct tx *tx, gint64 before, gint64 *dropped, GError **error)
{
	struct params *params = params_new();

	params_time(params, before);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &harvests_expire_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*dropped = rows_count(rows);
	for (int r = 0; r < rows_count(rows); r++)
		if (!certs_delete(tx, rows_text(rows, r, 0), error))
			return FALSE;
	return TRUE;
}
