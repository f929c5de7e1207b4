/* cms_decrypt: what we and openssl cms encrypt, and what must not be released. */
#include <glib.h>
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/cms_decrypt.h"
#include "pki/crypto/cms_encrypt.h"
#include "pki/crypto/key.h"
#include "store/base/buffer.h"
#include "store/base/error.h"
#include "tests/unit/pki/cms_fixture.h"

static struct cms_decrypt_report *
decrypt(GBytes *object, const char *const *readers, const struct cms_decrypt_options *options,
	GBytes **shown, GError **error)
{
	struct cms_decrypt_key keys[4];
	struct buffer_source in;
	struct buffer_sink out;
	struct cms_decrypt_report *report;
	gsize n = 0;

	for (; readers[n] != NULL; n++)
		keys[n] = (struct cms_decrypt_key){ fixture_identity(readers[n])->cert,
						    fixture_identity(readers[n])->key };
	buffer_source_init(&in, g_bytes_get_data(object, NULL), g_bytes_get_size(object));
	in.piece_max = 4099;
	buffer_sink_init(&out, 64 << 20);
	report = cms_decrypt(&in.source, keys, n, options, &out.sink, error);
	if (shown != NULL)
		*shown = g_byte_array_free_to_bytes(g_steal_pointer(&out.bytes));
	buffer_sink_clear(&out);
	return report;
}

static GBytes *
encrypt(const char *to, enum cms_cipher cipher, enum cms_transport transport, GBytes *content,
	gboolean size_known)
{
	struct cms_recipient recipient = { fixture_identity(to)->cert, transport };
	struct cms_encrypt_options options = { .cipher = cipher };
	CLEANUP(cms_encrypt) struct cms_encrypt *encrypting = NULL;
	struct buffer_source in;
	struct buffer_sink out;

	options.content_size = size_known ? g_bytes_get_size(content) : CMS_SIZE_UNKNOWN;
	buffer_source_init(&in, g_bytes_get_data(content, NULL), g_bytes_get_size(content));
	in.piece_max = 5003;
	buffer_sink_init(&out, 64 << 20);
	encrypting = cms_encrypt_new(&recipient, 1, &options, &out.sink, NULL);
	g_assert_nonnull(encrypting);
	g_assert_true(source_copy(&in.source, cms_encrypt_sink(encrypting), NULL));
	g_assert_true(cms_encrypt_finish(encrypting, NULL));
	return g_byte_array_free_to_bytes(g_steal_pointer(&out.bytes));
}

struct own_row {
	const char *to;
	enum cms_transport transport;
	const char *name;
};

static const struct own_row own_rows[] = {
	{ "rsa1", CMS_TRANSPORT_PKCS1, "pkcs1" },
	{ "rsa1", CMS_TRANSPORT_OAEP_SHA1, "oaep-sha1" },
	{ "rsa1", CMS_TRANSPORT_OAEP_SHA256, "oaep-sha256" },
	{ "rsa3072", CMS_TRANSPORT_OAEP_SHA512, "oaep-sha512" },
	{ "ec256", CMS_TRANSPORT_PKCS1, "ecdh-sha256" },
	{ "ec384", CMS_TRANSPORT_PKCS1, "ecdh-sha256" },
	{ "ec521", CMS_TRANSPORT_PKCS1, "ecdh-sha256" },
};

/* Every cipher, with sizes around the block and the piece. */
static void
test_own(gconstpointer data)
{
	const struct own_row *row = data;
	const gsize sizes[] = { 0, 1, 15, 16, 17, 40000 };
	const char *readers[] = { "rsa2", "ec256b", row->to, NULL };
	g_autoptr(GError) error = NULL;

	for (guint i = 0; i < CMS_N_CIPHERS * G_N_ELEMENTS(sizes) * 2; i++) {
		enum cms_cipher cipher = i % CMS_N_CIPHERS;
		gsize size = sizes[i / CMS_N_CIPHERS % G_N_ELEMENTS(sizes)];
		gboolean known = i / CMS_N_CIPHERS / G_N_ELEMENTS(sizes) == 0;
		g_autoptr(GBytes) content = fixture_content(size);
		g_autoptr(GBytes) object = encrypt(row->to, cipher, row->transport, content, known);
		g_autoptr(GBytes) shown = NULL;
		CLEANUP(cms_decrypt_report)
		struct cms_decrypt_report *report = decrypt(object, readers, NULL, &shown, &error);

		g_assert_no_error(error);
		g_assert_cmpstr(report->reason, ==, "decrypted");
		g_assert_cmpint(report->outcome, ==, CMS_DECRYPTED);
		g_assert_cmpint(report->authenticated, ==, cms_cipher_is_aead(cipher));
		g_assert_cmpstr(report->cipher, ==, cms_cipher_name(cipher));
		g_assert_cmpstr(report->transport, ==, row->name);
		g_assert_cmpuint(report->key_index, ==, 2);
		g_assert_cmpuint(report->content_size, ==, size);
		g_assert_true(g_bytes_equal(shown, content));
	}
}

