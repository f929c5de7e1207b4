/* cms_verify: our own signatures, those of openssl cms, and what others sent into the world. */
#include <glib.h>
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/cms_sign.h"
#include "pki/crypto/cms_verify.h"
#include "pki/crypto/key.h"
#include "store/base/buffer.h"
#include "store/base/clock.h"
#include "tests/unit/pki/cms_fixture.h"

#define NOW 1780000000

static struct cms_verify_report *
verify(GBytes *object, GBytes *content, const struct cms_verify_options *options, GBytes **shown,
       GError **error)
{
	struct buffer_source in, content_in;
	struct buffer_sink out;
	struct cms_verify_report *report;

	buffer_source_init(&in, g_bytes_get_data(object, NULL), g_bytes_get_size(object));
	in.piece_max = 4099;
	if (content != NULL) {
		buffer_source_init(&content_in, g_bytes_get_data(content, NULL),
				   g_bytes_get_size(content));
		return cms_verify_detached(&in.source, &content_in.source, options, error);
	}
	buffer_sink_init(&out, 64 << 20);
	report = cms_verify(&in.source, &out.sink, options, error);
	if (shown != NULL)
		*shown = g_byte_array_free_to_bytes(g_steal_pointer(&out.bytes));
	buffer_sink_clear(&out);
	return report;
}

static const struct cms_signer_report *
signer(const struct cms_verify_report *report, guint i)
{
	g_assert_cmpuint(i, <, report->signers->len);
	return g_ptr_array_index(report->signers, i);
}

/* ---- our own ---- */

struct own_row {
	const char *name;
	const char *identity;
	enum cms_digest digest;
	enum cms_scheme scheme;
	const char *algorithm;
};

static const struct own_row own_rows[] = {
	{ "RSA", "rsa1", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, "rsaEncryption" },
	{ "RSA SHA-512", "rsa1", CMS_DIGEST_SHA512, CMS_SCHEME_PKCS1, "rsaEncryption" },
	{ "PSS SHA-384", "rsa1", CMS_DIGEST_SHA384, CMS_SCHEME_PSS, "rsassaPss" },
	{ "P-256", "ec256", CMS_DIGEST_SHA256, CMS_SCHEME_PKCS1, "ecdsa-with-SHA256" },
	{ "P-521", "ec521", CMS_DIGEST_SHA512, CMS_SCHEME_PKCS1, "ecdsa-with-SHA512" },
};

static GBytes *
sign(const struct own_row *row, GBytes *content, gboolean opaque, guint64 size)
{
	const struct identity *identity = fixture_identity(row->identity);
	struct cms_signer_options options = { .digest = row->digest, .scheme = row->scheme };
	CLEANUP(cms_signer) struct cms_signer *one = NULL;
	CLEANUP(cms_sign) struct cms_sign *to = NULL;
	struct buffer_sink out;
	struct buffer_source in;
	GBytes *der;

	options.encryption = fixture_identity("rsa2")->cert;
	one = cms_signer_new(identity->cert, identity->key, &options, NULL);
	g_assert_nonnull(one);
	buffer_source_init(&in, g_bytes_get_data(content, NULL), g_bytes_get_size(content));
	in.piece_max = 999;
	buffer_sink_init(&out, 64 << 20);
	to = opaque ? cms_sign_opaque(one, NOW, size, &out.sink) : cms_sign_detached(one, NOW);
	g_assert_true(source_copy(&in.source, cms_sign_sink(to), NULL));
	if (!opaque) {
		buffer_sink_clear(&out);
		return cms_sign_finish_detached(to, NULL);
	}
	g_assert_true(cms_sign_finish_opaque(to, NULL));
	der = g_byte_array_free_to_bytes(g_steal_pointer(&out.bytes));
	return der;
}

