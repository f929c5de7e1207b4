/*
 * Bulk import: every object has its outcome, whatever stands beside it; twice, in parallel and
 * after a break it comes to the same.
 */
#include "tests/unit/pki/store_fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pki/crl_load.h"
#include "pki/crypto/bundle.h"
#include "pki/crypto/pem_cut.h"
#include "pki/import_bulk.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/crls.h"
#include "store/db/changelog.h"
#include "tests/unit/pki/cert_fixture.h"

#define CERTS 300

static struct world world;
static GPtrArray *certs; /* struct cert */
static GByteArray *pem;  /* of all of them */
static struct node issuer;

static GBytes *
pem_of(const struct cert *cert)
{
	g_autoptr(GPtrArray) one = g_ptr_array_new();
	g_autoptr(GError) error = NULL;

	g_ptr_array_add(one, (gpointer)cert);
	GBytes *bytes = bundle_write_pem(one, &error);
	g_assert_no_error(error);
	return bytes;
}

static void
append(GByteArray *out, const struct cert *cert)
{
	g_autoptr(GBytes) bytes = pem_of(cert);
	gsize length;
	const guint8 *p = g_bytes_get_data(bytes, &length);

	g_byte_array_append(out, p, (guint)length);
}

static void
make_certs(void)
{
	struct node root = pki_root("Root");
	struct node intermediate = pki_intermediate(&root, "CA");
	g_autoptr(GError) error = NULL;
	CLEANUP(key) struct key *key = key_generate(KEY_KIND_EC, 256, &error);

	certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	pem = g_byte_array_new();
	g_ptr_array_add(certs, cert_ref(root.cert));
	g_ptr_array_add(certs, cert_ref(intermediate.cert));
	for (guint i = 2; i < CERTS; i++) {
		g_autofree char *email = g_strdup_printf("user%u@example.org", i % 100);
		struct leaf leaf = { "User", .email = email, .key = key };
		struct node node = pki_leaf(&intermediate, &leaf);

		g_ptr_array_add(certs, cert_ref(node.cert));
		node_clear(&node);
	}
	for (guint i = 0; i < CERTS; i++)
		append(pem, certs->pdata[i]);
	issuer = intermediate;
	node_clear(&root);
}

struct outcome {
	guint added, present, rejected;
	GPtrArray *lines;
};

static void
take(const char *file, const struct import_item *item, gpointer data)
{
	struct outcome *outcome = data;

	outcome->added += item->outcome == IMPORT_NEW ? 1 : 0;
	outcome->present += item->outcome == IMPORT_PRESENT ? 1 : 0;
	outcome->rejected += item->outcome == IMPORT_REJECTED ? 1 : 0;
	if (outcome->lines != NULL)
		g_ptr_array_add(outcome->lines,
				g_strdup_printf("%s: %s %s: %s", file, item->subject,
						import_outcome_name(item->outcome),
						item->note != NULL ? item->note : ""));
}

static struct outcome
import(GBytes *bytes, const char *name, GPtrArray *lines)
{
	const struct import_options options = { .origin = "import" };
	struct outcome outcome = { .lines = lines };
	g_autoptr(GError) error = NULL;
	CLEANUP(import_bulk)
	struct import_bulk *bulk = import_bulk_new(world.db, &options, take, &outcome);

	g_assert_true(import_bulk_fits(bytes));
	g_assert_true(import_bulk_add(bulk, bytes, name, &error));
	g_assert_true(import_bulk_finish(bulk, &error));
	g_assert_no_error(error);
	return outcome;
}

