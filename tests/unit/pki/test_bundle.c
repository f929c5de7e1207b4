/*
 * Files: every format that is read and written, wrong passwords, damage, limits.
 */
#include <glib.h>
#include <string.h>
#include <time.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/bundle_salt.h"
#include "store/base/error.h"
#include "tests/unit/pki/cert_fixture.h"

static struct node root, intermediate, bob;

static GBytes *
text_bytes(const char *text)
{
	return g_bytes_new(text, strlen(text));
}

static GBytes *
secret_to_bytes(const struct secret *secret)
{
	return g_bytes_new(secret_bytes(secret), secret_length(secret));
}

static GBytes *
join(GBytes *a, GBytes *b)
{
	GByteArray *all = g_byte_array_new();
	gsize length;
	const guint8 *bytes = g_bytes_get_data(a, &length);

	g_byte_array_append(all, bytes, (guint)length);
	bytes = g_bytes_get_data(b, &length);
	g_byte_array_append(all, bytes, (guint)length);
	return g_byte_array_free_to_bytes(all);
}

static struct bundle *
read_good(GBytes *bytes, const char *password, guint certs, guint keys, guint rejected)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(secret)
	struct secret *secret = password != NULL ? secret_new_text(password) : NULL;
	struct bundle *bundle = bundle_read(bytes, "file", secret, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(bundle->certs->len, ==, certs);
	g_assert_cmpuint(bundle->keys->len, ==, keys);
	g_assert_cmpuint(bundle->rejected->len, ==, rejected);
	return bundle;
}

static void
check(GBytes *bytes, const char *password, guint certs, guint keys, guint rejected)
{
	bundle_free(read_good(bytes, password, certs, keys, rejected));
}

static void
test_certificates(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) certs = pki_certs(bob.cert, intermediate.cert, root.cert, NULL);
	g_autoptr(GBytes) pem = bundle_write_pem(certs, &error);
	g_autoptr(GBytes) p7_pem = bundle_write_pkcs7(certs, TRUE, &error);
	g_autoptr(GBytes) p7_der = bundle_write_pkcs7(certs, FALSE, &error);
	g_autoptr(GBytes) bom = text_bytes("\xef\xbb\xbf");
	g_autoptr(GBytes) pem_bom = join(bom, pem);
	g_autoptr(GBytes) twice = join(pem, p7_pem);
	gsize length;
	const guint8 *der = g_bytes_get_data(cert_der(bob.cert), &length);
	g_autofree char *base64 = g_base64_encode(der, length);
	g_autoptr(GBytes) bare = text_bytes(base64);

	check(pem, NULL, 3, 0, 0);
	check(pem_bom, NULL, 3, 0, 0);
	check(p7_pem, NULL, 3, 0, 0);
	check(p7_der, NULL, 3, 0, 0);
	check(twice, NULL, 3, 0, 0); /* each counts once */
	check(cert_der(bob.cert), NULL, 1, 0, 0);
	check(bare, NULL, 1, 0, 0);
	CLEANUP(bundle) struct bundle *bundle = read_good(pem, NULL, 3, 0, 0);
	g_assert_true(cert_equal(bundle->certs->pdata[0], bob.cert));
	g_assert_true(cert_equal(bundle->certs->pdata[2], root.cert));
}

static void
test_crls(void)
{
	CLEANUP(crl)
	struct crl *crl =
	    pki_crl(&intermediate, PKI_NOW, PKI_NOW + PKI_DAY, 1, NULL, REVOCATION_UNSPECIFIED);
	g_autoptr(GError) error = NULL;
	CLEANUP(bundle) struct bundle *bundle = bundle_read(crl_der(crl), "x.crl", NULL, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(bundle->crls->len, ==, 1);
	g_assert_cmpstr(crl_thumbprint(bundle->crls->pdata[0]), ==, crl_thumbprint(crl));
}

static void
test_keys(void)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(secret) struct secret *password = secret_new_text("correct horse");
	CLEANUP(secret) struct secret *plain_pem = bundle_write_key_pem(bob.key, NULL, &error);
	CLEANUP(secret) struct secret *sealed_pem = bundle_write_key_pem(bob.key, password, &error);
	CLEANUP(secret) struct secret *pkcs8 = key_to_pkcs8(bob.key, &error);
	g_autoptr(GBytes) plain = secret_to_bytes(plain_pem);
	g_autoptr(GBytes) sealed = secret_to_bytes(sealed_pem);
	g_autoptr(GBytes) der = secret_to_bytes(pkcs8);

	check(plain, NULL, 0, 1, 0);
	check(der, NULL, 0, 1, 0);
	check(sealed, "correct horse", 0, 1, 0);
	g_assert_true(bundle_wants_password(sealed));
	g_assert_false(bundle_wants_password(plain));
	CLEANUP(bundle) struct bundle *wrong = read_good(sealed, "battery", 0, 0, 1);
	g_assert_cmpstr(((struct bundle_rejected *)wrong->rejected->pdata[0])->why, ==,
			"wrong password");
	CLEANUP(bundle) struct bundle *none = read_good(sealed, NULL, 0, 0, 1);
	g_assert_cmpstr(((struct bundle_rejected *)none->rejected->pdata[0])->why, ==,
			"a password is needed");
}