static void
test_no_key(void)
{
	const char *readers[] = { "rsa2", "ec256", NULL }, *nobody[] = { NULL };
	g_autoptr(GBytes) content = fixture_content(100);
	g_autoptr(GBytes) object =
	    encrypt("rsa1", CMS_CIPHER_AES_256_CBC, CMS_TRANSPORT_PKCS1, content, TRUE);
	g_autoptr(GBytes) shown = NULL;
	CLEANUP(cms_decrypt_report)
	struct cms_decrypt_report *report = decrypt(object, readers, NULL, &shown, NULL);
	CLEANUP(cms_decrypt_report)
	struct cms_decrypt_report *none = decrypt(object, nobody, NULL, NULL, NULL);

	g_assert_cmpint(report->outcome, ==, CMS_NO_KEY);
	g_assert_cmpint(none->outcome, ==, CMS_NO_KEY);
	g_assert_cmpuint(g_bytes_get_size(shown), ==, 0);
}

/* A key that does not fit the certificate: every transport ends alike. */
static void
test_wrong_key(void)
{
	const struct own_row *row;

	for (guint i = 0; i < G_N_ELEMENTS(own_rows); i++) {
		g_autoptr(GBytes) content = fixture_content(1000);
		g_autoptr(GBytes) object = NULL;
		g_autoptr(GError) error = NULL;
		CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;
		struct cms_decrypt_key key;
		struct buffer_source in;
		struct buffer_sink out;

		row = &own_rows[i];
		object = encrypt(row->to, CMS_CIPHER_AES_256_CBC, row->transport, content, TRUE);
		key.cert = fixture_identity(row->to)->cert;
		key.key =
		    fixture_identity(g_str_has_prefix(row->to, "rsa") ? "rsa2" : "ec256b")->key;
		buffer_source_init(&in, g_bytes_get_data(object, NULL), g_bytes_get_size(object));
		buffer_sink_init(&out, 1 << 20);
		report = cms_decrypt(&in.source, &key, 1, NULL, &out.sink, &error);
		buffer_sink_clear(&out);
		g_assert_no_error(error);
		g_assert_cmpint(report->outcome, ==, CMS_UNDECRYPTABLE);
	}
}

/* Each byte changed in turn. GCM: whatever is released is what was encrypted. */
static void
test_flipped(gconstpointer data)
{
	enum cms_cipher cipher = GPOINTER_TO_UINT(data);
	const char *readers[] = { "ec256", NULL };
	g_autoptr(GBytes) content = fixture_content(90);
	g_autoptr(GBytes) object = encrypt("ec256", cipher, CMS_TRANSPORT_PKCS1, content, TRUE);
	gsize length = g_bytes_get_size(object);

	for (gsize i = 0; i < length; i++) {
		g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(object, NULL), length);
		g_autoptr(GBytes) changed = NULL;
		g_autoptr(GBytes) shown = NULL;
		CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;

		copy[i] ^= 0x10;
		changed = g_bytes_new(copy, length);
		report = decrypt(changed, readers, NULL, &shown, NULL);
		if (cms_cipher_is_aead(cipher) && report != NULL &&
		    report->outcome == CMS_DECRYPTED)
			g_assert_true(g_bytes_equal(shown, content));
	}
	for (gsize i = 0; i < length; i++) {
		g_autoptr(GBytes) cut = g_bytes_new(g_bytes_get_data(object, NULL), i);
		CLEANUP(cms_decrypt_report)
		struct cms_decrypt_report *report = decrypt(cut, readers, NULL, NULL, NULL);

		g_assert_true(report == NULL || report->outcome != CMS_DECRYPTED);
	}
}

