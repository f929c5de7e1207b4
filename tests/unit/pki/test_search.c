/*
 * Several paths to choose from, and certificates that were made to waste our time: what is tried,
 * and that it ends. Work is counted in steps and signatures, never in seconds.
 */
#include <glib.h>
#include <string.h>

#include "pki/crypto/chain.h"
#include "pki/crypto/crl_check.h"
#include "tests/unit/pki/chain_maker.h"

static struct maker *maker;

static struct chain_report *
check_as(enum chain_revocation revocation, gboolean explicit_policy)
{
	g_autoptr(GError) error = NULL;
	struct chain_options options = {
		.anchors = maker_anchors(maker),
		.untrusted = maker_others(maker),
		.crls = maker_crls(maker),
		.at = MAKER_NOW,
		.revocation = revocation,
		.explicit_policy = explicit_policy,
	};
	struct chain_report *report = chain_check(maker_cert(maker, "ee"), &options, &error);

	g_assert_no_error(error);
	g_test_message("%s %s; %u steps, effort %u, %u paths, %u lists%s",
		       chain_verdict_name(report->verdict), report->reason, report->work.steps,
		       report->work.effort, report->work.paths, report->work.list_steps,
		       report->work.exhausted ? ", exhausted" : "");
	return report;
}

#define CA(name, up, ...)                                                                          \
	{                                                                                          \
		.id = name, .issuer = up, .flags = MADE_CA, __VA_ARGS__                            \
	}
#define ROOT(name)                                                                                 \
	{                                                                                          \
		.id = name, .flags = MADE_CA | MADE_ANCHOR                                         \
	}

struct row {
	const char *proves;
	struct made certs[9];
	struct made_list lists[4];
	gboolean explicit_policy;
	gboolean invalid;
	const char *reason;
	const char *over; /* id of the certificate above the end's that must be on the path */
};

