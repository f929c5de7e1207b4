/*
 * Import: every object is reported, a second time changes nothing, keys find their certificates.
 */
#include "tests/unit/pki/pki_fixture.h"

#include "pki/cert_cache.h"
#include "pki/crypto/bundle.h"
#include "pki/crypto/crl.h"
#include "store/cache.h"
#include "store/crls.h"
#include "store/keys.h"
#include "store/roots.h"

/* What one site exports: a CA with its list, a user with his key. */
struct wares {
	struct ca_created ca;
	struct cert *cert;
	struct key *key;
	GBytes *crl;
};

static struct wares
make_wares(struct fixture *f)
{
	struct wares wares = { .ca = fixture_ca(f, "ec:P-256") };
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256" };
	g_autoptr(GError) error = NULL;

	wares.cert = fixture_issue(f, &order);
	wares.key = keyring_find(f->keyring, cert_spki_sha256(wares.cert), &error);
	CLEANUP(crl_row)
	struct crl_row *row =
	    crls_newest(f->db, cert_subject_key(wares.ca.intermediate), NULL, &error);
	g_assert_no_error(error);
	wares.crl = g_bytes_ref(row->der);
	scratch_pg_empty(pg);
	keyring_free(f->keyring);
	f->keyring = fixture_keyring(f, f->master_key);
	return wares;
}

static void
wares_clear(struct wares *wares)
{
	ca_created_clear(&wares->ca);
	cert_unref(wares->cert);
	key_unref(wares->key);
	g_bytes_unref(wares->crl);
}

static struct import_report *
import_some(struct fixture *f, GBytes *bytes, const struct import_options *options)
{
	g_autoptr(GError) error = NULL;
	struct import_report *report = import_bytes(f->db, f->keyring, bytes, options, &error);

	g_assert_no_error(error);
	for (guint i = 0; i < report->items->len; i++) {
		const struct import_item *item = g_ptr_array_index(report->items, i);
		g_test_message("%s %s: %s %s", import_kind_name(item->kind),
			       item->subject != NULL ? item->subject : "",
			       import_outcome_name(item->outcome),
			       item->note != NULL ? item->note : "");
	}
	return report;
}

static GBytes *
pkcs12_of(struct wares *wares, struct secret *password)
{
	struct pkcs12_entry entry = { wares->cert, wares->key, "Bob" };
	g_autoptr(GPtrArray) chain = g_ptr_array_new();
	g_autoptr(GError) error = NULL;

	g_ptr_array_add(chain, wares->ca.intermediate);
	g_ptr_array_add(chain, wares->ca.root);
	GBytes *bytes = bundle_write_pkcs12(&entry, 1, chain, password, PKCS12_MODERN, &error);
	g_assert_no_error(error);
	return bytes;
}

static void
test_pkcs12(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct wares wares = make_wares(&f);
	CLEANUP(secret) struct secret *password = secret_new_text("correct horse battery");
	CLEANUP(secret) struct secret *wrong = secret_new_text("wrong");
	g_autoptr(GBytes) file = pkcs12_of(&wares, password);
	struct import_options options = { .name = "bob.p12", .password = wrong };
	g_assert_null(import_bytes(f.db, f.keyring, file, &options, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, "bob.p12"));
	g_clear_error(&error);

	options.password = password;
	CLEANUP(import_report) struct import_report *first = import_some(&f, file, &options);
	g_assert_cmpuint(first->added, ==, 4);
	g_assert_cmpuint(first->rejected, ==, 0);
	/* Nobody asked for roots. */
	g_assert_cmpint(roots_count(f.db, &error), ==, 0);
	g_assert_cmpint(certs_count(f.db, &error), ==, 3);
	CLEANUP(import_report) struct import_report *second = import_some(&f, file, &options);
	g_assert_cmpuint(second->added, ==, 0);
	g_assert_cmpuint(second->present, ==, 4);

	CLEANUP(cert_row)
	struct cert_row *row = certs_find(f.db, cert_thumbprint(wares.cert), &error);
	g_assert_true(row->has_key);
	g_assert_cmpstr(row->emails[0], ==, "bob@example.com");
	g_assert_cmpstr(row->origin_detail, ==, "bob.p12");
	CLEANUP(key) struct key *key = keyring_find(f.keyring, row->spki_sha256, &error);
	g_assert_true(key_fits(key, wares.cert));
	wares_clear(&wares);
	fixture_down(&f);
}

