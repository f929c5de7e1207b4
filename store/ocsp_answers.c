/*
 * ocsp_answers - rows of our own responder's answers; its certificates are in ocsp_responders.c.
 */
#include "store/ocsp_answers.h"

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

void
ocsp_issuer_row_free(struct ocsp_issuer_row *row)
{
	if (row == NULL)
		return;
	if (row->der != NULL)
		g_bytes_unref(row->der);
	g_free(row->root);
	g_free(row);
}

void
ocsp_answer_row_free(struct ocsp_answer_row *row)
{
	if (row == NULL)
		return;
	g_free(row->issuer_key);
	g_free(row->issuer_spki);
	g_free(row->serial);
	g_free(row->digest);
	if (row->der != NULL)
		g_bytes_unref(row->der);
	g_free(row);
}

/* --- issuers and what they issued --- */

/* A certificate of ours is in the certificate store or, a root, among the roots; where it has left
 * both, nobody can be told anything about it. */
static const struct statement ocsp_issuers_list_statement = {
	"ocsp_issuers_list",
	"SELECT coalesce(c.der, t.der), ca.id, NULL, v.revoked_at, v.reason FROM ca"
	" LEFT JOIN certificate c ON c.thumbprint = ca.thumbprint"
	" LEFT JOIN root t ON t.thumbprint = ca.thumbprint"
	" LEFT JOIN ca_root_revocation v ON v.root = ca.root_thumbprint AND v.serial = c.serial"
	" WHERE coalesce(c.der, t.der) IS NOT NULL"
	" UNION ALL SELECT coalesce(c.der, t.der), 0, r.thumbprint, NULL, NULL FROM"
	" (SELECT thumbprint FROM ca_root UNION SELECT root_thumbprint FROM ca"
	" WHERE root_thumbprint IS NOT NULL) AS r"
	" LEFT JOIN certificate c ON c.thumbprint = r.thumbprint"
	" LEFT JOIN root t ON t.thumbprint = r.thumbprint"
	" WHERE coalesce(c.der, t.der) IS NOT NULL ORDER BY 2, 3",
};

GPtrArray *
ocsp_issuers_list(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_write(db, &ocsp_issuers_list_statement, NULL, error);

	if (rows == NULL)
		return NULL;
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)ocsp_issuer_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct ocsp_issuer_row *row = g_new0(struct ocsp_issuer_row, 1);
		row->der = rows_bytes(rows, r, 0);
		row->ca_id = rows_int(rows, r, 1);
		row->root = g_strdup(rows_text(rows, r, 2));
		row->revoked_at = rows_time(rows, r, 3);
		row->revoked_reason = (gint)rows_int(rows, r, 4);
		g_ptr_array_add(list, row);
	}
	return list;
}

static const struct statement ocsp_standing_statement = {
	"ocsp_standing",
	"SELECT EXISTS (SELECT 1 FROM ca_issued WHERE ca_id = ANY ($1::bigint[]) AND serial = $3)"
	" OR EXISTS (SELECT 1 FROM certificate WHERE serial = $3 AND own_ca = ANY ($2::text[])),"
	" v.revoked_at, v.reason"
	" FROM (SELECT 1) AS one LEFT JOIN (SELECT revoked_at, reason FROM ca_revocation"
	" WHERE ca_id = ANY ($1::bigint[]) AND serial = $3"
	" UNION ALL SELECT revoked_at, reason FROM ca_root_revocation"
	" WHERE root = ANY ($2::text[]) AND serial = $3 ORDER BY 1 LIMIT 1) AS v ON true",
};

gboolean
ocsp_standing_find(struct tx *tx, const gint64 *ca_ids, gsize ca_count, const char *const *roots,
		   gsize root_count, const char *serial, struct ocsp_standing *standing,
		   GError **error)
{
	struct params *params = params_new();

	params_int_array(params, ca_ids, ca_count);
	params_text_array(params, roots, root_count);
	params_text(params, serial);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ocsp_standing_statement, params, error);
	if (rows == NULL)
		return FALSE;
	standing->issued = rows_bool(rows, 0, 0);
	standing->revoked_at = rows_time(rows, 0, 1);
	standing->reason = (gint)rows_int(rows, 0, 2);
	return TRUE;
}

