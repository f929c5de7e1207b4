/* crl_refresh: which certificates name URLs, and which name nothing; a million of them in seconds.
 */
#include <glib.h>
#include <string.h>

#include "pki/crl_refresh.h"
#include "pki/import.h"
#include "store/base/clock.h"
#include "store/config/settings.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "tests/unit/pki/cert_fixture.h"
#include "tests/unit/pki/store_fixture.h"

static struct world world;
static struct node root, middle, stranger;
static struct settings *settings;

struct wanted {
	const char *const *crl_urls, *const *issuer_urls;
	gint64 not_after; /* 0: a year from now */
	gboolean ca;
	const struct issue_extension *extension;
};

static struct node
make(const struct node *issuer, const char *name, const struct wanted *wanted)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *email = g_strdup_printf("%s@partner.example", name);
	const char *emails[] = { email, NULL };
	struct node node = { .key = key_generate(KEY_KIND_EC, 256, &error) };

	g_assert_no_error(error);
	GBytes *spki = key_spki(node.key);
	struct issue_spec spec = {
		.names = { .common_name = name, .emails = wanted->ca ? NULL : emails },
		.spki = spki,
		.not_before = PKI_NOW - 100 * PKI_DAY,
		.not_after = wanted->not_after != 0 ? wanted->not_after : PKI_NOW + 100 * PKI_DAY,
		.ca = wanted->ca,
		.path_length = -1,
		.key_usage = wanted->ca ? KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN
					: KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_AGREEMENT,
		.crl_urls = wanted->crl_urls,
		.ca_issuer_urls = wanted->issuer_urls,
		.extensions = wanted->extension,
		.extension_count = wanted->extension != NULL,
	};
	node.cert = issue_cert(&spec, issuer->cert, issuer->key, &error);
	g_assert_no_error(error);
	return node;
}

/* --- what the store fixture does not know --- */

struct putting {
	const struct cert *cert;
	const char *origin;
	gint depth;
	const GPtrArray *points;
};

static gboolean
put_from(struct tx *tx, gpointer data, GError **error)
{
	const struct putting *putting = data;
	const struct import_options options = { .name = "test", .origin = putting->origin };
	gboolean is_new;

	return import_cert(tx, putting->cert, &options, &is_new, error);
}

static void
renew_trust(void)
{
	trust_free(world.trust);
	world.trust = trust_new(world.db, NULL, world.clock, world.preferences, NULL);
}

static void
cert_from(const struct cert *cert, const char *origin)
{
	struct putting putting = { .cert = cert, .origin = origin };

	g_assert_true(db_transaction(world.db, put_from, &putting, NULL));
}

static gboolean
put_depth(struct tx *tx, gpointer data, GError **error)
{
	const struct putting *putting = data;

	return fetch_points_add_issuer(tx, cert_thumbprint(putting->cert), putting->depth, "u",
				       error);
}

static void
issuer_depth(const struct cert *cert, gint depth)
{
	struct putting putting = { .cert = cert, .depth = depth };

	g_assert_true(db_transaction(world.db, put_depth, &putting, NULL));
}

static gboolean
put_points(struct tx *tx, gpointer data, GError **error)
{
	const struct putting *putting = data;
	const struct fetch_run run = { .retry_before = PKI_NOW + 1 };

	return fetch_points_replace(tx, putting->points, &run, error);
}

static void
replace_points(const GPtrArray *points)
{
	struct putting putting = { .points = points };

	g_assert_true(db_transaction(world.db, put_points, &putting, NULL));
}

static gint
compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A user certificate of this issuer with one URL of each kind (NULL: none), put into the store. */
static void
put(const struct node *issuer, const char *name, const char *crl_url, const char *issuer_url,
    const char *origin)
{
	const char *crl_urls[] = { crl_url, NULL };
	const char *issuer_urls[] = { issuer_url, NULL };
	const struct wanted wanted = { .crl_urls = crl_url != NULL ? crl_urls : NULL,
				       .issuer_urls = issuer_url != NULL ? issuer_urls : NULL };
	struct node node = make(issuer, name, &wanted);

	if (strcmp(origin, "pending") == 0)
		world_pending(&world, node.cert);
	else
		cert_from(node.cert, origin);
	node_clear(&node);
}

