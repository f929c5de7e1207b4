/*
 * reading: which of a message's protected fields count, and what they do to its verdict.
 */
#include <string.h>

#include "milter/mime/protected.h"
#include "pki/crypto/cms_encrypt.h"
#include "pki/crypto/cms_sign.h"
#include "reading_fixture.h"
#include "store/base/buffer.h"

static struct people *people;

enum who { NOBODY, ALICE, CAROL, EVE };
enum harm { UNHARMED, CONTENT_FLIPPED, TAG_FLIPPED };

struct row {
	const char *name;
	const char *payload;
	enum who signer;
	const char *cipher; /* NULL: not encrypted */
	enum harm harm;
	enum mail_verdict verdict;
	const char *subject; /* how the Subject inside is protected; NULL: nothing is */
};

#define GCM "aes-256-gcm"
#define CBC "aes-256-cbc"
#define ME "From: Alice <alice@example.com>\r\nSubject: inside\r\n"
#define HER "From: Carol <carol@example.com>\r\nSubject: inside\r\n"
#define CLEAR "Content-Type: text/plain; hp=\"clear\"\r\n\r\nx\r\n"
#define CIPHER "HP-Outer: Subject: s\r\nContent-Type: text/plain; hp=\"cipher\"\r\n\r\nx\r\n"
#define V1 "Content-Type: text/plain; protected-headers=\"v1\"\r\n\r\nx\r\n"
#define WRAPPED "Content-Type: message/rfc822; forwarded=no\r\n\r\n"
#define FORWARDED "Content-Type: message/rfc822\r\n\r\n"

static const struct row rows[] = {
	{ "signed by the author", ME CLEAR, ALICE, NULL, UNHARMED, MAIL_VALID, "signed" },
	{ "signed by somebody else", ME CLEAR, CAROL, NULL, UNHARMED, MAIL_MISMATCH, "signed" },
	{ "another author inside, who signed", HER CLEAR, CAROL, NULL, UNHARMED, MAIL_MISMATCH,
	  "signed" },
	{ "another author inside, the outer one signed", HER CLEAR, ALICE, NULL, UNHARMED,
	  MAIL_MISMATCH, "signed" },
	{ "another author inside, encrypted", HER CIPHER, ALICE, GCM, UNHARMED, MAIL_MISMATCH,
	  "signed-and-encrypted" },
	{ "two authors inside", ME "From: carol@example.com\r\n" CLEAR, ALICE, NULL, UNHARMED,
	  MAIL_MISMATCH, "signed" },
	{ "the author twice inside", ME "From: alice@example.com\r\n" CLEAR, ALICE, NULL, UNHARMED,
	  MAIL_MISMATCH, "signed" },
	{ "two types, one with a claim", HER "Content-Type: text/plain\r\n" CLEAR, ALICE, NULL,
	  UNHARMED, MAIL_MALFORMED, NULL },
	{ "signed by nobody who is known", ME CLEAR, EVE, NULL, UNHARMED, MAIL_UNTRUSTED,
	  "signed" },
	{ "a signature that does not fit", ME CLEAR, ALICE, NULL, CONTENT_FLIPPED, MAIL_BAD, NULL },
	{ "a signature that does not fit, encrypted", ME CIPHER, ALICE, GCM, CONTENT_FLIPPED,
	  MAIL_BAD, "encrypted" },
	{ "nobody signed or encrypted", ME CIPHER, NOBODY, NULL, UNHARMED, MAIL_UNSIGNED, NULL },
	{ "encrypted", ME CIPHER, NOBODY, GCM, UNHARMED, MAIL_UNSIGNED, "encrypted" },
	{ "encrypted, and nothing vouches", ME CIPHER, NOBODY, CBC, UNHARMED, MAIL_UNSIGNED,
	  "encrypted" },
	{ "encrypted, and it fails", ME CIPHER, NOBODY, GCM, TAG_FLIPPED, MAIL_UNDECRYPTABLE,
	  NULL },
	{ "another author in an encryption adds nothing", HER CIPHER, NOBODY, GCM, UNHARMED,
	  MAIL_UNSIGNED, "encrypted" },
	{ "signed and encrypted", ME CIPHER, ALICE, CBC, UNHARMED, MAIL_VALID,
	  "signed-and-encrypted" },
	{ "signed to be encrypted, and opened on the way", ME CIPHER, ALICE, NULL, UNHARMED,
	  MAIL_VALID, "signed" },
	{ "encrypted on the way", ME CLEAR, ALICE, GCM, UNHARMED, MAIL_VALID, "signed" },
	{ "protected-headers", ME V1, ALICE, GCM, UNHARMED, MAIL_VALID, "signed-and-encrypted" },
	{ "protected-headers of another author", HER V1, ALICE, NULL, UNHARMED, MAIL_MISMATCH,
	  "signed" },
	{ "wrapped", WRAPPED ME "\r\nx\r\n", ALICE, NULL, UNHARMED, MAIL_VALID, "signed" },
	{ "wrapped, of another author", WRAPPED HER "\r\nx\r\n", ALICE, NULL, UNHARMED,
	  MAIL_MISMATCH, "signed" },
	{ "forwarded, of another author", FORWARDED HER "\r\nx\r\n", ALICE, NULL, UNHARMED,
	  MAIL_VALID, NULL },
	{ "a claim on a part",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" HER CLEAR "--b--\r\n", ALICE,
	  NULL, UNHARMED, MAIL_VALID, NULL },
};