static void
test_same_as_small(void)
{
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	g_autoptr(GBytes) bytes = g_bytes_new(pem->data, pem->len);
	struct outcome first = import(bytes, "all.pem", NULL);
	g_assert_cmpuint(first.added, ==, CERTS);
	g_assert_cmpuint(first.present + first.rejected, ==, 0);
	struct outcome second = import(bytes, "all.pem", NULL);
	g_assert_cmpuint(second.added + second.rejected, ==, 0);
	g_assert_cmpuint(second.present, ==, CERTS);
	g_assert_cmpint(certs_count(world.db, &error), ==, CERTS);

	/* The rows are those of an import of one. */
	for (guint i = 0; i < CERTS; i += 50) {
		const struct cert *cert = certs->pdata[i];
		CLEANUP(cert_row)
		struct cert_row *row = certs_find(world.db, cert_thumbprint(cert), &error);
		g_assert_no_error(error);
		CLEANUP(cert_row) struct cert_row *expected = cert_row_from(cert);
		g_assert_cmpstr(row->subject, ==, expected->subject);
		g_assert_cmpstr(row->issuer_key, ==, expected->issuer_key);
		g_assert_cmpstr(row->serial, ==, expected->serial);
		g_assert_cmpint(row->not_after, ==, expected->not_after);
		g_assert_cmpint(row->self_signed, ==, expected->self_signed);
		g_assert_cmpint(row->is_ca, ==, expected->is_ca);
		g_assert_true(g_strv_equal((const char *const *)row->emails,
					   (const char *const *)expected->emails));
		g_assert_cmpstr(row->origin_detail, ==, "all.pem");
	}
	const char *key = "user7@example.org";
	g_autoptr(GPtrArray) found = certs_by_emails(world.db, &key, 1, &error);
	g_assert_cmpuint(found->len, ==, 3);
	world_down(&world);
}

/* A bad one in the middle, one twice, another name for it: all else is stored and all is said. */
static void
test_mixed(void)
{
	static const char broken[] = "-----BEGIN CERTIFICATE-----\nMIIB!!!!\n"
				     "-----END CERTIFICATE-----\n";
	static const char empty[] = "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n"
				    "-----END CERTIFICATE-----\n";
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GByteArray) mixed = g_byte_array_new();

	if (!world_up(&world))
		return;
	g_byte_array_append(mixed, (const guint8 *)"Some text before\n", 17);
	append(mixed, certs->pdata[2]);
	g_byte_array_append(mixed, (const guint8 *)broken, sizeof broken - 1);
	append(mixed, certs->pdata[2]);
	g_byte_array_append(mixed, (const guint8 *)empty, sizeof empty - 1);
	append(mixed, certs->pdata[0]);
	g_autoptr(GBytes) bytes = g_bytes_new(mixed->data, mixed->len);
	struct outcome outcome = import(bytes, "mixed.pem", lines);
	g_assert_cmpuint(outcome.added, ==, 2);
	g_assert_cmpuint(outcome.present, ==, 1);
	g_assert_cmpuint(outcome.rejected, ==, 2);
	for (guint i = 0; i < lines->len; i++)
		g_test_message("%s", (const char *)lines->pdata[i]);
	g_assert_cmpstr(lines->pdata[1], ==,
			"mixed.pem: certificate (object 2) rejected: its base64 is broken");
	g_assert_true(g_str_has_prefix(lines->pdata[3],
				       "mixed.pem: certificate (object 4) rejected: not a "
				       "certificate"));
	g_assert_nonnull(strstr(lines->pdata[4], "not trusted as a root"));
	world_down(&world);
}

/* A row that the database will not have is rejected alone. */
static void
test_refused_by_database(void)
{
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);

	if (!world_up(&world))
		return;
	g_autofree char *sql =
	    g_strdup_printf("ALTER TABLE certificate ADD CHECK (thumbprint <> '%s')",
			    cert_thumbprint(certs->pdata[100]));
	scratch_pg_sql(world.pg, sql);
	g_autoptr(GBytes) bytes = g_bytes_new(pem->data, pem->len);
	struct outcome outcome = import(bytes, "all.pem", lines);
	g_assert_cmpuint(outcome.added, ==, CERTS - 1);
	g_assert_cmpuint(outcome.rejected, ==, 1);
	g_assert_nonnull(strstr(lines->pdata[100], "rejected"));
	world_down(&world);
}

