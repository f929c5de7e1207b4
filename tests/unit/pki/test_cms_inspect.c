/* cms_inspect and cms_inflate: every type is named, nothing crashes, limits hold. */
#include <gio/gio.h>
#include <string.h>

#include "pki/crypto/cms_encrypt.h"
#include "pki/crypto/cms_inspect.h"
#include "store/base/buffer.h"
#include "tests/unit/pki/cms_fixture.h"

static struct cms_info *
inspect(GBytes *object, enum cms_inspect_depth depth, const struct cms_limits *limits,
	GError **error)
{
	struct buffer_source in;

	buffer_source_init(&in, g_bytes_get_data(object, NULL), g_bytes_get_size(object));
	return cms_inspect(&in.source, depth, limits, error);
}

struct row {
	const char *file;
	int type; /* -1: refused */
	guint recipients;
	guint signers;
	guint certs;
	const char *cipher;
};

static const struct row rows[] = {
	{ "rfc4134/4.1.bin", CMS_TYPE_SIGNED, 0, 1, 1, NULL },
	{ "rfc4134/4.6.bin", CMS_TYPE_SIGNED, 0, 2, 2, NULL },
	{ "rfc4134/4.11.bin", CMS_TYPE_CERTS_ONLY, 0, 0, 2, NULL },
	{ "rfc4134/5.1.bin", CMS_TYPE_ENVELOPED, 1, 0, 0, "3des" },
	{ "rfc4134/5.2.bin", CMS_TYPE_ENVELOPED, 2, 0, 0, "rc2" },
	{ "rfc4134/6.0.bin", CMS_TYPE_DIGESTED, 0, 0, 0, NULL },
	{ "rfc4134/7.1.bin", CMS_TYPE_ENCRYPTED, 0, 0, 0, "3des" },
	{ "cms-fixtures/asn1crypto/cms-compressed.der", CMS_TYPE_COMPRESSED, 0, 0, 0, NULL },
	{ "cms-fixtures/asn1crypto/cms-enveloped.der", CMS_TYPE_ENVELOPED, 1, 0, 0, "3des" },
	{ "cms-fixtures/asn1crypto/cms-signed-indefinite-length.der", CMS_TYPE_SIGNED, 0, 1, 1,
	  NULL },
	{ "cms-fixtures/rustcrypto/enveloped_data_multi.bin", CMS_TYPE_ENVELOPED, 4, 0, 0,
	  "aes-256-cbc" },
	{ "cms-fixtures/rustcrypto/enveloped_data_kari.bin", CMS_TYPE_ENVELOPED, 1, 0, 0,
	  "aes-256-cbc" },
	{ "cms-fixtures/rustcrypto/"
	  "1.3.6.1.4.1.22554.5.6.1_ML-KEM-512-ipd_kemri_auth.der",
	  CMS_TYPE_AUTH_ENVELOPED, 1, 0, 0, "aes-256-gcm" },
	{ "cms-fixtures/rustcrypto/authroot.stl", CMS_TYPE_SIGNED, 0, 1, 2, NULL },
	{ "cms-fixtures/rustcrypto/apple_mdm_signature_der.bin", CMS_TYPE_SIGNED, 0, 1, 0, NULL },
	{ "cms-fixtures/rustcrypto/ec384-ee-key.der", -1, 0, 0, 0, NULL },
	{ "cms-fixtures/rustcrypto/certData.bin", CMS_TYPE_DATA, 0, 0, 0, NULL },
};

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	g_auto(GStrv) parts = g_strsplit(row->file, "/", 2);
	g_autofree char *folder = fixture_data(parts[0]);
	g_autofree char *path = NULL;
	g_autoptr(GBytes) object = NULL;
	g_autoptr(GError) error = NULL;
	CLEANUP(cms_info) struct cms_info *info = NULL;

	if (folder == NULL) {
		g_test_skip("the shared data is not here");
		return;
	}
	path = g_build_filename(folder, parts[1], NULL);
	object = fixture_read(path);
	info = inspect(object, CMS_INSPECT_ALL, NULL, &error);
	if (row->type == -1) {
		g_assert_null(info);
		return;
	}
	g_assert_no_error(error);
	g_assert_cmpint(info->type, ==, row->type);
	g_assert_cmpuint(info->recipients->len, ==, row->recipients);
	g_assert_cmpuint(info->signers->len, ==, row->signers);
	g_assert_cmpuint(info->certs->len, ==, row->certs);
	g_assert_cmpstr(info->cipher, ==, row->cipher);
	if (row->type == CMS_TYPE_ENVELOPED)
		g_assert_true(info->plausible);
}

