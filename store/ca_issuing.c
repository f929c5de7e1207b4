/*
 * ca_issuing - SQL and mapping of what issuing needs and leaves behind.
 */
#include "store/ca_issuing.h"

#include <string.h>

#include "store/base/error.h"
#include "store/cas_internal.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/publish_targets.h"

#define SEPARATOR "\x1f" /* stands in no name and no value */

void
ca_extension_row_free(struct ca_extension_row *row)
{
	if (row == NULL)
		return;
	g_free(row->profile);
	g_free(row->name);
	g_free(row->value);
	g_free(row);
}

void
ca_issuing_free(struct ca_issuing *issuing)
{
	if (issuing == NULL)
		return;
	ca_row_free(issuing->ca);
	ca_defaults_free(issuing->defaults);
	g_ptr_array_unref(issuing->extensions);
	g_strfreev(issuing->urls);
	g_free(issuing);
}

void
ca_issued_row_free(struct ca_issued_row *row)
{
	if (row == NULL)
		return;
	g_free(row->serial);
	g_free(row->profile);
	g_free(row);
}

static GPtrArray *
extensions_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)ca_extension_row_free);
}

static void
extension_add(GPtrArray *all, const char *profile, const char *name, const char *value)
{
	struct ca_extension_row *row = g_new0(struct ca_extension_row, 1);

	row->profile = g_strdup(profile);
	row->name = g_strdup(name);
	row->value = g_strdup(value);
	g_ptr_array_add(all, row);
}

static const struct statement ca_issuing_find_statement = {
	"ca_issuing_find",
	"SELECT " CA_ROW_COLUMNS ","
	" (SELECT array_agg(d.name || '=' || d.value) FROM ca_default d),"
	" (SELECT array_agg(concat_ws(chr(31), e.profile, e.name, e.value) ORDER BY e.name)"
	" FROM ca_extension e WHERE e.ca_id = ca.id),"
	" (SELECT l.urls FROM ca_list l WHERE l.issuer = ca.thumbprint"
	" AND l.crl_partition = ca.crl_partition),"
	" EXISTS (SELECT 1 FROM ca_revocation r WHERE r.spki_sha256 = $2)"
	" FROM ca WHERE $1::text IS NULL OR ca.name = $1 OR ca.thumbprint = $1"
	" ORDER BY ca.is_default DESC, ca.id",
};

static struct ca_issuing *
issuing_read(const struct rows *rows, int r)
{
	struct ca_issuing *issuing = g_new0(struct ca_issuing, 1);
	g_auto(GStrv) defaults = rows_text_array(rows, r, CA_ROW_COLUMN_COUNT);
	g_auto(GStrv) extensions = rows_text_array(rows, r, CA_ROW_COLUMN_COUNT + 1);

	issuing->ca = ca_row_read(rows, r);
	issuing->defaults = ca_defaults_from((const char *const *)defaults);
	issuing->extensions = extensions_new();
	for (char **one = extensions; *one != NULL; one++) {
		g_auto(GStrv) parts = g_strsplit(*one, SEPARATOR, 3);

		if (g_strv_length(parts) == 3)
			extension_add(issuing->extensions, parts[0], parts[1], parts[2]);
	}
	issuing->urls = rows_text_array(rows, r, CA_ROW_COLUMN_COUNT + 2);
	issuing->key_revoked = rows_bool(rows, r, CA_ROW_COLUMN_COUNT + 3);
	return issuing;
}

GPtrArray *
ca_issuing_find(struct tx *tx, const char *ca, const char *spki_sha256, GError **error)
{
	struct params *params = params_new();

	params_text(params, ca);
	params_text(params, spki_sha256);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_issuing_find_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)ca_issuing_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(found, issuing_read(rows, r));
	return found;
}

static const struct statement ca_issuing_cert_statement = {
	"ca_issuing_cert",
	"SELECT der FROM certificate WHERE thumbprint = $1"
	" UNION ALL SELECT der FROM root WHERE thumbprint = $1 LIMIT 1",
};

GBytes *
ca_issuing_cert(struct tx *tx, const char *thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_issuing_cert_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "the CA's certificate %.16s is no longer in the store; import it again",
			    thumbprint);
	return rows_bytes(rows, 0, 0);
}

static const struct statement ca_issued_insert_statement = {
	"ca_issued_insert",
	"INSERT INTO ca_issued (ca_id, serial, crl_partition, not_after, profile)"
	" VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
};

gboolean
ca_issued_insert(struct tx *tx, const struct ca_issued_row *row, gboolean *is_new, GError **error)
{
	struct params *params = params_new();

	params_int(params, row->ca_id);
	params_text(params, row->serial);
	params_int(params, row->partition);
	params_time(params, row->not_after);
	params_text(params, row->profile);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_issued_insert_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*is_new = rows_affected(rows) > 0;
	return publish_targets_wake(tx, error);
}

