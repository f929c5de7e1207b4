/*
 * What CAs answer over HTTP: pages of certsrv in two languages and damaged, base64, certs-only
 * PKCS#7, attributes of EST.
 */
#include <glib.h>
#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/handlers/adcs_page.h"
#include "pki/handlers/est_reader.h"
#include "tests/unit/pki/cert_fixture.h"

#define HEAD "<HTML><Head><Title>Microsoft AD CS</Title></Head><Body>"

static void
test_pages(void)
{
	static const struct {
		const char *what, *html;
		enum adcs_finding finding;
		gint64 id;
		guint32 code;
		const char *says;
	} rows[] = {
		{ "a link", HEAD "<A Href=\"certnew.cer?ReqID=12&Enc=bin\">x</A>", ADCS_ISSUED, 12,
		  0, "" },
		{ "a link, escaped", HEAD "<A Href=\"certnew.cer?ReqID=12&amp;Enc=b64\">x</A>",
		  ADCS_ISSUED, 12, 0, "" },
		{ "the CA's own link is none", HEAD "<A Href=\"certnew.cer?ReqID=CACert&amp;x\">",
		  ADCS_UNKNOWN, 0, 0, "" },
		{ "a number that cannot be one", HEAD "certnew.cer?ReqID=123456789012&",
		  ADCS_UNKNOWN, 0, 0, "" },
		{ "pending", HEAD "<P>Certificate Pending<P ID=x>Your Request Id is 7.",
		  ADCS_PENDING, 7, 0, "Certificate Pending" },
		{ "pending in German", HEAD "<P ID=x2>Ihre Anforderungs-ID ist 7.", ADCS_UNKNOWN, 7,
		  0, "" },
		{ "pending in French", HEAD "<P>Votre ID de demande est 31.", ADCS_UNKNOWN, 31, 0,
		  "" },
		{ "an id within a word is none", HEAD "The grid 5 is valid 6.", ADCS_UNKNOWN, 0, 0,
		  "" },
		{ "denied, with its message",
		  HEAD "Your certificate request was denied. Your Request Id is 9. The disposition "
		       "message is \"Denied by Policy Module 0x80094800, no such template\".",
		  ADCS_DENIED, 9, 0x80094800,
		  "Denied by Policy Module 0x80094800, no such template" },
		{ "denied in German, by its number",
		  HEAD "Ihre Anforderungs-ID ist 9. Meldung: \"Verweigert 0x8009480F\".",
		  ADCS_DENIED, 9, 0x8009480f, "" },
		{ "under submission", HEAD "Disposition message: Taken Under Submission",
		  ADCS_PENDING, 0, 0, "" },
		{ "no such request", HEAD "0x80094002 (-2146877438)", ADCS_ABSENT, 0, 0x80094002,
		  "" },
		{ "the CA is away", HEAD "The RPC server is unavailable. 0x800706BA", ADCS_BUSY, 0,
		  0x800706ba, "" },
		{ "nine digits are no error number", HEAD "0x800706ba1", ADCS_UNKNOWN, 0, 0, "" },
		{ "a gateway's page", "<h1>502 Bad Gateway</h1>", ADCS_UNKNOWN, 0, 0,
		  "502 Bad Gateway" },
		{ "nothing", "", ADCS_UNKNOWN, 0, 0, "" },
		{ "a tag without end", "<P <P <P", ADCS_UNKNOWN, 0, 0, "" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GBytes) html = g_bytes_new_static(rows[i].html, strlen(rows[i].html));
		CLEANUP(adcs_page) struct adcs_page *page = adcs_page_read(html);

		g_test_message("%s", rows[i].what);
		g_assert_cmpint(page->finding, ==, rows[i].finding);
		g_assert_cmpint(page->id, ==, rows[i].id);
		g_assert_cmphex(page->code, ==, rows[i].code);
		g_assert_nonnull(strstr(page->text, rows[i].says));
		g_assert_cmpuint(strlen(page->text), <=, ADCS_TEXT_MAX_BYTES);
	}
}

static void
test_renewals(void)
{
	static const struct {
		const char *html;
		gint number;
	} rows[] = {
		{ "var nRenewals=3;", 3 },      { "var nRenewals = 0 ;", 0 }, { "nRenewals=x", -1 },
		{ "nothing of that kind", -1 }, { "nRenewals=99999", -1 },    { "nRenewals", -1 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GBytes) html = g_bytes_new_static(rows[i].html, strlen(rows[i].html));
		g_assert_cmpint(adcs_renewals_read(html), ==, rows[i].number);
	}
}

