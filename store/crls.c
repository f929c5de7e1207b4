/*
 * crls - SQL and mapping of revocation lists; crl_entries.c has what stands on them.
 */
#include "store/crls.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/lookups.h"

#define CRL_COLUMNS(der)                                                                           \
	"SELECT c.id, c.thumbprint, " der ", c.issuer, c.issuer_key, c.aki, c.number,"             \
	" c.base_number, c.this_update, c.next_update, c.scope, c.source, c.entries, c.created,"   \
	" c.state, c.note, c.signer, c.signer_key, c.line, c.size, c.scope_text,"                  \
	" coalesce(l.past, 0) FROM crl c LEFT JOIN crl_line l ON l.id = c.line"
#define NO_DER "NULL::bytea"
#define CRL_DIGITS_MIN 8 /* of a thumbprint that names one */
#define DER_PIECE_BYTES (4 * 1024 * 1024)

static const char *const state_names[CRL_STATES] = {
	[CRL_STATE_USABLE] = "usable",
	[CRL_STATE_UNCHECKED] = "unchecked",
	[CRL_STATE_UNSUPPORTED] = "unsupported",
	[CRL_STATE_NO_ISSUER] = "no-issuer",
	[CRL_STATE_BAD_SIGNATURE] = "bad-signature",
	[CRL_STATE_UNTRUSTED] = "untrusted",
	[CRL_STATE_BACKWARDS] = "backwards",
	[CRL_STATE_EXPIRED] = "expired",
	[CRL_STATE_EARLY] = "early",
};

const char *
crl_state_name(enum crl_state state)
{
	return state_names[state];
}

gboolean
crl_row_in_force(const struct crl_row *row)
{
	return row->state == CRL_STATE_USABLE || row->state == CRL_STATE_UNCHECKED;
}

/* A state of a newer version has no effect here. */
static enum crl_state
state_of(const char *name)
{
	for (int state = 0; state < CRL_STATES; state++)
		if (strcmp(state_names[state], name) == 0)
			return (enum crl_state)state;
	return CRL_STATE_NO_ISSUER;
}

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
	g_free(row->scope_text);
	g_free(row->source);
	g_free(row->note);
	g_free(row->signer);
	g_free(row->signer_key);
	g_free(row);
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
	row->state = state_of(rows_text(rows, r, 14));
	row->note = g_strdup(rows_text(rows, r, 15));
	row->signer = g_strdup(rows_text(rows, r, 16));
	row->signer_key = g_strdup(rows_text(rows, r, 17));
	row->line = rows_int(rows, r, 18);
	row->size = rows_int(rows, r, 19);
	row->scope_text = g_strdup(rows_text(rows, r, 20));
	row->past = rows_int(rows, r, 21);
	return row;
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

/* *row NULL: there is none. Takes the rows. */
static gboolean
first_row(struct rows *rows, struct crl_row **row)
{
	*row = rows != NULL && rows_count(rows) > 0 ? crl_row_read(rows, 0) : NULL;
	rows_free(rows);
	return rows != NULL;
}

/* --- writing --- */

/* Two loads of one issuer's lists at the same time would both find no newer one. */
static const struct statement crls_lock_statement = {
	"crls_lock",
	"SELECT pg_advisory_xact_lock(hashtextextended('crl ' || $1, 0))",
};

gboolean
crls_lock(struct tx *tx, const char *issuer_key, GError **error)
{
	struct params *params = params_new();

	params_text(params, issuer_key);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_lock_statement, params, error);
	return rows != NULL;
}

static const struct statement crls_present_statement = {
	"crls_present",
	CRL_COLUMNS(NO_DER) " WHERE c.thumbprint = $1",
};

gboolean
crls_present(struct tx *tx, const char *thumbprint, struct crl_row **row, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	return first_row(tx_query(tx, &crls_present_statement, params, error), row);
}

