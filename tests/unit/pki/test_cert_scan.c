/*
 * The light reader: for whatever it reads, the row of cert_parse; and it reads what is common.
 */
#include <glib.h>
#include <string.h>

#include "pki/crypto/cert_scan.h"
#include "pki/crypto/internal.h"
#include "tests/support/cert_difference.h"
#include "tests/support/row_difference.h"
#include "tests/unit/pki/cert_fixture.h"

#define MUTATIONS (g_strcmp0(g_getenv("PS_FULL"), "yes") == 0 ? 24 : 2)

static struct cert_scanner *scanner;
static guint certs, scanned, changed, changed_scanned, mutations;

static void
compare(GBytes *der, const char *name, gboolean is_changed)
{
	gboolean read, light = FALSE;
	g_autofree char *difference = row_scan_difference(scanner, der, &read);
	g_autofree char *other = read ? cert_difference(der, &light) : NULL;

	if (difference != NULL || other != NULL)
		g_error("%s: %s", name, difference != NULL ? difference : other);
	g_assert_cmpint(read, ==, light);
	*(is_changed ? &changed : &certs) += 1;
	*(is_changed ? &changed_scanned : &scanned) += read ? 1 : 0;
}

/* As it is, and with one or two octets of it changed. */
static void
compare_all(gconstpointer bytes, gsize length, const char *name)
{
	g_autoptr(GBytes) der = g_bytes_new(bytes, length);
	g_autoptr(GRand) dice = g_rand_new_with_seed((guint32)length);

	compare(der, name, FALSE);
	for (guint i = 0; i < mutations; i++) {
		guint8 *copy = g_memdup2(bytes, length);

		for (guint k = 0; k <= i % 2; k++)
			copy[g_rand_int_range(dice, 0, (gint32)length)] =
			    i % 3 == 0 ? (guint8)g_rand_int_range(dice, 0, 256)
				       : copy[g_rand_int_range(dice, 0, (gint32)length)];
		g_autoptr(GBytes) other = g_bytes_new_take(copy, length);
		compare(other, name, TRUE);
	}
}

/* PEM blocks, also with the line ends of a JSON string. */
static void
compare_pem(const char *text, gsize length, const char *name)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	const char *end = text + length, *p = text;

	while ((p = memmem(p, (gsize)(end - p), begin, sizeof begin - 1)) != NULL) {
		p += sizeof begin - 1;
		const char *stop = memmem(p, (gsize)(end - p), "-----END", 8);
		if (stop == NULL)
			return;
		g_autoptr(GString) base64 = g_string_new(NULL);
		for (; p < stop; p++) {
			if (*p == '\\' && p + 1 < stop && (p[1] == 'n' || p[1] == 'r'))
				p++;
			else
				g_string_append_c(base64, *p);
		}
		gsize size = 0;
		g_autofree guchar *der = g_base64_decode(base64->str, &size);
		if (size > 0)
			compare_all(der, size, name);
	}
}

static void
walk(const char *path)
{
	g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
	g_autofree char *text = NULL;
	const char *name;
	gsize length = 0;

	if (folder != NULL) {
		while ((name = g_dir_read_name(folder)) != NULL) {
			g_autofree char *child = g_build_filename(path, name, NULL);
			walk(child);
		}
		return;
	}
	if (!g_file_get_contents(path, &text, &length, NULL) || length == 0)
		return;
	if (text[0] == 0x30)
		compare_all(text, length, path);
	else
		compare_pem(text, length, path);
}