static void
test_any_order(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct wares wares = make_wares(&f);
	CLEANUP(secret) struct secret *pem = bundle_write_key_pem(wares.key, NULL, &error);
	g_autoptr(GBytes) key_file = g_bytes_new(secret_bytes(pem), secret_length(pem));
	g_autoptr(GPtrArray) certs = g_ptr_array_new();
	g_ptr_array_add(certs, wares.cert);
	g_autoptr(GBytes) cert_file = bundle_write_pem(certs, &error);
	struct import_options options = { .name = "bob" };

	CLEANUP(import_report) struct import_report *first = import_some(&f, key_file, &options);
	g_assert_cmpuint(first->added, ==, 1);
	CLEANUP(import_report) struct import_report *second = import_some(&f, cert_file, &options);
	const struct import_item *item = g_ptr_array_index(second->items, 0);
	g_assert_cmpint(item->kind, ==, IMPORT_CERT);
	g_assert_cmpstr(item->note, ==, "private key is held");
	CLEANUP(cert_row)
	struct cert_row *row = certs_find(f.db, cert_thumbprint(wares.cert), &error);
	g_assert_true(row->has_key);
	wares_clear(&wares);
	fixture_down(&f);
}

static void
test_one_bad(void)
{
	static const char garbage[] = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n"
				      "-----END CERTIFICATE-----\n";
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct wares wares = make_wares(&f);
	g_autoptr(GPtrArray) certs = g_ptr_array_new();
	g_ptr_array_add(certs, wares.cert);
	g_ptr_array_add(certs, wares.ca.intermediate);
	g_autoptr(GBytes) good = bundle_write_pem(certs, &error);
	g_autoptr(GByteArray) all = g_byte_array_new();
	g_byte_array_append(all, (const guint8 *)garbage, sizeof(garbage) - 1);
	g_byte_array_append(all, g_bytes_get_data(good, NULL), (guint)g_bytes_get_size(good));
	g_autoptr(GBytes) file = g_bytes_new(all->data, all->len);
	struct import_options options = { .name = "mixed.pem" };
	CLEANUP(import_report) struct import_report *report = import_some(&f, file, &options);
	g_assert_cmpuint(report->added, ==, 2);
	g_assert_cmpuint(report->rejected, ==, 1);
	wares_clear(&wares);
	fixture_down(&f);
}