static void
assert_own(const struct cms_verify_report *report, const struct own_row *row)
{
	const struct cms_signer_report *one = signer(report, 0);

	g_assert_cmpuint(report->signers->len, ==, 1);
	g_assert_cmpstr(one->reason, ==, "signature is good");
	g_assert_cmpint(one->signature, ==, CMS_SIGNATURE_GOOD);
	g_assert_true(cert_equal(one->cert, fixture_identity(row->identity)->cert));
	g_assert_cmpstr(one->digest, ==, cms_digest_name(row->digest));
	g_assert_cmpstr(one->algorithm, ==, row->algorithm);
	g_assert_cmpint(one->signing_time, ==, NOW);
	g_assert_true(one->has_capabilities);
	g_assert_cmpuint(one->capabilities, ==, (1 << CMS_N_CIPHERS) - 1);
	g_assert_false(one->legacy);
	g_assert_true(cms_signer_id_matches(&one->encryption, fixture_identity("rsa2")->cert));
	g_assert_cmpuint(report->certs->len, ==, 1);
}

static void
test_own(gconstpointer data)
{
	const struct own_row *row = data;
	const guint64 sizes[] = { 20011, CMS_SIZE_UNKNOWN };
	g_autoptr(GBytes) content = fixture_content(20011);
	g_autoptr(GBytes) clear = sign(row, content, FALSE, 0);
	g_autoptr(GError) error = NULL;
	CLEANUP(cms_verify_report)
	struct cms_verify_report *report = verify(clear, content, NULL, NULL, &error);

	g_assert_no_error(error);
	assert_own(report, row);
	g_assert_true(report->detached);
	g_assert_cmpuint(report->content_size, ==, 20011);
	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autoptr(GBytes) opaque = sign(row, content, TRUE, sizes[i]);
		g_autoptr(GBytes) shown = NULL;
		CLEANUP(cms_verify_report)
		struct cms_verify_report *inside = verify(opaque, NULL, NULL, &shown, &error);

		g_assert_no_error(error);
		assert_own(inside, row);
		g_assert_false(inside->detached);
		g_assert_true(g_bytes_equal(shown, content));
	}
}

/* UTCTime ends with 2049. */
static void
test_times(void)
{
	const gint64 times[] = { 0, 946684800, NOW, 2524607999, 2524608000, 4102444800 };

	for (guint i = 0; i < G_N_ELEMENTS(times); i++) {
		const struct identity *identity = fixture_identity("ec256");
		struct cms_signer_options options = { 0 };
		CLEANUP(cms_signer)
		struct cms_signer *one =
		    cms_signer_new(identity->cert, identity->key, &options, NULL);
		CLEANUP(cms_sign) struct cms_sign *to = cms_sign_detached(one, times[i]);
		g_autoptr(GBytes) content = fixture_content(0);
		g_autoptr(GBytes) der = cms_sign_finish_detached(to, NULL);
		CLEANUP(cms_verify_report)
		struct cms_verify_report *report = verify(der, content, NULL, NULL, NULL);

		g_assert_cmpint(signer(report, 0)->signature, ==, CMS_SIGNATURE_GOOD);
		g_assert_cmpint(signer(report, 0)->signing_time, ==, times[i]);
	}
}

/* Every single byte of a signature object changed: never a crash, and never good with another
 * content, signer or time than was signed. */
static void
test_flipped(void)
{
	g_autoptr(GBytes) content = fixture_content(100);
	g_autoptr(GBytes) clear = sign(&own_rows[3], content, FALSE, 0);
	gsize length = g_bytes_get_size(clear);
	guint good = 0;

	for (gsize i = 0; i < length; i++) {
		g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(clear, NULL), length);
		g_autoptr(GBytes) object = NULL;
		CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;

		copy[i] ^= 0x41;
		object = g_bytes_new(copy, length);
		report = verify(object, content, NULL, NULL, NULL);
		if (report == NULL || report->signers->len == 0 ||
		    signer(report, 0)->signature != CMS_SIGNATURE_GOOD)
			continue;
		good++;
		g_assert_cmpint(signer(report, 0)->signing_time, ==, NOW);
	}
	g_assert_cmpuint(good, <, length / 2); /* parts that nobody signs: certificate, versions */
	for (gsize i = 0; i < length; i++) {
		g_autoptr(GBytes) object = g_bytes_new(g_bytes_get_data(clear, NULL), i);

		g_assert_null(verify(object, content, NULL, NULL, NULL));
	}
}

