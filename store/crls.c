/*
 * crls - SQL and mapping of revocation lists and their entries.
 */
#include "store/crls.h"

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/lookups.h"

/* Entries go in by pieces of this many rows a statement. */
#define ENTRIES_AT_ONCE 5000
#define CRL_COLUMNS(der)                                                                           \
	"SELECT id, thumbprint, " der ", issuer, issuer_key, aki, number, base_number,"            \
	" this_update, next_update, scope, source, entries, created FROM crl"

void
crl_row_free(struct crl_row *row)
{
	if (row == NULL)
		return;
	g_free(row->thumbprint);
	if (row->der != NULL)
		g_bytes_unref(row->der);
	g_free(row->issuer);
	g_free(row->issuer_key);
	g_free(row->aki);
	g_free(row->number);
	g_free(row->base_number);
	g_free(row->scope);
	g_free(row->source);
	g_free(row);
}

void
revoked_row_free(struct revoked_row *entry)
{
	if (entry == NULL)
		return;
	g_free(entry->serial);
	g_free(entry->issuer_key);
	g_free(entry);
}

static struct crl_row *
crl_row_read(const struct rows *rows, int r)
{
	struct crl_row *row = g_new0(struct crl_row, 1);
	const char *aki = rows_text(rows, r, 5);

	row->id = rows_int(rows, r, 0);
	row->thumbprint = g_strdup(rows_text(rows, r, 1));
	row->der = rows_bytes(rows, r, 2);
	row->issuer = g_strdup(rows_text(rows, r, 3));
	row->issuer_key = g_strdup(rows_text(rows, r, 4));
	row->aki = *aki != '\0' ? g_strdup(aki) : NULL;
	row->number = g_strdup(rows_text(rows, r, 6));
	row->base_number = g_strdup(rows_text(rows, r, 7));
	row->this_update = rows_time(rows, r, 8);
	row->next_update = rows_time(rows, r, 9);
	row->scope = g_strdup(rows_text(rows, r, 10));
	row->source = g_strdup(rows_text(rows, r, 11));
	row->entries = rows_int(rows, r, 12);
	row->created = rows_time(rows, r, 13);
	return row;
}

/* A delta and a complete list of one scope stand side by side. */
#define SAME_SCOPE " issuer_key = $1 AND aki = $2 AND scope = $3 AND (base_number IS NOT NULL) = $4"
static const struct statement crls_newer_statement = {
	"crls_newer",
	"SELECT thumbprint FROM crl WHERE" SAME_SCOPE " AND (this_update > $5 OR (this_update = $5"
	" AND (length(number), number) >= (length($6::text), $6))) LIMIT 1",
};
static const struct statement crls_drop_older_statement = {
	"crls_drop_older",
	"DELETE FROM crl WHERE" SAME_SCOPE,
};
/* Two imports of one issuer's lists at the same time would both find no newer one. */
static const struct statement crls_lock_statement = {
	"crls_lock",
	"SELECT pg_advisory_xact_lock(hashtextextended('crl ' || $1, 0))",
};
static const struct statement crls_present_statement = {
	"crls_present",
	"SELECT 1 FROM crl WHERE thumbprint = $1",
};

static struct params *
scope_params(const struct crl_row *row)
{
	struct params *params = params_new();

	params_text(params, row->issuer_key);
	params_text(params, row->aki != NULL ? row->aki : "");
	params_text(params, row->scope != NULL ? row->scope : "");
	params_bool(params, row->base_number != NULL);
	return params;
}

/* Sets *outcome to what there is to do; CRL_STORED: go on. */
static gboolean
look_around(struct tx *tx, const struct crl_row *row, enum crl_outcome *outcome, GError **error)
{
	struct params *params = params_new();
	params_text(params, row->issuer_key);
	CLEANUP(rows) struct rows *locked = tx_query(tx, &crls_lock_statement, params, error);
	if (locked == NULL)
		return FALSE;

	params = params_new();
	params_text(params, row->thumbprint);
	CLEANUP(rows) struct rows *same = tx_query(tx, &crls_present_statement, params, error);
	if (same == NULL)
		return FALSE;
	if (rows_count(same) > 0) {
		*outcome = CRL_ALREADY_THERE;
		return TRUE;
	}

	params = scope_params(row);
	params_time(params, row->this_update);
	params_text(params, row->number != NULL ? row->number : "");
	CLEANUP(rows) struct rows *newer = tx_query(tx, &crls_newer_statement, params, error);
	if (newer == NULL)
		return FALSE;
	*outcome = rows_count(newer) > 0 ? CRL_OLDER : CRL_STORED;
	return TRUE;
}