static const struct statement crls_line_statement = {
	"crls_line",
	"WITH made AS (INSERT INTO crl_line (issuer_key, signer_key, scope) VALUES ($1, $2, $3)"
	" ON CONFLICT DO NOTHING RETURNING id) SELECT id FROM made UNION ALL"
	" SELECT id FROM crl_line WHERE issuer_key = $1 AND signer_key = $2 AND scope = $3",
};

gboolean
crls_line(struct tx *tx, struct crl_row *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->issuer_key);
	params_text(params, row->signer_key);
	params_text(params, row->scope != NULL ? row->scope : "");
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_line_statement, params, error);
	if (rows == NULL)
		return FALSE;
	row->line = rows_int(rows, 0, 0);
	return TRUE;
}

static const struct statement crls_current_statement = {
	"crls_current",
	CRL_COLUMNS(NO_DER) " WHERE c.line = $1 AND (c.base_number IS NOT NULL) = $2"
			    " AND c.state = 'usable'",
};

gboolean
crls_current(struct tx *tx, gint64 line, gboolean delta, struct crl_row **row, GError **error)
{
	struct params *params = params_new();

	params_int(params, line);
	params_bool(params, delta);
	return first_row(tx_query(tx, &crls_current_statement, params, error), row);
}

static void
line_param(struct params *params, gint64 line)
{
	if (line != 0)
		params_int(params, line);
	else
		params_null(params);
}

static const struct statement crls_insert_statement = {
	"crls_insert",
	"INSERT INTO crl (thumbprint, der, issuer, issuer_key, aki, number, base_number,"
	" this_update, next_update, scope, source, entries, state, note, signer, signer_key, line,"
	" scope_text, size) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
	" $15, $16, $17, $18, $19) RETURNING id",
};

gboolean
crls_insert(struct tx *tx, struct crl_row *row, GError **error)
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
	params_int(params, row->entries);
	params_text(params, crl_state_name(row->state));
	params_text(params, row->note != NULL ? row->note : "");
	params_text(params, row->signer);
	params_text(params, row->signer_key);
	line_param(params, row->line);
	params_text(params, row->scope_text != NULL ? row->scope_text : "");
	params_int(params, (gint64)g_bytes_get_size(row->der));
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_insert_statement, params, error);
	if (rows == NULL)
		return FALSE;
	row->id = rows_int(rows, 0, 0);
	/* What nobody holds changes nothing. */
	if (crl_row_in_force(row) || row->state == CRL_STATE_UNSUPPORTED)
		tx_changed(tx, CHANGE_CRL, row->issuer_key);
	return TRUE;
}

static const struct statement crls_update_statement = {
	"crls_update",
	"UPDATE crl SET state = $2, note = $3, signer = $4, signer_key = $5, line = $6,"
	" entries = $7, scope_text = $8 WHERE id = $1",
};

gboolean
crls_update(struct tx *tx, const struct crl_row *row, GError **error)
{
	struct params *params = params_new();

	params_int(params, row->id);
	params_text(params, crl_state_name(row->state));
	params_text(params, row->note != NULL ? row->note : "");
	params_text(params, row->signer);
	params_text(params, row->signer_key);
	line_param(params, row->line);
	params_int(params, row->entries);
	params_text(params, row->scope_text != NULL ? row->scope_text : "");
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_update_statement, params, error);
	if (rows == NULL)
		return FALSE;
	tx_changed(tx, CHANGE_CRL, row->issuer_key);
	return TRUE;
}

/* --- reading --- */

static const struct statement crls_find_statement = {
	"crls_find",
	CRL_COLUMNS("c.der") " WHERE c.thumbprint >= $1 AND c.thumbprint < $1 || 'g' LIMIT 2",
};