/* --- answers --- */

static const struct statement ocsp_answers_lock_statement = {
	"ocsp_answers_lock",
	"SELECT ocsp_answer_lock(false)",
};

gboolean
ocsp_answers_lock(struct tx *tx, GError **error)
{
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ocsp_answers_lock_statement, NULL, error);

	return rows != NULL;
}

static struct params *
name_params(const struct ocsp_answer_row *row)
{
	struct params *params = params_new();

	params_text(params, row->issuer_key);
	params_text(params, row->issuer_spki);
	params_text(params, row->serial);
	params_text(params, row->digest);
	return params;
}

#define NAMED " WHERE issuer_key = $1 AND issuer_spki = $2 AND serial = $3 AND digest = $4"

static struct ocsp_answer_row *
named_row(const struct ocsp_answer_row *name, const struct rows *rows)
{
	struct ocsp_answer_row *row = g_new0(struct ocsp_answer_row, 1);

	row->issuer_key = g_strdup(name->issuer_key);
	row->issuer_spki = g_strdup(name->issuer_spki);
	row->serial = g_strdup(name->serial);
	row->digest = g_strdup(name->digest);
	row->der = rows_bytes(rows, 0, 0);
	row->this_update = rows_time(rows, 0, 1);
	row->next_update = rows_time(rows, 0, 2);
	row->refresh = rows_time(rows, 0, 3);
	row->asked = rows_time(rows, 0, 4);
	return row;
}

#define ANSWER_COLUMNS "SELECT der, this_update, next_update, refresh, asked FROM ocsp_answer"
static const struct statement ocsp_answers_find_statement = {
	"ocsp_answers_find",
	ANSWER_COLUMNS NAMED,
};

gboolean
ocsp_answers_find(struct db *db, const struct ocsp_answer_row *wanted, struct ocsp_answer_row **row,
		  GError **error)
{
	*row = NULL;
	CLEANUP(rows)
	struct rows *rows = db_write(db, &ocsp_answers_find_statement, name_params(wanted), error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 1)
		*row = named_row(wanted, rows);
	return TRUE;
}

static const struct statement ocsp_answers_asked_statement = {
	"ocsp_answers_asked",
	"UPDATE ocsp_answer SET asked = $5" NAMED,
};

gboolean
ocsp_answers_asked(struct db *db, const struct ocsp_answer_row *row, gint64 at, GError **error)
{
	struct params *params = name_params(row);

	params_time(params, at);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &ocsp_answers_asked_statement, params, error);
	return rows != NULL;
}

static const struct statement ocsp_answers_put_statement = {
	"ocsp_answers_put",
	"INSERT INTO ocsp_answer AS a (issuer_key, issuer_spki, serial, digest, der, this_update,"
	" next_update, refresh, asked) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	" ON CONFLICT (issuer_key, serial, digest, issuer_spki) DO UPDATE SET der = excluded.der,"
	" this_update = excluded.this_update, next_update = excluded.next_update,"
	" refresh = excluded.refresh, asked = greatest(a.asked, excluded.asked)"
	" WHERE a.refresh <= $10",
};
static const struct statement ocsp_answers_present_statement = {
	"ocsp_answers_present",
	ANSWER_COLUMNS NAMED,
};

struct ocsp_answer_row *
ocsp_answers_put(struct tx *tx, const struct ocsp_answer_row *row, gint64 due, GError **error)
{
	struct params *params = name_params(row);

	params_bytes(params, row->der);
	params_time(params, row->this_update);
	params_time(params, row->next_update);
	params_time(params, row->refresh);
	params_time(params, row->asked);
	params_time(params, due);
	CLEANUP(rows) struct rows *put = tx_query(tx, &ocsp_answers_put_statement, params, error);
	if (put == NULL)
		return NULL;
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &ocsp_answers_present_statement, name_params(row), error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) != 1)
		return fail(error, PS_ERROR_TEMPORARY,
			    "an OCSP answer was dropped while it was made");
	return named_row(row, rows);
}

static const struct statement ocsp_answers_due_statement = {
	"ocsp_answers_due",
	"SELECT issuer_key, issuer_spki, serial, digest, this_update, next_update, refresh, asked"
	" FROM ocsp_answer WHERE refresh <= $1 AND asked >= $2 ORDER BY refresh LIMIT $3",
};