/* A list that nobody could vouch for counts from the moment at which its CA came in bulk. */
static void
test_list_before_issuer(void)
{
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	CLEANUP(crl)
	struct crl *list =
	    pki_crl(&issuer, PKI_NOW - PKI_DAY, PKI_NOW + PKI_DAY, 1, NULL, REVOCATION_UNSPECIFIED);
	world_root(&world, certs->pdata[0]);
	CLEANUP(crl_loader) struct crl_loader *loader = crl_loader_new(world.db, NULL);
	enum crl_load_outcome outcome;
	g_autofree char *reason = NULL;
	g_assert_true(crl_load(loader, crl_der(list), "a.crl", &outcome, &reason, &error));
	g_assert_no_error(error);
	g_assert_cmpint(outcome, ==, CRL_LOAD_KEPT);
	g_autoptr(GBytes) bytes = g_bytes_new(pem->data, pem->len);
	g_assert_cmpuint(import(bytes, "all.pem", NULL).added, ==, CERTS);
	CLEANUP(crl_row) struct crl_row *row = crls_find(world.db, crl_thumbprint(list), &error);
	g_assert_no_error(error);
	g_test_message("state %d: %s", row->state, row->note != NULL ? row->note : "");
	g_assert_true(crl_row_in_force(row));
	world_down(&world);
}

