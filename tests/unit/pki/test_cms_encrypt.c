/* cms_encrypt: openssl cms opens what we encrypt, over ciphers, key kinds and sizes. */
#include <glib.h>
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/cms_encrypt.h"
#include "store/base/buffer.h"
#include "store/base/error.h"
#include "tests/unit/pki/cms_fixture.h"

struct row {
	const char *name;
	const char *to[4];
	enum cms_cipher cipher;
	enum cms_transport transport;
	gsize size;
	gboolean size_known;
};

static const struct row rows[] = {
	{ "RSA, AES-128-CBC", { "rsa1" }, CMS_CIPHER_AES_128_CBC, CMS_TRANSPORT_PKCS1, 2000, TRUE },
	{ "RSA, AES-192-CBC", { "rsa1" }, CMS_CIPHER_AES_192_CBC, CMS_TRANSPORT_PKCS1, 2000, TRUE },
	{ "RSA, AES-256-CBC", { "rsa1" }, CMS_CIPHER_AES_256_CBC, CMS_TRANSPORT_PKCS1, 2000, TRUE },
	{ "RSA, AES-128-GCM", { "rsa1" }, CMS_CIPHER_AES_128_GCM, CMS_TRANSPORT_PKCS1, 2000, TRUE },
	{ "RSA, AES-256-GCM", { "rsa1" }, CMS_CIPHER_AES_256_GCM, CMS_TRANSPORT_PKCS1, 2000, TRUE },
	{ "OAEP SHA-1", { "rsa1" }, CMS_CIPHER_AES_256_CBC, CMS_TRANSPORT_OAEP_SHA1, 2000, TRUE },
	{ "OAEP SHA-256",
	  { "rsa1" },
	  CMS_CIPHER_AES_256_CBC,
	  CMS_TRANSPORT_OAEP_SHA256,
	  2000,
	  TRUE },
	{ "OAEP SHA-384",
	  { "rsa1" },
	  CMS_CIPHER_AES_256_CBC,
	  CMS_TRANSPORT_OAEP_SHA384,
	  2000,
	  TRUE },
	{ "OAEP SHA-512, GCM",
	  { "rsa3072" },
	  CMS_CIPHER_AES_256_GCM,
	  CMS_TRANSPORT_OAEP_SHA512,
	  2000,
	  TRUE },
	{ "P-256, AES-128-CBC", { "ec256" }, CMS_CIPHER_AES_128_CBC, 0, 2000, TRUE },
	{ "P-256, AES-192-CBC", { "ec256" }, CMS_CIPHER_AES_192_CBC, 0, 2000, TRUE },
	{ "P-256, AES-256-GCM", { "ec256" }, CMS_CIPHER_AES_256_GCM, 0, 2000, TRUE },
	{ "P-384, AES-256-CBC", { "ec384" }, CMS_CIPHER_AES_256_CBC, 0, 2000, TRUE },
	{ "P-521, AES-256-GCM", { "ec521" }, CMS_CIPHER_AES_256_GCM, 0, 2000, TRUE },
	{ "two RSA recipients", { "rsa2", "rsa1" }, CMS_CIPHER_AES_256_CBC, 0, 2000, TRUE },
	{ "three EC recipients",
	  { "ec256", "ec384", "ec256b" },
	  CMS_CIPHER_AES_256_CBC,
	  0,
	  9,
	  TRUE },
	{ "the same recipient twice", { "rsa1", "rsa1" }, CMS_CIPHER_AES_256_CBC, 0, 2000, TRUE },
	{ "empty content, CBC", { "rsa1" }, CMS_CIPHER_AES_256_CBC, 0, 0, TRUE },
	{ "empty content, GCM", { "rsa1" }, CMS_CIPHER_AES_256_GCM, 0, 0, TRUE },
	{ "whole blocks, CBC", { "rsa1" }, CMS_CIPHER_AES_256_CBC, 0, 65536, TRUE },
	{ "300 KB, CBC", { "rsa1" }, CMS_CIPHER_AES_256_CBC, 0, 300001, TRUE },
	{ "300 KB, GCM", { "rsa1" }, CMS_CIPHER_AES_256_GCM, 0, 300001, TRUE },
	{ "unknown size, CBC", { "rsa1" }, CMS_CIPHER_AES_256_CBC, 0, 300001, FALSE },
	{ "unknown size, GCM", { "ec256" }, CMS_CIPHER_AES_256_GCM, 0, 300001, FALSE },
	{ "unknown size, empty, CBC", { "rsa1" }, CMS_CIPHER_AES_256_CBC, 0, 0, FALSE },
	{ "unknown size, empty, GCM", { "rsa1" }, CMS_CIPHER_AES_256_GCM, 0, 0, FALSE },
};