static const struct row rows[] = {
	{ .proves = "a renewed CA: the old certificate is over",
	  .certs = { ROOT("root"),
		     CA("old", "root", .subject = "CN=ca", .to = "260101000000Z", .key = "k"),
		     CA("new", "root", .subject = "CN=ca", .key = "k"),
		     { .id = "ee", .issuer = "old" } },
	  .over = "new" },
	{ .proves = "a renewed CA: the new one is not valid yet",
	  .certs = { ROOT("root"),
		     CA("old", "root", .subject = "CN=ca", .key = "k"),
		     CA("new", "root", .subject = "CN=ca", .from = "280101000000Z", .key = "k"),
		     { .id = "ee", .issuer = "old" } },
	  .over = "old" },
	{ .proves = "a renewed CA whose key has another identifier now",
	  .certs = { ROOT("root"),
		     CA("old", "root", .subject = "CN=ca", .to = "260101000000Z", .key = "k"),
		     CA("new", "root", .subject = "CN=ca", .key = "k",
			.ext = "subjectKeyIdentifier=0A0B0C\n"),
		     { .id = "ee", .issuer = "old" } },
	  .lists = { { .issuer = "new", .flags = MADE_BARE } },
	  .over = "new" },
	{ .proves = "of two certificates of a CA one is revoked",
	  .certs = { ROOT("root"),
		     CA("a", "root", .subject = "CN=ca", .key = "k", .serial = "50"),
		     CA("b", "root", .subject = "CN=ca", .key = "k", .serial = "51"),
		     { .id = "ee", .issuer = "a" } },
	  .lists = { { .issuer = "root", .revoked = "50" } },
	  .over = "b" },
	{ .proves = "of two certificates of a CA the other is revoked",
	  .certs = { ROOT("root"),
		     CA("a", "root", .subject = "CN=ca", .key = "k", .serial = "50"),
		     CA("b", "root", .subject = "CN=ca", .key = "k", .serial = "51"),
		     { .id = "ee", .issuer = "a" } },
	  .lists = { { .issuer = "root", .revoked = "51" } },
	  .over = "a" },
	{ .proves = "of two certificates of a CA both are revoked",
	  .certs = { ROOT("root"),
		     CA("a", "root", .subject = "CN=ca", .key = "k", .serial = "50"),
		     CA("b", "root", .subject = "CN=ca", .key = "k", .serial = "51"),
		     { .id = "ee", .issuer = "a" } },
	  .lists = { { .issuer = "root", .revoked = "50 51" } },
	  .invalid = TRUE,
	  .reason = "was revoked" },
	{ .proves = "under two roots, one without a list",
	  .certs = { ROOT("one"),
		     { .id = "two", .flags = MADE_CA | MADE_ANCHOR | MADE_NO_LIST },
		     CA("a", "two", .subject = "CN=ca", .key = "k"),
		     CA("b", "one", .subject = "CN=ca", .key = "k"),
		     { .id = "ee", .issuer = "a" } },
	  .over = "b" },
	{ .proves = "a cross-certificate leads to the root that is trusted",
	  .certs = { ROOT("root"),
		     { .id = "other", .flags = MADE_CA },
		     CA("ca", "other", ),
		     CA("cross", "root", .subject = "O=Test,CN=other", .key = "other"),
		     { .id = "ee", .issuer = "ca" } },
	  .over = "ca" },
	{ .proves = "a re-keyed CA: the key tells which",
	  .certs = { ROOT("root"),
		     CA("old", "root", .subject = "CN=ca"),
		     CA("new", "root", .subject = "CN=ca"),
		     { .id = "ee", .issuer = "new" } },
	  .lists = { { .issuer = "old", .key = "new", .flags = MADE_BARE } },
	  .over = "new" },
	{ .proves = "name constraints on one path only",
	  .certs = { ROOT("root"),
		     CA("a", "root", .subject = "CN=ca", .key = "k",
			.ext = "nameConstraints=critical,permitted;email:y.org\n"),
		     CA("b", "root", .subject = "CN=ca", .key = "k"),
		     { .id = "ee", .issuer = "a", .ext = "subjectAltName=email:a@x.org\n" } },
	  .over = "b" },
	{ .proves = "policies on one path only",
	  .certs = { ROOT("root"),
		     CA("a", "root", .subject = "CN=ca", .key = "k"),
		     CA("b", "root", .subject = "CN=ca", .key = "k",
			.ext = "certificatePolicies=1.2.3.4\n"),
		     { .id = "ee", .issuer = "a", .ext = "certificatePolicies=1.2.3.4\n" } },
	  .explicit_policy = TRUE,
	  .over = "b" },
	{ .proves = "one that is no CA beside one that is",
	  .certs = { ROOT("root"),
		     CA("a", "root", .subject = "CN=ca", .key = "k",
			.ext = "basicConstraints=critical,CA:FALSE\n"),
		     CA("b", "root", .subject = "CN=ca", .key = "k"),
		     { .id = "ee", .issuer = "a" } },
	  .over = "b" },
	{ .proves = "a long way round a short dead end",
	  .certs = { ROOT("root"),
		     CA("a", "root", .to = "260101000000Z", .subject = "CN=a", .key = "k"),
		     CA("c", "root", ),
		     CA("b", "c", ),
		     CA("a2", "b", .subject = "CN=a", .key = "k"),
		     { .id = "ee", .issuer = "a" } },
	  .over = "a2" },
	{ .proves = "two CAs that certify each other",
	  .certs = { { .id = "a0", .flags = MADE_CA, .subject = "CN=a", .key = "a" },
		     CA("b", "a0", .subject = "CN=b", .key = "b"),
		     CA("a", "b", .subject = "CN=a", .key = "a"),
		     { .id = "ee", .issuer = "a" } },
	  .invalid = TRUE,
	  .reason = "in the root store" },
	{ .proves = "another order of key ids is no reason to fail",
	  .certs = { ROOT("root"),
		     CA("a", "root", .subject = "CN=ca", .key = "k",
			.ext = "subjectKeyIdentifier=010203\n"),
		     { .id = "ee", .issuer = "a", .ext = "authorityKeyIdentifier=keyid\n" },
		     CA("b", "root", .subject = "CN=ca", .key = "k2",
			.ext = "subjectKeyIdentifier=010203\n") },
	  .over = "a" },
};