struct crl_row *
crls_find(struct db *db, const char *thumbprint, GError **error)
{
	g_autofree char *digits = g_ascii_strdown(thumbprint, -1);

	/* Less is a slip of the hand, and `crl delete` would find something. */
	if (strlen(digits) < CRL_DIGITS_MIN || strspn(digits, "0123456789abcdef") != strlen(digits))
		return fail(error, PS_ERROR_INVALID,
			    "a CRL is named by its thumbprint, at least %d hex digits",
			    CRL_DIGITS_MIN);
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

static const struct statement crls_piece_statement = {
	"crls_piece",
	"SELECT substring(der FROM $2::integer FOR $3::integer) FROM crl WHERE id = $1",
};

/* At once it would stand in memory twice: as libpq's answer and as ours. */
GBytes *
crls_der(struct db *db, const struct crl_row *row, GError **error)
{
	g_autoptr(GByteArray) all = g_byte_array_sized_new((guint)MAX(row->size, 1));

	while (all->len < row->size) {
		struct params *params = params_new();

		params_int(params, row->id);
		params_int(params, (gint64)all->len + 1);
		params_int(params, DER_PIECE_BYTES);
		CLEANUP(rows)
		struct rows *rows = db_query(db, &crls_piece_statement, params, error);
		if (rows == NULL)
			return NULL;
		g_autoptr(GBytes) piece = rows_count(rows) > 0 ? rows_bytes(rows, 0, 0) : NULL;
		if (piece == NULL || g_bytes_get_size(piece) == 0)
			return fail(error, PS_ERROR_NOT_FOUND, "CRL %.16s is not in the store",
				    row->thumbprint);
		g_byte_array_append(all, g_bytes_get_data(piece, NULL),
				    (guint)g_bytes_get_size(piece));
	}
	return g_byte_array_free_to_bytes(g_steal_pointer(&all));
}

/* An unsupported one revokes what it names, and vouches for nothing: nodes hold it too. */
#define HELD " c.state IN ('usable', 'unchecked', 'unsupported')"
const struct statement crls_held_statement = {
	"crls_held",
	CRL_COLUMNS(NO_DER) " WHERE c.issuer_key = ANY ($1::text[]) AND" HELD
			    " ORDER BY c.this_update DESC, c.id",
};
static const struct statement crls_held_all_statement = {
	"crls_held_all",
	CRL_COLUMNS(NO_DER) " WHERE" HELD " ORDER BY c.this_update DESC, c.id",
};

GPtrArray *
crls_held(struct db *db, const char *const *issuer_keys, gsize n, GError **error)
{
	if (issuer_keys == NULL)
		return crl_rows_read(db_query(db, &crls_held_all_statement, NULL, error));
	struct params *params = params_new();
	params_text_array(params, issuer_keys, n);
	return crl_rows_read(db_query(db, &crls_held_statement, params, error));
}

static const struct statement crls_not_in_force_statement = {
	"crls_not_in_force",
	CRL_COLUMNS(NO_DER) " WHERE c.state <> 'usable' AND ($1::text IS NULL OR c.issuer_key = $1)"
			    " ORDER BY c.this_update, c.id",
};

GPtrArray *
crls_not_in_force(struct db *db, const char *issuer_key, GError **error)
{
	struct params *params = params_new();

	params_text(params, issuer_key);
	return crl_rows_read(db_query(db, &crls_not_in_force_statement, params, error));
}

static const struct statement crls_list_statement = {
	"crls_list",
	CRL_COLUMNS(NO_DER) " ORDER BY c.issuer, c.scope, c.this_update DESC, c.id",
};

GPtrArray *
crls_list(struct db *db, GError **error)
{
	return crl_rows_read(db_query(db, &crls_list_statement, NULL, error));
}

static const struct statement crls_newest_statement = {
	"crls_newest",
	CRL_COLUMNS("c.der") " WHERE c.issuer_key = $1 AND ($2::text IS NULL OR c.aki = $2)"
			     " AND c.base_number IS NULL AND c.state IN ('usable', 'unchecked')"
			     " ORDER BY c.this_update DESC, c.id DESC LIMIT 1",
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