static gboolean
up(void)
{
	if (!world_up(&world))
		return FALSE;
	root = pki_root("Refresh Root");
	middle = pki_intermediate(&root, "Refresh Issuing");
	stranger = pki_root("Refresh Stranger");
	world_root(&world, root.cert);
	world_cert(&world, middle.cert);
	settings = settings_default();
	return TRUE;
}

static void
down(void)
{
	settings_free(settings);
	node_clear(&root);
	node_clear(&middle);
	node_clear(&stranger);
	world_down(&world);
}

static struct fetch_run
refresh(void)
{
	g_autoptr(GError) error = NULL;

	renew_trust();
	const struct crl_refresh job = {
		.db = world.db, .trust = world.trust, .settings = settings, .now = PKI_NOW
	};
	struct fetch_run run;
	gboolean done;

	g_assert_true(crl_refresh_run(&job, &run, &done, &error));
	g_assert_no_error(error);
	g_assert_true(done);
	return run;
}

/* "URL URL | URL": the names of the points, sorted; "" when there is none. */
static char *
points(enum fetch_kind kind)
{
	g_autoptr(GPtrArray) all = fetch_points_list(world.db, NULL, NULL);
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < all->len; i++) {
		const struct fetch_point *point = g_ptr_array_index(all, i);

		if (point->kind == kind)
			g_ptr_array_add(texts, g_strjoinv(" ", point->urls));
	}
	g_ptr_array_sort(texts, compare_texts);
	g_ptr_array_add(texts, NULL);
	return g_strjoinv(" | ", (char **)texts->pdata);
}

#define assert_points(kind, text)                                                                  \
	do {                                                                                       \
		g_autofree char *found_ = points(kind);                                            \
		g_assert_cmpstr(found_, ==, text);                                                 \
	} while (0)

static void
test_who_names(void)
{
	if (!up())
		return;
	put(&middle, "good", "http://a.example/good", NULL, "import");
	put(&middle, "harvested", "http://a.example/harvested", NULL, "harvest");
	put(&stranger, "stranger", "http://a.example/stranger", NULL, "import");
	put(&middle, "bad", "http://u:p@a.example/bad", NULL, "import");
	put(&middle, "file", "file:///etc/passwd", NULL, "import");
	/* The right names over the key of somebody else. */
	struct node fake = pki_root("Refresh Issuing");
	put(&fake, "fake", "http://a.example/fake", NULL, "import");
	struct node fake_root = pki_root("Refresh Root");
	put(&fake_root, "fake2", "http://a.example/fake2", NULL, "import");
	const char *old[] = { "http://a.example/old", NULL };
	const struct wanted expired = { .crl_urls = old, .not_after = PKI_NOW - 1 };
	struct node node = make(&middle, "old", &expired);
	world_cert(&world, node.cert);
	node_clear(&node);
	struct fetch_run run = refresh();
	g_assert_cmpint(run.points, ==, 2);
	assert_points(FETCH_CRL, "http://a.example/good | http://a.example/harvested");
	node_clear(&fake);
	node_clear(&fake_root);
	down();
}

static void
test_trust_list(void)
{
	const char *urls[] = { "http://a.example/x", NULL };
	const struct wanted wanted = { .crl_urls = urls };

	if (!up())
		return;
	/* Allowed is not the same as a path: it names nothing. */
	struct node node = make(&stranger, "allowed", &wanted);
	world_cert(&world, node.cert);
	world_ctl(&world, node.cert, CTL_KIND_ALLOW, FALSE);
	refresh();
	assert_points(FETCH_CRL, "");
	node_clear(&node);
	/* Denied: neither. */
	node = make(&middle, "denied", &wanted);
	world_cert(&world, node.cert);
	world_ctl(&world, node.cert, CTL_KIND_DENY, FALSE);
	refresh();
	assert_points(FETCH_CRL, "");
	node_clear(&node);
	/* Revoked: revocation is left aside. */
	node = make(&middle, "revoked", &wanted);
	const char *serials[] = { cert_serial_hex(node.cert), NULL };
	struct crl *crl = pki_crl(&middle, PKI_NOW - 10, PKI_NOW + PKI_DAY, 1, serials,
				  REVOCATION_KEY_COMPROMISE);
	world_cert(&world, node.cert);
	world_crl(&world, crl, middle.cert);
	refresh();
	assert_points(FETCH_CRL, "http://a.example/x");
	crl_unref(crl);
	node_clear(&node);
	down();
}

