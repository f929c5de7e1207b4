/*
 * CMS to a passphrase: there and back, the wrong one, damage, a stranger's iterations; OpenSSL
 * reads what is written here, and is read.
 */
#include <string.h>

#include "pki/crypto/cms_decrypt.h"
#include "pki/crypto/cms_encrypt.h"
#include "pki/crypto/cms_password.h"
#include "pki/crypto/tlv.h"
#include "store/base/error.h"
#include "tests/unit/pki/cms_fixture.h"

struct memory_sink {
	struct sink sink;
	GByteArray *bytes;
};

static gboolean
memory_write(struct sink *sink, gconstpointer bytes, gsize length, GError **error)
{
	(void)error;
	g_byte_array_append(((struct memory_sink *)sink)->bytes, bytes, (guint)length);
	return TRUE;
}

struct memory_source {
	struct source source;
	GBytes *bytes;
	gsize at;
};

static gboolean
memory_next(struct source *source, const guint8 **bytes, gsize *length, GError **error)
{
	struct memory_source *self = (struct memory_source *)source;
	gsize size;
	const guint8 *all = g_bytes_get_data(self->bytes, &size);

	(void)error;
	*length = MIN(1000, size - self->at);
	*bytes = all + self->at;
	self->at += *length;
	return TRUE;
}

static GBytes *
encrypt(const char *password, enum cms_cipher cipher, GBytes *content)
{
	CLEANUP(secret) struct secret *secret = secret_new_text(password);
	struct memory_sink out = { { memory_write }, g_byte_array_new() };
	struct cms_encrypt_options options = { .cipher = cipher,
					       .content_size = CMS_SIZE_UNKNOWN,
					       .password = secret };
	g_autoptr(GError) error = NULL;
	gsize length;
	const void *bytes = g_bytes_get_data(content, &length);
	CLEANUP(cms_encrypt)
	struct cms_encrypt *stream = cms_encrypt_new(NULL, 0, &options, &out.sink, &error);

	g_assert_no_error(error);
	g_assert_true(sink_write(cms_encrypt_sink(stream), bytes, length, &error));
	g_assert_true(cms_encrypt_finish(stream, &error));
	return g_byte_array_free_to_bytes(out.bytes);
}

/* The content, or NULL with the reason. */
static GBytes *
decrypt(GBytes *object, const char *password, char **reason)
{
	CLEANUP(secret)
	struct secret *secret = password != NULL ? secret_new_text(password) : NULL;
	struct memory_source in = { { memory_next }, object, 0 };
	struct memory_sink out = { { memory_write }, g_byte_array_new() };
	struct cms_decrypt_options options = { .password = secret };
	g_autoptr(GError) error = NULL;
	CLEANUP(cms_decrypt_report)
	struct cms_decrypt_report *report =
	    cms_decrypt(&in.source, NULL, 0, &options, &out.sink, &error);
	g_autoptr(GBytes) content = g_byte_array_free_to_bytes(out.bytes);

	if (report != NULL && report->outcome == CMS_DECRYPTED)
		return g_bytes_ref(content);
	*reason = g_strdup(report != NULL ? report->reason : error->message);
	return NULL;
}

static void
test_there_and_back(void)
{
	static const enum cms_cipher ciphers[] = { CMS_CIPHER_AES_256_GCM, CMS_CIPHER_AES_128_CBC,
						   CMS_CIPHER_AES_192_CBC };

	for (gsize i = 0; i < G_N_ELEMENTS(ciphers); i++) {
		g_autoptr(GBytes) content = fixture_content(100000);
		g_autoptr(GBytes) object = encrypt("correct horse", ciphers[i], content);
		g_autofree char *reason = NULL;
		g_autoptr(GBytes) back = decrypt(object, "correct horse", &reason);

		g_test_message("%s", cms_cipher_name(ciphers[i]));
		g_assert_cmpstr(reason, ==, NULL);
		g_assert_true(g_bytes_equal(content, back));
	}
}