static const struct statement crls_insert_statement = {
	"crls_insert",
	"INSERT INTO crl (thumbprint, der, issuer, issuer_key, aki, number, base_number,"
	" this_update, next_update, scope, source, entries)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
};

static gboolean
insert_list(struct tx *tx, const struct crl_row *row, gsize entries, gint64 *id, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->thumbprint);
	params_bytes(params, row->der);
	params_text(params, row->issuer);
	params_text(params, row->issuer_key);
	params_text(params, row->aki != NULL ? row->aki : "");
	params_text(params, row->number);
	params_text(params, row->base_number);
	params_time(params, row->this_update);
	params_time(params, row->next_update);
	params_text(params, row->scope != NULL ? row->scope : "");
	params_text(params, row->source != NULL ? row->source : "import");
	params_int(params, (gint64)entries);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_insert_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*id = rows_int(rows, 0, 0);
	return TRUE;
}

static const struct statement crls_entries_insert_statement = {
	"crls_entries_insert",
	"INSERT INTO crl_entry (crl_id, issuer_key, serial, revoked_at, reason)"
	" SELECT $1, e.i, e.s, to_timestamp(e.a), e.r"
	" FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS e(i, s, a, r)"
	" ON CONFLICT DO NOTHING",
};

static gboolean
insert_entries(struct tx *tx, gint64 id, const struct crl_row *row, const GPtrArray *entries,
	       GError **error)
{
	g_autofree const char **issuers = g_new(const char *, ENTRIES_AT_ONCE);
	g_autofree const char **serials = g_new(const char *, ENTRIES_AT_ONCE);
	g_autofree gint64 *dates = g_new(gint64, ENTRIES_AT_ONCE);
	g_autofree gint64 *reasons = g_new(gint64, ENTRIES_AT_ONCE);

	for (guint done = 0; done < entries->len;) {
		gsize n = 0;
		for (; n < ENTRIES_AT_ONCE && done < entries->len; n++, done++) {
			const struct revoked_row *entry = g_ptr_array_index(entries, done);
			issuers[n] =
			    entry->issuer_key != NULL ? entry->issuer_key : row->issuer_key;
			serials[n] = entry->serial;
			dates[n] = entry->revoked_at;
			reasons[n] = entry->reason;
		}
		struct params *params = params_new();
		params_int(params, id);
		params_text_array(params, issuers, n);
		params_text_array(params, serials, n);
		params_int_array(params, dates, n);
		params_int_array(params, reasons, n);
		CLEANUP(rows)
		struct rows *rows = tx_query(tx, &crls_entries_insert_statement, params, error);
		if (rows == NULL)
			return FALSE;
	}
	return TRUE;
}

gboolean
crls_insert(struct tx *tx, const struct crl_row *row, const GPtrArray *entries,
	    enum crl_outcome *outcome, GError **error)
{
	gint64 id;

	if (!look_around(tx, row, outcome, error))
		return FALSE;
	if (*outcome != CRL_STORED)
		return TRUE;
	CLEANUP(rows)
	struct rows *dropped = tx_query(tx, &crls_drop_older_statement, scope_params(row), error);
	if (dropped == NULL || !insert_list(tx, row, entries->len, &id, error) ||
	    !insert_entries(tx, id, row, entries, error))
		return FALSE;
	tx_changed(tx, CHANGE_CRL, row->issuer_key);
	return TRUE;
}

static const struct statement crls_delete_statement = {
	"crls_delete",
	"DELETE FROM crl WHERE thumbprint = $1 RETURNING issuer_key",
};

gboolean
crls_delete(struct tx *tx, const char *thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_delete_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND, "CRL %.16s is not in the store",
				  thumbprint);
	tx_changed(tx, CHANGE_CRL, rows_text(rows, 0, 0));
	return TRUE;
}

static GPtrArray *
crl_rows_read(struct rows *rows)
{
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)crl_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, crl_row_read(rows, r));
	rows_free(rows);
	return found;
}

