/*
 * certs - SQL and mapping of the certificate store.
 */
#include "store/certs.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/certs_internal.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/lookups.h"

#define PREFIX_MIN 8

#define CERT_FULL CERT_COLUMNS("c.der")

void
cert_row_free(struct cert_row *row)
{
	if (row == NULL)
		return;
	g_free(row->thumbprint);
	if (row->der != NULL)
		g_bytes_unref(row->der);
	g_free(row->subject);
	g_free(row->issuer);
	g_free(row->subject_key);
	g_free(row->issuer_key);
	g_free(row->serial);
	g_free(row->spki_sha256);
	g_free(row->ski);
	g_free(row->aki);
	g_free(row->key_kind);
	g_strfreev(row->emails);
	g_free(row->origin);
	g_free(row->origin_detail);
	g_free(row->own_ca);
	g_free(row->ctl);
	g_free(row);
}

static gint64
time_or_zero(const struct rows *rows, int r, int c)
{
	return rows_is_null(rows, r, c) ? 0 : rows_time(rows, r, c);
}

static struct cert_row *
cert_row_read(const struct rows *rows, int r)
{
	struct cert_row *row = g_new0(struct cert_row, 1);
	int c = 0;

	row->id = rows_int(rows, r, c++);
	row->thumbprint = g_strdup(rows_text(rows, r, c++));
	row->der = rows_bytes(rows, r, c++);
	row->subject = g_strdup(rows_text(rows, r, c++));
	row->issuer = g_strdup(rows_text(rows, r, c++));
	row->subject_key = g_strdup(rows_text(rows, r, c++));
	row->issuer_key = g_strdup(rows_text(rows, r, c++));
	row->serial = g_strdup(rows_text(rows, r, c++));
	row->not_before = rows_time(rows, r, c++);
	row->not_after = rows_time(rows, r, c++);
	row->spki_sha256 = g_strdup(rows_text(rows, r, c++));
	row->ski = g_strdup(rows_text(rows, r, c++));
	row->aki = g_strdup(rows_text(rows, r, c++));
	row->is_ca = rows_bool(rows, r, c++);
	row->self_signed = rows_bool(rows, r, c++);
	row->key_kind = g_strdup(rows_text(rows, r, c++));
	row->key_bits = (gint)rows_int(rows, r, c++);
	row->origin = g_strdup(rows_text(rows, r, c++));
	row->origin_detail = g_strdup(rows_text(rows, r, c++));
	row->request_id = rows_int(rows, r, c++);
	row->own_ca = g_strdup(rows_text(rows, r, c++));
	row->pending = rows_bool(rows, r, c++);
	row->issued = time_or_zero(rows, r, c++);
	row->created = rows_time(rows, r, c++);
	row->emails = rows_text_array(rows, r, c++);
	row->has_key = rows_bool(rows, r, c++);
	row->ctl = g_strdup(rows_text(rows, r, c++));
	return row;
}

GPtrArray *
cert_rows_read(struct rows *rows)
{
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)cert_row_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, cert_row_read(rows, r));
	rows_free(rows);
	return found;
}

static const struct statement certs_insert_statement = {
	"certs_insert",
	"WITH new AS (INSERT INTO certificate (" CERT_NEW_COLUMNS ")"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,"
	" $19, $20, $21, $22) ON CONFLICT (thumbprint) DO NOTHING RETURNING id),"
	" mail AS (INSERT INTO certificate_email (email, certificate_id)"
	" SELECT DISTINCT e, new.id FROM new, unnest($23::text[]) AS e)"
	" SELECT id FROM new",
};

gboolean
certs_insert(struct tx *tx, const struct cert_row *row, gboolean *is_new, GError **error)
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
	params_bool(params, row->is_ca);
	params_bool(params, row->self_signed);
	params_text(params, row->key_kind);
	params_int(params, row->key_bits);
	params_text(params, row->origin != NULL ? row->origin : "import");
	params_text(params, row->origin_detail);
	if (row->request_id != 0)
		params_int(params, row->request_id);
	else
		params_null(params);
	params_text(params, row->own_ca);
	params_bool(params, row->pending);
	params_time(params, row->issued != 0 ? row->issued : CLOCK_NEVER);
	params_text_array(params, (const char *const *)row->emails,
			  row->emails != NULL ? g_strv_length(row->emails) : 0);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &certs_insert_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*is_new = rows_count(rows) > 0;
	if (*is_new)
		certs_changed(tx, row);
	return TRUE;
}