static void
test_what_does_not_open_it(void)
{
	g_autoptr(GBytes) content = fixture_content(1000);
	g_autoptr(GBytes) object = encrypt("right", CMS_CIPHER_AES_256_GCM, content);
	g_autofree char *wrong = NULL;
	g_autofree char *none = NULL;
	g_autofree char *flipped = NULL;
	gsize length;
	gconstpointer whole = g_bytes_get_data(object, &length);
	g_autofree guint8 *bytes = g_memdup2(whole, length);

	g_assert_null(decrypt(object, "wrong", &wrong));
	g_assert_cmpstr(wrong, ==, "wrong passphrase");
	g_assert_null(decrypt(object, NULL, &none));
	g_assert_cmpstr(none, ==, "encrypted to nobody whose key is here");
	bytes[length - 100] ^= 1;
	g_autoptr(GBytes) damaged = g_bytes_new(bytes, length);
	g_assert_null(decrypt(damaged, "right", &flipped));
	g_assert_cmpstr(flipped, ==, "authentication tag is wrong");
}

static void
test_iterations_are_bounded(void)
{
	CLEANUP(secret) struct secret *password = secret_new_text("x");
	g_autoptr(GByteArray) info = g_byte_array_new();
	guint8 key[32] = { 1, 2, 3 }, back[32];
	static const guint8 ours[] = { 0x02, 0x03, 0x09, 0x27, 0xc0 };
	guint8 *found = NULL;

	g_assert_true(cms_password_put(info, password, key, sizeof key, NULL));
	for (guint i = 0; found == NULL && i + sizeof ours < info->len; i++)
		if (memcmp(info->data + i, ours, sizeof ours) == 0)
			found = info->data + i;
	g_assert_nonnull(found);
	g_autoptr(GBytes) good = g_bytes_new(info->data, info->len);
	g_assert_true(cms_password_is(good));
	g_assert_true(cms_password_take(good, password, back, sizeof back));
	g_assert_cmpmem(key, sizeof key, back, sizeof back);
	g_assert_false(cms_password_take(good, password, back, 16));
	/* 16,721,856 were it not negative: refused without one iteration. */
	found[2] = 0xff;
	g_autoptr(GBytes) many = g_bytes_new(info->data, info->len);
	g_assert_false(cms_password_take(many, password, back, sizeof back));
	for (gsize cut = 1; cut < info->len; cut += 3) {
		g_autoptr(GBytes) part = g_bytes_new(info->data, cut);
		g_assert_false(cms_password_take(part, password, back, sizeof back));
	}
}

static void
test_openssl_reads_ours(void)
{
	g_autoptr(GBytes) content = fixture_content(5000);
	g_autoptr(GBytes) object = encrypt("correct horse", CMS_CIPHER_AES_256_GCM, content);
	gsize length;
	const void *bytes = g_bytes_get_data(object, &length);

	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	g_autofree char *in = fixture_write("ours.cms", bytes, length);
	g_autofree char *out = fixture_path("ours.out");
	g_assert_cmpint(fixture_openssl("cms", "-decrypt", "-inform", "DER", "-in", in,
					"-pwri_password", "correct horse", "-binary", "-out", out,
					NULL),
			==, 0);
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(out, &text, &length, NULL));
	g_autoptr(GBytes) back = g_bytes_new(text, length);
	g_assert_true(g_bytes_equal(content, back));
}

static void
test_we_read_openssl(void)
{
	g_autoptr(GBytes) content = fixture_content(5000);
	gsize length;
	const void *bytes = g_bytes_get_data(content, &length);

	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	g_autofree char *in = fixture_write("content", bytes, length);
	g_autofree char *out = fixture_path("theirs.cms");
	g_assert_cmpint(fixture_openssl("cms", "-encrypt", "-binary", "-in", in, "-outform", "DER",
					"-aes-256-cbc", "-pwri_password", "theirs", "-out", out,
					NULL),
			==, 0);
	g_autofree char *text = NULL;
	g_assert_true(g_file_get_contents(out, &text, &length, NULL));
	g_autoptr(GBytes) object = g_bytes_new(text, length);
	g_autofree char *reason = NULL;
	g_autoptr(GBytes) back = decrypt(object, "theirs", &reason);
	g_assert_cmpstr(reason, ==, NULL);
	g_assert_true(g_bytes_equal(content, back));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cms-password/there-and-back", test_there_and_back);
	g_test_add_func("/cms-password/refused", test_what_does_not_open_it);
	g_test_add_func("/cms-password/iterations", test_iterations_are_bounded);
	g_test_add_func("/cms-password/openssl-reads", test_openssl_reads_ours);
	g_test_add_func("/cms-password/reads-openssl", test_we_read_openssl);
	int status = g_test_run();
	fixture_clear();
	return status;
}