static void
test_changed_content(void)
{
	g_autoptr(GBytes) content = fixture_content(5000);
	g_autoptr(GBytes) other = fixture_content(5001);
	g_autoptr(GBytes) clear = sign(&own_rows[0], content, FALSE, 0);
	g_autoptr(GBytes) opaque = sign(&own_rows[0], content, TRUE, 5000);
	CLEANUP(cms_verify_report)
	struct cms_verify_report *report = verify(clear, other, NULL, NULL, NULL);
	CLEANUP(cms_verify_report)
	struct cms_verify_report *missing = verify(clear, NULL, NULL, NULL, NULL);
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(signer(report, 0)->signature, ==, CMS_SIGNATURE_BAD);
	g_assert_cmpint(signer(missing, 0)->signature, ==, CMS_SIGNATURE_UNKNOWN);
	g_assert_true(missing->detached);
	g_assert_null(verify(opaque, content, NULL, NULL, &error));
	g_assert_nonnull(error);
}

/* ---- openssl cms signs ---- */

struct peer_row {
	const char *name;
	const char *identity;
	const char *args[6];
	gboolean attached;
	const char *algorithm;
};

static const struct peer_row peer_rows[] = {
	{ "RSA, clear", "rsa1", { NULL }, FALSE, "rsaEncryption" },
	{ "RSA, opaque DER", "rsa1", { "-nodetach" }, TRUE, "rsaEncryption" },
	{ "RSA, opaque BER", "rsa1", { "-nodetach", "-stream" }, TRUE, "rsaEncryption" },
	{ "by key identifier", "rsa1", { "-nodetach", "-keyid" }, TRUE, "rsaEncryption" },
	{ "without attributes", "rsa1", { "-nodetach", "-noattr" }, TRUE, "rsaEncryption" },
	{ "without attributes, clear", "ec256", { "-noattr" }, FALSE, "ecdsa-with-SHA256" },
	{ "without certificates", "rsa1", { "-nodetach", "-nocerts" }, TRUE, "rsaEncryption" },
	{ "PSS", "rsa1", { "-nodetach", "-keyopt", "rsa_padding_mode:pss" }, TRUE, "rsassaPss" },
	{ "PSS, short salt",
	  "rsa1",
	  { "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:8" },
	  FALSE,
	  "rsassaPss" },
	{ "PSS without attributes",
	  "rsa1",
	  { "-noattr", "-keyopt", "rsa_padding_mode:pss" },
	  FALSE,
	  "rsassaPss" },
	{ "P-384, SHA-384", "ec384", { "-md", "sha384" }, FALSE, "ecdsa-with-SHA384" },
	{ "SHA-1", "rsa1", { "-md", "sha1" }, FALSE, "rsaEncryption" },
	{ "MD5", "rsa1", { "-md", "md5" }, FALSE, "rsaEncryption" },
};

