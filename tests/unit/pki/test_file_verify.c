/*
 * Path validation over files: our own cases, and suites that others wrote.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>

#include "pki/file_verify.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "tests/unit/pki/cert_fixture.h"

static char *folder;
static GPtrArray *written;
static struct node root, intermediate, other;

static char *
put(const char *name, GBytes *bytes)
{
	char *path = g_build_filename(folder, name, NULL);
	gsize length;
	const char *data = g_bytes_get_data(bytes, &length);

	g_assert_true(g_file_set_contents(path, data, (gssize)length, NULL));
	g_ptr_array_add(written, path);
	return path;
}

static void
clear_folder(void)
{
	for (guint i = 0; i < written->len; i++)
		g_unlink(written->pdata[i]);
	g_ptr_array_set_size(written, 0);
}

static void
count_broken(const char *path, const char *why, gpointer data)
{
	GPtrArray *lines = data;

	g_ptr_array_add(lines, g_strdup_printf("%s: %s", path, why));
}

static struct chain_report *
verify(const struct file_verify *request)
{
	g_autoptr(GError) error = NULL;
	struct chain_report *report = file_verify_run(request, NULL, NULL, &error);

	g_assert_no_error(error);
	return report;
}

struct row {
	const char *proves;
	struct leaf leaf;
	enum chain_purpose purpose;
	const char *email;
	enum chain_revocation revocation;
	gboolean no_intermediate, wrong_root, anchor_intermediate;
	gint64 at; /* days from now */
	enum chain_verdict verdict;
	const char *reason;
};

static const struct row rows[] = {
	{ .proves = "a path", .leaf = { .common_name = "x" }, .verdict = CHAIN_VALID },
	{ .proves = "an anchor that is not self-signed",
	  .leaf = { .common_name = "x" },
	  .anchor_intermediate = TRUE,
	  .verdict = CHAIN_VALID },
	{ .proves = "no intermediate",
	  .leaf = { .common_name = "x" },
	  .no_intermediate = TRUE,
	  .reason = "issuer 'CN=Intermediate, O=Test' is not among the given files" },
	{ .proves = "another root",
	  .leaf = { .common_name = "x" },
	  .wrong_root = TRUE,
	  .reason = "issuer 'CN=Root, O=Test' is not among the given files" },
	{ .proves = "too early",
	  .leaf = { .common_name = "x" },
	  .at = -101,
	  .reason = "'CN=x' is not valid before " },
	{ .proves = "too late",
	  .leaf = { .common_name = "x" },
	  .at = 266,
	  .reason = "'CN=x' expired on " },
	{ .proves = "its address",
	  .leaf = { .common_name = "x", .email = "bob@example.org" },
	  .email = "BOB@example.org",
	  .verdict = CHAIN_VALID },
	{ .proves = "another address",
	  .leaf = { .common_name = "x", .email = "bob@example.org" },
	  .email = "carol@example.org",
	  .reason = "'carol@example.org' is not an address of 'CN=x'" },
	{ .proves = "the common name is no address",
	  .leaf = { .common_name = "bob@example.org" },
	  .email = "bob@example.org",
	  .reason = "is not an address of" },
	{ .proves = "may sign, not encrypt: signing",
	  .leaf = { .common_name = "x", .key_usage = KEY_USAGE_DIGITAL_SIGNATURE },
	  .purpose = CHAIN_PURPOSE_SIGN,
	  .verdict = CHAIN_VALID },
	{ .proves = "may sign, not encrypt: encrypting",
	  .leaf = { .common_name = "x", .key_usage = KEY_USAGE_DIGITAL_SIGNATURE },
	  .purpose = CHAIN_PURPOSE_ENCRYPT,
	  .reason = "key usage of 'CN=x' lacks keyAgreement" },
	{ .proves = "a web server's",
	  .leaf = { .common_name = "x", .extended = "serverAuth" },
	  .purpose = CHAIN_PURPOSE_SIGN,
	  .reason = "lacks emailProtection" },
	{ .proves = "revocation required and no list",
	  .leaf = { .common_name = "x" },
	  .revocation = CHAIN_REVOCATION_REQUIRED,
	  .reason = "CRL of 'CN=Intermediate, O=Test' is missing" },
	{ .proves = "revocation if available and no list",
	  .leaf = { .common_name = "x" },
	  .revocation = CHAIN_REVOCATION_IF_AVAILABLE,
	  .verdict = CHAIN_VALID },
};

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	struct node leaf = pki_leaf(&intermediate, &row->leaf);
	char *cert = put("leaf.der", cert_der(leaf.cert));
	const char *roots[] = { put("root.der",
				    cert_der(row->wrong_root            ? other.cert
					     : row->anchor_intermediate ? intermediate.cert
									: root.cert)),
				NULL };
	const char *untrusted[] = { row->no_intermediate
					? NULL
					: put("intermediate.der", cert_der(intermediate.cert)),
				    NULL };
	CLEANUP(mailaddr)
	struct mailaddr *email = row->email != NULL ? mailaddr_parse(row->email, NULL) : NULL;
	struct file_verify request = {
		.cert = cert,
		.roots = roots,
		.untrusted = untrusted,
		.options = { .at = PKI_NOW + row->at * PKI_DAY,
			     .purpose = row->purpose,
			     .email = email,
			     .revocation = row->revocation },
	};
	CLEANUP(chain_report) struct chain_report *report = verify(&request);

	g_test_message("%s %s", chain_verdict_name(report->verdict), report->reason);
	g_assert_cmpint(report->verdict, ==, row->verdict);
	if (row->reason != NULL)
		g_assert_nonnull(strstr(report->reason, row->reason));
	else
		g_assert_cmpstr(report->reason, ==, "");
	clear_folder();
	node_clear(&leaf);
}