static void
test_row(gconstpointer data)
{
	const struct row *row = data;

	maker_clear(maker);
	maker_certs(maker, row->certs);
	maker_lists(maker, row->lists);
	CLEANUP(chain_report)
	struct chain_report *report = check_as(CHAIN_REVOCATION_REQUIRED, row->explicit_policy);
	g_assert_cmpint(report->verdict == CHAIN_VALID, ==, !row->invalid);
	g_assert_false(report->work.exhausted);
	if (row->reason != NULL)
		g_assert_nonnull(strstr(report->reason, row->reason));
	if (row->over != NULL) {
		gboolean found = FALSE;
		for (guint i = 0; i < report->path->len; i++)
			found |= cert_equal(report->path->pdata[i], maker_cert(maker, row->over));
		g_assert_true(found);
	}
}

static void
add(const struct made *made)
{
	struct made table[] = { *made, { .id = NULL } };

	maker_certs(maker, table);
}

static void
add_ca(const char *id, const char *issuer, const char *subject, const char *key, const char *ext)
{
	add(&(struct made){ .id = id,
			    .issuer = issuer,
			    .subject = subject,
			    .key = key,
			    .ext = ext,
			    .flags = MADE_CA | MADE_NO_LIST });
}

static void
assert_within(const struct chain_report *report)
{
	g_assert_cmpuint(report->work.steps, <=, 2 * CHAIN_STEPS_MAX);
	g_assert_cmpuint(report->work.effort, <=, CHAIN_EFFORT_MAX + 256);
	g_assert_cmpuint(report->work.paths, <=, CHAIN_PATHS_MAX);
}

/* 200 CAs of one name, each with a key of its own and none known by key id. */
static void
test_same_names(void)
{
	maker_clear(maker);
	add(&(struct made){ .id = "root", .flags = MADE_CA | MADE_ANCHOR });
	for (int i = 0; i < 200; i++) {
		g_autofree char *id = g_strdup_printf("same-%d", i);
		add(&(struct made){ .id = id,
				    .issuer = "root",
				    .subject = "CN=same",
				    .flags = MADE_CA | MADE_NO_LIST | MADE_BARE,
				    .ext = "basicConstraints=critical,CA:TRUE\n" });
	}
	add(&(struct made){ .id = "ee", .issuer = "same-137", .flags = MADE_BARE });
	CLEANUP(chain_report) struct chain_report *report = check_as(CHAIN_REVOCATION_OFF, FALSE);
	g_assert_cmpint(report->verdict, ==, CHAIN_VALID);
	assert_within(report);
}

/* The same, and all of them issued by that name: 40,000 signatures could be tried. */
static void
test_same_names_all_over(void)
{
	maker_clear(maker);
	for (int i = 0; i < 200; i++) {
		g_autofree char *id = g_strdup_printf("same-%d", i);
		g_autofree char *above = g_strdup_printf("same-%d", i - 1);
		add(&(struct made){ .id = id,
				    .issuer = i > 0 ? above : NULL,
				    .subject = "CN=same",
				    .flags = MADE_CA | MADE_NO_LIST | MADE_BARE,
				    .ext = "basicConstraints=critical,CA:TRUE\n" });
	}
	add(&(struct made){ .id = "ee", .issuer = "same-199", .flags = MADE_BARE });
	CLEANUP(chain_report) struct chain_report *report = check_as(CHAIN_REVOCATION_OFF, FALSE);
	g_assert_cmpint(report->verdict, ==, CHAIN_INVALID);
	assert_within(report);
	g_assert_true(report->work.exhausted);
	g_assert_nonnull(strstr(report->reason, "are too many to try"));
}

#define MESH 12

