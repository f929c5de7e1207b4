/*
 * What each database role may do, and that the schema explains itself.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/jobs.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;
static guint counter;

/* TRUE when the role may; FALSE when it is denied; anything else fails the test. */
static gboolean
may(struct db *db, const char *sql)
{
	g_autofree char *name = g_strdup_printf("role_%u", counter++);
	g_autoptr(GError) error = NULL;
	/* Statements are static for the pool. */
	struct statement statement = { g_intern_string(name), sql };
	CLEANUP(rows) struct rows *rows = db_write(db, &statement, NULL, &error);
	if (rows != NULL)
		return TRUE;
	if (!g_error_matches(error, PS_ERROR, PS_ERROR_DENIED))
		g_test_message("%s: %s", sql, error->message);
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	return FALSE;
}

static const struct {
	const char *sql;
	gboolean milter, readonly;
} rights[] = {
	{ "SELECT count(*) FROM certificate", TRUE, TRUE },
	{ "SELECT count(*) FROM certificate_email", TRUE, TRUE },
	{ "SELECT count(sealed) FROM private_key", TRUE, TRUE },
	{ "SELECT count(*) FROM root", TRUE, TRUE },
	{ "SELECT count(*) FROM crl", TRUE, TRUE },
	{ "SELECT count(*) FROM crl_entry", TRUE, TRUE },
	{ "SELECT count(*) FROM ctl_entry", TRUE, TRUE },
	{ "SELECT count(*) FROM scope", TRUE, TRUE },
	{ "SELECT count(value) FROM preference", TRUE, TRUE },
	{ "SELECT count(*) FROM selection", TRUE, TRUE },
	{ "SELECT count(*) FROM ca", TRUE, TRUE },
	{ "SELECT count(*) FROM change_log", TRUE, TRUE },
	{ "SELECT count(*) FROM schema_migration", TRUE, TRUE },
	{ "SELECT count(*) FROM ledger", TRUE, TRUE },
	/* Secrets that are not keys, and what is the daemon's own. */
	{ "SELECT count(sealed) FROM preference", FALSE, FALSE },
	{ "SELECT count(*) FROM handler_setting", FALSE, FALSE },
	{ "SELECT count(sealed) FROM directory_server", FALSE, FALSE },
	{ "SELECT count(host) FROM directory_server", FALSE, FALSE },
	{ "SELECT count(domains) FROM directory_server", TRUE, TRUE },
	{ "SELECT count(*) FROM directory_answer", TRUE, TRUE },
	{ "DELETE FROM directory_answer", FALSE, FALSE },
	{ "SELECT milter_job('directory', 'a@b.example', NULL)", TRUE, FALSE },
	{ "SELECT count(*) FROM api_post", FALSE, FALSE },
	{ "SELECT count(*) FROM audit_admin", FALSE, FALSE },
	{ "SELECT count(*) FROM audit_message", FALSE, FALSE },
	{ "SELECT count(*) FROM request", FALSE, FALSE },
	{ "SELECT count(*) FROM job", FALSE, FALSE },
	/* Nobody but the daemon writes. */
	{ "DELETE FROM certificate", FALSE, FALSE },
	{ "UPDATE private_key SET sealed = ''", FALSE, FALSE },
	{ "INSERT INTO change_log (number, kind) VALUES (1, 'cert')", FALSE, FALSE },
	{ "INSERT INTO root (thumbprint) VALUES ('')", FALSE, FALSE },
	{ "DELETE FROM ctl_entry", FALSE, FALSE },
	{ "UPDATE preference SET value = 'off'", FALSE, FALSE },
	{ "DELETE FROM ledger", FALSE, FALSE },
	{ "INSERT INTO job (kind, key, due) VALUES ('a', 'b', now())", FALSE, FALSE },
	{ "CREATE TABLE mine (a int)", FALSE, FALSE },
	{ "SELECT change_append('cert', NULL)", FALSE, FALSE },
	{ "SELECT audit_message_day('2020-01-01')", FALSE, FALSE },
	{ "SELECT audit_message_drop('2020-01-01')", FALSE, FALSE },
	/* The narrow ways. */
	{ "SELECT milter_audit('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',"
	  " '{}', '{}', '{}', '{}')",
	  TRUE, FALSE },
	{ "SELECT milter_ledger_claim(ARRAY[decode(repeat('01', 32), 'hex')], 1,"
	  " decode(repeat('02', 16), 'hex'), '1 minute')",
	  TRUE, FALSE },
	{ "SELECT milter_ledger_complete(ARRAY[decode(repeat('01', 32), 'hex')], 1, 'QID')", TRUE,
	  FALSE },
	{ "SELECT milter_ledger_release(ARRAY[decode(repeat('01', 32), 'hex')], 1,"
	  " decode(repeat('02', 16), 'hex'), true)",
	  TRUE, FALSE },
	{ "SELECT milter_ledger_forget(ARRAY[decode(repeat('01', 32), 'hex')], 1)", TRUE, FALSE },
	{ "SELECT milter_nonce(decode(repeat('02', 16), 'hex'), '1 hour')", TRUE, FALSE },
	{ "SELECT ledger_check(ARRAY[decode(repeat('01', 32), 'hex')], 1)", FALSE, FALSE },
	{ "SELECT milter_job('notice', 'k', NULL)", TRUE, FALSE },
	{ "SELECT milter_job('auto-request', 'a@b.example', NULL)", TRUE, FALSE },
	{ "SELECT milter_capability('a@b.example', 1, 0, now())", TRUE, FALSE },
	{ "SELECT milter_decrypted(ARRAY[sha256('a')])", TRUE, FALSE },
	{ "SELECT count(*) FROM capability", TRUE, TRUE },
	{ "SELECT count(*) FROM decrypted_mail", TRUE, TRUE },
	{ "SELECT count(*) FROM auto_request", TRUE, TRUE },
	{ "DELETE FROM capability", FALSE, FALSE },
	{ "DELETE FROM decrypted_mail", FALSE, FALSE },
	{ "DELETE FROM auto_request", FALSE, FALSE },
	{ "SELECT milter_acme_waits('a@b.example')", TRUE, FALSE },
	{ "SELECT milter_acme_take('a@b.example', 'c@d.example', NULL, '<1@d>', 'ACME: x', 'x')",
	  TRUE, FALSE },
	{ "SELECT count(sealed) FROM acme_account", FALSE, FALSE },
	{ "SELECT count(url) FROM acme_account", FALSE, TRUE },
	{ "SELECT count(sealed) FROM acme_account_next", FALSE, FALSE },
	{ "SELECT count(asked) FROM acme_account_next", FALSE, TRUE },
	{ "SELECT count(*) FROM renewal_advice", FALSE, TRUE },
	{ "SELECT count(*) FROM acme_mail", FALSE, TRUE },
	{ "DELETE FROM acme_mail", FALSE, FALSE },
	{ "SELECT milter_harvest(encode(sha512('\\x30'), 'hex'), '\\x30', 'CN=a', 'CN=b', 's', 'i',"
	  " '1', now(),"
	  " now(), 'k', NULL, NULL, false, 'RSA', 2048, '{a@b.example}', 'a@b.example', false)",
	  TRUE, FALSE },
};