/* A folder: what is broken is named and skipped, the rest counts. */
static void
test_folder(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) broken = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GBytes) noise = g_bytes_new_static("hello", 5);
	const char *paths[] = { folder, NULL };
	const char *missing[] = { "/nowhere/at/all", NULL };

	put("a.der", cert_der(root.cert));
	put("b.der", cert_der(intermediate.cert));
	put("c.der", cert_der(root.cert));
	put("d.txt", noise);
	CLEANUP(file_pool)
	struct file_pool *pool = file_pool_read(paths, NULL, count_broken, broken, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(pool->certs->len, ==, 2);
	g_assert_cmpuint(broken->len, ==, 1);
	g_assert_nonnull(strstr(broken->pdata[0], "d.txt: neither a certificate nor a key"));
	g_assert_null(file_pool_read(missing, NULL, count_broken, broken, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	clear_folder();
}

static void
test_broken_subject(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) noise = g_bytes_new_static("hello", 5);
	struct file_verify request = { .cert = put("x.pem", noise) };

	g_assert_null(file_verify_run(&request, NULL, NULL, &error));
	g_assert_nonnull(strstr(error->message, "x.pem: neither a certificate"));
	clear_folder();
	g_clear_error(&error);
	request.cert = "/nowhere.pem";
	g_assert_null(file_verify_run(&request, NULL, NULL, &error));
	g_assert_cmpstr(error->message, ==, "/nowhere.pem: No such file or directory");
}

/* ---- NIST PKITS ---- */

static GPtrArray *
files_of(const json_t *names, const char *base, const char *sub)
{
	GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
	gsize i;
	json_t *name;

	json_array_foreach(names, i, name)
	    g_ptr_array_add(files, g_build_filename(base, sub, json_string_value(name), NULL));
	g_ptr_array_add(files, NULL);
	return files;
}

static GPtrArray *
texts_of(const json_t *names)
{
	GPtrArray *texts = g_ptr_array_new();
	gsize i;
	json_t *name;

	json_array_foreach(names, i, name)
	    g_ptr_array_add(texts, (gpointer)json_string_value(name));
	g_ptr_array_add(texts, NULL);
	return texts;
}

static int
compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gboolean
pkits_row(const json_t *row, const char *base, gint64 at)
{
	g_autoptr(GPtrArray) untrusted =
	    files_of(json_object_get(row, "intermediates"), base, "certs");
	g_autoptr(GPtrArray) crls = files_of(json_object_get(row, "crls"), base, "crls");
	g_autoptr(GPtrArray) policies = texts_of(json_object_get(row, "initial_policy_set"));
	g_autoptr(GPtrArray) expected =
	    texts_of(json_object_get(row, "expected_user_constrained_policy_set"));
	g_autofree char *cert = g_build_filename(
	    base, "certs", json_string_value(json_object_get(row, "end_cert")), NULL);
	g_autofree char *anchor = g_build_filename(
	    base, "certs", json_string_value(json_object_get(row, "trust_anchor")), NULL);
	const char *roots[] = { anchor, NULL };
	struct file_verify request = {
		.cert = cert,
		.roots = roots,
		.untrusted = (const char *const *)untrusted->pdata,
		.crls = (const char *const *)crls->pdata,
		.options = {
			.at = at,
			.revocation = CHAIN_REVOCATION_REQUIRED,
			.policies = (const char *const *)policies->pdata,
			.explicit_policy =
			    json_is_true(json_object_get(row, "initial_explicit_policy")),
			.inhibit_policy_mapping =
			    json_is_true(json_object_get(row, "initial_policy_mapping_inhibit")),
			.inhibit_any_policy =
			    json_is_true(json_object_get(row, "initial_inhibit_any_policy")),
		},
	};
	CLEANUP(chain_report) struct chain_report *report = verify(&request);
	gboolean wanted = strcmp(json_string_value(json_object_get(row, "expected")), "valid") == 0;
	gboolean right = (report->verdict == CHAIN_VALID) == wanted;

	qsort(expected->pdata, expected->len - 1, sizeof(gpointer), compare_texts);
	if (right && wanted)
		right = g_strv_equal((const char *const *)report->policies,
				     (const char *const *)expected->pdata);
	if (!right)
		g_test_message("%s %s: %s %s", json_string_value(json_object_get(row, "id")),
			       json_string_value(json_object_get(row, "name")),
			       chain_verdict_name(report->verdict), report->reason);
	return right;
}

static void
test_pkits(void)
{
	g_autofree char *base = pki_data("pkits");
	gint64 at;
	guint right = 0;
	gsize i;
	json_t *row;

	if (base == NULL) {
		g_test_skip("the NIST PKITS data is not here");
		return;
	}
	g_assert_true(clock_parse("2011-04-15T00:00:00Z", &at, NULL));
	g_autofree char *path = g_build_filename(base, "expected.json", NULL);
	json_t *all = json_load_file(path, 0, NULL);
	g_assert_nonnull(all);
	json_array_foreach(all, i, row) right += (guint)pkits_row(row, base, at);
	g_test_message("PKITS: %u of %zu rows are right", right, json_array_size(all));
	g_assert_cmpuint(right, ==, json_array_size(all));
	json_decref(all);
}

/* ---- other people's certificates ---- */

#define NC "nextcloud-certs/"
#define BM "bluemind/certificates/"

static const struct foreign {
	const char *proves, *cert, *root, *untrusted;
	const char *at; /* NULL: 2024-06-04 */
	const char *email;
	enum chain_purpose purpose;
	gboolean unreadable;
	const char *reason; /* part of it; NULL: valid */
} foreign[] = {
	{ .proves = "under its CA",
	  .cert = NC "user@imap.localhost.crt",
	  .root = NC "imap.localhost.ca.crt",
	  .email = "user@imap.localhost" },
	{ .proves = "another's address",
	  .cert = NC "user@imap.localhost.crt",
	  .root = NC "imap.localhost.ca.crt",
	  .email = "user@domain.tld",
	  .reason = "is not an address of" },
	{ .proves = "under another CA",
	  .cert = NC "user@imap.localhost.crt",
	  .root = NC "domain.tld.ca.crt",
	  .reason = "is not among" },
	{ .proves = "of the other CA",
	  .cert = NC "user@domain.tld.crt",
	  .root = NC "domain.tld.ca.crt",
	  .purpose = CHAIN_PURPOSE_ENCRYPT,
	  .email = "USER@domain.tld" },
	{ .proves = "the chain in one file",
	  .cert = NC "chain@imap.localhost.crt",
	  .root = NC "imap.localhost.ca.crt" },
	{ .proves = "part of the chain in one file",
	  .cert = NC "chain-partial@imap.localhost.crt",
	  .root = NC "imap.localhost.ca.crt" },
	{ .proves = "nothing of the chain",
	  .cert = NC "chain-leaf-only@imap.localhost.crt",
	  .root = NC "imap.localhost.ca.crt",
	  .reason = "issuer 'CN=imap.localhost S/MIME Intermediate CA' is not among" },
	{ .proves = "nothing of the chain, which is given",
	  .cert = NC "chain-leaf-only@imap.localhost.crt",
	  .root = NC "imap.localhost.ca.crt",
	  .untrusted = NC "chain-partial@imap.localhost.crt" },
	{ .proves = "another one under its CA",
	  .cert = NC "debug@imap.localhost.crt",
	  .root = NC "imap.localhost.ca.crt" },
	{ .proves = "its name beside its address",
	  .cert = NC "cn-only@imap.localhost.crt",
	  .root = NC "imap.localhost.ca.crt",
	  .email = "cn-only@imap.localhost" },
	{ .proves = "self-signed, under a CA",
	  .cert = NC "san-only@imap.localhost.crt",
	  .root = NC "imap.localhost.ca.crt",
	  .at = "2026-06-01T00:00:00Z",
	  .reason = "root 'CN=SAN Only User' is not among" },
	{ .proves = "self-signed, trusted itself",
	  .cert = NC "san-only@imap.localhost.crt",
	  .root = NC "san-only@imap.localhost.crt",
	  .at = "2026-06-01T00:00:00Z",
	  .purpose = CHAIN_PURPOSE_SIGN,
	  .email = "san-only@imap.localhost" },
	{ .proves = "under its CA",
	  .cert = BM "alice.crt",
	  .root = BM "aliceCA.crt",
	  .purpose = CHAIN_PURPOSE_SIGN },
	{ .proves = "the CA itself", .cert = BM "aliceCA.crt", .root = BM "aliceCA.crt" },
	{ .proves = "corrupted signature",
	  .cert = BM "corruptedSignature.crt",
	  .root = BM "aliceCA.crt",
	  .reason =
	      "signature of 'CN=Alice Lovelace, OU=LAMPS WG, O=IETF' does not fit its issuer" },
	{ .proves = "expired",
	  .cert = BM "expiredSSL.crt",
	  .root = BM "basicCA.crt",
	  .reason = "expired on 2016-08-02" },
	{ .proves = "a web server's",
	  .cert = BM "expiredSSL.crt",
	  .root = BM "basicCA.crt",
	  .at = "2016-08-01T00:00:00Z",
	  .purpose = CHAIN_PURPOSE_SIGN,
	  .reason = "lacks emailProtection" },
	{ .proves = "anyExtendedKeyUsage",
	  .cert = BM "anyExtendedKeyUsage.crt",
	  .root = BM "anyExtendedKeyUsage.crt",
	  .at = "2024-02-01T00:00:00Z",
	  .purpose = CHAIN_PURPOSE_SIGN,
	  .email = "test@devenv.blue" },
	{ .proves = "without any usage",
	  .cert = BM "basicCert.crt",
	  .root = BM "basicCA.crt",
	  .at = "2023-11-03T00:00:00Z" },
	{ .proves = "an issuer that is not there",
	  .cert = BM "certificate.crt",
	  .root = BM "aliceCA.crt",
	  .at = "2023-01-01T00:00:00Z",
	  .reason = "is not among" },
	{ .proves = "another of that issuer",
	  .cert = BM "otherCertificate.crt",
	  .root = BM "aliceCA.crt",
	  .at = "2023-01-01T00:00:00Z",
	  .reason = "is not among" },
	{ .proves = "no certificate",
	  .cert = BM "invalid.crt",
	  .root = BM "aliceCA.crt",
	  .unreadable = TRUE,
	  .reason = "certificate" },
};

static void
test_foreign(gconstpointer data)
{
	const struct foreign *row = data;
	g_autofree char *cert = pki_data(row->cert);
	g_autofree char *anchor = pki_data(row->root);
	g_autofree char *between = row->untrusted != NULL ? pki_data(row->untrusted) : NULL;
	const char *roots[] = { anchor, NULL };
	const char *untrusted[] = { between, NULL };
	g_autoptr(GError) error = NULL;
	CLEANUP(mailaddr)
	struct mailaddr *email = row->email != NULL ? mailaddr_parse(row->email, NULL) : NULL;
	gint64 at;

	if (cert == NULL || anchor == NULL) {
		g_test_skip("the foreign test data is not here");
		return;
	}
	g_assert_true(clock_parse(row->at != NULL ? row->at : "2024-06-04T00:00:00Z", &at, NULL));
	struct file_verify request = {
		.cert = cert,
		.roots = roots,
		.untrusted = untrusted,
		.options = { .at = at,
			     .purpose = row->purpose,
			     .email = email,
			     .revocation = CHAIN_REVOCATION_IF_AVAILABLE },
	};
	CLEANUP(chain_report)
	struct chain_report *report = file_verify_run(&request, NULL, NULL, &error);
	g_assert_cmpint(report == NULL, ==, row->unreadable);
	const char *reason = report != NULL ? report->reason : error->message;
	g_test_message("%s", reason);
	if (report != NULL)
		g_assert_cmpint(report->verdict, ==,
				row->reason == NULL ? CHAIN_VALID : CHAIN_INVALID);
	if (row->reason != NULL)
		g_assert_nonnull(strstr(reason, row->reason));
}

/* A file that is new in the folders is a new row here. */
static void
test_foreign_all(void)
{
	static const char *const folders[] = { "nextcloud-certs", "bluemind/certificates" };

	for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *path = pki_data(folders[i]);
		g_autoptr(GDir) open = path != NULL ? g_dir_open(path, 0, NULL) : NULL;
		const char *name;

		if (open == NULL) {
			g_test_skip("the foreign test data is not here");
			return;
		}
		while ((name = g_dir_read_name(open)) != NULL) {
			g_autofree char *relative = g_build_filename(folders[i], name, NULL);
			gboolean judged = !g_str_has_suffix(name, ".crt");

			for (gsize k = 0; k < G_N_ELEMENTS(foreign); k++)
				judged |= strcmp(foreign[k].cert, relative) == 0 ||
					  strcmp(foreign[k].root, relative) == 0;
			if (!judged)
				g_error("%s has no row", relative);
		}
	}
}