static void
test_urls_of_one(void)
{
	const char *many[12];
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

	if (!up())
		return;
	for (guint i = 0; i < 11; i++) {
		g_ptr_array_add(texts, g_strdup_printf("http://a.example/%02u", i));
		many[i] = texts->pdata[i];
	}
	many[11] = NULL;
	const struct wanted wanted = { .crl_urls = many };
	struct node node = make(&middle, "many", &wanted);
	world_cert(&world, node.cert);
	node_clear(&node);
	refresh();
	g_autofree char *found = points(FETCH_CRL);
	g_auto(GStrv) words = g_strsplit_set(found, " |", -1);
	guint count = 0;
	for (char **word = words; *word != NULL; word++)
		count += **word != '\0';
	g_assert_cmpuint(count, ==, 8);
	down();
}

static void
test_settings(void)
{
	const struct issue_extension freshest = { "freshestCRL", "URI:http://a.example/delta" };
	const char *urls[] = { "ldap:///CN=x,DC=y?certificateRevocationList?base?objectClass=z",
			       NULL };
	const struct wanted wanted = { .crl_urls = urls, .extension = &freshest };
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	struct node node = make(&middle, "settings", &wanted);
	world_cert(&world, node.cert);
	node_clear(&node);
	/* A URL without a host is left out where no server is set. */
	refresh();
	assert_points(FETCH_CRL, "http://a.example/delta");
	g_assert_true(settings_set(settings, "fetch_ldap_server", "ldap://ad.example", &error));
	g_assert_true(settings_set(settings, "freshest_crl", "off", &error));
	refresh();
	assert_points(FETCH_CRL, urls[0]);
	down();
}

/* Many that do not verify, with later dates, before the one that does. */
static void
test_crowded(void)
{
	const char *urls[] = { "http://a.example/crowded", NULL };
	const struct wanted wanted = { .crl_urls = urls, .not_after = PKI_NOW + 200 * PKI_DAY };

	if (!up())
		return;
	put(&middle, "only", urls[0], NULL, "harvest");
	for (guint i = 0; i < 30; i++) {
		g_autofree char *name = g_strdup_printf("crowd%u", i);
		struct node node = make(&middle, name, &wanted);
		gsize length = g_bytes_get_size(cert_der(node.cert));
		g_autofree guint8 *der =
		    g_memdup2(g_bytes_get_data(cert_der(node.cert), NULL), length);

		der[length - 3] ^= 0x55; /* in the signature */
		g_autoptr(GBytes) bytes = g_bytes_new(der, length);
		struct cert *broken = cert_parse(bytes, NULL);
		if (broken != NULL)
			world_cert(&world, broken);
		cert_unref(broken);
		node_clear(&node);
	}
	refresh();
	assert_points(FETCH_CRL, urls[0]);
	/* The witness of this run is asked first in the next. */
	refresh();
	assert_points(FETCH_CRL, urls[0]);
	down();
}

static void
test_issuers(void)
{
	const char *upper_urls[] = { "http://a.example/upper", NULL };
	const struct wanted ca = { .ca = TRUE, .issuer_urls = upper_urls };
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	struct node lower = make(&middle, "Refresh Lower", &ca);
	struct node other = make(&stranger, "Refresh Other", &ca);
	put(&lower, "imported", NULL, "http://a.example/lower", "import");
	put(&other, "harvested", NULL, "http://a.example/harvested", "harvest");
	put(&other, "waiting", NULL, "http://a.example/waiting", "pending");
	refresh();
	assert_points(FETCH_ISSUER, "http://a.example/lower");
	/* It has come: nobody lacks it any more. */
	cert_from(lower.cert, "fetch");
	refresh();
	assert_points(FETCH_ISSUER, "");
	/* One whose own issuer is missing asks for that, unless it is too far away. */
	put(&other, "second", "http://a.example/crl", "http://a.example/other", "import");
	cert_from(other.cert, "fetch");
	refresh();
	assert_points(FETCH_ISSUER, "http://a.example/upper");
	issuer_depth(other.cert, CRL_REFRESH_ISSUER_DEPTH_MAX);
	refresh();
	assert_points(FETCH_ISSUER, "");
	issuer_depth(other.cert, 1);
	refresh();
	assert_points(FETCH_ISSUER, "http://a.example/upper");
	g_assert_true(settings_set(settings, "aia_fetch", "off", &error));
	refresh();
	assert_points(FETCH_ISSUER, "");
	node_clear(&lower);
	node_clear(&other);
	down();
}

