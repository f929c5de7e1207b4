/*
 * Searching a large store: every filter finds what it should, by an index, in pages that follow
 * each other while certificates come in; and the same without pg_trgm. 20,000 certificates, with
 * PS_FULL=yes a million.
 */
#include <glib.h>
#include <string.h>

#include "store/certs.h"
#include "store/certs_internal.h"
#include "store/db/query.h"
#include "tests/support/scratch_pg.h"

#define TRIGRAM_CHARS 3

static struct scratch_pg *pg;

static gint64
rows_wanted(void)
{
	return g_strcmp0(g_getenv("PS_FULL"), "yes") == 0 ? 1000000 : 20000;
}

static char *
load_sql(void)
{
	return g_strdup_printf(
	    "INSERT INTO certificate (thumbprint, der, subject, issuer, subject_key, issuer_key,"
	    " serial, not_before, not_after, spki_sha256, is_ca, self_signed, key_kind, key_bits,"
	    " origin, pending)"
	    " SELECT encode(sha512(n::text::bytea), 'hex'), '\\x30', 'CN=Pérson ' || n || ', O=Órg "
	    "'"
	    " || n %% 997, CASE WHEN n %% 5 = 0 THEN 'CN=Issuing ' || n %% 40 ELSE 'CN=Noise ' ||"
	    " md5(n::text) END, md5('s' || n), md5('i' || n %% 50), to_hex(n + 65536),"
	    " now() - interval '1 year', now() + interval '1 year' * CASE WHEN n %% 1000 = 3 THEN"
	    " -1 ELSE 1 END, md5('k' || n), false, false, 'RSA', 2048, 'import', n %% 5000 = 0"
	    " FROM generate_series(1, %" G_GINT64_FORMAT ") AS n;"
	    "INSERT INTO certificate_email SELECT 'user' || id || '@host' || id %% 1000 ||"
	    " '.example.com', id FROM certificate;"
	    "INSERT INTO certificate_email SELECT 'second' || id || '@host' || id %% 1000 ||"
	    " '.example.com', id FROM certificate WHERE id %% 10 = 0;"
	    "INSERT INTO certificate_email VALUES ('x@xn--bcher-kva.example', 17);"
	    "INSERT INTO private_key (spki_sha256, sealed, generation, kind, bits, origin, made)"
	    " SELECT md5('k' || n), '\\x30', 1, 'RSA', 2048, 'imported', now()"
	    " FROM generate_series(1000, 1019) AS n;",
	    rows_wanted());
}

struct search_row {
	const char *what;
	struct cert_filter filter;
	guint count;
};

/* Counts that do not grow with the number of certificates. */
static const struct search_row search_rows[] = {
	{ "a whole address", { .field = "email", .text = "User77@HOST77.example.com" }, 1 },
	{ "a part of an address", { .field = "email", .text = "ser19999@" }, 1 },
	{ "a part of a domain in its own script",
	  { .field = "email", .text = "bücher.example" },
	  1 },
	{ "a part of a subject, in other case",
	  { .field = "subject", .text = "PÉRSON 19998," },
	  1 },
	{ "a part of an issuer", { .field = "issuer", .text = "noise 1f0e3dad9990" }, 1 },
	{ "a serial", { .field = "serial", .text = "0001:4E:1E" }, 1 },
	{ "a serial in decimal", { .field = "serial", .text = "85534" }, 1 },
	{ "a thumbprint",
	  { .field = "thumbprint", .text = "4D:FF:4E:A3:40:F0:A8:23:F1:5D:3F:4F" },
	  1 },
	{ "free text: an address", { .text = "user15555@" }, 1 },
	{ "free text: a subject", { .text = "érson 15556," }, 1 },
	{ "free text: a serial", { .text = "14e1e" }, 1 },
	{ "free text that stands nowhere", { .text = "zzqx_%\\'\"" }, 0 },
	{ "those with a key", { .with_key = CERT_KEY_ONLY }, 20 },
	{ "of a part those with a key",
	  { .field = "subject", .text = "pérson 12", .with_key = CERT_KEY_ONLY, .limit = 1000 },
	  0 },
	{ "a part of a domain, and with a key",
	  { .field = "email", .text = "@host7.", .with_key = CERT_KEY_ONLY },
	  1 },
	{ "a word that stands in every address", { .text = "example", .limit = 50 }, 50 },
	{ "and in most issuers", { .field = "issuer", .text = "noise", .limit = 50 }, 50 },
	{ "a frequent word of those that expired",
	  { .field = "subject", .text = "pérson", .expired = CERT_EXPIRED_ONLY, .limit = 10 },
	  10 },
	/* Without three characters there is no trigram: it is found by reading on. */
	{ "one letter", { .text = "p", .limit = 50 }, 50 },
	{ "all: a page", { .limit = 50 }, 50 },
	{ "all, far behind", { .after = 19990 }, 10 },
};

/* Of these no list may read the whole table, be it for its order or for its words. */
static char *
plan_of(struct db *db, const struct cert_filter *filter)
{
	g_autoptr(GError) error = NULL;
	GString *text = g_string_new(NULL);
	struct params *params;
	g_autofree char *sql = certs_list_sql(filter, &params, &error);

	g_assert_no_error(error);
	g_autofree char *explain = g_strconcat("EXPLAIN ", sql, NULL);
	const struct statement statement = { "explain_list", explain };
	CLEANUP(rows) struct rows *rows = db_query(db, &statement, params, &error);
	g_assert_no_error(error);
	for (int r = 0; r < rows_count(rows); r++)
		g_string_append_printf(text, "%s\n", rows_text(rows, r, 0));
	return g_string_free(text, FALSE);
}