/* ---- could it be encrypted? ---- */

enum damage { NONE, TEXT, CUT_BLOCK, SHORT_KEY };

struct plausible_row {
	const char *proves;
	const char *identity;
	enum cms_cipher cipher;
	gsize content;
	enum damage damage;
	gboolean plausible;
};

static const struct plausible_row plausible_rows[] = {
	{ "RSA, CBC", "rsa1", CMS_CIPHER_AES_256_CBC, 1000, NONE, TRUE },
	{ "RSA, GCM", "rsa1", CMS_CIPHER_AES_128_GCM, 1000, NONE, TRUE },
	{ "EC, CBC", "ec256", CMS_CIPHER_AES_128_CBC, 1000, NONE, TRUE },
	{ "EC, GCM", "ec384", CMS_CIPHER_AES_256_GCM, 1000, NONE, TRUE },
	{ "hardly anything", "rsa1", CMS_CIPHER_AES_256_CBC, 1, NONE, TRUE },
	{ "no block is text", "rsa1", CMS_CIPHER_AES_256_CBC, 1000, TEXT, FALSE },
	{ "no stream is text", "rsa1", CMS_CIPHER_AES_256_GCM, 1000, TEXT, FALSE },
	{ "no whole block", "rsa1", CMS_CIPHER_AES_256_CBC, 1000, CUT_BLOCK, FALSE },
	{ "a key of another length", "ec256", CMS_CIPHER_AES_256_CBC, 1000, SHORT_KEY, FALSE },
};

static GBytes *
encrypt(const struct plausible_row *row)
{
	const struct identity *identity = fixture_identity(row->identity);
	struct cms_recipient recipient = { .cert = identity->cert };
	struct cms_encrypt_options options = { .cipher = row->cipher,
					       .content_size = row->content };
	g_autoptr(GBytes) content = fixture_content(row->content);
	g_autoptr(GError) error = NULL;
	struct buffer_sink out;
	GBytes *made;

	buffer_sink_init(&out, 1 << 20);
	CLEANUP(cms_encrypt)
	struct cms_encrypt *encrypt = cms_encrypt_new(&recipient, 1, &options, &out.sink, &error);
	g_assert_no_error(error);
	g_assert_true(sink_write(cms_encrypt_sink(encrypt), g_bytes_get_data(content, NULL),
				 row->content, &error));
	g_assert_true(cms_encrypt_finish(encrypt, &error));
	made = g_bytes_new(out.bytes->data, out.bytes->len);
	buffer_sink_clear(&out);
	return made;
}

/* The wrapped key for AES-256 is the one OCTET STRING of 40 octets. */
static void
shorten_key(guint8 *bytes, gsize length)
{
	for (gsize i = 0; i + 42 < length; i++)
		if (bytes[i] == 0x04 && bytes[i + 1] == 40) {
			/* 32 octets of key, and 6 of another element in the same SEQUENCE. */
			bytes[i + 1] = 32;
			bytes[i + 34] = 0x04;
			bytes[i + 35] = 6;
			return;
		}
	g_assert_not_reached();
}

