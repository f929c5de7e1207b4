/*
 * reading_fixture - made with the commands' own functions, so that tests can nest at will.
 */
#include "reading_fixture.h"

#include <gio/gio.h>
#include <string.h>

#include "milter/file_message.h"
#include "milter/mime/leaf.h"
#include "pki/crypto/base64.h"
#include "pki/crypto/issue.h"
#include "store/base/error.h"

static void
make_person(struct person *person, const char *email, enum key_kind kind, unsigned int bits)
{
	const char *emails[] = { email, NULL };
	struct issue_spec spec = { .names = { .common_name = email, .emails = emails },
				   .not_before = FIXTURE_NOW - 86400,
				   .not_after = FIXTURE_NOW + 86400,
				   .path_length = -1 };
	GError *error = NULL;

	spec.key_usage = KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_ENCIPHERMENT;
	person->key = key_generate(kind, bits, &error);
	g_assert_no_error(error);
	spec.spki = key_spki(person->key);
	person->cert = issue_cert(&spec, NULL, person->key, &error);
	g_assert_no_error(error);
}

struct people *
people_new(void)
{
	struct people *people = g_new0(struct people, 1);

	people->area = spool_area_new_memory(512 * 1024 * 1024);
	make_person(&people->alice, "alice@example.com", KEY_KIND_EC, 256);
	make_person(&people->carol, "carol@example.com", KEY_KIND_EC, 256);
	make_person(&people->bob, "bob@example.com", KEY_KIND_RSA, 2048);
	make_person(&people->eve, "eve@example.net", KEY_KIND_RSA, 2048);
	return people;
}

void
people_free(struct people *people)
{
	struct person *all[] = { &people->alice, &people->carol, &people->bob, &people->eve };

	for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
		key_unref(all[i]->key);
		cert_unref(all[i]->cert);
	}
	spool_area_unref(people->area);
	g_free(people);
}

struct spool *
mail_of(struct people *people, const char *text)
{
	GError *error = NULL;
	struct spool *spool = message_from_bytes(people->area, text, strlen(text), &error);

	g_assert_no_error(error);
	return spool;
}

struct spool *
mail_signed(struct people *people, struct person *by, struct spool *message, gboolean opaque)
{
	struct message_sign_options options = {
		.cert = by->cert, .key = by->key, .opaque = opaque, .signing_time = FIXTURE_NOW
	};
	GError *error = NULL;
	struct spool *out = message_sign(people->area, message, &options, &error);

	g_assert_no_error(error);
	return out;
}

struct spool *
mail_encrypted(struct people *people, struct person *to, struct spool *message, const char *cipher)
{
	g_autoptr(GPtrArray) recipients = g_ptr_array_new();
	struct message_encrypt_options options = { .recipients = recipients, .cipher = cipher };
	GError *error = NULL;
	struct spool *out;

	g_ptr_array_add(recipients, to->cert);
	out = message_encrypt(people->area, message, &options, &error);
	g_assert_no_error(error);
	return out;
}

/* --- compressed-data by hand --- */

static void
put(GByteArray *out, guint8 tag, const GByteArray *content)
{
	guint8 head[6] = { tag,
			   0x84,
			   (guint8)(content->len >> 24),
			   (guint8)(content->len >> 16),
			   (guint8)(content->len >> 8),
			   (guint8)content->len };

	g_byte_array_append(out, head, sizeof head);
	g_byte_array_append(out, content->data, content->len);
}

static GByteArray *
wrap(guint8 tag, GByteArray *content)
{
	GByteArray *out = g_byte_array_new();

	put(out, tag, content);
	g_byte_array_unref(content);
	return out;
}

static GByteArray *
raw(const void *bytes, gsize length)
{
	GByteArray *out = g_byte_array_new();

	return g_byte_array_append(out, bytes, (guint)length);
}

static GByteArray *
joined(GByteArray *a, GByteArray *b)
{
	g_byte_array_append(a, b->data, b->len);
	g_byte_array_unref(b);
	return a;
}

/* ContentInfo { id-ct-compressedData, { 0, zlib, { id-data, [0] { OCTET STRING } } } } */
static GBytes *
compressed_object(const char *text, gsize length)
{
	static const guint8 data[] = { 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1 };
	static const guint8 head[] = { 2,    1,    0,    0x30, 0x0d, 6, 0x0b, 0x2a, 0x86,
				       0x48, 0x86, 0xf7, 0x0d, 1,    9, 0x10, 3,    8 };
	static const guint8 type[] = {
		6, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 1, 9
	};
	g_autoptr(GZlibCompressor) zlib = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB, 9);
	g_autofree guint8 *packed = g_malloc(length + 1000);
	gsize size = 0, taken = 0;
	GByteArray *content;

	g_assert_cmpint(g_converter_convert(G_CONVERTER(zlib), text, length, packed, length + 1000,
					    G_CONVERTER_INPUT_AT_END, &taken, &size, NULL),
			==, G_CONVERTER_FINISHED);
	g_assert_cmpuint(taken, ==, length);
	content = joined(raw(data, sizeof data), wrap(0xa0, wrap(4, raw(packed, size))));
	content = joined(raw(head, sizeof head), wrap(0x30, content));
	content = joined(raw(type, sizeof type), wrap(0xa0, wrap(0x30, content)));
	return g_byte_array_free_to_bytes(wrap(0x30, content));
}