static const struct statement ca_issued_insert_many_statement = {
	"ca_issued_insert_many",
	"INSERT INTO ca_issued (ca_id, serial, crl_partition, not_after, profile)"
	" SELECT n.ca, n.serial, n.part, to_timestamp(n.not_after), n.profile"
	" FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::bigint[], $5::text[])"
	" AS n(ca, serial, part, not_after, profile) ON CONFLICT DO NOTHING",
};

gboolean
ca_issued_insert_many(struct tx *tx, const struct ca_issued_row *rows, gsize n, GError **error)
{
	g_autofree gint64 *numbers = g_new(gint64, 3 * n + 1);
	g_autofree const char **texts = g_new(const char *, 2 * n + 1);
	struct params *params = params_new();

	for (gsize i = 0; i < n; i++) {
		numbers[i] = rows[i].ca_id;
		numbers[n + i] = rows[i].partition;
		numbers[2 * n + i] = rows[i].not_after;
		texts[i] = rows[i].serial;
		texts[n + i] = rows[i].profile;
	}
	params_int_array(params, numbers, n);
	params_text_array(params, texts, n);
	params_int_array(params, numbers + n, n);
	params_int_array(params, numbers + 2 * n, n);
	params_text_array(params, texts + n, n);
	CLEANUP(rows)
	struct rows *made = tx_query(tx, &ca_issued_insert_many_statement, params, error);
	if (made == NULL)
		return FALSE;
	if (rows_affected(made) != (gint64)n)
		return fail_false(error, PS_ERROR_TEMPORARY, "a serial number was given before");
	return publish_targets_wake(tx, error);
}

static const struct statement ca_issued_find_statement = {
	"ca_issued_find",
	"SELECT ca_id, serial, crl_partition, not_after, profile FROM ca_issued"
	" WHERE ca_id = $1 AND serial = $2",
};

static gboolean
take_issued(struct rows *taken, struct ca_issued_row **row)
{
	CLEANUP(rows) struct rows *rows = taken;

	*row = NULL;
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return TRUE;
	*row = g_new0(struct ca_issued_row, 1);
	(*row)->ca_id = rows_int(rows, 0, 0);
	(*row)->serial = g_strdup(rows_text(rows, 0, 1));
	(*row)->partition = rows_int(rows, 0, 2);
	(*row)->not_after = rows_time(rows, 0, 3);
	(*row)->profile = g_strdup(rows_text(rows, 0, 4));
	return TRUE;
}

static struct params *
issued_params(gint64 ca_id, const char *serial)
{
	struct params *params = params_new();

	params_int(params, ca_id);
	params_text(params, serial);
	return params;
}

gboolean
ca_issued_find(struct db *db, gint64 ca_id, const char *serial, struct ca_issued_row **row,
	       GError **error)
{
	return take_issued(
	    db_query(db, &ca_issued_find_statement, issued_params(ca_id, serial), error), row);
}

gboolean
ca_issued_find_in_tx(struct tx *tx, gint64 ca_id, const char *serial, struct ca_issued_row **row,
		     GError **error)
{
	return take_issued(
	    tx_query(tx, &ca_issued_find_statement, issued_params(ca_id, serial), error), row);
}

static const struct statement ca_extensions_list_statement = {
	"ca_extensions_list",
	"SELECT profile, name, value FROM ca_extension WHERE ca_id = $1 ORDER BY profile, name",
};

GPtrArray *
ca_extensions_list(struct db *db, gint64 ca_id, GError **error)
{
	struct params *params = params_new();

	params_int(params, ca_id);
	CLEANUP(rows)
	struct rows *rows = db_query(db, &ca_extensions_list_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = extensions_new();
	for (int r = 0; r < rows_count(rows); r++)
		extension_add(found, rows_text(rows, r, 0), rows_text(rows, r, 1),
			      rows_text(rows, r, 2));
	return found;
}

static const struct statement ca_extensions_clear_statement = {
	"ca_extensions_clear",
	"DELETE FROM ca_extension WHERE ca_id = $1 AND profile = $2",
};
static const struct statement ca_extensions_add_statement = {
	"ca_extensions_add",
	"INSERT INTO ca_extension (ca_id, profile, name, value) VALUES ($1, $2, $3, $4)",
};

gboolean
ca_extensions_replace(struct tx *tx, gint64 ca_id, const char *profile, const GPtrArray *all,
		      GError **error)
{
	CLEANUP(rows)
	struct rows *cleared =
	    tx_query(tx, &ca_extensions_clear_statement, issued_params(ca_id, profile), error);

	if (cleared == NULL)
		return FALSE;
	for (guint i = 0; i < all->len; i++) {
		const struct ca_extension_row *row = g_ptr_array_index(all, i);
		struct params *params = issued_params(ca_id, profile);

		params_text(params, row->name);
		params_text(params, row->value);
		CLEANUP(rows)
		struct rows *rows = tx_query(tx, &ca_extensions_add_statement, params, error);
		if (rows == NULL)
			return FALSE;
	}
	tx_changed(tx, CHANGE_CA, NULL);
	return TRUE;
}