static void
test_base64(void)
{
	static const struct {
		const char *text, *bytes; /* NULL: refused */
	} rows[] = {
		{ "aGVsbG8=", "hello" },
		{ "aGVs\r\nbG8=\r\n", "hello" },
		{ " aGVs\n\tbG8=  ", "hello" },
		{ "aGVsbG8", NULL },
		{ "aGVs-bG8=", NULL },
		{ "aGVsbG8=AAAA", NULL },
		{ "====", NULL },
		{ "", NULL },
		{ "<html>502</html>", NULL },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GBytes) body = g_bytes_new_static(rows[i].text, strlen(rows[i].text));
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) out = est_decode(body, &error);

		g_test_message("%s", rows[i].text);
		g_assert_true((out == NULL) == (rows[i].bytes == NULL));
		g_assert_true((out == NULL) == (error != NULL));
		if (out != NULL)
			g_assert_cmpmem(g_bytes_get_data(out, NULL), g_bytes_get_size(out),
					rows[i].bytes, strlen(rows[i].bytes));
	}
	g_autoptr(GBytes) long_one = g_bytes_new_take(g_malloc0(100), 100);
	g_autoptr(GBytes) lines = est_encode(long_one);
	g_autoptr(GBytes) back = est_decode(lines, NULL);
	g_assert_true(g_bytes_equal(back, long_one));
	g_assert_cmpmem((const char *)g_bytes_get_data(lines, NULL) + 64, 2, "\r\n", 2);
}

static void
test_certs_only(void)
{
	struct node root = pki_root("Root");
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) certs = pki_certs(root.cert, NULL);
	g_autoptr(GBytes) bag = bundle_write_pkcs7(certs, FALSE, &error);
	g_autoptr(GPtrArray) read = certs_only_read(bag, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(read->len, ==, 1);
	g_assert_true(cert_equal(read->pdata[0], root.cert));
	/* A certificate as such is another kind of file, and so is half of one, or more than one.
	 */
	g_assert_null(certs_only_read(cert_der(root.cert), &error));
	g_clear_error(&error);
	gsize length = g_bytes_get_size(bag);
	g_autoptr(GBytes) half = g_bytes_new_from_bytes(bag, 0, length / 2);
	g_assert_null(certs_only_read(half, &error));
	g_clear_error(&error);
	g_autofree guint8 *more = g_malloc0(length + 1);
	memcpy(more, g_bytes_get_data(bag, NULL), length);
	g_autoptr(GBytes) longer = g_bytes_new(more, length + 1);
	g_assert_null(certs_only_read(longer, &error));
	g_clear_error(&error);
	node_clear(&root);
}

static void
test_attributes(void)
{
	static const struct {
		const char *what, *hex;
		gboolean good;
		enum key_kind kind;
		guint bits;
		const char *text;
	} rows[] = {
		{ "none", "3000", TRUE, KEY_KIND_OTHER, 0, "" },
		{ "challengePassword alone", "300b06092a864886f70d010907", TRUE, KEY_KIND_OTHER, 0,
		  "1.2.840.113549.1.9.7" },
		/* RFC 7030 section 4.5.2: ecPublicKey with secp384r1, and a hash */
		{ "EC P-384",
		  "301b"
		  "301206072a8648ce3d0201310706052b81040022"
		  "06052b0e030207",
		  TRUE, KEY_KIND_EC, 384, "1.2.840.10045.2.1 1.3.14.3.2.7" },
		{ "RSA 3072",
		  "3013301106092a864886f70d01010131040202"
		  "0c00",
		  TRUE, KEY_KIND_RSA, 3072, "1.2.840.113549.1.1.1" },
		{ "not a sequence", "0500", FALSE, KEY_KIND_OTHER, 0, "" },
		{ "bytes behind", "300000", FALSE, KEY_KIND_OTHER, 0, "" },
		{ "a number in between", "3003020101", FALSE, KEY_KIND_OTHER, 0, "" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		gsize length = strlen(rows[i].hex) / 2;
		guint8 *bytes = g_malloc0(length + 1);
		g_autoptr(GError) error = NULL;

		g_test_message("%s", rows[i].what);
		for (gsize b = 0; b < length; b++)
			bytes[b] = (guint8)(g_ascii_xdigit_value(rows[i].hex[2 * b]) << 4 |
					    g_ascii_xdigit_value(rows[i].hex[2 * b + 1]));
		g_autoptr(GBytes) der = g_bytes_new_take(bytes, length);
		CLEANUP(est_attributes)
		struct est_attributes *found = est_attributes_read(der, &error);
		g_assert_true((found != NULL) == rows[i].good);
		g_assert_true((error == NULL) == rows[i].good);
		if (found == NULL)
			continue;
		g_assert_cmpint(found->kind, ==, rows[i].kind);
		g_assert_cmpuint(found->bits, ==, rows[i].bits);
		g_assert_cmpstr(found->text, ==, rows[i].text);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/pages/certsrv", test_pages);
	g_test_add_func("/pages/renewals", test_renewals);
	g_test_add_func("/pages/base64", test_base64);
	g_test_add_func("/pages/certs-only", test_certs_only);
	g_test_add_func("/pages/attributes", test_attributes);
	return g_test_run();
}