static void
test_plausible(gconstpointer data)
{
	const struct plausible_row *row = data;
	g_autoptr(GBytes) made = encrypt(row);
	gsize length = g_bytes_get_size(made), at;
	g_autofree guint8 *bytes = g_memdup2(g_bytes_get_data(made, NULL), length);
	g_autoptr(GBytes) damaged = NULL;
	CLEANUP(cms_info) struct cms_info *info = NULL;
	g_autoptr(GError) error = NULL;

	/* Behind the content stands nothing, or the tag with its header. */
	at = length - (cms_cipher_is_aead(row->cipher) ? 1000 + 18 : 1008);
	if (row->damage == TEXT)
		memset(bytes + at, 'a', 1000);
	/* Its length is in the two octets before it; what is left over becomes an attribute. */
	if (row->damage == CUT_BLOCK) {
		g_assert_cmpuint(bytes[at - 1], ==, 1008 & 0xff);
		bytes[at - 1] = 1000 & 0xff;
		memcpy(bytes + at + 1000, "\x04\x06", 2);
	}
	if (row->damage == SHORT_KEY)
		shorten_key(bytes, length);
	damaged = g_bytes_new(bytes, length);
	info = inspect(damaged, CMS_INSPECT_ALL, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(info->recipients->len, ==, 1);
	g_assert_cmpint(info->plausible, ==, row->plausible);
}

/* Each file of a folder and what is below it, whole and cut in half. */
static guint
folder_read(const char *folder)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;
	guint n = 0;

	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		g_autoptr(GBytes) object = NULL;

		if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
			n += folder_read(path);
			continue;
		}
		object = fixture_read(path);
		for (gsize cut = 0; object != NULL && cut < 2; cut++) {
			g_autoptr(GBytes) part =
			    g_bytes_new_from_bytes(object, 0, g_bytes_get_size(object) >> cut);
			struct buffer_source in;
			struct buffer_sink out;

			buffer_source_init(&in, g_bytes_get_data(part, NULL),
					   g_bytes_get_size(part));
			buffer_sink_init(&out, 1 << 20);
			(void)!cms_inflate(&in.source, &out.sink, NULL, NULL, NULL);
			buffer_sink_clear(&out);
			cms_info_free(inspect(part, CMS_INSPECT_HEAD, NULL, NULL));
			cms_info_free(inspect(part, CMS_INSPECT_ALL, NULL, NULL));
		}
		n++;
	}
	return n;
}

static void
test_everything(void)
{
	static const char *const folders[] = { "cms-fixtures", "rfc4134", "rfc9216", "openssl",
					       "fuzz-corpora", "gnupg",   "bluemind" };
	guint n = 0;

	for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *folder = fixture_data(folders[i]);

		if (folder != NULL)
			n += folder_read(folder);
	}
	g_test_message("%u files", n);
	if (n == 0)
		g_test_skip("the shared data is not here");
}

static void
test_limits(void)
{
	g_autofree char *folder = fixture_data("cms-fixtures");
	g_autofree char *path = NULL;
	g_autoptr(GBytes) object = NULL;
	struct cms_limits limits = cms_limits_default;
	g_autoptr(GError) error = NULL;
	CLEANUP(cms_info) struct cms_info *info = NULL;

	if (folder == NULL) {
		g_test_skip("the shared data is not here");
		return;
	}
	path = g_build_filename(folder, "rustcrypto/enveloped_data_multi.bin", NULL);
	object = fixture_read(path);
	limits.recipients = 3;
	g_assert_null(inspect(object, CMS_INSPECT_HEAD, &limits, &error));
	g_assert_cmpstr(error->message, ==, "more than 3 recipients");
	g_clear_error(&error);
	limits.recipients = 4;
	limits.head_bytes = 200;
	g_assert_null(inspect(object, CMS_INSPECT_HEAD, &limits, &error));
	g_clear_error(&error);
	limits.head_bytes = 10000;
	info = inspect(object, CMS_INSPECT_HEAD, &limits, &error);
	g_assert_no_error(error);
}

/* 0x30 0x80 over and over: refused at the limit of depth, without a stack. */
static void
test_depth(void)
{
	g_autoptr(GByteArray) deep = g_byte_array_new();
	const guint8 start[] = { 0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
				 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x80, 0x30, 0x80 };
	g_autoptr(GBytes) object = NULL;
	g_autoptr(GError) error = NULL;

	g_byte_array_append(deep, start, sizeof start);
	for (guint i = 0; i < 100000; i++)
		g_byte_array_append(deep, (const guint8 *)"\x30\x80", 2);
	object = g_byte_array_free_to_bytes(g_steal_pointer(&deep));
	g_assert_null(inspect(object, CMS_INSPECT_ALL, NULL, &error));
	g_assert_nonnull(error);
}