static void
test_rights(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *readonly = scratch_pg_open(pg, DB_ROLE_READONLY, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(rights); i++) {
		gboolean milter_may = may(milter, rights[i].sql);
		gboolean readonly_may = may(readonly, rights[i].sql);
		if (milter_may != rights[i].milter || readonly_may != rights[i].readonly)
			g_test_message("%s: milter %d readonly %d", rights[i].sql, milter_may,
				       readonly_may);
		g_assert_cmpint(milter_may, ==, rights[i].milter);
		g_assert_cmpint(readonly_may, ==, rights[i].readonly);
	}
}

static const struct statement texts_statements[] = {
	{ "no_table_comment",
	  "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
	  " AND c.relkind IN ('r', 'p') AND obj_description(c.oid, 'pg_class') IS NULL" },
	{ "no_column_comment",
	  "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a"
	  " ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace"
	  " AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0"
	  " AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL" },
	/* But what stands for an expression: it runs with the caller's rights and is inlined. */
	{ "no_search_path",
	  "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace"
	  " AND (p.prosecdef OR p.provolatile <> 'i')"
	  " AND NOT EXISTS (SELECT 1 FROM unnest(p.proconfig) s WHERE s = 'search_path=public, "
	  "pg_temp')" },
	{ "for_everybody",
	  "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace"
	  " AND has_function_privilege('postseal_readonly', p.oid, 'EXECUTE')" },
};

/* A filter's look-ups are planned once a connection; what the daemon searches by, each time. */
static void
test_plans(void)
{
	static const struct statement mode = { "test_plan_mode", "SHOW plan_cache_mode" };
	static const struct {
		enum db_role role;
		const char *mode;
	} rows[] = {
		{ DB_ROLE_MILTER, "force_generic_plan" },
		{ DB_ROLE_READONLY, "force_generic_plan" },
		{ DB_ROLE_DAEMON, "auto" },
	};

	if (scratch_pg_skip(pg))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(db) struct db *db = scratch_pg_open(pg, rows[i].role, NULL);
		g_autoptr(GError) error = NULL;
		CLEANUP(rows) struct rows *shown = db_query(db, &mode, NULL, &error);

		g_assert_no_error(error);
		g_assert_cmpstr(rows_text(shown, 0, 0), ==, rows[i].mode);
	}
}

