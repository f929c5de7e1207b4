/*
 * candidates - one statement for what matches addresses and what was chosen by hand.
 */
#include "store/candidates.h"

#include "store/capabilities.h"
#include "store/db/query.h"
#include "store/lookups.h"

#define COLUMNS                                                                                    \
	" c.thumbprint, c.der, c.spki_sha256, c.pending,"                                          \
	" EXISTS (SELECT 1 FROM private_key k WHERE k.spki_sha256 = c.spki_sha256),"               \
	" (SELECT t.kind || CASE WHEN t.allow_expired THEN '-expired' ELSE '' END"                 \
	" FROM ctl_entry t WHERE t.thumbprint = c.thumbprint),"                                    \
	" c.origin IN ('harvest', 'directory'), c.not_before, c.not_after"
#define NEWEST_FIRST " ORDER BY not_before DESC, not_after DESC, thumbprint"

const struct statement candidates_statement = {
	"candidates",
	"SELECT a.email, f.*, 0 AS ciphers, 0 AS transports, now() AS signed"
	" FROM unnest($1::text[]) AS a(email) CROSS JOIN LATERAL (SELECT" COLUMNS
	" FROM certificate_email e JOIN certificate c ON c.id = e.certificate_id"
	" WHERE e.email = a.email" NEWEST_FIRST " LIMIT 200) AS f"
	" UNION ALL SELECT NULL," COLUMNS
	", 0, 0, now() FROM certificate c WHERE c.thumbprint = ANY"
	" ($2::text[])"
	" UNION ALL SELECT k.email, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, k.ciphers,"
	" k.transports, k.signed FROM capability k WHERE k.email = ANY ($1::text[])" NEWEST_FIRST,
};
G_STATIC_ASSERT(CANDIDATES_MAX == 200);

void
candidate_row_free(struct candidate_row *row)
{
	if (row == NULL)
		return;
	g_free(row->email);
	g_free(row->thumbprint);
	g_bytes_unref(row->der);
	g_free(row->spki_sha256);
	g_free(row->ctl);
	g_free(row);
}

static struct candidate_row *
candidate_row_read(const struct rows *rows, int r)
{
	struct candidate_row *row = g_new0(struct candidate_row, 1);

	row->email = g_strdup(rows_text(rows, r, 0));
	row->thumbprint = g_strdup(rows_text(rows, r, 1));
	row->der = rows_bytes(rows, r, 2);
	row->spki_sha256 = g_strdup(rows_text(rows, r, 3));
	row->pending = rows_bool(rows, r, 4);
	row->has_key = rows_bool(rows, r, 5);
	row->ctl = g_strdup(rows_text(rows, r, 6));
	row->by_itself = rows_bool(rows, r, 7);
	return row;
}

static struct capability_row *
capability_row_read(const struct rows *rows, int r)
{
	struct capability_row *row = g_new0(struct capability_row, 1);

	row->email = g_strdup(rows_text(rows, r, 0));
	row->ciphers = (guint)rows_int(rows, r, 10);
	row->transports = (guint)rows_int(rows, r, 11);
	row->signed_at = rows_time(rows, r, 12);
	return row;
}

gboolean
candidates_find(struct db *db, const char *const *email_keys, gsize emails,
		const char *const *thumbprints, gsize n, struct candidates *found, GError **error)
{
	struct params *params = params_new();

	params_text_array(params, email_keys, emails);
	params_text_array(params, thumbprints, n);
	CLEANUP(rows) struct rows *rows = db_query(db, &candidates_statement, params, error);
	if (rows == NULL)
		return FALSE;
	found->certs = g_ptr_array_new_with_free_func((GDestroyNotify)candidate_row_free);
	found->announced = g_ptr_array_new_with_free_func((GDestroyNotify)capability_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		if (rows_is_null(rows, r, 1))
			g_ptr_array_add(found->announced, capability_row_read(rows, r));
		else
			g_ptr_array_add(found->certs, candidate_row_read(rows, r));
	}
	return TRUE;
}

void
candidates_clear(struct candidates *found)
{
	g_clear_pointer(&found->certs, g_ptr_array_unref);
	g_clear_pointer(&found->announced, g_ptr_array_unref);
}