/* The other formats of keys, as openssl's programs write them. */
static void
test_foreign_keys(void)
{
	static const char *const sec1 =
	    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	    "-----BEGIN EC PRIVATE KEY-----\n"
	    "MHcCAQEEIJ+TBPYTpgEwxfbNbcPtUCYhYPQSbgIeW2dGOx2RcBiLoAoGCCqGSM49\n"
	    "AwEHoUQDQgAE8uSwdj6cbUBqjkTuRaMqXbd4zMBqUiJDWqxN0cBRtPvmzMOAi1o4\n"
	    "k5SMBWYd1PJmrFBzBfYVQGs9xmLA7gCb6g==\n"
	    "-----END EC PRIVATE KEY-----\n";
	g_autoptr(GBytes) bytes = text_bytes(sec1);
	g_autoptr(GError) error = NULL;
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, "ec.pem", NULL, &error);

	/* The point of this one does not fit its number: refused, and the reading goes on. */
	g_assert_no_error(error);
	g_assert_cmpuint(bundle->keys->len + bundle->rejected->len, ==, 1);
}

static void
test_pkcs12(void)
{
	static const struct {
		const char *proves;
		enum pkcs12_strength strength;
		gboolean with_chain;
		guint certs;
	} rows[] = {
		{ "modern, with its chain", PKCS12_MODERN, TRUE, 3 },
		{ "compatible, alone", PKCS12_COMPATIBLE, FALSE, 1 },
	};
	CLEANUP(secret) struct secret *password = secret_new_text("p\xc3\xa4ssword");
	g_autoptr(GPtrArray) chain = pki_certs(intermediate.cert, root.cert, NULL);
	struct pkcs12_entry entry = { bob.cert, bob.key,
				      "B\xc3\xb6"
				      "b" };

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) file =
		    bundle_write_pkcs12(&entry, 1, rows[i].with_chain ? chain : NULL, password,
					rows[i].strength, &error);
		CLEANUP(secret) struct secret *wrong = secret_new_text("password");

		g_test_message("%s", rows[i].proves);
		g_assert_no_error(error);
		g_assert_true(bundle_wants_password(file));
		CLEANUP(bundle)
		struct bundle *bundle = read_good(file, "p\xc3\xa4ssword", rows[i].certs, 1, 0);
		g_assert_true(key_fits(bundle->keys->pdata[0], bob.cert));
		g_assert_true(cert_equal(bundle->certs->pdata[0], bob.cert));
		g_assert_null(bundle_read(file, "bob.p12", wrong, &error));
		g_assert_cmpstr(error->message, ==, "bob.p12: wrong password");
		g_clear_error(&error);
		g_assert_null(bundle_read(file, "bob.p12", NULL, &error));
		g_assert_cmpstr(error->message, ==, "bob.p12: a password is needed");
	}
}