static void
test_schema(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(texts_statements); i++) {
		CLEANUP(rows) struct rows *rows = db_query(db, &texts_statements[i], NULL, &error);
		g_assert_no_error(error);
		for (int r = 0; r < rows_count(rows); r++)
			g_test_message("%s: %s", texts_statements[i].name, rows_text(rows, r, 0));
		g_assert_cmpint(rows_count(rows), ==, 0);
	}
}

static gint64
number(struct db *db, const char *sql)
{
	g_autofree char *name = g_strdup_printf("number_%u", counter++);
	g_autoptr(GError) error = NULL;
	struct statement statement = { g_intern_string(name), sql };
	CLEANUP(rows) struct rows *rows = db_write(db, &statement, NULL, &error);

	g_assert_no_error(error);
	return rows_int(rows, 0, 0);
}

/* A sender brings at most five certificates a day; each is heard of through the change log. */
static void
test_harvest(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
#define HARVEST(who)                                                                               \
	"SELECT count(*) FROM (SELECT milter_harvest(encode(sha512(n::text::bytea), 'hex'),"       \
	" n::text::bytea, 'CN=a',"                                                                 \
	" 'CN=b', 's', 'i', '1', now(), now(), 'k', NULL, NULL, false, 'RSA', 2048,"               \
	" '{" who "}', '" who "', true) AS answer FROM generate_series(1, 8) n) h"                 \
	" WHERE answer = "
	g_assert_cmpint(number(milter, HARVEST("a@b.example") "'new'"), ==, 5);
	g_assert_cmpint(number(milter, HARVEST("a@b.example") "'limit'"), ==, 3);
	g_assert_cmpint(number(milter, HARVEST("c@b.example") "'present'"), ==, 5);
	g_assert_cmpint(
	    number(daemon, "SELECT count(*) FROM certificate WHERE pending AND NOT is_ca"), ==, 8);
	g_assert_cmpint(number(daemon, "SELECT count(*) FROM change_log WHERE kind = 'cert'"), ==,
			8);
	g_assert_cmpint(number(daemon, "SELECT count(*) FROM change_log WHERE kind = 'address'"),
			==, 8);
	g_assert_cmpint(
	    number(daemon, "SELECT max(number) - min(number) + 1 - count(*) FROM change_log"), ==,
	    0);
}

/* NULL and nothing pass no limit. */
static void
test_harvest_without_sender(void)
{
	static const struct {
		const char *emails, *sender;
	} rows[] = {
		{ "'{a@b.example}'", "NULL" },   { "'{a@b.example}'", "''" },
		{ "NULL", "'a@b.example'" },     { "'{}'", "'a@b.example'" },
		{ "'{NULL}'", "'a@b.example'" }, { "'{\"\"}'", "'a@b.example'" },
	};

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = g_strdup_printf("refused_%u", counter++);
		g_autofree char *sql = g_strdup_printf(
		    "SELECT milter_harvest(encode(sha512('\\x30'), 'hex'), '\\x30', 'CN=a', 'CN=b',"
		    " 's', 'i', "
		    "'1',"
		    " now(), now(), 'k', NULL, NULL, false, 'RSA', 2048, %s, %s, false)",
		    rows[i].emails, rows[i].sender);
		struct statement statement = { g_intern_string(name), sql };
		g_autoptr(GError) error = NULL;

		g_assert_null(db_write(milter, &statement, NULL, &error));
		g_assert_nonnull(error);
		g_assert_nonnull(strstr(error->message, "without its sender"));
	}
	g_assert_cmpint(number(daemon, "SELECT count(*) FROM certificate"), ==, 0);
}