/* ---- objects that are made by hand ---- */

static gsize
find(const GByteArray *in, gconstpointer needle, gsize length)
{
	const guint8 *at = memmem(in->data, in->len, needle, length);

	g_assert_nonnull(at);
	return (gsize)(at - in->data);
}

static const guint8 icv_16[] = { 0x02, 0x01, 0x10 };

/* A GCM object of indefinite length, so that its parts can be changed without mending lengths. */
static GByteArray *
gcm_object(void)
{
	g_autoptr(GBytes) content = fixture_content(100);
	g_autoptr(GBytes) object =
	    encrypt("rsa1", CMS_CIPHER_AES_256_GCM, CMS_TRANSPORT_PKCS1, content, FALSE);

	return g_bytes_unref_to_array(g_steal_pointer(&object));
}

static enum cms_outcome
outcome_of(GByteArray *object, const struct cms_decrypt_options *options)
{
	const char *readers[] = { "rsa1", NULL };
	g_autoptr(GBytes) bytes = g_bytes_new(object->data, object->len);
	g_autoptr(GError) error = NULL;
	CLEANUP(cms_decrypt_report)
	struct cms_decrypt_report *report = decrypt(bytes, readers, options, NULL, &error);

	g_assert_no_error(error);
	g_test_message("%s", report->reason);
	return report->outcome;
}

/* The tag cut to n bytes, with n announced or not. */
static void
tag_cut(GByteArray *object, guint8 n, gboolean announced)
{
	gsize tag = object->len - 6 - 16;

	g_assert_cmpuint(object->data[tag - 2], ==, 0x04);
	g_assert_cmpuint(object->data[tag - 1], ==, 16);
	object->data[tag - 1] = n;
	g_byte_array_remove_range(object, (guint)tag + n, 16u - n);
	if (announced)
		object->data[find(object, icv_16, 3) + 2] = n;
}

static void
test_tags(void)
{
	struct cms_limits limits = cms_limits_default;
	struct cms_decrypt_options options = { .limits = &limits };
	const guint8 lengths[] = { 0, 1, 4, 8, 11, 12, 13, 15 };
	g_autoptr(GByteArray) good = gcm_object();

	g_assert_cmpint(outcome_of(good, NULL), ==, CMS_DECRYPTED);
	for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
		g_autoptr(GByteArray) silent = gcm_object();
		g_autoptr(GByteArray) announced = gcm_object();

		tag_cut(silent, lengths[i], FALSE);
		g_assert_cmpint(outcome_of(silent, NULL), ==, CMS_UNDECRYPTABLE);
		tag_cut(announced, lengths[i], TRUE);
		limits.tag_min_bytes = 16;
		g_assert_cmpint(outcome_of(announced, &options), ==, CMS_UNSUPPORTED);
		limits.tag_min_bytes = 1; /* the floor is 12 whatever the setting says */
		g_assert_cmpint(outcome_of(announced, &options), ==,
				lengths[i] < 12 ? CMS_UNSUPPORTED : CMS_DECRYPTED);
	}
}

static const guint8 aes256_gcm[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e };
static const guint8 auth_type[] = {
	0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17
};