/* Everybody certifies everybody; with root, the last of them is under it too. */
static void
make_mesh(gboolean root)
{
	maker_clear(maker);
	if (root)
		add(&(struct made){ .id = "root", .flags = MADE_CA | MADE_ANCHOR });
	for (int i = 0; i < MESH; i++) {
		g_autofree char *id = g_strdup_printf("m%d", i);
		add(&(struct made){ .id = id, .flags = MADE_CA | MADE_NO_LIST });
	}
	for (int i = 0; i < MESH; i++)
		for (int k = 0; k < MESH; k++) {
			g_autofree char *id = g_strdup_printf("m%d-by-m%d", i, k);
			g_autofree char *key = g_strdup_printf("m%d", i);
			g_autofree char *subject = g_strdup_printf("O=Test,CN=m%d", i);
			g_autofree char *issuer = g_strdup_printf("m%d", k);
			if (i != k)
				add_ca(id, issuer, subject, key, NULL);
		}
	if (root)
		add_ca("m11-by-root", "root", "O=Test,CN=m11", "m11", NULL);
	add(&(struct made){ .id = "ee", .issuer = "m0" });
}

static void
test_mesh(void)
{
	make_mesh(FALSE);
	CLEANUP(chain_report) struct chain_report *report = check_as(CHAIN_REVOCATION_OFF, FALSE);
	g_assert_cmpint(report->verdict, ==, CHAIN_INVALID);
	assert_within(report);
	g_assert_nonnull(strstr(report->reason, "too many to try"));
}

/* The short way out is found before the thicket is entered. */
static void
test_mesh_with_root(void)
{
	make_mesh(TRUE);
	CLEANUP(chain_report) struct chain_report *report = check_as(CHAIN_REVOCATION_OFF, FALSE);
	g_assert_cmpint(report->verdict, ==, CHAIN_VALID);
	g_assert_cmpuint(report->work.steps, <, CHAIN_STEPS_MAX / 2);
	assert_within(report);
}

/* As the tree of RFC 5280 this has 60^8 nodes. */
static void
test_policies(void)
{
	g_autoptr(GString) ext = g_string_new("certificatePolicies=");

	for (int i = 0; i < 60; i++)
		g_string_append_printf(ext, "%s1.2.3.%d", i > 0 ? "," : "", i);
	g_string_append(ext, "\npolicyMappings=");
	for (int i = 0; i < 11; i++)
		for (int k = 0; k < 11; k++)
			g_string_append_printf(ext, "%s1.2.3.%d:1.2.3.%d", i + k > 0 ? "," : "", i,
					       k);
	g_string_append_c(ext, '\n');
	maker_clear(maker);
	add(&(struct made){ .id = "root", .flags = MADE_CA | MADE_ANCHOR });
	for (int i = 0; i < 8; i++) {
		g_autofree char *id = g_strdup_printf("p%d", i);
		g_autofree char *above = g_strdup_printf("p%d", i - 1);
		add_ca(id, i > 0 ? above : "root", NULL, NULL, ext->str);
	}
	add(&(struct made){ .id = "ee", .issuer = "p7", .ext = "certificatePolicies=1.2.3.5\n" });
	CLEANUP(chain_report) struct chain_report *report = check_as(CHAIN_REVOCATION_OFF, TRUE);
	assert_within(report);
	g_assert_cmpint(report->verdict, ==, CHAIN_VALID);
}

static void
test_names(void)
{
	g_autoptr(GString) ext = g_string_new("nameConstraints=critical,@names\n[names]\n");
	g_autoptr(GString) own = g_string_new("subjectAltName=@names\n[names]\n");

	for (int i = 0; i < 1000; i++) {
		g_string_append_printf(ext, "permitted;email.%d=h%d.example\n", i, 1000 + i);
		g_string_append_printf(own, "email.%d=a@h%d.example\n", i % 200, 1000 + i % 200);
	}
	maker_clear(maker);
	add(&(struct made){ .id = "root", .flags = MADE_CA | MADE_ANCHOR });
	for (int i = 0; i < 8; i++) {
		g_autofree char *id = g_strdup_printf("n%d", i);
		g_autofree char *above = g_strdup_printf("n%d", i - 1);
		add_ca(id, i > 0 ? above : "root", NULL, NULL, ext->str);
	}
	add(&(struct made){ .id = "ee", .issuer = "n7", .ext = own->str });
	CLEANUP(chain_report) struct chain_report *report = check_as(CHAIN_REVOCATION_OFF, FALSE);
	assert_within(report);
}

