/*
 * crl_entries - what stands on revocation lists, what stood on them, and how they leave.
 *
 * Serials are kept as the octets of their INTEGER and given out as text, as certificates do.
 */
#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/crl_entries.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/lookups.h"

/* Of what is kept without effect: rows an issuer, rows and bytes in all. */
#define KEPT_PER_ISSUER 8
#define KEPT_MAX 200
#define KEPT_MAX_BYTES (G_GINT64_CONSTANT(512) * 1024 * 1024)
#define SERIAL_MAX_BYTES 256

void
revoked_row_free(struct revoked_row *entry)
{
	if (entry == NULL)
		return;
	g_free(entry->serial);
	g_free(entry->issuer_key);
	g_free(entry);
}

/* Two's complement, of which the number is wanted, or the other way round. */
static void
negate(guint8 *bytes, gsize length)
{
	unsigned int carry = 1;

	for (gsize i = length; i-- > 0;) {
		unsigned int sum = (unsigned int)(guint8)~bytes[i] + carry;

		bytes[i] = (guint8)sum;
		carry = sum >> 8;
	}
}

static char *
serial_text(GBytes *serial)
{
	gsize length;
	g_autofree guint8 *bytes = NULL;
	gconstpointer octets = g_bytes_get_data(serial, &length);

	if (length == 0)
		return g_strdup("0");
	bytes = g_memdup2(octets, length);
	gboolean negative = (bytes[0] & 0x80) != 0;
	if (negative)
		negate(bytes, length);
	g_autofree char *hex = hex_encode(bytes, length);
	const char *p = hex;
	while (*p == '0' && p[1] != '\0')
		p++;
	return g_strconcat(negative ? "-" : "", p, NULL);
}

/* NULL when it is no number. */
static GBytes *
serial_octets(const char *hex)
{
	guint8 bytes[SERIAL_MAX_BYTES + 2] = { 0 };
	gboolean negative = *hex == '-';
	gsize digits = strlen(hex += negative);
	gsize length = (digits + 1) / 2;
	gsize skip;

	if (digits == 0 || length > SERIAL_MAX_BYTES)
		return NULL;
	for (gsize i = 0; i < digits; i++) {
		int value = g_ascii_xdigit_value(hex[digits - 1 - i]);

		if (value < 0)
			return NULL;
		bytes[length - i / 2] |= (guint8)(i % 2 == 0 ? value : value << 4);
	}
	if (negative)
		negate(bytes, length + 1);
	/* The shortest form: no octet that the next one's sign makes superfluous. */
	for (skip = 0; skip < length; skip++)
		if (bytes[skip] != (negative ? 0xff : 0) ||
		    ((bytes[skip + 1] & 0x80) != 0) != negative)
			break;
	return g_bytes_new(bytes + skip, length + 1 - skip);
}

/* --- writing --- */

struct copy *
crls_entries_begin(struct tx *tx, GError **error)
{
	return tx_copy_in(tx,
			  "COPY crl_entry (crl_id, revoked_at, reason, serial, issuer_key)"
			  " FROM STDIN (FORMAT binary)",
			  5, error);
}

void
crls_entries_add(struct copy *copy, gint64 crl_id, const guint8 *serial, gsize length,
		 const char *issuer_key, gint64 revoked_at, gint reason)
{
	copy_row(copy);
	copy_int(copy, crl_id);
	copy_time(copy, revoked_at);
	copy_int2(copy, (gint16)reason);
	copy_bytes(copy, serial, length);
	copy_text(copy, issuer_key);
}

/* Hold (6) may be lifted, and "remove from CRL" (8) is none. Of several the first date counts. */
static const struct statement crls_keep_past_statement = {
	"crls_keep_past",
	"WITH kept AS (INSERT INTO crl_past (line, serial, issuer_key, revoked_at, reason)"
	" SELECT $1, o.serial, coalesce(o.issuer_key, ''), o.revoked_at, o.reason FROM crl_entry o"
	" WHERE o.crl_id = $2 AND o.reason NOT IN (6, 8) AND NOT EXISTS (SELECT 1 FROM crl_entry n"
	" WHERE n.crl_id = $3 AND n.serial = o.serial AND n.issuer_key IS NOT DISTINCT FROM"
	" o.issuer_key AND n.reason NOT IN (6, 8)) AND NOT EXISTS (SELECT 1 FROM crl_entry n"
	" WHERE n.crl_id = $4 AND n.serial = o.serial AND n.issuer_key IS NOT DISTINCT FROM"
	" o.issuer_key AND n.reason NOT IN (6, 8)) ON CONFLICT DO NOTHING RETURNING 1)"
	" UPDATE crl_line SET past = past + (SELECT count(*) FROM kept) WHERE id = $1",
};
static const struct statement crls_drop_entries_statement = {
	"crls_drop_entries",
	"DELETE FROM crl_entry WHERE crl_id = $1",
};
static const struct statement crls_drop_list_statement = {
	"crls_drop_list",
	"DELETE FROM crl WHERE id = $1",
};
/* Without figures of the rows that have just come the planner would look each of them up. */
static const struct statement crls_plan_statement = {
	"crls_plan",
	"SELECT set_config('enable_nestloop', $1, true)",
};