static void
check_rows(struct db *db)
{
	g_autoptr(GError) error = NULL;
	gboolean is_short = rows_wanted() == 20000;

	for (gsize i = 0; i < G_N_ELEMENTS(search_rows); i++) {
		struct cert_filter filter = search_rows[i].filter;
		gint64 before = g_get_monotonic_time();

		filter.now = g_get_real_time() / G_USEC_PER_SEC;
		g_autoptr(GPtrArray) found = certs_list(db, &filter, &error);
		g_assert_no_error(error);
		g_test_message("%s: %u in %" G_GINT64_FORMAT " us", search_rows[i].what, found->len,
			       g_get_monotonic_time() - before);
		if (is_short)
			g_assert_cmpuint(found->len, ==, search_rows[i].count);
		else
			g_assert_cmpint(found->len > 0, ==, search_rows[i].count > 0);
	}
}

static void
test_found(void)
{
	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	check_rows(db);
}

static void
test_indexes(void)
{
	gboolean indexed = FALSE;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	g_assert_true(certs_search_is_indexed(db, &indexed, NULL));
	if (!indexed) {
		g_test_skip("pg_trgm is not installed (postgresql-contrib)");
		return;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(search_rows); i++) {
		struct cert_filter filter = search_rows[i].filter;
		filter.now = g_get_real_time() / G_USEC_PER_SEC;
		if (filter.text != NULL && strlen(filter.text) < TRIGRAM_CHARS)
			continue;
		g_autofree char *plan = plan_of(db, &filter);
		if (strstr(plan, "Seq Scan on certificate") != NULL || g_test_verbose())
			g_test_message("%s:\n%s", search_rows[i].what, plan);
		g_assert_null(strstr(plan, "Seq Scan on certificate"));
	}
}

/* Each row once, whatever comes meanwhile, and several addresses make no row twice. */
static void
test_pages(void)
{
	static const struct cert_filter filters[] = {
		{ .limit = 977 },
		{ .limit = 7, .field = "email", .text = "@host10.example" },
		{ .limit = 3, .text = "host10.example" },
		{ .limit = 11, .field = "issuer", .text = "issuing 35" },
	};
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg) || rows_wanted() > 20000)
		return;
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(filters); i++) {
		struct cert_filter filter = filters[i];
		struct cert_filter whole = filters[i];
		guint seen = 0;

		whole.limit = 50000;
		g_autoptr(GPtrArray) all = certs_list(db, &whole, &error);
		g_assert_no_error(error);
		g_assert_cmpuint(all->len, >, 1);
		for (;;) {
			g_autoptr(GPtrArray) page = certs_list(db, &filter, &error);
			g_assert_no_error(error);
			if (page->len == 0)
				break;
			for (guint k = 0; k < page->len; k++) {
				const struct cert_row *row = page->pdata[k];
				const struct cert_row *same = all->pdata[seen++];
				g_assert_cmpint(row->id, ==, same->id);
				g_assert_cmpint(row->id, >, filter.after);
				filter.after = row->id;
			}
		}
		g_assert_cmpuint(seen, ==, all->len);
	}
}

static void
test_without_extension(void)
{
	gboolean indexed = TRUE;

	if (scratch_pg_skip(pg) || rows_wanted() > 20000)
		return;
	scratch_pg_sql(pg, "DROP EXTENSION IF EXISTS pg_trgm CASCADE");
	CLEANUP(db) struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	g_assert_true(certs_search_is_indexed(db, &indexed, NULL));
	g_assert_false(indexed);
	check_rows(db);
	/* Made up for by the next migration; harmless when it is there. */
	for (int i = 0; i < 2; i++)
		g_assert_true(certs_search_indexes(db, NULL));
	g_assert_true(certs_search_is_indexed(db, &indexed, NULL));
	/* Not where it may not be made: no error either. */
	scratch_pg_sql(pg, "DROP EXTENSION pg_trgm CASCADE; DROP SCHEMA postseal_search;"
			   "DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM"
			   " postseal_daemon', current_database()); EXECUTE format('ALTER DATABASE"
			   " %I OWNER TO postgres', current_database()); END $$");
	g_assert_true(certs_search_indexes(db, NULL));
	g_assert_true(certs_search_is_indexed(db, &indexed, NULL));
	g_assert_false(indexed);
	check_rows(db);
}

int
main(int argc, char **argv)
{
	g_autofree char *load = load_sql();

	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	if (pg != NULL) {
		/* Made at once an index of trigrams costs a fraction. */
		scratch_pg_sql(pg,
			       "DROP INDEX IF EXISTS certificate_words, certificate_email_words");
		scratch_pg_sql(pg, load);
		scratch_pg_sql(pg, "SELECT search_indexes()");
		scratch_pg_sql(pg, "VACUUM ANALYZE");
	}
	g_test_add_func("/certs search/finds by every filter", test_found);
	g_test_add_func("/certs search/no list reads the whole store", test_indexes);
	g_test_add_func("/certs search/pages follow each other", test_pages);
	g_test_add_func("/certs search/works without pg_trgm", test_without_extension);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