struct spool *
mail_compressed(struct people *people, struct spool *message)
{
	g_autofree char *text = spool_text(message);
	const char *at = strstr(text, "\r\nContent-");
	const char *version = strstr(text, "\r\nMIME-Version");
	g_autoptr(GBytes) object = NULL;

	g_assert_nonnull(at);
	at = version != NULL && version < at ? version + 2 : at + 2;
	object = compressed_object(at, strlen(at));
	return mail_of_object(people, object, NULL);
}

/* --- objects --- */

struct spool *
mail_of_object(struct people *people, GBytes *object, const char *type)
{
	g_autofree char *base64 =
	    g_base64_encode(g_bytes_get_data(object, NULL), g_bytes_get_size(object));
	g_autoptr(GString) text = g_string_new(FROM_ALICE "MIME-Version: 1.0\r\nContent-Type: ");

	g_string_append(text, type != NULL ? type : "application/pkcs7-mime; name=smime.p7m");
	g_string_append(text, "\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	for (const char *at = base64; *at != '\0'; at += MIN(strlen(at), 76))
		g_string_append_printf(text, "%.76s\r\n", at);
	return mail_of(people, text->str);
}

GByteArray *
mail_object(struct people *people, struct spool *message)
{
	g_autofree char *text = spool_text(message);
	char *body = strstr(text, "\r\n\r\n");
	gsize length;
	guint8 *bytes;

	(void)people;
	g_assert_nonnull(body);
	bytes = g_base64_decode(body, &length);
	return g_byte_array_new_take(bytes, length);
}

static struct spool *
wrapped(struct people *people, struct spool *message, char layer)
{
	switch (layer) {
	case 's':
		return mail_signed(people, &people->alice, message, FALSE);
	case 'o':
		return mail_signed(people, &people->alice, message, TRUE);
	case 'e':
		return mail_encrypted(people, &people->bob, message, "aes-256-cbc");
	case 'g':
		return mail_encrypted(people, &people->bob, message, "aes-128-gcm");
	default:
		return mail_compressed(people, message);
	}
}

struct spool *
mail_nested(struct people *people, const char *text, const char *layers)
{
	struct spool *message = mail_of(people, text);

	for (; *layers != '\0'; layers++) {
		struct spool *outer = wrapped(people, message, *layers);

		spool_unref(message);
		message = outer;
	}
	return message;
}

char *
spool_text(struct spool *spool)
{
	g_autoptr(GBytes) bytes = spool_bytes(spool, 0, spool_size(spool), 500000000, NULL);

	return g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

char *
entity_text(struct people *people, const struct entity *entity)
{
	CLEANUP(spool) struct spool *bytes = entity_bytes(entity, people->area, NULL);

	return spool_text(bytes);
}

/* --- reading --- */

static gboolean
judge(gpointer data, const struct cms_verify_report *object, const struct cms_signer_report *signer,
      struct signer_judgement *out, GError **error)
{
	const struct people *people = data;
	gboolean known = cert_equal(signer->cert, people->alice.cert) ||
			 cert_equal(signer->cert, people->carol.cert);

	(void)object;
	(void)error;
	out->trust = known ? SIGNER_VALID : SIGNER_INVALID;
	out->reason = g_strdup(known ? "" : "nobody knows him");
	return TRUE;
}

static GArray *
keys_of_bob(gpointer data, const struct cms_info *info, GError **error)
{
	const struct people *people = data;
	GArray *keys = g_array_new(FALSE, TRUE, sizeof(struct cms_decrypt_key));
	struct cms_decrypt_key key = { people->bob.cert, people->bob.key };

	(void)info;
	(void)error;
	return g_array_append_val(keys, key);
}

struct reading_options
people_options(struct people *people)
{
	return (struct reading_options){
		.area = people->area, .judge = judge, .keys = keys_of_bob, .data = people
	};
}

struct reading *
people_read_with(struct people *people, struct spool *message,
		 const struct reading_options *options)
{
	CLEANUP(headers) struct headers *headers = NULL;
	struct reading *reading;
	guint64 body = 0;
	GError *error = NULL;

	(void)people;
	headers = headers_parse(message, 0, spool_size(message), &body, &error);
	g_assert_no_error(error);
	reading = reading_message(headers, message, body, spool_size(message), options, &error);
	g_assert_no_error(error);
	return reading;
}

struct reading *
people_read(struct people *people, struct spool *message)
{
	const struct reading_options options = people_options(people);

	return people_read_with(people, message, &options);
}