/* Salts that gpgsm 2.2.40 was seen to fail with have a sum with a zero octet in front. */
static void
test_compatible_salts(void)
{
	static const struct {
		const char *salt;
		gboolean fits;
	} rows[] = {
		{ "\x12\x53\xe9\x37\x3e\x78\x1b\x75\x00\x26\x6c\xaa\x55\x15\x0e\x08", FALSE },
		{ "\xe6\xf4\x7e\x00\x8c\xc5\x8b\x38\x59\x6e\x6f\xdf\x2f\x50\xa0\xfe", FALSE },
		{ "\x23\xe8\xb0\x17\x58\x74\xe1\xbb\x3b\x47\x99\xe1\x3a\x66\x34\xa8", FALSE },
		{ "\x12\x53\xe9\x37\x3e\x78\x1b\x75\x00\x26\x6c\xaa\x55\x15\x0e\x09", TRUE },
		{ "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", TRUE },
	};
	CLEANUP(secret) struct secret *password = secret_new_text("secret1");
	guint8 salt[BUNDLE_SALT_BYTES];

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("row %zu", i);
		memcpy(salt, rows[i].salt, sizeof(salt));
		g_assert_cmpint(bundle_salt_fits(salt, password, 2048), ==, rows[i].fits);
	}
	for (int i = 0; i < 300; i++) {
		g_assert_true(bundle_salt_make(salt, password, 1));
		g_assert_true(bundle_salt_fits(salt, password, 1));
	}
}

static void
test_pkcs12_refuses(void)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(secret) struct secret *password = secret_new_text("x");
	CLEANUP(secret) struct secret *empty = secret_new_text("");
	struct pkcs12_entry stranger = { root.cert, bob.key, NULL };
	struct pkcs12_entry good = { bob.cert, bob.key, NULL };

	g_assert_null(bundle_write_pkcs12(&stranger, 1, NULL, password, PKCS12_MODERN, &error));
	g_assert_nonnull(strstr(error->message, "does not belong"));
	g_clear_error(&error);
	g_assert_null(bundle_write_pkcs12(&good, 1, NULL, empty, PKCS12_MODERN, &error));
	g_assert_nonnull(strstr(error->message, "needs a password"));
}

static void
test_one_bad_does_not_stop_the_rest(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) certs = pki_certs(bob.cert, NULL);
	g_autoptr(GBytes) good = bundle_write_pem(certs, &error);
	g_autoptr(GBytes) broken = text_bytes("-----BEGIN CERTIFICATE-----\n"
					      "TUlJQnR6Q0NBVjJnQXdJQkFnSVVK\n"
					      "-----END CERTIFICATE-----\n"
					      "-----BEGIN CERTIFICATE-----\n"
					      "this is no base64 at all !\n"
					      "-----END CERTIFICATE-----\n"
					      "-----BEGIN PUBLIC KEY-----\nAAAA\n"
					      "-----END PUBLIC KEY-----\n");
	g_autoptr(GBytes) file = join(broken, good);

	check(file, NULL, 1, 0, 3);
}