static void
test_length(void)
{
	for (int length = CHAIN_DEPTH_MAX - 2; length <= CHAIN_DEPTH_MAX - 1; length++) {
		g_autofree char *last = g_strdup_printf("l%d", length - 1);

		maker_clear(maker);
		add(&(struct made){ .id = "root", .flags = MADE_CA | MADE_ANCHOR });
		for (int i = 0; i < length; i++) {
			g_autofree char *id = g_strdup_printf("l%d", i);
			g_autofree char *above = g_strdup_printf("l%d", i - 1);
			add_ca(id, i > 0 ? above : "root", NULL, NULL, NULL);
		}
		add(&(struct made){ .id = "ee", .issuer = last });
		CLEANUP(chain_report)
		struct chain_report *report = check_as(CHAIN_REVOCATION_OFF, FALSE);
		g_assert_cmpint(report->verdict == CHAIN_VALID, ==, length + 2 <= CHAIN_DEPTH_MAX);
		if (report->verdict != CHAIN_VALID)
			g_assert_nonnull(strstr(report->reason, "longer than 16 certificates"));
	}
}

/* Lists that nobody signed, in the name of a CA with many keys. */
static void
test_lists(void)
{
	struct made_list lists[401] = { { .issuer = NULL } };

	maker_clear(maker);
	add(&(struct made){ .id = "root", .flags = MADE_CA | MADE_ANCHOR });
	for (int i = 0; i < 40; i++) {
		g_autofree char *id = g_strdup_printf("same-%d", i);
		add(&(struct made){ .id = id,
				    .issuer = "root",
				    .subject = "CN=same",
				    .flags = MADE_CA | MADE_NO_LIST | MADE_BARE,
				    .ext = "basicConstraints=critical,CA:TRUE\n" });
	}
	add(&(struct made){ .id = "ee", .issuer = "same-7", .flags = MADE_BARE });
	for (gsize i = 0; i < G_N_ELEMENTS(lists) - 1; i++)
		lists[i] = (struct made_list){ .issuer = "same-0",
					       .flags = MADE_BARE | MADE_BAD_SIGNATURE };
	maker_lists(maker, lists);
	CLEANUP(chain_report)
	struct chain_report *report = check_as(CHAIN_REVOCATION_IF_AVAILABLE, FALSE);
	g_assert_cmpint(report->verdict, ==, CHAIN_INVALID);
	g_assert_nonnull(strstr(report->reason, "the CRLs for 'CN=ee, O=Test' are too many"));
	g_assert_cmpuint(report->work.list_steps, <, 2 * CRL_STEPS_MAX);
}

/* What was verified once is remembered by the certificate. */
static void
test_remembered(void)
{
	static const struct made certs[] = {
		ROOT("root"), CA("ca", "root", ), { .id = "ee", .issuer = "ca" }, { .id = NULL }
	};

	maker_clear(maker);
	maker_certs(maker, certs);
	maker_lists(maker, NULL);
	CLEANUP(chain_report)
	struct chain_report *first = check_as(CHAIN_REVOCATION_REQUIRED, FALSE);
	CLEANUP(chain_report)
	struct chain_report *again = check_as(CHAIN_REVOCATION_REQUIRED, FALSE);
	g_assert_cmpint(first->verdict, ==, CHAIN_VALID);
	g_assert_cmpuint(first->work.effort, ==, 8);
	g_assert_cmpuint(again->work.effort, ==, 0);
	g_assert_cmpuint(again->work.steps, <=, 20);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	maker = maker_new();
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = g_strdup_printf("/search/%s", rows[i].proves);
		g_test_add_data_func(name, &rows[i], test_row);
	}
	g_test_add_func("/search/200 CAs of one name", test_same_names);
	g_test_add_func("/search/200 CAs of one name above each other", test_same_names_all_over);
	g_test_add_func("/search/everybody certifies everybody", test_mesh);
	g_test_add_func("/search/everybody, and a root", test_mesh_with_root);
	g_test_add_func("/search/policies that explode", test_policies);
	g_test_add_func("/search/a thousand names", test_names);
	g_test_add_func("/search/as long as it may be", test_length);
	g_test_add_func("/search/lists without a signature", test_lists);
	g_test_add_func("/search/remembered signatures", test_remembered);
	int status = g_test_run();
	maker_free(maker);
	return status;
}