static void
test_inflate(void)
{
	g_autofree char *folder = fixture_data("cms-fixtures");
	g_autofree char *path = NULL;
	g_autoptr(GBytes) object = NULL;
	g_autofree char *type = NULL;
	g_autoptr(GError) error = NULL;
	struct cms_limits limits = cms_limits_default;
	struct buffer_source in;
	struct buffer_sink out;
	gsize size;

	if (folder == NULL) {
		g_test_skip("the shared data is not here");
		return;
	}
	path = g_build_filename(folder, "asn1crypto/cms-compressed.der", NULL);
	object = fixture_read(path);
	buffer_source_init(&in, g_bytes_get_data(object, NULL), g_bytes_get_size(object));
	in.piece_max = 7;
	buffer_sink_init(&out, 1 << 20);
	g_assert_true(cms_inflate(&in.source, &out.sink, NULL, &type, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(type, ==, "1.2.840.113549.1.7.1");
	size = out.bytes->len;
	g_assert_cmpuint(size, >, 0);
	buffer_sink_clear(&out);
	for (gsize max = size - 1; max <= size; max++) {
		limits.inflate_bytes = max;
		buffer_source_init(&in, g_bytes_get_data(object, NULL), g_bytes_get_size(object));
		buffer_sink_init(&out, 1 << 20);
		g_assert_cmpint(cms_inflate(&in.source, &out.sink, &limits, NULL, NULL), ==,
				max == size);
		buffer_sink_clear(&out);
	}
}

static void
element_wrap(GByteArray *out, guint8 tag)
{
	const guint8 header[] = { tag, 0x83, (guint8)(out->len >> 16), (guint8)(out->len >> 8),
				  (guint8)out->len };

	g_byte_array_prepend(out, header, sizeof header);
}

/* CompressedData around `size` bytes that all are zero. */
static GByteArray *
compressed_zeros(gsize size, gsize *compressed_size)
{
	static const guint8 lead[] = { 0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x0b, 0x2a, 0x86,
				       0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x03, 0x08 };
	static const guint8 inner[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
					0xf7, 0x0d, 0x01, 0x07, 0x01 };
	static const guint8 outer[] = { 0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7,
					0x0d, 0x01, 0x09, 0x10, 0x01, 0x09 };
	g_autoptr(GZlibCompressor) zlib = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB, 9);
	g_autofree guint8 *zeros = g_malloc0(size);
	GByteArray *out = g_byte_array_new();
	gsize taken;

	g_byte_array_set_size(out, (guint)size);
	g_assert_cmpint(g_converter_convert(G_CONVERTER(zlib), zeros, size, out->data, out->len,
					    G_CONVERTER_INPUT_AT_END, &taken, compressed_size,
					    NULL),
			==, G_CONVERTER_FINISHED);
	g_byte_array_set_size(out, (guint)*compressed_size);
	element_wrap(out, 0x04);
	element_wrap(out, 0xa0);
	g_byte_array_prepend(out, inner, sizeof inner);
	element_wrap(out, 0x30);
	g_byte_array_prepend(out, lead, sizeof lead);
	element_wrap(out, 0x30);
	element_wrap(out, 0xa0);
	g_byte_array_prepend(out, outer, sizeof outer);
	element_wrap(out, 0x30);
	return out;
}

/* A bomb is stopped at its factor, not at the end of memory. */
static void
test_bomb(void)
{
	const gsize size = 4000000;
	gsize compressed;
	g_autoptr(GByteArray) bomb = compressed_zeros(size, &compressed);
	struct cms_limits limits = cms_limits_default;
	guint factor = (guint)(size / compressed);
	struct buffer_source in;
	struct buffer_sink out;
	g_autoptr(GError) error = NULL;

	for (limits.inflate_factor = factor - 1; limits.inflate_factor <= factor + 1;
	     limits.inflate_factor += 2) {
		gboolean fits = limits.inflate_factor > factor;

		g_clear_error(&error);
		buffer_source_init(&in, bomb->data, bomb->len);
		buffer_sink_init(&out, 16 << 20);
		g_assert_cmpint(cms_inflate(&in.source, &out.sink, &limits, NULL, &error), ==,
				fits);
		if (fits)
			g_assert_cmpuint(out.bytes->len, ==, size);
		else
			g_assert_nonnull(strstr(error->message, "times"));
		buffer_sink_clear(&out);
	}
	buffer_source_init(&in, bomb->data, bomb->len);
	buffer_sink_init(&out, 1 << 20);
	g_assert_false(cms_inflate(&in.source, &out.sink, NULL, NULL, NULL));
	g_assert_cmpuint(out.bytes->len, <, compressed * 20 + 65536);
	buffer_sink_clear(&out);
	buffer_source_init(&in, bomb->data, bomb->len - 7);
	buffer_sink_init(&out, 16 << 20);
	limits.inflate_factor = factor * 2;
	g_assert_false(cms_inflate(&in.source, &out.sink, &limits, NULL, NULL));
	buffer_sink_clear(&out);
}

/* SignedData without content, whose only certificate is `depth` containers deep. */
static GBytes *
nested_certs(guint depth)
{
	static const guint8 data[] = { 0x02, 0x01, 0x01, 0x31, 0x00, 0x30, 0x0b, 0x06, 0x09,
				       0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01 };
	static const guint8 oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
				      0xf7, 0x0d, 0x01, 0x07, 0x02 };
	GByteArray *out = g_byte_array_new();

	for (guint i = 0; i < depth; i++)
		element_wrap(out, 0x30);
	element_wrap(out, 0xa0);
	g_byte_array_prepend(out, data, sizeof data);
	g_byte_array_append(out, (const guint8 *)"\x31\x00", 2);
	element_wrap(out, 0x30);
	element_wrap(out, 0xa0);
	g_byte_array_prepend(out, oid, sizeof oid);
	element_wrap(out, 0x30);
	return g_byte_array_free_to_bytes(out);
}

