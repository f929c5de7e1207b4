/*
 * certs_bulk - many rows at once: who is there already is asked for, the others go in by COPY.
 *
 * Directly into the table, with numbers taken from its sequence beforehand: a staging table would
 * write every row twice. Bulk imports take turns, so that they never meet in the unique index;
 * with a single certificate that comes at the same moment (harvest) they may.
 */
#include "store/certs.h"

#include "store/base/clock.h"
#include "store/certs_internal.h"
#include "store/db/copy.h"
#include "store/db/query.h"
#include "store/db/tx.h"

/* The indexes for parts of names take in new rows by the list: the longer, the cheaper a row. Who
 * is there already is always looked up by the index, however small the table seems. */
static const struct statement turn_statement = {
	"certs_bulk_turn",
	"SELECT pg_advisory_xact_lock(hashtext('postseal.certs_bulk')),"
	" set_config('gin_pending_list_limit', '64MB', true), set_config('work_mem', '64MB', true),"
	" set_config('plan_cache_mode', 'force_generic_plan', true),"
	" set_config('enable_seqscan', 'off', true)",
};
static const struct statement settle_statement = {
	"certs_bulk_settle",
	"SELECT set_config('work_mem', '64MB', true),"
	" (SELECT sum(gin_clean_pending_list(i.indexrelid)) FROM pg_index i"
	" JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam"
	" WHERE a.amname = 'gin' AND i.indrelid IN ('certificate'::regclass,"
	" 'certificate_email'::regclass))",
};
static const struct statement present_statement = {
	"certs_bulk_present",
	"SELECT thumbprint FROM certificate WHERE thumbprint = ANY ($1::text[])",
};
static const struct statement numbers_statement = {
	"certs_bulk_numbers",
	"SELECT nextval('certificate_id_seq') FROM generate_series(1, $1::bigint)",
};

#define COPY_COLUMNS 23
static const char copy_certs[] =
    "COPY certificate (id, " CERT_NEW_COLUMNS ") FROM STDIN (FORMAT binary)";
static const char copy_emails[] =
    "COPY certificate_email (email, certificate_id) FROM STDIN (FORMAT binary)";

struct load {
	struct tx *tx;
	struct cert_row *const *rows;
	gsize n;
	gboolean *is_new;
	GArray *ids; /* gint64 of the new ones, in their order */
};

/* Which of them are new: not in the store, and the first of their kind here. */
static gboolean
mark_new(struct load *load, guint *count, GError **error)
{
	g_autoptr(GHashTable) present = g_hash_table_new(g_str_hash, g_str_equal);
	g_autofree const char **thumbprints = g_new(const char *, load->n);
	struct params *params = params_new();

	for (gsize i = 0; i < load->n; i++)
		thumbprints[i] = load->rows[i]->thumbprint;
	params_text_array(params, thumbprints, load->n);
	CLEANUP(rows) struct rows *rows = tx_query(load->tx, &present_statement, params, error);
	if (rows == NULL)
		return FALSE;
	for (int r = 0; r < rows_count(rows); r++)
		g_hash_table_add(present, (gpointer)rows_text(rows, r, 0));
	*count = 0;
	for (gsize i = 0; i < load->n; i++) {
		load->is_new[i] = g_hash_table_add(present, load->rows[i]->thumbprint);
		*count += load->is_new[i] ? 1 : 0;
	}
	return TRUE;
}

static gboolean
take_numbers(struct load *load, guint count, GError **error)
{
	struct params *params = params_new();

	params_int(params, count);
	CLEANUP(rows) struct rows *rows = tx_query(load->tx, &numbers_statement, params, error);
	if (rows == NULL)
		return FALSE;
	for (int r = 0; r < rows_count(rows); r++) {
		gint64 id = rows_int(rows, r, 0);

		g_array_append_val(load->ids, id);
	}
	return TRUE;
}

static void
copy_cert(struct copy *copy, gint64 id, const struct cert_row *row)
{
	gsize length = 0;
	gconstpointer der = g_bytes_get_data(row->der, &length);

	copy_row(copy);
	copy_int(copy, id);
	copy_text(copy, row->thumbprint);
	copy_bytes(copy, der, length);
	copy_text(copy, row->subject);
	copy_text(copy, row->issuer);
	copy_text(copy, row->subject_key);
	copy_text(copy, row->issuer_key);
	copy_text(copy, row->serial);
	copy_time(copy, row->not_before);
	copy_time(copy, row->not_after);
	copy_text(copy, row->spki_sha256);
	copy_text(copy, row->ski);
	copy_text(copy, row->aki);
	copy_bool(copy, row->is_ca);
	copy_bool(copy, row->self_signed);
	copy_text(copy, row->key_kind);
	copy_int4(copy, row->key_bits);
	copy_text(copy, row->origin != NULL ? row->origin : "import");
	copy_text(copy, row->origin_detail);
	if (row->request_id != 0)
		copy_int(copy, row->request_id);
	else
		copy_null(copy);
	copy_text(copy, row->own_ca);
	copy_bool(copy, row->pending);
	copy_time(copy, row->issued != 0 ? row->issued : CLOCK_NEVER);
}

static gboolean
load_certs(struct load *load, GError **error)
{
	struct copy *copy = tx_copy_in(load->tx, copy_certs, COPY_COLUMNS, error);
	guint next = 0;

	if (copy == NULL)
		return FALSE;
	for (gsize i = 0; i < load->n; i++)
		if (load->is_new[i])
			copy_cert(copy, g_array_index(load->ids, gint64, next++), load->rows[i]);
	return copy_end(copy, NULL, error);
}

static gboolean
load_emails(struct load *load, GError **error)
{
	struct copy *copy = tx_copy_in(load->tx, copy_emails, 2, error);
	guint next = 0;

	if (copy == NULL)
		return FALSE;
	for (gsize i = 0; i < load->n; i++) {
		if (!load->is_new[i])
			continue;
		gint64 id = g_array_index(load->ids, gint64, next++);
		for (char **email = load->rows[i]->emails; email != NULL && *email != NULL;
		     email++) {
			copy_row(copy);
			copy_text(copy, *email);
			copy_int(copy, id);
		}
		certs_changed(load->tx, load->rows[i]);
	}
	return copy_end(copy, NULL, error);
}

gboolean
certs_insert_many(struct tx *tx, struct cert_row *const *rows, gsize n, gboolean *is_new,
		  GError **error)
{
	g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(gint64));
	struct load load = { tx, rows, n, is_new, ids };
	guint count = 0;

	CLEANUP(rows) struct rows *turn = tx_query(tx, &turn_statement, NULL, error);
	if (turn == NULL || !mark_new(&load, &count, error))
		return FALSE;
	if (count == 0)
		return TRUE;
	return take_numbers(&load, count, error) && load_certs(&load, error) &&
	       load_emails(&load, error);
}

static gboolean
settle(struct tx *tx, gpointer data, GError **error)
{
	(void)data;
	CLEANUP(rows) struct rows *rows = tx_query(tx, &settle_statement, NULL, error);
	return rows != NULL;
}

void
certs_insert_settle(struct db *db)
{
	/* Of no consequence but for time: autovacuum does it as well. */
	if (!db_transaction(db, settle, NULL, NULL))
		return;
}