static const struct statement crls_find_statement = {
	"crls_find",
	CRL_COLUMNS("der") " WHERE thumbprint >= $1 AND thumbprint < $1 || 'g' LIMIT 2",
};

struct crl_row *
crls_find(struct db *db, const char *thumbprint, GError **error)
{
	g_autofree char *digits = g_ascii_strdown(thumbprint, -1);
	struct params *params = params_new();

	params_text(params, digits);
	g_autoptr(GPtrArray) found =
	    crl_rows_read(db_query(db, &crls_find_statement, params, error));
	if (found == NULL)
		return NULL;
	if (found->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "CRL %.16s is not in the store", digits);
	if (found->len > 1)
		return fail(error, PS_ERROR_INVALID,
			    "several CRLs begin with %.16s, give more digits", digits);
	return g_ptr_array_steal_index(found, 0);
}

const struct statement crls_by_issuers_statement = {
	"crls_by_issuers",
	CRL_COLUMNS("der") " WHERE issuer_key = ANY ($1::text[]) ORDER BY this_update DESC, id",
};

GPtrArray *
crls_by_issuers(struct db *db, const char *const *issuer_keys, gsize n, GError **error)
{
	struct params *params = params_new();

	params_text_array(params, issuer_keys, n);
	return crl_rows_read(db_query(db, &crls_by_issuers_statement, params, error));
}

static const struct statement crls_list_statement = {
	"crls_list",
	CRL_COLUMNS("NULL::bytea") " ORDER BY issuer, scope, this_update DESC, id",
};

GPtrArray *
crls_list(struct db *db, GError **error)
{
	return crl_rows_read(db_query(db, &crls_list_statement, NULL, error));
}

static const struct statement crls_newest_statement = {
	"crls_newest",
	CRL_COLUMNS("der") " WHERE issuer_key = $1 AND ($2::text IS NULL OR aki = $2)"
			   " AND base_number IS NULL ORDER BY this_update DESC, id DESC LIMIT 1",
};

struct crl_row *
crls_newest(struct db *db, const char *issuer_key, const char *aki, GError **error)
{
	struct params *params = params_new();

	params_text(params, issuer_key);
	params_text(params, aki);
	g_autoptr(GPtrArray) found =
	    crl_rows_read(db_query(db, &crls_newest_statement, params, error));
	if (found == NULL)
		return NULL;
	if (found->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "no CRL of this issuer is in the store");
	return g_ptr_array_steal_index(found, 0);
}

static const struct statement crls_entries_statement = {
	"crls_entries",
	"SELECT serial, issuer_key, revoked_at, reason FROM crl_entry WHERE crl_id = $1"
	" ORDER BY serial",
};

GPtrArray *
crls_entries(struct db *db, gint64 crl_id, GError **error)
{
	struct params *params = params_new();

	params_int(params, crl_id);
	CLEANUP(rows) struct rows *rows = db_query(db, &crls_entries_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)revoked_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct revoked_row *entry = g_new0(struct revoked_row, 1);
		entry->serial = g_strdup(rows_text(rows, r, 0));
		entry->issuer_key = g_strdup(rows_text(rows, r, 1));
		entry->revoked_at = rows_time(rows, r, 2);
		entry->reason = (gint)rows_int(rows, r, 3);
		g_ptr_array_add(found, entry);
	}
	return found;
}

const struct statement crls_revoked_statement = {
	"crls_revoked",
	"SELECT e.revoked_at, e.reason FROM crl_entry e WHERE e.issuer_key = $1 AND e.serial = $2"
	" ORDER BY e.revoked_at LIMIT 1",
};

gboolean
crls_revoked(struct db *db, const char *issuer_key, const char *serial, gboolean *found,
	     struct revoked_row *entry, GError **error)
{
	struct params *params = params_new();

	params_text(params, issuer_key);
	params_text(params, serial);
	CLEANUP(rows) struct rows *rows = db_query(db, &crls_revoked_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*found = rows_count(rows) > 0;
	*entry = (struct revoked_row){ 0 };
	if (*found) {
		entry->revoked_at = rows_time(rows, 0, 0);
		entry->reason = (gint)rows_int(rows, 0, 1);
	}
	return TRUE;
}