static struct person *
person_of(enum who who)
{
	switch (who) {
	case ALICE:
		return &people->alice;
	case CAROL:
		return &people->carol;
	case EVE:
	case NOBODY:
		break;
	}
	return &people->eve;
}

static GByteArray *
signed_bytes(const struct person *by, const char *entity, enum harm harm)
{
	struct cms_signer_options options = { .digest = CMS_DIGEST_SHA256 };
	GError *error = NULL;
	CLEANUP(cms_signer)
	struct cms_signer *signer = cms_signer_new(by->cert, by->key, &options, &error);
	struct buffer_sink out;
	CLEANUP(cms_sign) struct cms_sign *sign = NULL;
	char *text;

	g_assert_no_error(error);
	buffer_sink_init(&out, 1 << 20);
	sign = cms_sign_opaque(signer, FIXTURE_NOW, strlen(entity), &out.sink);
	g_assert_true(sink_write(cms_sign_sink(sign), entity, strlen(entity), &error));
	g_assert_true(cms_sign_finish_opaque(sign, &error));
	text = memmem(out.bytes->data, out.bytes->len, "\r\nx\r\n", 5);
	if (harm == CONTENT_FLIPPED)
		text[2] = 'y';
	return g_steal_pointer(&out.bytes);
}

static struct spool *
message_of(GByteArray *object)
{
	g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(object);

	return mail_of_object(people, bytes, NULL);
}

/* What is in the object of a message, as an entity. */
static char *
entity_of_object(GByteArray *object)
{
	g_autofree char *base64 = g_base64_encode(object->data, object->len);

	g_byte_array_unref(object);
	return g_strconcat("Content-Type: application/pkcs7-mime\r\n"
			   "Content-Transfer-Encoding: base64\r\n\r\n",
			   base64, "\r\n", NULL);
}

static GByteArray *
encrypted_bytes(const char *entity, const char *cipher, enum harm harm)
{
	struct cms_recipient recipient = { people->bob.cert, CMS_TRANSPORT_PKCS1 };
	struct cms_encrypt_options options = { .cipher = strcmp(cipher, GCM) == 0
							     ? CMS_CIPHER_AES_256_GCM
							     : CMS_CIPHER_AES_256_CBC,
					       .content_size = strlen(entity) };
	struct buffer_sink out;
	GError *error = NULL;
	CLEANUP(cms_encrypt) struct cms_encrypt *encrypt = NULL;

	buffer_sink_init(&out, 1 << 20);
	encrypt = cms_encrypt_new(&recipient, 1, &options, &out.sink, &error);
	g_assert_no_error(error);
	g_assert_true(sink_write(cms_encrypt_sink(encrypt), entity, strlen(entity), &error));
	g_assert_true(cms_encrypt_finish(encrypt, &error));
	if (harm == TAG_FLIPPED)
		out.bytes->data[out.bytes->len - 1] ^= 1;
	return g_steal_pointer(&out.bytes);
}

static struct spool *
message_for(const struct row *row)
{
	g_autofree char *entity = g_strdup(row->payload);
	GByteArray *object = NULL;

	if (row->signer != NOBODY) {
		object = signed_bytes(person_of(row->signer), entity, row->harm);
		if (row->cipher == NULL)
			return message_of(object);
		g_free(entity);
		entity = entity_of_object(object);
	}
	if (row->cipher != NULL)
		return message_of(encrypted_bytes(entity, row->cipher, row->harm));
	g_free(entity);
	entity = g_strconcat("From: Alice <alice@example.com>\r\n",
			     strstr(row->payload, "Content-Type"), NULL);
	return mail_of(people, entity);
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	CLEANUP(spool) struct spool *message = message_for(row);
	CLEANUP(reading) struct reading *reading = people_read(people, message);
	const struct protected_fields *inside = reading->protected_fields;
	const char *state = NULL;

	g_test_message("%s; %s", reading->reason, reading->detail);
	for (guint i = 0; inside != NULL && i < inside->fields->len; i++) {
		const struct protected_field *field = inside->fields->pdata[i];

		if (strcmp(field->name, "Subject") == 0)
			state = protected_state_name(field->state);
	}
	g_assert_cmpint(reading->verdict, ==, row->verdict);
	g_assert_cmpstr(state, ==, row->subject);
	g_assert_true(inside != NULL || row->subject == NULL);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	people = people_new();
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/reading/headers/%s", rows[i].name);

		g_test_add_data_func(path, &rows[i], test_row);
	}
	status = g_test_run();
	people_free(people);
	return status;
}