static gboolean
run_with_id(struct tx *tx, const struct statement *statement, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows) struct rows *rows = tx_query(tx, statement, params, error);
	return rows != NULL;
}

gboolean
crls_entries_drop(struct tx *tx, gint64 crl_id, GError **error)
{
	return run_with_id(tx, &crls_drop_entries_statement, crl_id, error);
}

static gboolean
plan_nestloop(struct tx *tx, const char *value, GError **error)
{
	struct params *params = params_new();

	params_text(params, value);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_plan_statement, params, error);
	return rows != NULL;
}

static gboolean
keep_past(struct tx *tx, const struct crl_row *old, const gint64 *beside, gsize n, GError **error)
{
	struct params *params = params_new();

	params_int(params, old->line);
	params_int(params, old->id);
	params_int(params, n > 0 ? beside[0] : 0);
	params_int(params, n > 1 ? beside[1] : 0);
	CLEANUP(rows) struct rows *kept = tx_query(tx, &crls_keep_past_statement, params, error);
	return kept != NULL;
}

gboolean
crls_retire(struct tx *tx, const struct crl_row *old, const gint64 *beside, gsize n, GError **error)
{
	tx_changed(tx, CHANGE_CRL, old->issuer_key);
	return tx_set_patience(tx, COPY_PATIENCE_SECONDS, error) &&
	       plan_nestloop(tx, "off", error) && keep_past(tx, old, beside, n, error) &&
	       plan_nestloop(tx, "on", error) && crls_entries_drop(tx, old->id, error) &&
	       run_with_id(tx, &crls_drop_list_statement, old->id, error);
}

/* One that is not supported still revokes whom it names: what anybody can send must not push it
 * out. */
static const struct statement crls_prune_statement = {
	"crls_prune",
	"DELETE FROM crl WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY"
	" issuer_key ORDER BY created DESC, id DESC) AS own, row_number() OVER (ORDER BY"
	" created DESC, id DESC) AS n, sum(size) OVER (ORDER BY created DESC, id DESC) AS bytes"
	" FROM crl WHERE state NOT IN ('usable', 'unchecked', 'unsupported')) AS kept"
	" WHERE (own > $2 OR n > $3 OR bytes > $4) AND id <> $1)",
};
/* From where the last one came with the same fault another one takes its place. */
static const struct statement crls_prune_same_statement = {
	"crls_prune_same",
	"DELETE FROM crl WHERE id <> $1 AND issuer_key = $2 AND aki = $3 AND scope = $4"
	" AND (base_number IS NOT NULL) = $5 AND source = $6 AND state = $7",
};

gboolean
crls_prune(struct tx *tx, const struct crl_row *newest, GError **error)
{
	struct params *params = params_new();

	params_int(params, newest->id);
	params_text(params, newest->issuer_key);
	params_text(params, newest->aki != NULL ? newest->aki : "");
	params_text(params, newest->scope != NULL ? newest->scope : "");
	params_bool(params, newest->base_number != NULL);
	params_text(params, newest->source != NULL ? newest->source : "import");
	params_text(params, crl_state_name(newest->state));
	CLEANUP(rows) struct rows *same = tx_query(tx, &crls_prune_same_statement, params, error);
	if (same == NULL)
		return FALSE;
	params = params_new();
	params_int(params, newest->id);
	params_int(params, KEPT_PER_ISSUER);
	params_int(params, KEPT_MAX);
	params_int(params, KEPT_MAX_BYTES);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_prune_statement, params, error);
	return rows != NULL;
}

static const struct statement crls_delete_statement = {
	"crls_delete",
	"DELETE FROM crl WHERE thumbprint = $1 RETURNING issuer_key, id,"
	" CASE WHEN base_number IS NULL AND state = 'usable' THEN line END",
};
static const struct statement crls_forget_statement = {
	"crls_forget",
	"WITH gone AS (DELETE FROM crl_past WHERE line IN (SELECT id FROM crl_line WHERE id = $1 OR"
	" (issuer_key = $2 AND signer_key = $3)) RETURNING line)"
	" UPDATE crl_line SET past = 0 WHERE id IN (SELECT line FROM gone) RETURNING issuer_key",
};

static gboolean
forget(struct tx *tx, gint64 line, const char *issuer_key, const char *signer_key, GError **error)
{
	struct params *params = params_new();

	params_int(params, line);
	params_text(params, issuer_key);
	params_text(params, signer_key);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_forget_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) > 0)
		tx_changed(tx, CHANGE_CRL, rows_text(rows, 0, 0));
	return TRUE;
}