static void
test_hosts(void)
{
	if (!up())
		return;
	for (guint i = 0; i < CRL_REFRESH_HOSTS_MAX + 5; i++) {
		g_autofree char *name = g_strdup_printf("host%u", i);
		g_autofree char *url = g_strdup_printf("http://h%03u.example/", i);

		put(&middle, name, url, NULL, "import");
	}
	/* Used by two: it is not among those that are left out. */
	put(&middle, "more", "http://h204.example/", NULL, "import");
	struct fetch_run run = refresh();
	g_assert_cmpint(run.points, ==, CRL_REFRESH_HOSTS_MAX);
	g_assert_cmpint(run.left_out, ==, 5);
	g_autoptr(GPtrArray) last = fetch_points_list(world.db, "http://h204.example/", NULL);
	g_assert_cmpuint(last->len, ==, 1);
	down();
}

/* --- rows --- */

static struct fetch_row *
row_of(const char *url)
{
	return fetches_find(world.db, url, NULL);
}

struct outcome {
	const char *url;
	enum fetch_state state;
};

static gboolean
record(struct tx *tx, gpointer data, GError **error)
{
	const struct outcome *outcome = data;
	struct fetch_row row = {
		.url = (char *)outcome->url,
		.state = outcome->state,
		.result = (char *)"so",
		.last_try = PKI_NOW,
		.next_try = PKI_NOW + 900,
		.failures = outcome->state == FETCH_FAILED,
	};
	gboolean kept;

	return fetches_record(tx, &row, &kept, error);
}

static void
outcome(const char *url, enum fetch_state state)
{
	struct outcome data = { url, state };

	g_assert_true(db_transaction(world.db, record, &data, NULL));
}

#define assert_due(url, when)                                                                      \
	do {                                                                                       \
		CLEANUP(fetch_row) struct fetch_row *row_ = row_of(url);                           \
		g_assert_nonnull(row_);                                                            \
		g_assert_cmpint(row_->next_try, ==, when);                                         \
	} while (0)

static gboolean
enqueue_due(struct tx *tx, gpointer data, GError **error)
{
	(void)data;
	return fetches_enqueue_due(tx, error);
}

static void
test_names_in_order(void)
{
	if (!up())
		return;
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)fetch_point_free);
	struct fetch_point *two = g_new0(struct fetch_point, 1);
	two->urls = g_strsplit("http://a/1 http://a/2 http://a/3", " ", -1);
	two->certificates = 3;
	g_ptr_array_add(all, two);
	replace_points(all);
	assert_due("http://a/1", PKI_NOW);
	assert_due("http://a/2", CLOCK_NEVER);
	outcome("http://a/1", FETCH_FAILED);
	assert_due("http://a/1", PKI_NOW + 900);
	assert_due("http://a/2", PKI_NOW);
	assert_due("http://a/3", CLOCK_NEVER);
	outcome("http://a/2", FETCH_FAILED);
	assert_due("http://a/3", PKI_NOW);
	outcome("http://a/1", FETCH_GOOD);
	assert_due("http://a/2", CLOCK_NEVER);
	assert_due("http://a/3", CLOCK_NEVER);
	/* Its answer comes after that of the first name: it goes on waiting. */
	outcome("http://a/2", FETCH_GOOD);
	assert_due("http://a/2", CLOCK_NEVER);
	/* The clock is set back by a day: what was tried in the future is due. */
	clock_set(world.clock, PKI_NOW - PKI_DAY);
	g_assert_true(db_transaction(world.db, enqueue_due, NULL, NULL));
	clock_set(world.clock, PKI_NOW);
	g_autoptr(GPtrArray) jobs = jobs_list(world.db, "fetch", TRUE, 0, 0, NULL);
	g_assert_cmpuint(jobs->len, ==, 1);
	/* A regular run tries again what failed, and drops what nobody names. */
	outcome("http://a/1", FETCH_FAILED);
	replace_points(all);
	assert_due("http://a/1", PKI_NOW);
	g_ptr_array_set_size(all, 0);
	replace_points(all);
	g_assert_null(row_of("http://a/1"));
	down();
}