static void
test_what_fits(void)
{
	static const struct {
		const char *proves;
		const char *text;
		gboolean fits;
	} rows[] = {
		{ "nothing", "", FALSE },
		{ "no block", "hello\n", FALSE },
		{ "a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		  TRUE },
		{ "without a line end behind it",
		  "-----BEGIN CERTIFICATE-----\r\nAAAA\r\n-----END CERTIFICATE-----", TRUE },
		{ "a key beside it",
		  "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
		  "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		  FALSE },
		{ "no end", "-----BEGIN CERTIFICATE-----\nAAAA\n", FALSE },
		{ "another end", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----\n",
		  FALSE },
		{ "a block within",
		  "-----BEGIN CERTIFICATE-----\nAA\n-----BEGIN CERTIFICATE-----\nAAAA\n"
		  "-----END CERTIFICATE-----\n",
		  FALSE },
		{ "DER of another kind", "0\x03\x02\x01", FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GBytes) bytes = g_bytes_new_static(rows[i].text, strlen(rows[i].text));

		if (import_bulk_fits(bytes) != rows[i].fits)
			g_error("%s: fits or not", rows[i].proves);
	}
	g_assert_true(import_bulk_fits(cert_der(certs->pdata[5])));
}

static void
test_cutting(void)
{
	const char *text = (const char *)pem->data;
	guint count = 0;
	gsize at = 0;

	g_assert_cmpuint(pem_cut_whole(text, 100), ==, 0);
	/* In parts of any size: every block comes in one of them. */
	for (gsize size = 1500; at < pem->len; size = size % 7000 + 1337) {
		gsize whole = pem_cut_whole(text + at, MIN(size, pem->len - at));
		const char *p = text + at;
		struct pem_block block;

		while (pem_cut_next(&p, text + at + whole, &block)) {
			g_assert_nonnull(block.body);
			g_autoptr(GBytes) der = pem_cut_decode(&block);
			g_assert_true(g_bytes_equal(der, cert_der(certs->pdata[count])));
			count++;
		}
		at += whole;
	}
	g_assert_cmpuint(count, ==, CERTS);
}

/* In a process of its own, many times over: parts of the certificates in another order. */
static G_GNUC_NORETURN void
import_in_child(guint number, gboolean for_ever)
{
	struct outcome outcome = { 0 };
	const struct import_options options = { .origin = "import" };
	struct db *db = scratch_pg_open(world.pg, DB_ROLE_DAEMON, NULL);

	for (guint round = 0; for_ever || round < 5; round++) {
		struct import_bulk *bulk = import_bulk_new(db, &options, take, &outcome);

		for (guint i = 0; i < CERTS; i++) {
			const struct cert *cert = certs->pdata[number % 2 == 0 ? i : CERTS - 1 - i];

			if (i / 20 <= round * 4 &&
			    !import_bulk_add(bulk, cert_der(cert), "one.der", NULL))
				_exit(1);
		}
		if (!import_bulk_finish(bulk, NULL) || outcome.rejected > 0)
			_exit(1);
		import_bulk_free(bulk);
	}
	_exit(0);
}

static pid_t
fork_import(guint number, gboolean for_ever)
{
	pid_t pid = fork();

	if (pid == 0)
		import_in_child(number, for_ever);
	return pid;
}

/* Two at once, and a third that is killed in the middle. */
static void
test_concurrent(void)
{
	g_autoptr(GError) error = NULL;
	pid_t children[2], doomed;
	int status;

	if (!world_up(&world))
		return;
	doomed = fork_import(0, TRUE);
	for (guint i = 0; i < G_N_ELEMENTS(children); i++)
		children[i] = fork_import(i, FALSE);
	g_usleep(30000);
	kill(doomed, SIGKILL);
	waitpid(doomed, &status, 0);
	for (guint i = 0; i < G_N_ELEMENTS(children); i++) {
		g_assert_cmpint(waitpid(children[i], &status, 0), ==, children[i]);
		g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	g_autoptr(GBytes) bytes = g_bytes_new(pem->data, pem->len);
	struct outcome outcome = import(bytes, "all.pem", NULL);
	g_assert_cmpuint(outcome.added + outcome.present, ==, CERTS);
	g_assert_cmpint(certs_count(world.db, &error), ==, CERTS);
	/* Each with its addresses: nothing is half there. */
	const char *key = "user7@example.org";
	g_autoptr(GPtrArray) found = certs_by_emails(world.db, &key, 1, &error);
	g_assert_cmpuint(found->len, ==, 3);
	world_down(&world);
}

static void
test_database_gone(void)
{
	const struct import_options options = { .origin = "import" };
	struct outcome outcome = { 0 };
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	g_autoptr(GBytes) bytes = g_bytes_new(pem->data, pem->len);
	CLEANUP(import_bulk)
	struct import_bulk *bulk = import_bulk_new(world.db, &options, take, &outcome);
	g_assert_true(import_bulk_add(bulk, bytes, "all.pem", &error));
	scratch_pg_down(world.pg);
	g_assert_false(import_bulk_finish(bulk, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_assert_cmpuint(outcome.added, ==, 0);
	scratch_pg_up(world.pg);
	world_down(&world);
}

static gsize
resident_peak(void)
{
	g_autofree char *text = NULL;

	if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL))
		return 0;
	const char *at = strstr(text, "VmHWM:");
	return at != NULL ? (gsize)g_ascii_strtoull(at + 6, NULL, 10) * 1024 : 0;
}

static void
drop(const char *file, const struct import_item *item, gpointer data)
{
	(void)file;
	(void)item;
	++*(guint *)data;
}

/* 200 MB go through, a piece at a time: what is held does not grow with them. */
static void
test_memory(void)
{
	const struct import_options options = { .origin = "import" };
	g_autoptr(GError) error = NULL;
	guint64 given = 0;
	guint count = 0;

	if (!world_up(&world))
		return;
	CLEANUP(import_bulk)
	struct import_bulk *bulk = import_bulk_new(world.db, &options, drop, &count);
	gsize start = resident_peak();
	while (given < 200 * 1000 * 1000) {
		GByteArray *piece = g_byte_array_new();

		while (piece->len < 4 * 1000 * 1000)
			g_byte_array_append(piece, pem->data, pem->len);
		g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(piece);
		given += g_bytes_get_size(bytes);
		g_assert_true(import_bulk_add(bulk, bytes, "piece.pem", &error));
	}
	g_assert_true(import_bulk_finish(bulk, &error));
	gsize grown = resident_peak() - start;
	g_test_message("%u objects, %" G_GSIZE_FORMAT " MiB more at the peak", count,
		       grown / 1048576);
	if (g_getenv("ASAN_OPTIONS") == NULL)
		g_assert_cmpuint(grown, <, 150 * 1048576);
	world_down(&world);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	make_certs();
	/* First: children of a process with a thread pool would wait for its threads. */
	g_test_add_func("/import_bulk/concurrent", test_concurrent);
	g_test_add_func("/import_bulk/what_fits", test_what_fits);
	g_test_add_func("/import_bulk/cutting", test_cutting);
	g_test_add_func("/import_bulk/same_as_small", test_same_as_small);
	g_test_add_func("/import_bulk/mixed", test_mixed);
	g_test_add_func("/import_bulk/refused_by_database", test_refused_by_database);
	g_test_add_func("/import_bulk/database_gone", test_database_gone);
	g_test_add_func("/import_bulk/list_before_issuer", test_list_before_issuer);
	g_test_add_func("/import_bulk/memory", test_memory);
	int status = g_test_run();
	node_clear(&issuer);
	g_ptr_array_unref(certs);
	g_byte_array_unref(pem);
	scratch_pg_stop(world.pg);
	return status;
}