gboolean
crls_forget_past(struct tx *tx, const char *issuer_key, const char *signer_key, GError **error)
{
	return forget(tx, 0, issuer_key, signer_key, error);
}

gboolean
crls_delete(struct tx *tx, const char *thumbprint, GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	if (!tx_set_patience(tx, COPY_PATIENCE_SECONDS, error)) {
		params_free(params);
		return FALSE;
	}
	CLEANUP(rows) struct rows *rows = tx_query(tx, &crls_delete_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND, "CRL %.16s is not in the store",
				  thumbprint);
	tx_changed(tx, CHANGE_CRL, rows_text(rows, 0, 0));
	return crls_entries_drop(tx, rows_int(rows, 0, 1), error) &&
	       (rows_is_null(rows, 0, 2) || forget(tx, rows_int(rows, 0, 2), NULL, NULL, error));
}

/* --- reading --- */

static GPtrArray *
entries_read(struct rows *rows)
{
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)revoked_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct revoked_row *entry = g_new0(struct revoked_row, 1);
		g_autoptr(GBytes) serial = rows_bytes(rows, r, 0);

		entry->serial = serial_text(serial);
		entry->issuer_key = g_strdup(rows_text(rows, r, 1));
		entry->revoked_at = rows_time(rows, r, 2);
		entry->reason = (gint)rows_int(rows, r, 3);
		entry->past = rows_bool(rows, r, 4);
		g_ptr_array_add(found, entry);
	}
	rows_free(rows);
	return found;
}

static const struct statement crls_entries_statement = {
	"crls_entries",
	"SELECT serial, issuer_key, revoked_at, reason, false FROM crl_entry WHERE crl_id = $1"
	" AND ($2::bytea IS NULL OR serial > $2) ORDER BY crl_id, serial LIMIT $3",
};

GPtrArray *
crls_entries(struct db *db, gint64 crl_id, const char *after, gint64 limit, GError **error)
{
	g_autoptr(GBytes) octets = after != NULL ? serial_octets(after) : NULL;
	struct params *params = params_new();

	params_int(params, crl_id);
	params_bytes(params, octets);
	params_int(params, limit);
	return entries_read(db_query(db, &crls_entries_statement, params, error));
}

static const struct statement crls_entries_of_statement = {
	"crls_entries_of",
	"SELECT serial, issuer_key, revoked_at, reason, false FROM crl_entry WHERE crl_id = $1"
	" AND serial = $3 UNION ALL SELECT serial, nullif(issuer_key, ''), revoked_at, reason, true"
	" FROM crl_past WHERE line = $2 AND serial = $3",
};

GPtrArray *
crls_entries_of(struct db *db, const struct crl_row *row, const char *serial, GError **error)
{
	g_autoptr(GBytes) octets = serial_octets(serial);

	if (octets == NULL)
		return fail(error, PS_ERROR_INVALID, "'%s' is no serial number", serial);
	struct params *params = params_new();
	params_int(params, row->id);
	params_int(params, row->line);
	params_bytes(params, octets);
	return entries_read(db_query(db, &crls_entries_of_statement, params, error));
}

static const struct statement crls_past_statement = {
	"crls_past",
	"SELECT serial, nullif(issuer_key, ''), revoked_at, reason, true FROM crl_past"
	" WHERE line = $1",
};

GPtrArray *
crls_past(struct db *db, gint64 line, GError **error)
{
	struct params *params = params_new();

	params_int(params, line);
	return entries_read(db_query(db, &crls_past_statement, params, error));
}

/* Under the name of its own issuer alone; an indirect list is looked for under every name. */
const struct statement crls_revoked_statement = {
	"crls_revoked",
	"SELECT e.revoked_at, e.reason FROM crl c JOIN crl_entry e ON e.crl_id = c.id"
	" WHERE c.issuer_key = $1 AND e.serial = $2 AND e.issuer_key IS NULL"
	" AND c.state IN ('usable', 'unchecked') UNION ALL"
	" SELECT p.revoked_at, p.reason FROM crl_line l JOIN crl_past p ON p.line = l.id"
	" WHERE l.issuer_key = $1 AND p.serial = $2 AND p.issuer_key = '' ORDER BY 1 LIMIT 1",
};

gboolean
crls_revoked(struct db *db, const char *issuer_key, const char *serial, gboolean *found,
	     struct revoked_row *entry, GError **error)
{
	g_autoptr(GBytes) octets = serial_octets(serial);
	struct params *params;

	*found = FALSE;
	*entry = (struct revoked_row){ 0 };
	if (octets == NULL)
		return TRUE;
	params = params_new();
	params_text(params, issuer_key);
	params_bytes(params, octets);
	CLEANUP(rows) struct rows *rows = db_query(db, &crls_revoked_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*found = rows_count(rows) > 0;
	if (*found) {
		entry->revoked_at = rows_time(rows, 0, 0);
		entry->reason = (gint)rows_int(rows, 0, 1);
	}
	return TRUE;
}
