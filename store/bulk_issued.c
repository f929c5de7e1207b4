/*
 * bulk_issued - COPY into the tables of requests, their history, keys and certificates.
 */
#include "store/bulk_issued.h"

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/db/copy.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/keys.h"
#include "store/requests.h"

static const struct statement numbers_statement = {
	"bulk_issued_numbers",
	"SELECT nextval('request_id_seq') FROM generate_series(1, $1::bigint)",
};

gboolean
bulk_issued_numbers(struct tx *tx, gint64 *ids, gsize n, GError **error)
{
	struct params *params = params_new();

	params_int(params, (gint64)n);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &numbers_statement, params, error);
	if (rows == NULL)
		return FALSE;
	for (gsize i = 0; i < n; i++)
		ids[i] = rows_int(rows, (int)i, 0);
	return TRUE;
}

static const char copy_requests[] =
    "COPY request (id, state, handler, handler_config, email, common_name, organisation,"
    " first_name, last_name, ca, key, digest, profile, validity_days, crl_url, options,"
    " spki_sha256, thumbprint, attempts, requester, key_use, batch_id, delivery)"
    " FROM STDIN (FORMAT binary)";

static void
copy_request(struct copy *copy, const struct request_row *row)
{
	copy_row(copy);
	copy_int(copy, row->id);
	copy_text(copy, request_state_name(row->state));
	copy_text(copy, row->handler);
	copy_text(copy, row->handler_config);
	copy_text(copy, row->email);
	copy_text(copy, row->common_name);
	copy_text(copy, row->organisation);
	copy_text(copy, row->first_name);
	copy_text(copy, row->last_name);
	copy_text(copy, row->ca);
	copy_text(copy, row->key);
	copy_text(copy, row->digest);
	copy_text(copy, row->profile);
	copy_int(copy, row->validity_days);
	copy_bool(copy, row->crl_url);
	copy_text(copy, row->options);
	copy_text(copy, row->spki_sha256);
	copy_text(copy, row->thumbprint);
	copy_int4(copy, row->attempts);
	copy_text(copy, row->requester);
	copy_text(copy, row->key_use);
	copy_int(copy, row->batch_id);
	copy_bool(copy, row->delivery);
}

static gboolean
insert_requests(struct tx *tx, const struct bulk_issued *const *issued, gsize n, GError **error)
{
	struct copy *copy = tx_copy_in(tx, copy_requests, 23, error);

	if (copy == NULL)
		return FALSE;
	for (gsize i = 0; i < n; i++)
		copy_request(copy, issued[i]->request);
	return copy_end(copy, NULL, error);
}

static gboolean
insert_history(struct tx *tx, const struct bulk_issued *const *issued, gsize n, GError **error)
{
	struct copy *copy = tx_copy_in(
	    tx, "COPY request_event (request_id, at, state, text) FROM STDIN (FORMAT binary)", 4,
	    error);

	if (copy == NULL)
		return FALSE;
	for (gsize i = 0; i < n; i++) {
		copy_row(copy);
		copy_int(copy, issued[i]->request->id);
		copy_time(copy, tx_now(tx));
		copy_text(copy, request_state_name(issued[i]->request->state));
		copy_text(copy, issued[i]->note);
	}
	return copy_end(copy, NULL, error);
}

static gboolean
insert_keys(struct tx *tx, const struct bulk_issued *const *issued, gsize n, GError **error)
{
	struct copy *copy =
	    tx_copy_in(tx,
		       "COPY private_key (spki_sha256, sealed, generation, kind,"
		       " bits, origin, request_id, made) FROM STDIN (FORMAT binary)",
		       8, error);

	if (copy == NULL)
		return FALSE;
	for (gsize i = 0; i < n; i++) {
		const struct key_row *row = issued[i]->key;
		gsize length;
		gconstpointer sealed = g_bytes_get_data(row->sealed, &length);

		copy_row(copy);
		copy_text(copy, row->spki_sha256);
		copy_bytes(copy, sealed, length);
		copy_int(copy, row->generation);
		copy_text(copy, row->kind);
		copy_int4(copy, row->bits);
		copy_text(copy, row->origin);
		copy_int(copy, issued[i]->request->id);
		copy_time(copy, row->made != 0 ? row->made : tx_now(tx));
		tx_changed(tx, CHANGE_KEY, row->spki_sha256);
	}
	return copy_end(copy, NULL, error);
}

static gboolean
insert_certs(struct tx *tx, const struct bulk_issued *const *issued, gsize n, GError **error)
{
	g_autofree struct cert_row **rows = g_new(struct cert_row *, n + 1);
	g_autofree gboolean *is_new = g_new0(gboolean, n + 1);

	for (gsize i = 0; i < n; i++)
		rows[i] = issued[i]->cert;
	if (!certs_insert_many(tx, rows, n, is_new, error))
		return FALSE;
	for (gsize i = 0; i < n; i++)
		if (!is_new[i])
			return fail_false(error, PS_ERROR_BUG,
					  "a new certificate is in the store already");
	return TRUE;
}

gboolean
bulk_issued_insert(struct tx *tx, const struct bulk_issued *const *issued, gsize n, GError **error)
{
	return n == 0 ||
	       (insert_requests(tx, issued, n, error) && insert_history(tx, issued, n, error) &&
		insert_keys(tx, issued, n, error) && insert_certs(tx, issued, n, error));
}