void
certs_changed(struct tx *tx, const struct cert_row *row)
{
	gboolean nameless = row->emails == NULL || row->emails[0] == NULL;

	tx_changed(tx, CHANGE_CERT, row->thumbprint);
	for (char **email = row->emails; !nameless && *email != NULL; email++)
		tx_changed(tx, CHANGE_ADDRESS, *email);
	/* Who signs revocation lists for a CA need not be one, but has no mailbox. */
	if (row->is_ca || nameless)
		tx_changed(tx, CHANGE_ISSUER, row->subject_key);
}

/* The addresses as they were before the statement, which takes their rows along. */
#define CHANGED_COLUMNS                                                                            \
	" SELECT g.thumbprint, g.subject_key, g.is_ca, ARRAY(SELECT e.email"                       \
	" FROM certificate_email e WHERE e.certificate_id = g.id) FROM gone g"
static const struct statement certs_delete_statement = {
	"certs_delete",
	"WITH gone AS (DELETE FROM certificate WHERE thumbprint = $1 RETURNING *)" CHANGED_COLUMNS,
};
static const struct statement certs_set_pending_statement = {
	"certs_set_pending",
	"WITH gone AS (UPDATE certificate SET pending = $2 WHERE thumbprint = $1"
	" RETURNING *)" CHANGED_COLUMNS,
};

/* For statements on the one certificate of $1. */
static gboolean
change_one(struct tx *tx, const struct statement *statement, const char *thumbprint,
	   struct params *params, GError **error)
{
	CLEANUP(rows) struct rows *rows = tx_query(tx, statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "certificate %.16s is not in the store", thumbprint);
	struct cert_row changed = {
		.thumbprint = (char *)rows_text(rows, 0, 0),
		.subject_key = (char *)rows_text(rows, 0, 1),
		.is_ca = rows_bool(rows, 0, 2),
	};
	g_auto(GStrv) emails = rows_text_array(rows, 0, 3);
	changed.emails = emails;
	certs_changed(tx, &changed);
	return TRUE;
}

gboolean
certs_delete(struct tx *tx, const char *thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	return change_one(tx, &certs_delete_statement, thumbprint, params, error);
}

gboolean
certs_set_pending(struct tx *tx, const char *thumbprint, gboolean pending, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	params_bool(params, pending);
	return change_one(tx, &certs_set_pending_statement, thumbprint, params, error);
}

/* 'g' follows the last hex digit: everything that begins with the text. */
static const struct statement certs_by_prefix = {
	"certs_by_prefix",
	CERT_FULL " WHERE c.thumbprint >= $1 AND c.thumbprint < $1 || 'g' LIMIT 2",
};

struct cert_row *
certs_find(struct db *db, const char *thumbprint, GError **error)
{
	g_autofree char *digits = hex_from_spelling(thumbprint);

	if (digits == NULL || strlen(digits) < PREFIX_MIN)
		return fail(error, PS_ERROR_INVALID,
			    "a thumbprint is written as hex digits, at least %d of them",
			    PREFIX_MIN);
	struct params *params = params_new();
	params_text(params, digits);
	g_autoptr(GPtrArray) found = cert_rows_read(db_query(db, &certs_by_prefix, params, error));
	if (found == NULL)
		return NULL;
	if (found->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "certificate %.16s is not in the store",
			    digits);
	if (found->len > 1)
		return fail(error, PS_ERROR_INVALID,
			    "several certificates begin with %.16s, give more digits", digits);
	return g_ptr_array_steal_index(found, 0);
}