static gsize
recipients_of(const struct row *row, struct cms_recipient recipients[4])
{
	gsize n = 0;

	for (; n < 4 && row->to[n] != NULL; n++)
		recipients[n] =
		    (struct cms_recipient){ fixture_identity(row->to[n])->cert, row->transport };
	return n;
}

static char *
encrypt(const struct row *row, GBytes *content)
{
	struct cms_recipient recipients[4];
	gsize n = recipients_of(row, recipients);
	struct cms_encrypt_options options = { .cipher = row->cipher };
	CLEANUP(cms_encrypt) struct cms_encrypt *to = NULL;
	g_autoptr(GError) error = NULL;
	struct buffer_sink out;
	struct buffer_source in;
	char *path;

	options.content_size = row->size_known ? row->size : CMS_SIZE_UNKNOWN;
	buffer_sink_init(&out, 1 << 20);
	buffer_source_init(&in, g_bytes_get_data(content, NULL), g_bytes_get_size(content));
	in.piece_max = 5003;
	to = cms_encrypt_new(recipients, n, &options, &out.sink, &error);
	g_assert_no_error(error);
	g_assert_true(source_copy(&in.source, cms_encrypt_sink(to), &error));
	g_assert_true(cms_encrypt_finish(to, &error));
	if (row->size_known)
		g_assert_cmpuint(out.bytes->len, <=,
				 cms_encrypt_size_max(recipients, n, row->cipher, row->size));
	path = fixture_write("encrypted", out.bytes->data, out.bytes->len);
	buffer_sink_clear(&out);
	return path;
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	g_autoptr(GBytes) content = fixture_content(row->size);
	g_autofree char *path = encrypt(row, content);
	g_autofree char *shown_path = fixture_path("shown");

	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	for (gsize i = 0; i < 4 && row->to[i] != NULL; i++) {
		const struct identity *reader = fixture_identity(row->to[i]);
		g_autoptr(GBytes) shown = NULL;

		g_assert_cmpint(fixture_openssl("cms", "-decrypt", "-binary", "-inform", "DER",
						"-in", path, "-recip", reader->cert_path, "-inkey",
						reader->key_path, "-out", shown_path, NULL),
				==, 0);
		shown = fixture_read(shown_path);
		g_assert_true(g_bytes_equal(shown, content));
	}
}

static void
test_mixed(void)
{
	struct cms_recipient recipients[2] = { { fixture_identity("rsa1")->cert, 0 },
					       { fixture_identity("ec256")->cert, 0 } };
	struct cms_encrypt_options options = { .content_size = 4 };
	CLEANUP(cms_encrypt) struct cms_encrypt *to = NULL;
	g_autoptr(GError) error = NULL;
	struct buffer_sink out;

	buffer_sink_init(&out, 1 << 20);
	g_assert_null(cms_encrypt_new(recipients, 2, &options, &out.sink, &error));
	g_assert_nonnull(error);
	g_clear_error(&error);
	g_assert_cmpuint(out.bytes->len, ==, 0);
	g_assert_null(cms_encrypt_new(recipients, 0, &options, &out.sink, &error));
	g_assert_nonnull(error);
	g_clear_error(&error);
	options.mixed_kinds = TRUE;
	to = cms_encrypt_new(recipients, 2, &options, &out.sink, &error);
	g_assert_no_error(error);
	g_assert_true(sink_write(cms_encrypt_sink(to), "thr", 3, NULL));
	g_assert_false(cms_encrypt_finish(to, &error)); /* four were announced */
	buffer_sink_clear(&out);
}

/* A certificate whose key is long enough and worth nothing: its exponent is even. */
static void
test_weak_exponent(void)
{
	g_autoptr(GBytes) der = g_bytes_ref(cert_der(fixture_identity("rsa1")->cert));
	gsize length;
	g_autofree guint8 *bytes = g_memdup2(g_bytes_get_data(der, &length), g_bytes_get_size(der));
	guint8 *exponent = memmem(bytes, g_bytes_get_size(der), "\x02\x03\x01\x00\x01", 5);
	g_autoptr(GBytes) weak = NULL;
	g_autoptr(GError) error = NULL;
	CLEANUP(cert) struct cert *cert = NULL;

	g_assert_nonnull(exponent);
	g_assert_true(cms_encrypt_usable(fixture_identity("rsa1")->cert, &error));
	exponent[4] = 0;
	weak = g_bytes_new(bytes, g_bytes_get_size(der));
	cert = cert_parse(weak, &error);
	g_assert_no_error(error);
	g_assert_false(cms_encrypt_usable(cert, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, "exponent"));
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = g_strdup_printf("/cms_encrypt/%s", rows[i].name);

		g_test_add_data_func(name, &rows[i], test_row);
	}
	g_test_add_func("/cms_encrypt/RSA and EC share an object only when told", test_mixed);
	g_test_add_func("/cms_encrypt/a key with an exponent that is not safe", test_weak_exponent);
	status = g_test_run();
	fixture_clear();
	return status;
}
