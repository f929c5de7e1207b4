/* cms_sign: what openssl cms makes of our signatures, over keys, digests and shapes. */
#include <glib.h>
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/cms_sign.h"
#include "pki/crypto/key.h"
#include "store/base/buffer.h"
#include "tests/unit/pki/cms_fixture.h"

#define NOW 1780000000

struct row {
	const char *name;
	const char *identity;
	enum cms_digest digest;
	enum cms_scheme scheme;
	gsize size;
	gboolean size_known; /* opaque */
};

static const struct row rows[] = {
	{ "RSA, SHA-256", "rsa1", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, 2000, TRUE },
	{ "RSA, SHA-384", "rsa1", CMS_DIGEST_SHA384, CMS_SCHEME_PKCS1, 2000, TRUE },
	{ "RSA, SHA-512", "rsa1", CMS_DIGEST_SHA512, CMS_SCHEME_PKCS1, 2000, TRUE },
	{ "RSA 3072", "rsa3072", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, 100, TRUE },
	{ "RSA-PSS, SHA-256", "rsa1", CMS_DIGEST_SHA256, CMS_SCHEME_PSS, 2000, TRUE },
	{ "RSA-PSS, SHA-512", "rsa1", CMS_DIGEST_SHA512, CMS_SCHEME_PSS, 2000, TRUE },
	{ "P-256", "ec256", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, 2000, TRUE },
	{ "P-384, SHA-384", "ec384", CMS_DIGEST_SHA384, CMS_SCHEME_PKCS1, 2000, TRUE },
	{ "P-521, SHA-512, PSS means nothing to it", "ec521", CMS_DIGEST_SHA512, CMS_SCHEME_PSS,
	  2000, TRUE },
	{ "empty content", "rsa1", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, 0, TRUE },
	{ "empty content of unknown size", "rsa1", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, 0, FALSE },
	{ "unknown size", "rsa1", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, 270000, FALSE },
	{ "unknown size, EC", "ec256", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, 270000, FALSE },
	{ "300 KB", "rsa1", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, 300000, TRUE },
};

static struct cms_signer *
signer_of(const struct row *row)
{
	const struct identity *identity = fixture_identity(row->identity);
	struct cms_signer_options options = { .digest = row->digest, .scheme = row->scheme };
	g_autoptr(GError) error = NULL;
	struct cms_signer *signer = cms_signer_new(identity->cert, identity->key, &options, &error);

	g_assert_no_error(error);
	return signer;
}

static void
feed(struct cms_sign *sign, GBytes *content)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(content, &length);
	g_autoptr(GError) error = NULL;

	for (gsize at = 0, n; at < length; at += n) {
		n = MIN(7000, length - at);
		g_assert_true(sink_write(cms_sign_sink(sign), bytes + at, n, &error));
	}
}

static void
test_detached(gconstpointer data)
{
	const struct row *row = data;
	CLEANUP(cms_signer) struct cms_signer *signer = signer_of(row);
	CLEANUP(cms_sign) struct cms_sign *sign = cms_sign_detached(signer, NOW);
	g_autoptr(GBytes) content = fixture_content(row->size);
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) der = NULL;
	g_autofree char *content_path = NULL;
	g_autofree char *der_path = NULL;

	feed(sign, content);
	der = cms_sign_finish_detached(sign, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(g_bytes_get_size(der), <=, cms_signer_size_max(signer, 0));
	content_path =
	    fixture_write("content", g_bytes_get_data(content, NULL), g_bytes_get_size(content));
	der_path = fixture_write("signature", g_bytes_get_data(der, NULL), g_bytes_get_size(der));
	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	g_assert_cmpint(fixture_openssl("cms", "-verify", "-binary", "-noverify", "-inform", "DER",
					"-in", der_path, "-content", content_path, "-out",
					"/dev/null", NULL),
			==, 0);
}

static void
test_opaque(gconstpointer data)
{
	const struct row *row = data;
	CLEANUP(cms_signer) struct cms_signer *signer = signer_of(row);
	struct buffer_sink out;
	CLEANUP(cms_sign) struct cms_sign *sign = NULL;
	g_autoptr(GBytes) content = fixture_content(row->size);
	g_autoptr(GBytes) shown = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *der_path = NULL;
	g_autofree char *shown_path = fixture_path("shown");

	buffer_sink_init(&out, 1 << 20);
	sign =
	    cms_sign_opaque(signer, NOW, row->size_known ? row->size : CMS_SIZE_UNKNOWN, &out.sink);
	feed(sign, content);
	g_assert_true(cms_sign_finish_opaque(sign, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(out.bytes->len, <=, cms_signer_size_max(signer, row->size) + 4096);
	der_path = fixture_write("opaque", out.bytes->data, out.bytes->len);
	buffer_sink_clear(&out);
	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	g_assert_cmpint(fixture_openssl("cms", "-verify", "-binary", "-noverify", "-inform", "DER",
					"-in", der_path, "-out", shown_path, NULL),
			==, 0);
	shown = fixture_read(shown_path);
	g_assert_true(g_bytes_equal(shown, content));
}

static void
test_announced_size(void)
{
	CLEANUP(cms_signer) struct cms_signer *signer = signer_of(&rows[0]);
	struct buffer_sink out;
	CLEANUP(cms_sign) struct cms_sign *sign = NULL;
	g_autoptr(GError) error = NULL;

	buffer_sink_init(&out, 1 << 20);
	sign = cms_sign_opaque(signer, NOW, 5, &out.sink);
	g_assert_true(sink_write(cms_sign_sink(sign), "four", 4, &error));
	g_assert_false(cms_sign_finish_opaque(sign, &error));
	g_assert_nonnull(error);
	buffer_sink_clear(&out);
}

static void
test_foreign_key(void)
{
	struct cms_signer_options options = { 0 };
	g_autoptr(GError) error = NULL;

	g_assert_null(cms_signer_new(fixture_identity("rsa1")->cert, fixture_identity("rsa2")->key,
				     &options, &error));
	g_assert_nonnull(error);
}

static gpointer
sign_many(gpointer data)
{
	struct cms_signer *signer = data;

	for (int i = 0; i < 50; i++) {
		CLEANUP(cms_sign) struct cms_sign *sign = cms_sign_detached(signer, NOW);
		g_autoptr(GBytes) der = NULL;

		g_assert_true(sink_write(cms_sign_sink(sign), "text\r\n", 6, NULL));
		der = cms_sign_finish_detached(sign, NULL);
		g_assert_nonnull(der);
	}
	return NULL;
}

static void
test_threads(void)
{
	CLEANUP(cms_signer) struct cms_signer *signer = signer_of(&rows[0]);
	GThread *threads[4];

	for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("sign", sign_many, signer);
	for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *detached = g_strdup_printf("/cms_sign/clear/%s", rows[i].name);
		g_autofree char *opaque = g_strdup_printf("/cms_sign/opaque/%s", rows[i].name);

		if (rows[i].size_known)
			g_test_add_data_func(detached, &rows[i], test_detached);
		g_test_add_data_func(opaque, &rows[i], test_opaque);
	}
	g_test_add_func("/cms_sign/content shorter than announced fails", test_announced_size);
	g_test_add_func("/cms_sign/key of another certificate is refused", test_foreign_key);
	g_test_add_func("/cms_sign/one signer serves many threads", test_threads);
	status = g_test_run();
	fixture_clear();
	return status;
}
