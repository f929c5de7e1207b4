/*
 * bulk_rivals - who has a certificate, or soon will.
 */
#include "store/bulk_rivals.h"

#include "store/db/query.h"
#include "store/db/tx.h"

#define RIVAL_REQUESTS                                                                             \
	" UNION ALL SELECT r.email, NULL::bytea, NULL::text, NULL::text, r.id FROM request r"      \
	" WHERE r.email = ANY ($1::text[]) AND r.state IN ('new', 'keyed', 'pending')"             \
	" ORDER BY 1"
#define RIVAL_KEY                                                                                  \
	" AND NOT c.is_ca AND NOT c.pending"                                                       \
	" AND EXISTS (SELECT 1 FROM private_key k WHERE k.spki_sha256 = c.spki_sha256)"
static const struct statement rivals_statement = {
	"bulk_rivals",
	"SELECT e.email, c.der, CASE WHEN t.kind IS NOT NULL THEN t.kind ||"
	" CASE WHEN t.allow_expired THEN '-expired' ELSE '' END END, c.thumbprint, 0::bigint"
	" FROM certificate_email e JOIN certificate c ON c.id = e.certificate_id"
	" LEFT JOIN ctl_entry t ON t.thumbprint = c.thumbprint"
	" WHERE e.email = ANY ($1::text[]) AND c.not_before <= $2 AND c.not_after >= $2" RIVAL_KEY
	    RIVAL_REQUESTS,
};
/* What came before the batch was looked at when it was submitted; what was being written then was
 * not seen, and its date is the beginning of its transaction: hence some minutes. */
static const struct statement rivals_since_statement = {
	"bulk_rivals_since",
	"SELECT e.email, NULL::bytea, NULL::text, c.thumbprint, 0::bigint"
	" FROM certificate_email e JOIN certificate c ON c.id = e.certificate_id"
	" LEFT JOIN request q ON q.id = c.request_id"
	" WHERE e.email = ANY ($1::text[]) AND c.created >= $2::timestamptz - interval '10 minutes'"
	" AND coalesce(q.key_use, 'dual') <> 'encrypt' AND NOT EXISTS (SELECT 1"
	" FROM ca_revocation v JOIN ca a ON a.id = v.ca_id WHERE a.thumbprint = c.own_ca"
	" AND v.serial = c.serial)" RIVAL_KEY RIVAL_REQUESTS,
};
/* Planned once and not for every chunk: with hundreds of addresses in it that takes the server
 * forty times what the question itself does; and by the indexes, for what a batch has written
 * itself stands in no statistics yet. */
static const struct statement turn_statement = {
	"bulk_turn",
	"SELECT pg_advisory_xact_lock(hashtext('postseal.bulk')),"
	" set_config('plan_cache_mode', 'force_generic_plan', true),"
	" set_config('enable_seqscan', 'off', true)",
};

void
bulk_rival_free(struct bulk_rival *rival)
{
	if (rival == NULL)
		return;
	g_free(rival->email);
	g_clear_pointer(&rival->der, g_bytes_unref);
	g_free(rival->ctl);
	g_free(rival->thumbprint);
	g_free(rival);
}

static GPtrArray *
rivals_read(struct rows *owned)
{
	CLEANUP(rows) struct rows *rows = owned;

	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)bulk_rival_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct bulk_rival *rival = g_new0(struct bulk_rival, 1);

		rival->email = g_strdup(rows_text(rows, r, 0));
		rival->der = rows_bytes(rows, r, 1);
		rival->ctl = g_strdup(rows_text(rows, r, 2));
		rival->thumbprint = g_strdup(rows_text(rows, r, 3));
		rival->request_id = rows_int(rows, r, 4);
		g_ptr_array_add(found, rival);
	}
	return found;
}

GPtrArray *
bulk_rivals(struct db *db, const char *const *emails, gsize n, gint64 now, GError **error)
{
	struct params *params = params_new();

	params_text_array(params, emails, n);
	params_time(params, now);
	return rivals_read(db_write(db, &rivals_statement, params, error));
}

GPtrArray *
bulk_rivals_since(struct tx *tx, const char *const *emails, gsize n, gint64 since, GError **error)
{
	CLEANUP(rows) struct rows *turn = tx_query(tx, &turn_statement, NULL, error);

	if (turn == NULL)
		return NULL;
	struct params *params = params_new();
	params_text_array(params, emails, n);
	params_time(params, since);
	return rivals_read(tx_query(tx, &rivals_since_statement, params, error));
}