static void
test_roots(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct wares wares = make_wares(&f);
	g_autoptr(GPtrArray) certs = g_ptr_array_new();
	g_ptr_array_add(certs, wares.ca.root);
	g_ptr_array_add(certs, wares.ca.intermediate);
	g_autoptr(GBytes) file = bundle_write_pem(certs, &error);
	struct import_options options = { .name = "roots.pem", .as_roots = TRUE };
	CLEANUP(import_report) struct import_report *report = import_some(&f, file, &options);
	g_assert_cmpuint(report->added, ==, 2);
	g_assert_cmpint(roots_count(f.db, &error), ==, 1);
	CLEANUP(root_row)
	struct root_row *root = roots_find(f.db, cert_thumbprint(wares.ca.root), &error);
	g_assert_cmpstr(root->source, ==, "import");
	/* The intermediate is no root. */
	g_assert_null(roots_find(f.db, cert_thumbprint(wares.ca.intermediate), &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	wares_clear(&wares);
	fixture_down(&f);
}

static void
test_crl(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct wares wares = make_wares(&f);
	struct import_options options = { .name = "ca.crl" };
	/* Without its issuer nobody can say whose it is: it is kept, and says so. */
	CLEANUP(import_report) struct import_report *alone = import_some(&f, wares.crl, &options);
	g_assert_cmpuint(alone->added, ==, 1);
	const struct import_item *item = g_ptr_array_index(alone->items, 0);
	g_assert_nonnull(strstr(item->note, "kept without effect: no certificate of"));

	g_autoptr(GPtrArray) certs = g_ptr_array_new();
	g_ptr_array_add(certs, wares.ca.intermediate);
	g_autoptr(GBytes) issuer = bundle_write_pem(certs, &error);
	CLEANUP(import_report) struct import_report *ca = import_some(&f, issuer, &options);
	g_assert_cmpuint(ca->added, ==, 1);
	CLEANUP(import_report) struct import_report *list = import_some(&f, wares.crl, &options);
	g_assert_cmpuint(list->present, ==, 1);
	item = g_ptr_array_index(list->items, 0);
	g_assert_nonnull(strstr(item->note, "is not trusted"));

	/* With the root it is in force, without being brought again. */
	struct import_options as_root = { .name = "root.pem", .as_roots = TRUE };
	g_ptr_array_set_size(certs, 0);
	g_ptr_array_add(certs, wares.ca.root);
	g_autoptr(GBytes) root = bundle_write_pem(certs, &error);
	CLEANUP(import_report) struct import_report *roots = import_some(&f, root, &as_root);
	g_assert_cmpuint(roots->added, ==, 1);
	CLEANUP(crl_row)
	struct crl_row *row =
	    crls_newest(f.db, cert_subject_key(wares.ca.intermediate), NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(row->state, ==, CRL_STATE_USABLE);
	CLEANUP(import_report) struct import_report *again = import_some(&f, wares.crl, &options);
	g_assert_cmpuint(again->present, ==, 1);
	wares_clear(&wares);
	fixture_down(&f);
}

static void
test_cache(void)
{
	struct fixture f = { 0 };
	struct cache_stats stats;
	struct cache_limits limits = { 300, 25 * 12000 }; /* room for one */
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	CLEANUP(cert_cache) struct cert_cache *cache = cert_cache_new(NULL, CACHE_CERTIFICATES);
	const char *thumbprint = cert_thumbprint(ca.intermediate);
	CLEANUP(cert) struct cert *first = cert_cache_load(cache, f.db, thumbprint, &error);
	CLEANUP(cert) struct cert *second = cert_cache_load(cache, f.db, thumbprint, &error);
	CLEANUP(cert)
	struct cert *root = cert_cache_load(cache, f.db, cert_thumbprint(ca.root), &error);
	g_assert_no_error(error);
	g_assert_true(first == second);
	g_assert_nonnull(root);
	cert_cache_stats(cache, &stats);
	g_assert_cmpuint(stats.entries, ==, 2);
	g_assert_cmpuint(stats.hits, ==, 1);
	g_assert_null(cert_cache_load(cache, f.db, "0000000000", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);

	/* Bounded: room for one leaves the one used last. */
	CLEANUP(cert_cache) struct cert_cache *tiny = cert_cache_new(&limits, CACHE_CERTIFICATES);
	CLEANUP(cert) struct cert *a = cert_cache_get(tiny, thumbprint, cert_der(first), NULL);
	CLEANUP(cert)
	struct cert *b = cert_cache_get(tiny, cert_thumbprint(root), cert_der(root), NULL);
	g_assert_null(cert_cache_peek(tiny, thumbprint));
	CLEANUP(cert) struct cert *kept = cert_cache_peek(tiny, cert_thumbprint(root));
	g_assert_true(kept == b);
	ca_created_clear(&ca);
	fixture_down(&f);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/import/PKCS#12, twice", test_pkcs12);
	g_test_add_func("/import/the key before its certificate", test_any_order);
	g_test_add_func("/import/one bad object does not stop the rest", test_one_bad);
	g_test_add_func("/import/roots only when asked", test_roots);
	g_test_add_func("/import/CRLs need their issuer", test_crl);
	g_test_add_func("/cert-cache/parsed once and bounded", test_cache);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