static void
test_wrong_type(void)
{
	g_autoptr(GByteArray) gcm = gcm_object();
	g_autoptr(GByteArray) cbc = gcm_object();
	g_autoptr(GByteArray) nonce = gcm_object();
	g_autoptr(GByteArray) unknown = gcm_object();
	const guint8 enveloped[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
				     0xf7, 0x0d, 0x01, 0x07, 0x03 };
	gsize at = find(gcm, auth_type, sizeof auth_type) - 2;

	/* AuthEnvelopedData is relabelled: the tag would not be looked at. */
	g_byte_array_remove_range(gcm, (guint)at, 2);
	memcpy(gcm->data + at, enveloped, sizeof enveloped);
	g_assert_cmpint(outcome_of(gcm, NULL), ==, CMS_UNSUPPORTED);
	/* CBC in AuthEnvelopedData. */
	cbc->data[find(cbc, aes256_gcm, sizeof aes256_gcm) + 8] = 0x2a;
	g_assert_cmpint(outcome_of(cbc, NULL), ==, CMS_UNSUPPORTED);
	/* A nonce of 10 bytes, and a NULL behind it. */
	at = find(nonce, aes256_gcm, sizeof aes256_gcm) + sizeof aes256_gcm;
	g_assert_cmpuint(nonce->data[at + 3], ==, 12);
	nonce->data[at + 3] = 10;
	memcpy(nonce->data + at + 4 + 10, "\x05", 2);
	g_assert_cmpint(outcome_of(nonce, NULL), ==, CMS_UNSUPPORTED);
	unknown->data[find(unknown, aes256_gcm, sizeof aes256_gcm) + 8] = 0x7f;
	g_assert_cmpint(outcome_of(unknown, NULL), ==, CMS_UNSUPPORTED);
}

/* ---- openssl cms encrypts ---- */

struct peer_row {
	const char *name;
	const char *to;
	const char *args[5];
	enum cms_outcome outcome;
	gboolean legacy;
	const char *transport;
};

#define LEGACY "-provider", "legacy", "-provider", "default"

static const struct peer_row peer_rows[] = {
	{ "AES-128-CBC", "rsa1", { "-aes128" }, CMS_DECRYPTED, FALSE, "pkcs1" },
	{ "AES-256-CBC, indefinite",
	  "rsa1",
	  { "-aes256", "-stream" },
	  CMS_DECRYPTED,
	  FALSE,
	  "pkcs1" },
	{ "AES-256-GCM", "rsa1", { "-aes-256-gcm" }, CMS_DECRYPTED, FALSE, "pkcs1" },
	{ "AES-192-GCM", "rsa1", { "-aes-192-gcm" }, CMS_DECRYPTED, FALSE, "pkcs1" },
	{ "by key identifier", "rsa1", { "-aes128", "-keyid" }, CMS_DECRYPTED, FALSE, "pkcs1" },
	{ "3DES, allowed", "rsa1", { "-des3" }, CMS_DECRYPTED, TRUE, "pkcs1" },
	{ "3DES, not allowed", "rsa1", { "-des3" }, CMS_UNSUPPORTED, FALSE, NULL },
	{ "RC2, allowed", "rsa1", { "-rc2-128", LEGACY }, CMS_DECRYPTED, TRUE, "pkcs1" },
	{ "RC2 with 64 bits", "rsa1", { "-rc2-64", LEGACY }, CMS_DECRYPTED, TRUE, "pkcs1" },
	{ "RC2 with 40 bits", "rsa1", { "-rc2-40", LEGACY }, CMS_DECRYPTED, TRUE, "pkcs1" },
	{ "RC2, not allowed", "rsa1", { "-rc2-128", LEGACY }, CMS_UNSUPPORTED, FALSE, NULL },
	{ "Camellia", "rsa1", { "-camellia128" }, CMS_UNSUPPORTED, FALSE, NULL },
	{ "OAEP, SHA-1",
	  "rsa1",
	  { "-aes128", "-keyopt", "rsa_padding_mode:oaep" },
	  CMS_DECRYPTED,
	  FALSE,
	  "oaep-sha1" },
	{ "P-256, SHA-1", "ec256", { "-aes128" }, CMS_DECRYPTED, FALSE, "ecdh-sha1" },
	{ "P-384, SHA-256",
	  "ec384",
	  { "-aes256", "-keyopt", "ecdh_kdf_md:sha256" },
	  CMS_DECRYPTED,
	  FALSE,
	  "ecdh-sha256" },
	{ "P-521, cofactor",
	  "ec521",
	  { "-aes256", "-keyopt", "ecdh_cofactor_mode:1" },
	  CMS_DECRYPTED,
	  FALSE,
	  "ecdh-cofactor-sha1" },
	{ "P-256, GCM, key identifier",
	  "ec256",
	  { "-aes-128-gcm", "-keyid" },
	  CMS_DECRYPTED,
	  FALSE,
	  "ecdh-sha1" },
	{ "P-256, 3DES", "ec256", { "-des3" }, CMS_DECRYPTED, TRUE, "ecdh-sha1" },
};

