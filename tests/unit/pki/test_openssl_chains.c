/*
 * The chains of OpenSSL's own test of verification (25-test_verify.t): what is said there of paths,
 * names, policies, keys and extensions. Its rows on purposes of TLS and on trust that a file
 * carries along have no counterpart here. Where we are of another mind the row says why.
 */
#include <glib.h>
#include <string.h>

#include "pki/file_verify.h"
#include "store/base/clock.h"
#include "tests/unit/pki/cert_fixture.h"

#define FOLDER "openssl/certs"
#define POLICY "1.3.6.1.4.1.16604.998855.1"

struct row {
	const char *cert;
	const char *trusted, *untrusted; /* names, separated by blanks */
	gboolean valid;
	const char *reason;    /* part of ours */
	const char *otherwise; /* why it is not as the source has it; NULL: it is */
	const char *at;        /* NULL: 2026-06-01 */
	gboolean modern;       /* only algorithms and keys of today */
	const char *policy;
	gboolean explicit_policy;
};

static const struct row rows[] = {
	{ .cert = "ee-cert", .trusted = "root-cert", .untrusted = "ca-cert", .valid = TRUE },
	{ .cert = "ee-cert",
	  .trusted = "root-nonca",
	  .untrusted = "ca-cert",
	  .reason = "is not a CA" },
	{ .cert = "ee-cert",
	  .trusted = "root-cert2",
	  .untrusted = "ca-cert",
	  .reason = "does not fit its issuer" },
	{ .cert = "ee-cert",
	  .trusted = "root-name2",
	  .untrusted = "ca-cert",
	  .reason = "is not among" },
	{ .cert = "ee-cert",
	  .trusted = "root-expired",
	  .untrusted = "ca-cert",
	  .reason = "expired" },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "",
	  .reason = "issuer 'CN=CA' is not among" },
	{ .cert = "ee-cert",
	  .trusted = "ca-cert",
	  .untrusted = "",
	  .valid = TRUE,
	  .otherwise = "an anchor need not be self-signed; there it takes -partial_chain" },
	{ .cert = "ee-cert",
	  .trusted = "ca-root2",
	  .untrusted = "",
	  .valid = TRUE,
	  .otherwise = "likewise" },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-nonca",
	  .reason = "is not a CA" },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-nonbc",
	  .reason = "is not a CA" },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-root2",
	  .reason = "does not fit its issuer" },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert2",
	  .reason = "does not fit its issuer" },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-name2",
	  .reason = "is not among" },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-expired",
	  .reason = "expired" },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-expired ca-cert",
	  .valid = TRUE },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert2 ca-nonca ca-cert ca-expired",
	  .valid = TRUE },
	{ .cert = "ee-cert",
	  .trusted = "cross-root",
	  .untrusted = "root-cross-cert ca-cert",
	  .valid = TRUE },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "root-cross-cert ca-cert",
	  .valid = TRUE },
	{ .cert = "ee-cert",
	  .trusted = "cross-root",
	  .untrusted = "ca-cert",
	  .reason = "is not among" },
	{ .cert = "ee-cert2",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .reason = "does not fit its issuer" },
	{ .cert = "ee-name2",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .reason = "is not among" },
	{ .cert = "ee-expired",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .reason = "expired" },
	{ .cert = "ee-cert", .trusted = "ee-cert", .untrusted = "", .valid = TRUE },
	{ .cert = "ee-pathlen", .trusted = "root-cert", .untrusted = "ca-cert", .valid = TRUE },
	{ .cert = "ee-cert-noncrit-unknown-ext",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .valid = TRUE },
	{ .cert = "ee-cert-crit-unknown-ext",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .reason = "critical extension" },
	{ .cert = "ee-cert-ocsp-nocheck",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .valid = TRUE },
	{ .cert = "ee-self-signed",
	  .trusted = "ee-self-signed",
	  .untrusted = "",
	  .valid = TRUE,
	  .at = "2020-07-01T01:00:00Z" },
	{ .cert = "ee-self-signed",
	  .trusted = "",
	  .untrusted = "",
	  .at = "2020-07-01T01:00:00Z",
	  .reason = "is not among" },

	/* keys and digests */
	{ .cert = "ee-cert-768",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .reason = "too short",
	  .modern = TRUE },
	{ .cert = "ee-cert-1024",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .reason = "too short",
	  .modern = TRUE },
	{ .cert = "ee-cert-768i",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert-768",
	  .modern = TRUE },
	{ .cert = "ee-cert", .trusted = "root-cert", .untrusted = "ca-cert-md5", .modern = TRUE },
	{ .cert = "ee-cert-md5", .trusted = "root-cert", .untrusted = "ca-cert", .modern = TRUE },
	{ .cert = "ee-cert",
	  .trusted = "root-cert-768",
	  .untrusted = "ca-cert-768",
	  .modern = TRUE },
	{ .cert = "ee-cert", .trusted = "root-cert-md5", .untrusted = "ca-cert", .valid = TRUE },
	{ .cert = "ee-cert-3072", .trusted = "root-cert", .untrusted = "ca-cert", .valid = TRUE },
	{ .cert = "ee-cert-4096", .trusted = "root-cert", .untrusted = "ca-cert", .valid = TRUE },
	{ .cert = "ee-cert-8192", .trusted = "root-cert", .untrusted = "ca-cert", .valid = TRUE },
	{ .cert = "ee-pss-sha1-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .valid = TRUE },
	{ .cert = "ee-pss-sha1-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .modern = TRUE },
	{ .cert = "ee-pss-sha256-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .valid = TRUE },
	{ .cert = "ee-pss-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-pss-cert",
	  .valid = TRUE },
	{ .cert = "ee-pss-wrong1.5-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-pss-cert",
	  .reason = "does not fit its issuer" },
	{ .cert = "ee-cert-ec-explicit",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert-ec-named",
	  .reason = "curve" },
	{ .cert = "ee-cert-ec-named-explicit",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert-ec-explicit",
	  .reason = "curve" },
	{ .cert = "ee-cert-ec-named-named",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert-ec-named",
	  .valid = TRUE },
	{ .cert = "ee-ed25519", .trusted = "root-ed25519", .untrusted = "", .valid = TRUE },
	{ .cert = "root-ed25519", .trusted = "ee-ed25519", .untrusted = "", .reason = "root" },
	{ .cert = "server-ed448-cert",
	  .trusted = "root-ed448-cert",
	  .untrusted = "",
	  .valid = TRUE },

	/* name constraints */
	{ .cert = "alt1-cert", .trusted = "root-cert", .untrusted = "ncca1-cert", .valid = TRUE },
	{ .cert = "alt2-cert", .trusted = "root-cert", .untrusted = "ncca2-cert", .valid = TRUE },
	{ .cert = "alt3-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert ncca3-cert",
	  .valid = TRUE },
	{ .cert = "goodcn1-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert",
	  .valid = TRUE },
	{ .cert = "goodcn2-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert",
	  .valid = TRUE },
	{ .cert = "badcn1-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert",
	  .valid = TRUE,
	  .otherwise = "a common name is no host name and no address here, so no constraint of "
		       "hosts speaks of "
		       "it" },
	{ .cert = "badalt1-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert",
	  .reason = "name constraints" },
	{ .cert = "badalt2-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca2-cert",
	  .reason = "name constraints" },
	{ .cert = "badalt3-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert",
	  .reason = "name constraints" },
	{ .cert = "badalt4-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert",
	  .reason = "name constraints" },
	{ .cert = "badalt5-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert",
	  .reason = "name constraints" },
	{ .cert = "badalt6-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert",
	  .valid = TRUE,
	  .otherwise = "likewise: its common names" },
	{ .cert = "badalt7-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert",
	  .valid = TRUE,
	  .otherwise = "likewise: its common names" },
	{ .cert = "badalt8-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert ncca3-cert",
	  .reason = "name constraints" },
	{ .cert = "badalt9-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert ncca3-cert",
	  .reason = "name constraints" },
	{ .cert = "badalt10-cert",
	  .trusted = "root-cert",
	  .untrusted = "ncca1-cert ncca3-cert",
	  .reason = "name constraints" },
	{ .cert = "bad-othername-cert",
	  .trusted = "root-cert",
	  .untrusted = "nccaothername-cert",
	  .reason = "name constraints" },
	{ .cert = "bad-othername-namec", .trusted = "bad-othername-namec-inter", .untrusted = "" },
	{ .cert = "many-names1",
	  .trusted = "many-constraints",
	  .untrusted = "",
	  .reason = "cannot be read" },
	{ .cert = "many-names2", .trusted = "many-constraints", .untrusted = "" },
	{ .cert = "many-names3", .trusted = "many-constraints", .untrusted = "" },
	{ .cert = "some-names1", .trusted = "many-constraints", .untrusted = "", .valid = TRUE },
	{ .cert = "some-names2", .trusted = "many-constraints", .untrusted = "", .valid = TRUE },
	{ .cert = "some-names3", .trusted = "many-constraints", .untrusted = "", .valid = TRUE },

	/* policies */
	{ .cert = "ee-cert-policies",
	  .trusted = "root-cert",
	  .untrusted = "ca-pol-cert",
	  .valid = TRUE,
	  .policy = POLICY,
	  .explicit_policy = TRUE },
	{ .cert = "ee-cert-policies",
	  .trusted = "root-cert",
	  .untrusted = "ca-pol-cert",
	  .reason = "policy",
	  .policy = "1.2.3.4",
	  .explicit_policy = TRUE },
	{ .cert = "ee-cert-policies-bad",
	  .trusted = "root-cert",
	  .untrusted = "ca-pol-cert",
	  .reason = "extension",
	  .policy = POLICY,
	  .explicit_policy = TRUE },
	{ .cert = "ee-cert",
	  .trusted = "root-cert",
	  .untrusted = "ca-cert",
	  .reason = "policy",
	  .policy = POLICY,
	  .explicit_policy = TRUE },

	/* proxy certificates are none of mail's */
	{ .cert = "pc1-cert", .trusted = "root-cert", .untrusted = "ca-cert ee-client" },
	{ .cert = "bad-pc3-cert", .trusted = "root-cert", .untrusted = "ee-client pc1-cert" },
	{ .cert = "cve-2026-28388-leaf",
	  .trusted = "cve-2026-28388-ca",
	  .untrusted = "",
	  .valid = TRUE },
};

static GPtrArray *
paths_of(const char *names, gboolean *all)
{
	GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
	g_auto(GStrv) each = g_strsplit(names, " ", -1);

	for (gsize i = 0; each[i] != NULL; i++) {
		if (*each[i] == '\0')
			continue;
		g_autofree char *relative = g_strdup_printf(FOLDER "/%s.pem", each[i]);
		char *path = pki_data(relative);
		if (path != NULL)
			g_ptr_array_add(paths, path);
		else
			*all = FALSE;
	}
	g_ptr_array_add(paths, NULL);
	return paths;
}

static struct file_pool *
read_pool(const GPtrArray *paths)
{
	g_autoptr(GError) error = NULL;
	struct file_pool *pool =
	    file_pool_read((const char *const *)paths->pdata, NULL, NULL, NULL, &error);

	g_assert_no_error(error);
	return pool;
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	gboolean all = TRUE;
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) subject = paths_of(row->cert, &all);
	g_autoptr(GPtrArray) roots = paths_of(row->trusted, &all);
	g_autoptr(GPtrArray) untrusted = paths_of(row->untrusted, &all);
	const char *policies[] = { row->policy, NULL };

	if (!all) {
		g_test_skip("not among the data");
		return;
	}
	CLEANUP(file_pool) struct file_pool *end = read_pool(subject);
	CLEANUP(file_pool) struct file_pool *anchors = read_pool(roots);
	CLEANUP(file_pool) struct file_pool *others = read_pool(untrusted);
	if (end->certs->len == 0) {
		g_assert_false(row->valid);
		return;
	}
	for (guint i = 1; i < end->certs->len; i++)
		g_ptr_array_add(others->certs, cert_ref(end->certs->pdata[i]));
	struct chain_options options = {
		.anchors = anchors->certs,
		.untrusted = others->certs,
		.policies = policies,
		.explicit_policy = row->explicit_policy,
		.allow_legacy = !row->modern,
		.where = "among the given files",
	};
	g_assert_true(
	    clock_parse(row->at != NULL ? row->at : "2026-06-01T00:00:00Z", &options.at, NULL));
	CLEANUP(chain_report)
	struct chain_report *report = chain_check(end->certs->pdata[0], &options, &error);
	g_assert_no_error(error);
	g_test_message("%s %s%s%s", chain_verdict_name(report->verdict), report->reason,
		       row->otherwise != NULL ? " | otherwise: " : "",
		       row->otherwise != NULL ? row->otherwise : "");
	if ((report->verdict == CHAIN_VALID) != row->valid ||
	    (row->reason != NULL && strstr(report->reason, row->reason) == NULL))
		g_test_fail();
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name =
		    g_strdup_printf("/openssl-chains/%zu %s under %s %s", i, rows[i].cert,
				    rows[i].untrusted, rows[i].trusted);
		g_test_add_data_func(name, &rows[i], test_row);
	}
	return g_test_run();
}
