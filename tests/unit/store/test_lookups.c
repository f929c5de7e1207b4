/*
 * Every look-up of the mail path uses an index, with 20,000 users in the database, both for the
 * values asked for and as a generic plan (which PostgreSQL may switch to for prepared statements).
 */
#include <glib.h>
#include <string.h>

#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/lookups.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

static const char load[] =
    "INSERT INTO certificate (thumbprint, der, subject, issuer, subject_key, issuer_key, serial,"
    " not_before, not_after, spki_sha256, ski, aki, is_ca, self_signed, key_kind, key_bits, origin)"
    " SELECT md5('t' || n) || md5('u' || n), '\\x30', 'CN=' || n, 'CN=CA', md5('s' || n / 2),"
    " md5('i' || n % 50), to_hex(n), now(), now() + interval '1 year', md5('k' || n), md5('x' || "
    "n),"
    " md5('a' || n % 50), n % 100 = 0, false, 'RSA', 2048, 'import'"
    " FROM generate_series(1, 20000) AS n;"
    "INSERT INTO certificate_email SELECT 'user' || id || '@example.com', id FROM certificate;"
    "INSERT INTO certificate_email SELECT 'alias' || id || '@example.com', id FROM certificate;"
    "INSERT INTO capability (email, ciphers, transports, signed)"
    " SELECT 'user' || id || '@example.com', 31, 0, now() FROM certificate;"
    "INSERT INTO private_key (spki_sha256, sealed, generation, kind, bits, origin, made)"
    " SELECT md5('k' || n), '\\x30', 1, 'RSA', 2048, 'imported', now()"
    " FROM generate_series(1, 20000) AS n;"
    "INSERT INTO root (thumbprint, der, subject, subject_key, serial, not_before, not_after,"
    " spki_sha256, source) SELECT md5('t' || n) || md5('u' || n), '\\x30', 'CN=' || n,"
    " md5('s' || n), to_hex(n), now(), now(), md5('k' || n), 'import'"
    " FROM generate_series(1, 2000) AS n;"
    "INSERT INTO ctl_entry (thumbprint, kind) SELECT md5('t' || n) || md5('u' || n), 'allow'"
    " FROM generate_series(1, 20000) AS n;"
    "INSERT INTO scope (key, kind, name) SELECT 'u:user' || n || '@example.com', 'user',"
    " 'user' || n || '@example.com' FROM generate_series(1, 20000) AS n;"
    "INSERT INTO preference (scope, name, value) SELECT key, 'sign_mode', 'required' FROM scope;"
    "INSERT INTO preference (scope, name, value)"
    " SELECT key, 'aliases', replace(name, 'user', 'alias') FROM scope WHERE kind = 'user';"
    "INSERT INTO selection (scope, kind, thumbprint)"
    " SELECT key, 'encrypt', md5(key) FROM scope;"
    "INSERT INTO crl_line (issuer_key, signer_key, scope)"
    " SELECT md5('i' || n), md5('k'), '' FROM generate_series(1, 20000) AS n;"
    "INSERT INTO crl (thumbprint, der, issuer, issuer_key, this_update, source, entries, state, "
    "line)"
    " SELECT md5(issuer_key), '\\x30', 'CN=CA', issuer_key, now(), 'x', 1, 'usable', id"
    " FROM crl_line;"
    "INSERT INTO crl_past (line, serial, revoked_at, reason)"
    " SELECT id, decode(lpad(to_hex(id), 8, '0'), 'hex'), now(), 0 FROM crl_line;"
    "INSERT INTO crl_entry (crl_id, revoked_at, reason, serial)"
    " SELECT id, now(), 0, decode(lpad(to_hex(id), 8, '0'), 'hex') FROM crl;"
    "INSERT INTO ocsp (issuer_key, issuer_spki, serial, next_try)"
    " SELECT md5('i' || n % 5), md5('k'), to_hex(n), now() FROM generate_series(1, 20000) AS n;"
    "ANALYZE";

enum arguments { ONE_TEXT, TWO_TEXTS, ONE_ARRAY, TWO_ARRAYS };