static void
test_peer(gconstpointer data)
{
	const struct peer_row *row = data;
	const struct identity *identity = fixture_identity(row->to);
	const char *readers[] = { row->to, NULL };
	struct cms_decrypt_options options = { .legacy_ciphers = row->legacy };
	g_autoptr(GBytes) content = fixture_content(100001);
	g_autofree char *in_path = fixture_write("in", g_bytes_get_data(content, NULL), 100001);
	g_autofree char *out_path = fixture_path("out");
	g_autoptr(GBytes) object = NULL;
	g_autoptr(GBytes) shown = NULL;
	g_autoptr(GError) error = NULL;
	CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;
	const char *args[5];

	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	for (guint i = 0; i < G_N_ELEMENTS(args); i++)
		args[i] = row->args[i] != NULL ? row->args[i] : "-binary";
	g_assert_cmpint(fixture_openssl("cms", "-encrypt", "-binary", "-in", in_path, "-outform",
					"DER", "-out", out_path, args[0], "-recip",
					identity->cert_path, args[1], args[2], args[3], args[4],
					NULL),
			==, 0);
	object = fixture_read(out_path);
	report = decrypt(object, readers, &options, &shown, &error);
	g_assert_no_error(error);
	g_test_message("%s", report->reason);
	g_assert_cmpint(report->outcome, ==, row->outcome);
	if (row->outcome == CMS_DECRYPTED)
		g_assert_true(g_bytes_equal(shown, content));
	if (row->transport != NULL)
		g_assert_cmpstr(report->transport, ==, row->transport);
}

/* ---- the world's ---- */

struct world_row {
	const char *file;
	const char *cert;
	const char *key;
	const char *plain;        /* begins so; NULL: it must not be released */
	gboolean only_not_opened; /* any error will do */
};

#define SAMPLE "This is some sample content."

static const struct world_row world_rows[] = {
	{ "rfc4134/5.1.bin", "rfc4134/BobRSASignByCarl.cer", "rfc4134/BobPrivRSAEncrypt.pri",
	  SAMPLE, FALSE },
	{ "rfc4134/5.2.bin", "rfc4134/BobRSASignByCarl.cer", "rfc4134/BobPrivRSAEncrypt.pri",
	  SAMPLE, FALSE }, /* RC2 */
	{ "rfc9216/binary-files/encryptedForBobRSAOaep.p7m",
	  "rfc9216/certs-and-keys/lamps-bob.encrypt.crt",
	  "rfc9216/certs-and-keys/lamps-bob.decrypt.p8.pem", SAMPLE, FALSE },
	{ "openssl/cms_data/ciphertext_from_1_1_1.cms", "openssl/smime-certs/smec1.pem",
	  "openssl/smime-certs/smec1.pem", NULL, TRUE },
	{ "openssl/cms_data/ecdh-malformed.der", "openssl/cms_data/ecdh-cert.pem",
	  "openssl/cms_data/ecdh-key.pem", NULL, TRUE },
	{ "openssl/cms_data/dh-malformed.der", "openssl/cms_data/dh-cert.pem",
	  "openssl/cms_data/dh-key.pem", NULL, TRUE },
	{ "openssl/cms_data/rsa-malformed.der", "openssl/smime-certs/smrsa1.pem",
	  "openssl/smime-certs/smrsa1.pem", NULL, TRUE },
	{ "openssl/cms_data/encDataWithTooLongIV.pem", "openssl/smime-certs/smrsa3-cert.pem",
	  "openssl/smime-certs/smrsa3-key.pem", NULL, TRUE },
	{ "openssl/d2i-tests/bad-cms.der", "openssl/smime-certs/smrsa3-cert.pem",
	  "openssl/smime-certs/smrsa3-key.pem", NULL, TRUE },
};

static char *
data_path(const char *file)
{
	g_auto(GStrv) parts = g_strsplit(file, "/", 2);
	g_autofree char *folder = fixture_data(parts[0]);

	return folder == NULL ? NULL : g_build_filename(folder, parts[1], NULL);
}