/* A filter cannot make days: what is far from now is written as of now, in its place. */
static void
test_audit_times(void)
{
	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
#define AUDIT_AT(away)                                                                             \
	"SELECT milter_audit(array_agg(extract(epoch FROM now())::bigint + s), "                   \
	"array_agg('host'::text),"                                                                 \
	" array_agg(s::text), array_agg(''::text), array_agg(''::text), array_agg(''::text), "     \
	"array_agg(''::text),"                                                                     \
	" array_agg(''::text), array_agg('" away                                                   \
	"'::text), array_agg(''::text), array_agg('a@b.example'::text),"                           \
	" array_agg('plain'::text), array_agg(''::text), array_agg(1::bigint), "                   \
	"array_agg(1::bigint)) FROM "
	g_assert_cmpint(number(milter, AUDIT_AT("far") "unnest(ARRAY[-100000000000, -32 * 86400,"
						       " 7200, 400 * 86400, 9e17]::bigint[]) s"),
			==, 5);
	g_assert_cmpint(number(milter, AUDIT_AT("near") "unnest(ARRAY[-30 * 86400, -60, 60]) s"),
			==, 3);
	g_assert_cmpint(number(daemon, "SELECT count(*) FROM audit_message WHERE reason = 'far'"
				       " AND at BETWEEN now() - interval '1 minute' AND now()"),
			==, 5);
	g_assert_cmpint(number(daemon, "SELECT count(*) FROM audit_message WHERE reason = 'near'"
				       " AND abs(extract(epoch FROM now()) + queue_id::bigint"
				       " - extract(epoch FROM at)) < 60"),
			==, 3);
	/* Of now, of 30 days ago, and of a minute beside midnight. */
	g_assert_cmpint(number(daemon, "SELECT count(*) FROM pg_inherits"
				       " WHERE inhparent = 'audit_message'::regclass"),
			<=, 3 + 3);
}

/* What is no digest, no holder or would be kept too long does not come in. */
static void
test_ledger_bounds(void)
{
	static const char *const refused[] = {
		"SELECT milter_ledger_claim('{}', 1, decode(repeat('02', 16), 'hex'), '1 minute')",
		"SELECT milter_ledger_claim(NULL, 1, decode(repeat('02', 16), 'hex'), '1 minute')",
		"SELECT milter_ledger_claim(ARRAY['\\x01']::bytea[], 1, decode(repeat('02', 16),"
		" 'hex'), '1 minute')",
		"SELECT milter_ledger_claim(ARRAY[NULL]::bytea[], 1, decode(repeat('02', 16),"
		" 'hex'), '1 minute')",
		"SELECT milter_ledger_claim(ARRAY[decode(repeat('01', 32), 'hex')], 2,"
		" decode(repeat('02', 16), 'hex'), '1 minute')",
		"SELECT milter_ledger_claim(ARRAY[decode(repeat('01', 32), 'hex')], 1, '\\x02',"
		" '1 minute')",
		"SELECT milter_ledger_claim(ARRAY[decode(repeat('01', 32), 'hex')], 1,"
		" decode(repeat('02', 16), 'hex'), '2 hours')",
		"SELECT milter_ledger_claim(ARRAY[decode(repeat('01', 32), 'hex')], 1,"
		" decode(repeat('02', 16), 'hex'), NULL)",
		"SELECT milter_ledger_claim((SELECT array_agg(decode(repeat('01', 32), 'hex'))"
		" FROM generate_series(1, 4001)), 1, decode(repeat('02', 16), 'hex'), '1 minute')",
		"SELECT milter_nonce('\\x02', '1 hour')",
		"SELECT milter_nonce(decode(repeat('02', 16), 'hex'), '2 days')",
		"SELECT milter_nonce(decode(repeat('02', 16), 'hex'), NULL)",
	};

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *name = g_strdup_printf("refused_%u", counter++);
		const struct statement statement = { g_intern_string(name), refused[i] };
		CLEANUP(rows) struct rows *rows = db_write(db, &statement, NULL, &error);

		g_test_message("%s", refused[i]);
		g_assert_null(rows);
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	}
	g_assert_cmpint(number(db, "SELECT count(*) FROM ledger"), ==, 0);
}

static void
test_jobs(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	CLEANUP(db) struct db *milter = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	CLEANUP(db) struct db *daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	g_assert_true(jobs_ask(milter, "auto-request", "bob@example.com", NULL, &error));
	g_assert_true(jobs_ask(milter, "auto-request", "bob@example.com", NULL, &error));
	g_assert_cmpint(number(daemon, "SELECT count(*) FROM job"), ==, 1);
	/* A filter that is taken over cannot start what is the daemon's. */
	g_assert_false(jobs_ask(milter, "deliver", "bob@example.com", NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/roles/each may only what it needs", test_rights);
	g_test_add_func("/roles/a filter's plans", test_plans);
	g_test_add_func("/schema/tables, columns and functions explain themselves", test_schema);
	g_test_add_func("/roles/harvest is limited", test_harvest);
	g_test_add_func("/roles/harvest needs a sender", test_harvest_without_sender);
	g_test_add_func("/roles/audit is of now", test_audit_times);
	g_test_add_func("/roles/ledger is bounded", test_ledger_bounds);
	g_test_add_func("/roles/jobs of a filter", test_jobs);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