/* --- a million --- */

/* Filling it is not what is measured: the indexes that a run has no use for go first. */
static const struct statement bare_statement = {
	"bare",
	"DO $$ DECLARE i regclass; BEGIN FOR i IN SELECT indexrelid::regclass FROM pg_index"
	" WHERE indrelid = 'certificate'::regclass AND NOT indisprimary AND "
	"indexrelid::regclass::text"
	" NOT IN ('certificate_ca', 'certificate_thumbprint', 'certificate_subject')"
	" LOOP EXECUTE format('DROP INDEX %s', i); END LOOP; END $$",
};
static const struct statement million_statement = {
	"million",
	"INSERT INTO certificate (thumbprint, der, subject, issuer, subject_key, issuer_key, "
	"serial,"
	" not_before, not_after, spki_sha256, ski, aki, is_ca, self_signed, key_kind, key_bits,"
	" origin) SELECT md5(n::text) || md5(n::text || 'x'), c.der || sha512(n::text::bytea) ||"
	" sha512((n + 1)::text::bytea) || sha512((n + 2)::text::bytea), c.subject, c.issuer,"
	" c.subject_key, CASE WHEN n % 5 = 0 THEN c.issuer_key ELSE md5(n::text) END, n::text,"
	" c.not_before, c.not_after, md5(n::text), c.ski, c.aki, false, false, c.key_kind,"
	" c.key_bits, 'harvest' FROM (SELECT * FROM certificate WHERE NOT is_ca LIMIT 1) c,"
	" generate_series($1::bigint, $2::bigint) n",
};

static gboolean
insert_million(struct tx *tx, gpointer data, GError **error)
{
	gint64 *from = data;
	struct params *params = params_new();

	params_int(params, *from);
	params_int(params, *from + 99999);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &million_statement, params, error);
	return rows != NULL;
}

static void
test_million(void)
{
	if (!g_test_slow()) {
		g_test_skip("only with -m slow");
		return;
	}
	if (!up())
		return;
	put(&middle, "seed", "http://a.example/list", NULL, "import");
	CLEANUP(rows) struct rows *bare = db_write(world.db, &bare_statement, NULL, NULL);
	g_assert_nonnull(bare);
	for (gint64 from = 1; from < 1000000; from += 100000)
		g_assert_true(db_transaction(world.db, insert_million, &from, NULL));
	gint64 before = g_get_monotonic_time();
	struct fetch_run run = refresh();
	g_test_message("a run over a million certificates (200,000 of a known CA): %.1f s",
		       (gdouble)(g_get_monotonic_time() - before) / 1e6);
	g_assert_cmpint(run.points, ==, 1);
	g_assert_cmpint(run.certificates, ==, 200001);
	down();
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	g_test_add_func("/pki/crl_refresh/who-names", test_who_names);
	g_test_add_func("/pki/crl_refresh/trust-list", test_trust_list);
	g_test_add_func("/pki/crl_refresh/urls-of-one", test_urls_of_one);
	g_test_add_func("/pki/crl_refresh/settings", test_settings);
	g_test_add_func("/pki/crl_refresh/crowded", test_crowded);
	g_test_add_func("/pki/crl_refresh/issuers", test_issuers);
	g_test_add_func("/pki/crl_refresh/hosts", test_hosts);
	g_test_add_func("/pki/crl_refresh/names-in-order", test_names_in_order);
	g_test_add_func("/pki/crl_refresh/million", test_million);
	int status = g_test_run();
	scratch_pg_stop(world.pg);
	return status;
}