const struct statement certs_by_thumbprints_statement = {
	"certs_by_thumbprints",
	CERT_FULL " WHERE c.thumbprint = ANY ($1::text[])",
};
const struct statement certs_by_emails_statement = {
	"certs_by_emails",
	CERT_FULL " WHERE c.id IN (SELECT e.certificate_id FROM certificate_email e"
		  " WHERE e.email = ANY ($1::text[]))"
		  " ORDER BY c.not_before DESC, c.not_after DESC, c.thumbprint",
};
const struct statement certs_issuers_statement = {
	"certs_issuers",
	CERT_FULL " WHERE c.subject_key = ANY ($1::text[]) AND c.is_ca"
		  " ORDER BY c.not_after DESC, c.thumbprint",
};

static GPtrArray *
query_many(struct db *db, const struct statement *statement, const char *const *values, gsize n,
	   GError **error)
{
	struct params *params = params_new();

	params_text_array(params, values, n);
	return cert_rows_read(db_query(db, statement, params, error));
}

GPtrArray *
certs_by_thumbprints(struct db *db, const char *const *thumbprints, gsize n, GError **error)
{
	return query_many(db, &certs_by_thumbprints_statement, thumbprints, n, error);
}

GPtrArray *
certs_by_emails(struct db *db, const char *const *email_keys, gsize n, GError **error)
{
	return query_many(db, &certs_by_emails_statement, email_keys, n, error);
}

GPtrArray *
certs_issuers(struct db *db, const char *const *subject_keys, gsize n, GError **error)
{
	return query_many(db, &certs_issuers_statement, subject_keys, n, error);
}

const struct statement certs_by_subject_statement = {
	"certs_by_subject",
	/* Readers stop after so many: what came by itself, under whatever name, is last. */
	CERT_FULL " WHERE c.subject_key = $1 AND ($2::text IS NULL OR c.ski = $2)"
		  " ORDER BY c.is_ca DESC, c.origin IN ('harvest', 'directory'),"
		  " c.not_after DESC, c.thumbprint",
};
const struct statement certs_by_issuer_serial_statement = {
	"certs_by_issuer_serial",
	CERT_FULL " WHERE c.issuer_key = $1 AND c.serial = $2 ORDER BY c.id",
};
const struct statement certs_by_ski_statement = {
	"certs_by_ski",
	CERT_FULL " WHERE c.ski = $1 ORDER BY c.id",
};
const struct statement certs_by_spki_statement = {
	"certs_by_spki",
	CERT_FULL " WHERE c.spki_sha256 = $1 ORDER BY c.id",
};

static GPtrArray *
query_texts(struct db *db, const struct statement *statement, int n, const char *first,
	    const char *second, GError **error)
{
	struct params *params = params_new();

	params_text(params, first);
	if (n > 1)
		params_text(params, second);
	return cert_rows_read(db_query(db, statement, params, error));
}

GPtrArray *
certs_by_subject(struct db *db, const char *subject_key, const char *ski, GError **error)
{
	return query_texts(db, &certs_by_subject_statement, 2, subject_key, ski, error);
}

GPtrArray *
certs_by_issuer_serial(struct db *db, const char *issuer_key, const char *serial, GError **error)
{
	return query_texts(db, &certs_by_issuer_serial_statement, 2, issuer_key, serial, error);
}

GPtrArray *
certs_by_ski(struct db *db, const char *ski, GError **error)
{
	return query_texts(db, &certs_by_ski_statement, 1, ski, NULL, error);
}

GPtrArray *
certs_by_spki(struct db *db, const char *spki_sha256, GError **error)
{
	return query_texts(db, &certs_by_spki_statement, 1, spki_sha256, NULL, error);
}

static const struct statement certs_count_statement = {
	"certs_count",
	"SELECT CASE WHEN reltuples > 100000 THEN reltuples::bigint"
	" ELSE (SELECT count(*) FROM certificate) END"
	" FROM pg_class WHERE oid = 'certificate'::regclass",
};

gint64
certs_count(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &certs_count_statement, NULL, error);
	return rows != NULL ? rows_int(rows, 0, 0) : -1;
}