static void
test_refused(void)
{
	static const struct {
		const char *proves;
		const char *bytes;
		gssize length;
		const char *text;
	} rows[] = {
		{ "empty", "", 0, "file: the file is empty" },
		{ "text", "hello, world\n", -1, "file: neither a certificate nor a key nor a CRL" },
		{ "PEM of nothing", "-----BEGIN nothing", -1,
		  "file: neither a certificate nor a key nor a CRL" },
		{ "DER of nothing", "0\x02\x05\x00", 4,
		  "file: neither a certificate nor a key nor a CRL" },
		{ "a PKCS#12 that is only its head", "0\x08\x02\x01\x03\x30\x03\x06\x01\x00", 10,
		  "file: the PKCS#12 file is damaged" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) bytes =
		    g_bytes_new(rows[i].bytes, rows[i].length >= 0 ? (gsize)rows[i].length
								   : strlen(rows[i].bytes));

		g_test_message("%s", rows[i].proves);
		g_assert_null(bundle_read(bytes, "file", NULL, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		g_assert_true(g_str_has_prefix(error->message, rows[i].text));
		g_assert_null(strchr(error->message, '\n'));
	}
}

/* A key that asks for a thousand million rounds of its password is refused before one is run. */
static void
test_iterations(void)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(secret) struct secret *password = secret_new_text("x");
	struct pkcs12_entry entry = { bob.cert, bob.key, NULL };
	g_autoptr(GBytes) file =
	    bundle_write_pkcs12(&entry, 1, NULL, password, PKCS12_MODERN, &error);
	gsize length;
	const guint8 *bytes = g_bytes_get_data(file, &length);
	g_autofree guint8 *copy = g_memdup2(bytes, length);
	static const guint8 count[] = { 0x02, 0x03, 0x09, 0x27, 0xc0 }; /* 600,000 */
	guint found = 0;

	/* Same length, other value: 7,300,000 rounds in each derivation. */
	for (gsize i = 0; i + sizeof(count) <= length; i++)
		if (memcmp(copy + i, count, sizeof(count)) == 0) {
			copy[i + 2] = 0x6f;
			found++;
		}
	g_assert_cmpuint(found, >=, 2);
	g_autoptr(GBytes) changed = g_bytes_new(copy, length);
	clock_t before = clock(); /* of the processor, which others use, too */
	g_assert_null(bundle_read(changed, "bomb.p12", password, &error));
	g_assert_nonnull(strstr(error->message, "iterations"));
	g_assert_cmpint(clock() - before, <, CLOCKS_PER_SEC);
}

static void
test_foreign_pkcs12(void)
{
	static const struct {
		const char *file, *password;
		guint certs, keys;
	} rows[] = {
		{ "ov-user.p12", "start", 1, 1 },
		{ "ov-server.p12", "start", 1, 1 },
		{ "opensc-test.p12", "password", 2, 1 },
		{ "t5793-openssl.pfx", "test", 1, 1 },
		{ "t5793-test.pfx", "test", 1, 1 },
		/* OpenSSL's program cannot open the key in this one either. */
		{ "edward.tester@demo.gnupg.com.p12", "abc,123456", 1, 0 },
		{ "nistp256-openssl-self-signed.p12", "abc", 1, 1 },
		{ "t6752-ov-user-ff.p12", "start", 1, 1 },
		{ "credential_private_encrypted_AES256.p12", "qeFGds84/Sf0eKkJwcp6", 2, 1 },
		{ "credential_private_encrypted_3DES.p12", "qeFGds84/Sf0eKkJwcp6", 2, 1 },
	};
	g_autofree char *folder = pki_data("gnupg/samplekeys");
	guint right = 0;

	if (folder == NULL) {
		g_test_skip("the foreign test data is not here");
		return;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *path = g_build_filename(folder, rows[i].file, NULL);
		g_autoptr(GBytes) bytes = pki_read(path);
		CLEANUP(secret) struct secret *password = secret_new_text(rows[i].password);
		CLEANUP(bundle)
		struct bundle *bundle = bundle_read(bytes, rows[i].file, password, &error);
		gboolean good = bundle != NULL && bundle->certs->len == rows[i].certs &&
				bundle->keys->len == rows[i].keys;

		right += (guint)good;
		if (!good)
			g_test_message(
			    "%s: %s", rows[i].file,
			    error != NULL ? error->message
			    : bundle->rejected->len > 0
				? ((struct bundle_rejected *)bundle->rejected->pdata[0])->why
				: "other objects than expected");
	}
	g_test_message("%u of %zu files are read", right, G_N_ELEMENTS(rows));
	g_assert_cmpuint(right, ==, G_N_ELEMENTS(rows));
}

int
main(int argc, char **argv)
{
	struct leaf leaf = { .common_name = "Bob", .email = "bob@example.org" };

	g_test_init(&argc, &argv, NULL);
	root = pki_root("Root");
	intermediate = pki_intermediate(&root, "Intermediate");
	bob = pki_leaf(&intermediate, &leaf);
	g_test_add_func("/bundle/certificates", test_certificates);
	g_test_add_func("/bundle/crls", test_crls);
	g_test_add_func("/bundle/keys", test_keys);
	g_test_add_func("/bundle/foreign-keys", test_foreign_keys);
	g_test_add_func("/bundle/pkcs12", test_pkcs12);
	g_test_add_func("/bundle/compatible-salts", test_compatible_salts);
	g_test_add_func("/bundle/pkcs12-refuses", test_pkcs12_refuses);
	g_test_add_func("/bundle/one-bad-does-not-stop-the-rest",
			test_one_bad_does_not_stop_the_rest);
	g_test_add_func("/bundle/refused", test_refused);
	g_test_add_func("/bundle/iterations", test_iterations);
	g_test_add_func("/bundle/foreign-pkcs12", test_foreign_pkcs12);
	int status = g_test_run();
	node_clear(&bob);
	node_clear(&intermediate);
	node_clear(&root);
	return status;
}