static void
test_data(void)
{
	static const struct {
		const char *folder;
		guint
		    scanned_min; /* in percent of the certificates: others are the suite's point */
	} rows[] = {
		{ "pkits", 40 },           { "x509-limbo", 40 },       { "openssl", 20 },
		{ "bluemind", 10 },        { "nextcloud-certs", 30 },  { "gnupg", 0 },
		{ "rfc9216", 30 },         { "fuzz-corpora/x509", 0 }, { "fuzz-corpora/cms", 0 },
		{ "fuzz-corpora/crl", 0 },
	};
	gboolean any = FALSE;

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = pki_data(rows[i].folder);
		if (path == NULL)
			continue;
		any = TRUE;
		certs = scanned = changed = changed_scanned = 0;
		walk(path);
		g_test_message("%s: %u of %u read, %u of %u changed ones", rows[i].folder, scanned,
			       certs, changed_scanned, changed);
		g_assert_cmpuint(certs, >, 0);
		g_assert_cmpuint(scanned * 100, >=, certs * rows[i].scanned_min);
	}
	if (!any)
		g_test_skip("the folder of test data is not there");
}

/* What CAs issue is read, else import would be slow; what proves nothing by itself is not. */
static void
test_kinds(void)
{
	static const struct {
		const char *proves;
		enum key_kind kind;
		unsigned int bits;
		struct leaf leaf;
		gboolean is_read;
	} rows[] = {
		{ "RSA", KEY_KIND_RSA, 2048, { "Bob", .email = "bob@example.org" }, TRUE },
		{ "P-256", KEY_KIND_EC, 256, { "Bob", .email = "bob@example.org" }, TRUE },
		{ "P-384", KEY_KIND_EC, 384, { "Bob", .email = "bob@example.org" }, TRUE },
		{ "P-521", KEY_KIND_EC, 521, { "Bob", .email = "bob@example.org" }, TRUE },
		{ "a CA", KEY_KIND_EC, 256, { "Some CA", .ca = TRUE }, TRUE },
		{ "an address in the subject",
		  KEY_KIND_EC,
		  256,
		  { "Bob", .email = "b@example.org", .subject_email = "bob@example.org" },
		  TRUE },
		{ "letters beyond ASCII",
		  KEY_KIND_EC,
		  256,
		  { "J\xc3\xb6rg", .email = "j@example.org" },
		  TRUE },
		{ "an address beyond ASCII",
		  KEY_KIND_EC,
		  256,
		  { "J", .email = "j\xc3\xb6rg@b\xc3\xbc"
				  "cher.example" },
		  TRUE },
		{ "a comma and blanks in a name",
		  KEY_KIND_EC,
		  256,
		  { "Doe,  Jane", .email = NULL },
		  TRUE },
		{ "a list to look at",
		  KEY_KIND_EC,
		  256,
		  { "Bob", .crl_url = "http://crl.example.org/a.crl" },
		  TRUE },
		{ "a serial with its top bit set",
		  KEY_KIND_EC,
		  256,
		  { "Bob", .serial = "ff01" },
		  TRUE },
	};
	struct node root = pki_root("Root");
	struct node intermediate = pki_intermediate(&root, "CA");

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(key) struct key *key = key_generate(rows[i].kind, rows[i].bits, &error);
		g_assert_no_error(error);
		struct leaf leaf = rows[i].leaf;
		leaf.key = key;
		struct node node = pki_leaf(&intermediate, &leaf);
		gboolean read;
		g_autofree char *difference =
		    row_scan_difference(scanner, cert_der(node.cert), &read);
		if (difference != NULL || read != rows[i].is_read)
			g_error("%s: %s", rows[i].proves,
				difference != NULL ? difference : "read or not read");
		node_clear(&node);
	}
	gboolean read;
	g_autofree char *none = row_scan_difference(scanner, cert_der(root.cert), &read);
	g_assert_null(none);
	g_assert_false(read); /* self-signed or not: only the signature says */
	node_clear(&intermediate);
	node_clear(&root);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	scanner = cert_scanner_new();
	mutations = MUTATIONS;
	g_test_add_func("/cert_scan/kinds", test_kinds);
	g_test_add_func("/cert_scan/data", test_data);
	int status = g_test_run();
	cert_scanner_free(scanner);
	return status;
}