/* The certificate of a PEM file that may begin with a key, and the other way round. */
static char *
part_of(const char *path, const char *label)
{
	g_autofree char *text = NULL;
	g_autofree char *begin = g_strdup_printf("-----BEGIN %s", label);
	char *start;

	if (!g_file_get_contents(path, &text, NULL, NULL) || strstr(text, "-----BEGIN") == NULL)
		return g_strdup(path);
	start = strstr(text, begin);
	return start == NULL ? g_strdup(path) : fixture_write(label, start, strlen(start));
}

static void
test_world(gconstpointer data)
{
	const struct world_row *row = data;
	g_autofree char *object_path = data_path(row->file);
	g_autofree char *cert_path = data_path(row->cert);
	g_autofree char *key_path = data_path(row->key);
	g_autofree char *cert_part = NULL;
	g_autofree char *key_part = NULL;
	g_autoptr(GBytes) object = NULL;
	CLEANUP(cert) struct cert *cert = NULL;
	CLEANUP(key) struct key *key = NULL;
	CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;
	struct cms_decrypt_options options = { .legacy_ciphers = TRUE };
	struct cms_decrypt_key pair;
	struct buffer_source in;
	struct buffer_sink out;

	if (object_path == NULL) {
		g_test_skip("the shared data is not here");
		return;
	}
	object = fixture_read(object_path);
	cert_part = part_of(cert_path, "CERTIFICATE");
	key_part = part_of(key_path, "PRIVATE KEY");
	cert = fixture_cert_read(cert_part);
	key = fixture_key_read(key_part);
	if (cert == NULL || key == NULL) {
		g_test_skip(cert == NULL ? "the certificate is refused" : "the key is refused");
		return;
	}
	pair = (struct cms_decrypt_key){ cert, key };
	buffer_source_init(&in, g_bytes_get_data(object, NULL), g_bytes_get_size(object));
	buffer_sink_init(&out, 1 << 20);
	report = cms_decrypt(&in.source, &pair, 1, &options, &out.sink, NULL);
	if (report != NULL)
		g_test_message("%s", report->reason);
	if (row->plain != NULL) {
		g_assert_nonnull(report);
		g_assert_cmpint(report->outcome, ==, CMS_DECRYPTED);
		g_assert_cmpmem(out.bytes->data, strlen(row->plain), row->plain,
				strlen(row->plain));
	} else {
		g_assert_true(report == NULL || report->outcome != CMS_DECRYPTED);
		g_assert_true(report != NULL || row->only_not_opened);
	}
	buffer_sink_clear(&out);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	g_test_set_nonfatal_assertions();
	for (guint i = 0; i < G_N_ELEMENTS(own_rows); i++) {
		g_autofree char *name =
		    g_strdup_printf("/cms_decrypt/own/%s, %s", own_rows[i].to, own_rows[i].name);

		g_test_add_data_func(name, &own_rows[i], test_own);
	}
	for (guint i = 0; i < G_N_ELEMENTS(peer_rows); i++) {
		g_autofree char *name =
		    g_strdup_printf("/cms_decrypt/openssl/%s", peer_rows[i].name);

		g_test_add_data_func(name, &peer_rows[i], test_peer);
	}
	for (guint i = 0; i < G_N_ELEMENTS(world_rows); i++) {
		g_autofree char *name =
		    g_strdup_printf("/cms_decrypt/world/%s", world_rows[i].file);

		g_test_add_data_func(name, &world_rows[i], test_world);
	}
	g_test_add_func("/cms_decrypt/nobody's key: known before any try", test_no_key);
	g_test_add_func("/cms_decrypt/wrong key: one outcome for all", test_wrong_key);
	g_test_add_func("/cms_decrypt/tag as long as announced, 12 to 16", test_tags);
	g_test_add_func("/cms_decrypt/AEAD in its own type alone, nonce of 12", test_wrong_type);
	g_test_add_data_func("/cms_decrypt/every byte flipped, GCM",
			     GUINT_TO_POINTER(CMS_CIPHER_AES_256_GCM), test_flipped);
	g_test_add_data_func("/cms_decrypt/every byte flipped, CBC",
			     GUINT_TO_POINTER(CMS_CIPHER_AES_256_CBC), test_flipped);
	status = g_test_run();
	fixture_clear();
	return status;
}