GPtrArray *
ocsp_answers_due(struct db *db, gint64 due, gint64 asked_since, gint limit, GError **error)
{
	struct params *params = params_new();

	params_time(params, due);
	params_time(params, asked_since);
	params_int(params, limit);
	CLEANUP(rows) struct rows *rows = db_write(db, &ocsp_answers_due_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)ocsp_answer_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct ocsp_answer_row *row = g_new0(struct ocsp_answer_row, 1);
		row->issuer_key = g_strdup(rows_text(rows, r, 0));
		row->issuer_spki = g_strdup(rows_text(rows, r, 1));
		row->serial = g_strdup(rows_text(rows, r, 2));
		row->digest = g_strdup(rows_text(rows, r, 3));
		row->this_update = rows_time(rows, r, 4);
		row->next_update = rows_time(rows, r, 5);
		row->refresh = rows_time(rows, r, 6);
		row->asked = rows_time(rows, r, 7);
		g_ptr_array_add(list, row);
	}
	return list;
}

static const struct statement ocsp_answers_forget_statement = {
	"ocsp_answers_forget",
	"DELETE FROM ocsp_answer WHERE next_update < $1",
};

gboolean
ocsp_answers_forget(struct db *db, gint64 ended_before, GError **error)
{
	struct params *params = params_new();

	params_time(params, ended_before);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &ocsp_answers_forget_statement, params, error);
	return rows != NULL;
}

/* --- ahead of questions --- */

/* Nobody asks about the certificates of responders (id-pkix-ocsp-nocheck). */
#define BOOKS                                                                                      \
	" FROM (SELECT serial FROM ca_issued WHERE ca_id = ANY ($1::bigint[]) AND not_after > $4"  \
	" UNION SELECT c.serial FROM certificate c WHERE c.own_ca = ANY ($2::text[])"              \
	" AND c.not_after > $4 AND NOT EXISTS (SELECT 1 FROM ocsp_responder o"                     \
	" WHERE o.thumbprint = c.thumbprint) ORDER BY 1 LIMIT $3) AS b"
#define ANSWERED                                                                                   \
	"EXISTS (SELECT 1 FROM ocsp_answer a WHERE a.issuer_key = $5 AND a.issuer_spki = $6"       \
	" AND a.serial = b.serial AND a.digest = $7 AND "

static struct params *
books_params(const struct ocsp_books *books)
{
	struct params *params = params_new();

	params_int_array(params, books->ca_ids, books->ca_count);
	params_text_array(params, books->roots, books->root_count);
	params_int(params, books->max);
	params_time(params, books->now);
	params_text(params, books->issuer_key);
	params_text(params, books->issuer_spki);
	params_text(params, books->digest);
	return params;
}

static const struct statement ocsp_answers_missing_statement = {
	"ocsp_answers_missing",
	"SELECT b.serial" BOOKS " WHERE b.serial > $9 AND NOT " ANSWERED "a.refresh > $8)"
	" ORDER BY b.serial LIMIT $10",
};

GPtrArray *
ocsp_answers_missing(struct db *db, const struct ocsp_books *books, gint64 due, const char *after,
		     gint limit, GError **error)
{
	struct params *params = books_params(books);

	params_time(params, due);
	params_text(params, after);
	params_int(params, limit);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &ocsp_answers_missing_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *serials = g_ptr_array_new_with_free_func(g_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(serials, g_strdup(rows_text(rows, r, 0)));
	return serials;
}

static const struct statement ocsp_answers_tally_statement = {
	"ocsp_answers_tally",
	"SELECT count(*), count(*) FILTER (WHERE " ANSWERED "a.next_update > $4))" BOOKS,
};

gboolean
ocsp_answers_tally(struct db *db, const struct ocsp_books *books, gint64 *wanted, gint64 *ready,
		   GError **error)
{
	CLEANUP(rows)
	struct rows *rows = db_write(db, &ocsp_answers_tally_statement, books_params(books), error);

	if (rows == NULL)
		return FALSE;
	*wanted = rows_int(rows, 0, 0);
	*ready = rows_int(rows, 0, 1);
	return TRUE;
}