static void
test_exact_depth(void)
{
	/* ContentInfo, [0], SignedData and certificates are around it. */
	const guint limit = cms_limits_default.depth - 4;

	for (guint depth = limit; depth <= limit + 1; depth++) {
		g_autoptr(GBytes) object = nested_certs(depth);
		CLEANUP(cms_info)
		struct cms_info *info = inspect(object, CMS_INSPECT_ALL, NULL, NULL);

		g_assert_cmpint(info != NULL, ==, depth == limit);
	}
}

/* Bytes after the object: line ends and zeros of a sloppy encoder are let be, others not. */
static void
test_trailing(void)
{
	g_autoptr(GBytes) object = nested_certs(1);
	gsize length = g_bytes_get_size(object);
	static const char *const tails[] = { "\r\n", "\n\n\n", "x" };

	for (guint i = 0; i < G_N_ELEMENTS(tails); i++) {
		g_autofree guint8 *bytes = g_malloc(length + strlen(tails[i]));
		g_autoptr(GBytes) longer = NULL;
		CLEANUP(cms_info) struct cms_info *info = NULL;

		memcpy(bytes, g_bytes_get_data(object, NULL), length);
		memcpy(bytes + length, tails[i], strlen(tails[i]));
		longer = g_bytes_new(bytes, length + strlen(tails[i]));
		info = inspect(longer, CMS_INSPECT_ALL, NULL, NULL);
		g_assert_cmpint(info != NULL, ==, i < 2);
	}
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	g_test_set_nonfatal_assertions();
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = g_strdup_printf("/cms_inspect/%s", rows[i].file);

		g_test_add_data_func(name, &rows[i], test_row);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(plausible_rows); i++) {
		g_autofree char *path = g_strconcat("/plausible/", plausible_rows[i].proves, NULL);

		g_test_add_data_func(path, &plausible_rows[i], test_plausible);
	}
	g_test_add_func("/cms_inspect/every file of the data", test_everything);
	g_test_add_func("/cms_inspect/limits one below and one above", test_limits);
	g_test_add_func("/cms_inspect/nested without end", test_depth);
	g_test_add_func("/cms_inspect/inflate, with its limit", test_inflate);
	g_test_add_func("/cms_inspect/a bomb stops at its factor", test_bomb);
	g_test_add_func("/cms_inspect/depth one below and one above", test_exact_depth);
	g_test_add_func("/cms_inspect/what may follow the object", test_trailing);
	status = g_test_run();
	fixture_clear();
	return status;
}