static const struct lookup {
	const struct statement *statement;
	enum arguments arguments;
	const char *first, *second;
} lookups[] = {
	{ &certs_by_thumbprints_statement, ONE_ARRAY, "md5('t' || 7) || md5('u' || 7)", NULL },
	{ &candidates_statement, TWO_ARRAYS, "'user7@example.com'",
	  "md5('t' || 9) || md5('u' || 9)" },
	{ &certs_by_emails_statement, ONE_ARRAY, "'user7@example.com'", NULL },
	{ &certs_issuers_statement, ONE_ARRAY, "md5('s' || 7)", NULL },
	{ &certs_by_subject_statement, TWO_TEXTS, "md5('s' || 7)", "md5('x' || 14)" },
	{ &certs_by_issuer_serial_statement, TWO_TEXTS, "md5('i' || 7)", "to_hex(57)" },
	{ &certs_by_ski_statement, ONE_TEXT, "md5('x' || 7)", NULL },
	{ &certs_by_spki_statement, ONE_TEXT, "md5('k' || 7)", NULL },
	{ &keys_find_statement, ONE_TEXT, "md5('k' || 7)", NULL },
	{ &keys_held_statement, ONE_ARRAY, "md5('k' || 7)", NULL },
	{ &crls_held_statement, ONE_ARRAY, "md5('i' || 7)", NULL },
	{ &crls_revoked_statement, TWO_TEXTS, "md5('i' || 7)",
	  "decode(lpad(to_hex(7), 8, '0'), 'hex')" },
	{ &ctl_by_thumbprints_statement, ONE_ARRAY, "md5('t' || 7) || md5('u' || 7)", NULL },
	{ &ocsp_by_certs_statement, TWO_ARRAYS, "md5('i' || 2)", "to_hex(7)" },
	{ &scope_rows_statement, TWO_ARRAYS, "'u:user7@example.com'", "'user7@example.com'" },
	{ &selections_by_scopes_statement, ONE_ARRAY, "'u:user7@example.com'", NULL },
};

struct plan {
	const struct lookup *lookup;
	gboolean generic;
	GString *text;
};

/* A statement of one name has one text in the whole program, so each gets its own. */
static gboolean
run(struct tx *tx, const char *sql, GString *out, GError **error)
{
	static guint counter;
	g_autofree char *name = g_strdup_printf("explain_%u", counter++);
	struct statement statement = { g_intern_string(name), g_intern_string(sql) };
	CLEANUP(rows) struct rows *rows = tx_query(tx, &statement, NULL, error);

	if (rows == NULL)
		return FALSE;
	for (int r = 0; out != NULL && r < rows_count(rows); r++)
		g_string_append_printf(out, "%s\n", rows_text(rows, r, 0));
	return TRUE;
}

static char *
arguments_text(const struct lookup *lookup)
{
	switch (lookup->arguments) {
	case ONE_TEXT:
		return g_strdup(lookup->first);
	case TWO_TEXTS:
		return g_strdup_printf("%s, %s", lookup->first, lookup->second);
	case ONE_ARRAY:
		return g_strdup_printf("ARRAY[%s]", lookup->first);
	case TWO_ARRAYS:
		return g_strdup_printf("ARRAY[%s], ARRAY[%s]", lookup->first, lookup->second);
	}
	return NULL;
}

static gboolean
explain(struct tx *tx, gpointer data, GError **error)
{
	struct plan *plan = data;
	const char *name = plan->lookup->statement->name;
	const char *mode = plan->generic ? "generic" : "custom";
	g_autofree char *arguments = arguments_text(plan->lookup);
	g_autofree char *set = g_strdup_printf("SET LOCAL plan_cache_mode = force_%s_plan", mode);
	g_autofree char *prepare =
	    g_strdup_printf("PREPARE test_%s_%s AS %s", name, mode, plan->lookup->statement->sql);
	g_autofree char *execute =
	    g_strdup_printf("EXPLAIN EXECUTE test_%s_%s(%s)", name, mode, arguments);

	g_string_truncate(plan->text, 0);
	return run(tx, set, NULL, error) && run(tx, prepare, NULL, error) &&
	       run(tx, execute, plan->text, error);
}

static void
test_indexes(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_sql(pg, load);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	for (gsize i = 0; i < 2 * G_N_ELEMENTS(lookups); i++) {
		struct plan plan = { &lookups[i / 2], i % 2 != 0, g_string_new(NULL) };
		gboolean good = db_transaction(db, explain, &plan, &error);
		g_assert_no_error(error);
		g_assert_true(good);
		gboolean scans = strstr(plan.text->str, "Seq Scan") != NULL;
		if (scans || g_test_verbose())
			g_test_message("%s (%s):\n%s", plan.lookup->statement->name,
				       plan.generic ? "generic" : "custom", plan.text->str);
		g_assert_false(scans);
		g_assert_nonnull(strstr(plan.text->str, "Index"));
		g_string_free(plan.text, TRUE);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/lookups/each uses an index", test_indexes);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