static void
test_peer(gconstpointer data)
{
	const struct peer_row *row = data;
	const struct identity *identity = fixture_identity(row->identity);
	g_autoptr(GBytes) content = fixture_content(9000);
	g_autofree char *in_path = fixture_write("in", g_bytes_get_data(content, NULL), 9000);
	g_autofree char *out_path = fixture_path("out");
	g_autoptr(GPtrArray) candidates = g_ptr_array_new();
	struct cms_verify_options options = { .certs = candidates };
	g_autoptr(GBytes) object = NULL;
	g_autoptr(GBytes) shown = NULL;
	g_autoptr(GError) error = NULL;
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;
	gboolean bare = strstr(row->name, "without certificates") != NULL;
	gboolean legacy = strcmp(row->name, "SHA-1") == 0 || strcmp(row->name, "MD5") == 0;
	const char *no = "-binary";

	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	g_assert_cmpint(fixture_openssl("cms", "-sign", "-binary", "-in", in_path, "-signer",
					identity->cert_path, "-inkey", identity->key_path,
					"-outform", "DER", "-out", out_path,
					row->args[0] != NULL ? row->args[0] : no,
					row->args[1] != NULL ? row->args[1] : no,
					row->args[2] != NULL ? row->args[2] : no,
					row->args[3] != NULL ? row->args[3] : no, NULL),
			==, 0);
	object = fixture_read(out_path);
	report = verify(object, row->attached ? NULL : content, NULL, &shown, &error);
	g_assert_no_error(error);
	g_assert_cmpint(signer(report, 0)->signature, ==,
			bare ? CMS_SIGNATURE_UNKNOWN : CMS_SIGNATURE_GOOD);
	g_assert_cmpstr(signer(report, 0)->algorithm, ==, row->algorithm);
	g_assert_cmpint(signer(report, 0)->legacy, ==, legacy);
	if (row->attached)
		g_assert_true(g_bytes_equal(shown, content));
	if (!bare)
		return;
	g_ptr_array_add(candidates, fixture_identity("ec256")->cert);
	g_ptr_array_add(candidates, identity->cert);
	cms_verify_report_free(report);
	report = verify(object, row->attached ? NULL : content, &options, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(signer(report, 0)->signature, ==, CMS_SIGNATURE_GOOD);
	g_assert_true(cert_equal(signer(report, 0)->cert, identity->cert));
}

static void
test_several(void)
{
	const struct identity *a = fixture_identity("rsa1"), *b = fixture_identity("ec256");
	g_autoptr(GBytes) content = fixture_content(3000);
	g_autofree char *in_path = fixture_write("in", g_bytes_get_data(content, NULL), 3000);
	g_autofree char *out_path = fixture_path("out");
	g_autoptr(GBytes) object = NULL;
	g_autoptr(GError) error = NULL;
	struct cms_limits one_signer = cms_limits_default;
	struct cms_verify_options options = { .limits = &one_signer };
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;

	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	g_assert_cmpint(fixture_openssl("cms", "-sign", "-binary", "-in", in_path, "-signer",
					a->cert_path, "-inkey", a->key_path, "-signer",
					b->cert_path, "-inkey", b->key_path, "-outform", "DER",
					"-out", out_path, NULL),
			==, 0);
	object = fixture_read(out_path);
	report = verify(object, content, NULL, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(report->signers->len, ==, 2);
	g_assert_cmpint(signer(report, 0)->signature, ==, CMS_SIGNATURE_GOOD);
	g_assert_cmpint(signer(report, 1)->signature, ==, CMS_SIGNATURE_GOOD);
	g_assert_false(cert_equal(signer(report, 0)->cert, signer(report, 1)->cert));
	one_signer.signers = 1;
	g_assert_null(verify(object, content, &options, NULL, &error));
	g_assert_cmpstr(error->message, ==, "more than 1 signers");
	g_clear_error(&error);
	one_signer.signers = 2;
	one_signer.certs = 1;
	g_assert_null(verify(object, content, &options, NULL, &error));
	g_assert_cmpstr(error->message, ==, "more than 1 certificates");
	g_clear_error(&error);
	one_signer.certs = 2;
	cms_verify_report_free(report);
	report = verify(object, content, &options, NULL, &error);
	g_assert_no_error(error);
}

/* A false certificate with the signer's issuer and serial does not hide the right one, and one
 * that is asked for is used. */
static struct cert *
find_rsa1(gpointer data, const struct cms_signer_id *id)
{
	g_autofree char *text = cms_signer_id_text(id);
	struct cert *cert = fixture_identity("rsa1")->cert;

	g_assert_true(cms_signer_id_matches(id, cert));
	g_assert_nonnull(strstr(text, "serial"));
	(*(guint *)data)++;
	return cert_ref(cert);
}

static void
test_asked(void)
{
	g_autoptr(GBytes) content = fixture_content(10);
	g_autofree char *in_path = fixture_write("in", g_bytes_get_data(content, NULL), 10);
	g_autofree char *out_path = fixture_path("out");
	const struct identity *identity = fixture_identity("rsa1");
	guint asked = 0;
	struct cms_verify_options options = { .find = find_rsa1, .data = &asked };
	g_autoptr(GBytes) object = NULL;
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;

	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	g_assert_cmpint(fixture_openssl("cms", "-sign", "-binary", "-nocerts", "-in", in_path,
					"-signer", identity->cert_path, "-inkey",
					identity->key_path, "-outform", "DER", "-out", out_path,
					NULL),
			==, 0);
	object = fixture_read(out_path);
	report = verify(object, content, &options, NULL, NULL);
	g_assert_cmpuint(asked, ==, 1);
	g_assert_cmpint(signer(report, 0)->signature, ==, CMS_SIGNATURE_GOOD);
}

/* The attributes of a signature, shown as content that was signed without attributes. */
static void
test_attributes_as_content(void)
{
	static const guint8 start[] = { 0xa0, 0x82 };
	g_autoptr(GBytes) content = fixture_content(50);
	g_autoptr(GBytes) clear = sign(&own_rows[0], content, FALSE, 0);
	gsize length;
	const guint8 *der = g_bytes_get_data(clear, &length);
	const guint8 *attributes = NULL, *info;
	g_autoptr(GByteArray) forged = g_byte_array_new();
	g_autofree guint8 *shown = NULL;
	g_autoptr(GBytes) object = NULL;
	g_autoptr(GBytes) disguised = NULL;
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;
	gsize attributes_length;

	/* The last [0] of that length is the signed attributes; lengths all have two octets. */
	for (info = der; (info = memmem(info, length - (gsize)(info - der), start, 2)) != NULL;
	     info++)
		attributes = info;
	g_assert_nonnull(attributes);
	attributes_length = 4u + ((gsize)attributes[2] << 8) + attributes[3];
	shown = g_memdup2(attributes, attributes_length);
	shown[0] = 0x31;
	g_byte_array_append(forged, der, (guint)(attributes - der));
	g_byte_array_append(forged, attributes + attributes_length,
			    (guint)(length - (gsize)(attributes - der) - attributes_length));
	/* ContentInfo, [0], SignedData, then SET and SEQUENCE of the signerInfo are shorter now. */
	for (gsize i = 0; i + 4 <= (gsize)(attributes - der); i++) {
		gsize size = ((gsize)forged->data[i + 2] << 8) + forged->data[i + 3];

		if (forged->data[i + 1] == 0x82 && i + 4 + size == length) {
			size -= attributes_length;
			forged->data[i + 2] = (guint8)(size >> 8);
			forged->data[i + 3] = (guint8)size;
		}
	}
	object = g_bytes_new(forged->data, forged->len);
	disguised = g_bytes_new(shown, attributes_length);
	report = verify(object, disguised, NULL, NULL, NULL);
	g_assert_nonnull(report);
	g_assert_cmpuint(report->signers->len, ==, 1);
	g_test_message("%s", signer(report, 0)->reason);
	g_assert_cmpint(signer(report, 0)->signature, ==, CMS_SIGNATURE_BAD);
}

/* ---- the world's ---- */

struct world_row {
	const char *file;
	const char *content; /* detached: a file beside it */
	int signature[2];    /* -1: no such signer; -2 in the first: refused as malformed */
};

#define G CMS_SIGNATURE_GOOD
#define B CMS_SIGNATURE_BAD
#define U CMS_SIGNATURE_UNKNOWN

static const struct world_row world_rows[] = {
	{ "rfc4134/4.1.bin", NULL, { G, -1 } },
	{ "rfc4134/4.2.bin", NULL, { G, -1 } },
	{ "rfc4134/4.3.bin", "rfc4134/ExContent.bin", { G, -1 } },
	{ "rfc4134/4.4.bin", NULL, { G, -1 } },
	{ "rfc4134/4.5.bin", NULL, { G, -1 } },
	{ "rfc4134/4.7.bin", NULL, { G, -1 } },
	{ "rfc4134/4.10.bin", NULL, { G, -1 } },
	{ "rfc9216/binary-files/signedByAliceRSA.p7m", NULL, { G, -1 } },
	{ "openssl/cms_data/bad_signtime_attr.cms", NULL, { B, -1 } },
	{ "openssl/cms_data/ct_multiple_attr.cms", NULL, { B, -1 } },
	{ "openssl/cms_data/no_ct_attr.cms", NULL, { B, -1 } },
	{ "openssl/cms_data/no_md_attr.cms", NULL, { B, -1 } },
	{ "openssl/cms_data/pkcs7-md4.pem", NULL, { U, -1 } },
	{ "openssl/cms_data/malformed.pkcs7", NULL, { -2, -1 } },
	{ "cms-fixtures/asn1crypto/cms-signed.der", NULL, { G, -1 } },
	{ "cms-fixtures/rustcrypto/cms_ber.bin", NULL, { G, -1 } },
	{ "cms-fixtures/rustcrypto/cms_der.bin", NULL, { G, -1 } },
	{ "cms-fixtures/rustcrypto/scep_der.bin", NULL, { G, -1 } },
	{ "cms-fixtures/rustcrypto/sd.cms", NULL, { G, -1 } },
};

static GBytes *
data_read(const char *file)
{
	g_auto(GStrv) parts = g_strsplit(file, "/", 2);
	g_autofree char *folder = fixture_data(parts[0]);
	g_autofree char *path = folder == NULL ? NULL : g_build_filename(folder, parts[1], NULL);

	return path == NULL ? NULL : fixture_read(path);
}

static void
test_world(gconstpointer data)
{
	const struct world_row *row = data;
	g_autoptr(GBytes) object = data_read(row->file);
	g_autoptr(GBytes) content = row->content == NULL ? NULL : data_read(row->content);
	g_autoptr(GError) error = NULL;
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;

	if (object == NULL) {
		g_test_skip("the shared data is not here");
		return;
	}
	report = verify(object, content, NULL, NULL, &error);
	if (row->signature[0] == -2) {
		g_assert_null(report);
		return;
	}
	g_assert_no_error(error);
	for (guint i = 0; i < 2 && row->signature[i] != -1; i++) {
		g_test_message("%s", signer(report, i)->reason);
		g_assert_cmpint(signer(report, i)->signature, ==, row->signature[i]);
	}
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	g_test_set_nonfatal_assertions();
	for (guint i = 0; i < G_N_ELEMENTS(own_rows); i++) {
		g_autofree char *name = g_strdup_printf("/cms_verify/own/%s", own_rows[i].name);

		g_test_add_data_func(name, &own_rows[i], test_own);
	}
	for (guint i = 0; i < G_N_ELEMENTS(peer_rows); i++) {
		g_autofree char *name =
		    g_strdup_printf("/cms_verify/openssl/%s", peer_rows[i].name);

		g_test_add_data_func(name, &peer_rows[i], test_peer);
	}
	for (guint i = 0; i < G_N_ELEMENTS(world_rows); i++) {
		g_autofree char *name = g_strdup_printf("/cms_verify/world/%s", world_rows[i].file);

		g_test_add_data_func(name, &world_rows[i], test_world);
	}
	g_test_add_func("/cms_verify/every byte flipped, every length cut", test_flipped);
	g_test_add_func("/cms_verify/other content is bad, none is unknown", test_changed_content);
	g_test_add_func("/cms_verify/certificates are asked for", test_asked);
	g_test_add_func("/cms_verify/attributes disguised as content", test_attributes_as_content);
	g_test_add_func("/cms_verify/signing times to 2049 and after", test_times);
	g_test_add_func("/cms_verify/several signers, each reported", test_several);
	status = g_test_run();
	fixture_clear();
	return status;
}