/* Lists that others signed, well and badly. */
static void
test_foreign_lists(void)
{
	static const struct {
		const char *list, *issuer;
		gboolean signed_by;
	} lists[] = {
		{ "bluemind/cacerts/trust-crl.crl", "bluemind/cacerts/trust-ca.crt.cer", TRUE },
		/* Its name says otherwise; OpenSSL agrees with us. */
		{ "bluemind/cacerts/crl-test-invalid-sig.crl",
		  "bluemind/cacerts/cacert-test-invalid-sig.crt", TRUE },
		{ "bluemind/cacerts/crl-test-invalid-sig.crl", "bluemind/cacerts/trust-ca.crt.cer",
		  FALSE },
		{ "bluemind/cacerts/no-revocation.crl", "bluemind/cacerts/trust-ca.crt.cer",
		  FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(lists); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *list = pki_data(lists[i].list);
		g_autofree char *issuer = pki_data(lists[i].issuer);
		const char *paths[] = { list, issuer, NULL };

		if (list == NULL || issuer == NULL) {
			g_test_skip("the foreign test data is not here");
			return;
		}
		CLEANUP(file_pool)
		struct file_pool *pool = file_pool_read(paths, NULL, NULL, NULL, &error);
		g_assert_no_error(error);
		g_assert_cmpuint(pool->crls->len, ==, 1);
		g_assert_cmpuint(pool->certs->len, ==, 1);
		g_assert_cmpint(crl_is_signed_by(pool->crls->pdata[0], pool->certs->pdata[0]), ==,
				lists[i].signed_by);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	folder = g_dir_make_tmp("verify-XXXXXX", NULL);
	written = g_ptr_array_new_with_free_func(g_free);
	root = pki_root("Root");
	other = pki_root("Other");
	intermediate = pki_intermediate(&root, "Intermediate");
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = g_strdup_printf("/file-verify/%s", rows[i].proves);
		g_test_add_data_func(name, &rows[i], test_row);
	}
	g_test_add_func("/file-verify/folder", test_folder);
	g_test_add_func("/file-verify/broken-subject", test_broken_subject);
	g_test_add_func("/file-verify/pkits", test_pkits);
	for (gsize i = 0; i < G_N_ELEMENTS(foreign); i++) {
		g_autofree char *name = g_strdup_printf("/file-verify/foreign/%zu %s: %s", i,
							foreign[i].cert, foreign[i].proves);
		g_test_add_data_func(name, &foreign[i], test_foreign);
	}
	g_test_add_func("/file-verify/foreign/all", test_foreign_all);
	g_test_add_func("/file-verify/foreign-lists", test_foreign_lists);
	int status = g_test_run();
	clear_folder();
	g_ptr_array_unref(written);
	g_rmdir(folder);
	g_free(folder);
	node_clear(&intermediate);
	node_clear(&other);
	node_clear(&root);
	return status;
}
