/*
 * reading: line ends of files and of what was sealed: a reader gets CRLF, and what was signed is
 * what he gets.
 */
#include <string.h>

#include "milter/file_message.h"
#include "pki/crypto/cms_encrypt.h"
#include "reading_fixture.h"

static struct people *people;

/* As a program for HTTP keeps it: a header of its own with LF, the body as it was on the wire. */
static void
test_wire_body(void)
{
	static const char *const layers[] = { "e", "o", "s" };

	for (gsize i = 0; i < G_N_ELEMENTS(layers); i++) {
		CLEANUP(spool)
		struct spool *message = mail_nested(people, FROM_ALICE TEXT, layers[i]);
		g_autofree char *text = spool_text(message);
		char *body = strstr(text, "\r\n\r\n") + 4;
		g_autoptr(GString) file = g_string_new_len(text, body - text);
		CLEANUP(spool) struct spool *mail = NULL;
		CLEANUP(reading) struct reading *reading = NULL;

		g_string_replace(file, "\r\n", "\n", 0);
		if (layers[i][0] == 's') {
			g_string_append(file, body);
		} else {
			g_autoptr(GByteArray) der = mail_object(people, message);

			g_string_replace(file, "base64", "binary", 0);
			g_string_append_len(file, (const char *)der->data, der->len);
		}
		mail = message_from_bytes(people->area, file->str, file->len, NULL);
		reading = people_read(people, mail);
		g_test_message("%s: %s; %s", layers[i], reading->reason, reading->detail);
		g_assert_cmpint(reading->verdict, ==, i == 0 ? MAIL_UNSIGNED : MAIL_VALID);
		g_assert_cmpint(reading->opened != NULL, ==, i == 0);
	}
}

static struct spool *
sealed_as_is(const char *text)
{
	const struct cms_recipient bob = { people->bob.cert, CMS_TRANSPORT_PKCS1 };
	const struct cms_encrypt_options options = { .cipher = CMS_CIPHER_AES_256_CBC,
						     .content_size = strlen(text) };
	CLEANUP(spool) struct spool *der = spool_new(people->area);
	GError *error = NULL;
	CLEANUP(cms_encrypt)
	struct cms_encrypt *encrypt = cms_encrypt_new(&bob, 1, &options, spool_sink(der), &error);
	g_autoptr(GBytes) object = NULL;

	g_assert_no_error(error);
	g_assert_true(sink_write(cms_encrypt_sink(encrypt), text, strlen(text), NULL));
	g_assert_true(cms_encrypt_finish(encrypt, NULL) && spool_seal(der, NULL));
	object = spool_bytes(der, 0, spool_size(der), G_MAXINT, &error);
	g_assert_no_error(error);
	return mail_of_object(people, object, NULL);
}

/* Content that a program sealed as it lay on its disk: with LF it is the mail that a reader gets
 * with CRLF. One other line end, and it is not known which bytes he will get. */
static void
test_sealed_lines(void)
{
	static const struct {
		const char *layers, *from, *to;
		enum mail_verdict verdict;
	} rows[] = {
		{ "s", "\r\n", "\n", MAIL_VALID },
		{ "so", "\r\n", "\n", MAIL_VALID },
		{ "s", "\r\n", "\r\n", MAIL_VALID },
		{ "s", "hello, bob\r\n", "hello, bob\n", MAIL_BAD },
		{ "s", "plain\r\n\r\n", "plain\n\n", MAIL_BAD },
		{ "s", "hello, bob\r\n", "hello, bob\r\r\n", MAIL_BAD },
		{ "s", "\r\n", "\r", MAIL_UNSIGNED },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(spool)
		struct spool *inner = mail_nested(people, FROM_ALICE TEXT, rows[i].layers);
		g_autofree char *text = spool_text(inner);
		g_autoptr(GString) content = g_string_new(strstr(text, "Content-Type"));
		CLEANUP(spool) struct spool *message = NULL;
		CLEANUP(reading) struct reading *reading = NULL;

		g_string_replace(content, rows[i].from, rows[i].to, 0);
		message = sealed_as_is(content->str);
		reading = people_read(people, message);
		g_test_message("%zu: %s; %s", i, reading->reason, reading->detail);
		g_assert_cmpint(reading->verdict, ==, rows[i].verdict);
		if (reading->opened != NULL) { /* what was sealed is what is handed out */
			g_autofree char *opened = entity_text(people, reading->opened);

			g_assert_cmpstr(opened, ==, content->str);
		}
	}
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	people = people_new();
	g_test_add_func("/reading/a body as on the wire", test_wire_body);
	g_test_add_func("/reading/line ends of what was sealed", test_sealed_lines);
	status = g_test_run();
	people_free(people);
	return status;
}
